/* Payloads of events: what is printed of them and what they are called. */

#include "base/buf.h"
#include "codec/pb.h"
#include "containerd/event_payloads.pb-c.h"
#include "containerd/events.h"
#include "containerd/images.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

#include "../check.h"

struct fixture {
    struct nd_arena *arena;
    struct nd_buf json;
};

static struct fixture
fixture_begin(void)
{
    return (struct fixture){nd_arena_new(0), ND_BUF_INIT(65536)};
}

static void
fixture_end(struct fixture *f)
{
    nd_buf_fini(&f->json);
    nd_arena_free(f->arena);
}

/* The event that carries `payload`. */
static const Ct__Envelope *
pack(struct fixture *f, const char *topic, const char *type_url, const void *payload)
{
    Ct__Envelope *event = nd_pb_new(&ct__envelope__descriptor, f->arena);
    struct nd_buf bytes = ND_BUF_INIT(65536);

    check_ok(nd_pb_encode(payload, &bytes));
    event->topic = (char *)(uintptr_t)topic;
    event->event = nd_pb_new(&google__protobuf__any__descriptor, f->arena);
    event->event->type_url = (char *)(uintptr_t)type_url;
    event->event->value.len = bytes.len;
    event->event->value.data = nd_arena_memdup(f->arena, bytes.ptr, bytes.len);
    nd_buf_fini(&bytes);
    return event;
}

static void
check_event(struct fixture *f, const Ct__Envelope *event, const char *json,
            const struct nd_ctrd_event_name *want)
{
    struct nd_ctrd_event_name name;

    nd_buf_clear(&f->json);
    check_ok(nd_ctrd_event_json(event, &f->json));
    assert_string_equal(f->json.ptr, json);
    nd_ctrd_event_name(event, f->arena, &name);
    assert_string_equal(name.type, want->type);
    assert_string_equal(name.action, want->action);
    assert_string_equal(name.id, want->id);
}

#define NAME(...) (&(struct nd_ctrd_event_name){__VA_ARGS__})

static void
exit_of_a_container_is_die_and_of_an_exec_is_not(void **state)
{
    struct fixture f = fixture_begin();
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    CtEvent__TaskExit exit = CT_EVENT__TASK_EXIT__INIT;

    (void)state;
    at.seconds = 1767323045;
    at.nanos = 120000000;
    exit.container_id = (char *)"c1";
    exit.id = (char *)"c1";
    exit.pid = 7;
    exit.exit_status = 137;
    exit.exited_at = &at;
    check_event(&f, pack(&f, "/tasks/exit", "containerd.events.TaskExit", &exit),
                "{\"container_id\":\"c1\",\"id\":\"c1\",\"pid\":7,\"exit_status\":137,"
                "\"exited_at\":\"2026-01-02T03:04:05.12Z\"}",
                NAME("container", "die", "c1"));
    exit.id = (char *)"e1";
    exit.exit_status = 0;
    exit.exited_at = NULL;
    check_event(&f, pack(&f, "/tasks/exit", "containerd.events.TaskExit", &exit),
                "{\"container_id\":\"c1\",\"id\":\"e1\",\"pid\":7}",
                NAME("container", "exec_die", "c1"));
    fixture_end(&f);
}

static void
zero_times_are_left_out(void **state)
{
    struct fixture f = fixture_begin();
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    CtEvent__TaskDelete gone = CT_EVENT__TASK_DELETE__INIT;

    (void)state;
    at.seconds = -62135596800;
    gone.container_id = (char *)"c1";
    gone.exited_at = &at;
    check_event(&f, pack(&f, "/tasks/delete", "containerd.events.TaskDelete", &gone),
                "{\"container_id\":\"c1\"}", NAME("container", "", "c1"));
    at.seconds = 1;
    at.nanos = -5;
    check_event(&f, pack(&f, "/tasks/delete", "containerd.events.TaskDelete", &gone),
                "{\"container_id\":\"c1\"}", NAME("container", "", "c1"));
    fixture_end(&f);
}

static void
nested_messages_lists_and_bytes(void **state)
{
    struct fixture f = fixture_begin();
    CtEvent__TaskIo io = CT_EVENT__TASK_IO__INIT;
    CtEvent__TaskMount mount = CT_EVENT__TASK_MOUNT__INIT, *mounts[] = {&mount};
    char *options[] = {(char *)"rw", (char *)"a<b"};
    CtEvent__TaskCreate task = CT_EVENT__TASK_CREATE__INIT;
    CtEvent__ContainerCreate__Runtime runtime = CT_EVENT__CONTAINER_CREATE__RUNTIME__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    CtEvent__ContainerCreate created = CT_EVENT__CONTAINER_CREATE__INIT;

    (void)state;
    io.stdout = (char *)"/x";
    io.terminal = true;
    mount.type = (char *)"bind";
    mount.options = options;
    mount.n_options = 2;
    task.container_id = (char *)"c1";
    task.rootfs = mounts;
    task.n_rootfs = 1;
    task.io = &io;
    check_event(&f, pack(&f, "/tasks/create", "containerd.events.TaskCreate", &task),
                "{\"container_id\":\"c1\",\"rootfs\":[{\"type\":\"bind\",\"options\":"
                "[\"rw\",\"a\\u003cb\"]}],\"io\":{\"stdout\":\"/x\",\"terminal\":true}}",
                NAME("container", "", "c1"));

    any.type_url = (char *)"o";
    any.value.data = (uint8_t *)"1234";
    any.value.len = 4;
    runtime.name = (char *)"io.containerd.runc.v2";
    runtime.options = &any;
    created.id = (char *)"c1";
    created.image = (char *)"i";
    created.runtime = &runtime;
    check_event(&f, pack(&f, "/containers/create", "containerd.events.ContainerCreate", &created),
                "{\"id\":\"c1\",\"image\":\"i\",\"runtime\":{\"name\":\"io.containerd.runc.v2\","
                "\"options\":{\"type_url\":\"o\",\"value\":\"MTIzNA==\"}}}",
                NAME("container", "create", "c1"));
    fixture_end(&f);
}

