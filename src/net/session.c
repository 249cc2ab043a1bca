/*
 * The life of an HTTP/2 connection: set-up, graceful end, death.
 *
 *     OPEN --> (nothing left to read or write) ------------.
 *       |                                                   v
 *       '----> TERMINATING (last GOAWAY leaves) -----> LINGERING --> gone
 *
 * Whatever happens, happens in two steps. Callbacks of nghttp2 and of the byte stream only record;
 * decisions are made in settle(), which runs as deferred work at the end of a turn, when neither
 * mem_recv nor mem_send is on the stack. It is the only place from which a session reports its end,
 * so that its owner may free it right there.
 *
 * A server drains in two steps (contracts/grpc-wire.md 3.2): a notice with the highest stream id
 * and a PING; on the answer, or after some seconds, the GOAWAY with the real last id. nghttp2 then
 * says itself, through its two "wants", when the last stream is over.
 *
 * LINGERING exists because closing a socket with unread input resets the connection, which can
 * destroy trailers that the peer has not read yet. It has a limit in time and one in bytes.
 *
 * One timer serves the handshake, then keepalive (session_alive.c) and the drain's PING, then the
 * last GOAWAY (a peer that does not read must not hold us) and the lingering: they follow one
 * another.
 */

#include "net/session.h"

#include "base/alloc.h"
#include "base/log.h"

#include "session_priv.h"

static const uint8_t drain_ping[8] = {1, 6, 1, 8, 0, 3, 3, 9};

void
nd_session_kick(struct nd_session *session)
{
    nd_deferred_add(&session->flush);
}

struct nd_h2_stream *
nd_session_find_stream(struct nd_session *session, int32_t id)
{
    if (session->found == NULL || session->found->id != id)
        session->found = nghttp2_session_get_stream_user_data(session->h2, id);
    return session->found;
}

void
nd_session_detach(struct nd_session *session, struct nd_h2_stream *s)
{
    if (session->found == s)
        session->found = NULL;
    nghttp2_session_set_stream_user_data(session->h2, s->id, NULL);
    TAILQ_REMOVE(&session->streams, s, link);
    session->n_streams--;
    s->session = NULL;
    if (session->role == ND_SESSION_CLIENT && session->handler.on_room != NULL)
        session->handler.on_room(session->handler.arg);
}

void
nd_session_close_stream(struct nd_session *session, struct nd_h2_stream *s,
                        const struct nd_h2_close *why)
{
    nd_session_detach(session, s);
    s->ops->on_close(s, why);
}

/* The connection is no more: tell every stream, in order. */
static void
lose_streams(struct nd_session *session, const struct nd_error *err)
{
    struct nd_h2_close why = {.code = ND_H2_CANCEL, .lost = err};
    struct nd_h2_stream *s;

    while ((s = TAILQ_FIRST(&session->streams)) != NULL) {
        why.unsent = session->role == ND_SESSION_CLIENT && !s->left;
        nd_session_close_stream(session, s, &why);
    }
}

static void
report_gone(struct nd_session *session)
{
    if (session->end_err == NULL)
        session->end_err =
            nd_error_new(ND_UNAVAILABLE, "%s",
                         session->ready ? "the peer closed the connection"
                                        : "the peer closed the connection before its SETTINGS");
    lose_streams(session, session->end_err);
    nd_timer_disarm(&session->timer);
    nd_timer_disarm(&session->block_timer);
    session->handler.on_gone(session->handler.arg, session->end_err);
}

static void
arm_timer(struct nd_session *session, int64_t in_ns)
{
    nd_timer_arm(&session->timer,
                 (struct nd_mono){nd_loop_now().ns + ND_MIN(in_ns, ND_FOR_EVER_NS)});
}

