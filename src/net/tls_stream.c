/*
 * TLS as a byte stream over a byte stream.
 *
 *     lower ──bytes──> wire.in ──> SSL ──> reader          write ──> SSL ──> wire.out ──bytes──> lower
 *
 * Every feed runs SSL_read until it wants more, and everything that OpenSSL may have put into its
 * output (handshake records, key updates, alerts) is drained after each call. Between two feeds
 * nothing is kept, unless the reader has stopped in the middle of one (tls_bio.c). Plaintext
 * written before the handshake is over is kept; the writer sees it in unsent(). The handshake reads
 * whether or not somebody reads from the stream yet: a writer waits for it too.
 *
 * The reader may close the stream inside its callback. A busy mark then postpones the freeing to
 * the end of the loop that called it.
 */

#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/tls.h"

#include "tls_priv.h"

#define RECORD_BYTES    16384
#define RECORD_OVERHEAD 64          /* more than header, tag and padding of any record */
#define EARLY_MAX       (64u << 20) /* far above any session's high-water mark */

struct tls_stream {
    struct nd_stream base; /* first */
    struct nd_stream *lower;
    struct nd_tls_config *config;
    SSL *ssl;
    struct nd_tls_wire wire;
    struct nd_buf rest; /* of a feed whose reader has stopped */
    struct nd_buf early;
    struct nd_tls_peer peer;
    struct nd_deferred again; /* begin, or go on with decrypted bytes after a stop */
    bool secure;              /* the handshake is over */
    bool started;
    bool finishing; /* shutdown was asked for */
    bool ended;     /* the reader has been told */
    unsigned busy;  /* callbacks on the stack */
    bool closed;    /* free it when no longer busy */
};

static struct tls_stream *
tls_of(const struct nd_stream *s)
{
    return (struct tls_stream *)s;
}

static void
destroy(struct tls_stream *t)
{
    nd_deferred_remove(&t->again);
    SSL_free(t->ssl);
    nd_buf_fini(&t->wire.out);
    nd_buf_fini(&t->rest);
    nd_buf_fini(&t->early);
    nd_tls_peer_fini(&t->peer);
    nd_tls_config_unref(t->config);
    nd_free(t);
}

static void
drain_out(struct tls_stream *t)
{
    if (t->wire.out.len == 0)
        return;
    nd_stream_push(t->lower, nd_buf_str(&t->wire.out));
    nd_buf_fini(&t->wire.out);
}

/* Tell the reader, once. Takes `err`. */
static void
end_with(struct tls_stream *t, struct nd_error *err)
{
    if (t->ended) {
        nd_error_free(err);
        return;
    }
    t->ended = true;
    t->base.failed = err != NULL;
    nd_stream_stop(t->lower);
    if (t->base.reader.on_end != NULL)
        t->base.reader.on_end(t->base.reader.arg, err);
    else
        nd_error_free(err);
}

static struct nd_error *
failure(const struct tls_stream *t, const char *what)
{
    if (t->wire.broken)
        return nd_error_new(ND_UNAVAILABLE, "%s: flooded by messages of TLS itself", what);
    return nd_tls_error(ND_UNAVAILABLE, what);
}

static struct nd_error *
handshake_error(struct tls_stream *t)
{
    long verify = SSL_get_verify_result(t->ssl);

    if (verify == X509_V_OK)
        return failure(t, "TLS handshake");
    ERR_clear_error();
    return nd_error_new(ND_UNAVAILABLE, "TLS handshake: the peer's certificate: %s",
                        X509_verify_cert_error_string(verify));
}

/* As much as its records will take, so that it does not grow by and by. */
static void
reserve_out(struct tls_stream *t, size_t plain)
{
    size_t records = plain / RECORD_BYTES + 1;
    struct nd_error *err = nd_buf_reserve(&t->wire.out, plain + records * RECORD_OVERHEAD);

    ND_INVARIANT(err == NULL);
}

static void
write_plain(struct tls_stream *t, struct nd_str bytes)
{
    if (bytes.len != 0)
        reserve_out(t, bytes.len);
    while (bytes.len != 0) {
        int n = (int)ND_MIN(bytes.len, (size_t)RECORD_BYTES);

        ERR_clear_error();
        n = SSL_write(t->ssl, bytes.ptr, n);
        if (n <= 0) {
            ERR_clear_error();
            t->base.failed = true;
            break;
        }
        bytes = nd_str_from(bytes, (size_t)n);
    }
    drain_out(t);
}

