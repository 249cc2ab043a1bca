/* Who calls over TLS, and that the answer lasts as long as the handler that asks. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fixture.h"

/* One certificate that signs itself, for both ends, and its key, in one file. */
struct credentials {
    char path[32];
    struct nd_tls_config *server, *client;
};

static void
write_certificate(FILE *f)
{
    static const unsigned char name[] = "localhost";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_EXTENSION *san =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,URI:spiffe://test/me");

    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, san, -1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    X509_EXTENSION_free(san);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void
credentials_begin(struct credentials *c)
{
    struct nd_tls_options o = {.cert_file = c->path, .key_file = c->path, .ca_file = c->path};
    FILE *f;

    snprintf(c->path, sizeof(c->path), "/tmp/nd-identity-XXXXXX");
    f = fdopen(mkstemp(c->path), "w");
    assert_non_null(f);
    write_certificate(f);
    fclose(f);
    o.require_client_cert = true;
    expect_ok(nd_tls_config_server(&o, &c->server));
    o.require_client_cert = false;
    expect_ok(nd_tls_config_client(&o, &c->client));
    unlink(c->path);
}

static void
credentials_end(struct credentials *c)
{
    nd_tls_config_unref(c->server);
    nd_tls_config_unref(c->client);
}

/* What an interceptor saw after the handler. */
struct seen {
    unsigned calls;
    char subject[64], common_name[64], spiffe[64];
};

static struct nd_error *
look(void *arg, struct nd_call *call, const void *in ND_UNUSED,
     const struct nd_interceptor_chain *next)
{
    struct seen *seen = arg;
    struct nd_error *err = nd_interceptor_next(next);
    const struct nd_identity *who = nd_call_identity(call);

    assert_true(who->tls);
    snprintf(seen->subject, sizeof(seen->subject), "%s", who->cert_subject);
    snprintf(seen->common_name, sizeof(seen->common_name), "%s", who->cert_common_name);
    snprintf(seen->spiffe, sizeof(seen->spiffe), "%s", who->cert_spiffe);
    seen->calls++;
    return err;
}

static void
expect_seen(const struct seen *seen, unsigned calls)
{
    assert_int_equal(seen->calls, calls);
    assert_string_equal(seen->subject, "CN=localhost");
    assert_string_equal(seen->common_name, "localhost");
    assert_string_equal(seen->spiffe, "spiffe://test/me");
}

IN_LOOP(the_certificate_is_known_after_its_connection_has_gone)
{
    struct credentials c;
    struct seen seen = {0};

    credentials_begin(&c);
    {
        ND_AUTO(fixture_endp)
        struct fixture *f =
            fixture_begin(&(struct fixture_options){.tls = c.server, .channel = {.tls = c.client}});
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

        nd_server_intercept(f->server, (struct nd_interceptor){look, &seen});
        expect_ok(fixture_echo(f, 10));
        expect_seen(&seen, 1);
        expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
        fixture_until(&f->echo.started, 2);
        seen = (struct seen){.calls = 1};
        nd_channel_free(ND_TAKE(f->channel));
        fixture_until(&f->echo.ended, 2);
        expect_seen(&seen, 2);
    }
    credentials_end(&c);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_certificate_is_known_after_its_connection_has_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
