/*
 * The wiring: host, services, listeners; what runs beside the server; and the way down.
 *
 *   signals ──stop──▶ server ◀── listeners (Unix sockets, TCP with TLS)
 *                       │
 *     health ◀── containerd checker        services ──▶ engine ──▶ containerd
 *
 * The first fiber makes everything and then runs the server. Beside it, in one group: the health
 * check of containerd, the watcher of containers that remove themselves, and the signals. When the
 * server has stopped (drained after the first SIGTERM, at once after the second) the group is
 * cancelled, and what was made is taken apart in the opposite order by scope.
 *
 * Liveness is the loop itself; the readiness of each service follows containerd, so that a slow or
 * restarting containerd never makes an orchestrator kill a healthy daemon.
 */

#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "container/containers.h"
#include "fiber/group.h"
#include "fiber/process.h"
#include "fiber/sync.h"
#include "grpc/health.h"
#include "grpc/reflection.h"
#include "grpc/server.h"
#include "host/host.h"
#include "image/images.h"
#include "interceptors/interceptors.h"
#include "operation/operations.h"
#include "operation/recovery.h"
#include "services/services.h"
#include "services/version.h"

#include "memory.h"
#include "nerdctl_methods.h"

#define CONTAINERD_PATIENCE_NS (1 * ND_SECOND) /* then the log says who is waited for */
#define LISTEN_PATIENCE_NS     (1 * ND_SECOND)
#define LISTEN_PAUSE_NS        (10 * ND_MILLISECOND)

struct daemon {
    const struct nd_options *options;
    struct nd_server *server;
    struct nd_health *health;
    struct nd_recovery *recovery;
    struct nd_services services;
    bool has_containerd; /* it answers */
    struct nd_cond containerd_changed;
};

/* The helper stands beside this program unless the options say otherwise. */
static struct nd_error *
find_helper(const struct nd_options *o, char path[PATH_MAX])
{
    static const char name[] = "nerdctl-grpc-helper";
    struct nd_str dir;
    ssize_t n;

    if (o->helper != NULL) {
        ND_TRY(nd_str_copy(path, PATH_MAX, nd_str(o->helper), "path of the helper"));
    } else {
        n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));
        if (n < 0)
            return nd_error_errno(errno, "find this program");
        dir = nd_str_n(path, (size_t)n);
        memcpy(path + nd_str_rfind(dir, '/') + 1, name, sizeof(name));
    }
    if (path[0] != '/')
        return nd_error_new(ND_INVALID, "--helper %s: the path must be absolute", path);
    if (access(path, X_OK) < 0)
        return nd_error_hint(
            nd_error_errno(errno, "helper %s", path),
            "install nerdctl-grpc-helper beside nerdctl-grpcd, or name it by --helper");
    return NULL;
}

static struct nd_error *
make_host(const struct nd_options *o, struct nd_host **ret)
{
    char helper[PATH_MAX];
    struct nd_host_settings settings = {
        .containerd_address = o->containerd_address,
        .data_root = o->data_root,
        .state_dir = o->state_dir,
        .default_namespace = o->ns,
        .snapshotter = o->snapshotter,
        .cgroup_manager = o->cgroup_manager,
        .runtime = o->runtime,
        .helper_path = helper,
        .session_hold_ns = o->session_hold_ns,
    };

    ND_TRY(find_helper(o, helper));
    return nd_host_new(&settings, ret);
}

/*
 * What each service says about itself follows containerd; the whole server serves as long as it
 * runs.
 */
static void
on_containerd(void *arg, bool up)
{
    struct daemon *d = arg;

    for (const char *const *name = nd_services_names(); *name != NULL; name++)
        nd_health_set(d->health, nd_str(*name), up ? ND_HEALTH_SERVING : ND_HEALTH_NOT_SERVING);
    d->has_containerd = up;
    nd_cond_broadcast(&d->containerd_changed);
}

/* The folder of a socket file, as the default address needs it. */
static void
make_socket_folder(const struct nd_addr *addr)
{
    char dir[sizeof(addr->path)];
    size_t slash = nd_str_rfind(nd_str(addr->path), '/');

    if (addr->kind != ND_PEER_UNIX || addr->path[0] != '/' || slash == 0)
        return;
    memcpy(dir, addr->path, slash);
    dir[slash] = '\0';
    (void)mkdir(dir, 0755); /* when it cannot be made, binding says why */
}

