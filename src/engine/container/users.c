/*
 * Users and groups of images.
 *
 * Every container needs /etc/passwd and /etc/group of its image, even one that runs as root (whose
 * groups they tell). The chain id of an image names its file tree for ever, so what was read once
 * is kept: a table of at most ND_ACCOUNTS_MAX_IMAGES, in which a newcomer takes the place of the
 * one that was not asked for the longest. To read them a view is made, only to learn where the
 * layers are; the files are then read from the layers (layers.c). These belong to the image, so the
 * view itself needs no lease.
 */

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "container/limits.h"
#include "fiber/work.h"

#include "changes_priv.h"
#include "layers_priv.h"
#include "users_priv.h"

struct account_texts {
    char *key;            /* snapshotter and chain id */
    char *passwd, *group; /* "" when there is none */
    size_t passwd_len, group_len;
    bool unreadable; /* the snapshotter's mounts cannot be read without mounting */
    uint64_t used;
};

struct accounts {
    struct account_texts table[ND_ACCOUNTS_MAX_IMAGES];
    uint64_t clock;
};

struct accounts *
nd_accounts_new(void)
{
    return nd_new(struct accounts);
}

static void
forget(struct account_texts *texts)
{
    nd_free(texts->key);
    nd_free(texts->passwd);
    nd_free(texts->group);
    *texts = (struct account_texts){0};
}

void
nd_accounts_free(struct accounts *accounts)
{
    if (accounts == NULL)
        return;
    for (size_t i = 0; i < ND_LEN(accounts->table); i++)
        forget(&accounts->table[i]);
    nd_free(accounts);
}

/* "lowerdir=/a:/b": a colon in a name has a backslash in front. */
static size_t
split_layers(struct nd_str list, struct nd_arena *arena, const char **layers, size_t n, size_t max)
{
    char *name = nd_arena_alloc(arena, list.len + 1);
    size_t len = 0;

    for (size_t i = 0; i <= list.len && n < max; i++) {
        if (i < list.len && list.ptr[i] == '\\' && i + 1 < list.len) {
            name[len++] = list.ptr[++i];
        } else if (i < list.len && list.ptr[i] != ':') {
            name[len++] = list.ptr[i];
        } else if (len > 0) {
            layers[n++] = nd_arena_str(arena, nd_str_n(name, len));
            len = 0;
        }
    }
    return n;
}

bool
nd_mount_layers(const Ct__Mount *mount, struct nd_arena *arena, const char ***ret, size_t *ret_n)
{
    static const struct nd_str upper = {"upperdir=", 9}, lower = {"lowerdir=", 9};
    const char **layers = nd_arena_new_array(arena, ND_LAYERS_MAX, const char *);
    size_t n = 0;

    if (strcmp(mount->type, "bind") == 0 || strcmp(mount->type, "rbind") == 0) {
        layers[n++] = mount->source;
    } else if (strcmp(mount->type, "overlay") == 0) {
        for (size_t i = 0; i < mount->n_options; i++) {
            if (nd_str_starts(nd_str(mount->options[i]), upper))
                layers[n++] = mount->options[i] + upper.len;
        }
        for (size_t i = 0; i < mount->n_options; i++) {
            if (nd_str_starts(nd_str(mount->options[i]), lower))
                n = split_layers(nd_str_from(nd_str(mount->options[i]), lower.len), arena, layers,
                                 n, ND_LAYERS_MAX);
        }
    }
    *ret = layers;
    *ret_n = n;
    return n > 0;
}

struct read_job {
    const char **layers;
    size_t n_layers;
    struct account_texts *texts;
    int errnum;
    const char *failed; /* which file */
};

static int
read_one(struct read_job *job, const char *path, char **ret, size_t *ret_len)
{
    int errnum =
        nd_layers_read(job->layers, job->n_layers, path, ND_ACCOUNTS_MAX_BYTES, ret, ret_len);

    /*
     * An image without the file, or with something odd in its place, has no names: numbers still
     * work.
     */
    if (errnum == ENOENT || errnum == ENOTDIR || errnum == EISDIR || errnum == ENOTSUP) {
        *ret = nd_strdup("");
        *ret_len = 0;
        return 0;
    }
    if (errnum != 0)
        job->failed = path;
    return errnum;
}

static void
read_files(void *arg)
{
    struct read_job *job = arg;
    struct account_texts *t = job->texts;

    job->errnum = read_one(job, "etc/passwd", &t->passwd, &t->passwd_len);
    if (job->errnum == 0)
        job->errnum = read_one(job, "etc/group", &t->group, &t->group_len);
}

static struct nd_error *
read_texts(const struct mounts *mounts, struct nd_arena *arena, struct account_texts *texts)
{
    struct read_job job = {.texts = texts};

    texts->unreadable =
        mounts->n != 1 || !nd_mount_layers(mounts->at[0], arena, &job.layers, &job.n_layers);
    if (texts->unreadable)
        return NULL;
    ND_TRY(nd_work(ND_WORK_SHORT, read_files, &job));
    if (job.errnum == EFBIG)
        return nd_error_new(ND_EXHAUSTED, "/%s of the image is over %u bytes", job.failed,
                            ND_ACCOUNTS_MAX_BYTES);
    if (job.errnum != 0)
        return nd_error_errno(job.errnum, "read /%s of the image", job.failed);
    return NULL;
}

/* A view while it is there. */
struct view {
    struct nd_containers *cs;
    const char *ns, *snapshotter;
    char key[48];
};