static void
finish_lower(struct tls_stream *t)
{
    ERR_clear_error();
    if (t->secure)
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    drain_out(t);
    nd_stream_finish(t->lower);
}

static void
on_lower_drain(void *arg)
{
    struct tls_stream *t = arg;

    if (t->base.on_drain != NULL && t->early.len == 0)
        t->base.on_drain(t->base.drain_arg);
}

/* The handshake is over: check what was agreed, let the waiting bytes go. */
static void
become_secure(struct tls_stream *t)
{
    const unsigned char *protocol;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &protocol, &len);
    if (len != 2 || memcmp(protocol, "h2", 2) != 0) {
        end_with(t,
                 nd_error_new(ND_UNAVAILABLE, "TLS handshake: the peer has not chosen h2 (ALPN)"));
        return;
    }
    t->secure = true;
    nd_tls_peer_init(&t->peer, t->ssl);
    write_plain(t, nd_buf_str(&t->early));
    nd_buf_fini(&t->early);
    if (t->finishing)
        finish_lower(t);
    if (!t->started)
        nd_stream_stop(t->lower);
    if (nd_stream_unsent(t->lower) == 0)
        on_lower_drain(t);
}

static void
shake_hands(struct tls_stream *t)
{
    int rv;

    ERR_clear_error();
    rv = SSL_do_handshake(t->ssl);
    drain_out(t);
    if (rv == 1) {
        become_secure(t);
        return;
    }
    if (SSL_get_error(t->ssl, rv) != SSL_ERROR_WANT_READ)
        end_with(t, handshake_error(t));
}

/* One piece of plaintext to the reader; false when there is none now. */
static bool
read_plain(struct tls_stream *t)
{
    char plain[RECORD_BYTES];
    int n;

    ERR_clear_error();
    n = SSL_read(t->ssl, plain, sizeof(plain));
    if (n > 0) {
        t->base.reader.on_bytes(t->base.reader.arg, nd_str_n(plain, (size_t)n));
        return true;
    }
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return false;
    case SSL_ERROR_ZERO_RETURN:
        end_with(t, NULL);
        return false;
    default:
        end_with(t, failure(t, "TLS"));
        return false;
    }
}

static void
leave(struct tls_stream *t)
{
    if (--t->busy == 0 && t->closed)
        destroy(t);
}

/* What was not read is somebody else's memory. */
static void
keep_rest(struct tls_stream *t)
{
    struct nd_buf rest = ND_BUF_INIT(EARLY_MAX);

    nd_buf_put(&rest, t->wire.in);
    nd_buf_fini(&t->rest);
    t->rest = rest;
    t->wire.in = ND_STR_NONE;
}

static void
pump(struct tls_stream *t, struct nd_str bytes)
{
    t->busy++;
    if (t->rest.len != 0)
        nd_buf_put(&t->rest, bytes);
    t->wire.in = t->rest.len != 0 ? nd_buf_str(&t->rest) : bytes;
    if (!t->secure && !t->ended)
        shake_hands(t);
    while (t->secure && t->started && !t->ended && !t->closed && read_plain(t))
        continue;
    if (!t->closed)
        drain_out(t);
    keep_rest(t);
    leave(t);
}

static void
on_lower_bytes(void *arg, struct nd_str bytes)
{
    struct tls_stream *t = arg;

    if (t->ended)
        return;
    pump(t, bytes);
}

static void
on_lower_end(void *arg, struct nd_error *err)
{
    struct tls_stream *t = arg;

    if (err == NULL && !t->secure)
        err = nd_error_new(ND_UNAVAILABLE, "TLS handshake: the peer closed the connection");
    t->busy++;
    end_with(t, err);
    leave(t);
}

static void
on_again(void *arg)
{
    pump(arg, ND_STR_NONE);
}

/* --- the stream's operations --- */

static void
tls_start(struct nd_stream *s)
{
    struct tls_stream *t = tls_of(s);

    if (t->started)
        return;
    t->started = true;
    nd_stream_start(t->lower);
    nd_deferred_add(&t->again);
}

static void
tls_stop(struct nd_stream *s)
{
    struct tls_stream *t = tls_of(s);

    t->started = false;
    if (t->secure)
        nd_stream_stop(t->lower);
}

static void
tls_write(struct nd_stream *s, struct nd_str bytes)
{
    struct tls_stream *t = tls_of(s);

    if (t->base.failed || t->finishing)
        return;
    if (t->secure)
        write_plain(t, bytes);
    else
        nd_buf_put(&t->early, bytes);
}

