#ifndef NET_TLS_PRIV_H
#define NET_TLS_PRIV_H

/* What the files of TLS share: tls_config.c, tls_stream.c, tls_bio.c, tls_peer.c. */

#include <openssl/ssl.h>

#include "base/buf.h"
#include "net/tls.h"

#include "meter_priv.h"

struct nd_tls_config {
    SSL_CTX *ctx;
    BIO_METHOD *wire; /* of the streams' BIOs */
    unsigned refs;    /* the loop's thread only */
    bool server;
    bool skip_verify;
};

/* The encrypted bytes of a connection, as its BIO sees them. */
struct nd_tls_wire {
    struct nd_str in;  /* not read yet; borrowed */
    struct nd_buf out; /* not taken yet */
    struct nd_meter messages;
    bool broken; /* by more of them than anybody needs: nothing is read any more */
};

/* Freed by BIO_meth_free() after the last BIO. */
BIO_METHOD *nd_tls_bio_method_new(void);

/*
 * Of an SSL_CTX: messages of TLS itself are counted in the wire, which is the callback's argument.
 */
void nd_tls_count_messages(SSL_CTX *ctx);

/* A BIO for both directions; `wire` must outlive it. */
BIO *nd_tls_bio_new(const BIO_METHOD *method, struct nd_tls_wire *wire);

/* An error with the text of OpenSSL's queue, which is emptied. */
struct nd_error *nd_tls_error(enum nd_code code, const char *what) ND_NEW_ERROR;

/* Who the verified peer of `ssl` is; the texts are the caller's: nd_tls_peer_fini(). */
void nd_tls_peer_init(struct nd_tls_peer *peer, SSL *ssl);
void nd_tls_peer_fini(struct nd_tls_peer *peer);

#endif
