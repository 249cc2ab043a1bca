/* Words that people read and write: signals, ages, states, reasons of failed starts. */

#include "base/alloc.h"
#include "base/buf.h"

#include "check.h"
#include "labels_priv.h"
#include "launch_priv.h"
#include "signals_priv.h"
#include "status_priv.h"
#include "users_priv.h"

static void
signals_are_names_or_numbers(void **state)
{
    static const struct {
        const char *text;
        int number; /* 0: refused */
    } cases[] = {
        {"SIGTERM", 15},
        {"term", 15},
        {"TERM", 15},
        {"9", 9},
        {"64", 64},
        {"SIGHUP", 1},
        {"SIGUSR1", 10},
        {"SIGRTMIN", 34},
        {"RTMIN+3", 37},
        {"SIGRTMAX-1", 63},
        {"sigrtmax", 64},
        {"cld", 17},
        {"SIGCHLD", 17},
        {"", 0},
        {"0", 0},
        {"65", 0},
        {"-1", 0},
        {"SIG", 0},
        {"NOSUCH", 0},
        {"RTMIN-1", 0},
        {"RTMIN+31", 0},
        {"RTMAX+1", 0},
        {"RTMIN+", 0},
        {"9x", 0},
        {" TERM", 0},
        {"SIGSIGTERM", 0},
        {"99999999999999999999", 0},
        {"TERMTERMTERMTERMTERM", 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        int number = 0;

        check_row(i, cases[i].text, nd_signal_parse(nd_str(cases[i].text), &number),
                  cases[i].number == 0 ? ND_INVALID : ND_OK);
        assert_int_equal(number, cases[i].number);
    }
}

static void
ages_are_in_the_units_of_docker(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "Less than a second"},
        {ND_SECOND - 1, "Less than a second"},
        {ND_SECOND, "1 second"},
        {2 * ND_SECOND - 1, "1 second"},
        {59 * ND_SECOND, "59 seconds"},
        {ND_MINUTE, "About a minute"},
        {2 * ND_MINUTE - 1, "About a minute"},
        {2 * ND_MINUTE, "2 minutes"},
        {46 * ND_MINUTE, "46 minutes"},
        {59 * ND_MINUTE, "59 minutes"},
        {60 * ND_MINUTE, "About an hour"},
        {89 * ND_MINUTE, "About an hour"},
        {90 * ND_MINUTE, "2 hours"},
        {47 * ND_HOUR, "47 hours"},
        {48 * ND_HOUR, "2 days"},
        {24 * 7 * 2 * ND_HOUR - ND_HOUR, "13 days"},
        {24 * 7 * 2 * ND_HOUR, "2 weeks"},
        {24 * 59 * ND_HOUR, "8 weeks"},
        {24 * 60 * ND_HOUR, "2 months"},
        {24 * 365 * ND_HOUR, "12 months"},
        {24 * 365 * 2 * ND_HOUR, "2 years"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(128);

        nd_age_text(cases[i].ns, &buf);
        assert_string_equal(buf.ptr, cases[i].text);
    }
}

/* A record with up to four labels, NULL-terminated pairs. */
struct fake {
    record rec;
    CtContainers__Container__LabelsEntry entries[4];
    CtContainers__Container__LabelsEntry *list[4];
};

static void
make_fake(struct fake *f, const char *const *labels)
{
    ct_containers__container__init(&f->rec);
    f->rec.id = (char *)"0123456789ab";
    f->rec.labels = f->list;
    for (size_t i = 0; labels != NULL && labels[2 * i] != NULL; i++) {
        ct_containers__container__labels_entry__init(&f->entries[i]);
        f->entries[i].key = (char *)labels[2 * i];
        f->entries[i].value = (char *)labels[2 * i + 1];
        f->list[i] = &f->entries[i];
        f->rec.n_labels++;
    }
}

