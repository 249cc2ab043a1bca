/*
 * Child processes. Started with posix_spawn(), which does not copy our page tables and reports the
 * failure of exec; awaited through a pidfd, which any loop can watch and which cannot mean another
 * process.
 *
 * The child has exactly the descriptors that were named, as 0, 1, 2, ...: those that stand where
 * others are wanted are first moved out of the way, everything above is closed. It starts with no
 * signal blocked or ignored, whatever we do with them.
 *
 * A process is reaped the moment it ends, whether somebody waits or not. One that is forgotten
 * while it runs is killed and stays known to the loop until it is reaped.
 */

#include "fiber/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/sync.h"

#include "loop_priv.h"
#include "watch_priv.h"

#define MAX_CHILD_FDS ND_LEN(((struct nd_process_options *)NULL)->fds)

struct nd_process {
    pid_t pid;
    int pidfd;
    struct nd_watch *watch;
    bool ended;
    bool dying; /* forgotten: in the loop's list */
    int status;
    struct nd_cond changed;
    LIST_ENTRY(nd_process) link;
};

/* --- starting --- */

struct spawning {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int moved[MAX_CHILD_FDS]; /* copies out of the way; -1: none */
};

static void
spawning_init(struct spawning *sp)
{
    posix_spawn_file_actions_init(&sp->actions);
    posix_spawnattr_init(&sp->attr);
    for (size_t i = 0; i < MAX_CHILD_FDS; i++)
        sp->moved[i] = -1;
}

static void
spawning_fini(struct spawning *sp)
{
    posix_spawn_file_actions_destroy(&sp->actions);
    posix_spawnattr_destroy(&sp->attr);
    for (size_t i = 0; i < MAX_CHILD_FDS; i++)
        nd_closep(&sp->moved[i]);
}

static struct nd_error *
spawn_error(int rc)
{
    return nd_error_errno(rc, "prepare a process");
}

/* Descriptor `at` of the child. */
static struct nd_error *
map_fd(struct spawning *sp, int at, int fd)
{
    int rc;

    if (fd < 0) {
        rc = posix_spawn_file_actions_addopen(&sp->actions, at, "/dev/null", O_RDWR, 0);
        return rc != 0 ? spawn_error(rc) : NULL;
    }
    if (fd < (int)MAX_CHILD_FDS) {
        fd = sp->moved[at] = fcntl(fd, F_DUPFD_CLOEXEC, (int)MAX_CHILD_FDS);
        if (fd < 0)
            return nd_error_errno(errno, "descriptor for a process");
    }
    rc = posix_spawn_file_actions_adddup2(&sp->actions, fd, at);
    return rc != 0 ? spawn_error(rc) : NULL;
}

static struct nd_error *
set_files(struct spawning *sp, const struct nd_process_options *options)
{
    size_t n = options->n_fds != 0 ? options->n_fds : 3;
    int rc = 0;

    ND_INVARIANT(n <= MAX_CHILD_FDS);
    for (size_t i = 0; i < n; i++)
        ND_TRY(map_fd(sp, (int)i, options->n_fds != 0 ? options->fds[i] : -1));
    rc = posix_spawn_file_actions_addclosefrom_np(&sp->actions, (int)n);
    if (rc == 0 && options->cwd != NULL)
        rc = posix_spawn_file_actions_addchdir_np(&sp->actions, options->cwd);
    return rc != 0 ? spawn_error(rc) : NULL;
}

static void
set_attributes(struct spawning *sp, const struct nd_process_options *options)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&sp->attr, &none);
    posix_spawnattr_setsigdefault(&sp->attr, &all);
    if (options->new_session)
        flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&sp->attr, flags);
}

static struct nd_error *
check_cwd(const char *cwd)
{
    if (cwd != NULL && access(cwd, X_OK) < 0)
        return nd_error_errno(errno, "change to %s", cwd);
    return NULL;
}

static struct nd_error *
spawn(struct spawning *sp, const struct nd_process_options *options, pid_t *ret)
{
    char *const *argv = (char *const *)options->argv;
    char *const *env = options->env != NULL ? (char *const *)options->env : environ;
    int rc;

    ND_TRY(check_cwd(options->cwd));
    ND_TRY(set_files(sp, options));
    set_attributes(sp, options);
    rc = posix_spawnp(ret, argv[0], &sp->actions, &sp->attr, argv, env);
    return rc != 0 ? nd_error_errno(rc, "start %s", argv[0]) : NULL;
}

/* --- the end of it --- */

static void
free_process(struct nd_process *p)
{
    nd_watch_close(p->watch);
    nd_closep(&p->pidfd);
    nd_free(p);
}

static void
on_ended(void *arg, unsigned events)
{
    struct nd_process *p = arg;
    pid_t got = waitpid(p->pid, &p->status, WNOHANG);

    (void)events;
    if (got == 0 || (got < 0 && errno == EINTR))
        return;
    p->ended = true;
    nd_watch_set(p->watch, 0);
    nd_cond_broadcast(&p->changed);
    if (p->dying) {
        LIST_REMOVE(p, link);
        free_process(p);
    }
}

/* The kernel reaps for a parent that ignores SIGCHLD: no status would be left. */
static void
want_children(void)
{
    struct sigaction now;

    if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

static struct nd_error *
watch_process(struct nd_process *p)
{
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd < 0)
        return nd_error_errno(errno, "watch process %d", (int)p->pid);
    ND_TRY(nd_watch_open(p->pidfd, on_ended, p, &p->watch));
    nd_watch_set(p->watch, ND_FD_READ);
    return NULL;
}

static void
kill_now(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

struct nd_error *
nd_process_start(const struct nd_process_options *options, struct nd_process **ret)
{
    struct nd_process *p;
    struct spawning sp;
    struct nd_error *err;
    pid_t pid;

    ND_TRY(nd_ctx_check());
    want_children();
    spawning_init(&sp);
    err = spawn(&sp, options, &pid);
    spawning_fini(&sp);
    ND_TRY(err);

    p = nd_new(struct nd_process);
    p->pid = pid;
    err = watch_process(p);
    if (err != NULL) {
        kill_now(pid);
        free_process(p);
        return err;
    }
    *ret = p;
    return NULL;
}

pid_t
nd_process_pid(const struct nd_process *p)
{
    return p->pid;
}

struct nd_error *
nd_process_wait(struct nd_process *p, int *ret)
{
    ND_TRY(nd_ctx_check());
    while (!p->ended)
        ND_TRY(nd_cond_wait(&p->changed));
    *ret = p->status;
    return NULL;
}

struct nd_error *
nd_process_kill(struct nd_process *p, int signo)
{
    /* Until it is reaped, its number belongs to it. */
    if (p->ended)
        return nd_error_new(ND_NOT_FOUND, "process %d has ended", (int)p->pid);
    if (kill(p->pid, signo) < 0)
        return nd_error_errno(errno, "signal process %d", (int)p->pid);
    return NULL;
}

void
nd_process_free(struct nd_process *p)
{
    if (p == NULL)
        return;
    if (p->ended) {
        free_process(p);
        return;
    }
    p->dying = true;
    kill(p->pid, SIGKILL);
    LIST_INSERT_HEAD(&nd_loop_here()->dying, p, link);
}

void
nd_process_freep(struct nd_process **p)
{
    nd_process_free(ND_TAKE(*p));
}

void
nd_process_reap_dying(struct nd_loop *loop)
{
    for (struct nd_process *p; (p = LIST_FIRST(&loop->dying)) != NULL;) {
        LIST_REMOVE(p, link);
        kill_now(p->pid);
        free_process(p);
    }
}
