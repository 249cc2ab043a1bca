/*
 * Who made a lease, so that those that nobody wants any more can be found.
 *
 *     <process id>-<when that process began>-<namespace of process ids>-<client of the process>
 *
 * A program that is killed leaves its leases behind, and so does one that loses containerd while it works;
 * each holds on to content and snapshots for a day. So whenever a connection was made, those leases are
 * deleted whose process is gone (ids are used again, hence the second part), and those of this very client
 * that it does not know of. Leases of other living processes, of processes that cannot be seen from here
 * (hence the third), and all that do not carry the label, are somebody else's business.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "containerd/leases.pb-c.h"
#include "containerd/namespaces.pb-c.h"

#include "ctrd_priv.h"

#define LABEL_FILTER  "labels.\"" ND_LEASE_OWNER_LABEL "\""
#define STAT_BYTES    1024
#define START_FIELD   20 /* of /proc/PID/stat, counted behind the program's name in parentheses */
#define SWEEP_WAIT_NS ND_SECOND

/* When a process began, in the kernel's ticks; 0 when there is no such process. */
static uint64_t
start_of(uint64_t pid)
{
    char path[40], text[STAT_BYTES];
    struct nd_str rest, field = ND_STR_NONE;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    ND_AUTO(nd_closep) int fd = -1;
    uint64_t ticks = 0;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
    if (n <= 0)
        return 0;
    rest = nd_str_n(text, (size_t)n);
    rest = nd_str_from(rest, nd_str_rfind(rest, ')') + 2); /* the name may hold anything */
    for (unsigned i = 0; i < START_FIELD; i++) {
        if (!nd_str_next(&rest, ' ', &field))
            return 0;
    }
    err = nd_parse_u64(field, UINT64_MAX, &ticks);
    return err == NULL ? ticks : 0;
}

/* The namespace that our process ids are in; 0 when the kernel has none. */
static uint64_t
pid_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void
nd_lease_owner(char ret[ND_LEASE_OWNER_SIZE])
{
    uint64_t pid = (uint64_t)getpid();
    char client[9];

    nd_random_hex(client, 4);
    (void)snprintf(ret, ND_LEASE_OWNER_SIZE, "%llu-%llu-%llu-%s", (unsigned long long)pid,
                   (unsigned long long)start_of(pid), (unsigned long long)pid_namespace(), client);
}

/* What does not read as an owner has none that could be dead. */
static bool
is_dead(struct nd_str owner)
{
    static const uint64_t most[] = {INT32_MAX, UINT64_MAX, UINT64_MAX};
    uint64_t parts[ND_LEN(most)];
    struct nd_str part;

    for (size_t i = 0; i < ND_LEN(most); i++) {
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

        if (!nd_str_next(&owner, '-', &part))
            return false;
        err = nd_parse_u64(part, most[i], &parts[i]);
        if (err != NULL)
            return false;
    }
    return parts[2] == pid_namespace() && start_of(parts[0]) != parts[1];
}

/* One of this client that it has given up: it could not delete it when it wanted to. */
static bool
is_forgotten(const struct nd_ctrd *ctrd, struct nd_str owner, const char *id)
{
    return nd_str_eqz(owner, ctrd->lease_owner) && nd_map_find(ctrd->leases, nd_str(id)) == NULL;
}

static bool
is_to_go(const struct nd_ctrd *ctrd, const CtLeases__Lease *lease)
{
    for (size_t i = 0; i < lease->n_labels; i++) {
        struct nd_str owner = nd_str(lease->labels[i]->value);

        if (nd_str_eqz(nd_str(lease->labels[i]->key), ND_LEASE_OWNER_LABEL) &&
            (is_dead(owner) || is_forgotten(ctrd, owner, lease->id)))
            return true;
    }
    return false;
}

static struct nd_error *
sweep_namespace(struct nd_ctrd *ctrd, const char *ns, struct nd_arena *arena)
{
    CtLeases__ListRequest req = CT_LEASES__LIST_REQUEST__INIT;
    CtLeases__ListResponse *rsp;
    char *filter = nd_ctrd_text(LABEL_FILTER);

    req.filters = &filter;
    req.n_filters = 1;
    ND_TRY(nd_ctrd_call(ctrd, (struct nd_ctrd_scope){.ns = ns}, CT_LEASES_LIST, &req, arena, &rsp));
    for (size_t i = 0; i < rsp->n_leases; i++) {
        struct nd_str id = nd_str(rsp->leases[i]->id);
        struct nd_lease lease = {0};

        if (!is_to_go(ctrd, rsp->leases[i]) || id.len >= sizeof(lease.id))
            continue;
        memcpy(lease.id, id.ptr, id.len);
        nd_info("lease that nobody wants", ND_KV("lease", (const char *)lease.id), ND_KV("ns", ns));
        ND_TRY(nd_lease_delete(ctrd, ns, &lease, true));
    }
    return NULL;
}

static struct nd_error *
sweep_all(struct nd_ctrd *ctrd)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtNamespaces__ListRequest req = CT_NAMESPACES__LIST_REQUEST__INIT;
    CtNamespaces__ListResponse *rsp;

    ND_TRY(nd_ctrd_call(ctrd, (struct nd_ctrd_scope){0}, CT_NAMESPACES_LIST, &req, arena, &rsp));
    for (size_t i = 0; i < rsp->n_namespaces; i++)
        ND_TRY(sweep_namespace(ctrd, rsp->namespaces[i]->name, arena));
    return NULL;
}

struct nd_error *
nd_leases_sweep(void *ctrd)
{
    for (;;) {
        struct nd_error *err = sweep_all(ctrd);

        if (nd_error_code(err) != ND_UNAVAILABLE)
            return err;
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(SWEEP_WAIT_NS));
    }
}

/* Until there is another connection than that of number `seen`. */
static struct nd_error *
wait_for_connection(struct nd_ctrd *ctrd, uint64_t seen)
{
    nd_doing("wait for another connection");
    while (!ctrd->connected || ctrd->connections == seen)
        ND_TRY(nd_cond_wait(&ctrd->changed));
    return NULL;
}

struct nd_error *
nd_leases_watch(void *ctrd_ptr)
{
    struct nd_ctrd *ctrd = ctrd_ptr;

    for (;;) {
        uint64_t connection = ctrd->connections;
        ND_AUTO(nd_error_freep) struct nd_error *err = nd_leases_sweep(ctrd);

        ND_TRY(nd_ctx_check());
        if (err != NULL)
            nd_warn("leases that nobody wants stay", ND_KV("error", err));
        ND_TRY(wait_for_connection(ctrd, connection));
    }
}
