/*
 * Signals as a queue. libuv catches them for all loops of the process and tells each; here they
 * are kept in the order of their arrival until a fiber asks. A queue that nobody empties stops at
 * QUEUE_MAX: more of the same says nothing new.
 */

#include "base/alloc.h"
#include "fiber/process.h"
#include "fiber/sync.h"

#include "loop_priv.h"

#define QUEUE_MAX 32

struct caught {
    uv_signal_t handle; /* first: freed when it is closed */
    struct nd_signals *signals;
};

struct nd_signals {
    struct nd_loop *loop;
    struct nd_cond arrived;
    int queue[QUEUE_MAX];
    size_t n_queued;
    struct caught **caught;
    size_t n_caught;
};

static void
on_signal(uv_signal_t *handle, int signo)
{
    struct caught *c = handle->data;
    struct nd_signals *s = c->signals;

    nd_loop_woke(s->loop);
    if (s->n_queued == QUEUE_MAX)
        return;
    s->queue[s->n_queued++] = signo;
    nd_cond_signal(&s->arrived);
}

static void
on_closed(uv_handle_t *handle)
{
    nd_free(handle->data);
}

static struct nd_error *catch (struct nd_signals *s, int signo)
{
    struct caught *c = nd_new(struct caught);
    int rc = uv_signal_init(&s->loop->uv, &c->handle);

    if (rc < 0) {
        nd_free(c);
        return nd_error_errno(-rc, "catch signal %d", signo);
    }
    c->handle.data = c;
    c->signals = s;
    s->caught[s->n_caught++] = c;
    s->loop->n_watches++;
    rc = uv_signal_start(&c->handle, on_signal, signo);
    return rc < 0 ? nd_error_errno(-rc, "catch signal %d", signo) : NULL;
}

struct nd_error *
nd_signals_open(const int *signos, size_t n, struct nd_signals **ret)
{
    ND_AUTO(nd_signals_closep) struct nd_signals *s = nd_new(struct nd_signals);

    s->loop = nd_loop_here();
    s->caught = nd_new_array(n, struct caught *);
    for (size_t i = 0; i < n; i++)
        ND_TRY(catch (s, signos[i]));
    *ret = ND_TAKE(s);
    return NULL;
}

struct nd_error *
nd_signals_next(struct nd_signals *s, int *ret)
{
    ND_TRY(nd_ctx_check());
    while (s->n_queued == 0)
        ND_TRY(nd_cond_wait(&s->arrived));
    *ret = s->queue[0];
    s->n_queued--;
    for (size_t i = 0; i < s->n_queued; i++)
        s->queue[i] = s->queue[i + 1];
    return NULL;
}

void
nd_signals_close(struct nd_signals *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_caught; i++)
        uv_close((uv_handle_t *)&s->caught[i]->handle, on_closed);
    s->loop->n_watches -= s->n_caught;
    nd_free(s->caught);
    nd_free(s);
}

void
nd_signals_closep(struct nd_signals **s)
{
    nd_signals_close(ND_TAKE(*s));
}
