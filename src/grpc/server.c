/*
 * The server as a whole: what it offers, how it starts and stops. Where it listens: port.c.
 *
 * Fibers need somebody who waits for them: nd_server_run() is that scope. It holds two groups, one
 * of the fibers that accept and one of the handlers. Connections may be there before it runs; their
 * calls wait in a list for it.
 *
 * Stopping: listeners close, every connection is told to drain; when the grace is over, the
 * handlers are cancelled and answer UNAVAILABLE; a few seconds later what still hangs on a peer
 * that does not read is cut off. run returns when the last connection has gone.
 */

#include "grpc/server.h"

#include "base/alloc.h"
#include "base/log.h"

#include "server_priv.h"

#define CUT_OFF_NS (5 * ND_SECOND) /* from cancelling the handlers to closing their connections */

static void on_stop_timer(void *arg);

#define DEFAULT(field, value) ((field) = (field) != 0 ? (field) : (value))

static void
set_defaults(struct nd_server_options *o)
{
    DEFAULT(o->max_message_bytes, ND_GRPC_MAX_MESSAGE_BYTES);
    DEFAULT(o->max_header_list, ND_GRPC_MAX_HEADER_LIST);
    DEFAULT(o->max_streams, ND_GRPC_MAX_STREAMS);
    DEFAULT(o->max_connections, ND_GRPC_MAX_CONNECTIONS);
    DEFAULT(o->max_handshakes, ND_GRPC_MAX_HANDSHAKES);
    DEFAULT(o->max_calls, ND_GRPC_MAX_CALLS);
    DEFAULT(o->max_pending_bytes, ND_GRPC_MAX_PENDING_BYTES);
    DEFAULT(o->max_pending_bytes_all, ND_GRPC_MAX_PENDING_BYTES_ALL);
    DEFAULT(o->max_held_bytes, ND_GRPC_MAX_HELD_BYTES);
    DEFAULT(o->max_held_bytes_all, ND_GRPC_MAX_HELD_BYTES_ALL);
}

struct nd_server *
nd_server_new(const struct nd_server_options *options)
{
    struct nd_server *s = nd_new(struct nd_server);

    if (options != NULL)
        s->options = *options;
    set_defaults(&s->options);
    s->methods = nd_map_new();
    s->pool = nd_session_pool_new();
    s->stop_timer = (struct nd_timer){.fn = on_stop_timer, .arg = s};
    nd_server_init_sweep(s);
    LIST_INIT(&s->ports);
    LIST_INIT(&s->conns);
    for (size_t i = 0; i < ND_LEN(s->ranks); i++)
        TAILQ_INIT(&s->ranks[i]);
    TAILQ_INIT(&s->pending);
    TAILQ_INIT(&s->free_calls);
    return s;
}

static void
kill_connections(struct nd_server *s)
{
    struct nd_conn *conn;

    while ((conn = LIST_FIRST(&s->conns)) != NULL)
        nd_conn_kill(conn);
}

void
nd_server_free(struct nd_server *s)
{
    if (s == NULL)
        return;
    ND_INVARIANT(s->calls == NULL);
    kill_connections(s);
    nd_server_close_ports(s);
    nd_timer_disarm(&s->stop_timer);
    nd_timer_disarm(&s->sweep);
    nd_server_free_calls(s);
    nd_session_pool_free(s->pool);
    nd_map_free(s->methods);
    for (size_t i = 0; i < s->n_services; i++)
        nd_free(s->services[i].methods);
    nd_free(s->services);
    nd_free(s->interceptors);
    nd_free(s);
}

void
nd_server_freep(struct nd_server **s)
{
    nd_server_free(ND_TAKE(*s));
}

/* --- what is offered --- */

static nd_handler *
find_handler(const struct nd_method_handler *handlers, const char *name)
{
    for (; handlers->name != NULL; handlers++) {
        if (strcmp(handlers->name, name) == 0)
            return handlers->handler;
    }
    return NULL;
}

