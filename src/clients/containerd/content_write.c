/*
 * Writing blobs, by the server's protocol: one reply for each message, strictly in turn, and the
 * last reply once more before the end.
 *
 *     STAT ref, expected, total   ->  how many bytes the ingest of that name holds
 *     WRITE offset, data          ->  the offset behind them
 *     COMMIT offset, expected     ->  offset and digest; the stream ends
 *
 * An offset of 0 makes the server empty the ingest first. So the offset is always the number of
 * bytes written, and a rest that some earlier writer left behind goes away with our first message.
 * One case is worth more: when the ingest is complete already (another namespace has the blob, or a
 * writer died before its commit), the bytes need not be sent again; they are counted and dropped,
 * and the commit checks the digest.
 *
 * An ingest belongs to one writer at a time; the server says UNAVAILABLE to the second one, who
 * comes back later and then usually hears that the blob exists. An ingest is aborted only while it
 * is ours, since an abort hits whoever writes it.
 */

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/digest.h"
#include "containerd/content.h"
#include "containerd/content.pb-c.h"

#include "ctrd_priv.h"

struct nd_content_writer {
    struct nd_ctrd *ctrd;
    struct nd_arena *arena;   /* holds this struct's texts */
    struct nd_arena *replies; /* reset for each */
    struct nd_ctrd_scope scope;
    const char *ref;
    const char *expected; /* NULL: not known at open */
    int64_t total;        /* 0: not known at open */
    struct nd_client_call *call;
    const CtContent__WriteResponse *reply; /* the last one */
    int64_t offset;                        /* bytes of the caller's so far */
    bool complete; /* the server holds all `total` bytes: what is added is dropped */
    bool is_ours;  /* the ingest is open and ours: to be aborted unless committed */
};

static struct nd_error *
check_expected(const char *expected)
{
    struct nd_digest digest;

    return expected != NULL ? nd_digest_parse(nd_str(expected), &digest) : NULL;
}

static struct nd_error *
send_and_receive(struct nd_content_writer *w, const CtContent__WriteRequest *req)
{
    struct nd_error *err = nd_client_call_send(w->call, req);
    CtContent__WriteResponse *rsp;

    /* ND_ABORTED: the server has ended the stream; receiving tells why. */
    if (err != NULL && nd_error_code(err) != ND_ABORTED)
        return err;
    nd_error_free(err);
    nd_arena_reset(w->replies);
    ND_TRY(nd_client_call_recv(w->call, w->replies, &rsp));
    if (rsp == NULL)
        return nd_error_new(ND_INTERNAL, "the server ended the write without a reply");
    w->reply = rsp;
    return NULL;
}

/* One message and its reply. A blob that exists has ended the ingest; one that was refused as held, or
 * whose connection is gone, may be somebody else's by now. */
static struct nd_error *
exchange(struct nd_content_writer *w, const CtContent__WriteRequest *req)
{
    struct nd_error *err = ND_FAULT("content.write");
    enum nd_code code;

    if (err == NULL)
        err = send_and_receive(w, req);
    if (err == NULL)
        err = ND_FAULT("content.write done");
    if (err == NULL)
        return NULL;
    code = nd_error_code(err);
    if (code == ND_EXISTS || code == ND_UNAVAILABLE)
        w->is_ours = false;
    return nd_ctrd_stream_failure(w->ctrd, err);
}

/* --- opening --- */

static struct nd_error *
try_open(struct nd_content_writer *w)
{
    CtContent__WriteRequest req = CT_CONTENT__WRITE_REQUEST__INIT;

    nd_client_call_end(ND_TAKE(w->call));
    ND_TRY(nd_ctrd_stream(w->ctrd, w->scope, CT_CONTENT_WRITE, &w->call));
    req.action = CT_CONTENT__WRITE_ACTION__STAT;
    req.ref = nd_ctrd_text(w->ref);
    req.expected = nd_ctrd_text(w->expected);
    req.total = w->total;
    ND_TRY(exchange(w, &req));
    w->is_ours = true;
    w->complete = w->expected != NULL && w->total > 0 && w->reply->offset == w->total;
    return NULL;
}

/* UNAVAILABLE, and not because of the connection. */
static bool
is_held_by_another(const struct nd_error *err)
{
    return nd_error_code(err) == ND_UNAVAILABLE && nd_error_get_reason(err) == NULL;
}

