/*
 * TLS settings: what is read from files, once, into an SSL_CTX that all connections share.
 *
 * TLS 1.2 with ephemeral keys and AEAD ciphers only (the list that HTTP/2 allows), or 1.3. No
 * compression, no renegotiation, no session tickets: a resumed session would skip the check of a
 * client certificate that has been withdrawn since.
 */

#include "net/tls_config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/alloc.h"
#include "fiber/work.h"

#include "tls_priv.h"

static const unsigned char alpn_h2[] = {2, 'h', '2'};

struct nd_error *
nd_tls_error(enum nd_code code, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(e);
    struct nd_error *err =
        nd_error_new(code, "%s: %s", what, reason != NULL ? reason : "unknown failure");

    ERR_clear_error();
    return err;
}

/* OpenSSL's text says nothing about why a file cannot be opened. */
static struct nd_error *
check_readable(const char *file)
{
    ND_AUTO(nd_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return nd_error_errno(errno, "read %s", file);
    return NULL;
}

static struct nd_error *
load_certificate(SSL_CTX *ctx, const struct nd_tls_options *o)
{
    if (o->cert_file == NULL || o->key_file == NULL)
        return nd_error_new(ND_INVALID, "a certificate needs both cert_file and key_file");
    ND_TRY(check_readable(o->cert_file));
    ND_TRY(check_readable(o->key_file));
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
        return nd_tls_error(ND_INVALID, o->cert_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
        return nd_tls_error(ND_INVALID, o->key_file);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return nd_error_new(ND_INVALID, "%s is not the key of %s", o->key_file, o->cert_file);
    return NULL;
}

static struct nd_error *
load_authorities(SSL_CTX *ctx, const char *file)
{
    ND_TRY(check_readable(file));
    if (SSL_CTX_load_verify_locations(ctx, file, NULL) != 1)
        return nd_tls_error(ND_INVALID, file);
    return NULL;
}

static int
select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
          unsigned in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, alpn_h2, sizeof(alpn_h2), in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A client that does not speak of protocols is told at once, before anything costly. */
static int
demand_alpn(SSL *ssl, int *alert, void *arg)
{
    const unsigned char *list;
    size_t len;

    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &list,
                                  &len) == 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static struct nd_error *
set_up_server(SSL_CTX *ctx, const struct nd_tls_options *o)
{
    ND_TRY(load_certificate(ctx, o));
    SSL_CTX_set_alpn_select_cb(ctx, select_h2, NULL);
    SSL_CTX_set_client_hello_cb(ctx, demand_alpn, NULL);
    if (o->ca_file == NULL) {
        if (o->require_client_cert)
            return nd_error_new(ND_INVALID, "require_client_cert needs a ca_file");
        return NULL;
    }
    ND_TRY(load_authorities(ctx, o->ca_file));
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(o->ca_file));
    SSL_CTX_set_verify(
        ctx, SSL_VERIFY_PEER | (o->require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return NULL;
}

static struct nd_error *
set_up_client(SSL_CTX *ctx, const struct nd_tls_options *o)
{
    if (o->cert_file != NULL || o->key_file != NULL)
        ND_TRY(load_certificate(ctx, o));
    SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof(alpn_h2));
    SSL_CTX_set_verify(ctx, o->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (o->ca_file != NULL)
        return load_authorities(ctx, o->ca_file);
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return nd_tls_error(ND_INTERNAL, "the system's certificate authorities");
    return NULL;
}

struct load_job {
    const struct nd_tls_options *options;
    bool server;
    SSL_CTX *ctx;
    struct nd_error *err;
};

static void
load(void *arg)
{
    struct load_job *job = arg;

    ERR_clear_error();
    job->ctx = SSL_CTX_new(TLS_method());
    if (job->ctx == NULL) {
        job->err = nd_tls_error(ND_INTERNAL, "OpenSSL");
        return;
    }
    SSL_CTX_set_min_proto_version(job->ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(job->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(job->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(job->ctx, 0);
    SSL_CTX_set_session_cache_mode(job->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(job->ctx, SSL_MODE_RELEASE_BUFFERS);
    nd_tls_count_messages(job->ctx);
    job->err =
        job->server ? set_up_server(job->ctx, job->options) : set_up_client(job->ctx, job->options);
    ERR_clear_error();
}

static struct nd_error *
make_config(const struct nd_tls_options *options, bool server, struct nd_tls_config **ret)
{
    struct load_job job = {.options = options, .server = server};

    if (nd_fiber_is_current())
        ND_TRY(nd_work(ND_WORK_SHORT, load, &job));
    else
        load(&job);
    if (job.err != NULL) {
        SSL_CTX_free(job.ctx);
        return job.err;
    }
    *ret = nd_new(struct nd_tls_config);
    **ret = (struct nd_tls_config){
        .ctx = job.ctx,
        .wire = nd_tls_bio_method_new(),
        .refs = 1,
        .server = server,
        .skip_verify = options->insecure_skip_verify,
    };
    return NULL;
}

struct nd_error *
nd_tls_config_server(const struct nd_tls_options *options, struct nd_tls_config **ret)
{
    return make_config(options, true, ret);
}

struct nd_error *
nd_tls_config_client(const struct nd_tls_options *options, struct nd_tls_config **ret)
{
    return make_config(options, false, ret);
}

struct nd_tls_config *
nd_tls_config_ref(struct nd_tls_config *config)
{
    config->refs++;
    return config;
}

void
nd_tls_config_unref(struct nd_tls_config *config)
{
    if (config == NULL || --config->refs != 0)
        return;
    SSL_CTX_free(config->ctx);
    BIO_meth_free(config->wire);
    nd_free(config);
}

void
nd_tls_config_unrefp(struct nd_tls_config **config)
{
    nd_tls_config_unref(ND_TAKE(*config));
}
