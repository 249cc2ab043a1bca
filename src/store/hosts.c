/*
 * The hosts store: a directory per container, its hosts file and, while it is running, its
 * meta.json.
 *
 * Every change goes the same way: take the lock on the namespace's directory; on a thread change
 * the one container, then make the files anew that this reaches, and write those that have become
 * different (in place: they are mounted).
 *
 *   an address comes, goes or gets another name   every file of the namespace, by all metas
 *   there is none (host and none mode)            its own file alone, or not even that
 *
 * With n containers on one network each of the n files has n lines, so the work is theirs squared;
 * but a container without an address costs one small file, however many others there are.
 *
 * A meta that cannot be read is passed over, as nerdctl does: it must not take the names of all
 * others away.
 */

#include "store/hosts.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/json.h"
#include "fiber/work.h"
#include "store/limits.h"
#include "store/lock.h"

#include "files_priv.h"
#include "hosts_block_priv.h"

#define HOST_HOSTS "/etc/hosts"

/* Whose files become different. */
enum reach { REACH_NOBODY, REACH_OWN, REACH_ALL };

/* One change on its way through the thread. */
struct hosts_job {
    const char *data_root;
    const char *id;
    char *dir;     /* of the namespace */
    char *own_dir; /* of the container */
    struct nd_error *(*change)(struct hosts_job *job);

    enum nd_net_mode mode; /* create */
    struct nd_json *meta;  /* publish */
    const char *new_name;  /* rename */
    enum reach reach;      /* found out by `change` */
    struct nd_error *err;
};

const char *
nd_hosts_path(const struct nd_store *store, const char *ns, const char *id, struct nd_arena *arena)
{
    return nd_arena_printf(arena, "%s/etchosts/%s/%s/hosts", nd_store_path(store), ns, id);
}

/* --- rewriting ------------------------------------------------------------------------------ */

/* A container's meta, NULL when there is none that can be read. */
static struct nd_json *
read_meta(const char *path)
{
    ND_AUTO(nd_freep) char *text = NULL;
    struct nd_json *meta = NULL;
    struct nd_error *err;
    size_t len;

    if (nd_files_read(path, ND_STORE_FILE_MAX, &text, &len) != 0)
        return NULL;
    err = nd_json_parse(nd_str_n(text, len), NULL, &meta);
    if (err == NULL && nd_json_type(meta) == ND_JSON_OBJECT)
        return meta;
    nd_error_free(err);
    nd_json_free(meta);
    return NULL;
}

static struct nd_error *
read_peers(const char *dir_path, struct nd_hosts_peers *ret)
{
    DIR *dir = opendir(dir_path);

    if (dir == NULL)
        return nd_error_errno(errno, "open %s", dir_path);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; ret->n < ND_STORE_ENTRIES_MAX && (e = readdir(dir)) != NULL;) {
        ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s/meta.json", dir_path, e->d_name);
        struct nd_json *meta = e->d_name[0] != '.' ? read_meta(path) : NULL;

        if (meta != NULL)
            nd_hosts_peers_add(ret, e->d_name, meta);
    }
    closedir(dir);
    nd_hosts_peers_sort(ret);
    return NULL;
}

static struct nd_error *
rewrite_one(const struct hosts_job *job, const struct nd_hosts_peers *peers,
            const struct nd_hosts_peer *owner)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s/hosts", job->dir, owner->id);
    ND_AUTO(nd_freep) char *current = NULL;
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(2 * (size_t)ND_STORE_FILE_MAX);
    size_t len = 0;
    int errnum = nd_files_read(path, ND_STORE_FILE_MAX, &current, &len);

    if (errnum != 0 && errnum != ENOENT)
        return nd_files_error(errnum, "read", path);
    ND_TRY_DOING(nd_hosts_file_make(peers, owner, nd_str_n(current, len), &out), "make %s", path);
    if (current != NULL && nd_str_eq(nd_buf_str(&out), nd_str_n(current, len)))
        return NULL;
    errnum = nd_files_overwrite(job->data_root, path, 0644, nd_buf_str(&out));
    return errnum != 0 ? nd_files_error(errnum, "write", path) : NULL;
}

static char *
own_meta_path(const struct hosts_job *job)
{
    return nd_asprintf("%s/meta.json", job->own_dir);
}

/* Whether a container has an address: its peers' files name it then, and its own names them. */
static bool
has_address(const struct nd_json *meta)
{
    const struct nd_json *result;
    struct nd_str network;

    for (void *pos = NULL; nd_json_next(nd_json_find(meta, "Networks"), &pos, &network, &result);) {
        if (nd_json_type(result) != ND_JSON_NULL)
            return true;
    }
    return false;
}

