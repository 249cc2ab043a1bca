/*
 * Request ids.
 *
 * The key is who asks and the id. A lock by that key makes a repeat wait for the one that is under
 * way; after it the ledger says whether it was done. What was asked is remembered as a digest of
 * the message, so that an id which is used for something else by mistake is refused and not
 * answered with a lie. The order of maps does not count: a client may write the same request in
 * another one.
 *
 * While the work goes on, changes that are done do not drop their intents but leave them here
 * (through the fiber's slot), and all go in the commit that writes the answer. When that fails they
 * stay open and go to the recovery: it takes back what makes something, as after a death, and the
 * client is told of a failure.
 */

#include "operation/request.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/digest.h"
#include "codec/pb.h"
#include "state/limits.h"

#include "operations_priv.h"

#define MESSAGE_MAX ((size_t)64 * 1024 * 1024)

static struct nd_error *
check_id(const char *id)
{
    size_t n = strlen(id);

    for (size_t i = 0; i < n; i++) {
        if (id[i] <= ' ' || id[i] > '~')
            return nd_error_field("request_id", "has a character that is not printable ASCII");
    }
    if (n > ND_REQUEST_ID_MAX)
        return nd_error_field("request_id", "is longer than %u characters", ND_REQUEST_ID_MAX);
    return NULL;
}

static struct nd_error *
digest_of(const struct nd_request_spec *spec, struct nd_arena *arena, struct nd_str *ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(MESSAGE_MAX);
    ND_AUTO(nd_arena_freep) struct nd_arena *own = nd_arena_new(0);
    char hex[2 * ND_HASH_MAX_BYTES + 1];
    ProtobufCMessage *copy;

    ND_TRY(nd_pb_copy(spec->message, own, &copy));
    nd_pb_sort_maps(copy);
    nd_buf_printf(&buf, "%s\n%s\n", spec->method, spec->ns);
    ND_TRY(nd_pb_encode(copy, &buf));
    nd_hash_hex(ND_SHA256, nd_buf_str(&buf), hex);
    *ret = nd_str(nd_arena_strdup(arena, hex));
    return NULL;
}

static struct nd_error *
is_another(const char *id)
{
    struct nd_error *err =
        nd_error_field("request_id", "\"%s\" was used for another request before", id);

    return nd_error_hint(nd_error_reason(err, "REQUEST_ID_REUSED"),
                         "a new request needs a new id; a repeated one must be the same");
}

static struct nd_error *
failed_before(const struct nd_outcome *o)
{
    struct nd_error *err = nd_error_new(o->code, "%s", o->message);

    return o->reason[0] != '\0' ? nd_error_reason(err, o->reason) : err;
}

/* An outcome that is not known yet. */
static void
prepare(const struct nd_request_spec *spec, struct nd_str digest, struct nd_arena *arena,
        struct nd_request *ret)
{
    char id[2 * OPERATION_ID_BYTES + 1];

    nd_random_hex(id, OPERATION_ID_BYTES);
    ret->outcome = (struct nd_outcome){
        .id = nd_arena_strdup(arena, id),
        .method = spec->method,
        .ns = nd_arena_strdup(arena, spec->ns),
        .owner = nd_arena_strdup(arena, spec->owner),
        .request = nd_arena_strdup(arena, spec->id),
        .digest = digest,
        .object = "",
        .state = ND_OUTCOME_SUCCEEDED,
        .begun_ms = nd_operations_now_ms(),
        .result_type = "",
        .message = "",
        .reason = "",
    };
    ret->kept.note = nd_request_note(&ret->outcome, spec->answer, arena);
    nd_ctx_set(ND_CTX_OPERATION, &ret->kept);
}

struct nd_error *
nd_request_begin(struct nd_operations *ops, const struct nd_request_spec *spec,
                 struct nd_arena *arena, struct nd_request *ret)
{
    const char *key = nd_arena_printf(arena, "request %s %s", spec->owner, spec->id);
    struct nd_error *err;
    struct nd_str digest;

    if (spec->id[0] == '\0')
        return NULL;
    ND_TRY(check_id(spec->id));
    ND_TRY(digest_of(spec, arena, &digest));
    ND_TRY(nd_host_lock(ops->host, key, &ret->lock));
    ret->ops = ops;
    err = nd_outcome_by_request(nd_host_ledger(ops->host), spec->owner, spec->id, arena,
                                &ret->outcome);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        ND_TRY(nd_operations_make_room(ops));
        prepare(spec, digest, arena, ret);
        return NULL;
    }
    ND_TRY(err);
    if (!nd_str_eq(ret->outcome.digest, digest))
        return is_another(spec->id);
    if (ret->outcome.state == ND_OUTCOME_FAILED)
        return failed_before(&ret->outcome);
    ret->is_repeated = true;
    nd_host_unlock(ND_TAKE(ret->lock)); /* there is nothing more to wait for */
    return NULL;
}

