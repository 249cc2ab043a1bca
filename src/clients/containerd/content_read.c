/*
 * Reading blobs whole. The server is asked for one byte more than the caller takes, so a blob that
 * is too large shows without travelling. What arrives is hashed as it comes, a piece of at most a
 * MiB at a time, and a blob whose bytes do not have its digest is not handed out: disks lie.
 */

#include "codec/digest.h"
#include "containerd/content.h"
#include "containerd/content.pb-c.h"

#include "ctrd_priv.h"

/* Receives what a stream sends until its end. */
static struct nd_error *
receive(struct nd_client_call *call, struct nd_hasher *hasher, size_t max_bytes, struct nd_buf *buf)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    for (;;) {
        CtContent__ReadResponse *rsp;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        if (rsp->data.len > max_bytes - buf->len)
            return nd_error_new(ND_EXHAUSTED, "larger than %zu bytes", max_bytes);
        ND_TRY(nd_buf_add(buf, nd_str_n(rsp->data.data, rsp->data.len)));
        nd_hasher_add(hasher, rsp->data.data, rsp->data.len);
    }
}

static struct nd_error *
request_and_receive(struct nd_client_call *call, const char *digest, size_t max_bytes,
                    struct nd_hasher *hasher, struct nd_buf *buf)
{
    CtContent__ReadRequest req = CT_CONTENT__READ_REQUEST__INIT;

    req.digest = nd_ctrd_text(digest);
    req.size = (int64_t)max_bytes + 1;
    ND_TRY(nd_ctrd_send_last(call, &req));
    return receive(call, hasher, max_bytes, buf);
}

static struct nd_error *
check_digest(const struct nd_hasher *hasher, const char *digest)
{
    char found[ND_DIGEST_TEXT_SIZE];

    nd_hasher_text(hasher, found);
    if (strcmp(found, digest) == 0)
        return NULL;
    return nd_error_component(
        nd_error_new(ND_DATA_LOSS, "the stored bytes have the digest %s", found), "containerd");
}

static struct nd_error *
read_blob(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const char *digest, size_t max_bytes,
          struct nd_buf *buf)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_hasher_freep) struct nd_hasher *hasher = NULL;
    struct nd_digest parts;

    ND_TRY(nd_digest_parse(nd_str(digest), &parts));
    hasher = nd_hasher_new(parts.algorithm);
    ND_TRY(nd_ctrd_stream(ctrd, scope, CT_CONTENT_READ, &call));
    ND_TRY(nd_ctrd_stream_error(ctrd, request_and_receive(call, digest, max_bytes, hasher, buf)));
    return check_digest(hasher, digest);
}

struct nd_error *
nd_content_read(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const char *digest,
                size_t max_bytes, struct nd_arena *arena, struct nd_str *ret)
{
    struct nd_buf buf = ND_BUF_INIT(max_bytes);
    struct nd_error *err = read_blob(ctrd, scope, digest, max_bytes, &buf);

    if (err == NULL) {
        ret->ptr = nd_arena_str(arena, nd_buf_str(&buf));
        ret->len = buf.len;
    }
    nd_buf_fini(&buf);
    return err != NULL ? nd_error_wrap(err, "read blob %s", digest) : NULL;
}