void
nd_server_add(struct nd_server *s, const struct nd_service_desc *service,
              const struct nd_method_handler *handlers, void *user)
{
    struct nd_method_entry *methods = nd_new_array(service->n_methods, struct nd_method_entry);
    size_t n_handlers = 0;

    while (handlers[n_handlers].name != NULL)
        n_handlers++;
    ND_INVARIANT(n_handlers == service->n_methods);
    for (size_t i = 0; i < service->n_methods; i++) {
        const void *before;

        methods[i].desc = &service->methods[i];
        methods[i].handler = find_handler(handlers, service->methods[i].name);
        methods[i].user = user;
        ND_INVARIANT(methods[i].handler != NULL);
        before = nd_map_set(s->methods, nd_str(methods[i].desc->path), &methods[i]);
        ND_INVARIANT(before == NULL);
    }
    s->services = nd_realloc(s->services, s->n_services + 1, sizeof(*s->services));
    s->services[s->n_services++] = (struct nd_service_entry){service, methods};
}

void
nd_server_intercept(struct nd_server *s, struct nd_interceptor interceptor)
{
    s->interceptors = nd_realloc(s->interceptors, s->n_interceptors + 1, sizeof(*s->interceptors));
    s->interceptors[s->n_interceptors++] = interceptor;
}

size_t
nd_server_n_services(const struct nd_server *s)
{
    return s->n_services;
}

const struct nd_service_desc *
nd_server_service(const struct nd_server *s, size_t i)
{
    ND_INVARIANT(i < s->n_services);
    return s->services[i].desc;
}

void
nd_server_get_stats(const struct nd_server *s, struct nd_server_stats *ret)
{
    *ret = (struct nd_server_stats){
        .connections = s->n_conns,
        .calls = s->n_calls,
        .pending_bytes = s->pending_bytes,
        .connections_total = s->conns_total,
        .calls_total = s->calls_total,
    };
}

/* --- running --- */

static void
start_pending(struct nd_server *s)
{
    struct nd_call *call;

    while ((call = TAILQ_FIRST(&s->pending)) != NULL) {
        TAILQ_REMOVE(&s->pending, call, link);
        call->listed = false;
        nd_server_call_start(call);
    }
}

static struct nd_error *
serve(struct nd_server *s)
{
    struct nd_error *err = nd_server_start_ports(s);

    start_pending(s);
    while (err == NULL && !(s->stopping && s->n_conns == 0))
        err = nd_cond_wait(&s->changed);
    return err;
}

/* The fiber is cancelled: an immediate stop. */
static void
serve_out(struct nd_server *s)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    ND_SHIELDED(2 * CUT_OFF_NS);

    nd_server_stop(s, 0);
    while (err == NULL && s->n_conns != 0)
        err = nd_cond_wait(&s->changed);
}

struct nd_error *
nd_server_run(struct nd_server *s)
{
    struct nd_error *err;

    ND_INVARIANT(s->calls == NULL && !s->ran);
    s->calls = nd_group_begin_independent("calls", s->options.max_calls);
    s->acceptors = nd_group_begin_independent("acceptors", 0);
    if (s->forced)
        nd_group_cancel(s->calls);
    err = serve(s);
    if (err != NULL)
        serve_out(s);
    nd_group_end(ND_TAKE(s->acceptors));
    nd_server_close_ports(s);
    kill_connections(s);
    nd_group_end(s->calls);
    s->calls = NULL;
    s->ran = true;
    nd_timer_disarm(&s->stop_timer);
    return err;
}

/* --- stopping --- */

static void
force(struct nd_server *s)
{
    s->forced = true;
    if (s->calls != NULL)
        nd_group_cancel(s->calls);
    nd_timer_arm(&s->stop_timer, (struct nd_mono){nd_loop_now().ns + CUT_OFF_NS});
}

static void
on_stop_timer(void *arg)
{
    struct nd_server *s = arg;

    if (s->forced)
        kill_connections(s);
    else
        force(s);
}

static void
drain_connections(struct nd_server *s)
{
    struct nd_conn *conn;

    LIST_FOREACH (conn, &s->conns, link)
        nd_session_drain(conn->session, "graceful_stop");
}

void
nd_server_stop(struct nd_server *s, int64_t grace_ns)
{
    bool again = s->stopping;

    s->stopping = true;
    if (s->acceptors != NULL)
        nd_group_cancel(s->acceptors);
    if (!again)
        drain_connections(s);
    if (s->forced)
        return;
    if (again || grace_ns <= 0)
        force(s);
    else
        nd_timer_arm(&s->stop_timer,
                     (struct nd_mono){nd_loop_now().ns + ND_MIN(grace_ns, ND_FOR_EVER_NS)});
    nd_cond_broadcast(&s->changed);
}
