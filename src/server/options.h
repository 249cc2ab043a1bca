#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

/*
 * What the daemon was asked to do: command line over environment over defaults.
 */

#include "base/log.h"
#include "fiber/stream.h"

#define ND_LISTEN_MAX     8
#define ND_WEB_ORIGIN_MAX 16
#define ND_DEFAULT_LISTEN "unix:///run/nerdctl-grpc/nerdctl-grpc.sock"

struct nd_options {
    const char *listen[ND_LISTEN_MAX]; /* as given */
    struct nd_addr addrs[ND_LISTEN_MAX];
    size_t n_listen;
    const char *socket_group; /* owner group of socket files; NULL: root's */
    const char *containerd_address;
    const char *ns;
    const char *data_root;
    const char *state_dir; /* what only this daemon knows */
    const char *snapshotter;
    const char *cgroup_manager; /* NULL: found out */
    const char *runtime;        /* NULL: runc's shim */
    const char *helper;         /* NULL: beside this program */
    const char *tls_cert, *tls_key, *tls_ca;
    const char *web_origins[ND_WEB_ORIGIN_MAX];
    size_t n_web_origins;
    bool insecure; /* cleartext on loopback addresses */
    enum nd_log_level log_level;
    uint32_t max_connections;       /* 0: default */
    uint32_t max_streams;           /* the same, per connection */
    int64_t max_connection_idle_ns; /* 0: never */
    int64_t max_connection_age_ns;
    int64_t max_connection_age_grace_ns;
    int64_t keepalive_time_ns;
    int64_t keepalive_timeout_ns; /* 0: default */
    int64_t shutdown_grace_ns;
    int64_t session_hold_ns; /* 0: default */

    /* What to do instead of serving. */
    bool show_help, show_version, check_only;
};

/*
 * Read them. Fails: ND_INVALID; the message names the option and says what would be right.
 * The texts of `argv` and of the environment are borrowed. Context: start-up.
 */
struct nd_error *nd_options_read(int argc, char *const *argv,
                                 struct nd_options *ret) ND_CHECK_RESULT;

/* The help text, to standard output. */
void nd_options_help(void);

#endif
