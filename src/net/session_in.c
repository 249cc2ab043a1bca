/*
 * What comes in: nghttp2 parses, these callbacks sort it to the streams' users and keep watch.
 *
 * Connection credit is given back the moment bytes arrive, stream credit when their user has taken
 * them: so one slow reader fills its own window and nobody else's, and a reset stream with unread
 * bytes owes the connection nothing.
 *
 * The header list is counted here because nghttp2 announces a limit but does not enforce one. Over
 * the limit, fields are dropped unseen and the user is told at the end of the block. Far over it
 * the stream is reset and nghttp2 shows no more of the block: one byte can name a field of
 * thousands, and to check it again and again costs more than anything else that a peer can ask for
 * in so few bytes.
 *
 * Defence (contracts/grpc-wire.md 2.9, 3.1): PINGs too early are strikes, forgiven whenever we have
 * sent HEADERS or DATA; streams that are reset as soon as opened are metered, and frames that carry
 * nothing (session_scan.c). Nothing here returns an error to nghttp2: the session is terminated
 * instead, which happens at the end of the turn.
 */

#include "base/log.h"

#include "session_priv.h"

static void
open_stream(struct nd_session *session, int32_t id)
{
    struct nd_h2_stream *s = NULL;

    if (session->state == ND_SESSION_OPEN)
        s = session->handler.on_open(session->handler.arg);
    if (s == NULL) {
        nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    s->id = id;
    s->session = session;
    s->opened_at = nd_loop_turn_time();
    s->content_left = UINT64_MAX;
    TAILQ_INSERT_TAIL(&session->streams, s, link);
    session->n_streams++;
    nghttp2_session_set_stream_user_data(session->h2, id, s);
}

static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s;

    (void)h2;
    if (session->role == ND_SESSION_SERVER && frame->hd.type == NGHTTP2_HEADERS &&
        frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        open_stream(session, frame->hd.stream_id);
    s = nd_session_find_stream(session, frame->hd.stream_id);
    if (s != NULL) {
        s->header_bytes = 0;
        s->too_many_headers = false;
        s->interim = false;
    }
    return 0;
}

static bool
is_interim_status(struct nd_str name, struct nd_str value)
{
    return nd_str_eq(name, ND_STR(":status")) && value.len == 3 && value.ptr[0] == '1';
}

static int /* NOLINTNEXTLINE(readability-function-size): nghttp2's signature */
on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
          const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s = nd_session_find_stream(session, frame->hd.stream_id);
    struct nd_str n = nd_h2_text(name, name_len);
    struct nd_str v = nd_h2_text(value, value_len);

    (void)flags;
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* refused: what follows is for HPACK alone */
    s->header_bytes += name_len + value_len + ND_NET_FIELD_OVERHEAD;
    if (s->header_bytes / ND_NET_HEADER_LIST_TIMES >= session->max_header_list) {
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (session->role == ND_SESSION_SERVER && s->has_headers) {
        if (session->own_checks && nd_str_starts(n, ND_STR(":")))
            s->malformed = true;
        return 0;
    }
    if (s->header_bytes > session->max_header_list)
        s->too_many_headers = true;
    if (session->role == ND_SESSION_CLIENT && is_interim_status(n, v))
        s->interim = true;
    if (session->own_checks && !nd_header_check(s, n, v))
        return 0;
    if (!s->too_many_headers && !s->interim)
        s->ops->on_header(s, n, v);
    return 0;
}

/* A field that HTTP does not allow is dropped instead of failing the call. */
static int /* NOLINTNEXTLINE(readability-function-size): nghttp2's signature */
on_invalid_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                  size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    (void)h2, (void)frame, (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
    (void)arg;
    return 0;
}

static int
on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s = nd_session_find_stream(session, id);

    (void)flags;
    nghttp2_session_consume_connection(h2, len);
    if (s == NULL || !s->has_headers)
        return 0;
    if (s->content_left != UINT64_MAX) {
        if (len > s->content_left) {
            s->malformed = true;
            return 0;
        }
        s->content_left -= len;
    }
    s->ops->on_data(s, nd_h2_text(data, len));
    return 0;
}

/* --- complete frames --- */

/* Like nghttp2's own answer to a malformed message. */
static void
refuse_malformed(struct nd_session *session, struct nd_h2_stream *s)
{
    const struct nd_h2_close why = {.code = ND_H2_PROTOCOL_ERROR};

    nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_PROTOCOL_ERROR);
    nd_session_close_stream(session, s, &why);
}

/* client: the response is complete, so nobody waits for the rest of the request. */
static void
stop_sending(struct nd_session *session, int32_t id)
{
    const struct nd_h2_close why = {.code = ND_H2_NO_ERROR};
    struct nd_h2_stream *s = nd_session_find_stream(session, id);

    if (s == NULL || nghttp2_session_get_stream_local_close(session->h2, id) != 0)
        return;
    nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    nd_session_close_stream(session, s, &why);
}

static void
end_input(struct nd_session *session, struct nd_h2_stream *s)
{
    int32_t id = s->id;

    if (s->content_left != UINT64_MAX && s->content_left != 0)
        s->malformed = true;
    if (s->malformed) {
        refuse_malformed(session, s);
        return;
    }
    s->ended = true;
    s->ops->on_end(s);
    if (session->role == ND_SESSION_CLIENT)
        stop_sending(session, id);
}

