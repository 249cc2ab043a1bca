/* TLS between two ends in memory, with certificates made here. */

#include <stdio.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/loop.h"
#include "net/limits.h"
#include "net/session.h"
#include "net/tls.h"

#include "../fiber/in_loop.h"
#include "pki.h"

/* --- two ends --- */

struct setting {
    const struct pki *pki;
    size_t capacity;
    const char *client_cert; /* NULL: none */
    const char *client_ca;   /* NULL: "ca" */
    const char *authority;   /* NULL: example.test:443 */
    bool require;
    bool skip_verify;
};

struct ends {
    struct nd_tls_config *server_config, *client_config;
    struct nd_stream *server, *client;
    char paths[6][64];
};

static const char *
path_of(struct ends *e, const struct pki *pki, size_t slot, const char *name, const char *suffix)
{
    char file[24];

    snprintf(file, sizeof(file), "%s.%s", name, suffix);
    pki_path(pki, file, e->paths[slot]);
    return e->paths[slot];
}

static struct ends *
connect_ends(const struct setting *s)
{
    struct ends *e = nd_new(struct ends);
    struct nd_tls_options server = {
        .cert_file = path_of(e, s->pki, 0, "server", "pem"),
        .key_file = path_of(e, s->pki, 1, "server", "key"),
        .ca_file = path_of(e, s->pki, 2, "ca", "pem"),
        .require_client_cert = s->require,
    };
    struct nd_tls_options client = {
        .ca_file = path_of(e, s->pki, 3, s->client_ca != NULL ? s->client_ca : "ca", "pem"),
        .insecure_skip_verify = s->skip_verify,
    };
    struct nd_stream *a, *b;

    if (s->client_cert != NULL) {
        client.cert_file = path_of(e, s->pki, 4, s->client_cert, "pem");
        client.key_file = path_of(e, s->pki, 5, s->client_cert, "key");
    }
    expect_ok(nd_tls_config_server(&server, &e->server_config));
    expect_ok(nd_tls_config_client(&client, &e->client_config));
    nd_stream_pair(s->capacity != 0 ? s->capacity : 65536, &a, &b);
    e->server = nd_tls_accept(a, e->server_config);
    e->client = nd_tls_connect(b, e->client_config,
                               nd_str(s->authority != NULL ? s->authority : "example.test:443"));
    return e;
}

static void
close_ends(struct ends *e)
{
    nd_stream_close(e->client);
    nd_stream_close(e->server);
    nd_tls_config_unref(e->server_config);
    nd_tls_config_unref(e->client_config);
    nd_free(e);
}

/* Reads until the end and sends everything back. */
static struct nd_error *
echo_all(void *arg)
{
    struct nd_stream *s = arg;
    char bytes[5000];
    size_t n;

    for (;;) {
        ND_TRY(nd_stream_read(s, bytes, sizeof(bytes), &n));
        if (n == 0)
            return nd_stream_shutdown(s);
        ND_TRY(nd_stream_write(s, nd_str_n(bytes, n)));
    }
}

struct outgoing {
    struct nd_stream *stream;
    struct nd_str bytes;
};

static struct nd_error *
write_all(void *arg)
{
    struct outgoing *o = arg;

    return nd_stream_write(o->stream, o->bytes);
}

/* Writes and reads at once: what is on its way has little room. */
static struct nd_error *
round_trip(struct nd_stream *client, size_t size)
{
    ND_AUTO(nd_freep) char *out = nd_new_array(size, char);
    ND_AUTO(nd_freep) char *in = nd_new_array(size, char);
    struct outgoing outgoing = {client, nd_str_n(out, size)};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("writer", 0);

    for (size_t i = 0; i < size; i++)
        out[i] = (char)(i * 31 + i / 7);
    ND_TRY(nd_group_spawn(group, write_all, &outgoing));
    ND_TRY(nd_stream_read_full(client, in, size));
    ND_TRY(nd_group_wait(group));
    assert_memory_equal(in, out, size);
    return NULL;
}

/* Both sides say that they are done. */
static void
expect_end(struct nd_stream *client)
{
    char byte;
    size_t n = 1;

    expect_ok(nd_stream_shutdown(client));
    expect_ok(nd_stream_read(client, &byte, 1, &n));
    assert_int_equal(n, 0);
}

