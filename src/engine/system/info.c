/*
 * SystemService.Info: what people ask first when something does not work. Three sources, asked at
 * once where they wait: the facts of the host, the machine, and containerd (its identity, its
 * snapshotters, what is in the namespace).
 */

#include "container/query.h"
#include "containerd/introspection.pb-c.h"
#include "fiber/group.h"
#include "namespace/namespaces.h"
#include "system/system.h"

#include "machine_priv.h"

#define MAX_SECURITY_OPTIONS 3
#define MAX_WARNINGS         9

struct asking {
    struct nd_host *host;
    const char *ns;
    struct nd_arena *arena;
    Pb__SystemServiceInfoResponse *rsp;
    struct nd_containers *containers;
    size_t n_silent;                 /* of them, whose shims do not answer */
    const char *snapshotter_trouble; /* why the one in use cannot be used; NULL: it can */
};

static char *
text(const char *borrowed)
{
    return (char *)borrowed;
}

/* --- containerd: each in a fiber of its own --- */

static struct nd_error *
ask_server(void *arg)
{
    struct asking *a = arg;
    Google__Protobuf__Empty req = GOOGLE__PROTOBUF__EMPTY__INIT;
    const struct nd_ctrd_scope scope = {NULL, NULL};
    CtIntrospection__ServerResponse *server;
    struct nd_ctrd_version version;

    ND_TRY(nd_ctrd_call(nd_host_ctrd(a->host), scope, CT_INTROSPECTION_SERVER, &req, a->arena,
                        &server));
    a->rsp->id = server->uuid;
    ND_TRY(nd_ctrd_version(nd_host_ctrd(a->host), &version));
    a->rsp->server_version = nd_arena_strdup(a->arena, version.text);
    return NULL;
}

static void
take_snapshotter(struct asking *a, const CtIntrospection__Plugin *plugin)
{
    if (plugin->init_err == NULL)
        a->rsp->storage_drivers[a->rsp->n_storage_drivers++] = plugin->id;
    if (strcmp(plugin->id, nd_host_settings(a->host)->snapshotter) == 0)
        a->snapshotter_trouble = plugin->init_err != NULL ? plugin->init_err->message : NULL;
}

static struct nd_error *
ask_snapshotters(void *arg)
{
    struct asking *a = arg;
    CtIntrospection__PluginsRequest req = CT_INTROSPECTION__PLUGINS_REQUEST__INIT;
    char *filters[] = {text("type==\"io.containerd.snapshotter.v1\"")};
    const struct nd_ctrd_scope scope = {NULL, NULL};
    CtIntrospection__PluginsResponse *found;

    req.filters = filters;
    req.n_filters = 1;
    ND_TRY(nd_ctrd_call(nd_host_ctrd(a->host), scope, CT_INTROSPECTION_PLUGINS, &req, a->arena,
                        &found));
    a->snapshotter_trouble = "containerd does not have it";
    a->rsp->storage_drivers = nd_arena_new_array(a->arena, found->n_plugins, char *);
    for (size_t i = 0; i < found->n_plugins; i++)
        take_snapshotter(a, found->plugins[i]);
    return NULL;
}

static int32_t
number(size_t n)
{
    return (int32_t)ND_MIN(n, (size_t)INT32_MAX);
}

static struct nd_error *
ask_containers(void *arg)
{
    struct asking *a = arg;
    Pb__SystemServiceInfoResponse *rsp = a->rsp;
    struct nd_container_counts n;

    ND_TRY(nd_containers_count(a->containers, a->ns, &n));
    rsp->containers = number(n.all);
    rsp->containers_running = number(n.running);
    rsp->containers_paused = number(n.paused);
    rsp->containers_stopped = number(n.all - n.running - n.paused - n.silent);
    a->n_silent = n.silent;
    return NULL;
}

static struct nd_error *
ask_images(void *arg)
{
    struct asking *a = arg;
    size_t n;

    ND_TRY(nd_namespace_count_images(a->host, a->ns, &n));
    a->rsp->images = number(n);
    return NULL;
}

static struct nd_error *
ask_containerd(struct asking *a)
{
    static nd_fiber_fn *const questions[] = {ask_server, ask_snapshotters, ask_containers,
                                             ask_images};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("info", 0);

    nd_doing("ask containerd");
    for (size_t i = 0; i < ND_LEN(questions); i++)
        ND_TRY(nd_group_spawn(group, questions[i], a));
    return nd_group_wait(group);
}

/* --- the host --- */

/* The list of a reply, in the arena. */
static char **
texts(const char *const *from, size_t n, struct nd_arena *arena)
{
    char **list = nd_arena_new_array(arena, n, char *);

    for (size_t i = 0; i < n; i++)
        list[i] = text(from[i]);
    return list;
}

