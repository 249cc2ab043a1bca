/*
 * The capabilities by name, and the arithmetic of --cap-add and --cap-drop.
 */

#include "oci/capability.h"

#include <stdio.h>

static const char *const names[ND_CAP_COUNT] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

const char *
nd_cap_name(unsigned n)
{
    return n < ND_CAP_COUNT ? names[n] : NULL;
}

struct nd_error *
nd_cap_parse(struct nd_str name, unsigned *ret)
{
    const struct nd_str prefix = ND_STR("CAP_");
    struct nd_str bare = name;

    if (nd_str_eq_nocase(nd_str_sub(name, 0, prefix.len), prefix))
        bare = nd_str_from(name, prefix.len);
    for (unsigned i = 0; i < ND_CAP_COUNT; i++) {
        if (nd_str_eq_nocase(bare, nd_str(names[i] + prefix.len))) {
            *ret = i;
            return NULL;
        }
    }
    return nd_error_new(ND_INVALID, "unknown capability \"%.*s\"", ND_STR_ARG(name));
}

nd_capset
nd_cap_default(void)
{
    /* CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
     * MKNOD AUDIT_WRITE SETFCAP */
    static const unsigned char defaults[] = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31};
    nd_capset set = 0;

    for (size_t i = 0; i < ND_LEN(defaults); i++)
        set |= ND_CAP_BIT(defaults[i]);
    return set;
}

/* The set that a list of names stands for; *ret_all when "ALL" is among them. */
static struct nd_error *
parse_list(const char *field, nd_capset host, const char *const *list, size_t n, nd_capset *ret,
           bool *ret_all)
{
    nd_capset set = 0;
    bool all = false;
    char path[64];

    for (size_t i = 0; i < n; i++) {
        unsigned cap;

        (void)snprintf(path, sizeof(path), "%s[%zu]", field, i);
        if (nd_str_eq_nocase(nd_str(list[i]), ND_STR("ALL"))) {
            all = true;
            continue;
        }
        struct nd_error *err = nd_cap_parse(nd_str(list[i]), &cap);

        if (err != NULL)
            return nd_error_in_field(err, path);
        if ((host & ND_CAP_BIT(cap)) == 0)
            return nd_error_field(path, "this host does not have capability %s", names[cap]);
        set |= ND_CAP_BIT(cap);
    }
    *ret = set;
    *ret_all = all;
    return NULL;
}

struct nd_error *
nd_cap_apply(nd_capset host, const char *const *add, size_t n_add, const char *const *drop,
             size_t n_drop, nd_capset *ret)
{
    nd_capset added = 0, dropped = 0, base = nd_cap_default() & host;
    bool add_all = false, drop_all = false;

    ND_TRY(parse_list("cap_add", host, add, n_add, &added, &add_all));
    ND_TRY(parse_list("cap_drop", host | nd_cap_default(), drop, n_drop, &dropped, &drop_all));
    if (add_all)
        base = host;
    if (drop_all)
        base = add_all ? host : 0;
    *ret = (base & ~dropped) | (added & (drop_all ? ~UINT64_C(0) : ~dropped));
    return NULL;
}
