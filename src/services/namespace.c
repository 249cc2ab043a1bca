/* nerdctl.v1.NamespaceService. */

#include "namespace/namespaces.h"

#include "services_priv.h"

static struct nd_error *
namespace_list(struct nd_call *call, const void *in, void *out)
{
    return nd_namespaces_list(nd_services_of(call)->host, in, nd_call_arena(call), out);
}

const struct nd_method_handler nd_namespace_handlers[] = {
    {"List", namespace_list},
    {NULL, NULL},
};
