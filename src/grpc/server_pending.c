/*
 * What has come of requests and was not taken yet has a limit for each connection and one for all,
 * and when all together hold too much, those pay that hold the most.
 *
 * Everything that waits in a call counts, whether it is the part of a message whose rest is missing
 * or whole messages that a handler does not read. A connection cannot pass its own limit: the call
 * with which it would is given up. The sum is another matter. To refuse whoever comes when it is
 * reached would let a few connections, which begin requests and never end them, keep everybody else
 * out; and a fixed share that is small enough for ten thousand would be too small for one honest
 * client. So who comes is always taken, and the largest request of the connection that holds the
 * most is given up for it. That is the equal share of all who want more than it: a connection below
 * half of it is never touched, and none is that holds no more than a small request. No window has
 * to be closed for it, and nobody waits for somebody who never goes on.
 *
 *     ranks[n]: connections with 64 KiB * 2^(n-1) and more; the first of a rank has been in it the
 *     longest
 *
 * Ranks are powers of two, so that a connection rarely changes between them and the largest is
 * found without looking at thousands. Those with little are in none; an ordinary call costs two
 * additions.
 */

#include "server_priv.h"

static size_t
rank_of(size_t bytes)
{
    size_t units = bytes / ND_GRPC_SMALL_REQUEST_BYTES;
    size_t rank = 0;

    if (bytes <= ND_GRPC_SMALL_REQUEST_BYTES)
        return 0;
    for (; units != 0 && rank < ND_SERVER_RANKS - 1; units /= 2)
        rank++;
    return rank;
}

static void
set_rank(struct nd_conn *conn)
{
    size_t rank = rank_of(conn->pending_bytes);

    if (rank == conn->rank)
        return;
    if (conn->rank != 0)
        TAILQ_REMOVE(&conn->server->ranks[conn->rank], conn, rank_link);
    if (rank != 0)
        TAILQ_INSERT_TAIL(&conn->server->ranks[rank], conn, rank_link);
    conn->rank = rank;
}

static void
count(struct nd_call *call)
{
    size_t bytes = nd_frames_pending(&call->in);
    struct nd_conn *conn = call->conn;

    if (bytes == call->counted)
        return;
    conn->pending_bytes += bytes - call->counted;
    call->server->pending_bytes += bytes - call->counted;
    call->counted = bytes;
    if (conn->pending_bytes > ND_GRPC_SMALL_REQUEST_BYTES || conn->rank != 0)
        set_rank(conn);
}

/* What has come of it goes; what comes is not kept any more. Its reader hears why. */
static void
give_up(struct nd_call *call, enum nd_overrun why)
{
    call->overrun = why;
    call->owed = 0;
    nd_frames_drop(&call->in);
    count(call);
    nd_cond_broadcast(&call->readable);
}

/*
 * What is being inflated stays where it is, and soon it is not ours any more. Nor is what belongs
 * to a stream that has gone: its fiber is on its way out.
 */
static struct nd_call *
find_largest(const struct nd_conn *conn)
{
    struct nd_h2_stream *s = NULL;
    struct nd_call *largest = NULL;

    while (conn->session != NULL && (s = nd_session_next_stream(conn->session, s)) != NULL) {
        struct nd_call *call = (struct nd_call *)s;

        if (call->counted != 0 && !call->in.inflating &&
            (largest == NULL || call->counted > largest->counted))
            largest = call;
    }
    return largest;
}

static struct nd_call *
find_victim(const struct nd_server *s)
{
    for (size_t rank = ND_SERVER_RANKS - 1; rank > 0; rank--) {
        struct nd_conn *conn;

        TAILQ_FOREACH (conn, &s->ranks[rank], rank_link) {
            struct nd_call *call = find_largest(conn);

            if (call != NULL)
                return call;
        }
    }
    return NULL;
}

void
nd_server_call_count(struct nd_call *call)
{
    const struct nd_server_options *o = &call->server->options;
    struct nd_call *victim;

    count(call);
    if (call->conn->pending_bytes > o->max_pending_bytes && !call->in.inflating)
        give_up(call, ND_OVERRUN_CONN);
    while (call->server->pending_bytes > o->max_pending_bytes_all &&
           (victim = find_victim(call->server)) != NULL)
        give_up(victim, ND_OVERRUN_ALL);
}

struct nd_error *
nd_server_call_check_overrun(const struct nd_call *call)
{
    const struct nd_server_options *o = &call->server->options;

    switch (call->overrun) {
    case ND_OVERRUN_NONE:
        break;
    case ND_OVERRUN_CONN:
        return nd_error_new(
            ND_EXHAUSTED, "requests of this connection that were not read, of more than %zu bytes",
            o->max_pending_bytes);
    case ND_OVERRUN_ALL:
        return nd_error_new(ND_EXHAUSTED,
                            "requests that were not read, of more than %zu bytes in all, and this "
                            "connection holds the most",
                            o->max_pending_bytes_all);
    }
    return NULL;
}
