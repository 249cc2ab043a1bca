/*
 * The list of namespaces. containerd knows their names and labels; containers and images have to be
 * counted by listing them, volumes are directories of nerdctl's store:
 *
 *     <store>/volumes/<namespace>/<volume>/
 *
 * Several namespaces are counted at once. A namespace that vanishes meanwhile counts as empty:
 * reading an absent one is no error in containerd.
 */

#include "namespace/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containerd/containers.pb-c.h"
#include "containerd/images.pb-c.h"
#include "containerd/namespaces.pb-c.h"
#include "fiber/group.h"
#include "fiber/work.h"
#include "store/root.h"

/* --- counting --- */

static struct nd_error *
count_messages(struct nd_client_call *call, size_t *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;
    size_t n = 0;

    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        CtContainers__ListStreamResponse *rsp;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            break;
        n++;
    }
    *ret = n;
    return NULL;
}

struct nd_error *
nd_namespace_count_containers(struct nd_host *host, const char *ns, size_t *ret)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    struct nd_ctrd *ctrd = nd_host_ctrd(host);

    ND_TRY(
        nd_ctrd_stream(ctrd, (struct nd_ctrd_scope){.ns = ns}, CT_CONTAINERS_LIST_STREAM, &call));
    return nd_ctrd_stream_error(ctrd, count_messages(call, ret));
}

struct nd_error *
nd_namespace_count_images(struct nd_host *host, const char *ns, size_t *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtImages__ListRequest req = CT_IMAGES__LIST_REQUEST__INIT;
    CtImages__ListResponse *rsp;

    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_IMAGES_LIST, &req,
                        arena, &rsp));
    *ret = rsp->n_images;
    return NULL;
}

/* A job: the directories in `path`. */
struct dir_count {
    const char *path;
    size_t n;
    int errnum;
};

static bool
is_volume(int dir_fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_name[0] == '.')
        return false;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void
count_dirs(void *arg)
{
    struct dir_count *job = arg;
    const struct dirent *entry;
    DIR *dir = opendir(job->path);

    if (dir == NULL) {
        job->errnum = errno;
        return;
    }
    while ((entry = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        job->n += is_volume(dirfd(dir), entry);
    closedir(dir);
}

static struct nd_error *
count_volumes(struct nd_host *host, const char *ns, struct nd_arena *arena, size_t *ret)
{
    struct dir_count job = {0};
    struct nd_store *store;

    ND_TRY(nd_host_store(host, &store));
    job.path = nd_arena_printf(arena, "%s/volumes/%s", nd_store_path(store), ns);
    ND_TRY(nd_work(ND_WORK_SHORT, count_dirs, &job));
    if (job.errnum != 0 && job.errnum != ENOENT)
        return nd_error_errno(job.errnum, "list %s", job.path);
    *ret = job.n;
    return NULL;
}

/* --- the list --- */

/* One namespace to be counted. */
struct counting {
    struct nd_host *host;
    Pb__Namespace *ns;
};

static struct nd_error *
count(void *arg)
{
    const struct counting *c = arg;
    size_t containers = 0, images = 0, volumes = 0;

    nd_doing("count what is in a namespace");
    ND_TRY(nd_namespace_count_containers(c->host, c->ns->name, &containers));
    ND_TRY(nd_namespace_count_images(c->host, c->ns->name, &images));
    ND_TRY(count_volumes(c->host, c->ns->name, nd_ctx_arena(), &volumes));
    c->ns->containers = (int32_t)ND_MIN(containers, (size_t)INT32_MAX);
    c->ns->images = (int32_t)ND_MIN(images, (size_t)INT32_MAX);
    c->ns->volumes = (int32_t)ND_MIN(volumes, (size_t)INT32_MAX);
    return NULL;
}

/* Texts are shared with `from`. */
static Pb__Namespace *
convert(const CtNamespaces__Namespace *from, struct nd_arena *arena)
{
    Pb__Namespace *ns = nd_arena_new_object(arena, Pb__Namespace);

    pb__namespace__init(ns);
    ns->name = from->name;
    ns->n_labels = from->n_labels;
    ns->labels = nd_arena_new_array(arena, from->n_labels, Pb__Namespace__LabelsEntry *);
    for (size_t i = 0; i < from->n_labels; i++) {
        ns->labels[i] = nd_arena_new_object(arena, Pb__Namespace__LabelsEntry);
        pb__namespace__labels_entry__init(ns->labels[i]);
        ns->labels[i]->key = from->labels[i]->key;
        ns->labels[i]->value = from->labels[i]->value;
    }
    return ns;
}

static struct nd_error *
count_all(struct nd_host *host, struct nd_arena *arena, Pb__NamespaceServiceListResponse *rsp)
{
    ND_AUTO(nd_group_endp)
    struct nd_group *group = nd_group_begin("namespaces", ND_NAMESPACES_WIDTH);

    for (size_t i = 0; i < rsp->n_namespaces; i++) {
        struct counting *c = nd_arena_new_object(arena, struct counting);

        *c = (struct counting){host, rsp->namespaces[i]};
        ND_TRY(nd_group_spawn(group, count, c));
    }
    return nd_group_wait(group);
}

struct nd_error *
nd_namespaces_list(struct nd_host *host, const Pb__NamespaceServiceListRequest *req,
                   struct nd_arena *arena, Pb__NamespaceServiceListResponse *rsp)
{
    CtNamespaces__ListRequest list = CT_NAMESPACES__LIST_REQUEST__INIT;
    CtNamespaces__ListResponse *found;

    (void)req; /* has no fields yet */
    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){0}, CT_NAMESPACES_LIST, &list,
                        arena, &found));
    rsp->n_namespaces = found->n_namespaces;
    rsp->namespaces = nd_arena_new_array(arena, found->n_namespaces, Pb__Namespace *);
    for (size_t i = 0; i < found->n_namespaces; i++)
        rsp->namespaces[i] = convert(found->namespaces[i], arena);
    return count_all(host, arena, rsp);
}
