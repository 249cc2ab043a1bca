/*
 * A call of the client, as its callers see it. What they ask for is one attempt's (attempt.c), and
 * when that ends early the next one's, without their noticing.
 *
 * A reader that waits for a message larger than the window would wait for ever, so while it waits,
 * credit is given back as bytes arrive; otherwise only for the messages that it takes.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "grpc/channel.h"

#include "client_call_priv.h"

#define KEEP_CALLS 16u

/* --- calls come and go --- */

static enum nd_compression
chosen_compression(const struct nd_channel *ch, const struct nd_call_options *options)
{
    if (options != NULL && options->compression != ND_COMPRESSION_DEFAULT)
        return options->compression;
    return ch->options.compression;
}

/* `single` is the message of a unary call, else NULL. */
static struct nd_client_call *
new_call(struct nd_channel *ch, const struct nd_method_desc *method,
         const struct nd_call_options *options, const void *single)
{
    struct nd_client_call *call = TAILQ_FIRST(&ch->free_calls);

    if (call != NULL) {
        TAILQ_REMOVE(&ch->free_calls, call, link);
        ch->n_free_calls--;
    } else {
        call = nd_new(struct nd_client_call);
        call->arena = nd_arena_new(0);
        nd_h2_stream_init(&call->h2, &nd_response_ops);
        nd_frames_init(&call->in, 0);
        call->sent = ND_BUF_INIT(SIZE_MAX / 8); /* messages are counted before they are kept */
    }
    nd_channel_ref(ch);
    call->ch = ch;
    call->method = method;
    call->in.max_message = options != NULL && options->max_message_bytes != 0
                               ? options->max_message_bytes
                               : ch->options.max_message_bytes;
    call->in.encoding = ND_ENCODING_IDENTITY;
    call->says_gzip = chosen_compression(ch, options) == ND_COMPRESSION_GZIP;
    call->wants_gzip = call->says_gzip;
    call->policy = nd_retry_policy_of(ch, options);
    call->wait_for_ready = options != NULL && options->wait_for_ready;
    call->single = single;
    call->half_closed = single != NULL;
    nd_metadata_init(&call->rsp.headers, call->arena);
    nd_metadata_init(&call->rsp.trailers, call->arena);
    nd_attempt_prepare(call, options != NULL ? options->metadata : NULL);
    return call;
}

static void
free_call(struct nd_client_call *call)
{
    nd_arena_free(call->arena);
    nd_frames_fini(&call->in);
    nd_buf_fini(&call->sent);
    nd_h2_stream_fini(&call->h2);
    nd_free(call);
}

void
nd_channel_free_calls(struct nd_channel *ch)
{
    struct nd_client_call *call;

    while ((call = TAILQ_FIRST(&ch->free_calls)) != NULL) {
        TAILQ_REMOVE(&ch->free_calls, call, link);
        free_call(call);
    }
}

void
nd_client_call_end(struct nd_client_call *call)
{
    struct nd_channel *ch;

    if (call == NULL)
        return;
    ch = call->ch;
    nd_h2_stream_reset(&call->h2, ND_H2_CANCEL);
    nd_error_free(call->end);
    if (ch->n_free_calls >= KEEP_CALLS) {
        free_call(call);
    } else {
        nd_arena_reset(call->arena);
        nd_frames_reuse(&call->in);
        nd_attempt_commit(call);
        nd_h2_stream_reuse(&call->h2);
        *call = (struct nd_client_call){
            .h2 = call->h2, .arena = call->arena, .in = call->in, .sent = call->sent};
        TAILQ_INSERT_HEAD(&ch->free_calls, call, link);
        ch->n_free_calls++;
    }
    nd_channel_unref(ch);
}

void
nd_client_call_endp(struct nd_client_call **call)
{
    nd_client_call_end(ND_TAKE(*call));
}

/* --- sending --- */

struct nd_error *
nd_client_call_begin(struct nd_channel *ch, const struct nd_method_desc *method,
                     const struct nd_call_options *options, struct nd_client_call **ret)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = new_call(ch, method, options, NULL);

    ND_TRY(nd_attempt_ensure(call));
    if (call->done)
        return nd_error_copy(call->end);
    *ret = ND_TAKE(call);
    return NULL;
}

const struct nd_method_desc *
nd_client_call_method(const struct nd_client_call *call)
{
    return call->method;
}

/* Until the stream is open, as far as it is up to us. */
static struct nd_error *
ready_to_send(struct nd_client_call *call)
{
    ND_TRY(nd_ctx_check());
    ND_TRY(nd_attempt_ensure(call));
    if (call->done || call->h2.session == NULL)
        return nd_error_new(ND_ABORTED, "the server has finished the call");
    return NULL;
}

void
nd_client_call_set_compression(struct nd_client_call *call, enum nd_compression compression)
{
    call->wants_gzip = compression == ND_COMPRESSION_GZIP;
}

