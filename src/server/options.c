/*
 * Options of the daemon, as one table: name, environment variable, help, how the value is read.
 * Parsing, defaults and `--help` all come from it.
 *
 * The rule on listeners is checked here, before anything is opened: a TCP address needs TLS with
 * client certificates; cleartext is possible on a loopback address alone, and only when it was
 * asked for by --insecure. No environment variable can switch that off.
 */

#include "options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/limits.h"

typedef struct nd_error *read_fn(struct nd_options *o, const char *value);

struct option {
    const char *name;
    const char *env;   /* NULL: none */
    const char *value; /* what the help calls it; NULL: a switch */
    read_fn *read;
    const char *help;
};

static struct nd_error *
read_listen(struct nd_options *o, const char *value)
{
    if (o->n_listen == ND_LISTEN_MAX)
        return nd_error_new(ND_INVALID, "at most %d addresses", ND_LISTEN_MAX);
    ND_TRY(nd_addr_parse(nd_str(value), &o->addrs[o->n_listen]));
    o->listen[o->n_listen++] = value;
    return NULL;
}

/* As a browser writes it, or no request would ever match. */
static struct nd_error *
read_web_origin(struct nd_options *o, const char *value)
{
    struct nd_str text = nd_str(value);
    size_t scheme = nd_str_starts(text, ND_STR("https://"))  ? 8
                    : nd_str_starts(text, ND_STR("http://")) ? 7
                                                             : 0;

    if (o->n_web_origins == ND_WEB_ORIGIN_MAX)
        return nd_error_new(ND_INVALID, "at most %d origins", ND_WEB_ORIGIN_MAX);
    if (scheme == 0 || text.len == scheme)
        return nd_error_new(ND_INVALID, "\"%s\" is not of the form https://host[:port]", value);
    for (size_t i = scheme; i < text.len; i++) {
        char c = value[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._:[]", c) != NULL))
            return nd_error_new(
                ND_INVALID,
                "\"%s\": an origin is scheme, host and port in lower case, nothing else", value);
    }
    o->web_origins[o->n_web_origins++] = value;
    return NULL;
}

static struct nd_error *
read_log_level(struct nd_options *o, const char *value)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < ND_LEN(names); i++) {
        if (nd_str_eqz(nd_str(value), names[i])) {
            o->log_level = (enum nd_log_level)i;
            return NULL;
        }
    }
    return nd_error_new(ND_INVALID, "\"%s\" is none of debug, info, warn, error", value);
}

static struct nd_error *
read_duration(const char *value, int64_t *ret)
{
    int64_t ns;

    ND_TRY(nd_duration_parse(nd_str(value), &ns));
    if (ns < 0)
        return nd_error_new(ND_INVALID, "\"%s\" is negative", value);
    *ret = ns;
    return NULL;
}

#define TEXT_READER(field)                                                        \
    static struct nd_error *read_##field(struct nd_options *o, const char *value) \
    {                                                                             \
        o->field = value;                                                         \
        return NULL;                                                              \
    }
#define COUNT_READER(field, most)                                                 \
    static struct nd_error *read_##field(struct nd_options *o, const char *value) \
    {                                                                             \
        uint64_t n;                                                               \
                                                                                  \
        ND_TRY(nd_parse_u64(nd_str(value), most, &n));                            \
        o->field = (uint32_t)n;                                                   \
        return NULL;                                                              \
    }
