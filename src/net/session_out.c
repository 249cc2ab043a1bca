/*
 * What goes out. Each stream has a queue of bytes; nghttp2 asks for them when the windows allow,
 * and they are copied once more, straight into the buffer that becomes one write (NO_COPY).
 *
 * The read callback never answers "nothing" without an end: it defers, and queued() resumes. The
 * trailers are submitted inside it, together with the last byte, because trailers submitted earlier
 * overtake the body (contracts/grpc-wire.md 2.4).
 *
 * A server that answers before the client has half-closed follows its end with RST NO_ERROR, or the
 * client would go on uploading and the stream would never close; that must wait until the end has
 * been written (2.5).
 *
 * The collecting buffer lives on the loop's stack: an idle connection needs none.
 */

#include "base/alloc.h"
#include "base/log.h"

#include "session_priv.h"

#define QUEUE_MAX         (SIZE_MAX / 8) /* messages are checked before they are queued */
#define QUEUE_KEEP_BYTES  4096u
#define STREAM_IDS_ENOUGH 0x60000000 /* three quarters of them: time for a new connection */

/* --- the collecting buffer --- */

static void
push_chunk(struct nd_session *session)
{
    if (session->chunk_len != 0)
        nd_stream_push(session->stream, nd_str_n(session->chunk, session->chunk_len));
    session->written += session->chunk_len;
    session->chunk_len = 0;
}

static void
collect(struct nd_session *session, const void *ptr, size_t len)
{
    const char *from = ptr;

    while (len != 0) {
        size_t n = ND_MIN(len, ND_NET_FLUSH_BYTES - session->chunk_len);

        memcpy(session->chunk + session->chunk_len, from, n);
        session->chunk_len += n;
        from += n;
        len -= n;
        if (session->chunk_len == ND_NET_FLUSH_BYTES)
            push_chunk(session);
    }
}

static bool
may_write(const struct nd_session *session)
{
    return !session->ended && !session->last_words &&
           nd_stream_unsent(session->stream) < ND_NET_HIGH_WATER_BYTES;
}

/* Collect one frame; false when there is none. */
static bool
write_frame(struct nd_session *session)
{
    const uint8_t *frame;
    ssize_t n = nghttp2_session_mem_send(session->h2, &frame);

    ND_INVARIANT(n != NGHTTP2_ERR_NOMEM && n != NGHTTP2_ERR_CALLBACK_FAILURE);
    if (n <= 0)
        return false;
    collect(session, frame, (size_t)n);
    return true;
}

void
nd_session_write(struct nd_session *session)
{
    char chunk[ND_NET_FLUSH_BYTES];

    ND_INVARIANT(!session->reading && !session->writing);
    session->writing = true;
    session->chunk = chunk;
    while (may_write(session) && write_frame(session))
        continue;
    push_chunk(session);
    session->chunk = NULL;
    session->writing = false;
}

uint64_t
nd_session_written(const struct nd_session *session)
{
    return session->written;
}

/*
 * The byte stream keeps the order. TLS makes more of the bytes, so below it this comes true a
 * little later.
 */
bool
nd_session_has_left(const struct nd_session *session, uint64_t position)
{
    return nd_stream_unsent(session->stream) <= session->written - position;
}

/* --- DATA --- */

static size_t
queued_bytes(const struct nd_h2_stream *s)
{
    return s->out.len - s->out_pos;
}

/*
 * Everything has left. Thousands of streams may be parked now: a large one gives its memory back.
 */
static void
empty_queue(struct nd_h2_stream *s)
{
    s->out_pos = 0;
    if (s->out.cap > QUEUE_KEEP_BYTES)
        nd_buf_fini(&s->out);
    else
        nd_buf_clear(&s->out);
}

static int submit_trailers(struct nd_session *session, const struct nd_h2_stream *s);

/* NOLINTBEGIN(readability-function-size,readability-non-const-parameter): nghttp2's signature */
static ssize_t
on_read(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
        nghttp2_data_source *source, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s = nd_session_find_stream(session, id);
    size_t n;

    (void)h2;
    (void)buf;
    (void)source;
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    n = ND_MIN(queued_bytes(s), len);
    if (n == 0 && !s->finished) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n != 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == queued_bytes(s) && s->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->n_trailers != 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(session, s) != 0)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */

static int
on_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t len,
             nghttp2_data_source *source, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s = nd_session_find_stream(session, frame->hd.stream_id);

    (void)h2;
    (void)source;
    if (s == NULL || queued_bytes(s) < len)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    collect(session, head, 9);
    collect(session, s->out.ptr + s->out_pos, len);
    s->out_pos += len;
    if (queued_bytes(s) == 0)
        empty_queue(s);
    if (s->full && queued_bytes(s) < ND_H2_QUEUE_BYTES / 2) {
        s->full = false;
        s->ops->on_writable(s);
    }
    return 0;
}

