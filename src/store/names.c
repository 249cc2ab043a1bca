/*
 * The name store: one small file per name, whose content is the id of its owner.
 *
 * Each operation is: take the lock on the namespace's directory, look and change on a thread, give
 * the lock back. nerdctl and its hook do the same, so the two never see a name half-way.
 */

#include "store/names.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "fiber/work.h"
#include "store/limits.h"
#include "store/lock.h"

#include "files_priv.h"

#define OWNER_MAX 4096u /* bytes of a name file; ids are much shorter */

struct name_job {
    char *dir;
    char *path, *new_path; /* the second one only for rename */
    const char *id;        /* NULL: any owner will do */
    char *owner;           /* found in `path`; NULL when there is no file */
    bool new_exists;
    int errnum;
};

static bool
is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct nd_error *
nd_name_check(struct nd_str name)
{
    bool good = name.len >= 2 && name.len <= ND_STORE_COMPONENT_MAX && is_alphanumeric(name.ptr[0]);

    for (size_t i = 1; good && i < name.len; i++)
        good = is_alphanumeric(name.ptr[i]) || name.ptr[i] == '_' || name.ptr[i] == '.' ||
               name.ptr[i] == '-';
    if (good)
        return NULL;
    return nd_error_field("name",
                          "must have 2 to %u characters, letters, digits, '_', '.' and '-', and "
                          "begin with a letter or digit",
                          ND_STORE_COMPONENT_MAX);
}

static void
job_fini(struct name_job *job)
{
    nd_free(job->dir);
    nd_free(job->path);
    nd_free(job->new_path);
    nd_free(job->owner);
}

static struct nd_error *
job_init(struct name_job *job, struct nd_store *store, const char *ns, const char *name,
         const char *id)
{
    ND_TRY(nd_store_check_component(nd_str(ns), "namespace"));
    ND_TRY(nd_store_check_component(nd_str(name), "name"));
    if (id != NULL)
        ND_TRY(nd_store_check_component(nd_str(id), "id"));
    *job = (struct name_job){.id = id};
    job->dir = nd_asprintf("%s/names/%s", nd_store_path(store), ns);
    job->path = nd_asprintf("%s/%s", job->dir, name);
    return NULL;
}

/* Run one step under the lock. */
static struct nd_error *
run_locked(struct name_job *job, void (*step)(void *job))
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;

    ND_TRY(nd_store_lock_take(job->dir, ND_STORE_LOCK_DIR, &lock));
    ND_TRY(nd_work(ND_WORK_SHORT, step, job));
    if (job->errnum != 0)
        return nd_files_error(job->errnum, "use name", job->path);
    return NULL;
}

/* Look who has the name. */
static void
read_owner(void *arg)
{
    struct name_job *job = arg;
    size_t len;

    job->errnum = nd_files_read(job->path, OWNER_MAX, &job->owner, &len);
    if (job->errnum == ENOENT)
        job->errnum = 0;
}

static bool
is_free_for(const struct name_job *job)
{
    return job->owner == NULL || job->owner[0] == '\0' || strcmp(job->owner, job->id) == 0;
}

static struct nd_error *
owned_by_another(const struct name_job *job, enum nd_code code, const char *name)
{
    return nd_error_meta(nd_error_new(code, "name %s is in use by container %s", name, job->owner),
                         "owner", job->owner);
}

static void
acquire_step(void *arg)
{
    struct name_job *job = arg;

    read_owner(job);
    if (job->errnum == 0 && is_free_for(job))
        job->errnum = nd_files_replace(job->path, 0600, nd_str(job->id));
}

struct nd_error *
nd_name_acquire(struct nd_store *store, const char *ns, const char *name, const char *id)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    ND_TRY(nd_name_check(nd_str(name)));
    ND_TRY(job_init(&job, store, ns, name, id));
    ND_TRY(run_locked(&job, acquire_step));
    if (!is_free_for(&job))
        return owned_by_another(&job, ND_EXISTS, name);
    return NULL;
}