#define DURATION_READER(field)                                                    \
    static struct nd_error *read_##field(struct nd_options *o, const char *value) \
    {                                                                             \
        return read_duration(value, &o->field##_ns);                              \
    }
#define SWITCH_READER(field)                                                      \
    static struct nd_error *read_##field(struct nd_options *o, const char *value) \
    {                                                                             \
        (void)value;                                                              \
        o->field = true;                                                          \
        return NULL;                                                              \
    }

TEXT_READER(socket_group)
TEXT_READER(containerd_address)
TEXT_READER(ns)
TEXT_READER(data_root)
TEXT_READER(snapshotter)
TEXT_READER(state_dir)
TEXT_READER(cgroup_manager)
TEXT_READER(runtime)
TEXT_READER(helper)
TEXT_READER(tls_cert)
TEXT_READER(tls_key)
TEXT_READER(tls_ca)
COUNT_READER(max_connections, 1000000)
COUNT_READER(max_streams, 100000)
DURATION_READER(max_connection_idle)
DURATION_READER(max_connection_age)
DURATION_READER(max_connection_age_grace)
DURATION_READER(keepalive_time)
DURATION_READER(keepalive_timeout)
DURATION_READER(shutdown_grace)
SWITCH_READER(insecure)
SWITCH_READER(show_help)
SWITCH_READER(show_version)
SWITCH_READER(check_only)

/* What helpers hold for longer is let go by them. */
static struct nd_error *
read_session_hold(struct nd_options *o, const char *value)
{
    ND_TRY(read_duration(value, &o->session_hold_ns));
    if (o->session_hold_ns < ND_SECOND || o->session_hold_ns > 5 * ND_MINUTE)
        return nd_error_new(ND_INVALID, "\"%s\" is not between 1s and 5m", value);
    return NULL;
}

/* clang-format off */
static const struct option options[] = {
    {"listen", NULL, "ADDRESS", read_listen,
     "serve here: unix:///path or tcp://host:port; may be repeated\n"
     "(default " ND_DEFAULT_LISTEN ")"},
    {"socket-group", NULL, "GID", read_socket_group, "numeric group that may use the Unix sockets (default root's)"},
    {"tls-cert", "TLS_CERT_FILE", "FILE", read_tls_cert, "certificate chain for TCP, PEM"},
    {"tls-key", "TLS_KEY_FILE", "FILE", read_tls_key, "its key, PEM"},
    {"tls-ca", "TLS_CA_FILE", "FILE", read_tls_ca, "CA of the client certificates that are accepted, PEM"},
    {"web-origin", NULL, "ORIGIN", read_web_origin,
     "scripts of this origin (https://host[:port]) may call by gRPC-Web;\n"
     "may be repeated (default: of none)"},
    {"insecure", NULL, NULL, read_insecure, "allow TCP without TLS, on loopback addresses only"},
    {"containerd-address", "CONTAINERD_ADDRESS", "PATH", read_containerd_address,
     "socket of containerd (default /run/containerd/containerd.sock)"},
    {"namespace", "CONTAINERD_NAMESPACE", "NAME", read_ns, "namespace of calls that name none (default \"default\")"},
    {"data-root", NULL, "DIR", read_data_root, "nerdctl's data root (default /var/lib/nerdctl)"},
    {"state-dir", NULL, "DIR", read_state_dir,
     "what this daemon must remember (default /var/lib/nerdctl-grpc)"},
    {"snapshotter", NULL, "NAME", read_snapshotter, "snapshotter (default \"overlayfs\")"},
    {"cgroup-manager", NULL, "NAME", read_cgroup_manager, "cgroupfs, systemd or none (default: found out)"},
    {"runtime", NULL, "NAME", read_runtime, "default runtime (default io.containerd.runc.v2)"},
    {"helper", NULL, "FILE", read_helper, "nerdctl-grpc-helper (default: beside this program)"},
    {"max-connections", "MAX_CONNECTIONS", "N", read_max_connections, "connections at once (default 10000)"},
    {"max-streams", NULL, "N", read_max_streams, "calls at once on a connection (default 256)"},
    {"max-connection-idle", NULL, "DURATION", read_max_connection_idle,
     "a connection without calls for so long is sent away (default never)"},
    {"max-connection-age", NULL, "DURATION", read_max_connection_age,
     "an older one is sent away, give or take a tenth (default never)"},
    {"max-connection-age-grace", NULL, "DURATION", read_max_connection_age_grace,
     "how long its calls may go on (default for ever)"},
    {"keepalive-time", NULL, "DURATION", read_keepalive_time,
     "a TCP client silent for so long is asked whether it is there\n(default 30s; 0: never)"},
    {"keepalive-timeout", NULL, "DURATION", read_keepalive_timeout,
     "and given up after so long without an answer (default 20s)"},
    {"shutdown-grace", NULL, "DURATION", read_shutdown_grace, "how long calls may go on after SIGTERM (default 10s)"},
    {"session-hold", NULL, "DURATION", read_session_hold,
     "how long the streams of an attached client that was cut off\n"
     "are held for it, 1s to 5m (default 30s)"},
    {"log-level", NULL, "LEVEL", read_log_level, "debug, info, warn or error (default info)"},
    {"check-config", NULL, NULL, read_check_only, "check the options and exit"},
    {"version", NULL, NULL, read_show_version, "print the version and exit"},
    {"help", NULL, NULL, read_show_help, "print this text and exit"},
};
/* clang-format on */

static const struct option *
find_option(struct nd_str name)
{
    for (size_t i = 0; i < ND_LEN(options); i++) {
        if (nd_str_eqz(name, options[i].name))
            return &options[i];
    }
    return NULL;
}

/* One argument, "--name=value" or "--name value"; `*i` moves on when the value is the next one. */
static struct nd_error *
read_argument(struct nd_options *o, int argc, char *const *argv, int *i)
{
    struct nd_str arg = nd_str(argv[*i]);
    size_t equals = nd_str_find(arg, '=');
    const struct option *option = NULL;
    const char *value = NULL;

    if (nd_str_starts(arg, ND_STR("--")))
        option = find_option(nd_str_sub(arg, 2, ND_MIN(equals, arg.len) - 2));
    if (option == NULL)
        return nd_error_new(ND_INVALID, "unknown option %s", argv[*i]);
    if (option->value == NULL && equals != SIZE_MAX)
        return nd_error_new(ND_INVALID, "--%s takes no value", option->name);
    if (option->value != NULL) {
        if (equals != SIZE_MAX)
            value = argv[*i] + equals + 1;
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return nd_error_new(ND_INVALID, "--%s needs a value (%s)", option->name, option->value);
    }
    ND_TRY_DOING(option->read(o, value), "--%s", option->name);
    return NULL;
}

static struct nd_error *
read_environment(struct nd_options *o)
{
    for (size_t i = 0; i < ND_LEN(options); i++) {
        const char *value = options[i].env != NULL ? getenv(options[i].env) : NULL;

        if (value != NULL && value[0] != '\0')
            ND_TRY_DOING(options[i].read(o, value), "environment variable %s", options[i].env);
    }
    return NULL;
}

static bool
is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return nd_str_eqz(nd_str(host), "localhost");
}