/* --- header blocks --- */

#define INLINE_HEADERS 24

static size_t
fields_size(const nghttp2_nv *nva, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += nva[i].namelen + nva[i].valuelen + ND_NET_FIELD_OVERHEAD;
    return size;
}

static int
submit(struct nd_session *session, struct nd_h2_stream *s, const struct nd_header *headers,
       size_t n,
       int (*fn)(struct nd_session *session, struct nd_h2_stream *s, const nghttp2_nv *nva,
                 size_t n))
{
    nghttp2_nv few[INLINE_HEADERS];
    ND_AUTO(nd_freep) nghttp2_nv *many = n > INLINE_HEADERS ? nd_new_array(n, nghttp2_nv) : NULL;
    nghttp2_nv *nva = many != NULL ? many : few;
    int rv;

    ND_INVARIANT(n != 0); /* also tells the compiler that something is there */
    for (size_t i = 0; i < n; i++)
        nva[i] = (nghttp2_nv){
            .name = (uint8_t *)headers[i].name.ptr,
            .namelen = headers[i].name.len,
            .value = (uint8_t *)headers[i].value.ptr,
            .valuelen = headers[i].value.len,
        };
    rv = fn(session, s, nva, n);
    if (rv >= 0)
        session->unsent_headers += fields_size(nva, n);
    return rv;
}

static const nghttp2_data_provider data_provider = {.read_callback = on_read};

static int
do_request(struct nd_session *session, struct nd_h2_stream *s, const nghttp2_nv *nva, size_t n)
{
    bool empty = s->finished && queued_bytes(s) == 0;

    return nghttp2_submit_request(session->h2, NULL, nva, n, empty ? NULL : &data_provider, s);
}

static int
do_response(struct nd_session *session, struct nd_h2_stream *s, const nghttp2_nv *nva, size_t n)
{
    return nghttp2_submit_response(session->h2, s->id, nva, n, s->finished ? NULL : &data_provider);
}

static int
do_trailer(struct nd_session *session, struct nd_h2_stream *s, const nghttp2_nv *nva, size_t n)
{
    return nghttp2_submit_trailer(session->h2, s->id, nva, n);
}

static int
submit_trailers(struct nd_session *session, const struct nd_h2_stream *s)
{
    return submit(session, (struct nd_h2_stream *)s, s->trailers, s->n_trailers, do_trailer);
}

/* --- what happened to frames --- */

/* client: a request has left, or part of it. */
static void
note_left(struct nd_session *session, int32_t id)
{
    struct nd_h2_stream *s = nd_session_find_stream(session, id);

    if (s != NULL)
        s->left = true;
}

/* server: the answer is complete; if the request is not, nobody wants the rest of it. */
static void
note_end(nghttp2_session *h2, const struct nd_session *session, const nghttp2_frame_hd *hd)
{
    if (session->role == ND_SESSION_SERVER && (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        nghttp2_session_get_stream_remote_close(h2, hd->stream_id) == 0)
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, hd->stream_id, NGHTTP2_NO_ERROR);
}

static int
on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct nd_session *session = arg;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        session->unsent_headers -= fields_size(frame->headers.nva, frame->headers.nvlen);
        if (session->role == ND_SESSION_CLIENT)
            note_left(session, frame->hd.stream_id);
        note_end(h2, session, &frame->hd);
        session->ping_strikes = 0;
        session->last_ping_ns = 0;
        session->idle_meter.count = 0;
        break;
    case NGHTTP2_DATA:
        note_end(h2, session, &frame->hd);
        session->ping_strikes = 0;
        session->last_ping_ns = 0;
        session->idle_meter.count = 0;
        break;
    case NGHTTP2_GOAWAY:
        session->last_words = session->state == ND_SESSION_TERMINATING;
        break;
    case NGHTTP2_RST_STREAM:
        if (session->role == ND_SESSION_SERVER &&
            frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
            frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM &&
            !nd_meter_take(&session->own_resets, ND_NET_OWN_RESETS))
            nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "too many stream errors");
        break;
    default:
        break;
    }
    return 0;
}

/* A request that nghttp2 will not send (the peer's GOAWAY came first) has not left. */
static int
on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int rv, void *arg)
{
    struct nd_session *session = arg;
    const struct nd_h2_close why = {
        .code = ND_H2_REFUSED_STREAM, .unprocessed = true, .unsent = true};
    struct nd_h2_stream *s;

    (void)h2;
    (void)rv;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    session->unsent_headers -= fields_size(frame->headers.nva, frame->headers.nvlen);
    if (session->role != ND_SESSION_CLIENT)
        return 0;
    TAILQ_FOREACH (s, &session->streams, link) {
        if (s->id == frame->hd.stream_id) {
            nd_session_close_stream(session, s, &why);
            break;
        }
    }
    return 0;
}

