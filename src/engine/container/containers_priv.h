#ifndef CONTAINER_CONTAINERS_PRIV_H
#define CONTAINER_CONTAINERS_PRIV_H

/* What the files of this room share: the object, the order of changes, containerd's calls. */

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "codec/json.h"
#include "container/containers.h"
#include "containerd/containers.pb-c.h"
#include "containerd/snapshots.pb-c.h"
#include "containerd/tasks.pb-c.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/sync.h"

#include "containerd_methods.h"

struct accounts; /* users_priv.h */

struct nd_containers {
    struct nd_host *host;
    struct nd_map *holds;    /* "namespace/id" to struct hold */
    struct nd_map *removals; /* "namespace/id" to the job of removals.c */
    struct nd_map *stops;    /* "namespace/id/pid" to the stop that nobody waits for, of stop.c */
    struct nd_map *silent;   /* "namespace/id" of shims that do not answer, tasks.c */
    uint64_t changes; /* how often a lock was given back: something may have been changed before */
    struct nd_group *background; /* of nd_containers_watch(); NULL while that does not run */
    struct accounts *accounts;
    struct finished *finished;    /* finished.c */
    struct nd_map *execs;         /* ids of commands that are ours and not forgotten yet */
    bool swept;                   /* commands of a daemon that has died are looked for, or were */
    struct nd_recovery *recovery; /* borrowed; NULL: there is none */
};

/*
 * The order of changes (holds.c). Whoever changes a container locks it; whoever still reads what a
 * removal in the background would take away uses it.
 */
struct hold;

/* Context: fiber; waits its turn. */
struct nd_error *nd_hold_lock(struct nd_containers *cs, const char *ns, const char *id,
                              struct hold **ret) ND_CHECK_RESULT;
void nd_hold_unlock(struct hold *hold); /* NULL is fine */
void nd_hold_unlockp(struct hold **hold);

/* Does not suspend. */
struct hold *nd_hold_use(struct nd_containers *cs, const char *ns, const char *id);
void nd_hold_unusep(struct hold **hold);

/*
 * Lock it once nobody uses it any more, or `patience_ns` have passed. Others may change it
 * meanwhile. Context: fiber.
 */
struct nd_error *nd_hold_lock_unused(struct nd_containers *cs, const char *ns, const char *id,
                                     int64_t patience_ns, struct hold **ret) ND_CHECK_RESULT;

/*
 * nerdctl's files. Fails: ND_UNAVAILABLE as containerd's calls: where they are follows from its
 * socket.
 */
struct nd_error *nd_containers_store(struct nd_containers *cs,
                                     struct nd_store **ret) ND_CHECK_RESULT;

/* Start `fn(arg)` in the background; false when there is none: then nobody owns `arg`. */
bool nd_containers_spawn(struct nd_containers *cs, nd_fiber_fn *fn, void *arg);

/* --- containerd's calls, typed (calls.c). Context of all: fiber. ------------------------------ */

typedef CtContainers__Container record;

/* Fails: ND_NOT_FOUND. */
struct nd_error *nd_container_record_get(struct nd_containers *cs, const char *ns, const char *id,
                                         struct nd_arena *arena, record **ret) ND_CHECK_RESULT;

/* Records as they come, to whoever takes them. */
struct record_reading {
    const char *const *filters; /* in containerd's language, NULL-terminated; NULL: all */
    struct nd_arena *arena;     /* where they lie, */
    bool one_by_one;            /* each until the next one comes */
    void (*add)(void *arg, record *rec);
    void *arg;
};
struct nd_error *nd_container_record_each(struct nd_containers *cs, const char *ns,
                                          const struct record_reading *reading) ND_CHECK_RESULT;

/* A list that grows in its arena; `add` is a record_reading's. Context: any. */
struct record_list {
    struct nd_arena *arena;
    record **at;
    size_t n, cap;
};
void nd_record_list_add(void *list, record *rec);

/* All that match; `*ret` is an array of `*ret_n`. */
struct nd_error *nd_container_record_list(struct nd_containers *cs, const char *ns,
                                          const char *const *filters, struct nd_arena *arena,
                                          record ***ret, size_t *ret_n) ND_CHECK_RESULT;

struct nd_error *nd_container_record_create(struct nd_containers *cs, const char *ns,
                                            record *rec) ND_CHECK_RESULT;

/* Change what the paths name ("spec", "labels.nerdctl/name"), all at once. Fails: ND_NOT_FOUND. */
struct nd_error *nd_container_record_update(struct nd_containers *cs, const char *ns, record *rec,
                                            char **paths, size_t n_paths) ND_CHECK_RESULT;

/* Set one label by mask, which races with nobody; success also when the record is gone. */
struct nd_error *nd_container_record_set_label(struct nd_containers *cs, const char *ns,
                                               const char *id, const char *key,
                                               const char *value) ND_CHECK_RESULT;

/* Gone already is fine, for this and the next. */
struct nd_error *nd_container_record_delete(struct nd_containers *cs, const char *ns,
                                            const char *id) ND_CHECK_RESULT;
struct nd_error *nd_snapshot_remove(struct nd_containers *cs, const char *ns,
                                    const char *snapshotter, const char *key) ND_CHECK_RESULT;

struct mounts {
    Ct__Mount **at;
    size_t n;
};

struct snapshot_name {
    const char *snapshotter, *key, *parent;
};

