/*
 * Keepalive: finding out that a peer is gone although nobody said so.
 *
 *     silence of keepalive_ns --> PING --> anything at all: start again
 *                                  |
 *                                  '--> nothing within keepalive_timeout_ns: the connection is lost
 *
 * A read only notes the time; the timer looks at it when it fires and goes on for the rest. So a
 * busy connection costs one look per period, and an idle one wakes up for its PING and for the
 * answer and for nothing else, since the answer moves the timer. Due times are rounded up to whole
 * seconds, so that thousands of idle connections share their wake-ups.
 *
 * A client without streams has nothing to keep alive, and servers count PINGs at such times as
 * abuse: it goes dormant. The next stream wakes it, and if the silence has been long enough by
 * then, the PING follows that stream's first frame.
 *
 * The timer is the session's only one and belongs to the drain for some seconds (session.c).
 */

#include "session_priv.h"

static void
arm_at(struct nd_session *session, int64_t at_ns)
{
    int64_t late_ns = at_ns % ND_NET_COARSE_NS;

    if (late_ns != 0)
        at_ns += ND_NET_COARSE_NS - late_ns;
    nd_timer_arm(&session->timer, (struct nd_mono){at_ns});
}

/* While a server waits for the answer to its drain's PING, the timer is that one's. */
static bool
is_watching(const struct nd_session *session)
{
    return session->keepalive_ns != 0 && session->ready && session->state == ND_SESSION_OPEN &&
           (!session->draining || session->drained);
}

void
nd_session_watch_alive(struct nd_session *session)
{
    if (!is_watching(session))
        return;
    session->asked = false;
    session->dormant = false;
    arm_at(session, session->heard_ns + session->keepalive_ns);
}

void
nd_session_heard(struct nd_session *session)
{
    if (session->keepalive_ns == 0)
        return;
    session->heard_ns = nd_loop_now().ns;
    if (session->asked)
        nd_session_watch_alive(session);
}

void
nd_session_wake_alive(struct nd_session *session)
{
    if (session->dormant)
        nd_session_watch_alive(session);
}

static void
ask(struct nd_session *session)
{
    static const uint8_t keepalive_ping[8] = "nd alive";

    session->asked = true;
    nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, keepalive_ping);
    arm_at(session, nd_loop_now().ns + session->keepalive_timeout_ns);
    nd_session_kick(session);
}

static void
give_up(struct nd_session *session)
{
    if (session->end_err == NULL)
        session->end_err =
            nd_error_new(ND_UNAVAILABLE, "keepalive: the peer has not answered a PING for %lld s",
                         (long long)(session->keepalive_timeout_ns / ND_SECOND));
    session->ended = true;
    nd_session_kick(session);
}

static bool
may_ask(const struct nd_session *session)
{
    return session->role == ND_SESSION_SERVER || session->keepalive_without_calls ||
           session->n_streams != 0;
}

void
nd_session_check_alive(struct nd_session *session)
{
    if (session->asked)
        give_up(session);
    else if (nd_loop_now().ns < session->heard_ns + session->keepalive_ns)
        nd_session_watch_alive(session);
    else if (may_ask(session))
        ask(session);
    else
        session->dormant = true;
}
