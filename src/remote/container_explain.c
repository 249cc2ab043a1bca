/*
 * From fields of the API back to flags.
 *
 * The daemon names the field that it refuses by its path in the message. Who typed a command line
 * knows flags, so the path in front of the message is replaced by the flag that set it; the rest
 * stays. Paths that no flag is responsible for are left as they are.
 */

#include "remote/container_config.h"

struct place {
    const char *field; /* below "config" */
    const char *flag;
};

/* Longer paths before their beginnings. */
static const struct place places[] = {
    {"image", "IMAGE"},
    {"args", "COMMAND"},
    {"entrypoint", "--entrypoint"},
    {"name", "--name"},
    {"env", "--env"},
    {"working_dir", "--workdir"},
    {"user", "--user"},
    {"group_add", "--group-add"},
    {"tty", "--tty"},
    {"interactive", "--interactive"},
    {"hostname", "--hostname"},
    {"domainname", "--domainname"},
    {"labels", "--label"},
    {"annotations", "--annotation"},
    {"networks", "--network"},
    {"mounts", "--volume or --mount"},
    {"devices", "--device"},
    {"resources.memory_swappiness", "--memory-swappiness"},
    {"resources.memory_swap", "--memory-swap"},
    {"resources.memory_reservation", "--memory-reservation"},
    {"resources.memory", "--memory"},
    {"resources.oom_kill_disable", "--oom-kill-disable"},
    {"resources.cpus", "--cpus"},
    {"resources.cpu_shares", "--cpu-shares"},
    {"resources.cpu_quota", "--cpu-quota"},
    {"resources.cpu_period", "--cpu-period"},
    {"resources.cpu_rt_runtime", "--cpu-rt-runtime"},
    {"resources.cpu_rt_period", "--cpu-rt-period"},
    {"resources.cpuset_cpus", "--cpuset-cpus"},
    {"resources.cpuset_mems", "--cpuset-mems"},
    {"resources.pids_limit", "--pids-limit"},
    {"resources.blkio_weight", "--blkio-weight"},
    {"ulimits", "--ulimit"},
    {"sysctls", "--sysctl"},
    {"cap_add", "--cap-add"},
    {"cap_drop", "--cap-drop"},
    {"privileged", "--privileged"},
    {"security_options", "--security-opt"},
    {"read_only", "--read-only"},
    {"shm_size", "--shm-size"},
    {"ipc_mode", "--ipc"},
    {"pid_mode", "--pid"},
    {"uts_mode", "--uts"},
    {"cgroupns_mode", "--cgroupns"},
    {"cgroup_parent", "--cgroup-parent"},
    {"oom_score_adj", "--oom-score-adj"},
    {"stop_signal", "--stop-signal"},
    {"stop_timeout", "--stop-timeout"},
    {"auto_remove", "--rm"},
    {"log.driver", "--log-driver"},
    {"log", "--log-opt"},
    {"platform", "--platform"},
    {"pull", "--pull"},
    {"dns_search", "--dns-search"},
    {"dns_options", "--dns-option"},
    {"dns", "--dns"},
    {"add_hosts", "--add-host"},
    {"init_binary", "--init-binary"},
    {"init", "--init"},
    {"runtime", "--runtime"},
};

/* What follows a path in a message: the end of the path, an index, or what is inside. */
static bool
ends_field(struct nd_str rest)
{
    return rest.len > 0 && (rest.ptr[0] == ':' || rest.ptr[0] == '[' || rest.ptr[0] == '.');
}

static const struct place *
find_place(struct nd_str path)
{
    for (size_t i = 0; i < ND_LEN(places); i++) {
        struct nd_str field = nd_str(places[i].field);

        if (nd_str_starts(path, field) && ends_field(nd_str_from(path, field.len)))
            return &places[i];
    }
    return NULL;
}

/* Everything of `from` but its message. */
static struct nd_error *
copy_attributes(struct nd_error *to, const struct nd_error *from)
{
    for (size_t i = 0; i < nd_error_n_hints(from); i++)
        to = nd_error_hint(to, "%s", nd_error_get_hint(from, i));
    for (size_t i = 0; i < nd_error_n_meta(from); i++)
        to = nd_error_meta(to, nd_error_meta_key(from, i), nd_error_meta_value(from, i));
    if (nd_error_get_reason(from) != NULL)
        to = nd_error_reason(to, nd_error_get_reason(from));
    return to;
}

struct nd_error *
nd_container_config_explain(struct nd_error *err)
{
    static const char *const prefixes[] = {"options.config.", "config."};
    struct nd_str message = nd_str(nd_error_message(err));

    for (size_t i = 0; i < ND_LEN(prefixes); i++) {
        struct nd_str path = nd_str_from(message, strlen(prefixes[i]));
        const struct place *place;
        struct nd_error *told;
        size_t colon;

        if (!nd_str_starts(message, nd_str(prefixes[i])))
            continue;
        place = find_place(path);
        colon = nd_str_search(path, ND_STR(": "));
        if (place == NULL || colon == SIZE_MAX)
            break;
        path = nd_str_from(path, colon + 2);
        told = copy_attributes(
            nd_error_new(nd_error_code(err), "%s: %.*s", place->flag, ND_STR_ARG(path)), err);
        nd_error_free(err);
        return told;
    }
    return err;
}
