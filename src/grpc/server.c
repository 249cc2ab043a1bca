/*
 * The server as a whole: what it offers, where it listens, how it starts and stops.
 *
 * Fibers need somebody who waits for them: nd_server_run() is that scope. It holds two groups, one
 * of the fibers that accept and one of the handlers. Connections may be there before it runs; their
 * calls wait in a list for it.
 *
 * Stopping: listeners close, every connection is told to drain; when the grace is over, the
 * handlers are cancelled and answer UNAVAILABLE; a few seconds later what still hangs on a peer that
 * does not read is cut off. run returns when the last connection has gone.
 */

#include "grpc/server.h"

#include "base/alloc.h"
#include "base/log.h"

#include "server_priv.h"

#define ACCEPT_PAUSE_NS (100 * ND_MILLISECOND) /* after a failure, e.g. no descriptors left */
#define CUT_OFF_NS      (5 * ND_SECOND) /* from cancelling the handlers to closing their connections */

static void on_stop_timer(void *arg);

struct nd_server *
nd_server_new(const struct nd_server_options *options)
{
    struct nd_server *s = nd_new(struct nd_server);

    if (options != NULL)
        s->options = *options;
    if (s->options.max_message_bytes == 0)
        s->options.max_message_bytes = ND_GRPC_MAX_MESSAGE_BYTES;
    if (s->options.max_streams == 0)
        s->options.max_streams = ND_GRPC_MAX_STREAMS;
    if (s->options.max_connections == 0)
        s->options.max_connections = ND_GRPC_MAX_CONNECTIONS;
    if (s->options.max_calls == 0)
        s->options.max_calls = ND_GRPC_MAX_CALLS;
    if (s->options.max_pending_bytes == 0)
        s->options.max_pending_bytes = ND_GRPC_MAX_PENDING_BYTES;
    s->methods = nd_map_new();
    s->stop_timer = (struct nd_timer){.fn = on_stop_timer, .arg = s};
    LIST_INIT(&s->ports);
    LIST_INIT(&s->conns);
    TAILQ_INIT(&s->pending);
    TAILQ_INIT(&s->free_calls);
    return s;
}

static void
close_ports(struct nd_server *s)
{
    struct nd_port *port;

    while ((port = LIST_FIRST(&s->ports)) != NULL) {
        LIST_REMOVE(port, link);
        nd_listener_close(port->listener);
        nd_tls_config_unref(port->tls);
        nd_free(port);
    }
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
    close_ports(s);
    nd_timer_disarm(&s->stop_timer);
    nd_server_free_calls(s);
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
        .connections_total = s->conns_total,
        .calls_total = s->calls_total,
    };
}

/* --- listening --- */

/*
 * Then the others have their turn: connections may come as fast as they are accepted. Fails only when
 * the fiber's context has ended.
 */
static struct nd_error *
accept_one(struct nd_port *port)
{
    struct nd_stream *stream = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_listener_accept(port->listener, &stream);

    if (err == NULL) {
        nd_server_adopt(port->server, stream, port->tls);
        return nd_fiber_yield();
    }
    ND_TRY(nd_ctx_check());
    nd_warn("accept failed", ND_KV("error", err));
    return nd_fiber_sleep(ACCEPT_PAUSE_NS);
}

static struct nd_error *
accept_all(void *arg)
{
    struct nd_port *port = arg;
    struct nd_server *s = port->server;

    nd_doing("accept connections");
    while (!s->stopping)
        ND_TRY(accept_one(port));
    return NULL;
}

struct nd_error *
nd_server_listen(struct nd_server *s, const struct nd_addr *addr,
                 const struct nd_listen_options *options, struct nd_tls_config *tls,
                 struct nd_addr *ret_addr)
{
    struct nd_listener *listener;
    struct nd_port *port;

    if (s->stopping)
        return nd_error_new(ND_PRECONDITION, "the server is stopping");
    ND_TRY(nd_listener_open(addr, options, &listener));
    port = nd_new(struct nd_port);
    port->server = s;
    port->listener = listener;
    port->tls = tls != NULL ? nd_tls_config_ref(tls) : NULL;
    LIST_INSERT_HEAD(&s->ports, port, link);
    if (ret_addr != NULL)
        *ret_addr = *nd_listener_addr(listener);
    if (s->acceptors != NULL)
        ND_TRY(nd_group_spawn_now(s->acceptors, accept_all, port));
    return NULL;
}

void
nd_server_replace_tls(struct nd_server *s, struct nd_tls_config *tls)
{
    struct nd_port *port;

    LIST_FOREACH (port, &s->ports, link) {
        if (port->tls == NULL)
            continue;
        nd_tls_config_unref(port->tls);
        port->tls = nd_tls_config_ref(tls);
    }
}

/* --- running --- */

void
nd_server_conn_gone(struct nd_server *s)
{
    s->n_conns--;
    nd_cond_broadcast(&s->changed);
}

static struct nd_error *
start_accepting(struct nd_server *s)
{
    struct nd_port *port;

    LIST_FOREACH (port, &s->ports, link)
        ND_TRY(nd_group_spawn_now(s->acceptors, accept_all, port));
    return NULL;
}

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
    struct nd_error *err = start_accepting(s);

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
    close_ports(s);
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
        nd_timer_arm(&s->stop_timer, (struct nd_mono){nd_loop_now().ns + grace_ns});
    nd_cond_broadcast(&s->changed);
}
