/*
 * Reading one small file of an image from its layers, as overlayfs would show it.
 *
 * Mounting a view for two files that are read once per image would cost a mount, a mount namespace
 * to hide it in, and a leak after a crash. So the path is walked here, component by component:
 *
 *      layers, uppermost first        0: etc/ (opaque?)   1: etc -> whiteout?   2: etc/passwd
 *
 * The uppermost layer that has the component decides what it is. A directory is the union of the
 * layers below it that have a directory of that name, down to the first that is opaque, or has
 * something else or a whiteout there. A link restarts the walk with its target in the place of the
 * component; ".." stops at the root. The kernel is asked for one layer at a time, and never to
 * follow anything.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "container/limits.h"

#include "layers_priv.h"

struct walk {
    int fds[ND_LAYERS_MAX]; /* of the layers' roots */
    size_t n;
    size_t visible;      /* layers that still count in the directory that was reached */
    char done[PATH_MAX]; /* what was walked, without a slash in front */
    char rest[PATH_MAX]; /* what is to be walked */
    unsigned links;
};

static int
open_in(int root, const char *path, uint64_t flags)
{
    /* The kernel refuses O_NONBLOCK together with O_PATH. */
    uint64_t never_wait = (flags & O_PATH) != 0 ? 0 : O_NONBLOCK;
    struct open_how how = {.flags = flags | never_wait | O_CLOEXEC | O_NOFOLLOW,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, path[0] != '\0' ? path : ".", &how, sizeof(how));
}

/* What a layer has at a path; an errno. */
static int
look(const struct walk *w, size_t layer, const char *path, struct stat *ret)
{
    int fd = open_in(w->fds[layer], path, O_PATH);
    int errnum = fd < 0 ? errno : 0;

    if (fd >= 0 && fstat(fd, ret) < 0)
        errnum = errno;
    if (fd >= 0)
        close(fd);
    /* A directory of the path that is none in this layer: the path is not in it. */
    return errnum == ENOTDIR || errnum == ELOOP ? ENOENT : errnum;
}

