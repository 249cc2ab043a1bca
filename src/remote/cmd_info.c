/*
 * info: the host and the engine.
 *
 * Fields and their order are nerdctl's, which are docker's; counts of containers and images, which
 * only docker has, follow behind. What the API does not tell is left at its zero value, as nerdctl
 * does with what a host cannot do.
 */

#include "remote/format.h"
#include "remote/human.h"

#include "cli.h"
#include "logline.h"
#include "nerdctl_methods.h"
#include "protocol.h"

static const struct nd_flag flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"mode", '\0', ND_FLAG_STRING, "dockercompat", "Whose fields: dockercompat", 0, NULL},
};

struct info {
    struct nd_cli *cli;
    Pb__SystemServiceInfoResponse *info;
    Pb__SystemServicePingResponse *ping; /* the host's clock */
};

static struct nd_error *
ask(void *arg)
{
    struct info *in = arg;
    Pb__SystemServiceInfoRequest request = PB__SYSTEM_SERVICE_INFO_REQUEST__INIT;
    Pb__SystemServicePingRequest ping = PB__SYSTEM_SERVICE_PING_REQUEST__INIT;

    ND_TRY(nd_cli_unary(in->cli, PB_SYSTEM_SERVICE_INFO, &request, &in->info));
    return nd_cli_unary(in->cli, PB_SYSTEM_SERVICE_PING, &ping, &in->ping);
}

static struct nd_value *
texts_value(struct nd_arena *a, char *const *texts, size_t n)
{
    struct nd_value *list = nd_value_new(a, ND_VALUE_LIST);

    for (size_t i = 0; i < n; i++)
        nd_value_push(a, list, nd_value_textz(a, texts[i]));
    return list;
}

static struct nd_value *
plugins_value(struct nd_arena *a, const Pb__SystemServiceInfoResponse *info)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);

    nd_value_set_as(a, v, "Log", NULL, 0, texts_value(a, info->log_drivers, info->n_log_drivers));
    nd_value_set_as(a, v, "Storage", NULL, 0,
                    texts_value(a, info->storage_drivers, info->n_storage_drivers));
    return v;
}

static void
set_text(struct nd_arena *a, struct nd_value *v, const char *name, const char *text)
{
    nd_value_set_as(a, v, name, NULL, 0, nd_value_textz(a, text));
}

static void
set_int(struct nd_arena *a, struct nd_value *v, const char *name, int64_t number)
{
    nd_value_set_as(a, v, name, NULL, 0, nd_value_int(a, number));
}

static void
add_abilities(struct nd_arena *a, struct nd_value *v, const Pb__SystemServiceInfoResponse *info)
{
    const struct {
        const char *name, *json;
        bool value;
    } abilities[] = {
        {"MemoryLimit", NULL, info->memory_limit},
        {"SwapLimit", NULL, info->swap_limit},
        {"CPUCfsPeriod", "CpuCfsPeriod", info->cpu_cfs_quota}, /* one thing to the kernel */
        {"CPUCfsQuota", "CpuCfsQuota", info->cpu_cfs_quota},
        {"CPUShares", NULL, info->cpu_shares},
        {"CPUSet", NULL, info->cpu_set},
        {"CPURealtime", NULL, false},
        {"PidsLimit", NULL, info->pids_limit},
        {"IPv4Forwarding", NULL, info->ipv4_forwarding},
        {"BridgeNfIptables", NULL, false},
        {"BridgeNfIP6tables", "BridgeNfIp6tables", false},
        {"OomKillDisable", NULL, strcmp(info->cgroup_version, "1") == 0},
    };

    for (size_t i = 0; i < ND_LEN(abilities); i++)
        nd_value_set_as(a, v, abilities[i].name, abilities[i].json, 0,
                        nd_value_bool(a, abilities[i].value));
}

static void
add_counts(struct nd_arena *a, struct nd_value *v, const Pb__SystemServiceInfoResponse *info)
{
    set_int(a, v, "Containers", info->containers);
    set_int(a, v, "ContainersRunning", info->containers_running);
    set_int(a, v, "ContainersPaused", info->containers_paused);
    set_int(a, v, "ContainersStopped", info->containers_stopped);
    set_int(a, v, "Images", info->images);
}

static struct nd_value *
info_value(const struct info *in)
{
    struct nd_arena *a = in->cli->arena;
    const Pb__SystemServiceInfoResponse *info = in->info;
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    char time[ND_RFC3339_SIZE];

    (void)nd_wall_format_full(nd_protocol_time(in->ping->time), time);
    set_text(a, v, "ID", info->id);
    set_text(a, v, "Driver", info->driver);
    nd_value_set_as(a, v, "Plugins", NULL, 0, plugins_value(a, info));
    add_abilities(a, v, info);
    set_text(a, v, "SystemTime", nd_arena_strdup(a, time));
    set_text(a, v, "LoggingDriver", "json-file");
    set_text(a, v, "CgroupDriver", info->cgroup_driver);
    set_text(a, v, "CgroupVersion", info->cgroup_version);
    set_text(a, v, "KernelVersion", info->kernel_version);
    set_text(a, v, "OperatingSystem", info->operating_system);
    set_text(a, v, "OSType", info->os_type);
    set_text(a, v, "Architecture", info->architecture);
    set_int(a, v, "NCPU", info->ncpu);
    set_int(a, v, "MemTotal", info->mem_total);
    set_text(a, v, "Name", info->name);
    set_text(a, v, "ServerVersion", info->server_version);
    nd_value_set_as(a, v, "SecurityOptions", NULL, 0,
                    texts_value(a, info->security_options, info->n_security_options));
    nd_value_set_as(a, v, "Warnings", NULL, 0,
                    info->n_warnings > 0 ? texts_value(a, info->warnings, info->n_warnings)
                                         : nd_value_new(a, ND_VALUE_NULL));
    add_counts(a, v, info);
    return v;
}