/* Whose files change when what the container says now is not said any more. */
static enum reach
reach_of_current(const struct hosts_job *job)
{
    ND_AUTO(nd_freep) char *path = own_meta_path(job);
    ND_AUTO(nd_json_freep) struct nd_json *meta = read_meta(path);

    if (meta != NULL)
        return has_address(meta) ? REACH_ALL : REACH_NOBODY;
    /* One that cannot be read may have been, when the files were written. */
    return access(path, F_OK) < 0 && errno == ENOENT ? REACH_NOBODY : REACH_ALL;
}

/* A container without an address shares no line with anybody. */
static struct nd_error *
rewrite_own(const struct hosts_job *job)
{
    ND_AUTO(nd_hosts_peers_fini) struct nd_hosts_peers own = {0};
    ND_AUTO(nd_freep) char *path = own_meta_path(job);
    struct nd_json *meta = read_meta(path);

    if (meta == NULL)
        return NULL;
    nd_hosts_peers_add(&own, job->id, meta);
    return rewrite_one(job, &own, &own.peers[0]);
}

/* All of them, whatever happens with one; the first failure is told. */
static struct nd_error *
rewrite_all(const struct hosts_job *job)
{
    ND_AUTO(nd_hosts_peers_fini) struct nd_hosts_peers peers = {0};
    struct nd_error *first = NULL;

    ND_TRY(read_peers(job->dir, &peers));
    for (size_t i = 0; i < peers.n; i++) {
        struct nd_error *err = rewrite_one(job, &peers, &peers.peers[i]);

        if (first == NULL)
            first = err;
        else
            nd_error_free(err);
    }
    return first;
}

/* --- one change ----------------------------------------------------------------------------- */

static void
job_fini(struct hosts_job *job)
{
    nd_free(job->dir);
    nd_free(job->own_dir);
    nd_json_free(job->meta);
}

static void
job_step(void *arg)
{
    struct hosts_job *job = arg;

    job->err = job->change(job);
    if (job->err == NULL && job->reach == REACH_OWN)
        job->err = rewrite_own(job);
    else if (job->err == NULL && job->reach == REACH_ALL)
        job->err = rewrite_all(job);
}

static struct nd_error *
run(struct hosts_job *job, struct nd_store *store, const char *ns, const char *id)
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;

    ND_TRY(nd_store_check_component(nd_str(ns), "namespace"));
    ND_TRY(nd_store_check_component(nd_str(id), "id"));
    job->data_root = nd_store_data_root(store);
    job->id = id;
    job->dir = nd_asprintf("%s/etchosts/%s", nd_store_path(store), ns);
    job->own_dir = nd_asprintf("%s/%s", job->dir, id);
    ND_TRY(nd_store_lock_take(job->dir, ND_STORE_LOCK_DIR, &lock));
    ND_TRY(nd_work(ND_WORK_SHORT, job_step, job));
    return job->err;
}

static struct nd_error *
create(struct hosts_job *job)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/hosts", job->own_dir);
    ND_AUTO(nd_freep) char *text = NULL;
    size_t len = 0;
    int errnum = nd_files_mkdirs(job->own_dir, 0700);

    if (errnum != 0)
        return nd_files_error(errnum, "create", job->own_dir);
    if (job->mode == ND_NET_HOST)
        errnum = nd_files_read(HOST_HOSTS, ND_STORE_FILE_MAX, &text, &len);
    if (errnum != 0 && errnum != ENOENT)
        return nd_files_error(errnum, "read", HOST_HOSTS);
    errnum = nd_files_overwrite(job->data_root, path, 0644, nd_str_n(text, len));
    return errnum != 0 ? nd_files_error(errnum, "write", path) : NULL;
}

struct nd_error *
nd_hosts_create(struct nd_store *store, const char *ns, const char *id, enum nd_net_mode mode)
{
    ND_AUTO(job_fini)
    struct hosts_job job = {.change = create, .mode = mode};

    return run(&job, store, ns, id);
}

static struct nd_error *
write_meta(const struct hosts_job *job, const struct nd_json *meta)
{
    ND_AUTO(nd_freep) char *path = own_meta_path(job);
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_STORE_FILE_MAX);
    int errnum;

    ND_TRY_DOING(nd_json_write(meta, ND_JSON_GO, &text), "make %s", path);
    errnum = nd_files_replace(path, 0600, nd_buf_str(&text));
    return errnum != 0 ? nd_files_error(errnum, "write", path) : NULL;
}