static bool
is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool
is_opaque(const struct walk *w, size_t layer, const char *path)
{
    static const char *const names[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
    ND_AUTO(nd_closep) int fd = open_in(w->fds[layer], path, O_RDONLY | O_DIRECTORY);
    char value;

    for (size_t i = 0; fd >= 0 && i < ND_LEN(names); i++) {
        if (fgetxattr(fd, names[i], &value, 1) == 1 && value == 'y')
            return true;
    }
    return false;
}

/* The uppermost visible layer that has the path; ENOENT when none has, or a whiteout is on it. */
static int
find_top(const struct walk *w, const char *path, size_t *ret_layer, struct stat *ret)
{
    for (size_t i = 0; i < w->visible; i++) {
        int errnum = look(w, i, path, ret);

        if (errnum == ENOENT)
            continue;
        if (errnum == 0 && is_whiteout(ret))
            return ENOENT;
        *ret_layer = i;
        return errnum;
    }
    return ENOENT;
}

/* Below a directory count the layers down to the first that hides the rest. */
static void
enter_dir(struct walk *w, const char *path, size_t top)
{
    for (size_t i = top; i < w->visible; i++) {
        struct stat st = {0};
        int errnum = look(w, i, path, &st);

        if (errnum == ENOENT)
            continue;
        if (errnum != 0 || !S_ISDIR(st.st_mode)) {
            w->visible = i;
            return;
        }
        if (is_opaque(w, i, path)) {
            w->visible = i + 1;
            return;
        }
    }
}

/* Append a component; an errno. */
static int
add_component(char path[PATH_MAX], struct nd_str component)
{
    size_t len = strlen(path);

    if (len + component.len + 2 > PATH_MAX)
        return ENAMETOOLONG;
    if (len > 0)
        path[len++] = '/';
    memcpy(path + len, component.ptr, component.len);
    path[len + component.len] = '\0';
    return 0;
}

static void
drop_component(char path[PATH_MAX])
{
    size_t slash = nd_str_rfind(nd_str(path), '/');

    path[slash == SIZE_MAX ? 0 : slash] = '\0';
}

/* Take the next component of `rest` off; false at the end. */
static bool
next_component(struct walk *w, char component[PATH_MAX])
{
    struct nd_str rest = nd_str(w->rest), piece;

    while (nd_str_next(&rest, '/', &piece)) {
        if (piece.len == 0 || nd_str_eqz(piece, "."))
            continue;
        memcpy(component, piece.ptr, piece.len);
        component[piece.len] = '\0';
        memmove(w->rest, rest.len > 0 ? rest.ptr : "", rest.len);
        w->rest[rest.len] = '\0';
        return true;
    }
    w->rest[0] = '\0';
    return false;
}

/* Put the target of the link at `path` in front of what remains, and begin at the root again. */
static int
follow(struct walk *w, size_t layer, const char *path)
{
    char target[PATH_MAX] = "", whole[PATH_MAX] = "";
    int fd = open_in(w->fds[layer], path, O_PATH);
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
    int errnum = n < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    if (errnum != 0)
        return errnum;
    if (++w->links > ND_ACCOUNTS_MAX_LINKS)
        return ELOOP;
    target[n] = '\0';
    if (target[0] != '/')
        errnum = add_component(whole, nd_str(w->done));
    if (errnum == 0)
        errnum = add_component(whole, nd_str(target));
    if (errnum == 0 && w->rest[0] != '\0')
        errnum = add_component(whole, nd_str(w->rest));
    memcpy(w->rest, whole, sizeof(whole));
    w->done[0] = '\0';
    w->visible = w->n;
    return errnum;
}

static int
restart_above(struct walk *w)
{
    char whole[PATH_MAX] = "";
    int errnum;

    drop_component(w->done);
    errnum = add_component(whole, nd_str(w->done));
    if (errnum == 0 && w->rest[0] != '\0')
        errnum = add_component(whole, nd_str(w->rest));
    memcpy(w->rest, whole, sizeof(whole));
    w->done[0] = '\0';
    w->visible = w->n;
    return ++w->links > ND_ACCOUNTS_MAX_LINKS ? ELOOP : errnum;
}

/* Walk to the end; the layer and path of the file. */
static int
find_file(struct walk *w, size_t *ret_layer, char ret_path[PATH_MAX])
{
    char component[PATH_MAX];

    while (next_component(w, component)) {
        struct stat st = {0};
        size_t top = 0;
        int errnum;

        if (strcmp(component, "..") == 0) {
            errnum = restart_above(w);
        } else {
            memcpy(ret_path, w->done, sizeof(w->done));
            errnum = add_component(ret_path, nd_str(component));
            if (errnum == 0)
                errnum = find_top(w, ret_path, &top, &st);
            if (errnum == 0 && S_ISLNK(st.st_mode)) {
                errnum = follow(w, top, ret_path);
            } else if (errnum == 0 && S_ISDIR(st.st_mode)) {
                enter_dir(w, ret_path, top);
                memcpy(w->done, ret_path, sizeof(w->done));
            } else if (errnum == 0) {
                *ret_layer = top;
                return w->rest[0] != '\0' ? ENOTDIR : 0;
            }
        }
        if (errnum != 0)
            return errnum;
    }
    return EISDIR;
}

static int
read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    struct stat st = {0};
    size_t len = 0;
    char *text;

    if (fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return ENOTSUP;
    if ((uint64_t)st.st_size > max)
        return EFBIG;
    text = nd_calloc((size_t)st.st_size + 1, 1);
    while (len < (size_t)st.st_size) {
        ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int errnum = errno;

            nd_free(text);
            return errnum;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret = text;
    *ret_len = len;
    return 0;
}

static int
read_found(struct walk *w, const char *path, size_t max, char **ret, size_t *ret_len)
{
    char at[PATH_MAX];
    size_t layer = 0;
    int errnum, fd;

    if (strlen(path) >= sizeof(w->rest))
        return ENAMETOOLONG;
    memcpy(w->rest, path, strlen(path) + 1);
    errnum = find_file(w, &layer, at);
    if (errnum != 0)
        return errnum;
    fd = open_in(w->fds[layer], at, O_RDONLY | O_NOCTTY);
    if (fd < 0)
        return errno;
    errnum = read_all(fd, max, ret, ret_len);
    close(fd);
    return errnum;
}

int
nd_layers_read(const char *const *layers, size_t n_layers, const char *path, size_t max, char **ret,
               size_t *ret_len)
{
    ND_AUTO(nd_freep) struct walk *w = nd_new(struct walk); /* too large for a stack */
    int errnum = n_layers > ND_LAYERS_MAX ? E2BIG : 0;

    for (size_t i = 0; errnum == 0 && i < n_layers; i++) {
        w->fds[i] = open(layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (w->fds[i] < 0)
            errnum = errno;
        else
            w->n++;
    }
    w->visible = w->n;
    if (errnum == 0)
        errnum = read_found(w, path, max, ret, ret_len);
    for (size_t i = 0; i < w->n; i++)
        close(w->fds[i]);
    return errnum;
}