static void
release_step(void *arg)
{
    struct name_job *job = arg;

    read_owner(job);
    if (job->errnum == 0 && job->owner != NULL && strcmp(job->owner, job->id) == 0 &&
        unlink(job->path) < 0)
        job->errnum = errno;
    if (job->errnum == 0)
        job->errnum = ND_FAULT_ERRNO("name.release done");
}

/* A temporary file is nobody's: whoever writes one has the lock, which we have now. */
static bool
is_leftover(const char *dir, const char *name, const char *id)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s", dir, name);
    ND_AUTO(nd_freep) char *owner = NULL;
    size_t len;

    if (nd_str_starts(nd_str(name), ND_STR(".tmp-")))
        return true;
    return id != NULL && nd_files_read(path, OWNER_MAX, &owner, &len) == 0 &&
           strcmp(owner, id) == 0;
}

static void
release_all_step(void *arg)
{
    struct name_job *job = arg;
    DIR *dir = opendir(job->dir);

    if (dir == NULL) {
        job->errnum = errno;
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; job->errnum == 0 && (e = readdir(dir)) != NULL;) {
        if (e->d_type != DT_DIR && is_leftover(job->dir, e->d_name, job->id) &&
            unlinkat(dirfd(dir), e->d_name, 0) < 0 && errno != ENOENT)
            job->errnum = errno;
    }
    closedir(dir);
}

struct nd_error *
nd_names_sweep(struct nd_store *store, const char *ns)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    ND_TRY(job_init(&job, store, ns, "all", NULL));
    return run_locked(&job, release_all_step);
}

struct nd_error *
nd_names_release_all(struct nd_store *store, const char *ns, const char *id)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    ND_TRY(job_init(&job, store, ns, "all", id));
    return run_locked(&job, release_all_step);
}

struct nd_error *
nd_name_release(struct nd_store *store, const char *ns, const char *name, const char *id)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    ND_TRY(job_init(&job, store, ns, name, id));
    ND_TRY(run_locked(&job, release_step));
    if (job.owner == NULL)
        return nd_error_new(ND_NOT_FOUND, "name %s is not reserved", name);
    if (strcmp(job.owner, id) != 0)
        return owned_by_another(&job, ND_PRECONDITION, name);
    return NULL;
}

static void
rename_step(void *arg)
{
    struct name_job *job = arg;

    job->new_exists = access(job->new_path, F_OK) == 0;
    read_owner(job);
    if (job->errnum != 0 || job->new_exists || job->owner == NULL ||
        strcmp(job->owner, job->id) != 0)
        return;
    job->errnum = nd_files_replace(job->new_path, 0600, nd_str(job->id));
    if (job->errnum == 0 && unlink(job->path) < 0)
        job->errnum = errno;
}

struct nd_error *
nd_name_rename(struct nd_store *store, const char *ns, const char *old_name, const char *id,
               const char *new_name)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    ND_TRY(nd_name_check(nd_str(new_name)));
    ND_TRY(job_init(&job, store, ns, old_name, id));
    job.new_path = nd_asprintf("%s/%s", job.dir, new_name);
    ND_TRY(run_locked(&job, rename_step));
    if (job.new_exists)
        return nd_error_new(ND_EXISTS, "name %s is in use", new_name);
    if (job.owner == NULL)
        return nd_error_new(ND_NOT_FOUND, "name %s is not reserved", old_name);
    if (strcmp(job.owner, id) != 0)
        return owned_by_another(&job, ND_PRECONDITION, old_name);
    return NULL;
}

struct nd_error *
nd_name_owner(struct nd_store *store, const char *ns, const char *name, char **ret_id)
{
    ND_AUTO(job_fini) struct name_job job = {0};

    /* Without the lock: a name file is replaced as a whole. */
    ND_TRY(job_init(&job, store, ns, name, NULL));
    ND_TRY(nd_work(ND_WORK_SHORT, read_owner, &job));
    if (job.errnum != 0)
        return nd_files_error(job.errnum, "read name", job.path);
    if (job.owner == NULL || job.owner[0] == '\0')
        return nd_error_new(ND_NOT_FOUND, "name %s is not reserved", name);
    *ret_id = ND_TAKE(job.owner);
    return NULL;
}
