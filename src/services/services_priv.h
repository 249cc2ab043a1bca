#ifndef SERVICES_PRIV_H
#define SERVICES_PRIV_H

/* What the files of this room share: the tables of handlers and two questions about a call. */

#include "host/host.h"
#include "services/services.h"

#include "nerdctl_methods.h"

extern const struct nd_method_handler nd_container_handlers[];
extern const struct nd_method_handler nd_image_handlers[];
extern const struct nd_method_handler nd_namespace_handlers[];
extern const struct nd_method_handler nd_operation_handlers[];
extern const struct nd_method_handler nd_system_handlers[];

/* Handlers in other files than the table that they stand in. */
nd_handler nd_handle_container_attach, nd_handle_container_exec;

/* The nd_services of a call. */
static inline struct nd_services *
nd_services_of(struct nd_call *call)
{
    return nd_call_user(call);
}

/*
 * The containerd namespace of a call: metadata "containerd-namespace", else the default one. NUL-
 * terminated, in the call's arena. Fails: ND_INVALID about "containerd-namespace".
 */
struct nd_error *nd_services_namespace(struct nd_call *call, const char **ret) ND_CHECK_RESULT;

/*
 * Takes `err` of what is asked for in the first message of a stream: its fields lie in "options"
 * there, which is no affair of who checks them. NULL is fine.
 */
struct nd_error *nd_services_in_options(struct nd_error *err) ND_CHECK_RESULT;

/*
 * A unary method: the engine's function with the same request and reply, on a member of
 * nd_services, in the call's namespace.
 */
#define ND_UNARY(method, function, member)                                               \
    static struct nd_error *method(struct nd_call *call, const void *in, void *out)      \
    {                                                                                    \
        const char *ns;                                                                  \
                                                                                         \
        ND_TRY(nd_services_namespace(call, &ns));                                        \
        return function(nd_services_of(call)->member, ns, in, nd_call_arena(call), out); \
    }

/* A borrowed text as a member of a message, which protobuf-c declares without const. */
static inline char *
nd_text(const char *text)
{
    return (char *)text;
}

/* Borrowed bytes as a member of a message. */
static inline ProtobufCBinaryData
nd_bytes(struct nd_str bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)bytes.ptr};
}

#endif
