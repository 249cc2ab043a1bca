#ifndef OCI_SECCOMP_H
#define OCI_SECCOMP_H

/*
 * The default seccomp profile, computed for a set of capabilities, a kernel and an architecture.
 * Follows: contracts/seccomp.md. Context: any.
 */

#include "codec/json_writer.h"
#include "oci/capability.h"

struct nd_seccomp_input {
    nd_capset bounding; /* of the final spec */
    unsigned kernel_major, kernel_minor;
    const char *arch; /* "amd64", "arm64", ...: as platforms name it */
};

/* Write the object for linux.seccomp. */
void nd_seccomp_write(const struct nd_seccomp_input *input, struct nd_json_writer *w);

#endif
