#ifndef OCI_PLATFORM_H
#define OCI_PLATFORM_H

/*
 * What a program is made for: "linux/amd64", "linux/arm/v7".
 * Follows: containerd's rules for normalising and matching. Context: any.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

#define ND_PLATFORM_PART_SIZE ((size_t)32) /* of each part, its NUL included */
#define ND_PLATFORM_TEXT_SIZE (3 * ND_PLATFORM_PART_SIZE)

/* A plain value, normalised: "amd64", never "x86_64". All empty: not known. */
struct nd_platform {
    char os[ND_PLATFORM_PART_SIZE];
    char architecture[ND_PLATFORM_PART_SIZE];
    char variant[ND_PLATFORM_PART_SIZE]; /* mostly empty */
};

/*
 * "os/architecture", "os/architecture/variant", or one of the two alone, the other one being the
 * host's. Fails: ND_INVALID
 */
struct nd_error *nd_platform_parse(struct nd_str text, struct nd_platform *ret) ND_CHECK_RESULT;

/* From the parts that a descriptor or a config has. Fails: ND_INVALID  a part too long or odd */
struct nd_error *nd_platform_make(struct nd_str os, struct nd_str architecture,
                                  struct nd_str variant, struct nd_platform *ret) ND_CHECK_RESULT;

/* What this program was compiled for. */
void nd_platform_host(struct nd_platform *ret);

/* "linux/arm/v7", NUL behind; "" when nothing is known. */
void nd_platform_format(const struct nd_platform *platform, char ret[ND_PLATFORM_TEXT_SIZE]);

bool nd_platform_eq(const struct nd_platform *a, const struct nd_platform *b);

/* Whether an image made for `image` runs on `machine`: the same, an older variant, or 32 bits of the
 * same family. */
bool nd_platform_runs(const struct nd_platform *machine, const struct nd_platform *image);

/* Whether `a` suits `machine` better than `b`; what does not run suits worst. */
bool nd_platform_better(const struct nd_platform *machine, const struct nd_platform *a,
                        const struct nd_platform *b);

#endif
