/*
 * nerdctl.v1.SystemService.
 *
 * The header of an event stream is sent before its first message, as soon as nothing that happens
 * can be missed any more: a client that waits for it can then do what it wants to see the events
 * of.
 */

#include "system/system.h"

#include "services/version.h"

#include "services_priv.h"

static struct nd_error *
system_version(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    return nd_system_version(nd_services_of(call)->host, ND_VERSION, ND_GIT_COMMIT,
                             nd_call_arena(call), out);
}

static struct nd_error *
system_info(struct nd_call *call, const void *in, void *out)
{
    const char *ns;

    (void)in;
    ND_TRY(nd_services_namespace(call, &ns));
    return nd_system_info(nd_services_of(call)->containers, ns, ND_VERSION, nd_call_arena(call),
                          out);
}

static struct nd_error *
system_ping(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    return nd_system_ping(nd_services_of(call)->host, nd_call_arena(call), out);
}

static struct nd_error *
send_header(void *arg)
{
    return nd_call_send_header(arg);
}

static struct nd_error *
send_event(void *arg, const Pb__SystemServiceEventsResponse *event)
{
    return nd_call_send(arg, event);
}

static struct nd_error *
system_events(struct nd_call *call, const void *in, void *out)
{
    const struct nd_event_sink sink = {.listening = send_header, .put = send_event, .arg = call};
    const char *ns;

    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    return nd_system_events(nd_services_of(call)->host, ns, in, &sink);
}

const struct nd_method_handler nd_system_handlers[] = {
    {"Version", system_version}, {"Info", system_info}, {"Ping", system_ping},
    {"Events", system_events},   {NULL, NULL},
};