static void
status_tells_what_a_container_does(void **state)
{
#define POLICY(p) LABEL_RESTART_STATUS, "running", LABEL_RESTART_POLICY, p
    static const struct {
        const char *labels[9];
        int status; /* of the task; -1: none */
        uint32_t code;
        const char *text, *word;
    } cases[] = {
        {{NULL}, -1, 0, "Created", "created"},
        {{NULL}, CT_TASKS__STATUS__CREATED, 0, "Created", "created"},
        {{NULL}, CT_TASKS__STATUS__RUNNING, 0, "Up", "running"},
        {{LABEL_HEALTHSTATE, "{\"Status\":\"healthy\"}"},
         CT_TASKS__STATUS__RUNNING,
         0,
         "Up (healthy)",
         "running"},
        {{LABEL_HEALTHSTATE, "{\"Status\":\"starting\"}"},
         CT_TASKS__STATUS__RUNNING,
         0,
         "Up (health: starting)",
         "running"},
        {{LABEL_HEALTHSTATE, "{broken"}, CT_TASKS__STATUS__RUNNING, 0, "Up", "running"},
        {{NULL}, CT_TASKS__STATUS__PAUSED, 0, "Paused", "paused"},
        {{NULL}, CT_TASKS__STATUS__PAUSING, 0, "Pausing", "paused"},
        {{NULL}, CT_TASKS__STATUS__STOPPED, 3, "Exited (3) 5 seconds ago", "exited"},
        {{NULL}, CT_TASKS__STATUS__UNKNOWN, 0, "Unknown (its shim does not answer)", "unknown"},
        {{POLICY("always")},
         CT_TASKS__STATUS__STOPPED,
         0,
         "Restarting (0) 5 seconds ago",
         "restarting"},
        {{POLICY("always")}, CT_TASKS__STATUS__RUNNING, 0, "Up", "running"},
        {{POLICY("no")}, CT_TASKS__STATUS__STOPPED, 1, "Exited (1) 5 seconds ago", "exited"},
        {{POLICY("unless-stopped"), LABEL_STOPPED, "true"},
         CT_TASKS__STATUS__STOPPED,
         1,
         "Exited (1) 5 seconds ago",
         "exited"},
        {{POLICY("unless-stopped"), LABEL_STOPPED, "false"},
         CT_TASKS__STATUS__STOPPED,
         1,
         "Restarting (1) 5 seconds ago",
         "restarting"},
        {{POLICY("on-failure"), NULL},
         CT_TASKS__STATUS__STOPPED,
         0,
         "Exited (0) 5 seconds ago",
         "exited"},
        {{POLICY("on-failure:3"), LABEL_RESTART_COUNT, "2"},
         CT_TASKS__STATUS__STOPPED,
         1,
         "Restarting (1) 5 seconds ago",
         "restarting"},
        {{POLICY("on-failure:3"), LABEL_RESTART_COUNT, "3"},
         CT_TASKS__STATUS__STOPPED,
         1,
         "Exited (1) 5 seconds ago",
         "exited"},
    };
#undef POLICY
    const struct nd_wall now = {1000005, 0};
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

    (void)state;
    at.seconds = 1000000;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct fake f = {0};
        task t = CT_TASKS__PROCESS__INIT;
        const task *given = cases[i].status < 0 ? NULL : &t;

        make_fake(&f, cases[i].labels);
        t.status = (CtTasks__Status)(cases[i].status < 0 ? 0 : cases[i].status);
        t.exit_status = cases[i].code;
        t.exited_at = &at;
        assert_string_equal(nd_status_text(&f.rec, given, now, arena), cases[i].text);
        assert_string_equal(nd_state_word(nd_state_of(&f.rec, given)), cases[i].word);
    }
}

static void
an_exit_without_a_time_has_no_age(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct fake f = {0};
    task t = CT_TASKS__PROCESS__INIT;
    Google__Protobuf__Timestamp unset = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

    (void)state;
    unset.seconds = INT64_C(-62135596800);
    make_fake(&f, NULL);
    t.status = CT_TASKS__STATUS__STOPPED;
    t.exit_status = 137;
    t.exited_at = &unset;
    assert_string_equal(nd_status_text(&f.rec, &t, nd_wall_now(), arena), "Exited (137)");
    t.exited_at = NULL;
    assert_string_equal(nd_status_text(&f.rec, &t, nd_wall_now(), arena), "Exited (137)");
}

static const char *
meta_of(const struct nd_error *err, const char *key)
{
    for (size_t i = 0; i < nd_error_n_meta(err); i++) {
        if (strcmp(nd_error_meta_key(err, i), key) == 0)
            return nd_error_meta_value(err, i);
    }
    return "";
}

