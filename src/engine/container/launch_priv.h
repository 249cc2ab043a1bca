#ifndef CONTAINER_LAUNCH_PRIV_H
#define CONTAINER_LAUNCH_PRIV_H

/* From a container to a running task, and what watches its end. Context of all: fiber. */

#include "store/state.h"

#include "attached_priv.h"
#include "containers_priv.h"

/* What a start needs to know; texts are borrowed. */
struct launch {
    struct nd_containers *cs;
    const char *ns;
    struct nd_arena *arena;
    const char *id;
    const char *name;
    const char *snapshotter, *snapshot_key;
    struct nd_state *state;
    const char *log_uri; /* "" and "none": there is no log */
    bool tty;
    bool interactive;  /* it has standard input */
    bool has_hooks;    /* the spec's own: they write lifecycle.json and take the name */
    bool own_name;     /* the name is ours already */
    bool mark_started; /* the label explicitly-stopped must be written */
    bool mark_running; /* and the label restart.status: there is a restart policy */
    bool shareable_shm;
    int64_t shm_size;
    struct mounts mounts; /* of the snapshot; n 0: to be asked for */

    struct attached *attached; /* opened before the process runs; NULL: nobody is attached */
    struct nd_wall since;      /* the same, of its log */
    const char *folder;        /* of its streams; set by the launch */
};

/*
 * Whoever starts it will be attached from the beginning, and may hold it up as long as he is there.
 * Before the launch. Does not suspend.
 */
void nd_launch_attach(struct launch *l, const Pb__StreamOptions *options,
                      const struct nd_container_feed *feed, struct attached *attached);

/*
 * Create and start the task; the caller holds the lock of the container and has seen that there is
 * no task. Not cut short by the end of the caller's context. On failure there is no task, and the
 * label nerdctl/error says why. Fails: as nd_container_start().
 */
struct nd_error *nd_launch(struct launch *l) ND_CHECK_RESULT;

/* Whether it has a log. Context: any. */
bool nd_launch_has_log(const struct launch *l);

/*
 * The ways of a task's streams (streams.c): "binary" starts the helper through the shim, FIFOs are
 * held by a helper of ours, for a process with standard input but without a terminal.
 */
struct task_streams {
    const char *stdin, *stdout, *stderr;
};

/* Before Tasks.Create: FIFOs and helper where they are needed. */
struct nd_error *nd_launch_streams(struct launch *l, struct task_streams *ret) ND_CHECK_RESULT;

/* After it, before Tasks.Start: nobody else finds the FIFOs. */
void nd_launch_streams_ready(const struct launch *l);

/* It was not created: nobody comes. */
void nd_launch_streams_undo(const struct launch *l);

/* Fill in from a record. Fails: ND_UNIMPLEMENTED for what only nerdctl can start. */
struct nd_error *nd_launch_from_record(struct nd_containers *cs, const char *ns, const record *rec,
                                       struct nd_arena *arena, struct launch *ret) ND_CHECK_RESULT;

/*
 * The error of a failed start as users need it: reason and exit code by runc's words about the
 * program. Takes `err`. Context: any.
 */
struct nd_error *nd_start_error(struct nd_error *err) ND_NEW_ERROR;

#endif