static void
fill_facts(const struct asking *a)
{
    static const char *const log_drivers[] = {"json-file", "none"};
    const struct nd_host_settings *settings = nd_host_settings(a->host);
    const struct nd_host_facts *facts = nd_host_facts(a->host);
    Pb__SystemServiceInfoResponse *rsp = a->rsp;

    rsp->driver = text(settings->snapshotter);
    rsp->log_drivers = texts(log_drivers, ND_LEN(log_drivers), a->arena);
    rsp->n_log_drivers = ND_LEN(log_drivers);
    rsp->cgroup_driver = text(settings->cgroup_manager);
    rsp->cgroup_version = text(facts->cgroup_v2 ? "2" : "1");
    rsp->kernel_version = text(facts->kernel_release);
    rsp->os_type = text("linux");
    rsp->containerd_address = text(settings->containerd_address);
    rsp->memory_limit = facts->memory_limit;
    rsp->swap_limit = facts->swap_limit;
    rsp->cpu_cfs_quota = facts->cpu_quota;
    rsp->cpu_shares = facts->cpu_shares;
    rsp->cpu_set = facts->cpuset;
    rsp->pids_limit = facts->pids_limit;
}

static void
fill_machine(const struct machine *machine, Pb__SystemServiceInfoResponse *rsp)
{
    rsp->name = text(machine->name);
    rsp->architecture = text(machine->architecture);
    rsp->operating_system = text(machine->operating_system);
    rsp->ncpu = machine->n_cpus;
    rsp->mem_total = (int64_t)ND_MIN(machine->memory_bytes, (uint64_t)INT64_MAX);
    rsp->ipv4_forwarding = machine->ipv4_forwarding;
}

static void
fill_security(const struct asking *a, const struct machine *machine)
{
    const struct nd_host_facts *facts = nd_host_facts(a->host);
    const char *options[MAX_SECURITY_OPTIONS];
    size_t n = 0;

    if (facts->apparmor)
        options[n++] = "name=apparmor";
    if (machine->seccomp)
        options[n++] = "name=seccomp,profile=builtin";
    if (facts->cgroup_v2)
        options[n++] = "name=cgroupns"; /* private by default there */
    a->rsp->security_options = texts(options, n, a->arena);
    a->rsp->n_security_options = n;
}

static void
fill_warnings(const struct asking *a)
{
    Pb__SystemServiceInfoResponse *rsp = a->rsp;
    const struct {
        bool present;
        const char *warning;
    } wanted[] = {
        {rsp->memory_limit, "WARNING: No memory limit support"},
        {rsp->swap_limit, "WARNING: No swap limit support"},
        {rsp->cpu_cfs_quota, "WARNING: No cpu cfs quota support"},
        {rsp->cpu_shares, "WARNING: No cpu shares support"},
        {rsp->cpu_set, "WARNING: No cpuset support"},
        {rsp->pids_limit, "WARNING: No pids limit support"},
        {rsp->ipv4_forwarding, "WARNING: IPv4 forwarding is disabled"},
    };

    rsp->warnings = nd_arena_new_array(a->arena, MAX_WARNINGS, char *);
    for (size_t i = 0; i < ND_LEN(wanted); i++)
        if (!wanted[i].present)
            rsp->warnings[rsp->n_warnings++] = text(wanted[i].warning);
    if (a->snapshotter_trouble != NULL)
        rsp->warnings[rsp->n_warnings++] =
            nd_arena_printf(a->arena, "WARNING: the snapshotter %s cannot be used: %s", rsp->driver,
                            a->snapshotter_trouble);
    if (a->n_silent > 0)
        rsp->warnings[rsp->n_warnings++] = nd_arena_printf(
            a->arena,
            "WARNING: what %zu of the containers do is not known: their shims do not answer",
            a->n_silent);
}

struct nd_error *
nd_system_info(struct nd_containers *containers, const char *ns, const char *daemon_version,
               struct nd_arena *arena, Pb__SystemServiceInfoResponse *rsp)
{
    struct asking a = {.host = nd_containers_host(containers),
                       .containers = containers,
                       .ns = ns,
                       .arena = arena,
                       .rsp = rsp};
    struct machine machine;

    ND_TRY(ask_containerd(&a));
    nd_machine_look(arena, &machine);
    rsp->namespace_ = text(ns);
    rsp->daemon_version = text(daemon_version);
    fill_facts(&a);
    fill_machine(&machine, rsp);
    fill_security(&a, &machine);
    fill_warnings(&a);
    return NULL;
}
