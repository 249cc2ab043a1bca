/*
 * The part of a plan about limits: memory, processors, processes, rlimits, kernel parameters.
 *
 * What the kernel would refuse when the container is started is refused here, by the field's name;
 * so is what this host's kernel cannot limit, because a container without its limit is not what was
 * asked for.
 */

#include <math.h>
#include <unistd.h>

#include "plan_priv.h"

#define MEMORY_MIN     (6 * 1024 * 1024)
#define CPU_PERIOD_US  100000u
#define CPU_PERIOD_MIN 1000u
#define CPU_PERIOD_MAX 1000000u
#define CPU_QUOTA_MIN  1000
#define SHARES_MIN     2u
#define SHARES_MAX     262144u
#define CPUSET_MAX     8191u

static struct nd_error *
host_lacks(const char *field, const char *what)
{
    return nd_error_reason(
        nd_error_recode(nd_error_field(field, "this host cannot limit %s", what), ND_PRECONDITION),
        "HOST_LACKS_SUPPORT");
}

static struct nd_error *
check_bytes(const char *field, int64_t bytes)
{
    if (bytes < 0)
        return nd_error_field(field, "is negative");
    if (bytes > 0 && bytes < MEMORY_MIN)
        return nd_error_field(field, "is below 6 MiB");
    return NULL;
}

static struct nd_error *
plan_swap(struct plan *plan, const Pb__Resources *r)
{
    if (r->memory_swap == 0) {
        if (r->memory > 0 && plan->facts->swap_limit)
            plan->resources.memory_swap = r->memory > INT64_MAX / 2 ? INT64_MAX : 2 * r->memory;
        return NULL;
    }
    if (r->memory_swap < -1)
        return nd_error_field("memory_swap", "is below -1");
    if (r->memory == 0)
        return nd_error_field("memory_swap", "needs memory");
    if (r->memory_swap > 0 && r->memory_swap < r->memory)
        return nd_error_field("memory_swap", "is below memory: it counts both together");
    if (!plan->facts->swap_limit)
        return host_lacks("memory_swap", "swap");
    plan->resources.memory_swap = r->memory_swap;
    return NULL;
}

static struct nd_error *
plan_memory(struct plan *plan, const Pb__Resources *r)
{
    ND_TRY(check_bytes("memory", r->memory));
    ND_TRY(check_bytes("memory_reservation", r->memory_reservation));
    if (r->memory > 0 && r->memory_reservation > r->memory)
        return nd_error_field("memory_reservation", "is above memory");
    if ((r->memory > 0 || r->memory_reservation > 0) && !plan->facts->memory_limit)
        return host_lacks(r->memory > 0 ? "memory" : "memory_reservation", "memory");
    plan->resources.memory = r->memory;
    plan->resources.memory_reservation = r->memory_reservation;
    ND_TRY(plan_swap(plan, r));
    if (r->memory_swappiness_presence_case ==
        PB__RESOURCES__MEMORY_SWAPPINESS_PRESENCE_MEMORY_SWAPPINESS) {
        if (r->memory_swappiness < 0 || r->memory_swappiness > 100)
            return nd_error_field("memory_swappiness", "is not between 0 and 100");
        if (plan->facts->cgroup_v2)
            return host_lacks("memory_swappiness", "swappiness (cgroup v2)");
        plan->resources.has_swappiness = true;
        plan->resources.swappiness = (uint64_t)r->memory_swappiness;
    }
    if (r->oom_kill_disable && plan->facts->cgroup_v2)
        return host_lacks("oom_kill_disable", "the OOM killer (cgroup v2)");
    if (r->oom_kill_disable && r->memory == 0)
        nd_plan_warn(plan,
                     "the OOM killer is off for a container without a memory limit: the host may "
                     "run out of memory");
    plan->resources.oom_kill_disable = r->oom_kill_disable;
    return NULL;
}

/* Asked for when it is needed: the C library reads a file for it. */
static unsigned
count_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (unsigned)n : 1;
}

