/*
 * What OpenSSL reads from and writes to: the bytes at hand, and nothing in between.
 *
 * OpenSSL's own memory BIOs keep a copy of what comes in and the largest buffer they ever needed, in
 * both directions, for as long as the connection lives. Ten thousand connections that wait for
 * something would hold a gigabyte for nothing. Here input is read where the lower stream delivered
 * it, and output is collected for one write and given back.
 */

#include "tls_priv.h"

static int
read_wire(BIO *bio, char *dst, int len)
{
    struct nd_tls_wire *wire = BIO_get_data(bio);
    size_t n = ND_MIN(wire->in.len, (size_t)len);

    BIO_clear_retry_flags(bio);
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
