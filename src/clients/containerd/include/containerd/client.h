#ifndef CONTAINERD_CLIENT_H
#define CONTAINERD_CLIENT_H

/*
 * The client of one containerd: one multiplexed connection, health check, reconnect. While
 * containerd cannot be reached every call fails at once with ND_UNAVAILABLE (component
 * "containerd", with a hint); when it is back, calls work again by themselves. Requests and replies
 * are the generated messages of proto/containerd/ (containerd_methods.h). Follows:
 * contracts/containerd-api.md.
 */

#include "grpc/channel.h"

#include "containerd_methods.h"

struct nd_ctrd;

struct nd_ctrd_options {
    const char *address;        /* path of the socket, with or without "unix://" */
    int64_t health_interval_ns; /* 0: ND_CTRD_HEALTH_INTERVAL_NS */
};

/* Does not connect yet. Fails: ND_INVALID (address). Context: fiber. */
struct nd_error *nd_ctrd_new(const struct nd_ctrd_options *options,
                             struct nd_ctrd **ret) ND_CHECK_RESULT;
void nd_ctrd_free(struct nd_ctrd *ctrd); /* NULL is fine. Context: fiber */
void nd_ctrd_freep(struct nd_ctrd **ctrd);

/* The socket path, without "unix://". */
const char *nd_ctrd_address(const struct nd_ctrd *ctrd);

/* Whether the last health check or call reached it. */
bool nd_ctrd_is_up(const struct nd_ctrd *ctrd);

/*
 * Called in a fiber each time the connection is made (again) or lost. One listener a slot; up to 4.
 */
struct nd_ctrd_listener {
    void (*on_change)(void *arg, bool up); /* must not suspend */
    void *arg;
};
void nd_ctrd_listen(struct nd_ctrd *ctrd, struct nd_ctrd_listener listener);

/*
 * The health checker: runs until cancelled, to be spawned in a group of the server. It asks the
 * standard health service at each interval and after each loss, and tells the listeners.
 */
struct nd_error *nd_ctrd_run(void *ctrd) ND_CHECK_RESULT;

/* In which namespace and under which lease a call is made. Texts are borrowed. */
struct nd_ctrd_scope {
    const char *ns;    /* NULL: none is sent */
    const char *lease; /* NULL: none */
};

/*
 * A unary call; the reply is decoded into `arena`. The deadline is the fiber's, else a default for
 * calls that do not wait for a process.
 * Fails: containerd's code with its message (component "containerd"); shim and runc errors arrive as
 *        ND_UNKNOWN: ask the task for its state instead of reading the text. A full disk is
 *        ND_EXHAUSTED, reason DISK_FULL.
 * Context: fiber.
 */
struct nd_error *nd_ctrd_call(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                              const struct nd_method_desc *method, const void *request,
                              struct nd_arena *arena, void *ret) ND_CHECK_RESULT;

/* A call with a stream; nd_client_call_end() it. No default deadline. */
struct nd_error *nd_ctrd_stream(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                const struct nd_method_desc *method,
                                struct nd_client_call **ret) ND_CHECK_RESULT;

/* What a failure of such a stream's calls means: component, reason and hint as those of nd_ctrd_call().
 * Takes `err` and returns it; NULL gives NULL. */
struct nd_error *nd_ctrd_stream_error(const struct nd_ctrd *ctrd,
                                      struct nd_error *err) ND_CHECK_RESULT;

/* Version of the server, asked once per connection. `text` and `revision` live until the next. */
struct nd_ctrd_version {
    unsigned major, minor;
    const char *text;
    const char *revision;
};
struct nd_error *nd_ctrd_version(struct nd_ctrd *ctrd, struct nd_ctrd_version *ret) ND_CHECK_RESULT;

/*
 * A lease for what is in flight; expires by itself after a day. The caller chooses its id,
 * ND_LEASE_ID_BYTES random bytes in hex, and notes it before: nobody else would delete it.
 */
#define ND_LEASE_ID_BYTES 16
struct nd_lease {
    char id[40];
};
struct nd_error *nd_lease_create(struct nd_ctrd *ctrd, const char *ns,
                                 const struct nd_lease *lease) ND_CHECK_RESULT;

/* Shielded; success when it is gone already. `sync` waits for the garbage collection. */
struct nd_error *nd_lease_delete(struct nd_ctrd *ctrd, const char *ns, const struct nd_lease *lease,
                                 bool sync) ND_CHECK_RESULT;

/*
 * Append `value` to a filter, quoted and escaped: labels."nerdctl/name"=="web". It may need four
 * bytes for each byte of `value`: `buf` must have the room.
 */
struct nd_buf;
void nd_ctrd_filter_eq(struct nd_buf *buf, const char *field_path, struct nd_str value);

/* Type URLs of what an Any carries (bare names, as containerd wants them). */
#define ND_TYPE_SPEC         "types.containerd.io/opencontainers/runtime-spec/1/Spec"
#define ND_TYPE_PROCESS      "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define ND_TYPE_RUNC_OPTIONS "containerd.runc.v1.Options"

#endif