/* `cpus` as a quota of a period; sets `*ret` when it is there. */
static struct nd_error *
plan_cpus(struct plan *plan, const Pb__Resources *r)
{
    if (r->cpus == 0)
        return NULL;
    if (!isfinite(r->cpus) || r->cpus < 0.01 || r->cpus > count_cpus())
        return nd_error_field("cpus", "is not between 0.01 and the %u processors of this host",
                              count_cpus());
    if (r->cpu_quota_presence_case == PB__RESOURCES__CPU_QUOTA_PRESENCE_CPU_QUOTA)
        return nd_error_field("cpus", "does not go together with cpu_quota");
    if (r->cpu_period != 0)
        return nd_error_field("cpus", "does not go together with cpu_period");
    plan->resources.has_cpu_quota = true;
    plan->resources.cpu_quota = (int64_t)(r->cpus * CPU_PERIOD_US + 0.5);
    plan->resources.cpu_period = CPU_PERIOD_US;
    return NULL;
}

static struct nd_error *
plan_quota(struct plan *plan, const Pb__Resources *r)
{
    if (r->cpu_period != 0 && (r->cpu_period < CPU_PERIOD_MIN || r->cpu_period > CPU_PERIOD_MAX))
        return nd_error_field("cpu_period", "is not between %u and %u microseconds", CPU_PERIOD_MIN,
                              CPU_PERIOD_MAX);
    if (r->cpu_period != 0)
        plan->resources.cpu_period = r->cpu_period;
    if (r->cpu_quota_presence_case != PB__RESOURCES__CPU_QUOTA_PRESENCE_CPU_QUOTA ||
        r->cpu_quota == 0)
        return NULL;
    if (r->cpu_quota != -1 && r->cpu_quota < CPU_QUOTA_MIN)
        return nd_error_field("cpu_quota", "is neither -1 nor at least %d microseconds",
                              CPU_QUOTA_MIN);
    plan->resources.has_cpu_quota = true;
    plan->resources.cpu_quota = r->cpu_quota;
    return NULL;
}

static struct nd_error *
plan_cpu(struct plan *plan, const Pb__Resources *r)
{
    bool has_rt =
        r->cpu_rt_runtime_presence_case == PB__RESOURCES__CPU_RT_RUNTIME_PRESENCE_CPU_RT_RUNTIME;

    ND_TRY(plan_cpus(plan, r));
    ND_TRY(plan_quota(plan, r));
    if ((plan->resources.has_cpu_quota || plan->resources.cpu_period != 0) &&
        !plan->facts->cpu_quota)
        return host_lacks(r->cpus != 0 ? "cpus" : "cpu_quota", "processor time");
    if (r->cpu_shares != 0 && (r->cpu_shares < SHARES_MIN || r->cpu_shares > SHARES_MAX))
        return nd_error_field("cpu_shares", "is not between %u and %u", SHARES_MIN, SHARES_MAX);
    if (r->cpu_shares != 0 && !plan->facts->cpu_shares)
        return host_lacks("cpu_shares", "shares of processors");
    plan->resources.cpu_shares = r->cpu_shares;
    if (r->cpu_rt_period > CPU_PERIOD_MAX)
        return nd_error_field("cpu_rt_period", "is above %u microseconds", CPU_PERIOD_MAX);
    if (has_rt && (r->cpu_rt_runtime < 0 ||
                   (r->cpu_rt_period != 0 && (uint64_t)r->cpu_rt_runtime > r->cpu_rt_period)))
        return nd_error_field("cpu_rt_runtime", "is negative or above cpu_rt_period");
    plan->resources.cpu_rt_runtime = has_rt ? r->cpu_rt_runtime : 0;
    plan->resources.cpu_rt_period = r->cpu_rt_period;
    return NULL;
}

/* "0-2,4": ascending ranges of numbers up to `max`. */
static struct nd_error *
check_cpuset(const char *field, const char *list, uint64_t max)
{
    struct nd_str rest = nd_str(list), piece;

    if (rest.len > ND_CONFIG_MAX_TEXT)
        return nd_error_field(field, "is longer than %u bytes", ND_CONFIG_MAX_TEXT);
    if (rest.len > 0 && rest.ptr[rest.len - 1] == ',')
        return nd_error_field(field, "ends with a comma");
    while (nd_str_next(&rest, ',', &piece)) {
        size_t dash = nd_str_find(piece, '-');
        struct nd_error *err;
        uint64_t first, last;

        err = nd_parse_u64(nd_str_sub(piece, 0, dash), CPUSET_MAX, &first);
        last = first;
        if (err == NULL && dash != SIZE_MAX)
            err = nd_parse_u64(nd_str_from(piece, dash + 1), CPUSET_MAX, &last);
        if (err != NULL || last < first) {
            nd_error_free(err);
            return nd_error_field(field, "\"%.*s\" is no list of numbers such as 0-2,4",
                                  ND_STR_ARG(nd_str_sub(nd_str(list), 0, 64)));
        }
        if (last > max)
            return nd_error_field(field, "this host has no number %llu", (unsigned long long)last);
    }
    return NULL;
}

