/*
 * The host object: settings checked and copied, facts found, containerd's client made, the store
 * opened when it is first needed.
 *
 * The store's path is a hash over the resolved path of containerd's socket. At a daemon's start
 * containerd may not be up yet, so the store is opened by whoever needs it first, and kept.
 */

#include "host/host.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "host/memo.h"
#include "state/ledger.h"
#include "store/root.h"

#include "facts_priv.h"
#include "locks_priv.h"
#include "runtime_priv.h"

#define NAMESPACE_MAX      76 /* bytes; containerd's rule for identifiers */
#define ND_SESSION_HOLD_NS (30 * ND_SECOND)

struct nd_host {
    struct nd_host_settings settings; /* texts are ours */
    struct nd_host_facts facts;
    struct nd_ctrd *ctrd;
    struct nd_ledger *ledger;
    struct nd_store *store; /* NULL until it is first needed */
    struct nd_map *locks;   /* by name, those that are held */
    struct nd_memo *memo;
    struct nd_runtime_cache runtime;
};

static const char *const cgroup_managers[] = {"cgroupfs", "systemd", "none"};

static struct nd_error *
check_settings(const struct nd_host_settings *s)
{
    if (s->data_root[0] != '/')
        return nd_error_field("data_root", "\"%s\" is not an absolute path", s->data_root);
    if (s->helper_path[0] != '/')
        return nd_error_field("helper_path", "\"%s\" is not an absolute path", s->helper_path);
    if (s->state_dir != NULL && s->state_dir[0] != '/')
        return nd_error_field("state_dir", "\"%s\" is not an absolute path", s->state_dir);
    ND_TRY(nd_namespace_check(nd_str(s->default_namespace)));
    if (s->cgroup_manager == NULL)
        return NULL;
    for (size_t i = 0; i < ND_LEN(cgroup_managers); i++) {
        if (nd_str_eqz(nd_str(s->cgroup_manager), cgroup_managers[i]))
            return NULL;
    }
    return nd_error_field("cgroup_manager", "\"%s\" is none of cgroupfs, systemd, none",
                          s->cgroup_manager);
}

/* systemd where it runs on a unified hierarchy, as nerdctl chooses. */
static const char *
choose_cgroup_manager(const struct nd_host_settings *s, const struct nd_host_facts *f)
{
    if (s->cgroup_manager != NULL)
        return s->cgroup_manager;
    return f->cgroup_v2 && f->systemd ? "systemd" : "cgroupfs";
}

static void
copy_settings(const struct nd_host_settings *s, const struct nd_host_facts *f,
              struct nd_host_settings *ret)
{
    *ret = (struct nd_host_settings){
        .containerd_address = nd_strdup(s->containerd_address),
        .data_root = nd_strdup(s->data_root),
        .default_namespace = nd_strdup(s->default_namespace),
        .snapshotter = nd_strdup(s->snapshotter),
        .cgroup_manager = nd_strdup(choose_cgroup_manager(s, f)),
        .helper_path = nd_strdup(s->helper_path),
        .state_dir = nd_strdup(s->state_dir),
        .runtime = nd_strdup(s->runtime != NULL ? s->runtime : "io.containerd.runc.v2"),
        .session_hold_ns = s->session_hold_ns != 0 ? s->session_hold_ns : ND_SESSION_HOLD_NS,
    };
}

static struct nd_error *
check_privilege(void)
{
    if (geteuid() == 0)
        return NULL;
    return nd_error_hint(nd_error_new(ND_DENIED, "this daemon must run as root"),
                         "start it by the service manager, or with sudo");
}

