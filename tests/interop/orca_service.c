/*
 * Load reports: what a client of the test service wants to see reported, as the message that
 * balancing clients read, and the service that tells it again and again.
 */

#include "base/alloc.h"
#include "codec/pb.h"
#include "fiber/fiber.h"

#include "orca_methods.h"
#include "test_service.h"

#define MIN_INTERVAL_NS (50 * ND_MILLISECOND)
#define MAX_INTERVAL_S  3600

typedef Xds__Data__Orca__V3__OrcaLoadReport Report;
typedef Xds__Data__Orca__V3__OrcaLoadReport__RequestCostEntry Cost;
typedef Xds__Data__Orca__V3__OrcaLoadReport__UtilizationEntry Utilization;

static Cost **
costs(struct nd_arena *arena, const Interop__TestOrcaReport *report)
{
    Cost **ret = nd_arena_new_array(arena, report->n_request_cost, Cost *);

    for (size_t i = 0; i < report->n_request_cost; i++) {
        ret[i] = nd_pb_new(&xds__data__orca__v3__orca_load_report__request_cost_entry__descriptor,
                           arena);
        ret[i]->key = report->request_cost[i]->key;
        ret[i]->value = report->request_cost[i]->value;
    }
    return ret;
}

static Utilization **
utilizations(struct nd_arena *arena, const Interop__TestOrcaReport *report)
{
    Utilization **ret = nd_arena_new_array(arena, report->n_utilization, Utilization *);

    for (size_t i = 0; i < report->n_utilization; i++) {
        ret[i] =
            nd_pb_new(&xds__data__orca__v3__orca_load_report__utilization_entry__descriptor, arena);
        ret[i]->key = report->utilization[i]->key;
        ret[i]->value = report->utilization[i]->value;
    }
    return ret;
}

/* Texts stay the report's. */
static Report
make_report(struct nd_arena *arena, const Interop__TestOrcaReport *report)
{
    Report ret = XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__INIT;

    if (report == NULL)
        return ret;
    ret.cpu_utilization = report->cpu_utilization;
    ret.mem_utilization = report->memory_utilization;
    ret.n_request_cost = report->n_request_cost;
    ret.request_cost = costs(arena, report);
    ret.n_utilization = report->n_utilization;
    ret.utilization = utilizations(arena, report);
    return ret;
}

struct nd_error *
orca_encode(const Interop__TestOrcaReport *report, struct nd_buf *buf)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const Report message = make_report(arena, report);

    return nd_pb_encode(&message, buf);
}

static int64_t
interval_ns(const OrcaService__OrcaLoadReportRequest *req)
{
    const Google__Protobuf__Duration *d = req->report_interval;

    if (d == NULL || d->seconds < 0 || d->seconds > MAX_INTERVAL_S)
        return MAX_INTERVAL_S * ND_SECOND;
    return ND_MAX(d->seconds * ND_SECOND + d->nanos, MIN_INTERVAL_NS);
}

static struct nd_error *
stream_core_metrics(struct nd_call *call, const void *in, void *out)
{
    const struct test_service *service = nd_call_user(call);

    (void)out;
    for (;;) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        const Report report = make_report(arena, service->report);

        ND_TRY(nd_call_send(call, &report));
        ND_TRY(nd_fiber_sleep(interval_ns(in)));
    }
}

static const struct nd_method_handler handlers[] = {
    {"StreamCoreMetrics", stream_core_metrics},
    {NULL, NULL},
};

void
orca_service_add_to(struct test_service *service, struct nd_server *server)
{
    nd_server_add(server, &orca_service_open_rca_service, handlers, service);
}
