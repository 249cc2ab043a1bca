/*
 * Health: a table of names and statuses, and one condition for all who watch it. A watcher that
 * wakes compares with what it sent last, so a slow client gets the latest status and never a queue
 * of old ones.
 *
 * A watch has no end of its own. When the server shuts down it tells the last status and ends, so
 * that a graceful stop does not wait for it.
 */

#include "grpc/health.h"

#include "base/alloc.h"
#include "base/map.h"
#include "fiber/sync.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/limits.h"

#include "grpc_health_methods.h"

struct service {
    enum nd_health_status status;
};

struct nd_health {
    struct nd_map *services; /* name -> struct service */
    struct nd_cond changed;
    bool shut_down;
};

static void
set(struct nd_health *h, struct nd_str name, enum nd_health_status status)
{
    struct service *service = nd_map_find(h->services, name);

    if (service == NULL) {
        service = nd_new(struct service);
        nd_map_set(h->services, name, service);
    }
    service->status = status;
    nd_cond_broadcast(&h->changed);
}

struct nd_health *
nd_health_new(void)
{
    struct nd_health *h = nd_new(struct nd_health);

    h->services = nd_map_new();
    set(h, ND_STR(""), ND_HEALTH_SERVING);
    return h;
}

void
nd_health_free(struct nd_health *h)
{
    struct nd_str name;
    size_t pos = 0;
    void *service;

    if (h == NULL)
        return;
    while (nd_map_next(h->services, &pos, &name, &service))
        nd_free(service);
    nd_map_free(h->services);
    nd_free(h);
}

void
nd_health_freep(struct nd_health **health)
{
    nd_health_free(ND_TAKE(*health));
}

void
nd_health_set(struct nd_health *h, struct nd_str service, enum nd_health_status status)
{
    if (!h->shut_down)
        set(h, service, status);
}

void
nd_health_shutdown(struct nd_health *h)
{
    struct nd_str name;
    size_t pos = 0;
    void *service;

    h->shut_down = true;
    while (nd_map_next(h->services, &pos, &name, &service))
        ((struct service *)service)->status = ND_HEALTH_NOT_SERVING;
    nd_cond_broadcast(&h->changed);
}

/* The numbers of the wire are those of nd_health_status. */
static GrpcHealth__HealthCheckResponse__ServingStatus
wire_status(const struct nd_health *h, const char *name)
{
    const struct service *service = nd_map_find(h->services, nd_str(name));

    return service != NULL ? (GrpcHealth__HealthCheckResponse__ServingStatus)service->status
                           : GRPC_HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
}

static struct nd_error *
check(struct nd_call *call, const void *in, void *out)
{
    const GrpcHealth__HealthCheckRequest *req = in;
    GrpcHealth__HealthCheckResponse *rsp = out;

    rsp->status = wire_status(nd_call_user(call), req->service);
    if (rsp->status == GRPC_HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN)
        return nd_error_new(ND_NOT_FOUND, "unknown service");
    return NULL;
}

static struct nd_error *
watch(struct nd_call *call, const void *in, void *out)
{
    const GrpcHealth__HealthCheckRequest *req = in;
    GrpcHealth__HealthCheckResponse rsp = GRPC_HEALTH__HEALTH_CHECK_RESPONSE__INIT;
    struct nd_health *h = nd_call_user(call);

    (void)out;
    nd_doing("watch health");
    for (;;) {
        rsp.status = wire_status(h, req->service);
        ND_TRY(nd_call_send(call, &rsp));
        while (!h->shut_down && rsp.status == wire_status(h, req->service))
            ND_TRY(nd_cond_wait(&h->changed));
        if (rsp.status == wire_status(h, req->service))
            return nd_error_new(ND_UNAVAILABLE, "the server is shutting down");
    }
}

static struct nd_error *
list(struct nd_call *call, const void *in, void *out)
{
    const struct nd_health *h = nd_call_user(call);
    GrpcHealth__HealthListResponse *rsp = out;
    struct nd_arena *arena = nd_call_arena(call);
    struct nd_str name;
    size_t pos = 0;
    void *service;

    (void)in;
    if (nd_map_count(h->services) > ND_GRPC_MAX_HEALTH_LIST)
        return nd_error_new(ND_EXHAUSTED, "more than %u services", ND_GRPC_MAX_HEALTH_LIST);
    rsp->statuses = nd_arena_new_array(arena, nd_map_count(h->services),
                                       GrpcHealth__HealthListResponse__StatusesEntry *);
    while (nd_map_next(h->services, &pos, &name, &service)) {
        GrpcHealth__HealthListResponse__StatusesEntry *entry =
            nd_arena_new_object(arena, GrpcHealth__HealthListResponse__StatusesEntry);

        grpc_health__health_list_response__statuses_entry__init(entry);
        entry->key = nd_arena_str(arena, name);
        entry->value = nd_arena_new_object(arena, GrpcHealth__HealthCheckResponse);
        grpc_health__health_check_response__init(entry->value);
        entry->value->status = wire_status(h, entry->key);
        rsp->statuses[rsp->n_statuses++] = entry;
    }
    return NULL;
}

static const struct nd_method_handler handlers[] = {
    {"Check", check},
    {"Watch", watch},
    {"List", list},
    {NULL, NULL},
};

void
nd_health_add_to(struct nd_health *h, struct nd_server *server)
{
    nd_server_add(server, &grpc_health, handlers, h);
}
