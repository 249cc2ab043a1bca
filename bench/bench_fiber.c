/*
 * What the fiber room costs, in nanoseconds per operation, best of several rounds. Build it with
 * the release preset and pin it to one processor:
 *
 *     taskset -c 1 bench_fiber
 *
 * A yield is two switches (fiber to loop, loop to fiber) and the queue between them; with one fiber
 * each yield is a whole turn with its look at the descriptors, with many the look is shared.
 */

#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "fiber/group.h"
#include "fiber/stream.h"
#include "fiber/sync.h"
#include "fiber/work.h"

#define ROUNDS 5

struct bench {
    const char *name;
    nd_fiber_fn *fn;
    uint64_t ops;
};

static struct nd_error *
return_at_once(void *arg)
{
    (void)arg;
    return NULL;
}

#define SPAWNS 1000000u
static struct nd_error *
spawn_and_run(void *arg)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("bench", 100);

    (void)arg;
    for (unsigned i = 0; i < SPAWNS; i++)
        ND_TRY(nd_group_spawn(g, return_at_once, NULL));
    return nd_group_wait(g);
}

#define YIELDERS       1000u
#define YIELDS_OF_EACH 1000u
static struct nd_error *
yield_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < YIELDS_OF_EACH; i++)
        ND_TRY(nd_fiber_yield());
    return NULL;
}

static struct nd_error *
many_yield(void *arg)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("bench", 0);

    (void)arg;
    for (unsigned i = 0; i < YIELDERS; i++)
        ND_TRY(nd_group_spawn(g, yield_often, NULL));
    return nd_group_wait(g);
}

#define TURNS 100000u
static struct nd_error *
one_yields(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TURNS; i++)
        ND_TRY(nd_fiber_yield());
    return NULL;
}

#define PINGS 1000000u
struct game {
    struct nd_cond turn[2];
    unsigned side; /* whose turn it is */
};
struct player {
    struct game *game;
    unsigned side;
};

static struct nd_error *
play(void *arg)
{
    const struct player *p = arg;
    struct game *g = p->game;

    for (unsigned i = 0; i < PINGS / 2; i++) {
        while (g->side != p->side)
            ND_TRY(nd_cond_wait(&g->turn[p->side]));
        g->side = !p->side;
        nd_cond_signal(&g->turn[!p->side]);
    }
    return NULL;
}

static struct nd_error *
ping_pong(void *arg)
{
    struct game game = {0};
    struct player a = {&game, 0}, b = {&game, 1};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("bench", 0);

    (void)arg;
    ND_TRY(nd_group_spawn(g, play, &a));
    ND_TRY(nd_group_spawn(g, play, &b));
    return nd_group_wait(g);
}

#define ECHOES 100000u
static struct nd_error *
echo(void *arg)
{
    char byte;

    for (unsigned i = 0; i < ECHOES; i++) {
        ND_TRY(nd_stream_read_full(arg, &byte, 1));
        ND_TRY(nd_stream_write(arg, nd_str_n(&byte, 1)));
    }
    return NULL;
}

static struct nd_error *
socket_echo(void *arg)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("bench", 0);
    char byte = 'x';
    int fds[2];

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return nd_error_new(ND_INTERNAL, "no sockets");
    ND_TRY(nd_stream_from_fd(fds[0], &a));
    ND_TRY(nd_stream_from_fd(fds[1], &b));
    ND_TRY(nd_group_spawn(g, echo, b));
    for (unsigned i = 0; i < ECHOES; i++) {
        ND_TRY(nd_stream_write(a, nd_str_n(&byte, 1)));
        ND_TRY(nd_stream_read_full(a, &byte, 1));
    }
    return nd_group_wait(g);
}

#define JOBS 20000u
static void
do_nothing(void *arg)
{
    (void)arg;
}

static struct nd_error *
work_on_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < JOBS; i++)
        ND_TRY(nd_work(ND_WORK_SHORT, do_nothing, NULL));
    return NULL;
}

static struct nd_error *
measure(const struct bench *b, int64_t *ret_ns)
{
    int64_t best_ns = INT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t began_ns = nd_mono_now().ns;

        ND_TRY(nd_loop_run(b->fn, NULL, NULL));
        best_ns = ND_MIN(best_ns, nd_mono_now().ns - began_ns);
    }
    *ret_ns = best_ns;
    return NULL;
}

int
main(void)
{
    static const struct bench benches[] = {
        {"spawn, run, end, from the pool", spawn_and_run, SPAWNS},
        {"yield among 1000 fibers", many_yield, YIELDERS * YIELDS_OF_EACH},
        {"yield alone (one turn of the loop)", one_yields, TURNS},
        {"signal and wait, one way", ping_pong, PINGS},
        {"byte there and back by socketpair", socket_echo, ECHOES},
        {"job on a thread", work_on_thread, JOBS},
    };

    for (size_t i = 0; i < ND_LEN(benches); i++) {
        int64_t ns = 0;
        ND_AUTO(nd_error_freep) struct nd_error *err = measure(&benches[i], &ns);

        if (err != NULL) {
            printf("%s: %s\n", benches[i].name, nd_error_message(err));
            return 1;
        }
        printf("%-36s %10.1f ns\n", benches[i].name, (double)ns / (double)benches[i].ops);
    }
    return 0;
}
