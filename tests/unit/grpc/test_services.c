/*
 * Health and reflection, as far as the Python client cannot see it: watchers, and broken
 * descriptors.
 */

#include "grpc/health.h"
#include "grpc/health/v1/health.pb-c.h"

#include "descriptors_priv.h"
#include "fixture.h"
#include "grpc_health_methods.h"

struct world {
    struct nd_server *server;
    struct nd_health *health;
    struct nd_group *group;
    struct nd_channel *channel;
    struct nd_arena *arena;
};

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
dial_server(void *arg, struct nd_stream **ret)
{
    struct nd_stream *theirs;

    nd_stream_pair(CAPACITY_LARGE, ret, &theirs);
    nd_server_adopt(arg, theirs, NULL);
    return NULL;
}

static void
begin(struct world *w)
{
    const struct nd_addr addr = {.kind = ND_PEER_UNIX};

    w->server = nd_server_new(NULL);
    w->health = nd_health_new();
    w->group = nd_group_begin("server", 0);
    w->arena = nd_arena_new(0);
    nd_health_add_to(w->health, w->server);
    expect_ok(nd_group_spawn(w->group, run_server, w->server));
    w->channel = nd_channel_new(
        &addr, &(struct nd_channel_options){.dial = dial_server, .dial_arg = w->server});
}

static void
end(struct world *w)
{
    nd_channel_free(w->channel);
    nd_server_stop(w->server, ND_SECOND);
    nd_group_end(w->group);
    nd_server_free(w->server);
    nd_health_free(w->health);
    nd_arena_free(w->arena);
}

