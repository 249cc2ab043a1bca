#ifndef HOST_HOST_H
#define HOST_HOST_H

/*
 * The one host that the engine drives: its containerd, nerdctl's files on its disk, its settings
 * and what its kernel can. Every subject of the engine works on an nd_host; it is made once at
 * start.
 */

#include "containerd/client.h"

struct nd_ledger; /* state/ledger.h */
struct nd_store;  /* store/root.h */
struct nd_memo;   /* host/memo.h */
struct nd_host;

/* Texts are copied. */
struct nd_host_settings {
    const char *containerd_address; /* "/run/containerd/containerd.sock" */
    const char *data_root;          /* "/var/lib/nerdctl" */
    const char *default_namespace;  /* "default" */
    const char *snapshotter;        /* "overlayfs" */
    const char *cgroup_manager;     /* "cgroupfs", "systemd", "none"; NULL: found out */
    const char *helper_path;        /* absolute path of nerdctl-grpc-helper, for the log URI */
    const char *runtime;            /* NULL: "io.containerd.runc.v2" */
    const char *state_dir;          /* of the ledger; NULL: in memory, gone with the process */
    int64_t session_hold_ns;        /* for a client that was cut off; 0: 30 seconds */
};

/* What was found out about kernel and machine at start. */
struct nd_host_facts {
    char kernel_release[128];
    unsigned kernel_major, kernel_minor;
    bool cgroup_v2; /* unified hierarchy alone */
    bool systemd;   /* is process 1 */
    bool apparmor;
    int last_cap;           /* /proc/sys/kernel/cap_last_cap */
    uint64_t bounding_caps; /* of this process: what a privileged container can have at most */
    uint64_t nofile_hard, nproc_hard; /* our own hard limits: specs are clamped to them */
    bool memory_limit, swap_limit, cpu_quota, cpu_shares, cpuset, pids_limit, blkio_weight;
};

/*
 * Look at the host and open the ledger; needs no containerd. Fails: ND_INVALID (a setting, by
 * field), ND_DENIED (not root, data root cannot be written), and as nd_ledger_open(). Context:
 * fiber, which must also free it.
 */
struct nd_error *nd_host_new(const struct nd_host_settings *settings,
                             struct nd_host **ret) ND_CHECK_RESULT;
void nd_host_free(struct nd_host *host); /* NULL is fine */
void nd_host_freep(struct nd_host **host);

struct nd_ctrd *nd_host_ctrd(struct nd_host *host);
struct nd_memo *nd_host_memo(struct nd_host *host);
struct nd_ledger *nd_host_ledger(struct nd_host *host);
const struct nd_host_settings *nd_host_settings(const struct nd_host *host);
const struct nd_host_facts *nd_host_facts(const struct nd_host *host);

/*
 * What the runtime program (runc) says of itself. Texts in the arena; "" when it does not say so.
 */
struct nd_host_runtime {
    const char *version;
    const char *commit;
};

/*
 * Found out by starting the program, and remembered for a minute. Fails: ND_NOT_FOUND (not
 * installed), ND_UNAVAILABLE (it failed, or said something else). Context: fiber.
 */
struct nd_error *nd_host_runtime(struct nd_host *host, struct nd_arena *arena,
                                 struct nd_host_runtime *ret) ND_CHECK_RESULT;

/*
 * nerdctl's data store of this containerd. Its path follows from the socket's resolved path, so the
 * socket must have existed once. Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_host_store(struct nd_host *host, struct nd_store **ret) ND_CHECK_RESULT;

/*
 * The lock of that name among the fibers of this process, first come, first served. It guards what
 * must not be done twice at once ("unpack default overlayfs sha256:..."); names are the subjects'
 * own. Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_host_lock;
struct nd_error *nd_host_lock(struct nd_host *host, const char *name,
                              struct nd_host_lock **ret) ND_CHECK_RESULT;
void nd_host_unlock(struct nd_host_lock *lock); /* NULL is fine */
void nd_host_unlockp(struct nd_host_lock **lock);

/* A namespace name by containerd's rules, else ND_INVALID about "containerd-namespace". */
struct nd_error *nd_namespace_check(struct nd_str name) ND_CHECK_RESULT;

/*
 * The undo list of a mutation: each step that changed the world pushes what takes it back. Leaving
 * the scope runs the list, newest first, shielded, each failure logged; disarm is the point of no
 * return.
 *
 *     ND_AUTO(nd_undo_run) struct nd_undo undo = ND_UNDO_INIT;
 */
struct nd_undo_step {
    struct nd_error *(*fn)(void *arg);
    void *arg;
    const char *what; /* static text, for the log */
    struct nd_undo_step *next;
};
struct nd_undo {
    struct nd_undo_step *steps;
    bool failed; /* a step that was run did not do it */
};
#define ND_UNDO_INIT ((struct nd_undo){NULL, false})

/* `step` is storage of the caller that lives as long as the list (an arena's, a frame's). */
void nd_undo_push(struct nd_undo *undo, struct nd_undo_step *step);
void nd_undo_disarm(struct nd_undo *undo);
void nd_undo_run(struct nd_undo *undo);

#endif
