/*
 * The services as one list, and what their handlers have in common.
 */

#include "services/services.h"

#include "services_priv.h"

static const struct {
    const struct nd_service_desc *desc;
    const struct nd_method_handler *handlers;
} services[] = {
    {&pb_container_service, nd_container_handlers}, {&pb_image_service, nd_image_handlers},
    {&pb_namespace_service, nd_namespace_handlers}, {&pb_operation_service, nd_operation_handlers},
    {&pb_system_service, nd_system_handlers},
};

void
nd_services_add_to(struct nd_server *server, struct nd_services *s)
{
    for (size_t i = 0; i < ND_LEN(services); i++)
        nd_server_add(server, services[i].desc, services[i].handlers, s);
}

const char *const *
nd_services_names(void)
{
    static const char *const names[] = {
        "nerdctl.v1.ContainerService", "nerdctl.v1.ImageService",  "nerdctl.v1.NamespaceService",
        "nerdctl.v1.OperationService", "nerdctl.v1.SystemService", NULL,
    };

    return names;
}

struct nd_error *
nd_services_namespace(struct nd_call *call, const char **ret)
{
    struct nd_services *s = nd_services_of(call);
    struct nd_str ns;

    if (!nd_metadata_find(nd_call_metadata(call), ND_STR("containerd-namespace"), &ns) ||
        ns.len == 0)
        ns = nd_str(nd_host_settings(s->host)->default_namespace);
    ND_TRY(nd_namespace_check(ns));
    *ret = nd_arena_str(nd_call_arena(call), ns);
    return NULL;
}

struct nd_error *
nd_services_in_options(struct nd_error *err)
{
    return err != NULL && nd_error_get_field(err) != NULL ? nd_error_in_field(err, "options") : err;
}
