/*
 * Watching over the connection: one fiber that keeps it made and tells others when it changes.
 *
 *         .------------------ interval, or the connection was lost -----------------.
 *         v                                                                          |
 *     connect + health check --answered--> up ---------------------------------------'
 *         ^        |
 *         '-pause--'  down: 200 ms between attempts, for as long as it takes
 *
 * A connection can be lost and made again by calls before this fiber runs: then the listeners are
 * told both, since what they know from the old one (watches, caches) is void.
 *
 * A server that accepts connections and does not answer is down, too: calls to it run into their
 * deadlines, the listeners hear of it here.
 */

#include "base/log.h"
#include "grpc/health/v1/health.pb-c.h"

#include "ctrd_priv.h"
#include "grpc_health_methods.h"

void
nd_ctrd_listen(struct nd_ctrd *ctrd, struct nd_ctrd_listener listener)
{
    ND_INVARIANT(ctrd->n_listeners < ND_CTRD_MAX_LISTENERS);
    ctrd->listeners[ctrd->n_listeners++] = listener;
}

static void
tell(struct nd_ctrd *ctrd, bool up)
{
    ND_NO_SUSPEND();

    if (up)
        nd_info("containerd connected", ND_KV("address", (const char *)ctrd->address));
    else
        nd_warn("containerd lost", ND_KV("address", (const char *)ctrd->address));
    ctrd->told_up = up;
    for (size_t i = 0; i < ctrd->n_listeners; i++)
        ctrd->listeners[i].on_change(ctrd->listeners[i].arg, up);
}

static void
tell_changes(struct nd_ctrd *ctrd)
{
    bool up = nd_ctrd_is_up(ctrd);

    if (ctrd->told_up && (!up || ctrd->told_connection != ctrd->connections))
        tell(ctrd, false);
    if (!ctrd->told_up && up) {
        ctrd->told_connection = ctrd->connections;
        tell(ctrd, true);
    }
}

static struct nd_error *
ask_health(struct nd_ctrd *ctrd)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    GrpcHealth__HealthCheckRequest req = GRPC_HEALTH__HEALTH_CHECK_REQUEST__INIT;
    GrpcHealth__HealthCheckResponse *rsp;
    const struct nd_ctrd_scope scope = {NULL, NULL};

    ND_DEADLINE_IN(ND_CTRD_HEALTH_TIMEOUT_NS);
    ND_TRY(nd_ctrd_call(ctrd, scope, GRPC_HEALTH_CHECK, &req, arena, &rsp));
    if (rsp->status != GRPC_HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
        return nd_error_new(ND_UNAVAILABLE, "containerd says that it is not serving (%d)",
                            (int)rsp->status);
    return NULL;
}

static struct nd_error *
connect_and_ask(struct nd_ctrd *ctrd)
{
    ND_TRY(nd_channel_connect(ctrd->channel));
    return ask_health(ctrd);
}

/* Only the end of our own context is a failure. */
static struct nd_error *
check(struct nd_ctrd *ctrd)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    nd_doing("check containerd");
    err = connect_and_ask(ctrd);
    ND_TRY(nd_ctx_check());
    if (err != NULL && ctrd->connected && !ctrd->ill)
        nd_warn("containerd does not answer", ND_KV("error", err));
    ctrd->ill = ctrd->connected && err != NULL;
    return NULL;
}

static struct nd_error *
wait_for_change(struct nd_ctrd *ctrd, int64_t timeout_ns)
{
    ND_DEADLINE_IN(timeout_ns);

    return nd_cond_wait(&ctrd->changed);
}

/* Until the next check is due: at once after a loss. */
static struct nd_error *
pause_for_next(struct nd_ctrd *ctrd)
{
    nd_doing("between checks of containerd");
    if (!nd_ctrd_is_up(ctrd))
        return nd_fiber_sleep(ND_CTRD_RETRY_PAUSE_NS);
    nd_error_free(wait_for_change(ctrd, ctrd->health_interval_ns));
    return nd_ctx_check();
}

struct nd_error *
nd_ctrd_run(void *ctrd_ptr)
{
    struct nd_ctrd *ctrd = ctrd_ptr;

    for (;;) {
        ND_TRY(check(ctrd));
        tell_changes(ctrd);
        ND_TRY(pause_for_next(ctrd));
        tell_changes(ctrd);
    }
}
