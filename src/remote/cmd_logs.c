/* logs: what a container wrote, the two outputs kept apart. */

#include <unistd.h>

#include "cli.h"
#include "nerdctl_methods.h"
#include "protocol.h"
#include "writer.h"

static const struct nd_flag flags[] = {
    {"details", '\0', ND_FLAG_BOOL, "", "Show what log options add to each line", 0, NULL},
    {"follow", 'f', ND_FLAG_BOOL, "", "Go on until the container ends", 0, NULL},
    {"restarts", '\0', ND_FLAG_BOOL, "", "With -f: go on when it is started again", 0, NULL},
    {"since", '\0', ND_FLAG_STRING, "",
     "Not before this time (RFC 3339, seconds) or so long ago (10m)", 0, NULL},
    {"tail", 'n', ND_FLAG_STRING, "all", "Only the last so many lines", 0, NULL},
    {"timestamps", 't', ND_FLAG_BOOL, "", "Put the time in front of each line", 0, NULL},
    {"until", '\0', ND_FLAG_STRING, "", "Before this time, or until so long ago", 0, NULL},
};

struct reading {
    struct nd_cli *cli;
    Pb__ContainerServiceLogsRequest request;
};

static struct nd_error *
receive(void *arg)
{
    struct reading *reading = arg;
    struct nd_cli *cli = reading->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Pb__ContainerServiceLogsResponse *reply;

    ND_TRY(nd_client_call_begin(cli->channel, PB_CONTAINER_SERVICE_LOGS, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, &reading->request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        bool is_error;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &reply));
        if (reply == NULL)
            return NULL;
        is_error = reply->stream == PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
        ND_TRY(nd_write_all(is_error ? STDERR_FILENO : STDOUT_FILENO,
                            nd_str_n(reply->data.data, reply->data.len)));
    }
}

/* "all", or a number; negative ones mean all too, as for docker. */
static struct nd_error *
set_tail(const struct nd_cli *cli, Pb__ContainerServiceLogsRequest *request)
{
    struct nd_str text = nd_flag_text(cli->flags, "tail");
    int64_t lines;

    if (text.len == 0 || nd_str_eqz(text, "all"))
        return NULL;
    ND_TRY_DOING(nd_parse_i64(text, INT64_MIN, INT64_MAX, &lines), "--tail");
    if (lines < 0)
        return NULL;
    request->tail_presence_case = PB__CONTAINER_SERVICE_LOGS_REQUEST__TAIL_PRESENCE_TAIL;
    request->tail = lines;
    return NULL;
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

static struct nd_error *
run(struct nd_cli *cli)
{
    struct reading reading = {.cli = cli, .request = PB__CONTAINER_SERVICE_LOGS_REQUEST__INIT};
    Pb__ContainerServiceLogsRequest *request = &reading.request;

    request->container = (char *)nd_cli_arg(cli, 0);
    request->follow = nd_flag_bool(cli->flags, "follow");
    request->restarts = nd_flag_bool(cli->flags, "restarts");
    request->timestamps = nd_flag_bool(cli->flags, "timestamps");
    request->details = nd_flag_bool(cli->flags, "details");
    ND_TRY(set_tail(cli, request));
    ND_TRY(set_moment(cli, "since", &request->since));
    ND_TRY(set_moment(cli, "until", &request->until));
    return nd_cli_call(cli, receive, &reading);
}

const struct nd_command nd_command_container_logs = {
    .path = "container logs",
    .aliases = "logs",
    .usage = "logs [flags] CONTAINER",
    .help = "Show what a container wrote",
    .min_args = 1,
    .max_args = 1,
    .marks = ND_COMMAND_USAGE,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
