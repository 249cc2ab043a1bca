/*
 * Requests whose daemon died, or could not finish them at once.
 *
 * What rolls forward is finished by a recovery, and then the request was done: its client may ask
 * for the answer. So the intents of a request carry a note of it, from which the recovery writes
 * what the request itself would have written. That is possible where the answer is the container
 * that the intent is about, as with everything that rolls forward, and what its recoverer adds; of
 * a start it lacks the session, which nobody has heard of. What must not be done twice and may have
 * been done is a failure, which says so.
 */

#include "codec/pb.h"
#include "operation/request.h"

#include "operations_priv.h"

#define N_PARTS    7u
#define OBJECT_MAX 127u /* so that its length is one byte */
#define NUMBER_MAX 15u  /* the same of its tag */
#define WIRE_TEXT  2u   /* its wire type */

/* The number of the field with the container's id; 0: this is another answer. */
static unsigned
number_of_container(const ProtobufCMessageDescriptor *answer)
{
    const ProtobufCFieldDescriptor *field =
        answer != NULL ? protobuf_c_message_descriptor_get_field_by_name(answer, "container_id")
                       : NULL;

    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING || field->id > NUMBER_MAX)
        return 0;
    return field->id;
}

const char *
nd_request_note(const struct nd_outcome *o, const ProtobufCMessageDescriptor *answer,
                struct nd_arena *arena)
{
    unsigned number = number_of_container(answer);
    const char *note;

    if (number == 0)
        return "";
    note = nd_arena_printf(arena, "%s\n%lld\n%s\n%.*s\n%s\n%s %u\n%s", o->id,
                           (long long)o->begun_ms, o->method, ND_STR_ARG(o->digest), o->request,
                           answer->name, number, o->owner);
    return strlen(note) <= ND_INTENT_MAX_TEXT ? note : "";
}

/*
 * The answer's name and the number of its field, which earlier daemons did not note: it was the
 * first.
 */
static struct nd_error *
read_answer(struct nd_str text, struct nd_arena *arena, const char **ret_name, uint64_t *ret_number)
{
    struct nd_str name = ND_STR_NONE;

    (void)nd_str_next(&text, ' ', &name);
    *ret_name = nd_arena_str(arena, name);
    *ret_number = 1;
    return text.len > 0 ? nd_parse_u64(text, NUMBER_MAX, ret_number) : NULL;
}

static struct nd_error *
read_note(const struct nd_open_intent *intent, struct nd_arena *arena, struct nd_outcome *ret,
          uint64_t *ret_number)
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
        .message = "",
        .reason = "",
    };
    ND_TRY(read_answer(parts[5], arena, &ret->result_type, ret_number));
    return nd_parse_i64(parts[1], 0, INT64_MAX, &ret->begun_ms);
}

static void
note_unknown(struct nd_outcome *o)
{
    o->state = ND_OUTCOME_FAILED;
    o->result_type = "";
    o->code = ND_ABORTED;
    o->message = "the daemon ended in the middle of it: whether it was done is not known, and it "
                 "is not done again";
    o->reason = ND_REQUEST_UNKNOWN;
}

/* A message is its fields one behind the other. */
static void
note_answer(struct nd_outcome *o, const struct nd_open_intent *intent, uint64_t number,
            struct nd_buf *buf)
{
    nd_buf_putc(buf, (char)(number << 3 | WIRE_TEXT));
    nd_buf_putc(buf, (char)strlen(intent->object));
    nd_buf_putz(buf, intent->object);
    nd_buf_put(buf, nd_buf_str(intent->answer));
    o->result = nd_buf_str(buf);
}

struct nd_error *
nd_request_recovered(struct nd_host *host, const struct nd_open_intent *intent,
                     enum nd_recovered recovered)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini)
    struct nd_buf answer = ND_BUF_INIT(2 + OBJECT_MAX + ND_RECOVERED_ANSWER_MAX);
    struct nd_outcome outcome;
    uint64_t number;

    if (intent->operation[0] == '\0' || strlen(intent->object) > OBJECT_MAX)
        return NULL;
    ND_TRY(read_note(intent, arena, &outcome, &number));
    if (recovered == ND_RECOVERED_UNKNOWN)
        note_unknown(&outcome);
    else
        note_answer(&outcome, intent, number, &answer);
    return nd_outcome_put(nd_host_ledger(host), &outcome);
}
