/* Event filters: which are refused, and what each key means. */

#include "system/limits.h"

#include "../check.h"
#include "events_priv.h"

static void
filters_that_are_none_are_refused_by_index(void **state)
{
    static const struct {
        const char *text;
        enum nd_code code;
    } cases[] = {
        {"event=start", ND_OK},
        {"status=die", ND_OK},
        {"label=a=b", ND_OK},
        {"image=UPPER/not a reference", ND_OK},
        {"event", ND_INVALID},
        {"", ND_INVALID},
        {"=", ND_INVALID},
        {"=x", ND_INVALID},
        {"event=", ND_INVALID},
        {"colour=blue", ND_INVALID},
        {"Event=start", ND_INVALID},
        {"events=start", ND_INVALID},
        {" event=start", ND_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char *texts[] = {(char *)"type=image", (char *)(uintptr_t)cases[i].text};
        const struct event_filter *filter = NULL;
        struct nd_error *err = nd_event_filter_parse(texts, 2, arena, &filter);

        if (err != NULL) {
            assert_string_equal(nd_error_get_field(err), "filters[1]");
            assert_null(filter);
        }
        check_row(i, cases[i].text, err, cases[i].code);
    }
}

static void
number_of_filters_is_limited(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char *texts[ND_EVENTS_MAX_FILTERS + 1];
    const struct event_filter *filter;

    (void)state;
    for (size_t i = 0; i < ND_LEN(texts); i++)
        texts[i] = (char *)"event=start";
    check_ok(nd_event_filter_parse(texts, ND_EVENTS_MAX_FILTERS, arena, &filter));
    check_code(nd_event_filter_parse(texts, ND_EVENTS_MAX_FILTERS + 1, arena, &filter),
               ND_EXHAUSTED);
}

static const struct event_label labels[] = {{"app", "web"}, {"empty", ""}, {"eq", "a=b"}};

static const struct event_subject container = {
    .ns = "default",
    .event = {"container", "start", "0123456789ab"},
    .name = "web-1",
    .image = "docker.io/library/alpine:3.20",
    .labels = labels,
    .n_labels = ND_LEN(labels),
};

static const struct event_subject image = {
    .ns = "default",
    .event = {"image", "pull", "docker.io/library/alpine:3.20"},
    .name = "",
    .image = "docker.io/library/alpine:3.20",
};

static const struct event_subject snapshot = {
    .ns = "other",
    .event = {"snapshot", "", "key"},
    .name = "",
    .image = "",
};

static void
each_key_has_its_meaning(void **state)
{
    static const struct {
        const char *texts[3];
        bool container, image, snapshot;
    } cases[] = {
        {{NULL}, true, true, true},
        {{"event=start"}, true, false, false},
        {{"event=start", "event=pull"}, true, true, false},
        {{"event=star"}, false, false, false},
        {{"type=image", "event=start"}, false, false, false},
        {{"type=snapshot"}, false, false, true},
        {{"namespace=other"}, false, false, true},
        {{"namespace=other", "namespace=default"}, true, true, true},
        {{"container=web-1"}, true, false, false},
        {{"container=web"}, false, false, false},
        {{"container=0123"}, true, false, false},
        {{"container=123"}, false, false, false},
        {{"container=docker"}, false, false, false},
        {{"image=alpine"}, true, true, false},
        {{"image=alpine:3.20"}, true, true, false},
        {{"image=alpine:latest"}, false, false, false},
        {{"image=docker.io/library/alpine"}, true, true, false},
        {{"image=docker.io/library/alpine:3.20"}, true, true, false},
        {{"image=alp"}, false, false, false},
        {{"image=other/alpine"}, false, false, false},
        {{"label=app"}, true, false, false},
        {{"label=app=web"}, true, false, false},
        {{"label=app=we"}, false, false, false},
        {{"label=empty"}, true, false, false},
        {{"label=empty="}, true, false, false},
        {{"label=eq=a=b"}, true, false, false},
        {{"label=absent", "label=app"}, true, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        const struct event_filter *filter;
        char *texts[3];
        size_t n = 0;

        for (; n < ND_LEN(texts) && cases[i].texts[n] != NULL; n++)
            texts[n] = (char *)(uintptr_t)cases[i].texts[n];
        check_ok(nd_event_filter_parse(texts, n, arena, &filter));
        if (nd_event_filter_matches(filter, &container) != cases[i].container ||
            nd_event_filter_matches(filter, &image) != cases[i].image ||
            nd_event_filter_matches(filter, &snapshot) != cases[i].snapshot)
            fail_msg("row %zu: %s", i, cases[i].texts[0]);
    }
}

static void
only_some_keys_want_objects(void **state)
{
    static const struct {
        const char *text;
        bool wants;
    } cases[] = {
        {"event=start", false}, {"type=image", false}, {"namespace=x", false},
        {"container=x", true},  {"image=x", true},     {"label=x", true},
    };

    (void)state;
    assert_false(nd_event_filter_wants_objects(NULL));
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char *texts[] = {(char *)(uintptr_t)cases[i].text};
        const struct event_filter *filter;

        check_ok(nd_event_filter_parse(texts, 1, arena, &filter));
        assert_int_equal(nd_event_filter_wants_objects(filter), cases[i].wants);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_that_are_none_are_refused_by_index),
        cmocka_unit_test(number_of_filters_is_limited),
        cmocka_unit_test(each_key_has_its_meaning),
        cmocka_unit_test(only_some_keys_want_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
