/*
 * A channel: an address and, when a call needs it, a connection to it.
 *
 * There is no fiber behind a channel. The first call that finds no connection makes it, with its
 * own deadline and cancellation; calls that come meanwhile wait for the outcome. When that fiber
 * gives up because its own context ended, nothing has failed: the next one takes over.
 *
 *     IDLE --call--> CONNECTING --SETTINGS--> READY --GOAWAY or loss--> IDLE
 *                        |
 *                        '--failure--> FAILED --backoff over, next call--> CONNECTING
 *
 * During the backoff, calls fail at once with the last attempt's error, unless they said that they
 * wait. The backoff begins anew only after a connection that reached the server's SETTINGS: one
 * that is accepted and closed again is a failure like others.
 *
 * Calls above the peer's stream limit wait here, in the order in which they came, and not in
 * nghttp2, which would not report them when the connection ends.
 *
 * Every UNAVAILABLE reads "target: phase: cause".
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "net/tls.h"

#include "channel_priv.h"

static const char default_user_agent[] = "grpc-c-nd/0.1.0";

void
nd_channel_set_state(struct nd_channel *ch, enum nd_channel_state state)
{
    if (ch->state == state)
        return;
    ch->state = state;
    if (ch->options.on_state != NULL)
        ch->options.on_state(ch->options.on_state_arg, state);
}

void
nd_channel_wake_first(struct nd_channel *ch)
{
    struct nd_applicant *first = TAILQ_FIRST(&ch->applicants);

    if (first != NULL)
        nd_cond_signal(&first->cond);
}

void
nd_channel_wake_all(struct nd_channel *ch)
{
    struct nd_applicant *a;

    nd_cond_broadcast(&ch->changed);
    TAILQ_FOREACH (a, &ch->applicants, link)
        nd_cond_signal(&a->cond);
}

static void
on_retry(void *arg)
{
    nd_channel_wake_all(arg);
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
        snprintf(dst, size, strchr(addr->host, ':') != NULL ? "[%s]:%u" : "%s:%u", addr->host,
                 addr->port);
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
    o->max_idle_ns = ND_MIN(o->max_idle_ns, ND_FOR_EVER_NS);
    ch->keepalive_time_ns = o->keepalive_time_ns;
    ch->retry_tokens = 1000 * o->retry_max_tokens;
    ch->retry_timer = (struct nd_timer){.fn = on_retry, .arg = ch};
    LIST_INIT(&ch->links);
    TAILQ_INIT(&ch->applicants);
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

/* --- connecting --- */

static struct nd_error *
dial_stream(struct nd_channel *ch, struct nd_stream **ret)
{
    if (ch->options.dial == NULL)
        return nd_dial(&ch->addr, ret); /* names the address and the phase itself */
    ND_TRY_DOING(ch->options.dial(ch->options.dial_arg, ret), "%s: connect", ch->target);
    return NULL;
}

static struct nd_error *
closed_error(const struct nd_channel *ch)
{
    return nd_error_new(ND_UNAVAILABLE, "%s: the channel is closed", ch->target);
}

/* Until the server's SETTINGS are here. */
static struct nd_error *
shake_hands(struct nd_channel *ch, struct nd_link *l)
{
    while (ch->current == l && !l->ready) {
        struct nd_error *err = nd_cond_wait(&ch->changed);

        if (err != NULL && ch->current == l)
            nd_link_free(l);
        ND_TRY(err);
    }
    if (ch->current == l || ch->state == ND_CHANNEL_CLOSED)
        return NULL;
    return ch->last_error != NULL
               ? nd_error_copy(ch->last_error)
               : nd_error_new(ND_UNAVAILABLE, "the server closed the connection at once");
}

