/*
 * The standard streams of a task that is being created.
 *
 *                       without standard input      with it
 *     without terminal  "binary"                    three FIFOs, a helper of ours
 *     with terminal     "binary"                    "binary", and a FIFO for standard input
 *
 * With "binary" the shim starts the helper, which finds the FIFO in its folder when there is one;
 * without a terminal the shim would ignore that FIFO, so there the daemon starts the helper before
 * it creates the task. Either way it is the same helper, and from here on there is one way to
 * attach. A container without a log (driver none) has a helper all the same, which keeps no log.
 *
 * The names of the FIFOs go once the task is created: who has them open goes on.
 */

#include "base/log.h"
#include "stream/folder.h"

#include "launch_priv.h"

static bool
needs_fifos(const struct launch *l)
{
    return l->interactive && !l->tty;
}

static struct nd_error *
start_helper(const struct launch *l)
{
    struct nd_streams_helper helper = {.program = nd_host_settings(l->cs->host)->helper_path,
                                       .folder = l->folder};
    struct nd_store *store;

    if (nd_launch_has_log(l)) {
        ND_TRY(nd_containers_store(l->cs, &store));
        helper.store = nd_store_path(store);
        helper.ns = l->ns;
        helper.id = l->id;
    }
    return nd_streams_helper_start(&helper);
}

/* What the shim starts: the logger of the container's label, or a helper that keeps no log. */
static struct nd_error *
find_uri(const struct launch *l, const char **ret)
{
    struct nd_store *store;

    *ret = l->log_uri;
    if (nd_launch_has_log(l))
        return NULL;
    ND_TRY(nd_containers_store(l->cs, &store));
    *ret = nd_store_streams_uri(store, nd_host_settings(l->cs->host)->helper_path, l->arena);
    return NULL;
}

struct nd_error *
nd_launch_streams(struct launch *l, struct task_streams *ret)
{
    const char *uri;

    ND_TRY(find_uri(l, &uri));
    l->folder = nd_arena_printf(l->arena, "%s/streams", nd_state_path(l->state));
    *ret = (struct task_streams){"", uri, l->tty ? "" : uri};
    if (!l->interactive)
        return NULL;
    ret->stdin = nd_arena_printf(l->arena, "%s/stdin", l->folder);
    if (!needs_fifos(l))
        return nd_streams_folder_make(l->folder, ND_FIFO_STDIN);
    ND_TRY(nd_streams_folder_make(l->folder, ND_FIFO_STDIN | ND_FIFO_STDOUT | ND_FIFO_STDERR));
    ret->stdout = nd_arena_printf(l->arena, "%s/stdout", l->folder);
    ret->stderr = nd_arena_printf(l->arena, "%s/stderr", l->folder);
    return start_helper(l);
}

void
nd_launch_streams_undo(const struct launch *l)
{
    if (!l->interactive)
        return;
    if (needs_fifos(l))
        nd_streams_helper_end(l->folder, true);
    nd_streams_folder_hide(l->folder);
}

void
nd_launch_streams_ready(const struct launch *l)
{
    if (l->interactive)
        nd_streams_folder_hide(l->folder);
}
