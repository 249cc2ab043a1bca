/*
 * What OpenSSL reads from and writes to: the bytes at hand, and nothing in between.
 *
 * OpenSSL's own memory BIOs keep a copy of what comes in and the largest buffer they ever needed,
 * in both directions, for as long as the connection lives. Ten thousand connections that wait for
 * something would hold a gigabyte for nothing. Here input is read where the lower stream delivered
 * it, and output is collected for one write and given back.
 *
 * TLS has messages of its own that a peer may send at any time, each of which costs us key
 * derivations and an answer, for thirty bytes: a request for new keys, a renegotiation that is
 * declined. OpenSSL works through all that have come before it returns. So they are counted here,
 * and beyond what anybody needs there is nothing more to read.
 */

#include "net/limits.h"

#include "tls_priv.h"

static int
read_wire(BIO *bio, char *dst, int len)
{
    struct nd_tls_wire *wire = BIO_get_data(bio);
    size_t n = ND_MIN(wire->in.len, (size_t)len);

    BIO_clear_retry_flags(bio);
    if (wire->broken)
        return -1;
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(dst, wire->in.ptr, n);
    wire->in = nd_str_from(wire->in, n);
    return (int)n;
}

static int
write_wire(BIO *bio, const char *src, int len)
{
    struct nd_tls_wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    nd_buf_put(&wire->out, nd_str_n(src, (size_t)len));
    return len;
}

/* Nothing is held back, so a flush is always done; of everything else it knows nothing. */
static long
control(BIO *bio, int command, long number, void *ptr)
{
    (void)bio, (void)number, (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *
nd_tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "nd wire");

    ND_INVARIANT(method != NULL);
    BIO_meth_set_read(method, read_wire);
    BIO_meth_set_write(method, write_wire);
    BIO_meth_set_ctrl(method, control);
    return method;
}

BIO *
nd_tls_bio_new(const BIO_METHOD *method, struct nd_tls_wire *wire)
{
    BIO *bio = BIO_new(method);

    ND_INVARIANT(bio != NULL);
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}

/* Handshake messages and alerts, in both directions. */
static void /* NOLINTNEXTLINE(readability-function-size): OpenSSL's signature */
count_message(int is_ours, int version, int type, const void *ptr, size_t len, SSL *ssl, void *arg)
{
    struct nd_tls_wire *wire = arg;

    (void)is_ours, (void)version, (void)ptr, (void)len, (void)ssl;
    if (wire == NULL || (type != SSL3_RT_HANDSHAKE && type != SSL3_RT_ALERT))
        return;
    if (!nd_meter_take(&wire->messages, ND_NET_TLS_MESSAGES))
        wire->broken = true;
}

void
nd_tls_count_messages(SSL_CTX *ctx)
{
    SSL_CTX_set_msg_callback(ctx, count_message);
}
