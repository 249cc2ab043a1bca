/*
 * The floor of running a container, or a command in one: the calls that containerd needs, in the
 * fastest order, and nothing else. No log, no names, no files, no hooks; null input and output, or
 * with OUTPUT what that URI says (binary:///path/of/a/logger).
 *
 *     bare_sequence run ADDRESS NAMESPACE SNAPSHOTTER PARENT SPEC [OUTPUT]
 *     bare_sequence exec ADDRESS NAMESPACE CONTAINER PROCESS
 *
 * PARENT is the chain id of the unpacked image, SPEC a file with the JSON of the run spec, PROCESS
 * one with that of a process. For each byte read from standard input one container, or command,
 * runs; then a line with two numbers: nanoseconds from the first call until the exit was known, and
 * until everything was removed.
 *
 * The order: the record first, because it keeps the snapshot from garbage collection; the wait is
 * issued before the start, so that the exit is known without another round trip.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/random.h"
#include "containerd/client.h"
#include "containerd/containers.pb-c.h"
#include "containerd/snapshots.pb-c.h"
#include "containerd/tasks.pb-c.h"
#include "fiber/group.h"
#include "fiber/stream.h"

#define SPEC_MAX_BYTES (1024u * 1024u)
#define ID_BYTES       16u
#define PROCESS_TYPE   "types.containerd.io/opencontainers/runtime-spec/1/Process"

struct bare;

struct mode {
    const char *name;
    int argc; /* without what is optional */
    const char *arguments;
    struct nd_error *(*round)(struct bare *b);
};

struct bare {
    char **argv;
    const struct mode *mode;
    struct nd_ctrd *ctrd;
    struct nd_ctrd_scope scope;
    char *output; /* a URI; "" is nowhere */
    char *spec;
    size_t spec_len;

    /* of one round */
    struct nd_arena *arena;
    char id[2 * ID_BYTES + 1];
    struct nd_mono begin;
    const char *task; /* whose process it is; itself is `id`, or "" for the first one */
    const char *process;
    CtSnapshots__PrepareResponse *prepared;
};

static struct nd_error *
call(struct bare *b, const struct nd_method_desc *method, const void *req, void *ret)
{
    return nd_ctrd_call(b->ctrd, b->scope, method, req, b->arena, ret);
}

static struct nd_error *
create_record(struct bare *b)
{
    CtContainers__CreateRequest req = CT_CONTAINERS__CREATE_REQUEST__INIT;
    CtContainers__Container container = CT_CONTAINERS__CONTAINER__INIT;
    CtContainers__Runtime runtime = CT_CONTAINERS__RUNTIME__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    CtContainers__CreateResponse *rsp;

    spec.type_url = (char *)ND_TYPE_SPEC;
    spec.value.data = (uint8_t *)b->spec;
    spec.value.len = b->spec_len;
    runtime.name = (char *)"io.containerd.runc.v2";
    container.id = b->id;
    container.runtime = &runtime;
    container.spec = &spec;
    container.snapshotter = b->argv[4];
    container.snapshot_key = b->id;
    req.container = &container;
    return call(b, CT_CONTAINERS_CREATE, &req, &rsp);
}

static struct nd_error *
prepare_snapshot(struct bare *b)
{
    CtSnapshots__PrepareRequest req = CT_SNAPSHOTS__PREPARE_REQUEST__INIT;

    req.snapshotter = b->argv[4];
    req.key = b->id;
    req.parent = b->argv[5];
    return call(b, CT_SNAPSHOTS_PREPARE, &req, &b->prepared);
}

static struct nd_error *
create_task(struct bare *b)
{
    CtTasks__CreateRequest req = CT_TASKS__CREATE_REQUEST__INIT;
    CtTasks__CreateResponse *rsp;

    req.container_id = b->id;
    req.n_rootfs = b->prepared->n_mounts;
    req.rootfs = b->prepared->mounts;
    req.stdout = b->output;
    req.stderr = b->output;
    return call(b, CT_TASKS_CREATE, &req, &rsp);
}

/* A fiber. */
static struct nd_error *
wait_for_exit(void *arg)
{
    struct bare *b = arg;
    CtTasks__WaitRequest req = CT_TASKS__WAIT_REQUEST__INIT;
    CtTasks__WaitResponse *rsp;

    req.container_id = (char *)b->task;
    req.exec_id = (char *)b->process;
    return call(b, CT_TASKS_WAIT, &req, &rsp);
}

/* The process is there; run it until it has ended. */
static struct nd_error *
start_and_wait(struct bare *b)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("wait", 1);
    CtTasks__StartRequest req = CT_TASKS__START_REQUEST__INIT;
    CtTasks__StartResponse *rsp;

    ND_TRY(nd_group_spawn(g, wait_for_exit, b));
    ND_TRY(nd_fiber_yield());
    req.container_id = (char *)b->task;
    req.exec_id = (char *)b->process;
    ND_TRY(call(b, CT_TASKS_START, &req, &rsp));
    return nd_group_wait(g);
}

