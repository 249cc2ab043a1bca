/*
 * Requests whose daemon died, or could not finish them at once.
 *
 * What rolls forward is finished by a recovery, and then the request was done: its client may ask for the answer.
 * So the intents of a request carry a note of it, from which the recovery writes what the request itself
 * would have written. That is possible where the answer is the container that the intent is about, as
 * with everything that rolls forward; of a start it lacks the session, which nobody has heard of.
 */

#include "codec/pb.h"

#include "operations_priv.h"

#define N_PARTS       7u
#define OBJECT_MAX    127u /* so that its length is one byte */
#define TAG_CONTAINER 0x0a /* field 1, a text */

static bool
answers_with_the_container(const ProtobufCMessageDescriptor *answer)
{
    return answer != NULL && answer->n_fields > 0 && answer->fields[0].id == 1 &&
           answer->fields[0].type == PROTOBUF_C_TYPE_STRING &&
           strcmp(answer->fields[0].name, "container_id") == 0;
}

const char *
nd_request_note(const struct nd_outcome *o, const ProtobufCMessageDescriptor *answer,
                struct nd_arena *arena)
{
    const char *note;

    if (!answers_with_the_container(answer))
        return "";
    note = nd_arena_printf(arena, "%s\n%lld\n%s\n%.*s\n%s\n%s\n%s", o->id, (long long)o->begun_ms,
                           o->method, ND_STR_ARG(o->digest), o->request, answer->name, o->owner);
    return strlen(note) <= ND_INTENT_MAX_TEXT ? note : "";
}

static struct nd_error *
read_note(const struct nd_open_intent *intent, struct nd_arena *arena, struct nd_outcome *ret)
{
    struct nd_str rest = nd_str(intent->operation), parts[N_PARTS];

    for (size_t i = 0; i < N_PARTS - 1; i++) {
        if (!nd_str_next(&rest, '\n', &parts[i]))
            return nd_error_new(ND_DATA_LOSS, "the note of a request is damaged");
    }
    *ret = (struct nd_outcome){
        .id = nd_arena_str(arena, parts[0]),
        .method = nd_arena_str(arena, parts[2]),
        .ns = intent->ns,
        .owner = nd_arena_str(arena, rest),
        .request = nd_arena_str(arena, parts[4]),
        .digest = parts[3],
        .object = "",
        .state = ND_OUTCOME_SUCCEEDED,
        .ended_ms = nd_operations_now_ms(),
        .result_type = nd_arena_str(arena, parts[5]),
        .message = "",
        .reason = "",
    };
    return nd_parse_i64(parts[1], 0, INT64_MAX, &ret->begun_ms);
}

struct nd_error *
nd_request_recovered(struct nd_host *host, const struct nd_open_intent *intent)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf answer = ND_BUF_INIT(2 + OBJECT_MAX);
    size_t len = strlen(intent->object);
    struct nd_outcome outcome;

    if (intent->operation[0] == '\0' || len > OBJECT_MAX)
        return NULL;
    ND_TRY(read_note(intent, arena, &outcome));
    nd_buf_putc(&answer, TAG_CONTAINER);
    nd_buf_putc(&answer, (char)len);
    nd_buf_putz(&answer, intent->object);
    outcome.result = nd_buf_str(&answer);
    return nd_outcome_put(nd_host_ledger(host), &outcome);
}