static void
labels_are_sorted_objects(void **state)
{
    struct fixture f = fixture_begin();
    CtImages__ImageCreate image = CT_IMAGES__IMAGE_CREATE__INIT;
    CtImages__ImageCreate__LabelsEntry b = CT_IMAGES__IMAGE_CREATE__LABELS_ENTRY__INIT, a = b;
    CtImages__ImageCreate__LabelsEntry *labels[] = {&b, &a};

    (void)state;
    b.key = (char *)"b";
    b.value = (char *)"2";
    a.key = (char *)"a";
    image.name = (char *)"docker.io/library/x:1";
    image.labels = labels;
    image.n_labels = 2;
    check_event(&f, pack(&f, "/images/create", "containerd.services.images.v1.ImageCreate", &image),
                "{\"name\":\"docker.io/library/x:1\",\"labels\":{\"a\":\"\",\"b\":\"2\"}}",
                NAME("image", "pull", "docker.io/library/x:1"));
    fixture_end(&f);
}

static void
every_kind_has_its_word(void **state)
{
    static const struct {
        const char *topic, *type_url, *type, *action;
    } cases[] = {
        {"/containers/update", "containerd.events.ContainerUpdate", "container", "update"},
        {"/containers/delete", "containerd.events.ContainerDelete", "container", "destroy"},
        {"/tasks/start", "containerd.events.TaskStart", "container", "start"},
        {"/tasks/oom", "containerd.events.TaskOOM", "container", "oom"},
        {"/tasks/exec-added", "containerd.events.TaskExecAdded", "container", "exec_create"},
        {"/tasks/exec-started", "containerd.events.TaskExecStarted", "container", "exec_start"},
        {"/tasks/paused", "containerd.events.TaskPaused", "container", "pause"},
        {"/tasks/resumed", "containerd.events.TaskResumed", "container", "unpause"},
        {"/tasks/checkpointed", "containerd.events.TaskCheckpointed", "container", "checkpoint"},
        {"/images/update", "containerd.services.images.v1.ImageUpdate", "image", "tag"},
        {"/images/delete", "containerd.services.images.v1.ImageDelete", "image", "delete"},
        {"/content/delete", "containerd.events.ContentDelete", "content", ""},
        {"/snapshot/commit", "containerd.events.SnapshotCommit", "snapshot", ""},
        {"/namespaces/create", "containerd.events.NamespaceCreate", "namespace", ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct fixture f = fixture_begin();
        Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

        check_event(&f, pack(&f, cases[i].topic, cases[i].type_url, &empty), "{}",
                    NAME(cases[i].type, cases[i].action, ""));
        fixture_end(&f);
    }
}

static void
unknown_and_broken_payloads_tell_their_type(void **state)
{
    static const struct {
        const char *topic, *type;
    } cases[] = {
        {"/tasks/new-in-3.0", "container"},
        {"/images/x", "image"},
        {"/snapshot/x", "snapshot"},
        {"/nerdctl-grpc/gap", "daemon"},
        {"/tasks", ""},
        {"/else", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct fixture f = fixture_begin();
        CtEvent__TaskStart start = CT_EVENT__TASK_START__INIT;
        Ct__Envelope *event = (Ct__Envelope *)(uintptr_t)pack(&f, cases[i].topic, "o.O", &start);

        check_event(&f, event, "{\"type_url\":\"o.O\"}", NAME(cases[i].type, "", ""));
        event->event->type_url = (char *)"containerd.events.TaskStart";
        event->event->value.data = (uint8_t *)"\x0a\x7f";
        event->event->value.len = 2;
        check_event(&f, event, "{\"type_url\":\"containerd.events.TaskStart\"}",
                    NAME(cases[i].type, "", ""));
        event->event = NULL;
        check_event(&f, event, "{}", NAME(cases[i].type, "", ""));
        fixture_end(&f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_of_a_container_is_die_and_of_an_exec_is_not),
        cmocka_unit_test(zero_times_are_left_out),
        cmocka_unit_test(nested_messages_lists_and_bytes),
        cmocka_unit_test(labels_are_sorted_objects),
        cmocka_unit_test(every_kind_has_its_word),
        cmocka_unit_test(unknown_and_broken_payloads_tell_their_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