/* The TLS files come together or not at all, and TCP needs them. */
static struct nd_error *
check_listeners(const struct nd_options *o)
{
    bool complete = o->tls_cert != NULL && o->tls_key != NULL && o->tls_ca != NULL;
    bool none = o->tls_cert == NULL && o->tls_key == NULL && o->tls_ca == NULL;

    if (!complete && !none)
        return nd_error_new(ND_INVALID, "--tls-cert, --tls-key and --tls-ca belong together");
    for (size_t i = 0; i < o->n_listen; i++) {
        if (o->addrs[i].kind != ND_PEER_TCP || complete)
            continue;
        if (!o->insecure)
            return nd_error_hint(
                nd_error_new(ND_INVALID,
                             "--listen %s: TCP needs TLS with client certificates: whoever can "
                             "connect is root on this host",
                             o->listen[i]),
                "give --tls-cert, --tls-key and --tls-ca, or listen on a Unix socket");
        if (!is_loopback(o->addrs[i].host))
            return nd_error_new(
                ND_INVALID, "--listen %s: --insecure is for loopback addresses only", o->listen[i]);
    }
    return NULL;
}

struct nd_error *
nd_options_read(int argc, char *const *argv, struct nd_options *ret)
{
    struct nd_options o = {
        .containerd_address = "/run/containerd/containerd.sock",
        .ns = "default",
        .data_root = "/var/lib/nerdctl",
        .state_dir = "/var/lib/nerdctl-grpc",
        .snapshotter = "overlayfs",
        .log_level = ND_LOG_INFO,
        .shutdown_grace_ns = 10 * ND_SECOND,
        .keepalive_time_ns = ND_NET_KEEPALIVE_NS,
    };

    ND_TRY(read_environment(&o));
    for (int i = 1; i < argc; i++)
        ND_TRY(read_argument(&o, argc, argv, &i));
    if (o.n_listen == 0)
        ND_TRY(read_listen(&o, ND_DEFAULT_LISTEN));
    ND_TRY(check_listeners(&o));
    *ret = o;
    return NULL;
}

/* One option: name and value in the first column, the help, line by line, in the second. */
static void
print_option(const struct option *o, int width)
{
    struct nd_str rest = nd_str(o->help), line;
    char left[64];

    (void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value != NULL ? " " : "",
                   o->value != NULL ? o->value : "");
    for (bool first = true; nd_str_next(&rest, '\n', &line); first = false)
        printf("  %-*s  %.*s\n", width, first ? left : "", ND_STR_ARG(line));
    if (o->env != NULL)
        printf("  %-*s  environment: %s\n", width, "", o->env);
}

/* Of the first column. */
static int
width_of_names(void)
{
    size_t width = 0;

    for (size_t i = 0; i < ND_LEN(options); i++) {
        size_t value = options[i].value != NULL ? strlen(options[i].value) + 1 : 0;

        width = ND_MAX(width, strlen(options[i].name) + value);
    }
    return (int)(width + strlen("--"));
}

void
nd_options_help(void)
{
    printf("Usage: nerdctl-grpcd [OPTION]...\n\n"
           "Serve the functions of nerdctl as a gRPC API, in front of containerd.\n\n");
    for (size_t i = 0; i < ND_LEN(options); i++)
        print_option(&options[i], width_of_names());
    printf(
        "\nSIGTERM and SIGINT stop it gracefully; a second one stops it at once. SIGHUP reads the\n"
        "files of TLS again: new connections get them, those that are there do not notice.\n");
}
