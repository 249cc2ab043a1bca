/*
 * A plain HTTP/2 server on the session of src/net, for h2spec: every request gets 200 and a body.
 *
 *     h2_server ADDRESS [--any-authority]
 *
 * Prints "listening ADDRESS PORT". Runs until it is killed.
 */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "net/session.h"

struct request {
    struct nd_h2_stream h2;
};

struct connection {
    struct nd_session *session;
};

static void
ignore_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    (void)s, (void)name, (void)value;
}

static void
ignore_headers(struct nd_h2_stream *s, bool end)
{
    (void)s, (void)end;
}

static void
drop_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    nd_h2_stream_consume(s, bytes.len);
}

static void
answer(struct nd_h2_stream *s)
{
    static const struct nd_header headers[] = {
        {{":status", 7}, {"200", 3}},
        {{"content-type", 12}, {"text/plain", 10}},
    };
    static const struct nd_header trailers[] = {{{"x-end", 5}, {"yes", 3}}};

    nd_h2_stream_respond(s, headers, ND_LEN(headers), false);
    for (int i = 0; i < 100; i++)
        nd_buf_put(nd_h2_stream_queue(s), ND_STR("hello\n"));
    nd_h2_stream_finish(s, trailers, ND_LEN(trailers));
}

static void
ignore(struct nd_h2_stream *s)
{
    (void)s;
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    (void)why;
    nd_h2_stream_fini(s);
    nd_free(s);
}

static const struct nd_h2_stream_ops ops = {
    .on_header = ignore_header,
    .on_headers = ignore_headers,
    .on_data = drop_data,
    .on_end = answer,
    .on_writable = ignore,
    .on_close = on_close,
};

static struct nd_h2_stream *
on_open(void *arg)
{
    struct request *r = nd_new(struct request);

    (void)arg;
    nd_h2_stream_init(&r->h2, &ops);
    return &r->h2;
}

static void
on_gone(void *arg, const struct nd_error *err)
{
    struct connection *c = arg;

    (void)err;
    nd_session_free(c->session);
    nd_free(c);
}

static void
serve(struct nd_stream *stream, bool any_authority)
{
    struct connection *c = nd_new(struct connection);
    const struct nd_session_options options = {
        .role = ND_SESSION_SERVER,
        .any_authority = any_authority,
        .max_streams = 100,
    };
    const struct nd_session_handler handler = {.arg = c, .on_open = on_open, .on_gone = on_gone};

    c->session = nd_session_new(stream, &options, &handler);
}

static char **arguments;

static struct nd_error *
body(void *arg)
{
    ND_AUTO(nd_listener_closep) struct nd_listener *listener = NULL;
    bool any_authority = arguments[2] != NULL && strcmp(arguments[2], "--any-authority") == 0;
    struct nd_addr addr;

    (void)arg;
    ND_TRY(nd_addr_parse(nd_str(arguments[1]), &addr));
    ND_TRY(nd_listener_open(&addr, NULL, &listener));
    printf("listening %s %u\n", arguments[1], nd_listener_addr(listener)->port);
    fflush(stdout);
    for (;;) {
        struct nd_stream *stream;

        ND_TRY(nd_listener_accept(listener, &stream));
        serve(stream, any_authority);
    }
}

int
main(int argc, char **argv)
{
    struct nd_error *err;

    if (argc < 2)
        return 2;
    arguments = argv;
    err = nd_loop_run(body, NULL, NULL);
    fprintf(stderr, "h2_server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return 1;
}