static size_t
tls_unsent(const struct nd_stream *s)
{
    const struct tls_stream *t = tls_of(s);

    return t->early.len + nd_stream_unsent(t->lower);
}

static void
tls_shutdown(struct nd_stream *s)
{
    struct tls_stream *t = tls_of(s);

    if (t->finishing)
        return;
    t->finishing = true;
    if (t->secure || t->ended || t->early.len == 0)
        finish_lower(t);
}

static void
tls_close(struct nd_stream *s)
{
    struct tls_stream *t = tls_of(s);

    t->closed = true;
    nd_stream_close(t->lower);
    if (t->busy == 0)
        destroy(t);
}

static void
tls_limit_unacked(struct nd_stream *s, int64_t ns)
{
    nd_stream_limit_unacked(tls_of(s)->lower, ns);
}

static void
tls_pace(struct nd_stream *s)
{
    nd_stream_pace(tls_of(s)->lower);
}

static const struct nd_stream_ops tls_ops = {
    .start = tls_start,
    .stop = tls_stop,
    .write = tls_write,
    .unsent = tls_unsent,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .limit_unacked = tls_limit_unacked,
    .pace = tls_pace,
};

/* --- making one --- */

static struct tls_stream *
make(struct nd_stream *lower, struct nd_tls_config *config)
{
    struct tls_stream *t = nd_new(struct tls_stream);
    const struct nd_stream_reader reader = {
        .on_bytes = on_lower_bytes,
        .on_end = on_lower_end,
        .arg = t,
    };
    BIO *bio;

    t->base.ops = &tls_ops;
    t->base.peer = *nd_stream_peer(lower);
    t->lower = lower;
    t->config = nd_tls_config_ref(config);
    t->early = ND_BUF_INIT(EARLY_MAX);
    t->again = (struct nd_deferred){.fn = on_again, .arg = t};
    t->ssl = SSL_new(config->ctx);
    ND_INVARIANT(t->ssl != NULL);
    t->wire.out = ND_BUF_INIT(EARLY_MAX);
    t->rest = ND_BUF_INIT(EARLY_MAX);
    bio = nd_tls_bio_new(config->wire, &t->wire);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_msg_callback_arg(t->ssl, &t->wire);
    nd_stream_attach(lower, &reader, on_lower_drain, t);
    nd_stream_start(lower);
    nd_deferred_add(&t->again);
    return t;
}

struct nd_stream *
nd_tls_accept(struct nd_stream *lower, struct nd_tls_config *config)
{
    struct tls_stream *t = make(lower, config);

    ND_INVARIANT(config->server);
    SSL_set_accept_state(t->ssl);
    return &t->base;
}

static struct nd_str
host_of(struct nd_str authority)
{
    size_t colon = nd_str_rfind(authority, ':');

    if (nd_str_starts(authority, ND_STR("["))) {
        size_t end = nd_str_find(authority, ']');

        return nd_str_sub(authority, 1, end == SIZE_MAX ? authority.len : end - 1);
    }
    return nd_str_sub(authority, 0, ND_MIN(colon, authority.len));
}

static bool
is_address(const char *host)
{
    unsigned char dst[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, dst) == 1 || inet_pton(AF_INET6, host, dst) == 1;
}

/*
 * The name to ask for, and to find in the certificate. To OpenSSL an empty one means that any will
 * do; to whoever dials it means this machine.
 */
static void
expect_host(struct tls_stream *t, const char *host)
{
    int ok;

    if (host[0] == '\0')
        host = "localhost";
    if (is_address(host)) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host);
    } else {
        SSL_set_tlsext_host_name(t->ssl, host);
        SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = SSL_set1_host(t->ssl, host);
    }
    ND_INVARIANT(ok == 1); /* it would accept every certificate */
}

struct nd_stream *
nd_tls_connect(struct nd_stream *lower, struct nd_tls_config *config, struct nd_str authority)
{
    struct tls_stream *t = make(lower, config);
    ND_AUTO(nd_freep) char *host = nd_str_dup(host_of(authority));

    ND_INVARIANT(!config->server);
    SSL_set_connect_state(t->ssl);
    expect_host(t, host);
    return &t->base;
}

const struct nd_tls_peer *
nd_tls_peer(const struct nd_stream *s)
{
    return s->ops == &tls_ops && tls_of(s)->secure ? &tls_of(s)->peer : NULL;
}
