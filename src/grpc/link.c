/*
 * One connection of a channel, from the moment it has a byte stream until its last call has ended.
 *
 * A connection that received GOAWAY is no longer the current one and lives on in the channel's list
 * until its streams are done. One that nobody has used for the channel's idle time gets a GOAWAY
 * from us and goes the same way; the next call makes another.
 *
 * Idleness is looked at when it may be over, and not at every call: a call only notes the time of
 * its end.
 *
 * A server that finds our PINGs too many says so and closes. The next connections ask half as
 * often.
 */

#include "base/alloc.h"
#include "base/log.h"
#include "net/limits.h"

#include "channel_priv.h"

static void
leave_current(struct nd_link *l)
{
    struct nd_channel *ch = l->channel;

    if (ch->current != l)
        return;
    ch->current = NULL;
    nd_timer_disarm(&ch->idle_timer);
    if (ch->state == ND_CHANNEL_READY)
        nd_channel_set_state(ch, ND_CHANNEL_IDLE);
    nd_channel_wake_all(ch);
}

void
nd_link_free(struct nd_link *l)
{
    leave_current(l);
    LIST_REMOVE(l, link);
    nd_session_free(l->session);
    nd_free(l);
}

/* --- what the session tells --- */

static void
on_ready(void *arg)
{
    struct nd_link *l = arg;

    l->ready = true;
    nd_channel_wake_all(l->channel);
}

static void
on_room(void *arg)
{
    struct nd_link *l = arg;
    struct nd_channel *ch = l->channel;

    if (ch->options.max_idle_ns != 0)
        ch->used_ns = nd_loop_now().ns;
    if (ch->current == l)
        nd_channel_wake_first(ch);
}

static void
ask_less_often(struct nd_channel *ch)
{
    int64_t time_ns = ND_MAX(ch->keepalive_time_ns, ND_NET_CLIENT_KEEPALIVE_LEAST_NS);

    if (ch->keepalive_time_ns > 0)
        ch->keepalive_time_ns = time_ns > INT64_MAX / 2 ? INT64_MAX : 2 * time_ns;
}

static void
on_goaway(void *arg, uint32_t code, struct nd_str text)
{
    struct nd_link *l = arg;

    if (code != ND_H2_NO_ERROR)
        nd_warn("the server closes the connection",
                ND_KV("target", (const char *)l->channel->target),
                ND_KV("code", nd_h2_code_name(code)), ND_KV("text", text));
    if (code == ND_H2_ENHANCE_YOUR_CALM && nd_str_eqz(text, "too_many_pings"))
        ask_less_often(l->channel);
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
    nd_link_free(l);
}

struct nd_link *
nd_link_new(struct nd_channel *ch, struct nd_stream *stream)
{
    const struct nd_session_options options = {
        .role = ND_SESSION_CLIENT,
        .max_header_list = ND_GRPC_CLIENT_MAX_HEADER_LIST,
        .stream_window = ND_GRPC_CLIENT_STREAM_WINDOW,
        .handshake_timeout_ns = ch->options.connect_timeout_ns,
        .keepalive_time_ns = ch->keepalive_time_ns,
        .keepalive_timeout_ns = ch->options.keepalive_timeout_ns,
        .keepalive_without_calls = ch->options.keepalive_without_calls,
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
    ch->current = l;
    return l;
}

/* --- idleness --- */

static void
on_idle_timer(void *arg)
{
    struct nd_channel *ch = arg;
    struct nd_link *l = ch->current;
    int64_t now_ns = nd_loop_now().ns;
    int64_t since_ns = nd_session_n_streams(l->session) != 0 ? now_ns : ch->used_ns;

    if (now_ns - since_ns < ch->options.max_idle_ns) {
        nd_timer_arm(&ch->idle_timer, (struct nd_mono){since_ns + ch->options.max_idle_ns});
        return;
    }
    nd_session_drain(l->session, "idle");
    leave_current(l);
}

void
nd_link_watch(struct nd_channel *ch)
{
    if (ch->options.max_idle_ns == 0)
        return;
    ch->used_ns = nd_loop_now().ns;
    ch->idle_timer = (struct nd_timer){.fn = on_idle_timer, .arg = ch};
    nd_timer_arm(&ch->idle_timer, (struct nd_mono){ch->used_ns + ch->options.max_idle_ns});
}