static struct nd_error *
remove_view(void *arg)
{
    struct view *v = arg;

    return nd_snapshot_remove(v->cs, v->ns, v->snapshotter, v->key);
}

/*
 * A view, for as long as it takes to read: a change that is always taken back. Somebody's garbage
 * collection may take it before we do.
 */
static struct nd_error *
fetch_texts(struct nd_containers *cs, const char *ns, const char *snapshotter, const char *chain_id,
            struct account_texts *texts)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_ctrd_scope scope = {.ns = ns};
    CtSnapshots__ViewRequest req = CT_SNAPSHOTS__VIEW_REQUEST__INIT;
    CtSnapshots__ViewResponse *rsp;
    struct view v = {.cs = cs, .ns = ns, .snapshotter = snapshotter, .key = "accounts-"};
    struct nd_undo_step step = {.fn = remove_view, .arg = &v, .what = "remove the view"};
    const struct nd_change_spec spec = {
        .kind = CHANGE_VIEW, .ns = ns, .object = v.key, .payload = nd_str(snapshotter)};
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct mounts mounts;

    nd_random_hex(v.key + 9, 16);
    req.snapshotter = (char *)snapshotter;
    req.key = v.key;
    req.parent = (char *)chain_id;
    ND_TRY(nd_change_begin(cs->host, &spec, &change));
    ND_TRY(nd_change_ready(&change));
    nd_change_undo(&change, &step);
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    ND_TRY(nd_ctrd_call(nd_host_ctrd(cs->host), scope, CT_SNAPSHOTS_VIEW, &req, arena, &rsp));
    mounts = (struct mounts){rsp->mounts, rsp->n_mounts};
    return read_texts(&mounts, arena, texts);
}

static struct account_texts *
find_texts(struct accounts *a, const char *key)
{
    for (size_t i = 0; i < ND_LEN(a->table); i++) {
        if (a->table[i].key != NULL && strcmp(a->table[i].key, key) == 0)
            return &a->table[i];
    }
    return NULL;
}

/* Put into the table what was fetched; takes the texts. */
static struct account_texts *
keep_texts(struct accounts *a, struct account_texts *fetched)
{
    struct account_texts *oldest = &a->table[0];

    for (size_t i = 1; i < ND_LEN(a->table); i++) {
        if (a->table[i].used < oldest->used)
            oldest = &a->table[i];
    }
    forget(oldest);
    *oldest = *fetched;
    *fetched = (struct account_texts){0};
    return oldest;
}

static void
forgetp(struct account_texts *texts)
{
    forget(texts);
}

/* One call fetches, others of the same image that come meanwhile wait for it. */
static struct nd_error *
fetch_once(struct nd_containers *cs, const char *ns, const char *snapshotter, const char *chain_id,
           struct account_texts *fetched)
{
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *lock = NULL;
    ND_AUTO(nd_freep) char *name = nd_asprintf("accounts of %s", fetched->key);

    ND_TRY(nd_host_lock(cs->host, name, &lock));
    if (chain_id[0] == '\0' || find_texts(cs->accounts, fetched->key) != NULL)
        return NULL;
    ND_TRY(fetch_texts(cs, ns, snapshotter, chain_id, fetched));
    (void)keep_texts(cs->accounts, fetched);
    return NULL;
}

/* Borrowed until the caller suspends. */
static struct nd_error *
get_texts(struct nd_containers *cs, const char *ns, const char *snapshotter, const char *chain_id,
          struct account_texts **ret)
{
    ND_AUTO(forgetp)
    struct account_texts fetched = {.key = nd_asprintf("%s %s", snapshotter, chain_id)};
    ND_AUTO(nd_freep) char *key = nd_strdup(fetched.key);
    struct account_texts *found = find_texts(cs->accounts, key);

    if (found == NULL) {
        ND_TRY(fetch_once(cs, ns, snapshotter, chain_id, &fetched));
        found = find_texts(cs->accounts, key);
    }
    /* An image without layers has no accounts, and so little to remember that it is made anew. */
    if (found == NULL)
        found = keep_texts(cs->accounts, &fetched);
    found->used = ++cs->accounts->clock;
    *ret = found;
    return NULL;
}

struct nd_error *
nd_unless_image_removed(struct nd_error *err)
{
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    err = nd_error_wrap(nd_error_recode(err, ND_ABORTED), "the image is being removed");
    return nd_error_hint(nd_error_reason(err, "IMAGE_REMOVED"),
                         "load the image again, or use another one");
}

struct nd_error *
nd_accounts_resolve(struct nd_containers *cs, const struct account_query *query,
                    struct nd_arena *arena, struct nd_user *ret)
{
    struct nd_user_query user = {.text = nd_str(query->user),
                                 .group_add = (const char *const *)query->group_add,
                                 .n_group_add = query->n_group_add};
    struct account_texts *texts;
    struct nd_error *err;

    err = get_texts(cs, query->ns, query->snapshotter, query->chain_id, &texts);
    ND_TRY_DOING(nd_unless_image_removed(err), "users of the image");
    user.passwd = nd_str_n(texts->passwd, texts->passwd_len);
    user.group = nd_str_n(texts->group, texts->group_len);
    err = nd_user_resolve(&user, arena, ret);
    if (nd_error_code(err) == ND_NOT_FOUND && texts->unreadable)
        err = nd_error_hint(err, "names cannot be read from this snapshotter: use numbers");
    return err;
}