/* NULL when there is to be no TLS. */
static struct nd_error *
read_tls(const struct nd_options *o, struct nd_tls_config **ret)
{
    const struct nd_tls_options tls_options = {.cert_file = o->tls_cert,
                                               .key_file = o->tls_key,
                                               .ca_file = o->tls_ca,
                                               .require_client_cert = true};

    *ret = NULL;
    return o->tls_cert != NULL ? nd_tls_config_server(&tls_options, ret) : NULL;
}

/*
 * A daemon that was killed while it started a process leaves its sockets to that one, until the
 * other program has begun: what is taken may be free in a moment.
 */
static struct nd_error *
listen_patiently(struct daemon *d, const struct nd_addr *addr,
                 const struct nd_listen_options *options, struct nd_tls_config *tls)
{
    int64_t until_ns = nd_loop_now().ns + LISTEN_PATIENCE_NS;

    for (;;) {
        ND_AUTO(nd_error_freep)
        struct nd_error *err = nd_server_listen(d->server, addr, options, tls, NULL);

        if (err == NULL || nd_error_code(err) != ND_EXISTS || nd_loop_now().ns >= until_ns)
            return ND_TAKE(err);
        ND_TRY(nd_fiber_sleep(LISTEN_PAUSE_NS));
    }
}

static struct nd_error *
listen_all(struct daemon *d)
{
    const struct nd_options *o = d->options;
    struct nd_listen_options unix_options = {.unix_mode = 0660};
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    uint64_t gid;

    if (o->socket_group != NULL) {
        ND_TRY_DOING(nd_parse_u64(nd_str(o->socket_group), UINT32_MAX - 1, &gid), "--socket-group");
        unix_options.unix_gid = (gid_t)gid;
        unix_options.chown_unix = true;
    }
    ND_TRY(read_tls(o, &tls));
    for (size_t i = 0; i < o->n_listen; i++) {
        bool tcp = o->addrs[i].kind == ND_PEER_TCP;

        make_socket_folder(&o->addrs[i]);
        ND_TRY_DOING(listen_patiently(d, &o->addrs[i], &unix_options, tcp ? tls : NULL),
                     "listen on %s", o->listen[i]);
        nd_info("listening", ND_KV("address", o->listen[i]), ND_KV("tls", tcp && tls != NULL));
    }
    return NULL;
}

/*
 * Certificates are replaced before they run out. With files that cannot be used, the old ones stay.
 */
static void
reload(struct daemon *d)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = read_tls(d->options, &tls);

    if (err != NULL)
        nd_err("reload failed, the certificates stay as they were", ND_KV("error", err));
    else if (tls != NULL)
        nd_server_replace_tls(d->server, tls);
    if (err == NULL)
        nd_info("reloaded", ND_KV("tls", tls != NULL));
}

static void
stop(struct daemon *d, int signo)
{
    nd_info("stopping", ND_KV("signal", signo));
    nd_health_shutdown(d->health);
    nd_server_stop(d->server, d->options->shutdown_grace_ns);
}

/* SIGTERM and SIGINT: drain; again: at once. SIGHUP: read the certificates again. */
static struct nd_error *
watch_signals(void *arg)
{
    struct daemon *d = arg;
    static const int signos[] = {SIGTERM, SIGINT, SIGHUP};
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    int signo;

    ND_TRY(nd_signals_open(signos, ND_LEN(signos), &signals));
    for (;;) {
        ND_TRY(nd_signals_next(signals, &signo));
        if (signo == SIGHUP)
            reload(d);
        else
            stop(d, signo);
    }
}

static struct nd_error *
wait_for_containerd(struct daemon *d, int64_t timeout_ns)
{
    ND_DEADLINE_IN(timeout_ns);

    while (!d->has_containerd)
        ND_TRY(nd_cond_wait(&d->containerd_changed));
    return NULL;
}

/*
 * "ready" is said when it is true: calls can do something. Whoever reads the log learns what is
 * missing.
 */
