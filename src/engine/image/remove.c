/*
 * Removing a name.
 *
 * containerd keeps content as long as a name, a container or a lease leads to it, so removing an
 * image is removing its name and letting the collector do the rest. What is refused is docker's and
 * nerdctl's rule:
 *
 *   used by a running container    refused; with force the content stays under a name that nobody
 *                                  can type (":"), as nerdctl does it
 *   used by a stopped container    refused without force
 *   found by id, several names     refused without force; with it all go
 *
 * A name that goes alone is one call, which happened or not.
 */

#include "base/buf.h"
#include "image/images.h"
#include "image/limits.h"

#include "records_priv.h"
#include "removal_priv.h"
#include "tree_priv.h"

struct users {
    const char *running; /* id of one */
    const char *stopped;
};

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Whether the container's task is alive. */
static struct nd_error *
is_alive(struct nd_host *host, const char *ns, const char *id, struct nd_arena *arena, bool *ret)
{
    CtTasks__GetRequest req = CT_TASKS__GET_REQUEST__INIT;
    CtTasks__GetResponse *rsp;
    struct nd_error *err;

    req.container_id = text(id);
    err = nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_TASKS_GET, &req,
                       arena, &rsp);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        *ret = false;
        return NULL;
    }
    ND_TRY(err);
    *ret = rsp->process != NULL && rsp->process->status != CT_TASKS__STATUS__STOPPED;
    return NULL;
}

static struct nd_error *
find_users(struct nd_host *host, const char *ns, const char *name, struct nd_arena *arena,
           struct users *ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf filter = ND_BUF_INIT(ND_IMAGE_FILTER_BYTES);
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;
    CtContainers__ListResponse *rsp;
    struct users users = {NULL, NULL};

    nd_ctrd_filter_eq(&filter, "image", nd_str(name));
    req.filters = &filter.ptr;
    req.n_filters = 1;
    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_CONTAINERS_LIST,
                        &req, arena, &rsp));
    for (size_t i = 0; i < rsp->n_containers; i++) {
        bool alive;

        ND_TRY(is_alive(host, ns, rsp->containers[i]->id, arena, &alive));
        if (alive)
            users.running = rsp->containers[i]->id;
        else
            users.stopped = rsp->containers[i]->id;
    }
    *ret = users;
    return NULL;
}

static struct nd_error *
in_use(const char *name, const char *container, bool running)
{
    struct nd_error *err = nd_error_new(
        ND_PRECONDITION, "conflict: unable to delete %s: image is being used by %s container %.12s",
        name, running ? "running" : "stopped", container);

    err = nd_error_meta(nd_error_reason(err, "IMAGE_IN_USE"), "container", container);
    return nd_error_hint(err, running ? "stop and remove the container first, or force it"
                                      : "remove the container first, or use --force");
}

/* While a container runs on it, the content keeps another name: two steps, which roll forward. */
static struct nd_error *
remove_and_keep_content(struct nd_host *host, const char *ns, const CtImages__Image *image,
                        bool sync, struct nd_arena *arena)
{
    CtImages__Image *kept;

    ND_TRY(nd_record_put(host, (struct nd_ctrd_scope){.ns = ns}, ":", image->target, arena, &kept));
    return nd_record_delete(host, ns, image->name, sync, arena);
}

static struct nd_error *
remove_used_name(struct nd_host *host, const char *ns, const CtImages__Image *image, bool sync,
                 struct nd_arena *arena)
{
    const struct nd_change_spec spec = {.kind = CHANGE_REMOVE_IMAGE,
                                        .ns = ns,
                                        .object = "",
                                        .payload = nd_str(image->name),
                                        .forward = true};
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(host, &spec, &change));
    ND_TRY(nd_change_ready(&change));
    ND_TRY(remove_and_keep_content(host, ns, image, sync, arena));
    nd_change_settle(&change);
    return NULL;
}

struct nd_error *
nd_recover_image_removal(void *host, const struct nd_open_intent *intent)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtImages__Image *image;
    struct nd_error *err = nd_record_get(host, intent->ns, intent->payload.ptr, arena, &image);

    if (err == NULL)
        err = remove_and_keep_content(host, intent->ns, image, false, arena);
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

/* Whether another name leads to the same content. */
static struct nd_error *
is_shared(struct nd_host *host, const char *ns, const char *digest, struct nd_arena *arena,
          bool *ret)
{
    CtImages__ListResponse *all;

    ND_TRY(nd_record_list(host, ns, arena, &all));
    *ret = false;
    for (size_t i = 0; i < all->n_images; i++)
        *ret = *ret || nd_str_eqz(nd_str(all->images[i]->target->digest), digest);
    return NULL;
}

static struct nd_error *
remove_one(struct nd_host *host, const char *ns, const Pb__ImageServiceRemoveRequest *req,
           const CtImages__Image *image, struct nd_arena *arena,
           Pb__ImageServiceRemoveResponse *rsp)
{
    struct users users;

    ND_TRY(find_users(host, ns, image->name, arena, &users));
    if (!req->force && (users.running != NULL || users.stopped != NULL))
        return in_use(image->name, users.running != NULL ? users.running : users.stopped,
                      users.running != NULL);
    if (users.running != NULL)
        ND_TRY(remove_used_name(host, ns, image, !req->async, arena));
    else
        ND_TRY(nd_record_delete(host, ns, image->name, !req->async, arena));
    rsp->untagged[rsp->n_untagged++] = image->name;
    return NULL;
}

struct nd_error *
nd_image_remove(struct nd_host *host, const char *ns, const Pb__ImageServiceRemoveRequest *req,
                struct nd_arena *arena, Pb__ImageServiceRemoveResponse *rsp)
{
    struct nd_found_images found;
    bool shared;

    ND_TRY(nd_record_find_field(host, ns, "image", nd_str(req->image), arena, &found));
    if (found.by_id && found.n > 1 && !req->force)
        return nd_error_hint(
            nd_error_reason(nd_error_new(ND_PRECONDITION, "image %s has several names", req->image),
                            "IMAGE_IN_USE"),
            "remove one of them by its name, or all with --force");
    rsp->untagged = nd_arena_new_array(arena, found.n, char *);
    for (size_t i = 0; i < found.n; i++) {
        struct nd_error *err = remove_one(host, ns, req, found.images[i], arena, rsp);

        if (nd_error_code(err) != ND_NOT_FOUND)
            ND_TRY(err);
        nd_error_free(err); /* somebody else was quicker */
    }
    if (rsp->n_untagged == 0)
        return nd_record_not_found(nd_str(req->image));
    ND_TRY(is_shared(host, ns, found.images[0]->target->digest, arena, &shared));
    if (!shared) {
        rsp->deleted = nd_arena_new_array(arena, 1, char *);
        rsp->deleted[rsp->n_deleted++] = found.images[0]->target->digest;
    }
    return NULL;
}
