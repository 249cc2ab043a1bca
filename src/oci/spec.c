/*
 * The run spec, written front to back: one function per section of the document.
 *
 *   nd_spec_build ── process ── user, capabilities, rlimits
 *        │        ── root, hostname, mounts (spec_mounts.c), annotations, hooks
 *        └──────── linux ── namespaces, resources (spec_resources.c), seccomp, masked and read-only paths
 *
 * The text is what containerd stores and runc reads, and what the nerdctl command decodes, so the
 * order of keys is that of the runtime specification's own types.
 */

#include "oci/spec.h"

#include "oci/seccomp.h"

#include "spec_priv.h"

/* Far above what checked input can make; see nd_spec_build(). */
#define SPEC_TEXT_MAX ((size_t)1 << 40)

/*
 * Of the runtime specification that this document follows; runc 1.1 refuses a newer minor version.
 */
#define OCI_VERSION "1.0.2"

static const char *const masked_paths[] = {
    "/proc/acpi",          "/proc/asound",
    "/proc/kcore",         "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats",   "/proc/sched_debug",
    "/sys/firmware",       "/sys/devices/virtual/powercap",
    "/proc/scsi",
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static void
write_user(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    nd_json_key(w, "user");
    nd_json_begin_object(w);
    nd_json_put_u64(w, "uid", in->uid);
    nd_json_put_u64(w, "gid", in->gid);
    if (in->n_gids > 0) {
        nd_json_key(w, "additionalGids");
        nd_json_begin_array(w);
        for (size_t i = 0; i < in->n_gids; i++)
            nd_json_u64(w, in->gids[i]);
        nd_json_end_array(w);
    }
    nd_json_end_object(w);
}

/*
 * The inheritable and ambient sets stay empty: a program without file capabilities must gain none.
 */
static void
write_capabilities(nd_capset caps, struct nd_json_writer *w)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};

    nd_json_key(w, "capabilities");
    nd_json_begin_object(w);
    for (size_t i = 0; i < ND_LEN(sets); i++) {
        nd_json_key(w, sets[i]);
        nd_json_begin_array(w);
        for (unsigned cap = 0; cap < ND_CAP_COUNT; cap++) {
            if ((caps & ND_CAP_BIT(cap)) != 0)
                nd_json_text(w, nd_cap_name(cap));
        }
        nd_json_end_array(w);
    }
    nd_json_end_object(w);
}

