/* Fault points: one is hit at its turn and once, and a trace names what was reached. */

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

#include "check.h"

#ifdef ND_FAULTS

static struct nd_error *
step(const char *name)
{
    ND_TRY(ND_FAULT(name));
    return NULL;
}

static void
an_armed_point_fails_at_its_turn_and_once(void **state)
{
    (void)state;
    check_ok(nd_fault_arm(ND_STR("test.b#2=fail")));
    check_ok(step("test.a"));
    check_ok(step("test.b"));
    assert_false(nd_fault_has_fired());
    check_message(step("test.b"), ND_INTERNAL, "test.b");
    assert_true(nd_fault_has_fired());
    check_ok(step("test.b"));
    check_ok(nd_fault_arm(ND_STR("test.b=fail")));
    assert_int_equal(ND_FAULT_ERRNO("test.b"), EIO);
    check_ok(nd_fault_arm(ND_STR("test.b=fail")));
    check_ok(nd_fault_arm(ND_STR("")));
    check_ok(step("test.b"));
}

static void
a_point_that_kills_kills(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        nd_error_free(nd_fault_arm(ND_STR("test.a=kill")));
        nd_error_free(step("test.a"));
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
a_trace_names_each_hit_in_order(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1000);

    (void)state;
    check_ok(step("test.a"));
    nd_fault_trace_begin();
    check_ok(step("test.b"));
    check_ok(step("test.a"));
    check_ok(step("test.b"));
    nd_fault_trace_end(&buf);
    assert_string_equal(buf.ptr, "test.b#1,test.a#1,test.b#2");
}

static void
nonsense_arms_nothing(void **state)
{
    static const char *const cases[] = {"test.a", "test.a=", "test.a=burn", "test.a#x=fail",
                                        "test.a#=fail"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        check_row(i, cases[i], nd_fault_arm(nd_str(cases[i])), ND_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_armed_point_fails_at_its_turn_and_once),
        cmocka_unit_test(a_point_that_kills_kills),
        cmocka_unit_test(a_trace_names_each_hit_in_order),
        cmocka_unit_test(nonsense_arms_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
    return 0; /* nothing is compiled in */
}

#endif