static struct nd_error *
open_when_free(struct nd_content_writer *w)
{
    int64_t pause_ns = ND_CTRD_REF_RETRY_MIN_NS;
    int64_t give_up_ns = nd_loop_now().ns + ND_CTRD_REF_WAIT_NS;

    for (;;) {
        struct nd_error *err = try_open(w);

        if (!is_held_by_another(err) || nd_loop_now().ns > give_up_ns)
            return err;
        nd_error_free(err);
        ND_TRY_DOING(nd_fiber_sleep(pause_ns / 2 + (int64_t)(nd_random_u64() % (uint64_t)pause_ns)),
                     "somebody else writes it");
        pause_ns = ND_MIN(2 * pause_ns, ND_CTRD_REF_RETRY_MAX_NS);
    }
}

static struct nd_content_writer *
new_writer(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const char *ref)
{
    struct nd_content_writer *w = nd_new(struct nd_content_writer);

    w->ctrd = ctrd;
    w->arena = nd_arena_new(0);
    w->replies = nd_arena_new(0);
    w->ref = nd_arena_strdup(w->arena, ref);
    if (scope.ns != NULL)
        w->scope.ns = nd_arena_strdup(w->arena, scope.ns);
    if (scope.lease != NULL)
        w->scope.lease = nd_arena_strdup(w->arena, scope.lease);
    return w;
}

struct nd_error *
nd_content_writer_open(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const char *ref,
                       const char *expected, int64_t total, struct nd_content_writer **ret)
{
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *w = NULL;

    ND_TRY(check_expected(expected));
    w = new_writer(ctrd, scope, ref);
    if (expected != NULL)
        w->expected = nd_arena_strdup(w->arena, expected);
    w->total = total;
    ND_TRY_DOING(open_when_free(w), "write %s", ref);
    *ret = ND_TAKE(w);
    return NULL;
}

bool
nd_content_writer_is_complete(const struct nd_content_writer *w)
{
    return w->complete;
}

/* --- adding --- */

static struct nd_error *
write_chunk(struct nd_content_writer *w, struct nd_str chunk)
{
    CtContent__WriteRequest req = CT_CONTENT__WRITE_REQUEST__INIT;

    req.action = CT_CONTENT__WRITE_ACTION__WRITE;
    req.offset = w->offset;
    req.data.data = (uint8_t *)chunk.ptr;
    req.data.len = chunk.len;
    ND_TRY_DOING(exchange(w, &req), "write %s at %lld", w->ref, (long long)w->offset);
    w->offset += (int64_t)chunk.len;
    if (w->reply->offset != w->offset)
        return nd_error_new(ND_INTERNAL, "write %s: the server is at %lld, not %lld", w->ref,
                            (long long)w->reply->offset, (long long)w->offset);
    return NULL;
}

struct nd_error *
nd_content_writer_add(struct nd_content_writer *w, struct nd_str bytes)
{
    if (w->complete) {
        w->offset += (int64_t)bytes.len;
        return NULL;
    }
    while (bytes.len != 0) {
        struct nd_str chunk = nd_str_sub(bytes, 0, ND_CTRD_WRITE_CHUNK);

        ND_TRY(write_chunk(w, chunk));
        bytes = nd_str_from(bytes, chunk.len);
    }
    return NULL;
}

/* --- the end --- */

/* The last reply comes twice, then the status. */
static struct nd_error *
drain(struct nd_content_writer *w)
{
    CtContent__WriteResponse *rsp;

    ND_TRY(nd_ctrd_send_last(w->call, NULL));
    do {
        nd_arena_reset(w->replies);
        ND_TRY(nd_client_call_recv(w->call, w->replies, &rsp));
    } while (rsp != NULL);
    return NULL;
}

/* Send the committing message; its offset, data and first fields are the caller's. The digest must be
 * `expected`, when that is not NULL. */
static struct nd_error *
commit(struct nd_content_writer *w, CtContent__WriteRequest *req, const char *expected,
       const char *const *labels)
{
    req->action = CT_CONTENT__WRITE_ACTION__COMMIT;
    req->labels = nd_ctrd_map(w->arena, &ct_content__write_request__labels_entry__descriptor,
                              labels, &req->n_labels);
    ND_TRY_DOING(exchange(w, req), "commit %s", w->ref);
    w->is_ours = false;
    if (expected != NULL && strcmp(w->reply->digest, expected) != 0)
        return nd_error_new(ND_DATA_LOSS, "commit %s: the digest is %s, not %s", w->ref,
                            w->reply->digest, expected);
    return nd_ctrd_stream_error(w->ctrd, drain(w));
}

