/*
 * From a target to a connection, and from a failure to connect to advice.
 *
 * The connection is made before the first call, so that "cannot connect" and "the daemon says no"
 * are never mixed up. On a Unix socket nothing of TLS is touched: starting OpenSSL would cost more
 * than everything else that a short command does.
 */

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "grpc/tls_config.h"
#include "remote/limits.h"

#include "cli.h"
#include "error_details.h"
#include "version.h"

#define CONNECT_TIMEOUT_NS (15 * ND_SECOND)
#define REPEAT_NS          (10 * ND_SECOND) /* a daemon that is started again is back by then */
#define REPEAT_PAUSE_NS    (200 * ND_MILLISECOND)
#define REQUEST_ID_BYTES   16

struct session {
    struct nd_cli *cli;
    nd_fiber_fn *fn;
    void *arg;
};

static const char *
text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static struct nd_error *
explain_unix(struct nd_error *err, const struct nd_addr *addr)
{
    struct stat st;

    if (nd_error_code(err) == ND_DENIED)
        return nd_error_hint(err,
                             "you may not use %s: run it with sudo, or join the group that owns "
                             "the socket (ls -l shows it) and log in again",
                             addr->path);
    if (addr->path[0] == '/' && stat(addr->path, &st) < 0 && errno == ENOENT) {
        err = nd_error_hint(err, "is the daemon running on this host? systemctl status "
                                 "nerdctl-grpcd, or start nerdctl-grpcd");
        return nd_error_hint(err, "for a daemon elsewhere say --host tcp://HOST:9090 or set "
                                  "NERDCTL_HOST, or use a context");
    }
    return nd_error_hint(err, "the socket is there but nobody answers: restart nerdctl-grpcd");
}

static bool
mentions(const struct nd_error *err, const char *word)
{
    return strstr(nd_error_message(err), word) != NULL;
}

static struct nd_error *
explain_tcp(struct nd_error *err, const struct nd_target *target)
{
    if (mentions(err, "certificate"))
        return nd_error_hint(err, "the daemon's certificate is not trusted: name its CA with "
                                  "--tlscacert FILE, and check that the host name in --host is in "
                                  "the certificate");
    if (target->tls && mentions(err, "TLS"))
        return nd_error_hint(err, "the daemon may not speak TLS on this port, or wants a client "
                                  "certificate: --tlscert FILE --tlskey FILE");
    if (!target->tls && (mentions(err, "closed") || mentions(err, "SETTINGS") ||
                         mentions(err, "reset") || mentions(err, "protocol")))
        return nd_error_hint(err, "the daemon seems to want TLS: --tls, --tlscacert FILE, and for "
                                  "most daemons --tlscert FILE --tlskey FILE");
    if (mentions(err, "resolve"))
        return nd_error_hint(err, "the name of the host is not known here");
    return nd_error_hint(err, "is nerdctl-grpcd running there, does it listen on this port (its "
                              "default is 9090), and does the firewall let it through?");
}

/*
 * The rooms below have put address and phase in front of the reason; we name the address ourselves.
 */
static const char *
bare_reason(const struct nd_error *err)
{
    static const char *const phases[] = {": connect: ", ": handshake: "};
    const char *reason = nd_error_message(err);

    for (size_t i = 0; i < ND_LEN(phases); i++) {
        const char *end = strstr(reason, phases[i]);

        if (end != NULL)
            return end + strlen(phases[i]);
    }
    return reason;
}

static struct nd_error *
explain(struct nd_error *err, const struct nd_target *target, const struct nd_addr *addr)
{
    struct nd_error *told =
        nd_error_new(nd_error_code(err), "cannot connect to the daemon at %s (from %s): %s",
                     target->host, target->origin, bare_reason(err));

    nd_error_free(err);
    err = told;
    return addr->kind == ND_PEER_UNIX ? explain_unix(err, addr) : explain_tcp(err, target);
}

static struct nd_error *
check_scheme(const struct nd_target *target)
{
    if (nd_str_starts(nd_str(target->host), ND_STR("ssh://")))
        return nd_error_hint(
            nd_error_new(ND_UNIMPLEMENTED, "ssh:// is not supported by this version"),
            "forward the socket: ssh -N -L /tmp/nerdctl.sock:/run/nerdctl-grpc/nerdctl-grpc.sock "
            "HOST, then --host unix:///tmp/nerdctl.sock");
    return NULL;
}

static struct nd_error *
parse_host(const struct nd_target *target, struct nd_addr *ret)
{
    struct nd_error *err;

    ND_TRY(check_scheme(target));
    err = nd_addr_parse(nd_str(target->host), ret);
    if (err == NULL)
        return NULL;
    err = nd_error_wrap(err, "host \"%s\" (from %s)", target->host, target->origin);
    return nd_error_hint(err, "write unix:///path/of/socket or tcp://host:port");
}

