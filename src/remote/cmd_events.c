/*
 * events: what happens on the host, one line each, until the user has seen enough.
 *
 * This is the one place where a template runs inside a fiber, on its small stack; the depth of
 * templates is bounded accordingly.
 */

#include "remote/format.h"

#include "cli.h"
#include "nerdctl_methods.h"
#include "protocol.h"

static const struct nd_flag flags[] = {
    {"filter", 'f', ND_FLAG_SLICE, "",
     "Only those that match (event, container, image, label, namespace, type)", 0, NULL},
    {"format", '\0', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"since", '\0', ND_FLAG_STRING, "", "Not before this time", 0, NULL},
    {"until", '\0', ND_FLAG_STRING, "", "End at this time", 0, NULL},
};

struct watching {
    struct nd_cli *cli;
    struct nd_format format;
    Pb__SystemServiceEventsRequest request;
};

static struct nd_value *
event_value(struct nd_arena *a, const Pb__SystemServiceEventsResponse *e)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    const struct {
        const char *name, *text;
    } texts[] = {
        {"ID", e->id},       {"Namespace", e->namespace_},
        {"Topic", e->topic}, {"Action", e->action[0] != '\0' ? e->action : "unknown"},
        {"Event", e->event},
    };

    nd_value_set_as(a, v, "Timestamp", NULL, 0, nd_value_time(a, nd_protocol_time(e->timestamp)));
    for (size_t i = 0; i < ND_LEN(texts); i++)
        nd_value_set_as(a, v, texts[i].name, NULL, 0, nd_value_textz(a, texts[i].text));
    nd_value_set_as(a, v, "Labels", NULL, ND_VALUE_OMIT_EMPTY, nd_value_new(a, ND_VALUE_MAP));
    nd_value_set_as(a, v, "Type", NULL, ND_VALUE_TEMPLATE_ONLY, nd_value_textz(a, e->type));
    return v;
}

static struct nd_error *
print_event(struct watching *w, struct nd_arena *a, const Pb__SystemServiceEventsResponse *e)
{
    struct nd_cli *cli = w->cli;

    if (nd_format_is_by_element(&w->format)) {
        ND_TRY(nd_format_element(&w->format, a, event_value(a, e), &cli->out));
        ND_TRY(nd_buf_add(&cli->out, ND_STR("\n"))); /* nerdctl writes two */
    } else {
        ND_TRY(nd_value_print_time(&cli->out, nd_protocol_time(e->timestamp)));
        nd_buf_printf(&cli->out, " %s %s %s\n", e->namespace_, e->topic, e->event);
    }
    return nd_cli_flush(cli);
}

static struct nd_error *
receive(void *arg)
{
    struct watching *w = arg;
    struct nd_cli *cli = w->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Pb__SystemServiceEventsResponse *event;

    ND_TRY(nd_client_call_begin(cli->channel, PB_SYSTEM_SERVICE_EVENTS, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, &w->request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &event));
        if (event == NULL)
            return NULL;
        ND_TRY(print_event(w, arena, event));
    }
}

static struct nd_error *
set_moment(const struct nd_cli *cli, const char *flag, Google__Protobuf__Timestamp **ret)
{
    struct nd_str text = nd_flag_text(cli->flags, flag);
    struct nd_wall at;

    if (text.len == 0)
        return NULL;
    ND_TRY_DOING(nd_moment_parse(text, cli->now, &at), "--%s", flag);
    *ret = nd_protocol_timestamp(cli->arena, at);
    return NULL;
}

/* nerdctl calls it "status" too. */
static void
set_filters(const struct nd_cli *cli, Pb__SystemServiceEventsRequest *request)
{
    const struct nd_texts *filters = nd_flag_list(cli->flags, "filter");
    struct nd_str status = ND_STR("status=");

    request->n_filters = filters->n;
    request->filters = nd_protocol_texts(cli->arena, filters);
    for (size_t i = 0; i < filters->n; i++) {
        struct nd_str filter = filters->items[i];

        if (nd_str_starts(filter, status))
            request->filters[i] = nd_arena_printf(cli->arena, "event=%.*s",
                                                  ND_STR_ARG(nd_str_from(filter, status.len)));
    }
}

static struct nd_error *
run(struct nd_cli *cli)
{
    struct watching w = {.cli = cli, .request = PB__SYSTEM_SERVICE_EVENTS_REQUEST__INIT};

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), false, &w.format));
    if (w.format.kind == ND_FORMAT_COLUMNS)
        return nd_error_new(ND_INVALID, "events have no table, because they have no end");
    ND_TRY(set_moment(cli, "since", &w.request.since));
    ND_TRY(set_moment(cli, "until", &w.request.until));
    set_filters(cli, &w.request);
    return nd_cli_call(cli, receive, &w);
}

const struct nd_command nd_command_system_events = {
    .path = "system events",
    .aliases = "events",
    .usage = "events [flags]",
    .help = "Show what happens on the host",
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
