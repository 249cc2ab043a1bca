#ifndef CONTAINER_PLAN_PRIV_H
#define CONTAINER_PLAN_PRIV_H

/*
 * A checked configuration: what the user asked for, parsed, with every choice made that needs no
 * look at the image or the disk. nd_plan_make() is a function of its input; nothing has been
 * changed, and nothing that is wrong with the request alone is found later.
 */

#include "base/arena.h"
#include "container/limits.h"
#include "host/host.h"
#include "nerdctl/v1/container.pb-c.h"
#include "oci/capability.h"
#include "oci/spec.h"
#include "store/hosts.h"
#include "store/state.h"

enum plan_mount_kind { PLAN_BIND, PLAN_TMPFS };

/*
 * A mount of the user. Paths are clean: absolute, no empty or dot component, no slash at the end.
 */
struct plan_mount {
    enum plan_mount_kind kind;
    size_t index;       /* in config.mounts, for errors that are found later */
    const char *source; /* PLAN_BIND */
    const char *target;
    const char *mode;        /* the user's options joined by commas: for label and inspect */
    const char *propagation; /* "" or one of the propagation words */
    bool read_only;
    bool create_source;
    const char **options; /* for the spec */
    size_t n_options;
};

/* Files of a device are looked at later: this is what was asked for. */
struct plan_device {
    size_t index;
    const char *host_path, *container_path, *access;
};

enum plan_ipc { PLAN_IPC_PRIVATE, PLAN_IPC_HOST, PLAN_IPC_SHAREABLE };

struct plan {
    const Pb__ContainerConfig *config;
    const struct nd_host_facts *facts;
    const struct nd_host_settings *settings;
    struct nd_arena *arena;

    const char *network; /* "host", "none" */
    enum nd_net_mode net_mode;
    struct nd_dns dns;
    struct nd_extra_host *extra_hosts;
    size_t n_extra_hosts;

    struct plan_mount *mounts;
    size_t n_mounts;
    struct plan_device *devices;
    size_t n_devices;

    struct nd_spec_resources resources;
    struct nd_spec_rlimit *rlimits;
    size_t n_rlimits;
    struct nd_spec_pair *sysctls;
    size_t n_sysctls;

    nd_capset caps;
    bool no_new_privileges;
    bool seccomp_unconfined;
    const char *seccomp_profile; /* JSON text; NULL: the default */
    const char *apparmor;        /* named by the user; NULL: not named; "unconfined" */

    enum plan_ipc ipc;
    bool pid_host, uts_host, cgroupns_private;
    bool systemd_cgroup;

    bool log_none;
    struct nd_log_config log; /* driver json-file */

    const char *runtime;        /* name of the shim */
    const char *runtime_binary; /* NULL: the shim's own choice */
    const char *init_binary;    /* as asked for; NULL: no init */

    char **warnings;
    size_t n_warnings;
};

/*
 * Check everything. `config`, `facts` and `settings` are borrowed by the plan, whose texts live in
 * `arena`. Fails: ND_INVALID and ND_UNIMPLEMENTED, with the field: "config.mounts[2].target";
 * ND_PRECONDITION where the host cannot do it. Context: any.
 */
struct nd_error *nd_plan_make(const Pb__ContainerConfig *config, const struct nd_host_facts *facts,
                              const struct nd_host_settings *settings, struct nd_arena *arena,
                              struct plan **ret) ND_CHECK_RESULT;

/* One sentence that the user should read. */
void nd_plan_warn(struct plan *plan, const char *fmt, ...) ND_PRINTF(2, 3);

/* The parts, by file. Errors name the field below "config". */
struct nd_error *nd_plan_process(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_names(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_network(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_mounts(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_devices(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_resources(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_ulimits(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_sysctls(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_security(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_namespaces(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_log(struct plan *plan) ND_CHECK_RESULT;
struct nd_error *nd_plan_runtime(struct plan *plan) ND_CHECK_RESULT;

/* Put "list[i]" in front of an error's field, or make it the field. NULL stays NULL. */
struct nd_error *nd_in_element(struct nd_error *err, const char *list, size_t i) ND_CHECK_RESULT;

/* The same for an entry of a map: "labels[\"key\"]". */
struct nd_error *nd_in_entry(struct nd_error *err, const char *map,
                             const char *key) ND_CHECK_RESULT;

/* The field is right in itself but not part of this version. */
struct nd_error *nd_not_yet(const char *field, const char *fmt, ...) ND_NEW_ERROR ND_PRINTF(2, 3);

/* More than `max` entries. */
struct nd_error *nd_check_count(const char *list, size_t n, size_t max) ND_CHECK_RESULT;

/*
 * What execve() takes: adds the bytes of the texts to `*total`, which may become
 * ND_CONFIG_MAX_ARGV_BYTES, each at most ND_CONFIG_MAX_ARG_BYTES with its end.
 */
struct nd_error *nd_check_strings(const char *list, char *const *texts, size_t n,
                                  size_t *total) ND_CHECK_RESULT;

/* Not empty, at most `max` bytes, no control characters; without a field (see nd_in_element()). */
struct nd_error *nd_check_text(const char *text, size_t max) ND_CHECK_RESULT;

/* An absolute path without "..", cleaned, in the arena; without a field. */
struct nd_error *nd_clean_path(struct nd_arena *arena, const char *path,
                               const char **ret) ND_CHECK_RESULT;

/* A size as log options have it: digits, then nothing, k, m, g (decimal), with or without b. */
struct nd_error *nd_log_size_parse(struct nd_str text, uint64_t *ret) ND_CHECK_RESULT;

#endif
