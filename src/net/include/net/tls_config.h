#ifndef NET_TLS_CONFIG_H
#define NET_TLS_CONFIG_H

/*
 * TLS settings of a listener or a channel: TLS 1.2 and 1.3, ALPN h2. Reference counted, because
 * connections outlive a reload. Follows: contracts/grpc-wire.md 3.3.
 */

#include "base/defs.h"
#include "base/error.h"

struct nd_tls_config;

struct nd_tls_options {
    const char *cert_file;     /* PEM chain; server: required; client: for mTLS */
    const char *key_file;      /* PEM */
    const char *ca_file;       /* PEM; server: whose client certificates are accepted; client: roots
                            (NULL: the system's) */
    bool require_client_cert;  /* server; else it is asked for, and verified when it comes */
    bool insecure_skip_verify; /* client: tests only */
};

/*
 * Reads the files at once; `*ret` is the caller's reference.
 * Fails: ND_NOT_FOUND, ND_DENIED, ND_INVALID; the message names the file.
 * Context: fiber (reads on a thread) or outside a loop.
 */
struct nd_error *nd_tls_config_server(const struct nd_tls_options *options,
                                      struct nd_tls_config **ret) ND_CHECK_RESULT;
struct nd_error *nd_tls_config_client(const struct nd_tls_options *options,
                                      struct nd_tls_config **ret) ND_CHECK_RESULT;

/*
 * References; the last one frees it. Not atomic: all on one thread. Context: fiber, loop, or
 * outside.
 */
struct nd_tls_config *nd_tls_config_ref(struct nd_tls_config *config);
void nd_tls_config_unref(struct nd_tls_config *config); /* NULL is fine */
void nd_tls_config_unrefp(struct nd_tls_config **config);

#endif
