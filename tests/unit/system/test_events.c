/* Event streams against a containerd of its own. */

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "system/limits.h"
#include "system/system.h"

#include "host_world.h"

/* A client: collects what it is told as "topic id" lines, and can be made to stop reading. */
struct client {
    struct host_world *hw;
    struct nd_group *group;
    Pb__SystemServiceEventsRequest req;
    char *texts[4];
    char *seen[8192];
    unsigned n_seen;
    unsigned listening;
    bool blocked;
    bool ended;
    struct nd_error *err; /* that it ended with */
    struct nd_cond changed;
};

static struct nd_error *
on_listening(void *arg)
{
    struct client *c = arg;

    c->listening++;
    nd_cond_broadcast(&c->changed);
    return NULL;
}

static struct nd_error *
on_event(void *arg, const Pb__SystemServiceEventsResponse *event)
{
    struct client *c = arg;

    while (c->blocked)
        ND_TRY(nd_cond_wait(&c->changed));
    assert_true(c->n_seen < ND_LEN(c->seen));
    assert_non_null(event->timestamp);
    c->seen[c->n_seen++] = nd_asprintf("%s %s", event->topic, event->id);
    nd_cond_broadcast(&c->changed);
    return NULL;
}

static struct nd_error *
run_client(void *arg)
{
    struct client *c = arg;
    const struct nd_event_sink sink = {on_listening, on_event, c};

    c->err = nd_system_events(c->hw->host, "test", &c->req, &sink);
    c->ended = true;
    nd_cond_broadcast(&c->changed);
    return NULL;
}

static struct client *
client_begin(struct host_world *hw, const char *filter, bool all_namespaces)
{
    struct client *c = nd_new(struct client);

    c->hw = hw;
    pb__system_service_events_request__init(&c->req);
    c->req.all_namespaces = all_namespaces;
    c->req.filters = c->texts;
    if (filter != NULL)
        c->texts[c->req.n_filters++] = (char *)(uintptr_t)filter;
    c->group = nd_group_begin("client", 0);
    expect_ok(nd_group_spawn(c->group, run_client, c));
    while (c->listening == 0)
        expect_ok(nd_cond_wait(&c->changed));
    return c;
}

static void
client_endp(struct client **c_ptr)
{
    struct client *c = ND_TAKE(*c_ptr);

    c->blocked = false;
    nd_group_end(c->group);
    nd_error_free(c->err);
    assert_int_equal(c->listening, 1);
    for (unsigned i = 0; i < c->n_seen; i++)
        nd_free(c->seen[i]);
    nd_free(c);
}

static void
expect_seen(struct client *c, unsigned i, const char *want)
{
    while (c->n_seen <= i)
        expect_ok(nd_cond_wait(&c->changed));
    assert_string_equal(c->seen[i], want);
}

static unsigned
wait_for(struct client *c, const char *want)
{
    for (unsigned i = 0;; i++) {
        while (c->n_seen <= i)
            expect_ok(nd_cond_wait(&c->changed));
        if (strcmp(c->seen[i], want) == 0)
            return i;
    }
}

IN_REAL_LOOP(events_of_the_namespace_come_in_order)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, NULL, false);

    make_container(hw, "other", "o1", "foreign", "x");
    make_container(hw, "test", "t1", "mine", "x");
    rename_container(hw, "test", "t1", "yours");
    delete_container(hw, "test", "t1");
    expect_seen(c, 0, "/containers/create t1");
    expect_seen(c, 1, "/containers/update t1");
    expect_seen(c, 2, "/containers/delete t1");
    delete_container(hw, "other", "o1");
    return NULL;
}

IN_REAL_LOOP(all_namespaces_when_asked)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, "type=container", true);

    make_container(hw, "other", "o2", "foreign", "x");
    delete_container(hw, "other", "o2");
    make_container(hw, "test", "t2", "mine", "x");
    delete_container(hw, "test", "t2");
    (void)wait_for(c, "/containers/create o2");
    (void)wait_for(c, "/containers/delete t2");
    return NULL;
}

/* Also of a container that was there before, and of one that is gone when its last event is looked at. What
 * must be asked about is left alone until it was. */
IN_REAL_LOOP(names_and_labels_of_deleted_containers_are_known)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    struct client *by_name, *by_label;

    make_container(hw, "test", "old", "wanted", "web");
    by_name = client_begin(hw, "container=wanted", false);
    by_label = client_begin(hw, "label=app=web", true);
    delete_container(hw, "test", "old");
    make_container(hw, "test", "t3", "unwanted", "db");
    delete_container(hw, "test", "t3");
    make_container(hw, "test", "t4", "first", "web");
    expect_seen(by_label, 0, "/containers/delete old");
    expect_seen(by_label, 1, "/containers/create t4");
    rename_container(hw, "test", "t4", "wanted");
    expect_seen(by_label, 2, "/containers/update t4");
    expect_seen(by_name, 0, "/containers/delete old");
    expect_seen(by_name, 1, "/containers/update t4");
    delete_container(hw, "test", "t4");
    make_image(hw, "test", "docker.io/library/labelled:1", "web");

    expect_seen(by_name, 2, "/containers/delete t4");
    expect_seen(by_label, 3, "/containers/delete t4");
    expect_seen(by_label, 4, "/images/create docker.io/library/labelled:1");
    client_endp(&by_name);
    client_endp(&by_label);
    return NULL;
}

