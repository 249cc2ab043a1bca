/*
 * The version of the server: asked once over each connection, because the server behind a socket
 * may be another one after a restart. Texts of distributions carry suffixes ("1.6.20~ds1"), those
 * built from source a letter in front ("v2.0.1"): only the first two numbers are taken apart.
 */

#include "base/alloc.h"
#include "containerd/version.pb-c.h"

#include "ctrd_priv.h"

/* The digits at the front of `*rest`, as a number; 0 when there are none or too many. */
static unsigned
cut_number(struct nd_str *rest)
{
    uint64_t value = 0;
    size_t n = 0;

    while (n < rest->len && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
        n++;
    nd_error_free(nd_parse_u64(nd_str_sub(*rest, 0, n), UINT16_MAX, &value));
    *rest = nd_str_from(*rest, n);
    return (unsigned)value;
}

static void
take_apart(struct nd_str text, struct nd_ctrd_version *ret)
{
    if (nd_str_starts(text, ND_STR("v")))
        text = nd_str_from(text, 1);
    ret->major = cut_number(&text);
    ret->minor = 0;
    if (nd_str_starts(text, ND_STR("."))) {
        text = nd_str_from(text, 1);
        ret->minor = cut_number(&text);
    }
}

static void
remember(struct nd_ctrd *ctrd, const CtVersion__VersionResponse *rsp)
{
    nd_free(ctrd->version_text);
    nd_free(ctrd->version_revision);
    ctrd->version_text = nd_strdup(rsp->version);
    ctrd->version_revision = nd_strdup(rsp->revision);
    ctrd->version.text = ctrd->version_text;
    ctrd->version.revision = ctrd->version_revision;
    take_apart(nd_str(rsp->version), &ctrd->version);
}

struct nd_error *
nd_ctrd_version(struct nd_ctrd *ctrd, struct nd_ctrd_version *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    Google__Protobuf__Empty req = GOOGLE__PROTOBUF__EMPTY__INIT;
    CtVersion__VersionResponse *rsp;
    const struct nd_ctrd_scope scope = {NULL, NULL};

    if (!ctrd->connected || ctrd->version_of != ctrd->connections) {
        uint64_t losses = ctrd->losses;

        arena = nd_arena_new(0);
        ND_TRY(nd_ctrd_call(ctrd, scope, CT_VERSION_VERSION, &req, arena, &rsp));
        remember(ctrd, rsp);
        ctrd->version_of = ctrd->losses == losses && ctrd->connected ? ctrd->connections : 0;
    }
    *ret = ctrd->version;
    return NULL;
}
