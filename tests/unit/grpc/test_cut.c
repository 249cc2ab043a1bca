/*
 * The connection is cut after every possible number of bytes, in each direction, while calls of all
 * shapes run: each call ends with an error or well, nothing hangs, nothing is left behind.
 */

#include "fixture.h"

#define PAUSE_NS ND_MILLISECOND

/* Between client and server: passes bytes on until it has passed enough. */
struct relay {
    struct fixture *f;
    size_t cut_after;
    bool cut_upwards; /* count what the client sends, else what the server sends */
    size_t passed;
    bool cut;
    struct nd_stream *client, *server;
    struct nd_group *group;
};

struct direction {
    struct relay *relay;
    struct nd_stream **from, **to;
    bool counted;
};

static void
cut(struct relay *r)
{
    if (r->cut)
        return;
    r->cut = true;
    nd_group_cancel(r->group);
}

static struct nd_error *
pump(void *arg)
{
    struct direction *d = arg;
    struct relay *r = d->relay;
    char bytes[512];

    while (!r->cut) {
        size_t cap = d->counted ? ND_MIN(r->cut_after - r->passed, sizeof(bytes)) : sizeof(bytes);
        size_t n;

        if (cap == 0)
            break;
        ND_TRY(nd_stream_read(*d->from, bytes, cap, &n));
        if (n == 0)
            break;
        ND_TRY(nd_stream_write(*d->to, nd_str_n(bytes, n)));
        r->passed += d->counted ? n : 0;
    }
    cut(r);
    return NULL;
}

static struct nd_error *
run_relay(void *arg)
{
    struct relay *r = arg;
    struct direction up = {r, &r->client, &r->server, r->cut_upwards};
    struct direction down = {r, &r->server, &r->client, !r->cut_upwards};

    r->group = nd_group_begin_independent("relay", 0);
    expect_ok(nd_group_spawn(r->group, pump, &up));
    expect_ok(nd_group_spawn(r->group, pump, &down));
    nd_error_free(nd_group_wait(r->group));
    nd_group_end(ND_TAKE(r->group));
    nd_stream_close(ND_TAKE(r->client));
    nd_stream_close(ND_TAKE(r->server));
    return NULL;
}

static struct nd_error *
dial_relay(void *arg, struct nd_stream **ret)
{
    struct relay *r = arg;
    struct nd_stream *theirs;

    if (r->f == NULL || r->client != NULL || r->cut)
        return nd_error_new(ND_UNAVAILABLE, "cut");
    nd_stream_pair(4096, ret, &r->client);
    nd_stream_pair(4096, &r->server, &theirs);
    nd_server_adopt(r->f->server, theirs, NULL);
    return nd_group_spawn(r->f->group, run_relay, r);
}

/* One call, in a fiber of its own. */
struct job {
    struct fixture *f;
    const struct nd_method_desc *method;
    struct nd_error *err;
};

static struct nd_error *
exchange(struct job *job, struct nd_client_call *call, struct nd_arena *arena)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.text = (char *)"text";
    req.repeat = 3;
    ND_TRY(nd_client_call_send(call, &req));
    if (job->method->kind == ND_CLIENT_STREAM || job->method->kind == ND_BIDI)
        ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
    }
}

static struct nd_error *
make_call(void *arg)
{
    struct job *job = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    job->err = nd_client_call_begin(job->f->channel, job->method, NULL, &call);
    if (job->err == NULL)
        job->err = exchange(job, call, arena);
    return NULL;
}

static bool
calls_with_cut(size_t cut_after, bool upwards)
{
    struct relay relay = {.cut_after = cut_after, .cut_upwards = upwards};
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.channel = {.dial = dial_relay, .dial_arg = &relay}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job jobs[] = {
        {f, ECHO_ECHO_SERVICE_UNARY, NULL},
        {f, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL},
        {f, ECHO_ECHO_SERVICE_CLIENT_STREAM, NULL},
        {f, ECHO_ECHO_SERVICE_BIDI, NULL},
    };
    bool whole;

    relay.f = f;
    for (size_t i = 0; i < ND_LEN(jobs); i++)
        expect_ok(nd_group_spawn(group, make_call, &jobs[i]));
    expect_ok(nd_group_wait(group));
    whole = !relay.cut;
    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        enum nd_code code = nd_error_code(jobs[i].err);

        if (code != ND_OK && code != ND_UNAVAILABLE && code != ND_ABORTED)
            expect_code(jobs[i].err, ND_UNAVAILABLE);
        whole = whole && code == ND_OK;
        nd_error_free(jobs[i].err);
    }
    nd_channel_freep(&f->channel);
    expect_ok(nd_fiber_sleep(PAUSE_NS));
    while (relay.client != NULL)
        expect_ok(nd_fiber_sleep(PAUSE_NS));
    return whole;
}

static void
cut_everywhere(bool upwards)
{
    size_t n = 0;

    while (!calls_with_cut(n, upwards))
        n++;
    assert_true(n > 200);
}

IN_LOOP(a_cut_at_any_byte_of_the_client_ends_all_calls)
{
    cut_everywhere(true);
    return NULL;
}

IN_LOOP(a_cut_at_any_byte_of_the_server_ends_all_calls)
{
    cut_everywhere(false);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_at_any_byte_of_the_client_ends_all_calls),
        cmocka_unit_test(a_cut_at_any_byte_of_the_server_ends_all_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
