/*
 * A TLS client that means no good: OpenSSL driven by hand over a stream in memory, with what its
 * own streams would never do.
 */

#include <openssl/ssl.h>

#include "base/alloc.h"
#include "fiber/stream_io.h"
#include "net/tls.h"

#include "../fiber/in_loop.h"
#include "pki.h"

#define CHUNK 4096

/* --- the server: what its reader is told --- */

struct site {
    struct nd_tls_config *config;
    struct nd_stream *stream;
    size_t bytes;
    size_t most_unsent;
    struct nd_error *err;
    bool ended;
};

static void
note_bytes(void *arg, struct nd_str bytes)
{
    ((struct site *)arg)->bytes += bytes.len;
}

static void
note_end(void *arg, struct nd_error *err)
{
    struct site *site = arg;

    site->ended = true;
    site->err = err;
}

static void
site_begin(struct site *site, struct nd_stream *lower)
{
    const struct nd_stream_reader reader = {
        .on_bytes = note_bytes, .on_end = note_end, .arg = site};
    char cert[64], key[64];
    struct nd_tls_options options = {.cert_file = cert, .key_file = key};

    pki_path(pki_now, "server.pem", cert);
    pki_path(pki_now, "server.key", key);
    *site = (struct site){0};
    expect_ok(nd_tls_config_server(&options, &site->config));
    site->stream = nd_tls_accept(lower, site->config);
    nd_stream_attach(site->stream, &reader, NULL, NULL);
    nd_stream_start(site->stream);
}

static void
site_end(struct site *site)
{
    nd_stream_close(site->stream);
    nd_tls_config_unref(site->config);
    nd_error_free(site->err);
}

/* --- the client --- */

struct client {
    struct nd_stream *wire;
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};

/* What OpenSSL wants to send. */
static struct nd_error *
flush(struct client *c)
{
    char *ptr;
    long len = BIO_get_mem_data(c->out, &ptr);
    struct nd_error *err = NULL;

    if (len > 0)
        err = nd_stream_write(c->wire, nd_str_n(ptr, (size_t)len));
    (void)BIO_reset(c->out);
    return err;
}

static void
client_begin(struct client *c, struct nd_stream *wire)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    char bytes[CHUNK];
    size_t n;

    c->wire = wire;
    c->ctx = SSL_CTX_new(TLS_client_method());
    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    SSL_set_alpn_protos(c->ssl, alpn, sizeof(alpn));
    while (SSL_do_handshake(c->ssl) != 1) {
        expect_ok(flush(c));
        expect_ok(nd_stream_read(wire, bytes, sizeof(bytes), &n));
        assert_int_not_equal(n, 0);
        assert_int_equal(BIO_write(c->in, bytes, (int)n), (int)n);
    }
    expect_ok(flush(c));
}

static void
client_end(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    nd_stream_close(c->wire);
}

static void
join(struct site *site, struct client *client)
{
    struct nd_stream *ours, *theirs;

    nd_stream_pair(65536, &ours, &theirs);
    site_begin(site, theirs);
    client_begin(client, ours);
}

/*
 * A peer may ask for new keys at any time, for thirty bytes and no answer that it would have to
 * read.
 */
WITH_PKI(new_keys_again_and_again_end_the_connection)
{
    struct nd_error *err = NULL;
    struct client client;
    struct site site;

    join(&site, &client);
    for (int i = 0; i < 400000 && err == NULL && !site.ended; i++) {
        assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(client.ssl), 1);
        if (i % 100 == 99)
            err = flush(&client);
        site.most_unsent = ND_MAX(site.most_unsent, nd_stream_unsent(site.stream));
    }
    nd_error_free(err);
    assert_true(site.ended);
    expect_code(ND_TAKE(site.err), ND_UNAVAILABLE);
    assert_true(site.most_unsent < 2u << 20);
    client_end(&client);
    site_end(&site);
    return NULL;
}

WITH_PKI(new_keys_in_reason_are_no_fault)
{
    struct client client;
    struct site site;

    join(&site, &client);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
        expect_ok(flush(&client));
    }
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_int_equal(site.bytes, 100);
    assert_false(site.ended);
    client_end(&client);
    site_end(&site);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_keys_again_and_again_end_the_connection),
        cmocka_unit_test(new_keys_in_reason_are_no_fault),
    };

    return cmocka_run_group_tests(tests, pki_make, pki_drop);
}
