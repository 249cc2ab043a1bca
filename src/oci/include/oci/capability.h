#ifndef OCI_CAPABILITY_H
#define OCI_CAPABILITY_H

/*
 * Linux capabilities as a set of bits, numbered as the kernel numbers them.
 * Follows: capabilities(7); contracts/nerdctl-interop.md 4.1. Context: any.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

typedef uint64_t nd_capset;

#define ND_CAP_BIT(n) (UINT64_C(1) << (n))

/* Numbers that others ask for; the table in capability.c has all of them. */
enum {
    ND_CAP_DAC_READ_SEARCH = 2,
    ND_CAP_SYS_MODULE = 16,
    ND_CAP_SYS_RAWIO = 17,
    ND_CAP_SYS_CHROOT = 18,
    ND_CAP_SYS_PTRACE = 19,
    ND_CAP_SYS_PACCT = 20,
    ND_CAP_SYS_ADMIN = 21,
    ND_CAP_SYS_BOOT = 22,
    ND_CAP_SYS_NICE = 23,
    ND_CAP_SYS_RESOURCE = 24,
    ND_CAP_SYS_TIME = 25,
    ND_CAP_SYS_TTY_CONFIG = 26,
    ND_CAP_SYSLOG = 34,
    ND_CAP_PERFMON = 38,
    ND_CAP_BPF = 39,
};

/* How many capabilities this program has names for. */
#define ND_CAP_COUNT 41

/* "CAP_CHOWN" for 0 and so on; NULL beyond the table. */
const char *nd_cap_name(unsigned n);

/* A name in any case, with or without "CAP_". Fails: ND_INVALID. */
struct nd_error *nd_cap_parse(struct nd_str name, unsigned *ret) ND_CHECK_RESULT;

/* What a container has by default: the fourteen of docker and nerdctl. */
nd_capset nd_cap_default(void);

/*
 * The default with `add` and `drop` applied: "ALL" stands for what `host` has; drop wins over add
 * for one name, but `--cap-drop ALL --cap-add X` gives X. Names that the host lacks are refused.
 * Fails: ND_INVALID about "cap_add[i]" or "cap_drop[i]".
 */
struct nd_error *nd_cap_apply(nd_capset host, const char *const *add, size_t n_add,
                              const char *const *drop, size_t n_drop,
                              nd_capset *ret) ND_CHECK_RESULT;

#endif
