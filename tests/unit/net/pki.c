/* See pki.h. */

#include "pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"

struct pki {
    char dir[32];
    X509 *ca;
    EVP_PKEY *ca_key;
    long serial;
};

const struct pki *pki_now;

void
pki_path(const struct pki *pki, const char *name, char dst[64])
{
    snprintf(dst, 64, "%s/%s", pki->dir, name);
}

static void
add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

static void
save(const struct pki *pki, const char *name, X509 *cert, EVP_PKEY *key)
{
    char path[64], file[16];
    FILE *f;

    snprintf(file, sizeof(file), "%s.pem", name);
    pki_path(pki, file, path);
    f = fopen(path, "w");
    assert_true(PEM_write_X509(f, cert) == 1);
    fclose(f);
    snprintf(file, sizeof(file), "%s.key", name);
    pki_path(pki, file, path);
    f = fopen(path, "w");
    assert_true(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
}

/* A certificate, signed by the authority, or by itself to become that. */
static void
issue(struct pki *pki, const char *name, const char *common_name, const char *alt_names, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    bool is_ca = pki->ca == NULL;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++pki->serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"tests", -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1,
                               -1, 0);
    X509_set_issuer_name(cert, is_ca ? subject : X509_get_subject_name(pki->ca));
    X509_set_pubkey(cert, key);
    if (is_ca)
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    if (alt_names != NULL)
        add_extension(cert, NID_subject_alt_name, alt_names);
    assert_true(X509_sign(cert, is_ca ? key : pki->ca_key, EVP_sha256()) > 0);
    save(pki, name, cert, key);
    if (is_ca) {
        pki->ca = cert;
        pki->ca_key = key;
    } else {
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

int
pki_make(void **state)
{
    struct pki *pki = nd_new(struct pki);
    struct pki other = {.dir = ""};

    snprintf(pki->dir, sizeof(pki->dir), "/tmp/nd-tls-XXXXXX");
    assert_non_null(mkdtemp(pki->dir));
    issue(pki, "ca", "test CA", NULL, 2);
    issue(pki, "server", "server", "DNS:example.test,DNS:*.wild.test,IP:192.0.2.7", 2);
    issue(pki, "client", "client", "URI:spiffe://test/client", 2);
    issue(pki, "twouris", "client", "URI:spiffe://test/a,URI:spiffe://test/b", 2);
    issue(pki, "old", "client", NULL, -1);
    memcpy(other.dir, pki->dir, sizeof(other.dir));
    issue(&other, "otherca", "another CA", NULL, 2);
    issue(&other, "foreign", "client", NULL, 2);
    X509_free(other.ca);
    EVP_PKEY_free(other.ca_key);
    *state = pki;
    return 0;
}

int
pki_drop(void **state)
{
    static const char *const names[] = {"ca",  "server",  "client", "twouris",
                                        "old", "otherca", "foreign"};
    struct pki *pki = *state;

    for (size_t i = 0; i < ND_LEN(names); i++) {
        char file[16], path[64];

        snprintf(file, sizeof(file), "%s.pem", names[i]);
        pki_path(pki, file, path);
        unlink(path);
        snprintf(file, sizeof(file), "%s.key", names[i]);
        pki_path(pki, file, path);
        unlink(path);
    }
    rmdir(pki->dir);
    X509_free(pki->ca);
    EVP_PKEY_free(pki->ca_key);
    nd_free(pki);
    return 0;
}

void
pki_run(void **state, nd_fiber_fn *body)
{
    pki_now = *state;
    run_loop_test(body, false);
}
