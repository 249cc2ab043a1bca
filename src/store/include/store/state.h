#ifndef STORE_STATE_H
#define STORE_STATE_H

/*
 * The state directory of one container, <store>/containers/<namespace>/<id>, and the files in it
 * that nerdctl, its hook and the logger read.
 *
 * Context of everything that touches the disk: fiber; suspends.
 */

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"
#include "store/lock.h"
#include "store/root.h"

/* How a container gets its network: decides what its resolv.conf and hosts file hold. */
enum nd_net_mode {
    ND_NET_CNI,
    ND_NET_NONE,
    ND_NET_HOST, /* also "ns:<path>" */
};

/* A name for the directory; nothing on disk yet. */
struct nd_state;

/* Fails: ND_INVALID (namespace or id cannot be a path component). Context: any. */
struct nd_error *nd_state_new(struct nd_store *store, const char *ns, const char *id,
                              struct nd_state **ret) ND_CHECK_RESULT;
void nd_state_free(struct nd_state *state); /* NULL is fine; the directory stays */
void nd_state_freep(struct nd_state **state);

/* Absolute paths, borrowed. Context: any. */
const char *nd_state_path(const struct nd_state *state); /* label nerdctl/state-dir */
const char *nd_state_hostname_path(const struct nd_state *state);
const char *nd_state_resolv_conf_path(const struct nd_state *state);
const char *nd_state_log_path(const struct nd_state *state); /* <id>-json.log */
const char *nd_state_logger_lock_path(const struct nd_state *state);

/* Make the directory, 0700; an existing one is fine (nerdctl makes it by merely listing). */
struct nd_error *nd_state_create(struct nd_state *state) ND_CHECK_RESULT;

/*
 * Remove it with everything below, and never leave it: symbolic links are removed, not followed,
 * other file systems are not entered (a shareable /dev/shm must be unmounted before). Not there is
 * fine.
 */
struct nd_error *nd_state_remove(struct nd_state *state) ND_CHECK_RESULT;

/* What the user gave for the resolver. Lists of texts, borrowed; empty: inherited from the host. */
struct nd_dns {
    const char *const *servers;
    size_t n_servers;
    const char *const *searches;
    size_t n_searches;
    const char *const *options;
    size_t n_options;
};

/* How a container's output is kept: log-config.json and the label nerdctl/log-config. */
struct nd_log_config {
    const char *driver; /* "json-file" */
    const struct nd_log_option {
        const char *key, *value;
    } * options; /* written in order of key */
    size_t n_options;
    const char *address; /* of containerd, as configured */
};

/* The JSON text, in `arena`: the value of the label. Context: any. */
const char *nd_log_config_format(const struct nd_log_config *config, struct nd_arena *arena);

/* The value of an option, or NULL. Context: any. */
const char *nd_log_config_option(const struct nd_log_config *config, const char *key);

/*
 * Texts in `arena`. Fails: ND_NOT_FOUND (driver none, or not nerdctl's), ND_DATA_LOSS (unreadable).
 */
struct nd_error *nd_state_read_log_config(struct nd_state *state, struct nd_arena *arena,
                                          struct nd_log_config *ret) ND_CHECK_RESULT;

/* Published ports: network-config.json. */
struct nd_port_mapping {
    int32_t host_port, container_port;
    const char *protocol; /* "tcp", "udp", "sctp" */
    const char *host_ip;  /* "0.0.0.0" */
};

struct nd_ports {
    const struct nd_port_mapping *at;
    size_t n; /* 0: none is published; that is written, too */
};

/* The files of a container, all in one go; NULL leaves one out. */
struct nd_state_files {
    const struct nd_log_config
        *log;                     /* log-config.json, 0600, and an empty log where there is none */
    const char *hostname;         /* hostname, 0644 */
    const struct nd_dns *dns;     /* resolv.conf, 0644, from the host's file and this */
    enum nd_net_mode mode;        /* for resolv.conf */
    const struct nd_ports *ports; /* network-config.json, 0600, under the lock on the directory */
};

/*
 * Fails: ND_INVALID (a text with white space, in the resolver's settings or the host name),
 * ND_EXHAUSTED. What was written before a failure stays.
 */
struct nd_error *nd_state_write(struct nd_state *state,
                                const struct nd_state_files *files) ND_CHECK_RESULT;

/* In `arena`; a missing file gives none. Fails: ND_DATA_LOSS. */
struct nd_error *nd_state_read_ports(struct nd_state *state, struct nd_arena *arena,
                                     const struct nd_port_mapping **ret,
                                     size_t *ret_n) ND_CHECK_RESULT;

/*
 * The same from the JSON list of the label nerdctl/ports, the fallback of old containers. Fails:
 * ND_INVALID. Context: any.
 */
struct nd_error *nd_ports_parse(struct nd_str text, struct nd_arena *arena,
                                const struct nd_port_mapping **ret, size_t *ret_n) ND_CHECK_RESULT;

/* lifecycle.json: what the hooks leave. */
struct nd_lifecycle {
    struct nd_wall started_at;
    bool create_error; /* the last start failed half-way: postStop must not release anything */
};

/* 0600, under the lock on the directory. */
struct nd_error *nd_state_write_lifecycle(struct nd_state *state,
                                          const struct nd_lifecycle *lifecycle) ND_CHECK_RESULT;

/* Fails: ND_NOT_FOUND (never started), ND_DATA_LOSS. */
struct nd_error *nd_state_read_lifecycle(struct nd_state *state,
                                         struct nd_lifecycle *ret) ND_CHECK_RESULT;

/* Of `n` containers at once; {0, 0} for one that never started, or does not say so readably. */
struct nd_error *nd_states_read_starts(struct nd_state *const *states, size_t n,
                                       struct nd_wall *ret) ND_CHECK_RESULT;

/*
 * health.json: what probes found, as nerdctl's timer appends it. The last entries, at most
 * ND_STATE_PROBES_MAX, oldest first: JSON objects as text, in the arena. What is none is left out;
 * no file: none.
 */
#define ND_STATE_PROBES_MAX 5u
struct nd_error *nd_state_read_probes(struct nd_state *state, struct nd_arena *arena,
                                      const char *ret[ND_STATE_PROBES_MAX],
                                      size_t *ret_n) ND_CHECK_RESULT;

/*
 * The lock that `rm`, `commit` and our `rename` of a container hold against one another. What is
 * locked is made when it is missing; without a state directory, and on a full disk, `*ret` is NULL:
 * nobody else can have it either.
 */
struct nd_error *nd_state_lock_operation(struct nd_state *state,
                                         struct nd_store_lock **ret) ND_CHECK_RESULT;

/* Wait until the logger has written its last byte: takes its lock and gives it back. */
struct nd_error *nd_state_wait_logger(struct nd_state *state) ND_CHECK_RESULT;

#endif