/* What is unsent of a connection that never became one (TLS has not begun) is not worth waiting. */
static void
begin_linger(struct nd_session *session)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *lost = nd_error_new(ND_UNAVAILABLE, "the connection is closing");
    bool wait = session->ready && nd_stream_unsent(session->stream) != 0;

    lose_streams(session, session->end_err != NULL ? session->end_err : lost);
    session->state = ND_SESSION_LINGERING;
    if (session->stream->failed)
        nd_stream_stop(session->stream); /* there is nobody any more to be spared a reset */
    nd_stream_finish(session->stream);
    arm_timer(session, wait ? ND_NET_HANDSHAKE_NS : ND_NET_LINGER_NS);
}

static bool
is_finished(const struct nd_session *session)
{
    if (session->state == ND_SESSION_TERMINATING)
        return session->last_words || nghttp2_session_want_write(session->h2) == 0;
    return nghttp2_session_want_read(session->h2) == 0 &&
           nghttp2_session_want_write(session->h2) == 0;
}

/*
 * A peer that asks and does not read the answers: streams that it has ended, and those that were
 * refused, count nowhere else, and nghttp2 keeps a frame for each.
 */
static void
check_backlog(struct nd_session *session)
{
    size_t streams = ND_MAX(session->max_streams, ND_NET_MAX_STREAMS);

    if (session->role == ND_SESSION_SERVER &&
        (nghttp2_session_get_outbound_queue_size(session->h2) > streams * ND_NET_UNSENT_FRAMES ||
         session->unsent_headers > streams * ND_NET_UNSENT_HEADERS))
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "too many answers are not read");
}

/* The end of a turn. May report the end of the session: then nothing may touch it afterwards. */
static void
on_flush(void *arg)
{
    struct nd_session *session = arg;

    if (session->state != ND_SESSION_LINGERING && !session->ended) {
        nd_session_write(session);
        check_backlog(session);
        if (!session->ended && is_finished(session))
            begin_linger(session);
    }
    if (session->ended)
        report_gone(session);
}

/*
 * Who goes on for ever is not read for ever: there may be many, and each would have a part of every
 * turn.
 */
static void
drop(struct nd_session *session, size_t n)
{
    session->dropped += n;
    if (session->dropped >= ND_NET_LINGER_BYTES)
        nd_stream_stop(session->stream);
}

static void
on_bytes(void *arg, struct nd_str bytes)
{
    struct nd_session *session = arg;

    if (session->state != ND_SESSION_OPEN || nghttp2_session_want_read(session->h2) == 0) {
        drop(session, bytes.len);
        return;
    }
    nd_session_heard(session);
    nd_session_feed(session, bytes);
}

static void
on_end(void *arg, struct nd_error *err)
{
    struct nd_session *session = arg;

    session->ended = true;
    if (session->end_err == NULL)
        session->end_err = ND_TAKE(err);
    nd_error_free(err);
    nd_session_kick(session);
}

static void
on_drain(void *arg)
{
    struct nd_session *session = arg;

    if (session->state == ND_SESSION_LINGERING && !session->ended)
        arm_timer(session, ND_NET_LINGER_NS);
    nd_session_kick(session);
}

static void
on_block_timer(void *arg)
{
    nd_session_terminate(arg, ND_H2_ENHANCE_YOUR_CALM, "the rest of the headers does not come");
}

static void
on_timer(void *arg)
{
    struct nd_session *session = arg;

    if (session->state == ND_SESSION_OPEN && session->ready) {
        if (session->draining && !session->drained)
            nd_session_drain_finally(session);
        else
            nd_session_check_alive(session);
        return;
    }
    if (session->state == ND_SESSION_OPEN && session->end_err == NULL)
        session->end_err = nd_error_new(ND_UNAVAILABLE, "no SETTINGS from the peer in time");
    session->ended = true;
    nd_session_kick(session);
}

/* --- set-up --- */