void
nd_request_is_operation(struct nd_request *request, const char *id, struct nd_arena *arena)
{
    if (request->ops != NULL)
        request->outcome.id = nd_arena_strdup(arena, id);
}

static struct nd_error *
note_reply(struct nd_request *r, const void *reply, struct nd_buf *buf)
{
    ND_TRY(nd_pb_encode(reply, buf));
    r->outcome.state = ND_OUTCOME_SUCCEEDED;
    r->outcome.result_type = ((const ProtobufCMessage *)reply)->descriptor->name;
    r->outcome.result = nd_buf_str(buf);
    return NULL;
}

static void
note_failure(struct nd_request *r, const struct nd_error *err)
{
    r->outcome.state = ND_OUTCOME_FAILED;
    r->outcome.code = nd_error_code(err);
    r->outcome.message = nd_error_message(err);
    r->outcome.reason = nd_error_get_reason(err) != NULL ? nd_error_get_reason(err) : "";
}

/*
 * No suspension before the wait: the ends and the outcome are one commit. A power cut may take a
 * success along, because the recovery finds it again by what is there; it cannot find a failure
 * that left something.
 */
static struct nd_error *
write_outcome(struct nd_request *r)
{
    ND_TRY(ND_FAULT("request.end"));
    r->outcome.ended_ms = nd_operations_now_ms();
    for (size_t i = 0; i < r->kept.n; i++)
        ND_TRY(nd_intent_submit_end(r->kept.at[i]));
    ND_SHIELDED(ND_LEDGER_WRITE_WAIT_NS);
    return nd_outcome_put_and_wait(nd_host_ledger(r->ops->host), &r->outcome,
                                   r->outcome.state == ND_OUTCOME_FAILED);
}

/* What came of it, and with it the changes that were made: both, or neither. */
static struct nd_error *
commit(struct nd_request *r, const struct nd_error *err, const void *reply)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ND_OUTCOME_MAX_RESULT);
    struct nd_error *failure = NULL;

    if (err == NULL)
        failure = note_reply(r, reply, &buf);
    else
        note_failure(r, err);
    if (failure == NULL)
        failure = write_outcome(r);
    for (size_t i = 0; i < r->kept.n; i++) {
        if (failure == NULL)
            nd_intent_free(r->kept.at[i]);
        else
            nd_intent_leave(r->kept.at[i]);
    }
    r->kept.n = 0;
    r->outcome.result = ND_STR_NONE;
    return failure != NULL ? nd_error_wrap(failure, "remember the answer") : NULL;
}

static void
end_work(struct nd_request *r)
{
    nd_ctx_set(ND_CTX_OPERATION, NULL);
    nd_host_unlock(ND_TAKE(r->lock));
}

struct nd_error *
nd_request_end(struct nd_request *r, struct nd_error *err, const void *reply)
{
    struct nd_error *failure = NULL;

    if (r->lock == NULL)
        return err;
    if (err == NULL || r->kept.n > 0)
        failure = commit(r, err, reply);
    nd_error_free(ND_FAULT("request.ended"));
    end_work(r);
    if (err == NULL)
        return failure;
    nd_error_free(failure); /* it has failed already */
    return err;
}

void
nd_request_update(struct nd_request *r, const void *reply)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ND_OUTCOME_MAX_RESULT);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (r->ops == NULL)
        return;
    err = note_reply(r, reply, &buf);
    if (err == NULL)
        err = nd_outcome_put(nd_host_ledger(r->ops->host), &r->outcome);
    r->outcome.result = ND_STR_NONE;
    if (err != NULL)
        nd_err("the answer to a request is not remembered",
               ND_KV("request", (const char *)r->outcome.request), ND_KV("error", err));
}

bool
nd_request_is_repeatable(void)
{
    return nd_ctx_get(ND_CTX_OPERATION) != NULL;
}

void
nd_request_leave(struct nd_request *r)
{
    if (r->lock == NULL)
        return;
    for (size_t i = 0; i < r->kept.n; i++)
        nd_intent_drop(r->kept.at[i], true);
    r->kept.n = 0;
    end_work(r);
}