static struct nd_error *
open_tls(const struct nd_target *target, const struct nd_addr *addr, struct nd_tls_config **ret)
{
    const struct nd_tls_options options = {
        .ca_file = text_or_null(target->ca),
        .cert_file = text_or_null(target->cert),
        .key_file = text_or_null(target->key),
        .insecure_skip_verify = target->skip_verify,
    };

    if (!target->tls || addr->kind != ND_PEER_TCP)
        return NULL;
    return nd_tls_config_client(&options, ret);
}

static struct nd_error *
add_metadata(const struct nd_target *target, struct nd_metadata *metadata)
{
    if (target->namespace[0] == '\0')
        return NULL;
    return nd_metadata_add(metadata, ND_STR("containerd-namespace"), nd_str(target->namespace));
}

static struct nd_error *
run_session(void *arg)
{
    struct session *session = arg;
    struct nd_cli *cli = session->cli;
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    ND_AUTO(nd_metadata_freep) struct nd_metadata *metadata = nd_metadata_new();
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;
    struct nd_channel_options options = {
        .user_agent = ND_PROGRAM "/" ND_VERSION,
        .max_message_bytes = ND_REMOTE_MAX_MESSAGE_BYTES,
        .connect_timeout_ns = CONNECT_TIMEOUT_NS,
        .decode_details = nd_error_decode_details,
    };
    struct nd_error *err;
    struct nd_addr addr;

    ND_TRY(parse_host(&cli->target, &addr));
    ND_TRY(open_tls(&cli->target, &addr, &tls));
    ND_TRY_DOING(add_metadata(&cli->target, metadata), "namespace %s", cli->target.namespace);
    options.tls = tls;
    channel = nd_channel_new(&addr, &options);
    err = nd_channel_connect(channel);
    if (err != NULL)
        return explain(err, &cli->target, &addr);
    cli->channel = channel;
    cli->options = (struct nd_call_options){.metadata = metadata};
    err = session->fn(session->arg);
    if (nd_cli_was_cut(cli, err)) {
        err = nd_error_wrap(err, "lost the connection to the daemon");
        cli->is_lost = true;
    }
    cli->channel = NULL;
    return err;
}

struct nd_error *
nd_cli_call(struct nd_cli *cli, nd_fiber_fn *fn, void *arg)
{
    struct session session = {cli, fn, arg};

    ND_TRY(nd_target_resolve(cli->arena, cli->globals, &cli->target));
    return nd_loop_run(run_session, &session, NULL);
}

struct nd_error *
nd_cli_unary(struct nd_cli *cli, const struct nd_method_desc *method, const void *request,
             void *ret)
{
    return nd_channel_unary(cli->channel, method, &cli->options, request, cli->arena, ret);
}

char *
nd_cli_request_id(struct nd_cli *cli)
{
    char *id = nd_arena_alloc(cli->arena, 2 * REQUEST_ID_BYTES + 1);

    nd_random_hex(id, REQUEST_ID_BYTES);
    return id;
}

bool
nd_cli_was_cut(const struct nd_cli *cli, const struct nd_error *err)
{
    return nd_error_code(err) == ND_UNAVAILABLE &&
           nd_channel_get_state(cli->channel) != ND_CHANNEL_READY;
}

/* Whether there is a connection again. */
static bool
connect_again(struct nd_cli *cli, int64_t until_ns)
{
    while (nd_loop_now().ns < until_ns) {
        struct nd_error *err = nd_fiber_sleep(REPEAT_PAUSE_NS);

        if (err == NULL)
            err = nd_channel_connect(cli->channel);
        if (err == NULL)
            return true;
        if (nd_error_code(err) == ND_CANCELLED)
            until_ns = 0;
        nd_error_free(err);
    }
    return false;
}

struct nd_error *
nd_cli_repeat(struct nd_cli *cli, nd_fiber_fn *fn, void *arg)
{
    int64_t until_ns = nd_loop_now().ns + REPEAT_NS;

    for (;;) {
        struct nd_error *err = fn(arg);

        if (!nd_cli_was_cut(cli, err) || !connect_again(cli, until_ns))
            return err;
        nd_error_free(err);
    }
}

/* The parameters of a unary call. */
struct mutation {
    struct nd_cli *cli;
    const struct nd_method_desc *method;
    const void *request;
    void *ret;
};

static struct nd_error *
call_once(void *arg)
{
    const struct mutation *m = arg;

    return nd_cli_unary(m->cli, m->method, m->request, m->ret);
}

struct nd_error *
nd_cli_mutate(struct nd_cli *cli, const struct nd_method_desc *method, const void *request,
              void *ret)
{
    struct mutation m = {cli, method, request, ret};

    return nd_cli_repeat(cli, call_once, &m);
}