static struct nd_error *
plan_rest(struct plan *plan, const Pb__Resources *r)
{
    if (r->cpuset_cpus[0] != '\0')
        ND_TRY(check_cpuset("cpuset_cpus", r->cpuset_cpus, count_cpus() - 1));
    ND_TRY(check_cpuset("cpuset_mems", r->cpuset_mems, CPUSET_MAX));
    if ((r->cpuset_cpus[0] != '\0' || r->cpuset_mems[0] != '\0') && !plan->facts->cpuset)
        return host_lacks("cpuset_cpus", "which processors are used");
    plan->resources.cpuset_cpus = r->cpuset_cpus;
    plan->resources.cpuset_mems = r->cpuset_mems;
    if (r->pids_limit < -1)
        return nd_error_field("pids_limit", "is below -1");
    if (r->pids_limit > 0 && !plan->facts->pids_limit)
        return host_lacks("pids_limit", "the number of processes");
    plan->resources.pids_limit = r->pids_limit;
    if (r->blkio_weight != 0 && (r->blkio_weight < 10 || r->blkio_weight > 1000))
        return nd_error_field("blkio_weight", "is neither 0 nor between 10 and 1000");
    if (r->blkio_weight != 0 && !plan->facts->blkio_weight)
        return host_lacks("blkio_weight", "block I/O");
    plan->resources.blkio_weight = r->blkio_weight;
    return NULL;
}

struct nd_error *
nd_plan_resources(struct plan *plan)
{
    const Pb__Resources *r = plan->config->resources;
    static struct nd_error *(*const checks[])(struct plan *, const Pb__Resources *) = {
        plan_memory, plan_cpu, plan_rest};

    if (r == NULL)
        return NULL;
    for (size_t i = 0; i < ND_LEN(checks); i++) {
        struct nd_error *err = checks[i](plan, r);

        if (err != NULL)
            return nd_error_in_field(err, "resources");
    }
    return NULL;
}

static const char *const rlimit_names[] = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",
};

/* Without CAP_SYS_RESOURCE a limit cannot be raised above our own: runc would fail to start it. */
static void
clamp_rlimit(struct plan *plan, struct nd_spec_rlimit *limit)
{
    uint64_t ours = strcmp(limit->name, "nofile") == 0  ? plan->facts->nofile_hard
                    : strcmp(limit->name, "nproc") == 0 ? plan->facts->nproc_hard
                                                        : UINT64_MAX;

    if ((plan->facts->bounding_caps & ND_CAP_BIT(ND_CAP_SYS_RESOURCE)) != 0 || limit->hard <= ours)
        return;
    nd_plan_warn(plan, "ulimit %s is lowered to %llu, the most that this host allows", limit->name,
                 (unsigned long long)ours);
    limit->hard = ours;
    limit->soft = ND_MIN(limit->soft, ours);
}

static struct nd_error *
plan_ulimit(struct plan *plan, const Pb__Ulimit *in, struct nd_spec_rlimit *ret)
{
    for (size_t i = 0; i < ND_LEN(rlimit_names); i++) {
        if (strcmp(in->name, rlimit_names[i]) == 0)
            ret->name = rlimit_names[i];
    }
    if (ret->name == NULL)
        return nd_error_field("name", "\"%.40s\" is no ulimit", in->name);
    if (in->soft < -1)
        return nd_error_field("soft", "is below -1");
    if (in->hard < -1)
        return nd_error_field("hard", "is below -1");
    ret->soft = in->soft < 0 ? UINT64_MAX : (uint64_t)in->soft;
    ret->hard = in->hard < 0 ? UINT64_MAX : (uint64_t)in->hard;
    if (ret->soft > ret->hard)
        return nd_error_field("soft", "is above the hard limit");
    clamp_rlimit(plan, ret);
    return NULL;
}

