/*
 * From one try of a call to the next, and the request as it leaves.
 *
 *     due --(session, header block, what was sent before)--> open --> over --> due again, or done
 *
 * When an attempt is over (response.c), retry.c says whether the call gets another one. That is
 * made by the fiber that next wants something of the call, for waiting is for fibers; a second
 * fiber waits for the first. When the context of the fiber that makes it ends, the attempt is still
 * due, for the other.
 *
 * A stream keeps what it sends until the call is committed: by the server's first header block, or
 * by sending more than is kept. A unary call keeps nothing, its caller waits and has the message.
 */

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "client_call_priv.h"
#include "wire_priv.h"

#define FIXED_HEADERS 11
#define NUMBER_SIZE   12
#define KEEP_BYTES    4096u

static void
wake(struct nd_client_call *call)
{
    nd_cond_broadcast(&call->readable);
    nd_cond_broadcast(&call->writable);
}

/* --- the request --- */

/* No attempt after this one: what was kept for it can go. */
void
nd_attempt_commit(struct nd_client_call *call)
{
    call->committed = true;
    if (call->sent.cap > KEEP_BYTES)
        nd_buf_fini(&call->sent);
    nd_buf_clear(&call->sent);
}

static struct nd_str
keep(struct nd_client_call *call, struct nd_str text)
{
    return nd_str_n(nd_arena_str(call->arena, text), text.len);
}

void
nd_attempt_prepare(struct nd_client_call *call, const struct nd_metadata *md)
{
    size_t n = nd_metadata_count(md);

    call->block = nd_arena_new_array(call->arena, FIXED_HEADERS + n, struct nd_header);
    call->again = true;
    if (n == 0)
        return;
    call->fields = nd_arena_new_array(call->arena, n, struct nd_header);
    call->n_fields = nd_metadata_to_headers(md, call->arena, call->fields);
    for (size_t i = 0; call->single == NULL && i < n; i++) {
        call->fields[i].name = keep(call, call->fields[i].name);
        call->fields[i].value = keep(call, call->fields[i].value);
    }
}

/*
 * `timeout` and `number` hold texts until the block has been sent. Returns how many fields there
 * are.
 */
static size_t
fill_block(struct nd_client_call *call, char timeout[ND_TIMEOUT_SIZE], char number[NUMBER_SIZE])
{
    const struct nd_channel *ch = call->ch;
    struct nd_header *h = call->block;
    int64_t remaining_ns = nd_ctx_remaining_ns();
    size_t n = 0;

    h[n++] = (struct nd_header){ND_STR(":method"), ND_STR("POST")};
    h[n++] = (struct nd_header){ND_STR(":scheme"),
                                ch->options.tls != NULL ? ND_STR("https") : ND_STR("http")};
    h[n++] = (struct nd_header){ND_STR(":path"), nd_str(call->method->path)};
    h[n++] = (struct nd_header){ND_STR(":authority"), nd_str(ch->authority)};
    if (remaining_ns != INT64_MAX)
        h[n++] = (struct nd_header){ND_STR("grpc-timeout"),
                                    nd_str_n(timeout, nd_timeout_format(remaining_ns, timeout))};
    h[n++] = (struct nd_header){ND_STR("content-type"), ND_STR("application/grpc")};
    h[n++] = (struct nd_header){ND_STR("te"), ND_STR("trailers")};
    h[n++] = (struct nd_header){ND_STR("user-agent"), nd_str(ch->user_agent)};
    if (call->says_gzip)
        h[n++] = (struct nd_header){ND_STR("grpc-encoding"), ND_STR("gzip")};
    if (call->says_gzip || ch->options.compression != ND_COMPRESSION_NONE)
        h[n++] = (struct nd_header){ND_STR("grpc-accept-encoding"), ND_STR(ND_ACCEPT_ENCODING)};
    if (call->attempts != 0) {
        snprintf(number, NUMBER_SIZE, "%u", call->attempts);
        h[n++] = (struct nd_header){ND_STR("grpc-previous-rpc-attempts"), nd_str(number)};
    }
    if (call->n_fields != 0)
        memcpy(h + n, call->fields, call->n_fields * sizeof(*h));
    return n + call->n_fields;
}

/* A block that one side would not take: no other attempt changes that. */
static struct nd_error *
check_block(struct nd_client_call *call, size_t n, const struct nd_session *session)
{
    size_t size = nd_header_list_size(call->block, n);
    uint32_t theirs = nd_session_peer_max_headers(session);

    if (size <= ND_MIN(theirs, ND_GRPC_MAX_SEND_HEADERS))
        return NULL;
    nd_attempt_commit(call);
    return nd_error_new(ND_EXHAUSTED, "metadata: %zu bytes are more than %s limit of %u", size,
                        theirs <= ND_GRPC_MAX_SEND_HEADERS ? "the server's" : "our",
                        ND_MIN(theirs, ND_GRPC_MAX_SEND_HEADERS));
}

