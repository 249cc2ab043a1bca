/*
 * Connections that have been idle or have lived for too long are told to go (contracts/grpc-wire.md
 * 3.2): gracefully, with the reason, and after the grace of an old one without ceremony.
 *
 * One timer serves all connections of a server. It is set to the earliest of their due times,
 * rounded up to whole seconds, and then looks at every one of them: a walk over ten thousand costs
 * less than their ten thousand timers would. When nothing is limited it is never set.
 */

#include "base/log.h"
#include "base/random.h"
#include "net/limits.h"

#include "server_priv.h"

#define NEVER INT64_MAX

static int64_t
later(int64_t at_ns, int64_t by_ns)
{
    return by_ns >= NEVER - at_ns ? NEVER : at_ns + by_ns;
}

/* Set the timer, unless it goes off before that anyway. */
static void
expect(struct nd_server *s, int64_t at_ns)
{
    if (at_ns >= s->sweep_at_ns)
        return;
    s->sweep_at_ns = at_ns;
    if (at_ns % ND_NET_COARSE_NS != 0)
        at_ns = later(at_ns, ND_NET_COARSE_NS - at_ns % ND_NET_COARSE_NS);
    nd_timer_arm(&s->sweep, (struct nd_mono){at_ns});
}

static int64_t
idle_until(const struct nd_conn *conn)
{
    int64_t max_ns = conn->server->options.max_connection_idle_ns;

    return max_ns > 0 && conn->n_calls == 0 && !conn->leaving ? later(conn->idle_since_ns, max_ns)
                                                              : NEVER;
}

static void
send_away(struct nd_conn *conn, const char *reason)
{
    nd_debug("connection is sent away", ND_KV("peer", (const char *)conn->peer.name),
             ND_KV("reason", reason));
    conn->leaving = true;
    nd_session_drain(conn->session, reason);
}

static void
grow_old(struct nd_conn *conn, int64_t now_ns)
{
    int64_t grace_ns = conn->server->options.max_connection_age_grace_ns;

    conn->old_at_ns = NEVER;
    if (grace_ns > 0)
        conn->end_at_ns = later(now_ns, grace_ns);
    send_away(conn, "max_age");
}

/* Do what is due and return when to look again. */
static int64_t
look(struct nd_conn *conn, int64_t now_ns)
{
    int64_t next_ns;

    if (conn->end_at_ns <= now_ns) {
        conn->end_at_ns = NEVER;
        nd_session_terminate(conn->session, ND_H2_NO_ERROR, "max_age");
        return NEVER;
    }
    if (conn->old_at_ns <= now_ns)
        grow_old(conn, now_ns);
    else if (idle_until(conn) <= now_ns)
        send_away(conn, "max_idle");
    next_ns = ND_MIN(conn->old_at_ns, conn->end_at_ns);
    return ND_MIN(next_ns, idle_until(conn));
}

static void
sweep(void *arg)
{
    struct nd_server *s = arg;
    int64_t now_ns = nd_loop_now().ns;
    int64_t next_ns = NEVER;
    struct nd_conn *conn;

    s->sweep_at_ns = NEVER;
    LIST_FOREACH (conn, &s->conns, link)
        next_ns = ND_MIN(next_ns, look(conn, now_ns));
    expect(s, next_ns);
}

void
nd_server_init_sweep(struct nd_server *s)
{
    s->sweep = (struct nd_timer){.fn = sweep, .arg = s};
    s->sweep_at_ns = NEVER;
}

/* Ten percent more or less, so that those who came together do not go together. */
static int64_t
with_jitter(int64_t ns)
{
    int64_t tenth_ns = ns / 10;

    return later(ns - tenth_ns, (int64_t)(nd_random_u64() % (uint64_t)(2 * tenth_ns + 1)));
}

void
nd_conn_watch(struct nd_conn *conn)
{
    const struct nd_server_options *o = &conn->server->options;

    conn->end_at_ns = NEVER;
    conn->old_at_ns = NEVER;
    if (o->max_connection_age_ns > 0)
        conn->old_at_ns = later(nd_loop_now().ns, with_jitter(o->max_connection_age_ns));
    expect(conn->server, conn->old_at_ns);
    nd_conn_idle(conn);
}

void
nd_conn_idle(struct nd_conn *conn)
{
    if (conn->server->options.max_connection_idle_ns <= 0 || conn->session == NULL)
        return;
    conn->idle_since_ns = nd_loop_now().ns;
    expect(conn->server, idle_until(conn));
}