struct nd_error *
nd_plan_ulimits(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("ulimits", c->n_ulimits, ND_LEN(rlimit_names)));
    plan->rlimits = nd_arena_new_array(plan->arena, c->n_ulimits, struct nd_spec_rlimit);
    for (size_t i = 0; i < c->n_ulimits; i++) {
        ND_TRY(nd_in_element(plan_ulimit(plan, c->ulimits[i], &plan->rlimits[i]), "ulimits", i));
        for (size_t j = 0; j < i; j++) {
            if (strcmp(plan->rlimits[j].name, plan->rlimits[i].name) == 0)
                return nd_in_element(nd_error_field("name", "was given before"), "ulimits", i);
        }
    }
    plan->n_rlimits = c->n_ulimits;
    return NULL;
}

/* Parameters that a namespace has for itself; all others are the host's. */
static const struct {
    const char *key; /* ends with '.': a prefix */
    enum { SYSCTL_IPC, SYSCTL_NET } ns;
} sysctl_table[] = {
    {"kernel.msgmax", SYSCTL_IPC}, {"kernel.msgmnb", SYSCTL_IPC},
    {"kernel.msgmni", SYSCTL_IPC}, {"kernel.sem", SYSCTL_IPC},
    {"kernel.shmall", SYSCTL_IPC}, {"kernel.shmmax", SYSCTL_IPC},
    {"kernel.shmmni", SYSCTL_IPC}, {"kernel.shm_rmid_forced", SYSCTL_IPC},
    {"fs.mqueue.", SYSCTL_IPC},    {"net.", SYSCTL_NET},
};

static struct nd_error *
check_sysctl(const struct plan *plan, const char *key, const char *value)
{
    ND_TRY(nd_check_text(value, 255));
    for (size_t i = 0; i < ND_LEN(sysctl_table); i++) {
        size_t len = strlen(sysctl_table[i].key);
        bool prefix = sysctl_table[i].key[len - 1] == '.';

        if (prefix ? strncmp(key, sysctl_table[i].key, len) != 0 || key[len] == '\0'
                   : strcmp(key, sysctl_table[i].key) != 0)
            continue;
        if (strpbrk(key, "/ \t\n") != NULL || strstr(key, "..") != NULL || strlen(key) > 255)
            break;
        if (sysctl_table[i].ns == SYSCTL_IPC && plan->ipc == PLAN_IPC_HOST)
            return nd_error_new(ND_INVALID, "does not go together with ipc_mode host");
        if (sysctl_table[i].ns == SYSCTL_NET && plan->net_mode == ND_NET_HOST)
            return nd_error_new(ND_INVALID, "does not go together with the host's network");
        return NULL;
    }
    return nd_error_new(ND_INVALID, "is not a parameter of the container's namespaces");
}

/* nerdctl lets containers bind low ports; the user's value wins. */
static const struct nd_spec_pair low_ports = {"net.ipv4.ip_unprivileged_port_start", "0"};

struct nd_error *
nd_plan_sysctls(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    bool has_low_ports = false;

    ND_TRY(nd_check_count("sysctls", c->n_sysctls, ND_CONFIG_MAX_SYSCTLS));
    plan->sysctls = nd_arena_new_array(plan->arena, c->n_sysctls + 1, struct nd_spec_pair);
    for (size_t i = 0; i < c->n_sysctls; i++) {
        ND_TRY(nd_in_entry(check_sysctl(plan, c->sysctls[i]->key, c->sysctls[i]->value), "sysctls",
                           c->sysctls[i]->key));
        plan->sysctls[plan->n_sysctls++] =
            (struct nd_spec_pair){c->sysctls[i]->key, c->sysctls[i]->value};
        has_low_ports |= strcmp(c->sysctls[i]->key, low_ports.key) == 0;
    }
    if (!has_low_ports && plan->net_mode != ND_NET_HOST)
        plan->sysctls[plan->n_sysctls++] = low_ports;
    return NULL;
}
