#ifndef TESTS_UNIT_NET_PKI_H
#define TESTS_UNIT_NET_PKI_H

/*
 * Certificates for tests, made in a folder of their own:
 *
 *     ca                  an authority
 *     server              for example.test, *.wild.test, 192.0.2.7
 *     client              CN=client,O=tests, spiffe://test/client
 *     twouris, old        clients with two URIs, and out of date
 *     otherca, foreign    an authority that nobody trusts, and its client
 */

#include "../fiber/in_loop.h"

struct pki;

/* "<folder>/<name>"; names are "server.pem", "server.key" and so on. */
void pki_path(const struct pki *pki, const char *name, char dst[64]);

/* Set-up and tear-down of a group of tests. */
int pki_make(void **state);
int pki_drop(void **state);

/* Of the running test: the loop's first fiber finds it here. */
extern const struct pki *pki_now;
void pki_run(void **state, nd_fiber_fn *body);

#define WITH_PKI(name)                           \
    static struct nd_error *name##_body(void *); \
    static void name(void **state)               \
    {                                            \
        pki_run(state, name##_body);             \
    }                                            \
    static struct nd_error *name##_body(void *arg ND_UNUSED)

#endif