void
nd_session_set_sending(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
}

/* --- what users of streams do --- */

void
nd_h2_stream_init(struct nd_h2_stream *s, const struct nd_h2_stream_ops *ops)
{
    *s = (struct nd_h2_stream){.ops = ops, .out = ND_BUF_INIT(QUEUE_MAX)};
}

void
nd_h2_stream_fini(struct nd_h2_stream *s)
{
    ND_INVARIANT(s->session == NULL);
    nd_buf_fini(&s->out);
}

void
nd_h2_stream_reuse(struct nd_h2_stream *s)
{
    ND_INVARIANT(s->session == NULL);
    empty_queue(s);
    *s = (struct nd_h2_stream){.ops = s->ops, .out = s->out};
}

bool
nd_session_can_open(const struct nd_session *session)
{
    return session->role == ND_SESSION_CLIENT && session->state == ND_SESSION_OPEN &&
           session->ready && !session->ended && !session->draining && !session->told_goaway &&
           session->n_streams < nghttp2_session_get_remote_settings(
                                    session->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

/* Stream ids are not used twice. */
static void
use_up(struct nd_session *session)
{
    static const struct nd_str text = {"stream ids used up", 18};

    nd_session_drain(session, text.ptr);
    if (session->handler.on_goaway != NULL)
        session->handler.on_goaway(session->handler.arg, ND_H2_NO_ERROR, text);
}

struct nd_error *
nd_session_open(struct nd_session *session, struct nd_h2_stream *s, const struct nd_header *headers,
                size_t n, bool finished)
{
    int32_t id;

    if (!nd_session_can_open(session))
        return nd_error_new(ND_UNAVAILABLE, "the connection takes no new streams");
    s->finished = finished;
    id = submit(session, s, headers, n, do_request);
    if (id < 0)
        return nd_error_new(ND_UNAVAILABLE, "open a stream: %s", nghttp2_strerror(id));
    s->id = id;
    s->session = session;
    s->responded = true;
    s->content_left = UINT64_MAX;
    s->opened_at = nd_loop_turn_time();
    TAILQ_INSERT_TAIL(&session->streams, s, link);
    session->n_streams++;
    nd_session_wake_alive(session);
    if (id >= STREAM_IDS_ENOUGH)
        use_up(session);
    nd_session_kick(session);
    return NULL;
}

void
nd_h2_stream_respond(struct nd_h2_stream *s, const struct nd_header *headers, size_t n, bool end)
{
    if (s->session == NULL || s->responded)
        return;
    ND_INVARIANT(!end || queued_bytes(s) == 0);
    s->responded = true;
    s->finished = end;
    if (submit(s->session, s, headers, n, do_response) != 0)
        nghttp2_submit_rst_stream(s->session->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
    nd_session_kick(s->session);
}

bool
nd_h2_stream_has_responded(const struct nd_h2_stream *s)
{
    return s->responded;
}

struct nd_buf *
nd_h2_stream_queue(struct nd_h2_stream *s)
{
    if (s->out_pos != 0 && s->out_pos >= queued_bytes(s)) {
        nd_buf_drop(&s->out, s->out_pos);
        s->out_pos = 0;
    }
    return &s->out;
}

void
nd_h2_stream_queued(struct nd_h2_stream *s)
{
    if (s->session == NULL)
        return;
    if (s->deferred) {
        s->deferred = false;
        nghttp2_session_resume_data(s->session->h2, s->id);
    }
    nd_session_kick(s->session);
}

size_t
nd_h2_stream_unsent(const struct nd_h2_stream *s)
{
    return queued_bytes(s);
}

bool
nd_h2_stream_is_full(struct nd_h2_stream *s)
{
    s->full = s->session != NULL && queued_bytes(s) >= ND_H2_QUEUE_BYTES;
    return s->full;
}

void
nd_h2_stream_finish(struct nd_h2_stream *s, const struct nd_header *trailers, size_t n)
{
    if (s->session == NULL || s->finished)
        return;
    s->finished = true;
    s->trailers = trailers;
    s->n_trailers = n;
    nd_h2_stream_queued(s);
}

void
nd_h2_stream_consume(struct nd_h2_stream *s, size_t n)
{
    if (s->session == NULL || n == 0)
        return;
    nghttp2_session_consume_stream(s->session->h2, s->id, n);
    nd_session_kick(s->session);
}

void
nd_h2_stream_reset(struct nd_h2_stream *s, enum nd_h2_code code)
{
    struct nd_session *session = s->session;

    if (session == NULL)
        return;
    nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, s->id, code);
    nd_session_detach(session, s);
    nd_session_kick(session);
}
