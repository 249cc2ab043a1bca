/*
 * The data store: which directory it is.
 *
 * The hash in its name is over the text of the socket's path after all links were resolved, so that
 * /var/run/... and /run/... give the same store. A socket that does not exist has no store yet.
 */

#include "store/root.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/digest.h"
#include "store/dir_watch.h"
#include "store/limits.h"

#include "files_priv.h"

#define ADDRESS_HASH_LEN 8

struct nd_store {
    char *data_root;
    char *path;
    struct nd_dir_watcher *watcher;
};

static struct nd_error *
resolve_address(const char *address, char resolved[PATH_MAX])
{
    static const char scheme[] = "unix://";

    if (strncmp(address, scheme, sizeof(scheme) - 1) == 0)
        address += sizeof(scheme) - 1;
    if (address[0] != '/')
        return nd_error_new(ND_INVALID, "containerd address %s is no absolute path", address);
    if (realpath(address, resolved) == NULL)
        return nd_error_recode(nd_error_errno(errno, "containerd socket %s", address),
                               ND_UNAVAILABLE);
    return NULL;
}

struct nd_error *
nd_store_open(const char *data_root, const char *containerd_address, struct nd_store **ret)
{
    ND_AUTO(nd_store_closep) struct nd_store *store = NULL;
    char resolved[PATH_MAX], hash[2 * ND_HASH_MAX_BYTES + 1];
    struct nd_str root = nd_str(data_root);
    int errnum;

    while (root.len > 1 && root.ptr[root.len - 1] == '/')
        root.len--;
    if (root.len == 0 || root.ptr[0] != '/')
        return nd_error_new(ND_INVALID, "data root %s is no absolute path", data_root);
    ND_TRY(resolve_address(containerd_address, resolved));

    nd_hash_hex(ND_SHA256, nd_str(resolved), hash);
    store = nd_new(struct nd_store);
    store->data_root = nd_str_dup(root);
    store->path = nd_asprintf("%s/%.*s", store->data_root, ADDRESS_HASH_LEN, hash);
    errnum = nd_files_mkdirs(store->path, 0700);
    if (errnum != 0)
        return nd_files_error(errnum, "create", store->path);
    ND_TRY(nd_dir_watcher_open(&store->watcher));
    *ret = ND_TAKE(store);
    return NULL;
}

void
nd_store_close(struct nd_store *store)
{
    if (store == NULL)
        return;
    nd_dir_watcher_close(store->watcher);
    nd_free(store->data_root);
    nd_free(store->path);
    nd_free(store);
}

void
nd_store_closep(struct nd_store **store)
{
    nd_store_close(*store);
}

const char *
nd_store_path(const struct nd_store *store)
{
    return store->path;
}

const char *
nd_store_data_root(const struct nd_store *store)
{
    return store->data_root;
}

struct nd_dir_watcher *
nd_store_watcher(struct nd_store *store)
{
    return store->watcher;
}

/* Percent-encode what a URI does not carry as it is; in a query '/' is encoded, too. */
static void
put_escaped(struct nd_buf *buf, const char *text, bool keep_slash)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL || (keep_slash && *text == '/'))
            nd_buf_putc(buf, *text);
        else
            nd_buf_printf(buf, "%%%02X", (unsigned char)*text);
    }
}

/* The helper with one pair of mode and store, which become its arguments. */
static const char *
helper_uri(const struct nd_store *store, const char *helper, const char *mode,
           struct nd_arena *arena)
{
    struct nd_buf uri = ND_BUF_INIT((size_t)16 * PATH_MAX);
    const char *copy;

    nd_buf_putz(&uri, "binary://");
    put_escaped(&uri, helper, true);
    nd_buf_printf(&uri, "?%s=", mode);
    put_escaped(&uri, store->path, false);
    copy = nd_arena_str(arena, nd_buf_str(&uri));
    nd_buf_fini(&uri);
    return copy;
}

const char *
nd_store_log_uri(const struct nd_store *store, const char *helper, struct nd_arena *arena)
{
    return helper_uri(store, helper, "_NERDCTL_INTERNAL_LOGGING", arena);
}

const char *
nd_store_streams_uri(const struct nd_store *store, const char *helper, struct nd_arena *arena)
{
    return helper_uri(store, helper, "streams", arena);
}

struct nd_error *
nd_store_check_component(struct nd_str text, const char *what)
{
    if (nd_str_trim(text).len == 0)
        return nd_error_new(ND_INVALID, "%s is empty", what);
    if (text.len > ND_STORE_COMPONENT_MAX)
        return nd_error_new(ND_INVALID, "%s is longer than %u bytes", what, ND_STORE_COMPONENT_MAX);
    if (nd_str_find(text, '/') != SIZE_MAX || nd_str_find(text, '\0') != SIZE_MAX ||
        nd_str_eqz(text, ".") || nd_str_eqz(text, ".."))
        return nd_error_new(ND_INVALID, "%s cannot be a part of a path", what);
    return NULL;
}
