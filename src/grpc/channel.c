/*
 * A channel: an address and, when a call needs it, a connection to it.
 *
 * There is no fiber behind a channel. The first call that finds no connection makes it, with its own
 * deadline and cancellation; calls that come meanwhile wait for the outcome. When that fiber gives up
 * because its own context ended, nothing has failed: the next one takes over.
 *
 *     IDLE --call--> CONNECTING --SETTINGS--> READY --GOAWAY or loss--> IDLE
 *                        |
 *                        '--failure--> FAILED --backoff over, next call--> CONNECTING
 *
 * During the backoff, calls fail at once with the last attempt's error, unless they said that they
 * wait. A connection that received GOAWAY leaves `current` and lives on in the list until its last
 * stream has ended. Calls above the peer's stream limit wait here and not in nghttp2, which would not
 * report them when the connection ends.
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "net/tls.h"

#include "channel_priv.h"

static const char default_user_agent[] = "grpc-c-nd/0.1.0";

static void
set_state(struct nd_channel *ch, enum nd_channel_state state)
{
    if (ch->state == state)
        return;
    ch->state = state;
    if (ch->options.on_state != NULL)
        ch->options.on_state(ch->options.on_state_arg, state);
}

static void
on_retry(void *arg)
{
    struct nd_channel *ch = arg;

    nd_cond_broadcast(&ch->changed);
}

static char *
make_authority(const struct nd_addr *addr, const char *wanted)
{
    if (wanted != NULL)
        return nd_strdup(wanted);
    if (addr->kind != ND_PEER_TCP)
        return nd_strdup("localhost");
    return nd_asprintf(strchr(addr->host, ':') != NULL ? "[%s]:%u" : "%s:%u", addr->host,
                       addr->port);
}

static void
format_target(const struct nd_addr *addr, char *dst, size_t size)
{
    if (addr->kind == ND_PEER_TCP)
        snprintf(dst, size, "tcp://%s:%u", addr->host, addr->port);
    else
        snprintf(dst, size, "unix:%s", addr->path);
}

struct nd_channel *
nd_channel_new(const struct nd_addr *addr, const struct nd_channel_options *options)
{
    struct nd_channel *ch = nd_new(struct nd_channel);
    struct nd_channel_options *o = &ch->options;

    if (options != NULL)
        *o = *options;
    ch->refs = 1;
    ch->addr = *addr;
    format_target(addr, ch->target, sizeof(ch->target));
    ch->authority = make_authority(addr, o->authority);
    ch->user_agent = nd_strdup(o->user_agent != NULL ? o->user_agent : default_user_agent);
    if (o->tls != NULL)
        nd_tls_config_ref(o->tls);
    if (o->max_message_bytes == 0)
        o->max_message_bytes = ND_GRPC_MAX_MESSAGE_BYTES;
    if (o->backoff_initial_ns == 0)
        o->backoff_initial_ns = ND_GRPC_BACKOFF_INITIAL_NS;
    if (o->backoff_max_ns == 0)
        o->backoff_max_ns = ND_GRPC_BACKOFF_MAX_NS;
    if (o->connect_timeout_ns == 0)
        o->connect_timeout_ns = ND_GRPC_CONNECT_TIMEOUT_NS;
    ch->retry_timer = (struct nd_timer){.fn = on_retry, .arg = ch};
    LIST_INIT(&ch->links);
    TAILQ_INIT(&ch->free_calls);
    return ch;
}

void
nd_channel_ref(struct nd_channel *ch)
{
    ch->refs++;
}

void
nd_channel_unref(struct nd_channel *ch)
{
    if (--ch->refs != 0)
        return;
    nd_channel_free_calls(ch);
    nd_tls_config_unref(ch->options.tls);
    nd_error_free(ch->last_error);
    nd_free(ch->authority);
    nd_free(ch->user_agent);
    nd_free(ch);
}

/* --- connections --- */

static void
leave_current(struct nd_link *l)
{
    struct nd_channel *ch = l->channel;

    if (ch->current != l)
        return;
    ch->current = NULL;
    if (ch->state == ND_CHANNEL_READY)
        set_state(ch, ND_CHANNEL_IDLE);
    nd_cond_broadcast(&ch->changed);
}