static struct nd_error *
dial(struct nd_channel *ch)
{
    struct nd_stream *stream;

    ND_TRY(dial_stream(ch, &stream));
    if (ch->state == ND_CHANNEL_CLOSED) {
        nd_stream_close(stream);
        return NULL;
    }
    if (ch->options.tls != NULL)
        stream = nd_tls_connect(stream, ch->options.tls, nd_str(ch->authority));
    ND_TRY_DOING(shake_hands(ch, nd_link_new(ch, stream)), "%s: handshake", ch->target);
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
        nd_channel_set_state(ch, ND_CHANNEL_IDLE);
        return ctx_err;
    }
    if (nd_error_code(err) == ND_DEADLINE) {
        nd_error_free(err);
        err = nd_error_new(ND_UNAVAILABLE, "%s: connect: no answer within %lld ms", ch->target,
                           (long long)(ch->options.connect_timeout_ns / ND_MILLISECOND));
    }
    if (nd_error_code(err) != ND_DENIED)
        err = nd_error_recode(err, ND_UNAVAILABLE);
    nd_error_free(ch->last_error);
    ch->last_error = nd_error_copy(err);
    begin_backoff(ch);
    nd_channel_set_state(ch, ND_CHANNEL_FAILED);
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
    nd_channel_set_state(ch, ND_CHANNEL_CONNECTING);
    err = dial_in_time(ch);
    ch->dialling = false;
    if (ch->state == ND_CHANNEL_CLOSED) {
        nd_error_free(err);
        err = closed_error(ch);
    } else if (err != NULL) {
        err = attempt_failed(ch, err);
    } else {
        ch->backoff_ns = 0;
        nd_link_watch(ch);
        nd_channel_set_state(ch, ND_CHANNEL_READY);
    }
    nd_channel_wake_all(ch);
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
        return closed_error(ch);
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

static bool
is_connected(const struct nd_channel *ch)
{
    return ch->current != NULL && !ch->dialling;
}

static bool
has_room(const struct nd_channel *ch)
{
    return is_connected(ch) && nd_session_can_open(ch->current->session);
}

/* Takes `err`: the caller's context has ended while it waited. */
static struct nd_error *
waiting_error(const struct nd_channel *ch, struct nd_error *err)
{
    if (is_connected(ch))
        return nd_error_wrap(err, "%s: waiting for the end of another call", ch->target);
    if (ch->last_error == NULL)
        return nd_error_wrap(err, "%s: waiting for a connection", ch->target);
    return nd_error_wrap(err, "waiting for a connection (%s)", nd_error_message(ch->last_error));
}

/* Wait until it is this one's turn and there is room. */
static struct nd_error *
wait_in_line(struct nd_channel *ch, struct nd_applicant *self, bool wait_for_ready)
{
    while (TAILQ_FIRST(&ch->applicants) != self || !has_room(ch)) {
        struct nd_error *err;
        bool wait;

        ND_TRY(step(ch, wait_for_ready, &wait));
        if (!wait)
            continue;
        err = nd_cond_wait(&self->cond);
        if (err != NULL)
            return waiting_error(ch, err);
    }
    return NULL;
}

struct nd_error *
nd_channel_get_session(struct nd_channel *ch, bool wait_for_ready, struct nd_session **ret)
{
    struct nd_applicant self = {0};
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    if (!TAILQ_EMPTY(&ch->applicants) || !has_room(ch)) {
        TAILQ_INSERT_TAIL(&ch->applicants, &self, link);
        err = wait_in_line(ch, &self, wait_for_ready);
        TAILQ_REMOVE(&ch->applicants, &self, link);
        nd_channel_wake_first(ch); /* looks whether there is room for one more */
        ND_TRY(err);
    }
    *ret = ch->current->session;
    return NULL;
}

/* --- what users call --- */

static struct nd_error *
connect_or_wait(struct nd_channel *ch)
{
    while (!is_connected(ch)) {
        bool wait;

        ND_TRY(step(ch, false, &wait));
        if (wait)
            ND_TRY_DOING(nd_cond_wait(&ch->changed), "%s: waiting for a connection", ch->target);
    }
    return NULL;
}

struct nd_error *
nd_channel_connect(struct nd_channel *ch)
{
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    ch->retry_at_ns = 0;
    nd_channel_ref(ch);
    err = connect_or_wait(ch);
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
    nd_channel_set_state(ch, ND_CHANNEL_CLOSED);
    ch->options.on_state = NULL;
    nd_timer_disarm(&ch->retry_timer);
    while ((l = LIST_FIRST(&ch->links)) != NULL)
        nd_link_free(l);
    nd_channel_wake_all(ch);
    nd_channel_unref(ch);
}

void
nd_channel_freep(struct nd_channel **ch)
{
    nd_channel_free(ND_TAKE(*ch));
}