static void
write_rlimits(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    if (in->n_rlimits == 0)
        return;
    nd_json_key(w, "rlimits");
    nd_json_begin_array(w);
    for (size_t i = 0; i < in->n_rlimits; i++) {
        char type[40] = "RLIMIT_";
        size_t n = 7;

        for (const char *c = in->rlimits[i].name; *c != '\0' && n < sizeof(type) - 1; c++)
            type[n++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        type[n] = '\0';
        nd_json_begin_object(w);
        nd_json_put_text(w, "type", type);
        nd_json_put_u64(w, "hard", in->rlimits[i].hard);
        nd_json_put_u64(w, "soft", in->rlimits[i].soft);
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

static void
write_process(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    nd_json_key(w, "process");
    nd_json_begin_object(w);
    if (in->tty)
        nd_json_put_bool(w, "terminal", true);
    write_user(in, w);
    nd_json_put_texts(w, "args", in->args, in->n_args);
    nd_json_put_texts(w, "env", in->env, in->n_env);
    nd_json_put_text(w, "cwd", in->cwd);
    write_capabilities(in->caps, w);
    write_rlimits(in, w);
    if (in->no_new_privileges)
        nd_json_put_bool(w, "noNewPrivileges", true);
    if (in->apparmor_profile != NULL)
        nd_json_put_text(w, "apparmorProfile", in->apparmor_profile);
    if (in->has_oom_score_adj)
        nd_json_put_i64(w, "oomScoreAdj", in->oom_score_adj);
    nd_json_end_object(w);
}

static void
write_root(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    nd_json_key(w, "root");
    nd_json_begin_object(w);
    nd_json_put_text(w, "path", "rootfs");
    if (in->readonly_root)
        nd_json_put_bool(w, "readonly", true);
    nd_json_end_object(w);
}

static void
write_namespaces(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    static const struct nd_spec_ns own = {.mode = ND_NS_PRIVATE};
    const struct {
        const char *type;
        const struct nd_spec_ns *ns;
    } all[] = {
        {"pid", &in->pid}, {"ipc", &in->ipc},         {"uts", &in->uts},
        {"mount", &own},   {"network", &in->network}, {"cgroup", &in->cgroup},
    };

    nd_json_key(w, "namespaces");
    nd_json_begin_array(w);
    for (size_t i = 0; i < ND_LEN(all); i++) {
        if (all[i].ns->mode == ND_NS_HOST)
            continue;
        nd_json_begin_object(w);
        nd_json_put_text(w, "type", all[i].type);
        if (all[i].ns->mode == ND_NS_PATH)
            nd_json_put_text(w, "path", all[i].ns->path);
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

static void
write_pairs(struct nd_json_writer *w, const char *key, const struct nd_spec_pair *pairs, size_t n)
{
    if (n == 0)
        return;
    nd_json_key(w, key);
    nd_json_begin_object(w);
    for (size_t i = 0; i < n; i++)
        nd_json_put_text(w, pairs[i].key, pairs[i].value);
    nd_json_end_object(w);
}

static void
write_confinement(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    if (in->privileged)
        return;
    if (!in->seccomp_unconfined) {
        const struct nd_seccomp_input seccomp = {.bounding = in->caps,
                                                 .kernel_major = in->kernel_major,
                                                 .kernel_minor = in->kernel_minor,
                                                 .arch = in->arch};

        nd_json_key(w, "seccomp");
        if (in->seccomp_profile != NULL)
            nd_json_raw(w, nd_str(in->seccomp_profile));
        else
            nd_seccomp_write(&seccomp, w);
    }
    nd_json_put_texts(w, "maskedPaths", masked_paths, ND_LEN(masked_paths));
    nd_json_put_texts(w, "readonlyPaths", readonly_paths, ND_LEN(readonly_paths));
}

static void
write_devices(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    if (in->n_devices == 0)
        return;
    nd_json_key(w, "devices");
    nd_json_begin_array(w);
    for (size_t i = 0; i < in->n_devices; i++) {
        const struct nd_spec_device *d = &in->devices[i];

        nd_json_begin_object(w);
        nd_json_put_text(w, "path", d->path);
        nd_json_key(w, "type");
        nd_json_str(w, nd_str_n(&d->type, 1));
        nd_json_put_i64(w, "major", d->major);
        nd_json_put_i64(w, "minor", d->minor);
        nd_json_put_u64(w, "fileMode", d->mode);
        nd_json_put_u64(w, "uid", d->uid);
        nd_json_put_u64(w, "gid", d->gid);
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

static void
write_linux(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    nd_json_key(w, "linux");
    nd_json_begin_object(w);
    write_pairs(w, "sysctl", in->sysctls, in->n_sysctls);
    nd_spec_write_resources(in, w);
    if (in->cgroups_path != NULL && in->cgroups_path[0] != '\0')
        nd_json_put_text(w, "cgroupsPath", in->cgroups_path);
    write_namespaces(in, w);
    write_devices(in, w);
    write_confinement(in, w);
    nd_json_end_object(w);
}

static void
write_hook(struct nd_json_writer *w, const struct nd_spec_hook *hook, const char *key,
           const char *const *args, size_t n_args)
{
    nd_json_key(w, key);
    nd_json_begin_array(w);
    nd_json_begin_object(w);
    nd_json_put_text(w, "path", hook->path);
    nd_json_put_texts(w, "args", args, n_args);
    nd_json_put_texts(w, "env", hook->env, hook->n_env);
    nd_json_end_object(w);
    nd_json_end_array(w);
}

static void
write_hooks(const struct nd_spec_hook *hook, struct nd_json_writer *w)
{
    if (hook->path == NULL)
        return;
    nd_json_key(w, "hooks");
    nd_json_begin_object(w);
    write_hook(w, hook, "createRuntime", hook->create_runtime_args, hook->n_create_runtime_args);
    write_hook(w, hook, "poststop", hook->poststop_args, hook->n_poststop_args);
    nd_json_end_object(w);
}

struct nd_error *
nd_spec_build(const struct nd_spec_input *input, struct nd_buf *ret)
{
    /* Text of our own making is bounded by its input, which was checked against limits one by one; the
     * buffer is the writer's own, so that a spec that is too large leaves *ret alone. */
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(SPEC_TEXT_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&text);

    nd_json_begin_object(&w);
    nd_json_put_text(&w, "ociVersion", OCI_VERSION);
    write_process(input, &w);
    write_root(input, &w);
    if (input->hostname != NULL && input->hostname[0] != '\0')
        nd_json_put_text(&w, "hostname", input->hostname);
    if (input->domainname != NULL && input->domainname[0] != '\0')
        nd_json_put_text(&w, "domainname", input->domainname);
    ND_TRY(nd_spec_write_mounts(input, &w));
    write_hooks(&input->hook, &w);
    write_pairs(&w, "annotations", input->annotations, input->n_annotations);
    write_linux(input, &w);
    nd_json_end_object(&w);
    return nd_buf_add(ret, nd_buf_str(&text));
}
