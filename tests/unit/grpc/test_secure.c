/* Client and server over TLS: who the handler sees, who is let in, a new certificate. */

#include <stdio.h>

#include "fixture.h"
#include "pki.h"

struct secure {
    struct nd_server *server;
    struct nd_tls_config *server_config;
    struct nd_tls_config *client_config;
    struct nd_channel *channel;
    struct nd_group *group;
    struct nd_arena *arena;
    struct echo_state echo;
    char identity[200]; /* as the last call had it */
};

/* After the handler, as a log or an audit does it. */
static struct nd_error *
note_identity(void *arg, struct nd_call *call, const void *in,
              const struct nd_interceptor_chain *next)
{
    struct nd_error *err = nd_interceptor_next(next);
    const struct nd_identity *i = nd_call_identity(call);
    struct secure *s = arg;

    (void)in;
    snprintf(s->identity, sizeof(s->identity), "%d %s %s %s", i->tls,
             i->cert_subject != NULL ? i->cert_subject : "-",
             i->cert_common_name != NULL ? i->cert_common_name : "-",
             i->cert_spiffe != NULL ? i->cert_spiffe : "-");
    return err;
}

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
dial_server(void *arg, struct nd_stream **ret)
{
    struct secure *s = arg;
    struct nd_stream *theirs;

    nd_stream_pair(CAPACITY_LARGE, ret, &theirs);
    nd_server_adopt(s->server, theirs, s->server_config);
    return NULL;
}

static struct nd_tls_config *
server_config(const char *name, bool require)
{
    char cert[64], key[64], ca[64], file[32];
    struct nd_tls_config *config;

    snprintf(file, sizeof(file), "%s.pem", name);
    pki_path(pki_now, file, cert);
    snprintf(file, sizeof(file), "%s.key", name);
    pki_path(pki_now, file, key);
    pki_path(pki_now, "ca.pem", ca);
    expect_ok(nd_tls_config_server(
        &(struct nd_tls_options){
            .cert_file = cert, .key_file = key, .ca_file = ca, .require_client_cert = require},
        &config));
    return config;
}

static struct nd_tls_config *
client_config(const char *name)
{
    char cert[64], key[64], ca[64], file[32];
    struct nd_tls_options o = {.ca_file = ca};
    struct nd_tls_config *config;

    pki_path(pki_now, "ca.pem", ca);
    if (name != NULL) {
        snprintf(file, sizeof(file), "%s.pem", name);
        pki_path(pki_now, file, cert);
        snprintf(file, sizeof(file), "%s.key", name);
        pki_path(pki_now, file, key);
        o.cert_file = cert;
        o.key_file = key;
    }
    expect_ok(nd_tls_config_client(&o, &config));
    return config;
}

static void
begin(struct secure *s, const char *client, bool require, const char *authority)
{
    const struct nd_addr addr = {.kind = ND_PEER_TCP, .host = "example.test", .port = 443};

    *s = (struct secure){0};
    s->server_config = server_config("server", require);
    s->client_config = client_config(client);
    s->server = nd_server_new(NULL);
    echo_add_to(&s->echo, s->server);
    nd_server_intercept(s->server, (struct nd_interceptor){.run = note_identity, .arg = s});
    s->group = nd_group_begin("server", 0);
    s->arena = nd_arena_new(0);
    expect_ok(nd_group_spawn(s->group, run_server, s->server));
    s->channel = nd_channel_new(&addr, &(struct nd_channel_options){.tls = s->client_config,
                                                                    .authority = authority,
                                                                    .dial = dial_server,
                                                                    .dial_arg = s});
}

static void
end(struct secure *s)
{
    nd_channel_free(s->channel);
    nd_server_stop(s->server, ND_SECOND);
    nd_group_end(s->group);
    nd_server_free(s->server);
    nd_tls_config_unref(s->server_config);
    nd_tls_config_unref(s->client_config);
    nd_arena_free(s->arena);
}

static struct nd_error *
call(struct secure *s, size_t size)
{
    ND_AUTO(nd_freep) uint8_t *bytes = nd_new_array(size, uint8_t);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.payload.data = bytes;
    req.payload.len = size;
    nd_arena_reset(s->arena);
    ND_TRY(nd_channel_unary(s->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &req, s->arena, &rsp));
    assert_int_equal(rsp->payload.len, size);
    return NULL;
}

WITH_PKI(the_handler_sees_who_calls)
{
    struct secure s;

    begin(&s, "client", true, NULL);
    expect_ok(call(&s, 10));
    assert_string_equal(s.identity, "1 CN=client,O=tests client spiffe://test/client");
    expect_ok(call(&s, 3000000));
    end(&s);
    return NULL;
}

WITH_PKI(who_called_is_known_after_the_connection_has_gone)
{
    struct nd_client_call *call;
    struct secure s;

    begin(&s, "client", true, NULL);
    expect_ok(nd_client_call_begin(s.channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    fixture_until(&s.echo.started, 1);
    nd_channel_free(ND_TAKE(s.channel));
    nd_client_call_end(call);
    fixture_until(&s.echo.ended, 1);
    assert_string_equal(s.identity, "1 CN=client,O=tests client spiffe://test/client");
    end(&s);
    return NULL;
}

WITH_PKI(without_a_certificate_there_is_no_identity)
{
    struct secure s;

    begin(&s, NULL, false, NULL);
    expect_ok(call(&s, 10));
    assert_string_equal(s.identity, "1 - - -");
    end(&s);
    return NULL;
}

WITH_PKI(a_failed_handshake_is_unavailable_and_says_why)
{
    static const struct {
        const char *client, *authority, *text;
    } cases[] = {
        {NULL, NULL, "certificate required"},
        {"foreign", NULL, "unknown ca"},
        {"old", NULL, "certificate expired"},
        {"client", "example.org", "hostname mismatch"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct secure s;
        struct nd_error *err;

        begin(&s, cases[i].client, true, cases[i].authority);
        err = call(&s, 1);
        if (strstr(nd_error_message(err), cases[i].text) == NULL)
            fail_msg("case %zu: %s", i, nd_error_message(err));
        expect_code(err, ND_UNAVAILABLE);
        assert_int_equal(s.echo.started, 0);
        end(&s);
    }
    return NULL;
}

WITH_PKI(a_new_certificate_is_for_new_connections)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *first = server_config("foreign", false);
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *second = server_config("server", false);
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *client = client_config(NULL);
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("server", 0);
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;
    struct nd_addr addr = {.kind = ND_PEER_TCP, .host = "127.0.0.1"};

    expect_ok(nd_server_listen(server, &addr, NULL, first, &addr));
    expect_ok(nd_group_spawn(group, run_server, server));
    channel = nd_channel_new(
        &addr, &(struct nd_channel_options){.tls = client, .authority = "example.test"});
    expect_code(nd_channel_connect(channel), ND_UNAVAILABLE);
    nd_server_replace_tls(server, second);
    expect_ok(nd_channel_connect(channel));
    nd_channel_freep(&channel);
    nd_server_stop(server, ND_SECOND);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handler_sees_who_calls),
        cmocka_unit_test(who_called_is_known_after_the_connection_has_gone),
        cmocka_unit_test(without_a_certificate_there_is_no_identity),
        cmocka_unit_test(a_failed_handshake_is_unavailable_and_says_why),
        cmocka_unit_test(a_new_certificate_is_for_new_connections),
    };

    return cmocka_run_group_tests(tests, pki_make, pki_drop);
}
