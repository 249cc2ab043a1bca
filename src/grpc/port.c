/*
 * Where a server listens, and how many strangers it lets in at once.
 *
 * A connection is fresh from the accept to the peer's SETTINGS, a TLS handshake included. Each port
 * has so many fresh ones at most: they cost memory, and who they are is not known yet. At the limit
 * nobody is refused; the next ones wait in the kernel's backlog until a handshake has ended. Honest
 * crowds (everybody comes back after a restart) are thereby served in order, as fast as handshakes
 * go.
 *
 * Whoever leaves a handshake lying while others wait loses it: the oldest fresh connection is
 * closed once it has had a short time. So a hundred sockets that say nothing hold up a port for
 * seconds, not until the handshake timeout, and they hold up no other port.
 */

#include "base/alloc.h"
#include "base/log.h"

#include "server_priv.h"

#define ACCEPT_PAUSE_NS (100 * ND_MILLISECOND) /* after a failure, e.g. no descriptors left */

/* --- fresh connections --- */

void
nd_port_add_fresh(struct nd_port *port, struct nd_conn *conn)
{
    conn->port = port;
    conn->accepted_ns = nd_loop_now().ns;
    TAILQ_INSERT_TAIL(&port->fresh, conn, fresh_link);
    port->n_fresh++;
}

void
nd_port_remove_fresh(struct nd_conn *conn)
{
    struct nd_port *port = ND_TAKE(conn->port);

    if (port == NULL)
        return;
    TAILQ_REMOVE(&port->fresh, conn, fresh_link);
    port->n_fresh--;
    nd_cond_broadcast(&port->settled);
}

/* Wait for a handshake to end, but no longer than the oldest one deserves. */
static struct nd_error *
await_settled(struct nd_port *port, int64_t at_most_ns)
{
    struct nd_error *err;
    ND_DEADLINE_IN(at_most_ns);

    err = nd_cond_wait(&port->settled);
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
make_room(struct nd_port *port)
{
    while (port->n_fresh >= port->server->options.max_handshakes) {
        struct nd_conn *oldest = TAILQ_FIRST(&port->fresh);
        int64_t left_ns = oldest->accepted_ns + ND_GRPC_HANDSHAKE_PATIENCE_NS - nd_loop_now().ns;

        if (left_ns > 0) {
            ND_TRY(await_settled(port, left_ns));
            continue;
        }
        nd_warn("too many handshakes: the oldest connection is closed",
                ND_KV("peer", (const char *)oldest->peer.name));
        nd_conn_kill(oldest);
    }
    return NULL;
}

/* --- accepting --- */

/*
 * Then the others have their turn: connections may come as fast as they are accepted. Fails only
 * when the fiber's context has ended.
 */
static struct nd_error *
accept_one(struct nd_port *port)
{
    struct nd_stream *stream = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    ND_TRY(make_room(port));
    err = nd_listener_accept(port->listener, &stream);
    if (err == NULL) {
        nd_conn_begin(port->server, stream, port->tls, port);
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
    TAILQ_INIT(&port->fresh);
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

struct nd_error *
nd_server_start_ports(struct nd_server *s)
{
    struct nd_port *port;

    LIST_FOREACH (port, &s->ports, link)
        ND_TRY(nd_group_spawn_now(s->acceptors, accept_all, port));
    return NULL;
}

void
nd_server_close_ports(struct nd_server *s)
{
    struct nd_port *port;
    struct nd_conn *conn;

    while ((port = LIST_FIRST(&s->ports)) != NULL) {
        while ((conn = TAILQ_FIRST(&port->fresh)) != NULL)
            nd_port_remove_fresh(conn);
        LIST_REMOVE(port, link);
        nd_listener_close(port->listener);
        nd_tls_config_unref(port->tls);
        nd_free(port);
    }
}
