/*
 * Shims that are nobody's.
 *
 * containerd gives up the making of a task when whoever asked for it is gone, and a shim that it
 * had just started is then known to nobody: it waits for ever for a first call. containerd has no
 * call to find such a shim, so it is found by its command line, which names namespace and id. It is
 * asked to end, which takes its socket with it, and made to end after a while.
 *
 * This is for recoveries alone. The caller has deleted the task, so no shim that is still there is
 * in use; one that is on its way out is given the time.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "container/limits.h"
#include "fiber/work.h"

#include "shims_priv.h"

#define COMMAND_MAX 4096u
#define SHIMS_MAX   16u

/* The shims of one container. */
struct search {
    const char *ns, *id;
    pid_t pids[SHIMS_MAX];
    size_t n;
    int errnum;
};

/* "containerd-shim-runc-v2", NUL, "-namespace", NUL, "default", NUL, "-id", ... */
static bool
is_wanted(const struct search *s, struct nd_str command)
{
    struct nd_str word, program;
    bool ns = false, id = false;
    size_t slash;

    if (!nd_str_next(&command, '\0', &program))
        return false;
    slash = nd_str_rfind(program, '/');
    if (slash != SIZE_MAX)
        program = nd_str_from(program, slash + 1);
    if (!nd_str_starts(program, ND_STR("containerd-shim")))
        return false;
    while (nd_str_next(&command, '\0', &word)) {
        struct nd_str value = command;
        size_t end = nd_str_find(value, '\0');

        value = nd_str_sub(value, 0, ND_MIN(end, value.len));
        ns |= nd_str_eqz(word, "-namespace") && nd_str_eqz(value, s->ns);
        id |= nd_str_eqz(word, "-id") && nd_str_eqz(value, s->id);
    }
    return ns && id;
}

static void
look_at_process(struct search *s, const char *pid_text)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    ND_AUTO(nd_closep) int fd = -1;
    char path[64], command[COMMAND_MAX];
    uint64_t pid;
    ssize_t n;

    err = nd_parse_u64(nd_str(pid_text), INT32_MAX, &pid);
    if (err != NULL || s->n == SHIMS_MAX)
        return;
    (void)snprintf(path, sizeof(path), "/proc/%llu/cmdline", (unsigned long long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, command, sizeof(command)) : 0;
    if (n > 0 && is_wanted(s, nd_str_n(command, (size_t)n)))
        s->pids[s->n++] = (pid_t)pid;
}

/* On a thread. */
static void
look(void *arg)
{
    struct search *s = arg;
    DIR *proc = opendir("/proc");

    s->n = 0;
    if (proc == NULL) {
        s->errnum = errno;
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; (e = readdir(proc)) != NULL;)
        look_at_process(s, e->d_name);
    closedir(proc);
}

static struct nd_error *
find_shims(struct search *s)
{
    ND_TRY(nd_work(ND_WORK_SHORT, look, s));
    return s->errnum != 0 ? nd_error_errno(s->errnum, "look for shims") : NULL;
}

static void
signal_all(const struct search *s, int signo)
{
    for (size_t i = 0; i < s->n; i++) {
        nd_info("shim that is nobody's", ND_KV("container", s->id), ND_KV("pid", s->pids[i]),
                ND_KV("signal", signo));
        (void)kill(s->pids[i], signo);
    }
}

/* Look until there is none, or the time is over. */
static struct nd_error *
wait_until_gone(struct search *s, int64_t for_ns)
{
    struct nd_mono until = {nd_loop_now().ns + for_ns};

    for (;;) {
        ND_TRY(find_shims(s));
        if (s->n == 0 || nd_loop_now().ns >= until.ns)
            return NULL;
        ND_TRY(nd_fiber_sleep(ND_SHIM_PAUSE_NS));
    }
}

struct nd_error *
nd_shims_end(const char *ns, const char *id)
{
    static const int signals[] = {0, SIGTERM, SIGKILL};
    struct search s = {.ns = ns, .id = id};

    for (size_t i = 0; i < ND_LEN(signals); i++) {
        if (signals[i] != 0)
            signal_all(&s, signals[i]);
        ND_TRY(wait_until_gone(&s, ND_SHIM_WAIT_NS));
        if (s.n == 0)
            return NULL;
    }
    return nd_error_new(ND_INTERNAL, "the shim of container %.12s does not end (pid %d)", id,
                        (int)s.pids[0]);
}
