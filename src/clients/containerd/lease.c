/*
 * Leases: what was made under one is kept from the garbage collector until the lease is deleted.
 * Whoever makes one has noted its id before, and sees to it that it goes; one that is forgotten all
 * the same expires by itself.
 */

#include "containerd/leases.pb-c.h"

#include "ctrd_priv.h"

void *
nd_ctrd_map(struct nd_arena *arena, const ProtobufCMessageDescriptor *desc,
            const char *const *pairs, size_t *ret_n)
{
    ProtobufCMessage **entries;
    size_t n = 0;

    while (pairs != NULL && pairs[n] != NULL)
        n += 2;
    n /= 2;
    entries = nd_arena_new_array(arena, n, ProtobufCMessage *);
    for (size_t i = 0; i < n; i++) {
        char *entry = nd_arena_alloc(arena, desc->sizeof_message);

        protobuf_c_message_init(desc, entry);
        entries[i] = (ProtobufCMessage *)entry;
        *(char **)(entry + desc->fields[0].offset) = nd_ctrd_text(pairs[2 * i]);
        *(char **)(entry + desc->fields[1].offset) = nd_ctrd_text(pairs[2 * i + 1]);
    }
    *ret_n = n;
    return entries;
}

struct nd_error *
nd_lease_create(struct nd_ctrd *ctrd, const char *ns, const struct nd_lease *lease)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtLeases__CreateRequest req = CT_LEASES__CREATE_REQUEST__INIT;
    CtLeases__CreateResponse *rsp;
    const struct nd_ctrd_scope scope = {.ns = ns};
    char expires[ND_RFC3339_SIZE];
    const char *const labels[] = {"containerd.io/gc.expire", expires, NULL};
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    nd_wall_format(nd_wall_add(nd_wall_now(), ND_CTRD_LEASE_NS), expires);
    req.id = nd_ctrd_text(lease->id);
    req.labels = nd_ctrd_map(arena, &ct_leases__create_request__labels_entry__descriptor, labels,
                             &req.n_labels);
    /*
     * Shielded: a lease whose creation is cancelled half-way may exist, and nobody would delete it.
     */
    ND_SHIELDED(ND_CTRD_UNDO_NS);
    err = nd_ctrd_call(ctrd, scope, CT_LEASES_CREATE, &req, arena, &rsp);
    return err != NULL ? nd_error_wrap(err, "create lease") : NULL;
}

struct nd_error *
nd_lease_delete(struct nd_ctrd *ctrd, const char *ns, const struct nd_lease *lease, bool sync)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtLeases__DeleteRequest req = CT_LEASES__DELETE_REQUEST__INIT;
    Google__Protobuf__Empty *rsp;
    struct nd_error *err;
    const struct nd_ctrd_scope scope = {.ns = ns};

    ND_SHIELDED(sync ? ND_CTRD_TREE_TIMEOUT_NS : ND_CTRD_UNDO_NS);
    req.id = nd_ctrd_text(lease->id);
    req.sync = sync;
    err = nd_ctrd_call(ctrd, scope, CT_LEASES_DELETE, &req, arena, &rsp);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return NULL;
    }
    return err != NULL ? nd_error_wrap(err, "delete lease %s", lease->id) : NULL;
}