static void
headers_received(struct nd_session *session, struct nd_h2_stream *s, bool end)
{
    int32_t id = s->id;

    if (s->interim && !end)
        return;
    if (session->own_checks && (s->has_headers ? !end : !nd_header_check_end(s)))
        s->malformed = true;
    if (s->malformed) {
        refuse_malformed(session, s);
        return;
    }
    if (!s->has_headers || session->role == ND_SESSION_CLIENT) {
        s->has_headers = true;
        s->ops->on_headers(s, end);
        s = nd_session_find_stream(session, id);
    }
    if (end && s != NULL)
        end_input(session, s);
}

static void
settings_received(struct nd_session *session)
{
    if (!session->ready) {
        session->ready = true;
        nd_timer_disarm(&session->timer);
        nd_session_watch_alive(session);
        if (session->handler.on_ready != NULL)
            session->handler.on_ready(session->handler.arg);
    }
    if (session->role == ND_SESSION_CLIENT && session->handler.on_room != NULL)
        session->handler.on_room(session->handler.arg);
}

static void
ping_answered(struct nd_session *session, const nghttp2_ping *ping)
{
    if (session->draining && nd_session_is_drain_ping(ping->opaque_data))
        nd_session_drain_finally(session);
}

/* A client whose PINGs are just far enough apart sends some of them a little early. */
static void
ping_received(struct nd_session *session)
{
    int64_t now_ns = nd_loop_now().ns;
    int64_t least_ns = session->ping_interval_ns - session->ping_interval_ns / 10;

    if (session->role != ND_SESSION_SERVER)
        return;
    if (session->last_ping_ns != 0 && now_ns - session->last_ping_ns < least_ns)
        session->ping_strikes++;
    session->last_ping_ns = now_ns;
    if (session->ping_strikes > ND_NET_PING_STRIKES)
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "too_many_pings");
}

static void
goaway_received(struct nd_session *session, const nghttp2_goaway *goaway)
{
    struct nd_str text = nd_h2_text(goaway->opaque_data, goaway->opaque_data_len);

    if (session->role != ND_SESSION_CLIENT || session->told_goaway)
        return;
    session->told_goaway = true;
    if (session->handler.on_goaway != NULL)
        session->handler.on_goaway(session->handler.arg, goaway->error_code,
                                   nd_str_sub(text, 0, ND_NET_GOAWAY_TEXT));
}

static void
reset_received(struct nd_session *session, int32_t id)
{
    struct nd_h2_stream *s = nd_session_find_stream(session, id);

    if (session->role != ND_SESSION_SERVER || s == NULL)
        return;
    if (nd_loop_turn_time().ns - s->opened_at.ns < ND_NET_RAPID_RESET_NS &&
        !nd_meter_take(&session->rapid_resets, ND_NET_RAPID_RESETS))
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "too many resets");
}

static int
on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct nd_session *session = arg;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct nd_h2_stream *s;

    (void)h2;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if ((s = nd_session_find_stream(session, frame->hd.stream_id)) != NULL)
            headers_received(session, s, end);
        break;
    case NGHTTP2_DATA:
        if (end && (s = nd_session_find_stream(session, frame->hd.stream_id)) != NULL)
            end_input(session, s);
        break;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            settings_received(session);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
            ping_answered(session, &frame->ping);
        else
            ping_received(session);
        break;
    case NGHTTP2_GOAWAY:
        goaway_received(session, &frame->goaway);
        break;
    case NGHTTP2_RST_STREAM:
        reset_received(session, frame->hd.stream_id);
        break;
    default:
        break;
    }
    return 0;
}

static int
on_stream_close(nghttp2_session *h2, int32_t id, uint32_t code, void *arg)
{
    struct nd_session *session = arg;
    struct nd_h2_stream *s = nd_session_find_stream(session, id);
    const struct nd_h2_close why = {.code = code, .unprocessed = code == ND_H2_REFUSED_STREAM};

    (void)h2;
    if (s != NULL)
        nd_session_close_stream(session, s, &why);
    return 0;
}

void
nd_session_set_receiving(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* nghttp2 has given up on the input. It has queued a GOAWAY only for some of its reasons. */
static void
input_failed(struct nd_session *session, int rv)
{
    switch (rv) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        nd_session_terminate(session, ND_H2_PROTOCOL_ERROR, "the peer does not speak HTTP/2");
        break;
    case NGHTTP2_ERR_FLOODED:
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "flooded by the peer");
        break;
    default:
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, nghttp2_strerror(rv));
        break;
    }
}

/* Who begins a block of headers has the rest of it: nothing else may come in between. */
static void
watch_block(struct nd_session *session)
{
    if (!nd_session_in_block(session))
        nd_timer_disarm(&session->block_timer);
    else if (session->block_timer.heap_pos == 0)
        nd_timer_arm(&session->block_timer,
                     (struct nd_mono){nd_loop_now().ns +
                                      ND_MIN(session->handshake_timeout_ns, ND_FOR_EVER_NS)});
}

void
nd_session_feed(struct nd_session *session, struct nd_str bytes)
{
    ssize_t rv = 0;

    ND_INVARIANT(!session->reading && !session->writing);
    while (bytes.len != 0 && rv >= 0 && session->state == ND_SESSION_OPEN) {
        struct nd_str part = nd_session_scan(session, &bytes);

        if (part.len == 0)
            continue;
        session->reading = true;
        rv = nghttp2_session_mem_recv(session->h2, (const uint8_t *)part.ptr, part.len);
        session->reading = false;
    }
    if (rv < 0)
        input_failed(session, (int)rv);
    watch_block(session);
    nd_session_kick(session);
}