static void
free_link(struct nd_link *l)
{
    leave_current(l);
    LIST_REMOVE(l, link);
    nd_session_free(l->session);
    nd_free(l);
}

static void
on_ready(void *arg)
{
    struct nd_link *l = arg;

    l->ready = true;
    nd_cond_broadcast(&l->channel->changed);
}

static void
on_room(void *arg)
{
    struct nd_link *l = arg;

    nd_cond_broadcast(&l->channel->changed);
}

static void
on_goaway(void *arg, uint32_t code, struct nd_str text)
{
    struct nd_link *l = arg;

    if (code != ND_H2_NO_ERROR)
        nd_warn("the server closes the connection",
                ND_KV("target", (const char *)l->channel->target),
                ND_KV("code", nd_h2_code_name(code)), ND_KV("text", text));
    leave_current(l);
}

static void
on_gone(void *arg, const struct nd_error *err)
{
    struct nd_link *l = arg;
    struct nd_channel *ch = l->channel;

    if (!l->ready) {
        nd_error_free(ch->last_error);
        ch->last_error = nd_error_copy(err);
    }
    free_link(l);
}

static struct nd_link *
make_link(struct nd_channel *ch, struct nd_stream *stream)
{
    const struct nd_session_options options = {
        .role = ND_SESSION_CLIENT,
        .max_header_list = ND_GRPC_CLIENT_MAX_HEADER_LIST,
        .stream_window = ND_GRPC_CLIENT_STREAM_WINDOW,
        .handshake_timeout_ns = ch->options.connect_timeout_ns,
    };
    struct nd_link *l = nd_new(struct nd_link);
    const struct nd_session_handler handler = {
        .arg = l,
        .on_ready = on_ready,
        .on_room = on_room,
        .on_goaway = on_goaway,
        .on_gone = on_gone,
    };

    l->channel = ch;
    l->session = nd_session_new(stream, &options, &handler);
    LIST_INSERT_HEAD(&ch->links, l, link);
    return l;
}

static struct nd_error *
dial_stream(struct nd_channel *ch, struct nd_stream **ret)
{
    if (ch->options.dial != NULL)
        return ch->options.dial(ch->options.dial_arg, ret);
    return nd_dial(&ch->addr, ret);
}

static struct nd_error *
dial(struct nd_channel *ch)
{
    struct nd_stream *stream;
    struct nd_link *l;

    ND_TRY(dial_stream(ch, &stream));
    if (ch->state == ND_CHANNEL_CLOSED) {
        nd_stream_close(stream);
        return nd_error_new(ND_UNAVAILABLE, "the channel is closed");
    }
    if (ch->options.tls != NULL)
        stream = nd_tls_connect(stream, ch->options.tls, nd_str(ch->authority));
    l = make_link(ch, stream);
    ch->current = l;
    while (ch->current == l && !l->ready) {
        struct nd_error *err = nd_cond_wait(&ch->changed);

        if (err != NULL && ch->current == l)
            free_link(l);
        ND_TRY(err);
    }
    if (ch->state == ND_CHANNEL_CLOSED)
        return nd_error_new(ND_UNAVAILABLE, "the channel is closed");
    if (ch->current != l)
        return ch->last_error != NULL
                   ? nd_error_copy(ch->last_error)
                   : nd_error_new(ND_UNAVAILABLE, "the server closed the connection at once");
    return NULL;
}

/* Within the time for one attempt; whose time it was that ended is for the caller to find out. */
static struct nd_error *
dial_in_time(struct nd_channel *ch)
{
    ND_DEADLINE_IN(ch->options.connect_timeout_ns);

    return dial(ch);
}

static void
begin_backoff(struct nd_channel *ch)
{
    const struct nd_channel_options *o = &ch->options;
    int64_t spread_ns;

    ch->backoff_ns = ch->backoff_ns == 0
                         ? o->backoff_initial_ns
                         : ND_MIN(ch->backoff_ns + ch->backoff_ns * 3 / 5, o->backoff_max_ns);
    spread_ns = ch->backoff_ns / 5;
    ch->retry_at_ns = nd_loop_now().ns + ch->backoff_ns - spread_ns +
                      (int64_t)(nd_random_u64() % (uint64_t)(2 * spread_ns + 1));
    nd_timer_arm(&ch->retry_timer, (struct nd_mono){ch->retry_at_ns});
}