static void
submit_settings(struct nd_session *session, const struct nd_session_options *o)
{
    bool server = session->role == ND_SESSION_SERVER;
    uint32_t stream_window = o->stream_window != 0 ? o->stream_window : ND_NET_STREAM_WINDOW;
    uint32_t window = o->connection_window != 0 ? o->connection_window : ND_NET_CONNECTION_WINDOW;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, session->max_header_list},
        {server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         server ? session->max_streams : 0},
    };

    nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, entries, ND_LEN(entries));
    nghttp2_session_set_local_window_size(session->h2, NGHTTP2_FLAG_NONE, 0, (int32_t)window);
}

static void
make_h2(struct nd_session *session)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_mem mem = nd_session_mem(&session->pages);
    nghttp2_option *option;
    int rv = nghttp2_session_callbacks_new(&callbacks);

    ND_INVARIANT(rv == 0);
    rv = nghttp2_option_new(&option);
    ND_INVARIANT(rv == 0);
    nd_session_set_receiving(callbacks);
    nd_session_set_sending(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
    nghttp2_option_set_peer_max_concurrent_streams(option, ND_NET_PEER_MAX_STREAMS);
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
    nghttp2_option_set_no_http_messaging(option, session->own_checks);
#ifdef ND_HAVE_RESET_RATE_LIMIT
    /* Its default closes honest connections with many cancelled calls; ours is in session_in.c. */
    nghttp2_option_set_stream_reset_rate_limit(option, 1000000, 100000);
#endif
    rv = session->role == ND_SESSION_SERVER
             ? nghttp2_session_server_new3(&session->h2, callbacks, session, option, &mem)
             : nghttp2_session_client_new3(&session->h2, callbacks, session, option, &mem);
    ND_INVARIANT(rv == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

static void
set_keepalive(struct nd_session *session, const struct nd_session_options *o)
{
    int64_t least_ns = session->role == ND_SESSION_CLIENT ? ND_NET_CLIENT_KEEPALIVE_LEAST_NS
                                                          : ND_NET_KEEPALIVE_LEAST_NS;
    int64_t timeout_ns =
        o->keepalive_timeout_ns != 0 ? o->keepalive_timeout_ns : ND_NET_KEEPALIVE_TIMEOUT_NS;

    if (o->keepalive_time_ns <= 0)
        return;
    session->keepalive_ns = ND_MIN(ND_MAX(o->keepalive_time_ns, least_ns), ND_FOR_EVER_NS);
    session->keepalive_timeout_ns =
        ND_MIN(ND_MAX(timeout_ns, ND_NET_KEEPALIVE_LEAST_NS), ND_FOR_EVER_NS);
    session->keepalive_without_calls = o->keepalive_without_calls;
    nd_stream_limit_unacked(session->stream, session->keepalive_timeout_ns);
}

struct nd_session *
nd_session_new(struct nd_stream *stream, const struct nd_session_options *o,
               const struct nd_session_handler *handler)
{
    static const struct nd_stream_reader reader = {.on_bytes = on_bytes, .on_end = on_end};
    struct nd_stream_reader mine = reader;
    struct nd_session *session = nd_new(struct nd_session);

    session->stream = stream;
    session->handler = *handler;
    session->role = o->role;
    session->own_checks = o->role == ND_SESSION_SERVER && o->any_authority;
    session->max_streams = o->max_streams != 0 ? o->max_streams : ND_NET_MAX_STREAMS;
    session->max_header_list =
        o->max_header_list != 0 ? o->max_header_list : ND_NET_MAX_HEADER_LIST;
    session->ping_interval_ns =
        o->ping_interval_ns != 0 ? o->ping_interval_ns : ND_NET_PING_INTERVAL_NS;
    session->pages.pool = o->pool;
    set_keepalive(session, o);
    session->flush = (struct nd_deferred){.fn = on_flush, .arg = session};
    session->timer = (struct nd_timer){.fn = on_timer, .arg = session};
    session->block_timer = (struct nd_timer){.fn = on_block_timer, .arg = session};
    session->handshake_timeout_ns =
        o->handshake_timeout_ns != 0 ? o->handshake_timeout_ns : ND_NET_HANDSHAKE_NS;
    TAILQ_INIT(&session->streams);
    nd_session_init_scan(session);
    make_h2(session);
    submit_settings(session, o);
    mine.arg = session;
    nd_stream_pace(stream);
    nd_stream_attach(stream, &mine, on_drain, session);
    nd_stream_start(stream);
    arm_timer(session, session->handshake_timeout_ns);
    nd_session_kick(session);
    return session;
}

void
nd_session_free(struct nd_session *session)
{
    ND_AUTO(nd_error_freep) struct nd_error *lost = NULL;

    if (session == NULL)
        return;
    ND_INVARIANT(!session->reading && !session->writing);
    lost = nd_error_new(ND_UNAVAILABLE, "the connection was closed");
    lose_streams(session, lost);
    nd_timer_disarm(&session->timer);
    nd_timer_disarm(&session->block_timer);
    nd_deferred_remove(&session->flush);
    nghttp2_session_del(session->h2);
    nd_stream_close(session->stream);
    nd_error_free(session->end_err);
    nd_free(session);
}

/* --- ending --- */

void
nd_session_terminate(struct nd_session *session, enum nd_h2_code code, const char *reason)
{
    if (session->state != ND_SESSION_OPEN)
        return;
    session->state = ND_SESSION_TERMINATING;
    if (session->end_err == NULL)
        session->end_err = nd_error_new(ND_UNAVAILABLE, "%s", reason);
    nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session->h2), code,
                          (const uint8_t *)reason, strlen(reason));
    arm_timer(session, ND_NET_LAST_WORDS_NS);
    nd_session_kick(session);
}

