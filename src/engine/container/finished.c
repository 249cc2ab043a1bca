/*
 * Sessions that are over.
 *
 * A client whose connection breaks just when the exit code is on its way comes back to a session
 * that is no more: for us everything was told, so its helper has gone, and perhaps the container
 * with it. So the exit codes of sessions are kept for as long as a session is held. All of them:
 * what is remembered is bounded by how many can end in that time, and by ND_FINISHED_MAX, which no
 * host reaches.
 *
 * Nothing of this outlives the daemon, and need not: a session is over when its exit code is with
 * the kernel, and before that the helper holds it.
 */

#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/map.h"
#include "container/limits.h"

#include "finished_priv.h"

struct entry {
    struct finished_session session;
    TAILQ_ENTRY(entry) link;
};

struct finished {
    struct nd_map *entries; /* by the session's name */
    TAILQ_HEAD(, entry) in_order;
};

static struct nd_str
key_of(const uint8_t name[ND_WIRE_SESSION])
{
    return nd_str_n(name, ND_WIRE_SESSION);
}

struct finished *
nd_finished_new(void)
{
    struct finished *f = nd_new(struct finished);

    f->entries = nd_map_new();
    TAILQ_INIT(&f->in_order);
    return f;
}

static void
forget(struct finished *f, struct entry *e)
{
    nd_map_take(f->entries, key_of(e->session.name));
    TAILQ_REMOVE(&f->in_order, e, link);
    nd_free(e);
}

void
nd_finished_free(struct finished *f)
{
    if (f == NULL)
        return;
    while (!TAILQ_EMPTY(&f->in_order))
        forget(f, TAILQ_FIRST(&f->in_order));
    nd_map_free(f->entries);
    nd_free(f);
}

/* They are in the order of their times, as all are kept for equally long. */
static void
make_room(struct finished *f, int64_t now_ns)
{
    struct entry *first;

    while ((first = TAILQ_FIRST(&f->in_order)) != NULL &&
           (first->session.until_ns <= now_ns || nd_map_count(f->entries) >= ND_FINISHED_MAX))
        forget(f, first);
}

void
nd_finished_put(struct finished *f, const struct finished_session *session, int64_t now_ns)
{
    struct entry *e = nd_map_find(f->entries, key_of(session->name));

    if (e != NULL)
        forget(f, e);
    make_room(f, now_ns);
    e = nd_new(struct entry);
    e->session = *session;
    TAILQ_INSERT_TAIL(&f->in_order, e, link);
    nd_map_set(f->entries, key_of(session->name), e);
}

const struct finished_session *
nd_finished_find(const struct finished *f, const uint8_t name[ND_WIRE_SESSION], int64_t now_ns)
{
    const struct entry *e = nd_map_find(f->entries, key_of(name));

    return e != NULL && e->session.until_ns > now_ns ? &e->session : NULL;
}