static struct nd_error *
open_stream(struct nd_client_call *call)
{
    struct nd_session *session;
    char timeout[ND_TIMEOUT_SIZE];
    char number[NUMBER_SIZE];
    size_t n;

    ND_TRY(nd_channel_get_session(call->ch, call->wait_for_ready, &session));
    n = fill_block(call, timeout, number);
    ND_TRY(check_block(call, n, session));
    if (call->sent.len != 0)
        nd_buf_put(nd_h2_stream_queue(&call->h2), nd_buf_str(&call->sent));
    return nd_session_open(session, &call->h2, call->block, n, call->half_closed);
}

/* Forget the attempt before. */
static void
start_anew(struct nd_client_call *call)
{
    nd_h2_stream_reset(&call->h2, ND_H2_CANCEL);
    nd_h2_stream_reuse(&call->h2);
    nd_frames_reuse(&call->in);
    call->in.encoding = ND_ENCODING_IDENTITY;
    call->owed = 0;
    call->rsp = (struct nd_response){0};
    nd_metadata_init(&call->rsp.headers, call->arena);
    nd_metadata_init(&call->rsp.trailers, call->arena);
}

static struct nd_error *
encode(struct nd_client_call *call, struct nd_buf *dst, const void *message)
{
    if (call->says_gzip && call->wants_gzip)
        return nd_frame_put_gzip(dst, message);
    return nd_frame_put(dst, message);
}

static struct nd_error *
put_single(struct nd_client_call *call)
{
    struct nd_error *err = encode(call, nd_h2_stream_queue(&call->h2), call->single);

    if (err != NULL)
        nd_attempt_commit(call);
    return err;
}

static struct nd_error *
make_attempt(struct nd_client_call *call)
{
    int64_t delay_ns = call->again_at_ns != 0 ? call->again_at_ns - nd_loop_now().ns : 0;

    if (call->is_repeated)
        start_anew(call);
    if (delay_ns > 0)
        ND_TRY_DOING(nd_fiber_sleep(delay_ns), "%s: waiting for another attempt", call->ch->target);
    if (call->single != NULL)
        ND_TRY(put_single(call));
    return open_stream(call);
}

/*
 * What a stream sends goes to where it is kept, and from there to the stream if that is open.
 * Encoding may suspend: meanwhile another attempt can have begun, with what was kept before, or the
 * call can have been committed, and then this message is all that is kept.
 */
static struct nd_error *
keep_and_put(struct nd_client_call *call, const void *message)
{
    size_t before = call->sent.len;

    ND_TRY(encode(call, &call->sent, message));
    if (call->again)
        return NULL;
    if (call->committed)
        before = 0;
    nd_buf_put(nd_h2_stream_queue(&call->h2), nd_str_from(nd_buf_str(&call->sent), before));
    if (call->committed)
        nd_attempt_commit(call);
    return NULL;
}

struct nd_error *
nd_attempt_put(struct nd_client_call *call, const void *message)
{
    size_t size = call->committed ? 0 : protobuf_c_message_get_packed_size(message);

    if (call->sent.len + ND_FRAME_PREFIX + size > ND_GRPC_RETRY_BYTES && !call->committed)
        nd_attempt_commit(call);
    if (call->committed)
        ND_TRY(encode(call, nd_h2_stream_queue(&call->h2), message));
    else
        ND_TRY(keep_and_put(call, message));
    nd_h2_stream_queued(&call->h2);
    return NULL;
}

/* --- from one attempt to the next --- */

void
nd_attempt_over(struct nd_client_call *call, enum nd_attempt_end how, struct nd_error *err)
{
    if (call->done || (call->again && !call->opening)) {
        nd_error_free(err);
        return;
    }
    call->is_repeated = true;
    call->again = nd_retry_decide(call, how, err, &call->again_at_ns);
    call->done = !call->again;
    if (call->done)
        call->end = ND_TAKE(err);
    nd_error_free(err);
    wake(call);
}

void
nd_attempt_break_off(struct nd_client_call *call, enum nd_h2_code code, struct nd_error *err)
{
    nd_h2_stream_reset(&call->h2, code);
    nd_attempt_commit(call);
    nd_attempt_over(call, ND_ATTEMPT_ENDED, err);
}

static bool
has_context_ended(void)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_ctx_check();

    return err != NULL;
}

static struct nd_error *
make_due_attempt(struct nd_client_call *call)
{
    struct nd_error *err;

    call->opening = true;
    err = make_attempt(call);
    if (err == NULL) {
        call->again = false;
    } else if (has_context_ended()) {
        call->is_repeated = true;
    } else {
        nd_attempt_over(call, ND_ATTEMPT_ENDED, ND_TAKE(err));
    }
    call->opening = false;
    if (call->is_repeated)
        wake(call);
    return err;
}

struct nd_error *
nd_attempt_ensure(struct nd_client_call *call)
{
    while (call->again) {
        if (call->opening)
            ND_TRY(nd_cond_wait(&call->readable));
        else
            ND_TRY(make_due_attempt(call));
    }
    return NULL;
}
