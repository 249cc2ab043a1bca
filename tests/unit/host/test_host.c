/*
 * Undo lists and namespace names: what the host room decides by itself.
 */

#include "base/log.h"
#include "fiber/group.h"
#include "fiber/loop.h"
#include "host/host.h"

#include "check.h"

struct trail {
    char text[8];
    size_t n;
};

struct step {
    struct nd_undo_step undo;
    struct trail *trail;
    char name;
    bool fails;
};

static struct nd_error *
take_back(void *arg)
{
    struct step *s = arg;

    s->trail->text[s->trail->n++] = s->name;
    return s->fails ? nd_error_new(ND_INTERNAL, "as arranged") : nd_ctx_check();
}

static void
push(struct nd_undo *undo, struct step *s)
{
    s->undo = (struct nd_undo_step){.fn = take_back, .arg = s, .what = "step"};
    nd_undo_push(undo, &s->undo);
}

static struct nd_error *
run_three(void *arg)
{
    struct trail *trail = arg;
    struct step a = {.trail = trail, .name = 'a'}, b = {.trail = trail, .name = 'b', .fails = true};
    struct step c = {.trail = trail, .name = 'c'};
    ND_AUTO(nd_undo_run) struct nd_undo undo = ND_UNDO_INIT;

    push(&undo, &a);
    push(&undo, &b);
    push(&undo, &c);
    return nd_fiber_sleep(ND_HOUR);
}

static struct nd_error *
cancel_in_the_middle(void *arg)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("test", 0);

    ND_TRY(nd_group_spawn(group, run_three, arg));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(group);
    return nd_group_wait(group);
}

static void
undo_runs_newest_first_though_cancelled_and_past_failures(void **state)
{
    const struct nd_loop_options options = {.virtual_clock = true};
    struct trail trail = {{0}, 0};

    (void)state;
    nd_log_set_level(ND_LOG_ERROR);
    assert_null(nd_loop_run(cancel_in_the_middle, &trail, &options));
    assert_string_equal(trail.text, "cba");
}

static struct nd_error *
disarm_and_leave(void *arg)
{
    struct step a = {.trail = arg, .name = 'a'};
    ND_AUTO(nd_undo_run) struct nd_undo undo = ND_UNDO_INIT;

    push(&undo, &a);
    nd_undo_disarm(&undo);
    return NULL;
}

static void
a_disarmed_list_does_nothing(void **state)
{
    struct trail trail = {{0}, 0};

    (void)state;
    assert_null(nd_loop_run(disarm_and_leave, &trail, NULL));
    assert_int_equal(trail.n, 0);
}

static void
namespace_names_follow_containerds_rule(void **state)
{
    static const char *const good[] = {"default", "a", "k8s.io", "a-b_c.d", "A1"};
    static const char *const bad[] = {"",    ".",   "a.", "-a",   "a..b",
                                      "a/b", "a b", "ä",  "a._b", "../x"};
    char longest[78];

    (void)state;
    for (size_t i = 0; i < ND_LEN(good); i++)
        assert_null(nd_namespace_check(nd_str(good[i])));
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        ND_AUTO(nd_error_freep) struct nd_error *err = nd_namespace_check(nd_str(bad[i]));

        assert_int_equal(nd_error_code(err), ND_INVALID);
        assert_string_equal(nd_error_get_field(err), "containerd-namespace");
    }
    memset(longest, 'a', sizeof(longest));
    assert_null(nd_namespace_check(nd_str_n(longest, 76)));
    struct nd_error *err = nd_namespace_check(nd_str_n(longest, 77));

    assert_int_equal(nd_error_code(err), ND_INVALID);
    nd_error_free(err);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(undo_runs_newest_first_though_cancelled_and_past_failures),
        cmocka_unit_test(a_disarmed_list_does_nothing),
        cmocka_unit_test(namespace_names_follow_containerds_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
