/*
 * A plain HTTP/2 server on the session of src/net, for h2spec: every request gets 200 and a body.
 *
 *     h2_server [--cert FILE --key FILE] ADDRESS...
 *
 * An address with "tls+" in front is served with TLS, one with "lenient+" with the session's
 * profile for Unix sockets, where our own checks of headers stand in for those of the library. For
 * each one "listening ADDRESS PORT" is printed, with the real port. SIGTERM ends it.
 */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/process.h"
#include "net/session.h"
#include "net/tls.h"

#define MAX_ADDRESSES 8

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

struct place {
    const char *address; /* as on the command line */
    bool lenient;
    struct nd_tls_config *tls; /* NULL: cleartext; the program's */
};

struct program {
    int argc;
    char **argv;
    struct place places[MAX_ADDRESSES];
};

static void
serve(struct nd_stream *stream, const struct place *place)
{
    struct connection *c = nd_new(struct connection);
    const struct nd_session_options options = {
        .role = ND_SESSION_SERVER,
        .any_authority = place->lenient,
        .max_streams = 100,
    };
    const struct nd_session_handler handler = {.arg = c, .on_open = on_open, .on_gone = on_gone};

    if (place->tls != NULL)
        stream = nd_tls_accept(stream, place->tls);
    c->session = nd_session_new(stream, &options, &handler);
}

static struct nd_error *
listen_on(void *arg)
{
    const struct place *place = arg;
    ND_AUTO(nd_listener_closep) struct nd_listener *listener = NULL;
    const char *plus = strrchr(place->address, '+');
    struct nd_addr addr;

    ND_TRY(nd_addr_parse(nd_str(plus != NULL ? plus + 1 : place->address), &addr));
    ND_TRY(nd_listener_open(&addr, NULL, &listener));
    printf("listening %s %u\n", place->address, nd_listener_addr(listener)->port);
    fflush(stdout);
    for (;;) {
        struct nd_stream *stream;

        ND_TRY(nd_listener_accept(listener, &stream));
        serve(stream, place);
    }
}

static struct nd_error *
listen_everywhere(struct program *p, struct nd_group *group, struct nd_tls_config **tls)
{
    struct nd_tls_options files = {0};
    size_t n = 0;

    for (int i = 1; i < p->argc; i++) {
        struct place *place = &p->places[n];

        if (i + 1 < p->argc && strcmp(p->argv[i], "--cert") == 0) {
            files.cert_file = p->argv[++i];
        } else if (i + 1 < p->argc && strcmp(p->argv[i], "--key") == 0) {
            files.key_file = p->argv[++i];
        } else if (n++ == MAX_ADDRESSES) {
            return nd_error_new(ND_INVALID, "more than %d addresses", MAX_ADDRESSES);
        } else {
            place->address = p->argv[i];
            place->lenient = strncmp(place->address, "lenient+", 8) == 0;
            if (strncmp(place->address, "tls+", 4) == 0 && *tls == NULL)
                ND_TRY(nd_tls_config_server(&files, tls));
            if (strncmp(place->address, "tls+", 4) == 0)
                place->tls = *tls;
            ND_TRY(nd_group_spawn(group, listen_on, place));
        }
    }
    return NULL;
}

static struct nd_error *
body(void *arg)
{
    static const int stops[] = {SIGTERM, SIGINT};
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("listeners", 0);
    int signo;

    ND_TRY(nd_signals_open(stops, ND_LEN(stops), &signals));
    ND_TRY(listen_everywhere(arg, group, &tls));
    return nd_signals_next(signals, &signo);
}

int
main(int argc, char **argv)
{
    struct program p = {.argc = argc, .argv = argv};
    struct nd_error *err = nd_loop_run(body, &p, NULL);

    if (err != NULL)
        fprintf(stderr, "h2_server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