static void
print_words(struct nd_buf *out, const char *title, char *const *words, size_t n)
{
    nd_buf_printf(out, "  %s:", title);
    for (size_t i = 0; i < n; i++)
        nd_buf_printf(out, " %s", words[i]);
    nd_buf_putz(out, "\n");
}

/* "name=seccomp,profile=builtin": the name on a line, each detail below it. */
static void
print_security_option(struct nd_buf *out, const char *option)
{
    struct nd_str rest = nd_str(option), part;

    while (nd_str_next(&rest, ',', &part)) {
        size_t equals = nd_str_find(part, '=');
        struct nd_str key = nd_str_sub(part, 0, equals);
        struct nd_str value = equals == SIZE_MAX ? part : nd_str_from(part, equals + 1);

        if (nd_str_eqz(key, "name") || equals == SIZE_MAX)
            nd_buf_printf(out, "  %.*s\n", ND_STR_ARG(value));
        else if (key.len > 0)
            nd_buf_printf(out, "   %c%.*s:\t%.*s\n",
                          key.ptr[0] >= 'a' && key.ptr[0] <= 'z' ? key.ptr[0] - 32 : key.ptr[0],
                          ND_STR_ARG(nd_str_from(key, 1)), ND_STR_ARG(value));
    }
}

static void
print_server(struct nd_cli *cli, const Pb__SystemServiceInfoResponse *info)
{
    struct nd_buf *out = &cli->out;

    nd_buf_putz(out, "\nServer:\n");
    nd_buf_printf(out, " Server Version: %s\n", info->server_version);
    nd_buf_printf(out, " Storage Driver: %s\n", info->driver);
    nd_buf_putz(out, " Logging Driver: json-file\n");
    nd_buf_printf(out, " Cgroup Driver: %s\n", info->cgroup_driver);
    nd_buf_printf(out, " Cgroup Version: %s\n", info->cgroup_version);
    nd_buf_putz(out, " Plugins:\n");
    print_words(out, "Log", info->log_drivers, info->n_log_drivers);
    print_words(out, "Storage", info->storage_drivers, info->n_storage_drivers);
    nd_buf_putz(out, " Security Options:\n");
    for (size_t i = 0; i < info->n_security_options; i++)
        print_security_option(out, info->security_options[i]);
    nd_buf_printf(out, " Kernel Version: %s\n", info->kernel_version);
    nd_buf_printf(out, " Operating System: %s\n", info->operating_system);
    nd_buf_printf(out, " OSType: %s\n", info->os_type);
    nd_buf_printf(out, " Architecture: %s\n", info->architecture);
    nd_buf_printf(out, " CPUs: %d\n", info->ncpu);
    nd_buf_printf(out, " Total Memory: %s\n", nd_human_binary(cli->arena, info->mem_total));
    nd_buf_printf(out, " Name: %s\n", info->name);
    nd_buf_printf(out, " ID: %s\n\n", info->id);
}

static struct nd_error *
print(struct info *in, struct nd_format *format)
{
    struct nd_cli *cli = in->cli;

    if (nd_format_is_by_element(format)) {
        ND_TRY(nd_format_element(format, cli->arena, info_value(in), &cli->out));
        return nd_format_end(format, &cli->out);
    }
    nd_buf_printf(&cli->out, "Client:\n Namespace:\t%s\n Debug Mode:\t%s\n", in->info->namespace_,
                  nd_flag_bool(cli->globals, "debug") ? "true" : "false");
    print_server(cli, in->info);
    ND_TRY(nd_cli_flush(cli));
    for (size_t i = 0; i < in->info->n_warnings; i++)
        nd_line(ND_LINE_WARN, "%s", in->info->warnings[i]);
    return NULL;
}

static struct nd_error *
run(struct nd_cli *cli)
{
    struct info in = {.cli = cli};
    struct nd_format format;
    Pb__InspectMode mode;

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), false, &format));
    ND_TRY(nd_protocol_mode(nd_flag_text(cli->flags, "mode"), &mode));
    if (mode == PB__INSPECT_MODE__INSPECT_MODE_NATIVE)
        return nd_error_new(ND_UNIMPLEMENTED, "flag --mode native is not supported by this version "
                                              "of the daemon's API yet");
    ND_TRY(nd_cli_call(cli, ask, &in));
    return print(&in, &format);
}

const struct nd_command nd_command_system_info = {
    .path = "system info",
    .aliases = "info",
    .usage = "info [flags]",
    .help = "Show facts about the host and the engine",
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
