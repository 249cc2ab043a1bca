/*
 * The client of one containerd: calls over one connection, and what their failures mean.
 *
 * The channel below connects when a call needs it and keeps the pauses between attempts short, so
 * no call waits long for a server that is not there, and the first one after a restart succeeds.
 * Its changes of state are counted here:
 *
 *     connections   goes up when one is ready: what is cached about the server belongs to a number
 *     losses        goes up when one ends or could not be made
 *
 * containerd says UNAVAILABLE itself, too (an ingest that is locked, a shim that does not answer).
 * Only when a loss was counted during the call, or there is no connection now, was it the
 * connection; then the error gets its reason and the hint.
 *
 * Calls that nobody gave a deadline get one, by the kind of work that the server does for them.
 * Waiting for a process has none.
 */

#include "containerd/client.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/fault.h"

#include "ctrd_priv.h"

/* --- the connection --- */

static void
on_state(void *arg, enum nd_channel_state state)
{
    struct nd_ctrd *ctrd = arg;

    if (state == ND_CHANNEL_READY) {
        ctrd->connected = true;
        ctrd->ill = false;
        ctrd->connections++;
    } else if (ctrd->connected || state == ND_CHANNEL_FAILED) {
        ctrd->connected = false;
        ctrd->losses++;
    } else {
        return;
    }
    nd_cond_broadcast(&ctrd->changed);
}

static struct nd_error *
parse_address(const char *text, struct nd_addr *ret)
{
    struct nd_addr addr;

    ND_TRY_DOING(nd_addr_parse(nd_str(text), &addr), "address of containerd");
    if (addr.kind != ND_PEER_UNIX)
        return nd_error_new(ND_INVALID, "address of containerd: %s is not a Unix socket", text);
    *ret = addr;
    return NULL;
}

struct nd_error *
nd_ctrd_new(const struct nd_ctrd_options *options, struct nd_ctrd **ret)
{
    struct nd_ctrd *ctrd;
    struct nd_addr addr;

    ND_TRY(parse_address(options->address, &addr));
    ctrd = nd_new(struct nd_ctrd);
    ctrd->address = nd_strdup(addr.path);
    ctrd->health_interval_ns =
        options->health_interval_ns != 0 ? options->health_interval_ns : ND_CTRD_HEALTH_INTERVAL_NS;
    ctrd->channel =
        nd_channel_new(&addr, &(struct nd_channel_options){
                                  .max_message_bytes = ND_CTRD_MAX_MESSAGE_BYTES,
                                  .compression = ND_COMPRESSION_NONE, /* a local socket */
                                  .backoff_initial_ns = ND_CTRD_BACKOFF_INITIAL_NS,
                                  .backoff_max_ns = ND_CTRD_BACKOFF_MAX_NS,
                                  .connect_timeout_ns = ND_CTRD_CONNECT_TIMEOUT_NS,
                                  .on_state = on_state,
                                  .on_state_arg = ctrd,
                              });
    *ret = ctrd;
    return NULL;
}

void
nd_ctrd_free(struct nd_ctrd *ctrd)
{
    if (ctrd == NULL)
        return;
    nd_channel_free(ctrd->channel);
    nd_free(ctrd->address);
    nd_free(ctrd->version_text);
    nd_free(ctrd->version_revision);
    nd_free(ctrd);
}

void
nd_ctrd_freep(struct nd_ctrd **ctrd)
{
    nd_ctrd_free(ND_TAKE(*ctrd));
}

const char *
nd_ctrd_address(const struct nd_ctrd *ctrd)
{
    return ctrd->address;
}

bool
nd_ctrd_is_up(const struct nd_ctrd *ctrd)
{
    return ctrd->connected && !ctrd->ill;
}

/* --- failures --- */

/* No socket permission is our own trouble, not the client's: it must not read as a denied call. */
static bool
is_connection_error(const struct nd_ctrd *ctrd, uint64_t losses, const struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);

    if (code != ND_UNAVAILABLE && code != ND_DENIED)
        return false;
    return !ctrd->connected || ctrd->losses != losses;
}

/* containerd says of what its disk says that it is unknown; the text is the kernel's. */
static bool
is_disk_full(const struct nd_error *err)
{
    static const char *const texts[] = {"no space left on device", "disk quota exceeded"};

    for (size_t i = 0; i < ND_LEN(texts); i++) {
        if (nd_error_code(err) == ND_UNKNOWN && strstr(nd_error_message(err), texts[i]) != NULL)
            return true;
    }
    return false;
}

struct nd_error *
nd_ctrd_explain(const struct nd_ctrd *ctrd, uint64_t losses, struct nd_error *err)
{
    err = nd_error_component(err, "containerd");
    if (is_disk_full(err)) {
        err = nd_error_reason(nd_error_recode(err, ND_EXHAUSTED), "DISK_FULL");
        return nd_error_hint(err, "the disk of containerd is full: remove images and containers, "
                                  "or make room");
    }
    if (!is_connection_error(ctrd, losses, err))
        return err;
    err = nd_error_wrap(nd_error_recode(err, ND_UNAVAILABLE), "containerd cannot be reached");
    err = nd_error_reason(err, "CONTAINERD_UNAVAILABLE");
    err = nd_error_hint(err, "is containerd running? It is expected at %s", ctrd->address);
    return nd_error_retry_in(err, ND_CTRD_RETRY_HINT_MS);
}