struct nd_error *
nd_client_call_send(struct nd_client_call *call, const void *message)
{
    ND_TRY(ready_to_send(call));
    while (nd_h2_stream_is_full(&call->h2)) {
        ND_TRY(nd_cond_wait(&call->writable));
        ND_TRY(ready_to_send(call));
    }
    return nd_attempt_put(call, message);
}

struct nd_error *
nd_client_call_finish_sending(struct nd_client_call *call)
{
    ND_TRY(ready_to_send(call));
    call->half_closed = true;
    nd_h2_stream_finish(&call->h2, NULL, 0);
    return NULL;
}

/* --- receiving --- */

static void
give_credit(struct nd_client_call *call, size_t n)
{
    n = ND_MIN(n, call->owed);
    call->owed -= n;
    nd_h2_stream_consume(&call->h2, n);
}

static struct nd_error *
wait_for_bytes(struct nd_client_call *call)
{
    struct nd_error *err;

    give_credit(call, call->owed);
    call->reader_waits = true;
    err = nd_cond_wait(&call->readable);
    call->reader_waits = false;
    return err;
}

/* How the call has ended. A server that notices the deadline first cancels the stream. */
static struct nd_error *
end_error(const struct nd_client_call *call)
{
    if (call->end == NULL && nd_frames_pending(&call->in) != 0)
        return nd_error_new(ND_INTERNAL, "the stream ended inside a message");
    if (nd_error_code(call->end) == ND_CANCELLED && call->rsp.status.ptr == NULL)
        ND_TRY(nd_ctx_check());
    return nd_error_copy(call->end);
}

static struct nd_error *
next_frame(struct nd_client_call *call, struct nd_str *ret, bool *ret_found)
{
    for (;;) {
        struct nd_error *err = NULL;

        ND_TRY(nd_attempt_ensure(call));
        *ret_found = false;
        if (!call->rsp.is_foreign)
            err = nd_frames_next(&call->in, ret, ret_found);
        if (err != NULL) {
            nd_attempt_break_off(call, ND_H2_CANCEL, nd_error_copy(err));
            return err;
        }
        if (*ret_found) {
            give_credit(call, call->in.taken);
            return NULL;
        }
        if (call->done)
            return end_error(call);
        ND_TRY(wait_for_bytes(call));
    }
}

static struct nd_error *
decode(struct nd_client_call *call, struct nd_str bytes, struct nd_arena *arena,
       ProtobufCMessage **ret)
{
    struct nd_error *err = nd_frames_decode(&call->in, call->method->output, bytes, arena, ret);

    if (err == NULL)
        return NULL;
    return nd_error_wrap(nd_error_recode(err, ND_INTERNAL), "the server's message");
}

struct nd_error *
nd_client_call_recv(struct nd_client_call *call, struct nd_arena *arena, void *ret)
{
    ProtobufCMessage **ret_message = ret;
    struct nd_str bytes;
    bool found;

    ND_TRY(next_frame(call, &bytes, &found));
    if (found)
        return decode(call, bytes, arena, ret_message);
    *ret_message = NULL;
    return NULL;
}

bool
nd_client_call_was_compressed(const struct nd_client_call *call)
{
    return call->in.taken_compressed;
}

struct nd_error *
nd_client_call_headers(struct nd_client_call *call, const struct nd_metadata **ret)
{
    for (;;) {
        ND_TRY(nd_attempt_ensure(call));
        if ((call->rsp.has_headers && !call->rsp.is_foreign) || call->done)
            break;
        ND_TRY(nd_cond_wait(&call->readable));
    }
    if (!call->rsp.has_headers)
        return end_error(call);
    *ret = &call->rsp.headers;
    return NULL;
}

const struct nd_metadata *
nd_client_call_trailers(const struct nd_client_call *call)
{
    return call->done ? &call->rsp.trailers : NULL;
}

/* --- unary --- */

/* One message and status OK, or an error. */
static struct nd_error *
recv_single(struct nd_client_call *call, struct nd_arena *arena, ProtobufCMessage **ret)
{
    ProtobufCMessage *message;
    struct nd_str bytes;
    bool found;

    ND_TRY(next_frame(call, &bytes, &found));
    if (!found)
        return nd_error_new(ND_INTERNAL, "the server sent status OK and no message");
    ND_TRY(decode(call, bytes, arena, &message));
    ND_TRY(next_frame(call, &bytes, &found));
    if (found)
        return nd_error_new(ND_INTERNAL, "the server sent more than one message");
    *ret = message;
    return NULL;
}

struct nd_error *
nd_channel_unary(struct nd_channel *ch, const struct nd_method_desc *method,
                 const struct nd_call_options *options, const void *request, struct nd_arena *arena,
                 void *ret)
{
    ND_AUTO(nd_client_call_endp)
    struct nd_client_call *call = new_call(ch, method, options, request);

    return recv_single(call, arena, ret);
}