static struct nd_error *
remove_all(struct bare *b)
{
    CtTasks__DeleteRequest task = CT_TASKS__DELETE_REQUEST__INIT;
    CtSnapshots__RemoveRequest snapshot = CT_SNAPSHOTS__REMOVE_REQUEST__INIT;
    CtContainers__DeleteRequest record = CT_CONTAINERS__DELETE_REQUEST__INIT;
    CtTasks__DeleteResponse *deleted;
    Google__Protobuf__Empty *empty;

    task.container_id = b->id;
    ND_TRY(call(b, CT_TASKS_DELETE, &task, &deleted));
    snapshot.snapshotter = b->argv[4];
    snapshot.key = b->id;
    ND_TRY(call(b, CT_SNAPSHOTS_REMOVE, &snapshot, &empty));
    record.id = b->id;
    return call(b, CT_CONTAINERS_DELETE, &record, &empty);
}

/* Say when the exit was known and that nothing is left now. */
static struct nd_error *
tell(const struct bare *b, struct nd_mono ended)
{
    printf("%" PRId64 " %" PRId64 "\n", ended.ns - b->begin.ns, nd_mono_now().ns - b->begin.ns);
    return fflush(stdout) == 0 ? NULL : nd_error_errno(errno, "write");
}

static struct nd_error *
run_round(struct bare *b)
{
    struct nd_mono ended;

    b->task = b->id;
    b->process = "";
    ND_TRY_DOING(create_record(b), "create record");
    ND_TRY_DOING(prepare_snapshot(b), "prepare snapshot");
    ND_TRY_DOING(create_task(b), "create task");
    ND_TRY_DOING(start_and_wait(b), "start");
    ended = nd_mono_now();
    ND_TRY_DOING(remove_all(b), "remove");
    return tell(b, ended);
}

static struct nd_error *
register_command(struct bare *b)
{
    CtTasks__ExecRequest req = CT_TASKS__EXEC_REQUEST__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Empty *empty;

    spec.type_url = (char *)PROCESS_TYPE;
    spec.value.data = (uint8_t *)b->spec;
    spec.value.len = b->spec_len;
    req.container_id = (char *)b->task;
    req.exec_id = b->id;
    req.spec = &spec;
    return call(b, CT_TASKS_EXEC, &req, &empty);
}

static struct nd_error *
forget_command(struct bare *b)
{
    CtTasks__DeleteProcessRequest req = CT_TASKS__DELETE_PROCESS_REQUEST__INIT;
    CtTasks__DeleteResponse *deleted;

    req.container_id = (char *)b->task;
    req.exec_id = b->id;
    return call(b, CT_TASKS_DELETE_PROCESS, &req, &deleted);
}

static struct nd_error *
exec_round(struct bare *b)
{
    struct nd_mono ended;

    b->task = b->argv[4];
    b->process = b->id;
    ND_TRY_DOING(register_command(b), "register");
    ND_TRY_DOING(start_and_wait(b), "start");
    ended = nd_mono_now();
    ND_TRY_DOING(forget_command(b), "forget");
    return tell(b, ended);
}

/* clang-format off */
static const struct mode modes[] = {
    {"run",  7, "ADDRESS NAMESPACE SNAPSHOTTER PARENT SPEC [OUTPUT]", run_round},
    {"exec", 6, "ADDRESS NAMESPACE CONTAINER PROCESS",                exec_round},
};
/* clang-format on */

static const struct mode *
find_mode(int argc, char **argv)
{
    for (size_t i = 0; i < ND_LEN(modes); i++) {
        bool fits = argc == modes[i].argc || (argc == modes[i].argc + 1 && i == 0);

        if (fits && nd_str_eqz(nd_str(argv[1]), modes[i].name))
            return &modes[i];
    }
    return NULL;
}

static struct nd_error *
read_spec(struct bare *b)
{
    const char *path = b->argv[b->mode->argc - 1];
    FILE *f = fopen(path, "r");

    if (f == NULL)
        return nd_error_errno(errno, "open %s", path);
    b->spec = nd_calloc(SPEC_MAX_BYTES, 1);
    b->spec_len = fread(b->spec, 1, SPEC_MAX_BYTES, f);
    (void)fclose(f);
    return NULL;
}

static struct nd_error *
run_rounds(void *arg)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    struct bare *b = arg;
    struct nd_ctrd_options options = {.address = b->argv[2]};

    ND_TRY(read_spec(b));
    ND_TRY(nd_ctrd_new(&options, &b->ctrd));
    ND_TRY(nd_stream_from_fd(0, &in));
    b->scope.ns = b->argv[3];
    for (;;) {
        char go;
        size_t n;
        struct nd_error *err;

        ND_TRY(nd_stream_read(in, &go, 1, &n));
        if (n == 0)
            break;
        b->arena = nd_arena_new(0);
        nd_random_hex(b->id, ID_BYTES);
        b->begin = nd_mono_now();
        err = b->mode->round(b);
        nd_arena_free(b->arena);
        ND_TRY(err);
    }
    nd_ctrd_free(b->ctrd);
    nd_free(b->spec);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct bare b = {
        .argv = argv, .mode = find_mode(argc, argv), .output = argc > 7 ? argv[7] : (char *)""};
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (b.mode == NULL) {
        for (size_t i = 0; i < ND_LEN(modes); i++)
            (void)fprintf(stderr, "usage: bare_sequence %s %s\n", modes[i].name,
                          modes[i].arguments);
        return 2;
    }
    err = nd_loop_run(run_rounds, &b, NULL);
    if (err != NULL)
        (void)fprintf(stderr, "bare_sequence: %s\n", nd_error_message(err));
    return err != NULL;
}