struct nd_error *
nd_ctrd_stream_error(const struct nd_ctrd *ctrd, struct nd_error *err)
{
    return err != NULL ? nd_ctrd_explain(ctrd, ctrd->losses, err) : NULL;
}

/* --- calls --- */

static const struct patience {
    const struct nd_method_desc *method;
    int64_t ns; /* 0: no deadline */
} patience[] = {
    {CT_TASKS_WAIT, 0},
    {CT_TASKS_CREATE, ND_CTRD_SHIM_TIMEOUT_NS},
    {CT_TASKS_START, ND_CTRD_SHIM_TIMEOUT_NS},
    {CT_TASKS_DELETE, ND_CTRD_SHIM_TIMEOUT_NS},
    {CT_TASKS_DELETE_PROCESS, ND_CTRD_SHIM_TIMEOUT_NS},
    {CT_SNAPSHOTS_COMMIT, ND_CTRD_TREE_TIMEOUT_NS},
    {CT_SNAPSHOTS_REMOVE, ND_CTRD_TREE_TIMEOUT_NS},
    {CT_SNAPSHOTS_USAGE, ND_CTRD_TREE_TIMEOUT_NS},
    {CT_IMAGES_DELETE, ND_CTRD_TREE_TIMEOUT_NS},
    {CT_LEASES_DELETE, ND_CTRD_TREE_TIMEOUT_NS},
    {CT_DIFF_APPLY, ND_CTRD_APPLY_TIMEOUT_NS},
};

static int64_t
default_timeout_ns(const struct nd_method_desc *method)
{
    for (size_t i = 0; i < ND_LEN(patience); i++)
        if (patience[i].method == method)
            return patience[i].ns;
    return ND_CTRD_CALL_TIMEOUT_NS;
}

static struct nd_error *
make_metadata(struct nd_ctrd_scope scope, struct nd_metadata **ret)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();

    if (scope.ns != NULL)
        ND_TRY(nd_metadata_add(md, ND_STR("containerd-namespace"), nd_str(scope.ns)));
    if (scope.lease != NULL)
        ND_TRY(nd_metadata_add(md, ND_STR("containerd-lease"), nd_str(scope.lease)));
    *ret = ND_TAKE(md);
    return NULL;
}

/* The parameters of a unary call, so that it can be made within a deadline or without. */
struct unary {
    struct nd_ctrd *ctrd;
    const struct nd_method_desc *method;
    const struct nd_call_options *options;
    const void *request;
    struct nd_arena *arena;
    void *ret;
};

static struct nd_error *
call_unary(const struct unary *u)
{
    return nd_channel_unary(u->ctrd->channel, u->method, u->options, u->request, u->arena, u->ret);
}

static struct nd_error *
call_within(const struct unary *u, int64_t timeout_ns)
{
    ND_DEADLINE_IN(timeout_ns);

    return call_unary(u);
}

/* A fault point before and after each call: "tasks.v1.Tasks/Create". */
static struct nd_error *
reach_fault(const struct nd_method_desc *method, const char *when)
{
    static const char prefix[] = "/containerd.services.";
    struct nd_str path = nd_str(method->path);
    char name[64];

    if (nd_str_starts(path, nd_str_n(prefix, sizeof(prefix) - 1)))
        path = nd_str_from(path, sizeof(prefix) - 1);
    (void)snprintf(name, sizeof(name), "%.*s%s", ND_STR_ARG(path), when);
    return ND_FAULT(name);
}

struct nd_error *
nd_ctrd_call(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const struct nd_method_desc *method,
             const void *request, struct nd_arena *arena, void *ret)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = NULL;
    struct nd_call_options options = {0};
    const struct unary u = {ctrd, method, &options, request, arena, ret};
    int64_t timeout_ns = default_timeout_ns(method);
    uint64_t losses = ctrd->losses;
    struct nd_error *err;

    ND_TRY(reach_fault(method, ""));
    ND_TRY(make_metadata(scope, &md));
    options.metadata = md;
    if (timeout_ns == 0 || nd_ctx_remaining_ns() != INT64_MAX)
        err = call_unary(&u);
    else
        err = call_within(&u, timeout_ns);
    if (err == NULL)
        err = reach_fault(method, " done");
    return err != NULL ? nd_ctrd_explain(ctrd, losses, err) : NULL;
}

struct nd_error *
nd_ctrd_stream(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
               const struct nd_method_desc *method, struct nd_client_call **ret)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = NULL;
    struct nd_call_options options = {0};
    uint64_t losses = ctrd->losses;
    struct nd_error *err;

    ND_TRY(reach_fault(method, ""));
    ND_TRY(make_metadata(scope, &md));
    options.metadata = md;
    err = nd_client_call_begin(ctrd->channel, method, &options, ret);
    return err != NULL ? nd_ctrd_explain(ctrd, losses, err) : NULL;
}

struct nd_error *
nd_ctrd_send_last(struct nd_client_call *call, const void *request)
{
    struct nd_error *err = request != NULL ? nd_client_call_send(call, request) : NULL;

    if (err == NULL)
        err = nd_client_call_finish_sending(call);
    if (nd_error_code(err) != ND_ABORTED)
        return err;
    nd_error_free(err);
    return NULL;
}
