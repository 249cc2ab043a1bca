/*
 * A connection of the server: a session, who is at its other end, and how many calls it has. Calls
 * may outlive the session (a handler that unwinds after its client has gone), therefore references.
 *
 * Handlers are counted, not streams: a client that opens and resets streams as fast as it can keeps
 * its places occupied until the handlers have really returned (contracts/grpc-wire.md 2.9). The
 * limit of open streams is the session's; here as many again may still be unwinding, or an honest
 * client that cancels some calls and at once makes others up to its limit would be refused.
 */

#include "base/alloc.h"
#include "base/log.h"
#include "net/limits.h"
#include "net/tls.h"

#include "server_priv.h"

void
nd_conn_ref(struct nd_conn *conn)
{
    conn->refs++;
}

void
nd_conn_unref(struct nd_conn *conn)
{
    if (--conn->refs != 0)
        return;
    nd_free((char *)conn->identity.cert_subject);
    nd_free((char *)conn->identity.cert_common_name);
    nd_free((char *)conn->identity.cert_spiffe);
    nd_free(conn);
}

/* The session has gone or goes now: forget it and close it. */
static void
drop_session(struct nd_conn *conn)
{
    struct nd_session *session = ND_TAKE(conn->session);

    LIST_REMOVE(conn, link);
    nd_port_remove_fresh(conn);
    nd_session_free(session);
    if (conn->refused)
        conn->server->n_refused--;
    else
        conn->server->n_conns--;
    nd_cond_broadcast(&conn->server->changed);
    nd_conn_unref(conn);
}

void
nd_conn_kill(struct nd_conn *conn)
{
    drop_session(conn);
}

static struct nd_h2_stream *
on_open(void *arg)
{
    struct nd_conn *conn = arg;

    if (conn->n_calls >= 2 * (uint64_t)conn->server->options.max_streams)
        return NULL;
    return &nd_server_call_new(conn)->h2;
}

static void
on_gone(void *arg, const struct nd_error *err)
{
    struct nd_conn *conn = arg;

    nd_debug("connection closed", ND_KV("peer", (const char *)conn->peer.name), ND_KV("why", err));
    drop_session(conn);
}

static const char *
copy_of(const char *text)
{
    return text != NULL ? nd_strdup(text) : NULL;
}

/*
 * Only now, because a TLS handshake comes first. Copies, because a handler that unwinds after its
 * client has gone still asks who that was, and the TLS stream is no more.
 */
static void
on_ready(void *arg)
{
    struct nd_conn *conn = arg;
    const struct nd_tls_peer *peer = nd_tls_peer(nd_session_stream(conn->session));

    nd_port_remove_fresh(conn);
    if (peer == NULL)
        return;
    conn->identity.cert_subject = copy_of(peer->subject);
    conn->identity.cert_common_name = copy_of(peer->common_name);
    conn->identity.cert_spiffe = copy_of(peer->spiffe);
}

/* Unix sockets end by themselves, and what carries a tunnel is watched already. */
static int64_t
keepalive_of(const struct nd_conn *conn)
{
    int64_t time_ns = conn->server->options.keepalive_time_ns;

    if (conn->peer.kind != ND_PEER_TCP)
        return 0;
    return time_ns != 0 ? time_ns : ND_NET_KEEPALIVE_NS;
}

static struct nd_session *
make_session(struct nd_conn *conn, struct nd_stream *stream)
{
    const struct nd_session_options options = {
        .role = ND_SESSION_SERVER,
        .pool = conn->server->pool,
        .any_authority = conn->peer.kind == ND_PEER_UNIX,
        .max_streams = conn->server->options.max_streams,
        .max_header_list = conn->server->options.max_header_list,
        .handshake_timeout_ns = conn->server->options.handshake_timeout_ns,
        .keepalive_time_ns = keepalive_of(conn),
        .keepalive_timeout_ns = conn->server->options.keepalive_timeout_ns,
    };
    const struct nd_session_handler handler = {
        .arg = conn,
        .on_open = on_open,
        .on_ready = on_ready,
        .on_gone = on_gone,
    };

    return nd_session_new(stream, &options, &handler);
}

/*
 * One too many: it hears why, as far as it listens. The session does not look at what comes in, and
 * the end of its lingering is near.
 */
static void
refuse(struct nd_conn *conn)
{
    struct nd_server *s = conn->server;

    if (s->n_refused++ == 0)
        nd_warn("too many connections", ND_KV("limit", s->options.max_connections),
                ND_KV("peer", (const char *)conn->peer.name));
    conn->refused = true;
    nd_session_terminate(conn->session, ND_H2_ENHANCE_YOUR_CALM, "too many connections");
}

static void
count(struct nd_conn *conn, struct nd_port *port)
{
    conn->server->n_conns++;
    conn->server->conns_total++;
    if (port != NULL)
        nd_port_add_fresh(port, conn);
}

/* However many come over the network, some places are for those on this host. */
static bool
is_full(const struct nd_server *s, const struct nd_peer *peer)
{
    size_t kept = peer->kind == ND_PEER_UNIX ? ND_GRPC_UNIX_CONNECTIONS : 0;

    return s->n_conns >= s->options.max_connections + kept;
}

void
nd_conn_begin(struct nd_server *s, struct nd_stream *stream, struct nd_tls_config *tls,
              struct nd_port *port)
{
    bool full = is_full(s, nd_stream_peer(stream));
    struct nd_conn *conn;

    if (s->stopping || s->ran || (full && s->n_refused >= ND_GRPC_MAX_REFUSALS)) {
        nd_stream_close(stream);
        return;
    }
    conn = nd_new(struct nd_conn);
    conn->server = s;
    conn->refs = 1;
    conn->peer = *nd_stream_peer(stream);
    conn->identity.peer = &conn->peer;
    conn->identity.tls = tls != NULL;
    if (tls != NULL)
        stream = nd_tls_accept(stream, tls);
    LIST_INSERT_HEAD(&s->conns, conn, link);
    conn->session = make_session(conn, stream);
    nd_conn_watch(conn);
    if (full)
        refuse(conn);
    else
        count(conn, port);
}

void
nd_server_adopt(struct nd_server *s, struct nd_stream *stream, struct nd_tls_config *tls)
{
    nd_conn_begin(s, stream, tls, NULL);
}