static struct nd_error *
talk(const struct setting *s, struct nd_error **ret_server, struct nd_tls_peer *ret_peer)
{
    struct ends *e = connect_ends(s);
    struct nd_group *group = nd_group_begin("server", 0);
    struct nd_error *err;

    expect_ok(nd_group_spawn(group, echo_all, e->server));
    err = round_trip(e->client, 100);
    if (err == NULL && ret_peer != NULL) {
        const struct nd_tls_peer *peer = nd_tls_peer(e->server);

        assert_non_null(peer);
        ret_peer->subject = nd_strdup(peer->subject);
        ret_peer->common_name = nd_strdup(peer->common_name);
        ret_peer->spiffe = nd_strdup(peer->spiffe);
    }
    if (err == NULL)
        expect_end(e->client);
    else
        nd_stream_close(ND_TAKE(e->client));
    *ret_server = nd_group_wait(group);
    nd_group_end(group);
    close_ends(e);
    return err;
}

WITH_PKI(bytes_survive_whatever_the_pieces)
{
    static const size_t capacities[] = {1, 7, 65536};

    for (size_t i = 0; i < ND_LEN(capacities); i++) {
        struct ends *e = connect_ends(&(struct setting){.pki = pki_now, .capacity = capacities[i]});
        struct nd_group *group = nd_group_begin("server", 0);

        expect_ok(nd_group_spawn(group, echo_all, e->server));
        expect_ok(round_trip(e->client, 1));
        expect_ok(round_trip(e->client, 16384));
        expect_ok(round_trip(e->client, 50001));
        expect_end(e->client);
        expect_ok(nd_group_wait(group));
        nd_group_end(group);
        close_ends(e);
    }
    return NULL;
}

WITH_PKI(the_client_certificate_tells_who_it_is)
{
    struct nd_tls_peer peer;
    struct nd_error *server_err;

    expect_ok(talk(&(struct setting){.pki = pki_now, .client_cert = "client", .require = true},
                   &server_err, &peer));
    expect_ok(server_err);
    assert_string_equal(peer.subject, "CN=client,O=tests");
    assert_string_equal(peer.common_name, "client");
    assert_string_equal(peer.spiffe, "spiffe://test/client");
    nd_free((char *)peer.subject);
    nd_free((char *)peer.common_name);
    nd_free((char *)peer.spiffe);
    return NULL;
}

WITH_PKI(two_uris_are_no_spiffe_identity)
{
    struct nd_tls_peer peer;
    struct nd_error *server_err;

    expect_ok(talk(&(struct setting){.pki = pki_now, .client_cert = "twouris", .require = true},
                   &server_err, &peer));
    expect_ok(server_err);
    assert_null(peer.spiffe);
    nd_free((char *)peer.subject);
    nd_free((char *)peer.common_name);
    return NULL;
}

WITH_PKI(without_a_certificate_a_client_has_no_identity)
{
    struct nd_tls_peer peer;
    struct nd_error *server_err;

    expect_ok(talk(&(struct setting){.pki = pki_now}, &server_err, &peer));
    expect_ok(server_err);
    assert_null(peer.subject);
    return NULL;
}

