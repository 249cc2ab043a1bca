/* The event stream against a containerd of its own. */

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "containerd/content.h"
#include "containerd/events.h"
#include "containerd/images.pb-c.h"

#include "private_containerd.h"

static void
create_image(struct world *w, const char *name)
{
    CtImages__CreateRequest req = CT_IMAGES__CREATE_REQUEST__INIT;
    CtImages__Image image = CT_IMAGES__IMAGE__INIT;
    Ct__Descriptor target = CT__DESCRIPTOR__INIT;
    CtImages__CreateResponse *rsp;

    target.media_type = (char *)(uintptr_t) "application/vnd.oci.image.manifest.v1+json";
    target.digest = (char *)(uintptr_t) "sha256:"
                                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
                                        "7852b855";
    target.size = 1;
    image.name = (char *)(uintptr_t)name;
    image.target = &target;
    req.image = &image;
    expect_ok(nd_ctrd_call(w->ctrd, NS, CT_IMAGES_CREATE, &req, w->arena, &rsp));
}

static void
expect_image_event(struct world *w, struct nd_ctrd_events *events, const char *name)
{
    struct nd_ctrd_event_name found;
    const Ct__Envelope *event;

    expect_ok(nd_ctrd_events_next(events, w->arena, &event));
    assert_string_equal(event->topic, "/images/create");
    assert_string_equal(event->namespace_, "test");
    assert_non_null(event->timestamp);
    nd_ctrd_event_name(event, w->arena, &found);
    assert_string_equal(found.type, "image");
    assert_string_equal(found.id, name);
}

IN_REAL_LOOP(everything_after_open_is_delivered_in_order)
{
    ND_AUTO(world_endp) struct world *w = world_begin();

    for (int i = 0; i < 5; i++) {
        ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *events = NULL;
        char names[3][32];

        expect_ok(nd_ctrd_events_open(w->ctrd, NULL, &events));
        for (int k = 0; k < 3; k++) {
            (void)snprintf(names[k], sizeof(names[k]), "all-%d-%d", i, k);
            create_image(w, names[k]);
        }
        for (int k = 0; k < 3; k++)
            expect_image_event(w, events, names[k]);
    }
    return NULL;
}

IN_REAL_LOOP(filters_choose_and_barriers_stay_hidden)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *one = NULL;
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *all = NULL;
    const char *const filters[] = {"topic==\"/images/create\",event.name==\"chosen\"", NULL};

    expect_ok(nd_ctrd_events_open(w->ctrd, filters, &one));
    /* The barrier of the second subscription runs through the first, too. */
    expect_ok(nd_ctrd_events_open(w->ctrd, NULL, &all));
    create_image(w, "other");
    create_image(w, "chosen");
    expect_image_event(w, one, "chosen");
    expect_image_event(w, all, "other");
    expect_image_event(w, all, "chosen");
    return NULL;
}

struct noise {
    struct world *w;
    unsigned created;
    bool stop;
};

static struct nd_error *
make_noise(void *arg)
{
    struct noise *noise = arg;

    while (!noise->stop) {
        char name[32];

        (void)snprintf(name, sizeof(name), "noise-%u", noise->created);
        create_image(noise->w, name);
        noise->created++;
    }
    return NULL;
}

/* Events that come before the barrier are kept: what is delivered has no hole. */
IN_REAL_LOOP(events_during_open_are_not_lost)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("noise", 0);
    struct noise noise = {.w = w};
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *events = NULL;
    unsigned created_before, first = 0;

    expect_ok(nd_group_spawn(group, make_noise, &noise));
    while (noise.created < 3)
        expect_ok(nd_fiber_yield());
    expect_ok(nd_ctrd_events_open(w->ctrd, NULL, &events));
    created_before = noise.created;
    for (unsigned i = 0; i < 10 || first + i < created_before + 3; i++) {
        const Ct__Envelope *event;
        struct nd_ctrd_event_name name;
        uint64_t number;

        expect_ok(nd_ctrd_events_next(events, w->arena, &event));
        nd_ctrd_event_name(event, w->arena, &name);
        expect_ok(nd_parse_u64(nd_str(name.id + strlen("noise-")), UINT32_MAX, &number));
        if (i == 0)
            first = (unsigned)number;
        assert_int_equal(number, first + i);
    }
    assert_true(first <= created_before);
    noise.stop = true;
    expect_ok(nd_group_wait(group));
    return NULL;
}

IN_REAL_LOOP(stream_breaks_with_the_connection_and_can_be_opened_again)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *events = NULL;
    const Ct__Envelope *event;

    expect_ok(nd_ctrd_events_open(w->ctrd, NULL, &events));
    containerd_kill();
    expect_code(nd_ctrd_events_next(events, w->arena, &event), ND_UNAVAILABLE);
    nd_ctrd_events_close(ND_TAKE(events));
    containerd_start();
    world_until(w, false);
    world_until(w, true);
    expect_ok(nd_ctrd_events_open(w->ctrd, NULL, &events));
    create_image(w, "after");
    expect_image_event(w, events, "after");
    return NULL;
}

IN_REAL_LOOP(bad_filters_are_refused_at_open)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_ctrd_events *events = NULL;
    const char *const filters[] = {"topic=bad", NULL};
    struct nd_error *err = nd_ctrd_events_open(w->ctrd, filters, &events);

    assert_non_null(err);
    assert_null(events);
    nd_error_free(err);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_after_open_is_delivered_in_order),
        cmocka_unit_test(filters_choose_and_barriers_stay_hidden),
        cmocka_unit_test(events_during_open_are_not_lost),
        cmocka_unit_test(bad_filters_are_refused_at_open),
        cmocka_unit_test(stream_breaks_with_the_connection_and_can_be_opened_again),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
