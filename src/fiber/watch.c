/*
 * Watching descriptors with libuv's poll handles, and the wait of a fiber for one descriptor.
 *
 * libuv stops a handle for which the kernel reports an error, and tells its callback only that; a
 * read or a write then says what is wrong. So an error is passed on as "readable and writable", and
 * the next nd_watch_set() starts the handle again.
 *
 * Starting costs a system call at the next look, stopping one at once: callers leave a watch
 * running while they expect more, and stop it when an event comes that they do not want.
 */

#include "base/alloc.h"

#include "loop_priv.h"
#include "watch_priv.h"

struct nd_watch {
    uv_poll_t poll;
    struct nd_loop *loop;
    unsigned events;
    nd_watch_fn *fn;
    void *arg;
};

static const struct {
    unsigned ours;
    int uvs;
} bits[] = {
    {ND_FD_READ, UV_READABLE},
    {ND_FD_WRITE, UV_WRITABLE},
};

static void
on_poll(uv_poll_t *poll, int status, int uv_events)
{
    struct nd_watch *w = poll->data;
    unsigned events = 0;

    nd_loop_woke(w->loop);
    if (status < 0) {
        w->events = 0;
        w->fn(w->arg, ND_FD_READ | ND_FD_WRITE);
        return;
    }
    for (size_t i = 0; i < ND_LEN(bits); i++)
        events |= (uv_events & bits[i].uvs) != 0 ? bits[i].ours : 0;
    events &= w->events;
    if (events != 0)
        w->fn(w->arg, events);
}

struct nd_error *
nd_watch_open(int fd, nd_watch_fn *fn, void *arg, struct nd_watch **ret)
{
    struct nd_watch *w = nd_new(struct nd_watch);
    int rc;

    w->loop = nd_loop_here();
    w->fn = fn;
    w->arg = arg;
    rc = uv_poll_init(&w->loop->uv, &w->poll, fd);
    if (rc < 0) {
        nd_free(w);
        return nd_error_recode(nd_error_errno(-rc, "watch descriptor %d", fd), ND_INVALID);
    }
    w->poll.data = w;
    w->loop->n_watches++;
    *ret = w;
    return NULL;
}

void
nd_watch_set(struct nd_watch *w, unsigned events)
{
    int uv_events = 0;

    if (events == w->events)
        return;
    w->events = events;
    for (size_t i = 0; i < ND_LEN(bits); i++)
        uv_events |= (events & bits[i].ours) != 0 ? bits[i].uvs : 0;
    if (uv_events == 0)
        uv_poll_stop(&w->poll);
    else
        ND_INVARIANT(uv_poll_start(&w->poll, uv_events, on_poll) == 0); /* one watch each */
}

unsigned
nd_watch_get(const struct nd_watch *w)
{
    return w->events;
}

static void
on_closed(uv_handle_t *handle)
{
    nd_free(handle->data);
}

void
nd_watch_close(struct nd_watch *w)
{
    if (w == NULL)
        return;
    w->loop->n_watches--;
    uv_close((uv_handle_t *)&w->poll, on_closed);
}

static void
on_ready(void *arg, unsigned events)
{
    (void)events;
    nd_fiber_wake(arg, ND_WAKE_SIGNAL);
}

struct nd_error *
nd_fd_wait(int fd, enum nd_fd_event event)
{
    struct nd_watch *w;
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    ND_TRY(nd_watch_open(fd, on_ready, nd_fiber_here(), &w));
    nd_watch_set(w, (unsigned)event);
    err = nd_fiber_park(NULL, ND_PARK_CTX);
    nd_watch_close(w);
    return err;
}
