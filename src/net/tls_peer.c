/* Who a certificate is for: subject, common name, SPIFFE id. Texts with a NUL inside count as absent:
 * they are made to be read differently by different programs. */

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"

#include "tls_priv.h"

static char *
text_of(const unsigned char *ptr, int len)
{
    if (ptr == NULL || len < 0 || memchr(ptr, 0, (size_t)len) != NULL)
        return NULL;
    return nd_strndup((const char *)ptr, (size_t)len);
}

static char *
subject_of(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    char *ptr;

    if (bio == NULL)
        return NULL;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(bio, &ptr);

        text = text_of((unsigned char *)ptr, (int)len);
    }
    BIO_free(bio);
    return text;
}

static char *
common_name_of(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    char *text;
    int len;

    if (at < 0)
        return NULL;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    text = text_of(utf8, len);
    OPENSSL_free(utf8);
    return text;
}

/* Exactly one URI, as the SPIFFE standard demands. */
static char *
spiffe_of(X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    const ASN1_IA5STRING *uri = NULL;
    char *text = NULL;
    int n_uris = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI)
            continue;
        uri = name->d.uniformResourceIdentifier;
        n_uris++;
    }
    if (n_uris == 1)
        text = text_of(ASN1_STRING_get0_data(uri), ASN1_STRING_length(uri));
    GENERAL_NAMES_free(names);
    if (text != NULL && !nd_str_starts(nd_str(text), ND_STR("spiffe://")))
        nd_free(ND_TAKE(text));
    return text;
}

void
nd_tls_peer_init(struct nd_tls_peer *peer, SSL *ssl)
{
    X509 *cert = SSL_get1_peer_certificate(ssl);

    *peer = (struct nd_tls_peer){NULL, NULL, NULL};
    if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        X509_free(cert);
        return;
    }
    peer->subject = subject_of(cert);
    peer->common_name = common_name_of(cert);
    peer->spiffe = spiffe_of(cert);
    X509_free(cert);
}

void
nd_tls_peer_fini(struct nd_tls_peer *peer)
{
    nd_free((char *)peer->subject);
    nd_free((char *)peer->common_name);
    nd_free((char *)peer->spiffe);
}