/* Takes `err` and returns what the call is told. */
static struct nd_error *
attempt_failed(struct nd_channel *ch, struct nd_error *err)
{
    struct nd_error *ctx_err = nd_ctx_check();

    if (ctx_err != NULL) {
        nd_error_free(err);
        set_state(ch, ND_CHANNEL_IDLE);
        return ctx_err;
    }
    if (nd_error_code(err) != ND_DENIED)
        err = nd_error_recode(err, ND_UNAVAILABLE);
    err = nd_error_wrap(err, "connect to %s", ch->target);
    nd_error_free(ch->last_error);
    ch->last_error = nd_error_copy(err);
    begin_backoff(ch);
    set_state(ch, ND_CHANNEL_FAILED);
    return err;
}

static struct nd_error *
connect_now(struct nd_channel *ch)
{
    struct nd_error *err;

    ch->dialling = true;
    nd_timer_disarm(&ch->retry_timer);
    nd_error_free(ND_TAKE(ch->last_error));
    nd_channel_ref(ch);
    set_state(ch, ND_CHANNEL_CONNECTING);
    err = dial_in_time(ch);
    ch->dialling = false;
    if (ch->state == ND_CHANNEL_CLOSED) {
        nd_error_free(err);
        err = nd_error_new(ND_UNAVAILABLE, "%s: the channel is closed", ch->target);
    } else if (err != NULL) {
        err = attempt_failed(ch, err);
    } else {
        ch->backoff_ns = 0;
        set_state(ch, ND_CHANNEL_READY);
    }
    nd_cond_broadcast(&ch->changed);
    nd_channel_unref(ch);
    return err;
}

static bool
is_backing_off(const struct nd_channel *ch)
{
    return ch->state == ND_CHANNEL_FAILED && nd_loop_now().ns < ch->retry_at_ns;
}

/* One step towards a usable connection; *ret_wait: somebody else makes it. */
static struct nd_error *
step(struct nd_channel *ch, bool wait_for_ready, bool *ret_wait)
{
    struct nd_error *err;

    *ret_wait = true;
    if (ch->state == ND_CHANNEL_CLOSED)
        return nd_error_new(ND_UNAVAILABLE, "%s: the channel is closed", ch->target);
    if (ch->dialling || ch->current != NULL)
        return NULL;
    if (is_backing_off(ch))
        return wait_for_ready ? NULL : nd_error_copy(ch->last_error);
    *ret_wait = false;
    err = connect_now(ch);
    if (err != NULL && wait_for_ready && ch->state == ND_CHANNEL_FAILED) {
        nd_error_free(err);
        err = nd_ctx_check();
    }
    return err;
}

struct nd_error *
nd_channel_get_session(struct nd_channel *ch, bool wait_for_ready, struct nd_session **ret)
{
    ND_TRY(nd_ctx_check());
    while (ch->current == NULL || ch->dialling || !nd_session_can_open(ch->current->session)) {
        bool wait;

        ND_TRY(step(ch, wait_for_ready, &wait));
        if (wait)
            ND_TRY_DOING(nd_cond_wait(&ch->changed), "waiting for a connection to %s", ch->target);
    }
    *ret = ch->current->session;
    return NULL;
}

/* --- what users call --- */

struct nd_error *
nd_channel_connect(struct nd_channel *ch)
{
    struct nd_session *session;
    struct nd_error *err;

    ch->retry_at_ns = 0;
    nd_channel_ref(ch);
    err = nd_channel_get_session(ch, false, &session);
    nd_channel_unref(ch);
    return err;
}

enum nd_channel_state
nd_channel_get_state(const struct nd_channel *ch)
{
    return ch->state;
}

void
nd_channel_free(struct nd_channel *ch)
{
    struct nd_link *l;

    if (ch == NULL)
        return;
    set_state(ch, ND_CHANNEL_CLOSED);
    ch->options.on_state = NULL;
    nd_timer_disarm(&ch->retry_timer);
    while ((l = LIST_FIRST(&ch->links)) != NULL)
        free_link(l);
    nd_cond_broadcast(&ch->changed);
    nd_channel_unref(ch);
}

void
nd_channel_freep(struct nd_channel **ch)
{
    nd_channel_free(ND_TAKE(*ch));
}