struct nd_error *
nd_content_writer_commit(struct nd_content_writer *w, const char *expected,
                         const char *const *labels)
{
    CtContent__WriteRequest req = CT_CONTENT__WRITE_REQUEST__INIT;

    ND_TRY(check_expected(expected));
    /* Only what was told at open: of a digest that it hears of now the server says "exists" on its own,
     * and the blob does not get into the lease. */
    req.expected = nd_ctrd_text(w->expected);
    req.offset = w->complete ? w->total : w->offset;
    req.total = w->total != 0 ? w->total : w->offset;
    return commit(w, &req, expected != NULL ? expected : w->expected, labels);
}

static struct nd_error *
abort_ingest(struct nd_content_writer *w)
{
    CtContent__AbortRequest req = CT_CONTENT__ABORT_REQUEST__INIT;
    Google__Protobuf__Empty *rsp;

    ND_SHIELDED(ND_CTRD_UNDO_NS);
    req.ref = nd_ctrd_text(w->ref);
    nd_arena_reset(w->replies);
    return nd_ctrd_call(w->ctrd, w->scope, CT_CONTENT_ABORT, &req, w->replies, &rsp);
}

void
nd_content_writer_close(struct nd_content_writer *w)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (w == NULL)
        return;
    if (w->is_ours)
        err = abort_ingest(w);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        nd_warn("an unfinished blob stays behind", ND_KV("ref", w->ref), ND_KV("error", err));
    nd_client_call_end(w->call);
    nd_arena_free(w->replies);
    nd_arena_free(w->arena);
    nd_free(w);
}

void
nd_content_writer_closep(struct nd_content_writer **w)
{
    nd_content_writer_close(ND_TAKE(*w));
}

/* --- small blobs --- */

/*
 * Everything in the first message. The name of the ingest is nobody else's, so it cannot be held.
 */
static struct nd_error *
put(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, struct nd_str bytes, const char *digest,
    const char *const *labels)
{
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *w = NULL;
    CtContent__WriteRequest req = CT_CONTENT__WRITE_REQUEST__INIT;
    char ref[48] = "nerdctl-grpc-";

    nd_random_hex(ref + strlen(ref), 16);
    w = new_writer(ctrd, scope, ref);
    ND_TRY(nd_ctrd_stream(ctrd, scope, CT_CONTENT_WRITE, &w->call));
    w->is_ours = true;
    req.ref = ref;
    req.expected = nd_ctrd_text(digest);
    req.total = (int64_t)bytes.len;
    req.data.data = (uint8_t *)bytes.ptr;
    req.data.len = bytes.len;
    return commit(w, &req, digest, labels);
}

struct nd_error *
nd_content_put(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, struct nd_str bytes,
               const char *const *labels)
{
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_error *err;

    if (bytes.len > ND_CTRD_PUT_MAX)
        return nd_error_new(ND_EXHAUSTED, "a blob of %zu bytes, at most %zu are written at once",
                            bytes.len, ND_CTRD_PUT_MAX);
    nd_digest_of(ND_SHA256, bytes, digest);
    err = put(ctrd, scope, bytes, digest, labels);
    if (nd_error_code(err) != ND_EXISTS)
        return err;
    nd_error_free(err);
    return nd_content_label(ctrd, scope, digest, labels);
}

struct nd_error *
nd_content_label(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const char *digest,
                 const char *const *labels)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    CtContent__UpdateRequest req = CT_CONTENT__UPDATE_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    CtContent__Blob blob = CT_CONTENT__BLOB__INIT;
    CtContent__UpdateResponse *rsp;

    if (labels == NULL || labels[0] == NULL)
        return NULL;
    arena = nd_arena_new(0);
    blob.digest = nd_ctrd_text(digest);
    blob.labels =
        nd_ctrd_map(arena, &ct_content__blob__labels_entry__descriptor, labels, &blob.n_labels);
    mask.paths = nd_arena_new_array(arena, blob.n_labels, char *);
    mask.n_paths = blob.n_labels;
    for (size_t i = 0; i < mask.n_paths; i++)
        mask.paths[i] = nd_arena_printf(arena, "labels.%s", blob.labels[i]->key);
    req.info = &blob;
    req.update_mask = &mask;
    return nd_ctrd_call(ctrd, scope, CT_CONTENT_UPDATE, &req, arena, &rsp);
}
