/* The messages of the four methods that connect us with a process. */

#include "attach.h"
#include "nerdctl_methods.h"

/* Signals, controls and replies of a method: the same members under other names. */
#define KIND(name, NAME, Name, path, id_member, ID)                                             \
    static void make_##name##_signal(union nd_attach_message *dst, char *signal)                \
    {                                                                                           \
        pb__container_service_##name##_request__init(&dst->name);                               \
        dst->name.request_case = PB__CONTAINER_SERVICE_##NAME##_REQUEST__REQUEST_SIGNAL;        \
        dst->name.signal = signal;                                                              \
    }                                                                                           \
    static void make_##name##_control(union nd_attach_message *dst, Pb__StreamControl *control) \
    {                                                                                           \
        pb__container_service_##name##_request__init(&dst->name);                               \
        dst->name.request_case = PB__CONTAINER_SERVICE_##NAME##_REQUEST__REQUEST_CONTROL;       \
        dst->name.control = control;                                                            \
    }                                                                                           \
    static void read_##name(const void *reply, struct nd_attach_event *event)                   \
    {                                                                                           \
        const Pb__ContainerService##Name##Response *r = reply;                                  \
                                                                                                \
        read_more_of_##name(r, event);                                                          \
        switch (r->response_case) {                                                             \
        case PB__CONTAINER_SERVICE_##NAME##_RESPONSE__RESPONSE_##ID:                            \
            event->id = r->id_member;                                                           \
            break;                                                                              \
        case PB__CONTAINER_SERVICE_##NAME##_RESPONSE__RESPONSE_OUTPUT:                          \
            event->output = r->output;                                                          \
            break;                                                                              \
        case PB__CONTAINER_SERVICE_##NAME##_RESPONSE__RESPONSE_EVENT:                           \
            event->stream = r->event;                                                           \
            break;                                                                              \
        case PB__CONTAINER_SERVICE_##NAME##_RESPONSE__RESPONSE_EXIT:                            \
            event->exit = r->exit;                                                              \
            break;                                                                              \
        default: /* newer daemons may say more than we understand */                            \
            break;                                                                              \
        }                                                                                       \
    }                                                                                           \
    const struct nd_attach_kind *nd_attach_kind_##name(void)                                    \
    {                                                                                           \
        static const struct nd_attach_kind kind = {                                             \
            .method = path,                                                                     \
            .make_signal = make_##name##_signal,                                                \
            .make_control = make_##name##_control,                                              \
            .read = read_##name,                                                                \
        };                                                                                      \
                                                                                                \
        return &kind;                                                                           \
    }

static void
read_more_of_run(const Pb__ContainerServiceRunResponse *r, struct nd_attach_event *event)
{
    event->warnings = r->warnings;
    event->n_warnings = r->n_warnings;
    if (r->response_case == PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_PROGRESS)
        event->progress = r->progress;
}

#define read_more_of_start(r, event)  ((void)(r))
#define read_more_of_attach(r, event) ((void)(r))
#define read_more_of_exec(r, event)   ((void)(r))

KIND(run, RUN, Run, PB_CONTAINER_SERVICE_RUN, container_id, CONTAINER_ID)
KIND(start, START, Start, PB_CONTAINER_SERVICE_START, container_id, CONTAINER_ID)
KIND(attach, ATTACH, Attach, PB_CONTAINER_SERVICE_ATTACH, container_id, CONTAINER_ID)
KIND(exec, EXEC, Exec, PB_CONTAINER_SERVICE_EXEC, exec_id, EXEC_ID)