WITH_PKI(who_cannot_prove_itself_is_refused)
{
    static const struct {
        struct setting setting;
        const char *server_says; /* NULL: nothing in particular */
        const char *client_says;
    } cases[] = {
        {{.require = true}, "peer did not return a certificate", NULL},
        {{.require = true, .client_cert = "foreign"}, "certificate", NULL},
        {{.client_cert = "foreign"}, "certificate", NULL},
        {{.require = true, .client_cert = "old"}, "certificate has expired", NULL},
        {{.authority = "example.org"}, NULL, "hostname mismatch"},
        {{.authority = "a.b.wild.test"}, NULL, "hostname mismatch"},
        {{.authority = "192.0.2.8:443"}, NULL, "IP address mismatch"},
        {{.authority = ":443"}, NULL, "hostname mismatch"},
        {{.authority = "[]:443"}, NULL, "hostname mismatch"},
        {{.authority = ""}, NULL, "hostname mismatch"},
        {{.client_ca = "otherca"}, NULL, "certificate"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct setting s = cases[i].setting;
        struct nd_error *server_err = NULL;
        struct nd_error *err;

        s.pki = pki_now;
        err = talk(&s, &server_err, NULL);
        if (cases[i].client_says != NULL)
            assert_non_null(strstr(nd_error_message(err), cases[i].client_says));
        if (cases[i].server_says != NULL)
            assert_non_null(strstr(nd_error_message(server_err), cases[i].server_says));
        expect_code(err, ND_UNAVAILABLE);
        expect_code(server_err, ND_UNAVAILABLE);
    }
    return NULL;
}

WITH_PKI(names_of_the_certificate_are_accepted)
{
    static const struct setting settings[] = {
        {.authority = "example.test"},
        {.authority = "a.wild.test:1"},
        {.authority = "192.0.2.7:443"},
        {.authority = "nobody", .skip_verify = true, .client_ca = "otherca"},
    };

    for (size_t i = 0; i < ND_LEN(settings); i++) {
        struct setting s = settings[i];
        struct nd_error *server_err;

        s.pki = pki_now;
        expect_ok(talk(&s, &server_err, NULL));
        expect_ok(server_err);
    }
    return NULL;
}

WITH_PKI(garbage_ends_the_handshake_with_an_error)
{
    struct ends *e = connect_ends(&(struct setting){.pki = pki_now});
    struct nd_stream *mine, *theirs, *tls;
    char bytes[64];
    size_t n;

    nd_stream_pair(65536, &mine, &theirs);
    tls = nd_tls_accept(theirs, e->server_config);
    expect_ok(nd_stream_write(mine, ND_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more")));
    expect_code(nd_stream_read(tls, bytes, sizeof(bytes), &n), ND_UNAVAILABLE);
    nd_stream_close(tls);
    nd_stream_close(mine);
    close_ends(e);
    return NULL;
}

WITH_PKI(an_end_during_the_handshake_is_an_error)
{
    struct ends *e = connect_ends(&(struct setting){.pki = pki_now});
    char bytes[64];
    size_t n;

    nd_stream_close(ND_TAKE(e->client));
    expect_code(nd_stream_read(e->server, bytes, sizeof(bytes), &n), ND_UNAVAILABLE);
    close_ends(e);
    return NULL;
}

static void
note_gone(void *arg, const struct nd_error *err)
{
    assert_non_null(err);
    *(bool *)arg = true;
}

WITH_PKI(draining_does_not_wait_for_a_handshake_that_nobody_begins)
{
    const struct nd_session_options options = {.role = ND_SESSION_SERVER};
    bool gone = false;
    const struct nd_session_handler handler = {.arg = &gone, .on_gone = note_gone};
    struct ends *e = connect_ends(&(struct setting){.pki = pki_now});
    struct nd_stream *mine, *theirs;
    struct nd_session *session;
    int64_t began_ns = nd_loop_now().ns;

    nd_stream_pair(65536, &mine, &theirs);
    session = nd_session_new(nd_tls_accept(theirs, e->server_config), &options, &handler);
    expect_ok(nd_fiber_yield());
    nd_session_drain(session, "why");
    while (!gone)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_true(nd_loop_now().ns - began_ns < ND_NET_HANDSHAKE_NS / 2);
    nd_session_free(session);
    nd_stream_close(mine);
    close_ends(e);
    return NULL;
}

WITH_PKI(bad_files_are_named)
{
    static const struct {
        const char *cert, *key;
        enum nd_code code;
        const char *named;
    } cases[] = {
        {"nothing.pem", "server.key", ND_NOT_FOUND, "nothing.pem"},
        {"server.pem", "nothing.key", ND_NOT_FOUND, "nothing.key"},
        {"server.key", "server.key", ND_INVALID, "server.key"},
        {"server.pem", "server.pem", ND_INVALID, "server.pem"},
        {"server.pem", "client.key", ND_INVALID, "client.key"},
        {"server.pem", NULL, ND_INVALID, "key_file"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        char cert[64], key[64];
        struct nd_tls_options o = {.cert_file = cert, .key_file = key};
        struct nd_tls_config *config;
        struct nd_error *err;

        pki_path(pki_now, cases[i].cert, cert);
        if (cases[i].key != NULL)
            pki_path(pki_now, cases[i].key, key);
        else
            o.key_file = NULL;
        err = nd_tls_config_server(&o, &config);
        assert_non_null(strstr(nd_error_message(err), cases[i].named));
        expect_code(err, cases[i].code);
    }
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_whatever_the_pieces),
        cmocka_unit_test(the_client_certificate_tells_who_it_is),
        cmocka_unit_test(two_uris_are_no_spiffe_identity),
        cmocka_unit_test(without_a_certificate_a_client_has_no_identity),
        cmocka_unit_test(who_cannot_prove_itself_is_refused),
        cmocka_unit_test(names_of_the_certificate_are_accepted),
        cmocka_unit_test(garbage_ends_the_handshake_with_an_error),
        cmocka_unit_test(an_end_during_the_handshake_is_an_error),
        cmocka_unit_test(draining_does_not_wait_for_a_handshake_that_nobody_begins),
        cmocka_unit_test(bad_files_are_named),
    };

    return cmocka_run_group_tests(tests, pki_make, pki_drop);
}
