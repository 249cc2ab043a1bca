#ifndef SERVICES_PRIV_H
#define SERVICES_PRIV_H

/* What the files of this room share: the tables of handlers and two questions about a call. */

#include "host/host.h"
#include "services/services.h"

#include "nerdctl_methods.h"

extern const struct nd_method_handler nd_container_handlers[];
extern const struct nd_method_handler nd_image_handlers[];
extern const struct nd_method_handler nd_namespace_handlers[];
extern const struct nd_method_handler nd_system_handlers[];

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

/* A borrowed text as a member of a message, which protobuf-c declares without const. */
static inline char *
nd_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Borrowed bytes as a member of a message. */
static inline ProtobufCBinaryData
nd_bytes(struct nd_str bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.ptr};
}

#endif
