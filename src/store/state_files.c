/*
 * Writing the files of a state directory: all that are wanted in one go.
 *
 * Each way to a thread and back costs two switches between processes, on a busy machine many times
 * more than the writing itself; so the texts are made first, and one job writes them. What is
 * mounted into containers is written in place (its inode stays), what others read while it changes
 * is replaced as a whole.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/work.h"
#include "store/limits.h"

#include "files_priv.h"
#include "resolv_conf_priv.h"
#include "state_priv.h"

#define HOST_RESOLV_CONF     "/etc/resolv.conf"
#define RESOLVED_RESOLV_CONF "/run/systemd/resolve/resolv.conf"

/* What the thread gets: paths and texts, "" where there is nothing to write; what it leaves. */
struct writing {
    const struct nd_state *state;
    const struct nd_state_files *files;
    struct nd_arena *arena;
    const char *log_config_path, *ports_path;
    const char *log_config, *hostname;
    struct nd_buf ports;

    const char *failed; /* the path */
    int errnum;
};

static void
writing_fini(struct writing *w)
{
    nd_buf_fini(&w->ports);
    nd_arena_free(w->arena);
}

static bool
did(struct writing *w, const char *path, int errnum)
{
    if (errnum == 0)
        return true;
    w->failed = path;
    w->errnum = errnum;
    return false;
}

static bool
overwrite(struct writing *w, const char *path, mode_t mode, struct nd_str text)
{
    return did(w, path, nd_files_overwrite(nd_store_data_root(w->state->store), path, mode, text));
}

/* An empty log, so that it can be read before there is any output. One that is there stays. */
static bool
create_log(struct writing *w)
{
    const char *path = w->state->log_path;
    ND_AUTO(nd_closep)
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

    return did(w, path, fd < 0 ? errno : 0);
}

/* The host's own file; that of systemd-resolved when the usual one names only its stub. */
static char *
read_host_resolv_conf(size_t *ret_len)
{
    char *text = NULL, *real = NULL;
    size_t len = 0, real_len;

    *ret_len = 0;
    if (nd_files_read(HOST_RESOLV_CONF, ND_STORE_FILE_MAX, &text, &len) != 0)
        return NULL; /* a host without one is a host without name servers */
    if (nd_resolv_conf_is_stub(nd_str_n(text, len)) &&
        nd_files_read(RESOLVED_RESOLV_CONF, ND_STORE_FILE_MAX, &real, &real_len) == 0) {
        nd_free(text);
        text = real;
        len = real_len;
    }
    *ret_len = len;
    return text;
}

static bool
write_resolv_conf(struct writing *w)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(3 * (size_t)ND_STORE_FILE_MAX);
    size_t len;
    ND_AUTO(nd_freep) char *host = read_host_resolv_conf(&len);

    nd_resolv_conf_make(nd_str_n(host, len), w->files->mode, w->files->dns, &buf);
    return overwrite(w, w->state->resolv_conf_path, 0644, nd_buf_str(&buf));
}

static bool
replace_ports(struct writing *w)
{
    return did(w, w->ports_path, nd_files_replace(w->ports_path, 0600, nd_buf_str(&w->ports)));
}

/* On a thread: the fiber waits, so all of it is the thread's alone meanwhile. */
static void
write_all(void *arg)
{
    struct writing *w = arg;
    const struct nd_state_files *f = w->files;

    (void)((f->log == NULL ||
            (overwrite(w, w->log_config_path, 0600, nd_str(w->log_config)) && create_log(w))) &&
           (f->dns == NULL || write_resolv_conf(w)) &&
           (f->hostname == NULL ||
            overwrite(w, w->state->hostname_path, 0644, nd_str(w->hostname))) &&
           (f->ports == NULL || replace_ports(w)));
}

static struct nd_error *
check_hostname(const char *hostname)
{
    for (const char *p = hostname; p != NULL && *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return nd_error_field("hostname", "has white space or a control character");
    }
    return NULL;
}

/* The texts, all but the one that needs a file of the host. */
static struct nd_error *
make_texts(struct writing *w)
{
    const struct nd_state_files *f = w->files;

    ND_TRY(check_hostname(f->hostname));
    if (f->dns != NULL)
        ND_TRY(nd_dns_check(f->dns));
    if (f->log != NULL)
        w->log_config = nd_log_config_format(f->log, w->arena);
    if (f->hostname != NULL)
        w->hostname = nd_arena_printf(w->arena, "%s\n", f->hostname);
    if (f->ports != NULL)
        ND_TRY_DOING(nd_state_ports_text(f->ports, &w->ports), "network-config.json");
    w->log_config_path = nd_arena_printf(w->arena, "%s/log-config.json", w->state->path);
    w->ports_path = nd_arena_printf(w->arena, "%s/network-config.json", w->state->path);
    return NULL;
}

struct nd_error *
nd_state_write(struct nd_state *state, const struct nd_state_files *files)
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;
    ND_AUTO(writing_fini)
    struct writing w = {.state = state,
                        .files = files,
                        .arena = nd_arena_new(0),
                        .ports = ND_BUF_INIT(ND_STORE_FILE_MAX)};

    ND_TRY(make_texts(&w));
    if (files->ports != NULL)
        ND_TRY(nd_store_lock_take(state->path, ND_STORE_LOCK_DIR, &lock));
    ND_TRY(nd_work(ND_WORK_SHORT, write_all, &w));
    return w.errnum != 0 ? nd_files_error(w.errnum, "write", w.failed) : NULL;
}