/* Its mounts. Fails: ND_EXISTS. */
struct nd_error *nd_snapshot_prepare(struct nd_containers *cs, const char *ns,
                                     const struct snapshot_name *name, struct nd_arena *arena,
                                     struct mounts *ret) ND_CHECK_RESULT;
struct nd_error *nd_snapshot_mounts(struct nd_containers *cs, const char *ns,
                                    const char *snapshotter, const char *key,
                                    struct nd_arena *arena, struct mounts *ret) ND_CHECK_RESULT;

struct process_name {
    struct nd_containers *cs;
    const char *ns, *id;
    const char *exec_id; /* of a command; "": the first process */
};

/*
 * A call that the container's shim answers (shim_call.c).
 * Fails: as nd_ctrd_call(); ND_DEADLINE, reason SHIM_SILENT. All calls about tasks may fail so.
 */
struct nd_error *nd_shim_call(const struct process_name *p, const struct nd_method_desc *method,
                              const void *req, struct nd_arena *arena, void *ret) ND_CHECK_RESULT;

typedef CtTasks__Process task;

/* `*ret` is NULL when there is no task. */
struct nd_error *nd_task_get(struct nd_containers *cs, const char *ns, const char *id,
                             struct nd_arena *arena, task **ret) ND_CHECK_RESULT;
struct nd_error *nd_task_list(struct nd_containers *cs, const char *ns, struct nd_arena *arena,
                              task ***ret, size_t *ret_n) ND_CHECK_RESULT;

/* Deletes an ended or a created task; none is fine. */
struct nd_error *nd_task_delete(struct nd_containers *cs, const char *ns,
                                const char *id) ND_CHECK_RESULT;

/*
 * Signal the first process, or all; `*ret_gone` says that there was none to signal (may be NULL).
 */
struct nd_error *nd_task_kill(struct nd_containers *cs, const char *ns, const char *id, int signo,
                              bool all, bool *ret_gone) ND_CHECK_RESULT;
struct nd_error *nd_task_resume(struct nd_containers *cs, const char *ns,
                                const char *id) ND_CHECK_RESULT;

struct task_exit {
    uint32_t code;
    struct nd_wall at; /* {0, 0}: not known */
};

/*
 * Waits for the end of the task's first process, `pid`; 0: of whatever runs when containerd is
 * asked, which is again after its connection broke. A task that vanished in the middle has ended
 * with 137. Fails: ND_NOT_FOUND, also when another process is in its place.
 */
struct nd_error *nd_task_wait(struct nd_containers *cs, const char *ns, const char *id,
                              uint32_t pid, struct task_exit *ret) ND_CHECK_RESULT;

/* --- looking into records (record.c). Context of all: any. ------------------------------------ */

/* The value, or NULL. */
const char *nd_container_record_label(const record *rec, const char *key);
bool nd_container_record_label_is(const record *rec, const char *key, const char *value);

/* The name by its label; "" without one. */
const char *nd_container_record_name(const record *rec);

/* When it was made, as a text: tells it from another one with its id. */
const char *nd_container_record_birth(const record *rec, struct nd_arena *arena);

/* The run spec, decoded; freed with the arena. Fails: ND_DATA_LOSS. */
struct nd_error *nd_container_record_spec(const record *rec, struct nd_arena *arena,
                                          const struct nd_json **ret) ND_CHECK_RESULT;

/* A label that holds JSON, decoded; `*ret` NULL without the label or when it does not decode. */
void nd_container_record_json_label(const record *rec, const char *key, struct nd_arena *arena,
                                    const struct nd_json **ret);

/* Bytes of the label nerdctl/ipc; 0 when it does not say. */
int64_t nd_ipc_shm_size(const struct nd_json *ipc);

/* The texts of a JSON list, copied to the arena. */
char **nd_json_list(const struct nd_json *list, struct nd_arena *arena, size_t *ret_n);

struct nd_wall nd_wall_of(const Google__Protobuf__Timestamp *ts); /* {0, 0} for NULL and unset */
Google__Protobuf__Timestamp *nd_timestamp_of(struct nd_wall at, struct nd_arena *arena);

/*
 * --- finding (lookup.c). Context of all: fiber. ------------------------------------------------
 */

/* By name, id or the beginning of an id. */
struct nd_error *nd_container_find(struct nd_containers *cs, const char *ns, const char *text,
                                   struct nd_arena *arena, record **ret) ND_CHECK_RESULT;

/* The same, locked, as it is once the lock is held. */
struct nd_error *nd_container_find_locked(struct nd_containers *cs, const char *ns,
                                          const char *text, struct nd_arena *arena, record **ret,
                                          struct hold **ret_hold) ND_CHECK_RESULT;

/*
 * Whether it is still there, once whoever changes it now has done so. Many a failure of a call that
 * does not lock has no other reason than that the container ends or goes meanwhile, or is not
 * complete yet. Fails: ND_NOT_FOUND, reason CONTAINER_NOT_FOUND.
 */
struct nd_error *nd_container_still_there(struct nd_containers *cs, const char *ns,
                                          const char *id) ND_CHECK_RESULT;

/* Whether a record has this name; its id in the arena, or NULL. */
struct nd_error *nd_container_name_owner(struct nd_containers *cs, const char *ns, const char *name,
                                         struct nd_arena *arena, char **ret) ND_CHECK_RESULT;

#endif
