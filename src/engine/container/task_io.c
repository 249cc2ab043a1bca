/*
 * The calls about processes of a task. As in calls.c, what is gone already is no failure where that
 * is what was wanted.
 */

#include "base/log.h"
#include "container/limits.h"
#include "fiber/limits.h"

#include "task_io_priv.h"

#define PROCESS_TYPE_URL "types.containerd.io/opencontainers/runtime-spec/1/Process"

/* Takes `err`: nobody to say it to is fine. */
static struct nd_error *
unless_gone(struct nd_error *err)
{
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_process_resize(const struct process_name *p, const Pb__TerminalSize *size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__ResizePtyRequest req = CT_TASKS__RESIZE_PTY_REQUEST__INIT;
    void *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    req.width = size->width;
    req.height = size->height;
    return nd_shim_call(p, CT_TASKS_RESIZE_PTY, &req, arena, &rsp);
}

struct nd_error *
nd_process_close_input(const struct process_name *p)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__CloseIoRequest req = CT_TASKS__CLOSE_IO_REQUEST__INIT;
    void *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    req.stdin = true;
    return unless_gone(nd_shim_call(p, CT_TASKS_CLOSE_IO, &req, arena, &rsp));
}

struct nd_error *
nd_process_signal(const struct process_name *p, int signo)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__KillRequest req = CT_TASKS__KILL_REQUEST__INIT;
    void *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    req.signal = (uint32_t)signo;
    return unless_gone(nd_shim_call(p, CT_TASKS_KILL, &req, arena, &rsp));
}

struct nd_error *
nd_exec_register(const struct process_name *p, const struct exec_io *io)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__ExecRequest req = CT_TASKS__EXEC_REQUEST__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    char type_url[] = PROCESS_TYPE_URL;
    void *rsp;

    spec.type_url = type_url;
    spec.value.data = (uint8_t *)(uintptr_t)io->spec.ptr;
    spec.value.len = io->spec.len;
    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    req.stdin = (char *)io->stdin;
    req.stdout = (char *)io->stdout;
    req.stderr = (char *)io->stderr;
    req.terminal = io->tty;
    req.spec = &spec;
    nd_doing("register command");
    return nd_shim_call(p, CT_TASKS_EXEC, &req, arena, &rsp);
}

struct nd_error *
nd_exec_start(const struct process_name *p)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__StartRequest req = CT_TASKS__START_REQUEST__INIT;
    CtTasks__StartResponse *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    nd_doing("start command");
    return nd_shim_call(p, CT_TASKS_START, &req, arena, &rsp);
}

/* A broken connection to containerd is no end of the command: ask again when it is back. */
struct nd_error *
nd_exec_wait(const struct process_name *p, struct task_exit *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_ctrd_scope scope = {.ns = p->ns};
    CtTasks__WaitRequest req = CT_TASKS__WAIT_REQUEST__INIT;
    CtTasks__WaitResponse *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    for (;;) {
        struct nd_error *err =
            nd_ctrd_call(nd_host_ctrd(p->cs->host), scope, CT_TASKS_WAIT, &req, arena, &rsp);

        if (err == NULL) {
            *ret = (struct task_exit){.code = rsp->exit_status, .at = nd_wall_of(rsp->exited_at)};
            return NULL;
        }
        if (nd_error_code(err) == ND_UNKNOWN) {
            /* Its shim has died, and everything in the container with it. */
            nd_error_free(err);
            *ret = (struct task_exit){.code = 128 + 9, .at = nd_wall_now()};
            return NULL;
        }
        if (nd_error_code(err) != ND_UNAVAILABLE)
            return err;
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(200 * ND_MILLISECOND));
    }
}

struct nd_error *
nd_process_get(const struct process_name *p, struct nd_arena *arena, task **ret)
{
    CtTasks__GetRequest req = CT_TASKS__GET_REQUEST__INIT;
    CtTasks__GetResponse *rsp;
    struct nd_error *err;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    err = nd_shim_call(p, CT_TASKS_GET, &req, arena, &rsp);
    *ret = err == NULL ? rsp->process : NULL;
    return unless_gone(err);
}

struct nd_error *
nd_exec_delete(const struct process_name *p)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtTasks__DeleteProcessRequest req = CT_TASKS__DELETE_PROCESS_REQUEST__INIT;
    CtTasks__DeleteResponse *rsp;

    req.container_id = (char *)p->id;
    req.exec_id = (char *)p->exec_id;
    return unless_gone(nd_shim_call(p, CT_TASKS_DELETE_PROCESS, &req, arena, &rsp));
}