static struct nd_client_call *
watch(struct world *w, const char *service)
{
    GrpcHealth__HealthCheckRequest req = GRPC_HEALTH__HEALTH_CHECK_REQUEST__INIT;
    struct nd_client_call *call;

    req.service = (char *)service;
    expect_ok(nd_client_call_begin(w->channel, GRPC_HEALTH_WATCH, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    return call;
}

static int
next_status(struct world *w, struct nd_client_call *call)
{
    GrpcHealth__HealthCheckResponse *rsp;

    expect_ok(nd_client_call_recv(call, w->arena, &rsp));
    assert_non_null(rsp);
    return (int)rsp->status;
}

IN_LOOP(a_watcher_is_told_of_each_change_and_of_no_other)
{
    struct world w;
    struct nd_client_call *call;

    begin(&w);
    call = watch(&w, "svc");
    assert_int_equal(next_status(&w, call), 3);
    nd_health_set(w.health, ND_STR("svc"), ND_HEALTH_SERVING);
    assert_int_equal(next_status(&w, call), ND_HEALTH_SERVING);
    nd_health_set(w.health, ND_STR("svc"), ND_HEALTH_SERVING);
    nd_health_set(w.health, ND_STR("other"), ND_HEALTH_NOT_SERVING);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    nd_health_set(w.health, ND_STR("svc"), ND_HEALTH_NOT_SERVING);
    assert_int_equal(next_status(&w, call), ND_HEALTH_NOT_SERVING);
    nd_client_call_end(call);
    end(&w);
    return NULL;
}

IN_LOOP(changes_in_one_turn_are_told_as_the_last_one)
{
    struct world w;
    struct nd_client_call *call;

    begin(&w);
    call = watch(&w, "");
    assert_int_equal(next_status(&w, call), ND_HEALTH_SERVING);
    nd_health_set(w.health, ND_STR(""), ND_HEALTH_NOT_SERVING);
    nd_health_set(w.health, ND_STR(""), ND_HEALTH_UNKNOWN);
    assert_int_equal(next_status(&w, call), ND_HEALTH_UNKNOWN);
    nd_client_call_end(call);
    end(&w);
    return NULL;
}

IN_LOOP(after_shutdown_nothing_serves_any_more)
{
    GrpcHealth__HealthCheckResponse *rsp;
    struct nd_client_call *call;
    struct world w;

    begin(&w);
    nd_health_set(w.health, ND_STR("svc"), ND_HEALTH_SERVING);
    call = watch(&w, "svc");
    assert_int_equal(next_status(&w, call), ND_HEALTH_SERVING);
    nd_health_shutdown(w.health);
    assert_int_equal(next_status(&w, call), ND_HEALTH_NOT_SERVING);
    nd_health_set(w.health, ND_STR("svc"), ND_HEALTH_SERVING);
    nd_client_call_end(call);
    call = watch(&w, "svc");
    assert_int_equal(next_status(&w, call), ND_HEALTH_NOT_SERVING);
    expect_code(nd_client_call_recv(call, w.arena, &rsp), ND_UNAVAILABLE);
    nd_client_call_end(call);
    end(&w);
    return NULL;
}

IN_LOOP(watchers_do_not_hold_up_a_graceful_stop)
{
    GrpcHealth__HealthCheckResponse *rsp;
    struct nd_client_call *calls[3];
    int64_t begun_ns;
    struct world w;

    begin(&w);
    nd_health_set(w.health, ND_STR("down"), ND_HEALTH_NOT_SERVING);
    calls[0] = watch(&w, "");
    calls[1] = watch(&w, "down");
    calls[2] = watch(&w, "unknown");
    assert_int_equal(next_status(&w, calls[0]), ND_HEALTH_SERVING);
    assert_int_equal(next_status(&w, calls[1]), ND_HEALTH_NOT_SERVING);
    assert_int_equal(next_status(&w, calls[2]), 3);
    begun_ns = nd_loop_now().ns;
    nd_health_shutdown(w.health);
    nd_server_stop(w.server, ND_HOUR);
    expect_ok(nd_group_wait(w.group));
    assert_true(nd_loop_now().ns - begun_ns < ND_SECOND);
    assert_int_equal(next_status(&w, calls[0]), ND_HEALTH_NOT_SERVING);
    for (size_t i = 0; i < ND_LEN(calls); i++) {
        expect_code(nd_client_call_recv(calls[i], w.arena, &rsp), ND_UNAVAILABLE);
        nd_client_call_end(calls[i]);
    }
    end(&w);
    return NULL;
}

/* --- descriptors --- */

static void
descriptors_are_indexed_by_all_their_symbols(void **state)
{
    static const char *const symbols[] = {
        "nd.test.v1.EchoService",      "nd.test.v1.EchoService.Unary", "nd.test.v1.EchoRequest",
        "nd.test.v1.EchoRequest.text", "nd.test.v1.EchoReply.payload",
    };
    struct nd_descriptors *d = nd_descriptors_new();
    int32_t number;

    (void)state;
    expect_ok(nd_descriptors_add(d, nd_str_n(echo_descriptors, ECHO_DESCRIPTORS_SIZE)));
    expect_ok(nd_descriptors_add(d, nd_str_n(echo_descriptors, ECHO_DESCRIPTORS_SIZE)));
    assert_int_equal(nd_descriptors_count(d), 1);
    for (size_t i = 0; i < ND_LEN(symbols); i++)
        assert_non_null(nd_descriptors_symbol(d, nd_str(symbols[i])));
    assert_null(nd_descriptors_symbol(d, ND_STR("nd.test.v1")));
    assert_null(nd_descriptors_symbol(d, ND_STR("")));
    assert_null(nd_descriptors_extension(d, ND_STR("nd.test.v1.EchoReply"), 1));
    assert_int_equal(
        nd_descriptors_extension_numbers(d, ND_STR("nd.test.v1.EchoReply"), &number, 1), 0);
    nd_descriptors_free(d);
}

/* Every beginning of a set, and every byte of it changed: an error or not, but never more. */
static void
broken_descriptors_are_refused_or_harmless(void **state)
{
    unsigned refused = 0;

    (void)state;
    for (size_t i = 1; i < ECHO_DESCRIPTORS_SIZE; i++) {
        struct nd_descriptors *d = nd_descriptors_new();
        struct nd_error *err = nd_descriptors_add(d, nd_str_n(echo_descriptors, i));

        expect_code(err, ND_INVALID);
        nd_descriptors_free(d);
    }
    for (size_t i = 0; i < ECHO_DESCRIPTORS_SIZE; i++) {
        struct nd_descriptors *d = nd_descriptors_new();
        ND_AUTO(nd_freep) unsigned char *copy = nd_new_array(ECHO_DESCRIPTORS_SIZE, unsigned char);
        struct nd_error *err;

        memcpy(copy, echo_descriptors, ECHO_DESCRIPTORS_SIZE);
        copy[i] ^= 0x81;
        err = nd_descriptors_add(d, nd_str_n(copy, ECHO_DESCRIPTORS_SIZE));
        refused += err != NULL;
        nd_error_free(err);
        nd_descriptors_free(d);
    }
    assert_true(refused > 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watcher_is_told_of_each_change_and_of_no_other),
        cmocka_unit_test(changes_in_one_turn_are_told_as_the_last_one),
        cmocka_unit_test(after_shutdown_nothing_serves_any_more),
        cmocka_unit_test(watchers_do_not_hold_up_a_graceful_stop),
        cmocka_unit_test(descriptors_are_indexed_by_all_their_symbols),
        cmocka_unit_test(broken_descriptors_are_refused_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