IN_REAL_LOOP(images_are_filtered_by_what_people_call_them)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, "image=made", false);

    make_image(hw, "test", "docker.io/library/other:1", "x");
    make_container(hw, "test", "t5", "mine", "x");
    expect_seen(c, 0, "/containers/create t5");
    make_image(hw, "test", "docker.io/library/made:2", "x");
    delete_container(hw, "test", "t5");
    expect_seen(c, 1, "/images/create docker.io/library/made:2");
    expect_seen(c, 2, "/containers/delete t5");
    return NULL;
}

IN_REAL_LOOP(stream_goes_on_after_containerd_and_tells_the_gap)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, "event=create", false);

    containerd_kill();
    world_until(hw->world, false);
    containerd_start();
    expect_seen(c, 0, "/nerdctl-grpc/gap ");
    world_until(hw->world, true);
    make_container(hw, "test", "t6", "mine", "x");
    expect_seen(c, 1, "/containers/create t6");
    assert_false(c->ended);
    delete_container(hw, "test", "t6");
    return NULL;
}

IN_REAL_LOOP(a_client_that_does_not_read_gets_a_gap)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, NULL, false);
    ND_AUTO(client_endp) struct client *reading = client_begin(hw, NULL, false);
    unsigned at;

    c->blocked = true;
    for (unsigned i = 0; i < ND_EVENTS_QUEUE_MAX + 50; i++)
        publish_note(hw, "test");
    make_container(hw, "test", "after", "x", "x");
    (void)wait_for(reading, "/containers/create after");
    assert_int_equal(c->n_seen, 0);
    c->blocked = false;
    nd_cond_broadcast(&c->changed);
    at = wait_for(c, "/nerdctl-grpc/gap ");
    /* What had been queued, and perhaps the one that was being sent. */
    assert_in_range(at, ND_EVENTS_QUEUE_MAX, ND_EVENTS_QUEUE_MAX + 1);
    make_container(hw, "test", "found", "x", "x");
    assert_true(wait_for(c, "/containers/create found") > at);
    return NULL;
}

static struct nd_error *
events_within(struct host_world *hw, int64_t since, int64_t until)
{
    Google__Protobuf__Timestamp from = GOOGLE__PROTOBUF__TIMESTAMP__INIT, to = from;
    Pb__SystemServiceEventsRequest req = PB__SYSTEM_SERVICE_EVENTS_REQUEST__INIT;
    ND_AUTO(nd_freep) struct client *c = nd_new(struct client);
    const struct nd_event_sink sink = {on_listening, on_event, c};
    struct nd_error *err;

    from.seconds = since;
    to.seconds = until;
    req.since = &from;
    req.until = &to;
    err = nd_system_events(hw->host, "test", &req, &sink);
    assert_int_equal(c->n_seen, 0);
    return err;
}

IN_REAL_LOOP(until_ends_the_stream_with_success)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    int64_t now = nd_wall_now().sec;

    expect_ok(events_within(hw, 0, now + 1));
    expect_ok(events_within(hw, 0, now - 5));
    expect_code(events_within(hw, -1, now), ND_INVALID);
    expect_code(events_within(hw, 0, INT64_MAX), ND_INVALID);
    return NULL;
}

struct later {
    struct host_world *hw;
    struct nd_error *err;
};

static struct nd_error *
watch_the_far_future(void *arg)
{
    struct later *later = arg;

    later->err = events_within(later->hw, INT64_C(253402300799), INT64_C(253402300799));
    return NULL;
}

/* Both at the end of time: nothing comes, and the stream stays until it is cancelled. */
IN_REAL_LOOP(what_was_before_since_does_not_come)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    ND_AUTO(client_endp) struct client *c = client_begin(hw, NULL, false);
    struct nd_group *group = nd_group_begin("later", 0);
    struct later later = {.hw = hw};

    expect_ok(nd_group_spawn(group, watch_the_far_future, &later));
    make_container(hw, "test", "t7", "x", "x");
    (void)wait_for(c, "/containers/create t7");
    nd_group_end(group);
    expect_code(later.err, ND_CANCELLED);
    return NULL;
}

IN_REAL_LOOP(bad_filters_name_their_index)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    Pb__SystemServiceEventsRequest req = PB__SYSTEM_SERVICE_EVENTS_REQUEST__INIT;
    char *texts[] = {(char *)(uintptr_t) "event=start", (char *)(uintptr_t) "event"};
    const struct nd_event_sink sink = {on_listening, on_event, NULL};
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    req.filters = texts;
    req.n_filters = 2;
    err = nd_system_events(hw->host, "test", &req, &sink);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "filters[1]");
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_the_namespace_come_in_order),
        cmocka_unit_test(all_namespaces_when_asked),
        cmocka_unit_test(names_and_labels_of_deleted_containers_are_known),
        cmocka_unit_test(images_are_filtered_by_what_people_call_them),
        cmocka_unit_test(a_client_that_does_not_read_gets_a_gap),
        cmocka_unit_test(until_ends_the_stream_with_success),
        cmocka_unit_test(what_was_before_since_does_not_come),
        cmocka_unit_test(bad_filters_name_their_index),
        cmocka_unit_test(stream_goes_on_after_containerd_and_tells_the_gap),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