void
nd_session_drain_finally(struct nd_session *session)
{
    if (session->drained)
        return;
    session->drained = true;
    nd_timer_disarm(&session->timer);
    if (session->ready)
        nd_session_watch_alive(session);
    nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session->h2), NGHTTP2_NO_ERROR,
                          (const uint8_t *)session->drain_reason, strlen(session->drain_reason));
    nd_session_kick(session);
}

bool
nd_session_is_drain_ping(const uint8_t data[8])
{
    return memcmp(data, drain_ping, sizeof(drain_ping)) == 0;
}

void
nd_session_drain(struct nd_session *session, const char *reason)
{
    if (session->state != ND_SESSION_OPEN || session->draining)
        return;
    session->draining = true;
    session->drain_reason = reason;
    if (session->role == ND_SESSION_CLIENT || !session->ready) {
        nd_session_drain_finally(session);
        return;
    }
    nghttp2_submit_shutdown_notice(session->h2);
    nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, drain_ping);
    arm_timer(session, ND_NET_DRAIN_PING_NS);
    nd_session_kick(session);
}

/* --- questions --- */

const struct nd_peer *
nd_session_peer(const struct nd_session *session)
{
    return nd_stream_peer(session->stream);
}

const struct nd_stream *
nd_session_stream(const struct nd_session *session)
{
    return session->stream;
}

size_t
nd_session_n_streams(const struct nd_session *session)
{
    return session->n_streams;
}

struct nd_h2_stream *
nd_session_next_stream(const struct nd_session *session, const struct nd_h2_stream *s)
{
    return s != NULL ? TAILQ_NEXT(s, link) : TAILQ_FIRST(&session->streams);
}

uint32_t
nd_session_peer_max_headers(const struct nd_session *session)
{
    return nghttp2_session_get_remote_settings(session->h2, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
}

size_t
nd_header_list_size(const struct nd_header *headers, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += headers[i].name.len + headers[i].value.len + ND_NET_FIELD_OVERHEAD;
    return size;
}

const char *
nd_h2_code_name(uint32_t code)
{
    return code <= ND_H2_HTTP_1_1_REQUIRED ? nghttp2_http2_strerror(code) : "an unknown code";
}
