#ifndef OCI_SPEC_H
#define OCI_SPEC_H

/*
 * The OCI runtime spec of a container, from plain values. Everything that needs the host (users,
 * paths, sizes, the kernel) has been found out before; this is a function of its input. Follows:
 * the OCI runtime specification; contracts/nerdctl-interop.md section 4. Context: any.
 */

#include "base/buf.h"
#include "codec/json_writer.h"
#include "oci/capability.h"

#define ND_SPEC_MAX_BYTES ((size_t)4 << 20) /* of the JSON text */

enum nd_ns_mode {
    ND_NS_PRIVATE, /* a new namespace */
    ND_NS_HOST,    /* none: the host's */
    ND_NS_PATH,    /* the one at a path */
};

struct nd_spec_ns {
    enum nd_ns_mode mode;
    const char *path; /* ND_NS_PATH */
};

/* A mount as the spec has it. */
struct nd_spec_mount {
    const char *destination;
    const char *type; /* "none", "bind", "tmpfs", ... */
    const char *source;
    const char *const *options;
    size_t n_options;
};

struct nd_spec_device {
    const char *path; /* in the container */
    char type;        /* 'c', 'b' or 'p' */
    int64_t major, minor;
    uint32_t mode; /* permission bits */
    uint32_t uid, gid;
    const char *access; /* letters of "rwm" */
};

struct nd_spec_rlimit {
    const char *name; /* "nofile" */
    uint64_t soft, hard;
};

struct nd_spec_pair {
    const char *key, *value;
};

struct nd_spec_hook {
    const char *path; /* NULL: no hooks */
    const char *const *create_runtime_args;
    size_t n_create_runtime_args;
    const char *const *poststop_args;
    size_t n_poststop_args;
    const char *const *env;
    size_t n_env;
};

/* Numbers that are optional carry a flag: has_x. Zero means "not set" where zero has no meaning. */
struct nd_spec_resources {
    int64_t memory, memory_swap, memory_reservation;
    bool has_swappiness;
    uint64_t swappiness;
    bool oom_kill_disable;
    uint64_t cpu_shares, cpu_period;
    bool has_cpu_quota;
    int64_t cpu_quota;
    int64_t cpu_rt_runtime; /* both are always written */
    uint64_t cpu_rt_period;
    const char *cpuset_cpus, *cpuset_mems; /* NULL or "": not set */
    int64_t pids_limit;                    /* > 0: set */
    uint32_t blkio_weight;
};

struct nd_spec_input {
    /* process */
    const char *const *args;
    size_t n_args;
    const char *const *env;
    size_t n_env;
    const char *cwd;
    bool tty;
    uint32_t uid, gid;
    const uint32_t *gids;
    size_t n_gids;
    nd_capset caps; /* bounding, effective, permitted */
    bool no_new_privileges;
    bool has_oom_score_adj;
    int oom_score_adj;
    const struct nd_spec_rlimit *rlimits;
    size_t n_rlimits;
    const char *apparmor_profile; /* NULL: none */

    /* root and names */
    bool readonly_root;
    const char *hostname;   /* NULL: left out */
    const char *domainname; /* NULL or "": left out */
    const char *cgroups_path;

    /* namespaces */
    struct nd_spec_ns network, pid, ipc, uts, cgroup;

    /* confinement */
    bool privileged;
    bool seccomp_unconfined;
    const char *seccomp_profile; /* custom, JSON text that was checked; NULL: the default profile */
    unsigned kernel_major, kernel_minor;
    const char *arch;

    /* limits and devices */
    struct nd_spec_resources resources;
    const struct nd_spec_device *devices; /* with their cgroup rules */
    size_t n_devices;
    const struct nd_spec_pair *sysctls;
    size_t n_sysctls;

    /* mounts: shm_size_bytes for the default /dev/shm; shm_path replaces it by a bind */
    int64_t shm_size_bytes;
    const char *shm_path;
    const struct nd_spec_mount *mounts; /* of the user */
    size_t n_mounts;
    const struct nd_spec_mount *etc_mounts; /* resolv.conf, hosts, hostname; always last */
    size_t n_etc_mounts;

    const struct nd_spec_pair *annotations;
    size_t n_annotations;
    struct nd_spec_hook hook;
};

/*
 * Append the JSON text of the spec. Fails: ND_EXHAUSTED over the buffer's maximum; ND_INVALID for
 * two user mounts at one destination.
 */
struct nd_error *nd_spec_build(const struct nd_spec_input *input,
                               struct nd_buf *ret) ND_CHECK_RESULT;

#endif
