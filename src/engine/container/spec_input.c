/*
 * Everything that the spec of a new container is made from, put together.
 */

#include "creation_priv.h"

/* Options of the three files below /etc, and of an init. */
static const char *const etc_options[] = {"bind", "rprivate"};
static const char *const init_options[] = {"bind", "ro"};

static void
fill_process(const struct creation *c, struct nd_spec_input *in)
{
    const struct plan *plan = c->plan;
    const Pb__ContainerConfig *config = plan->config;

    in->args = c->args;
    in->n_args = c->n_args;
    in->env = c->env;
    in->n_env = c->n_env;
    in->cwd = c->cwd;
    in->tty = config->tty;
    in->uid = c->user.uid;
    in->gid = c->user.gid;
    in->gids = c->user.gids;
    in->n_gids = c->user.n_gids;
    in->caps = plan->caps;
    in->no_new_privileges = plan->no_new_privileges;
    in->has_oom_score_adj = config->oom_score_adj_presence_case ==
                            PB__CONTAINER_CONFIG__OOM_SCORE_ADJ_PRESENCE_OOM_SCORE_ADJ;
    in->oom_score_adj = in->has_oom_score_adj ? config->oom_score_adj : 0;
    in->rlimits = plan->rlimits;
    in->n_rlimits = plan->n_rlimits;
    in->apparmor_profile = c->apparmor;
}

/* In containerd's notation: "slice:prefix:name" for systemd, else a path. */
static const char *
cgroups_path(const struct creation *c)
{
    const char *parent = c->plan->config->cgroup_parent;

    if (strcmp(c->plan->settings->cgroup_manager, "none") == 0)
        return "";
    if (c->plan->systemd_cgroup)
        return nd_arena_printf(c->arena, "%s:nerdctl:%s",
                               parent[0] != '\0' ? parent : "system.slice", c->id);
    if (parent[0] != '\0')
        return nd_arena_printf(c->arena, "%s/%s", parent, c->id);
    return nd_arena_printf(c->arena, "/%s/%s", c->ns, c->id);
}

static void
fill_namespaces(const struct creation *c, struct nd_spec_input *in)
{
    const struct plan *plan = c->plan;

    if (!plan->uts_host) {
        in->hostname = c->hostname;
        in->domainname = plan->config->domainname;
    }
    in->cgroups_path = cgroups_path(c);
    in->network.mode = plan->net_mode == ND_NET_HOST ? ND_NS_HOST : ND_NS_PRIVATE;
    in->pid.mode = plan->pid_host ? ND_NS_HOST : ND_NS_PRIVATE;
    in->ipc.mode = plan->ipc == PLAN_IPC_HOST ? ND_NS_HOST : ND_NS_PRIVATE;
    in->uts.mode = plan->uts_host ? ND_NS_HOST : ND_NS_PRIVATE;
    in->cgroup.mode = plan->cgroupns_private ? ND_NS_PRIVATE : ND_NS_HOST;
    in->shm_size_bytes = plan->config->shm_size;
    if (plan->ipc == PLAN_IPC_SHAREABLE)
        in->shm_path = nd_arena_printf(c->arena, "%s/shm", nd_state_path(c->state));
}

static void
fill_confinement(const struct creation *c, struct nd_spec_input *in)
{
    const struct plan *plan = c->plan;
    struct nd_str platform = nd_str(c->image.platform);
    struct nd_str arch = nd_str_from(platform, nd_str_find(platform, '/') + 1);

    in->readonly_root = plan->config->read_only;
    in->privileged = plan->config->privileged;
    in->seccomp_unconfined = plan->seccomp_unconfined;
    in->seccomp_profile = plan->seccomp_profile;
    in->kernel_major = plan->facts->kernel_major;
    in->kernel_minor = plan->facts->kernel_minor;
    in->arch = nd_arena_str(c->arena, nd_str_sub(arch, 0, nd_str_find(arch, '/')));
    in->resources = plan->resources;
    in->devices = c->devices;
    in->n_devices = c->n_devices;
    in->sysctls = plan->sysctls;
    in->n_sysctls = plan->n_sysctls;
    in->annotations = c->annotations.at;
    in->n_annotations = c->annotations.n;
}

static bool
user_mounts_on(const struct plan *plan, const char *target)
{
    for (size_t i = 0; i < plan->n_mounts; i++) {
        if (strcmp(plan->mounts[i].target, target) == 0)
            return true;
    }
    return false;
}

/*
 * The files that the engine writes. In host and none mode a mount of the user's on one suppresses
 * it.
 */
static void
fill_etc(const struct creation *c, struct nd_spec_input *in)
{
    const struct {
        const char *target, *source;
    } files[] = {
        {"/etc/resolv.conf", nd_state_resolv_conf_path(c->state)},
        {"/etc/hosts", c->hosts_path},
        {"/etc/hostname", nd_state_hostname_path(c->state)},
    };
    struct nd_spec_mount *mounts =
        nd_arena_new_array(c->arena, ND_LEN(files), struct nd_spec_mount);
    size_t n = 0;

    for (size_t i = 0; i < ND_LEN(files); i++) {
        if (user_mounts_on(c->plan, files[i].target))
            continue;
        mounts[n++] = (struct nd_spec_mount){
            .destination = files[i].target,
            .type = "bind",
            .source = files[i].source,
            .options = etc_options,
            .n_options = ND_LEN(etc_options),
        };
    }
    in->etc_mounts = mounts;
    in->n_etc_mounts = n;
}

static void
fill_mounts(const struct creation *c, struct nd_spec_input *in)
{
    struct nd_spec_mount *mounts =
        nd_arena_new_array(c->arena, c->plan->n_mounts + 1, struct nd_spec_mount);
    size_t n = 0;

    for (size_t i = 0; i < c->plan->n_mounts; i++) {
        const struct plan_mount *m = &c->plan->mounts[i];

        mounts[n++] = (struct nd_spec_mount){
            .destination = m->target,
            .type = m->kind == PLAN_BIND ? "none" : "tmpfs",
            .source = m->kind == PLAN_BIND ? m->source : "tmpfs",
            .options = m->options,
            .n_options = m->n_options,
        };
    }
    if (c->init_path != NULL)
        mounts[n++] = (struct nd_spec_mount){
            .destination = c->args[0],
            .type = "bind",
            .source = c->init_path,
            .options = init_options,
            .n_options = ND_LEN(init_options),
        };
    in->mounts = mounts;
    in->n_mounts = n;
}

/*
 * nerdctl installs hooks that run its own program at each start and end, for networks and names. On
 * the host's network or none there is nothing for them to do that the engine does not do at the
 * same place, so the spec has none: two processes fewer on the way to every start.
 */
struct nd_error *
nd_creation_spec(struct creation *c)
{
    struct nd_spec_input *in = nd_arena_new_object(c->arena, struct nd_spec_input);
    struct nd_error *err;

    fill_process(c, in);
    fill_namespaces(c, in);
    fill_confinement(c, in);
    fill_mounts(c, in);
    fill_etc(c, in);
    c->spec = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    err = nd_spec_build(in, &c->spec);
    return err != NULL ? nd_error_wrap(err, "make the run spec") : NULL;
}