static struct nd_error *
publish(struct hosts_job *job)
{
    if (access(job->own_dir, F_OK) < 0)
        return nd_error_errno(errno, "hosts of the container, %s", job->own_dir);
    job->reach = has_address(job->meta) ? REACH_ALL : reach_of_current(job);
    if (job->reach == REACH_NOBODY)
        job->reach = REACH_OWN;
    return write_meta(job, job->meta);
}

static struct nd_error *
networks_json(const struct nd_hosts_meta *meta, struct nd_json *networks)
{
    for (size_t i = 0; i < meta->n_networks; i++) {
        struct nd_json *result = NULL;

        if (meta->networks[i].result == NULL)
            result = nd_json_new_null();
        else
            ND_TRY_DOING(nd_json_parse(nd_str(meta->networks[i].result), NULL, &result),
                         "result of network %s", meta->networks[i].name);
        nd_json_set(networks, nd_str(meta->networks[i].name), result);
    }
    nd_json_sort(networks);
    return NULL;
}

static struct nd_error *
meta_json(const struct nd_hosts_meta *meta, struct nd_json **ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = nd_json_new_object();
    struct nd_json *networks = nd_json_new_object(), *extra;

    nd_json_set_text(value, "ID", meta->id);
    nd_json_set_value(value, "Networks", networks);
    ND_TRY(networks_json(meta, networks));
    nd_json_set_text(value, "Hostname", meta->hostname);
    extra = nd_json_new_object();
    for (size_t i = 0; i < meta->n_extra_hosts; i++)
        nd_json_set_text(extra, meta->extra_hosts[i].host, meta->extra_hosts[i].ip);
    nd_json_sort(extra);
    nd_json_set_value(value, "ExtraHosts", extra);
    nd_json_set_text(value, "Name", meta->name);
    nd_json_set_text(value, "Domainname", meta->domainname);
    *ret = ND_TAKE(value);
    return NULL;
}

struct nd_error *
nd_hosts_publish(struct nd_store *store, const char *ns, const struct nd_hosts_meta *meta)
{
    ND_AUTO(job_fini) struct hosts_job job = {.change = publish};

    ND_TRY(meta_json(meta, &job.meta));
    return run(&job, store, ns, meta->id);
}

static struct nd_error *
add(struct hosts_job *job)
{
    ND_TRY(create(job));
    return publish(job);
}

struct nd_error *
nd_hosts_add(struct nd_store *store, const char *ns, enum nd_net_mode mode,
             const struct nd_hosts_meta *meta)
{
    ND_AUTO(job_fini) struct hosts_job job = {.change = add, .mode = mode};

    ND_TRY(meta_json(meta, &job.meta));
    return run(&job, store, ns, meta->id);
}

static struct nd_error *
withdraw(struct hosts_job *job)
{
    ND_AUTO(nd_freep) char *path = own_meta_path(job);

    job->reach = reach_of_current(job);
    if (unlink(path) < 0 && errno != ENOENT)
        return nd_error_errno(errno, "remove %s", path);
    return NULL;
}

struct nd_error *
nd_hosts_withdraw(struct nd_store *store, const char *ns, const char *id)
{
    ND_AUTO(job_fini) struct hosts_job job = {.change = withdraw};

    return run(&job, store, ns, id);
}

static struct nd_error *
change_name(struct hosts_job *job)
{
    ND_AUTO(nd_freep) char *path = own_meta_path(job);
    ND_AUTO(nd_json_freep) struct nd_json *meta = read_meta(path);

    job->reach = reach_of_current(job);
    if (meta == NULL)
        return nd_error_new(ND_NOT_FOUND, "no readable %s", path);
    nd_json_set_text(meta, "Name", job->new_name);
    return write_meta(job, meta);
}

struct nd_error *
nd_hosts_rename(struct nd_store *store, const char *ns, const char *id, const char *new_name)
{
    ND_AUTO(job_fini) struct hosts_job job = {.change = change_name, .new_name = new_name};

    return run(&job, store, ns, id);
}

static struct nd_error *
remove_own(struct hosts_job *job)
{
    int errnum;

    job->reach = reach_of_current(job);
    errnum = nd_files_remove_tree(job->own_dir);
    return errnum != 0 ? nd_files_error(errnum, "remove", job->own_dir) : NULL;
}

struct nd_error *
nd_hosts_remove(struct nd_store *store, const char *ns, const char *id)
{
    ND_AUTO(job_fini) struct hosts_job job = {.change = remove_own};

    return run(&job, store, ns, id);
}
