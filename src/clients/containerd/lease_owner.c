/*
 * Who made a lease, so that those of the dead can be found.
 *
 * A program that is killed leaves its leases behind; each holds on to content and snapshots for a day. So a
 * lease carries who made it, as a process id and the time at which that process began (ids are used again),
 * and at its start a daemon deletes those whose maker is gone. Leases of living processes, and all that do not
 * carry the label, are somebody else's business.
 */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
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

void
nd_lease_owner(char ret[ND_LEASE_OWNER_SIZE])
{
    uint64_t pid = (uint64_t)getpid();

    (void)snprintf(ret, ND_LEASE_OWNER_SIZE, "%llu-%llu", (unsigned long long)pid,
                   (unsigned long long)start_of(pid));
}

/* What does not read as an owner has none that could be dead. */
static bool
is_dead(struct nd_str owner)
{
    size_t dash = nd_str_find(owner, '-');
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    uint64_t pid, ticks;

    err = nd_parse_u64(nd_str_sub(owner, 0, ND_MIN(dash, owner.len)), INT32_MAX, &pid);
    if (err == NULL && dash != SIZE_MAX)
        err = nd_parse_u64(nd_str_from(owner, dash + 1), UINT64_MAX, &ticks);
    return err == NULL && dash != SIZE_MAX && start_of(pid) != ticks;
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
        const CtLeases__Lease *l = rsp->leases[i];
        struct nd_lease lease = {0};

        for (size_t k = 0; k < l->n_labels; k++) {
            if (!nd_str_eqz(nd_str(l->labels[k]->key), ND_LEASE_OWNER_LABEL) ||
                !is_dead(nd_str(l->labels[k]->value)) || strlen(l->id) >= sizeof(lease.id))
                continue;
            memcpy(lease.id, l->id, strlen(l->id));
            nd_info("lease of a dead process", ND_KV("lease", (const char *)l->id),
                    ND_KV("ns", ns));
            ND_TRY(nd_lease_delete(ctrd, ns, &lease, true));
        }
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
