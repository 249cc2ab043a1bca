/*
 * Behind a command.
 *
 * containerd remembers a command until it is told to forget it, and the exit code with it: so that
 * is not done before the helper has gone, which stays as long as somebody may come back for output.
 * One fiber for each command waits for both. A daemon that dies leaves folders, by which the next
 * one finds what is left: it goes on waiting for those that run and forgets the others. Clients may
 * have begun new ones by then; those are known by their ids.
 */

#include <glob.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "container/limits.h"
#include "fiber/work.h"
#include "store/root.h"
#include "stream/folder.h"

#include "exec_priv.h"
#include "task_io_priv.h"

#define RETRY_MIN_NS (100 * ND_MILLISECOND)
#define RETRY_MAX_NS (60 * ND_SECOND)

struct reaping {
    struct nd_containers *cs;
    char *ns, *id, *exec_id, *folder;
};

static void
end_reaping(struct reaping **r)
{
    nd_map_take((*r)->cs->execs, nd_str((*r)->exec_id));
    nd_free((*r)->ns);
    nd_free((*r)->id);
    nd_free((*r)->exec_id);
    nd_free((*r)->folder);
    nd_free(*r);
}

/* One that was registered and never started has no end that could be waited for. */
static struct nd_error *
is_waiting(const struct process_name *process, bool *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    task *t;

    ND_TRY(nd_process_get(process, arena, &t));
    *ret = t != NULL && t->status == CT_TASKS__STATUS__CREATED;
    return NULL;
}

static struct nd_error *
wait_for_command(const struct process_name *process)
{
    struct task_exit exit;
    struct nd_error *err;
    bool waiting;

    nd_doing("wait for a command");
    ND_TRY(is_waiting(process, &waiting));
    if (waiting)
        return NULL;
    err = nd_exec_wait(process, &exit);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
reap(const struct reaping *r)
{
    const struct process_name process = {
        .cs = r->cs, .ns = r->ns, .id = r->id, .exec_id = r->exec_id};
    struct nd_error *err;

    ND_TRY(wait_for_command(&process));
    nd_streams_helper_end(r->folder, false);
    ND_TRY(nd_streams_helper_join(r->folder));
    ND_SHIELDED(ND_TEARDOWN_NS);
    err = nd_exec_delete(&process);
    nd_streams_folder_remove(r->folder);
    return err;
}

/* Until it is done: nobody else would, before the next daemon. */
static struct nd_error *
run_reaping(void *arg)
{
    ND_AUTO(end_reaping) struct reaping *r = arg;
    int64_t pause_ns = RETRY_MIN_NS;

    for (bool first = true;; first = false) {
        ND_AUTO(nd_error_freep) struct nd_error *err = reap(r);

        if (err == NULL)
            return NULL;
        ND_TRY(nd_ctx_check());
        if (first)
            nd_warn("a command is not forgotten, and that is tried again",
                    ND_KV("container", (const char *)r->id),
                    ND_KV("command", (const char *)r->exec_id), ND_KV("error", err));
        ND_TRY(nd_fiber_sleep(pause_ns));
        pause_ns = ND_MIN(2 * pause_ns, RETRY_MAX_NS);
    }
}

bool
nd_exec_reap_later(struct nd_containers *cs, const char *ns, const char *id, const char *exec_id,
                   const char *folder)
{
    struct reaping *r = nd_new(struct reaping);

    *r = (struct reaping){.cs = cs,
                          .ns = nd_strdup(ns),
                          .id = nd_strdup(id),
                          .exec_id = nd_strdup(exec_id),
                          .folder = nd_strdup(folder)};
    nd_map_set(cs->execs, nd_str(exec_id), r);
    if (nd_containers_spawn(cs, run_reaping, r))
        return true;
    end_reaping(&r);
    return false;
}

struct sweep {
    char *pattern;
    glob_t found;
    int result;
};

static void
fini_sweep(struct sweep *s)
{
    if (s->result == 0)
        globfree(&s->found);
    nd_free(s->pattern);
}

static void
look_for_folders(void *arg)
{
    struct sweep *s = arg;

    /*
     * NOLINTNEXTLINE(concurrency-mt-unsafe): unsafe are errfunc and changes of the locale, neither
     * is here
     */
    s->result = glob(s->pattern, GLOB_NOSORT | GLOB_ONLYDIR, NULL, &s->found);
}

/* ".../containers/<namespace>/<id>/exec/<exec id>" */
static void
sweep_folder(struct nd_containers *cs, const char *folder, size_t prefix)
{
    struct nd_str rest = nd_str_from(nd_str(folder), prefix), ns, id, exec, exec_id;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    if (!nd_str_next(&rest, '/', &ns) || !nd_str_next(&rest, '/', &id) ||
        !nd_str_next(&rest, '/', &exec) || !nd_str_next(&rest, '/', &exec_id))
        return;
    if (nd_map_find(cs->execs, exec_id) != NULL)
        return; /* of somebody who was quicker than we with our looking around */
    if (!nd_exec_reap_later(cs, nd_arena_str(arena, ns), nd_arena_str(arena, id),
                            nd_arena_str(arena, exec_id), folder))
        nd_warn("a command of before is left", ND_KV("folder", folder));
}

struct nd_error *
nd_exec_sweep(struct nd_containers *cs)
{
    ND_AUTO(fini_sweep) struct sweep s = {.result = -1};
    struct nd_store *store;
    size_t prefix;

    ND_TRY(nd_containers_store(cs, &store));
    s.pattern = nd_asprintf("%s/containers/*/*/exec/*", nd_store_path(store));
    prefix = strlen(nd_store_path(store)) + strlen("/containers/");
    ND_TRY(nd_work(ND_WORK_SHORT, look_for_folders, &s));
    for (size_t i = 0; s.result == 0 && i < s.found.gl_pathc; i++)
        sweep_folder(cs, s.found.gl_pathv[i], prefix);
    return NULL;
}