/* The data root, made if it is missing, so that a wrong one is noticed at start. */
static struct nd_error *
make_data_root(const char *path)
{
    char part[PATH_MAX];
    struct nd_str whole = nd_str(path);

    ND_TRY(nd_str_copy(part, sizeof(part), whole, "data root"));
    for (size_t i = 1; i <= whole.len; i++) {
        if (i < whole.len && part[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return nd_error_errno(errno, "make data root %s", part);
        part[i] = i < whole.len ? '/' : '\0';
    }
    if (access(path, R_OK | W_OK | X_OK) < 0)
        return nd_error_errno(errno, "data root %s", path);
    return NULL;
}

struct nd_error *
nd_host_new(const struct nd_host_settings *settings, struct nd_host **ret)
{
    const struct nd_ctrd_options options = {.address = settings->containerd_address};
    ND_AUTO(nd_host_freep) struct nd_host *host = NULL;

    ND_TRY(check_privilege());
    ND_TRY(check_settings(settings));
    ND_TRY(make_data_root(settings->data_root));
    host = nd_new(struct nd_host);
    host->locks = nd_map_new();
    host->memo = nd_memo_new();
    nd_host_find_facts(&host->facts);
    copy_settings(settings, &host->facts, &host->settings);
    ND_TRY(nd_ledger_open(settings->state_dir, &host->ledger));
    ND_TRY(nd_ctrd_new(&options, &host->ctrd));
    *ret = ND_TAKE(host);
    return NULL;
}

static void
free_text(const char *text)
{
    nd_free((void *)(uintptr_t)text);
}

void
nd_host_free(struct nd_host *host)
{
    if (host == NULL)
        return;
    nd_store_close(host->store);
    nd_ctrd_free(host->ctrd);
    nd_ledger_close(host->ledger);
    nd_map_free(host->locks);
    nd_memo_free(host->memo);
    nd_runtime_cache_fini(&host->runtime);
    free_text(host->settings.containerd_address);
    free_text(host->settings.data_root);
    free_text(host->settings.default_namespace);
    free_text(host->settings.snapshotter);
    free_text(host->settings.cgroup_manager);
    free_text(host->settings.helper_path);
    free_text(host->settings.runtime);
    free_text(host->settings.state_dir);
    nd_free(host);
}

void
nd_host_freep(struct nd_host **host)
{
    nd_host_free(*host);
}

struct nd_ctrd *
nd_host_ctrd(struct nd_host *host)
{
    return host->ctrd;
}

struct nd_ledger *
nd_host_ledger(struct nd_host *host)
{
    return host->ledger;
}

struct nd_memo *
nd_host_memo(struct nd_host *host)
{
    return host->memo;
}

const struct nd_host_settings *
nd_host_settings(const struct nd_host *host)
{
    return &host->settings;
}

const struct nd_host_facts *
nd_host_facts(const struct nd_host *host)
{
    return &host->facts;
}

struct nd_error *
nd_host_store(struct nd_host *host, struct nd_store **ret)
{
    struct nd_error *err = NULL;

    if (host->store == NULL)
        err = nd_store_open(host->settings.data_root, host->settings.containerd_address,
                            &host->store);
    if (err != NULL)
        return nd_ctrd_stream_error(host->ctrd, err); /* no socket: containerd is what is missing */
    *ret = host->store;
    return NULL;
}

struct nd_error *
nd_host_runtime(struct nd_host *host, struct nd_arena *arena, struct nd_host_runtime *ret)
{
    return nd_runtime_find(&host->runtime, arena, ret);
}

struct nd_error *
nd_host_lock(struct nd_host *host, const char *name, struct nd_host_lock **ret)
{
    return nd_locks_take(host->locks, name, ret);
}

static bool
is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct nd_error *
nd_namespace_check(struct nd_str name)
{
    bool separator =
        true; /* the name begins and ends with a letter or digit, and so does each part */

    if (name.len > NAMESPACE_MAX)
        return nd_error_field("containerd-namespace", "is longer than %d bytes", NAMESPACE_MAX);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool now = c == '.' || c == '_' || c == '-';

        if ((!now && !is_alnum(c)) || (now && separator)) {
            separator = true;
            break;
        }
        separator = now;
    }
    if (separator)
        return nd_error_field(
            "containerd-namespace",
            "\"%.*s\" is no namespace: letters and digits, parts joined by one of . _ -",
            ND_STR_ARG(name));
    return NULL;
}