static struct nd_error *
say_ready(void *arg)
{
    struct daemon *d = arg;
    ND_AUTO(nd_error_freep) struct nd_error *err = wait_for_containerd(d, CONTAINERD_PATIENCE_NS);

    ND_TRY(nd_ctx_check());
    if (err != NULL) {
        nd_warn("waiting for containerd", ND_KV("address", d->options->containerd_address),
                ND_KV("until_then", "calls that need it fail with UNAVAILABLE"),
                ND_KV("hint", "is it running, and is --containerd-address right?"));
        ND_TRY(wait_for_containerd(d, INT64_MAX));
    }
    nd_info("ready", ND_KV("version", ND_VERSION),
            ND_KV("containerd", d->options->containerd_address));
    nd_let_go_of_start();
    return NULL;
}

/* Serve, with everything that runs beside the server in one group around it. */
static struct nd_error *
serve(struct daemon *d)
{
    ND_AUTO(nd_group_endp) struct nd_group *beside = nd_group_begin_independent("daemon", 0);

    ND_TRY(nd_group_spawn(beside, watch_signals, d));
    ND_TRY(nd_group_spawn(beside, nd_ctrd_run, nd_host_ctrd(d->services.host)));
    ND_TRY(nd_group_spawn(beside, nd_recovery_run, d->recovery));
    ND_TRY(nd_group_spawn(beside, nd_containers_watch, d->services.containers));
    ND_TRY(listen_all(d));
    ND_TRY(nd_group_spawn(beside, say_ready, d));
    return nd_server_run(d->server);
}

static struct nd_error *
offer_services(struct daemon *d, struct nd_reflection *reflection)
{
    nd_health_set(d->health, ND_STR(""), ND_HEALTH_SERVING);
    on_containerd(d, false);
    nd_ctrd_listen(nd_host_ctrd(d->services.host),
                   (struct nd_ctrd_listener){.on_change = on_containerd, .arg = d});
    nd_server_intercept(d->server, nd_intercept_log());
    nd_server_intercept(d->server, nd_intercept_recovery(d->recovery));
    nd_server_intercept(d->server, nd_intercept_known_fields());
    nd_server_intercept(d->server, nd_intercept_faults());
    nd_services_add_to(d->server, &d->services);
    nd_health_add_to(d->health, d->server);
    nd_reflection_add_to(reflection, d->server);
    return NULL;
}

struct nd_error *
nd_daemon_run(void *options)
{
    const struct nd_options *o = options;
    const struct nd_str descriptors = nd_str_n(nerdctl_descriptors, NERDCTL_DESCRIPTORS_SIZE);
    const struct nd_server_options server_options = {
        .max_connections = o->max_connections,
        .max_streams = o->max_streams,
        .max_connection_idle_ns = o->max_connection_idle_ns,
        .max_connection_age_ns = o->max_connection_age_ns,
        .max_connection_age_grace_ns = o->max_connection_age_grace_ns,
        .keepalive_time_ns = o->keepalive_time_ns != 0 ? o->keepalive_time_ns : -1,
        .keepalive_timeout_ns = o->keepalive_timeout_ns,
        .web_origins = o->web_origins,
        .n_web_origins = o->n_web_origins,
        .encode_details = nd_services_encode_details,
    };
    ND_AUTO(nd_host_freep) struct nd_host *host = NULL;
    ND_AUTO(nd_containers_freep) struct nd_containers *containers = NULL;
    ND_AUTO(nd_operations_freep) struct nd_operations *operations = NULL;
    ND_AUTO(nd_recovery_freep) struct nd_recovery *recovery = NULL;
    ND_AUTO(nd_health_freep) struct nd_health *health = nd_health_new();
    ND_AUTO(nd_reflection_freep) struct nd_reflection *reflection = NULL;
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(&server_options);
    struct daemon d = {.options = o, .server = server, .health = health};

    ND_TRY(make_host(o, &host));
    ND_TRY(nd_containers_new(host, &containers));
    ND_TRY(nd_operations_new(host, &operations));
    recovery = d.recovery = nd_recovery_new(host);
    nd_containers_recover_by(containers, recovery);
    nd_images_recover_by(host, recovery);
    ND_TRY(nd_reflection_new(&descriptors, 1, &reflection));
    d.services =
        (struct nd_services){.host = host, .containers = containers, .operations = operations};
    ND_TRY(offer_services(&d, reflection));
    return serve(&d);
}
