/* See private_containerd.h. */

#include "private_containerd.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

static char dir[64];
static char socket_path[96];
static pid_t pid;

static bool
is_in_path(const char *program)
{
    ND_AUTO(nd_freep) char *path = nd_strdup(getenv("PATH"));
    struct nd_str rest = nd_str(path), piece;

    while (nd_str_next(&rest, ':', &piece)) {
        char candidate[512];

        (void)snprintf(candidate, sizeof(candidate), "%.*s/%s", ND_STR_ARG(piece), program);
        if (access(candidate, X_OK) == 0)
            return true;
    }
    return false;
}

bool
containerd_is_usable(void)
{
    if (geteuid() == 0 && is_in_path("containerd"))
        return true;
    print_message("skipped: needs root and containerd in PATH\n");
    return false;
}

const char *
containerd_dir(void)
{
    return dir;
}

const char *
containerd_socket(void)
{
    return socket_path;
}

pid_t
containerd_pid(void)
{
    return pid;
}

static void
become_containerd(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 0);
    dup2(null, 1);
    if (getenv("ND_TEST_VERBOSE") == NULL)
        dup2(null, 2);
    execl(ND_CONTAINERD_PRIVATE, "containerd-private", dir, (char *)NULL);
    _exit(127);
}

void
containerd_start(void)
{
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become_containerd();
}

static void
reap(void)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    pid = 0;
}

void
containerd_kill(void)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    reap();
}

int
containerd_setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/nd-ctrd-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(socket_path, sizeof(socket_path), "%s/c.sock", dir);
    containerd_start();
    return 0;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int
containerd_teardown(void **state)
{
    (void)state;
    if (pid != 0) {
        kill(pid, SIGTERM);
        reap();
    }
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- a client --- */

static void
on_change(void *arg, bool up)
{
    struct world *w = arg;

    w->up = up;
    w->ups += up;
    w->downs += !up;
    nd_cond_broadcast(&w->changed);
}

void
world_until(struct world *w, bool up)
{
    while (w->up != up)
        expect_ok(nd_cond_wait(&w->changed));
}

struct world *
world_begin(void)
{
    struct nd_ctrd *ctrd;
    struct world *w;

    expect_ok(nd_ctrd_new(&(struct nd_ctrd_options){.address = socket_path}, &ctrd));
    w = world_begin_with(ctrd);
    w->borrowed = false;
    return w;
}

struct world *
world_begin_with(struct nd_ctrd *ctrd)
{
    struct world *w = nd_new(struct world);

    w->ctrd = ctrd;
    w->borrowed = true;
    nd_ctrd_listen(w->ctrd, (struct nd_ctrd_listener){.on_change = on_change, .arg = w});
    w->arena = nd_arena_new(0);
    w->group = nd_group_begin("containerd", 0);
    expect_ok(nd_group_spawn(w->group, nd_ctrd_run, w->ctrd));
    world_until(w, true);
    return w;
}

void
world_endp(struct world **w_ptr)
{
    struct world *w = ND_TAKE(*w_ptr);

    nd_group_end(w->group);
    if (!w->borrowed)
        nd_ctrd_free(w->ctrd);
    nd_arena_free(w->arena);
    nd_free(w);
}