static void
failed_starts_have_the_exit_codes_of_docker(void **state)
{
    static const struct {
        const char *message, *code, *reason;
    } cases[] = {
        {"OCI runtime create failed: runc create failed: unable to start container process: exec: "
         "\"nosuch\": executable file not found in $PATH: unknown",
         "127", "CONTAINER_COMMAND_NOT_FOUND"},
        {"unable to start container process: exec: \"/no/such\": stat /no/such: no such file or "
         "directory: unknown",
         "127", "CONTAINER_COMMAND_NOT_FOUND"},
        {"exec: \"/etc/passwd\": permission denied: unknown", "126",
         "CONTAINER_COMMAND_NOT_EXECUTABLE"},
        {"exec: \"/etc\": is a directory: unknown", "126", "CONTAINER_COMMAND_NOT_EXECUTABLE"},
        {"exec: \"/x\": exec format error", "126", "CONTAINER_COMMAND_NOT_EXECUTABLE"},
        {"executable file `foo` not found in $PATH: No such file or directory", "127",
         "CONTAINER_COMMAND_NOT_FOUND"},
        {"error mounting \"/a\" to rootfs at \"/b\": no such file or directory", "125",
         "CONTAINER_START_FAILED"},
        {"permission denied", "125", "CONTAINER_START_FAILED"},
        {"", "125", "CONTAINER_START_FAILED"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_error_freep)
        struct nd_error *err = nd_start_error(nd_error_new(ND_UNKNOWN, "%s", cases[i].message));

        assert_string_equal(meta_of(err, "exit_code"), cases[i].code);
        assert_string_equal(nd_error_get_reason(err), cases[i].reason);
        assert_int_equal(nd_error_code(err), ND_PRECONDITION);
    }
}

static void
a_start_without_containerd_stays_unavailable(void **state)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_start_error(nd_error_new(ND_UNAVAILABLE, "gone"));

    (void)state;
    assert_int_equal(nd_error_code(err), ND_UNAVAILABLE);
}

static void
sizes_of_shared_memory_are_binary(void **state)
{
    static const struct {
        const char *json;
        int64_t bytes;
    } cases[] = {
        {"{\"shmSize\":\"64m\"}", 64 << 20},
        {"{\"shmSize\":\"67108864\"}", 64 << 20},
        {"{\"shmSize\":\"1.5k\"}", 1536},
        {"{\"shmSize\":\"2 GiB\"}", INT64_C(2) << 30},
        {"{\"shmSize\":\"\"}", 0},
        {"{}", 0},
        {"{\"shmSize\":\"x\"}", 0},
        {"{\"shmSize\":\"9z\"}", 0},
        {"{\"shmSize\":\"99999999999999999999t\"}", 0},
        {"[]", 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_json_freep) struct nd_json *json = NULL;

        check_ok(nd_json_parse(nd_str(cases[i].json), NULL, &json));
        assert_int_equal(nd_ipc_shm_size(json), cases[i].bytes);
    }
    assert_int_equal(nd_ipc_shm_size(NULL), 0);
}

static void
an_image_that_went_meanwhile_is_no_wrong_request(void **state)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *gone = nd_unless_image_removed(nd_error_new(ND_NOT_FOUND, "no such parent"));
    ND_AUTO(nd_error_freep)
    struct nd_error *other = nd_unless_image_removed(nd_error_new(ND_EXHAUSTED, "full"));

    (void)state;
    assert_int_equal(nd_error_code(gone), ND_ABORTED);
    assert_string_equal(nd_error_get_reason(gone), "IMAGE_REMOVED");
    assert_int_equal(nd_error_n_hints(gone), 1);
    assert_int_equal(nd_error_code(other), ND_EXHAUSTED);
    assert_null(nd_unless_image_removed(NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_names_or_numbers),
        cmocka_unit_test(ages_are_in_the_units_of_docker),
        cmocka_unit_test(status_tells_what_a_container_does),
        cmocka_unit_test(an_exit_without_a_time_has_no_age),
        cmocka_unit_test(failed_starts_have_the_exit_codes_of_docker),
        cmocka_unit_test(a_start_without_containerd_stays_unavailable),
        cmocka_unit_test(sizes_of_shared_memory_are_binary),
        cmocka_unit_test(an_image_that_went_meanwhile_is_no_wrong_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
