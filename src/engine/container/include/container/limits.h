#ifndef CONTAINER_LIMITS_H
#define CONTAINER_LIMITS_H

/* The limits of this room, with their units. */

#include "base/clock.h"

/* Of one ContainerConfig. What is over them is refused by the field's name. */
#define ND_CONFIG_MAX_ARGS        4096u          /* entries of args and entrypoint together */
#define ND_CONFIG_MAX_ARG_BYTES   (128u * 1024u) /* of one argument or variable, as execve() has it */
#define ND_CONFIG_MAX_ENV         4096u
#define ND_CONFIG_MAX_ARGV_BYTES  (1024u * 1024u) /* args, entrypoint and env together */
#define ND_CONFIG_MAX_LABELS      1024u
#define ND_CONFIG_MAX_ANNOTATIONS 1024u
#define ND_CONFIG_MAX_MOUNTS      256u
#define ND_CONFIG_MAX_OPTIONS     64u /* options of one mount */
#define ND_CONFIG_MAX_DEVICES     256u
#define ND_CONFIG_MAX_SYSCTLS     256u
#define ND_CONFIG_MAX_GROUPS      256u
#define ND_CONFIG_MAX_DNS         64u /* of servers, of domains, of options */
#define ND_CONFIG_MAX_HOSTS       256u
#define ND_CONFIG_MAX_SECURITY    64u
#define ND_CONFIG_MAX_LOG_OPTIONS 64u
#define ND_CONFIG_MAX_TEXT        4096u /* bytes of a path, a user, a value of an annotation */
#define ND_CONFIG_MAX_PROFILE     (1024u * 1024u) /* bytes of a seccomp profile */
#define ND_LABEL_MAX_BYTES        4096u           /* key and value together, containerd's rule */
#define ND_HOSTNAME_MAX_BYTES     64u             /* the kernel's */
#define ND_STOP_TIMEOUT_MAX_S     (365 * 24 * 3600)

#define ND_OUTPUT_MAX_BYTES    (64u * 1024u)    /* of one piece of output */
#define ND_INPUT_MAX_BYTES     (256u * 1024u)   /* of standard input on its way, for each client */
#define ND_HEARTBEAT_NS        (10 * ND_SECOND) /* after so long without anything else */
/*
 * How long one who attached later may hold up a process; who started it does as long as it is
 * there.
 */
#define ND_SESSION_PATIENCE_MS 30000u
/* So much longer than sessions are held (a setting) a removal in the background waits for them. */
#define ND_SESSIONS_GRACE_NS   (5 * ND_SECOND)
#define ND_FINISHED_MAX        65536u          /* sessions that are over and remembered */
#define ND_EXEC_MAX_RUNNING    1024u           /* commands in all containers at once */
#define ND_LOGGER_WAIT_NS      (5 * ND_SECOND) /* for the last byte of a container that has ended */
#define ND_LOGS_AHEAD_FILES    16u /* files of a log that are held open for one who follows it */
#define ND_WAIT_MAX_CONTAINERS 1024u
#define ND_LIST_MAX_FILTERS    256u
#define ND_LIST_MAX_PATTERNS   16u   /* expressions of one list; each is tried on each name */
#define ND_LIST_MATCH_BYTES    255u  /* of a name that they are tried on: no proper one has more */
#define ND_LIST_YIELD_EVERY    16u   /* containers that are filtered without a turn of the loop */
#define ND_LIST_MAX_PATTERN    1024u /* bytes of one filter */
/*
 * How long shims may take to answer whoever only looks: all of a list, one, and one in the
 * background.
 */
#define ND_TASKS_ANSWER_NS     (1 * ND_SECOND)
#define ND_TASK_ANSWER_NS      (1500 * ND_MILLISECOND)
#define ND_SILENT_ANSWER_NS    (10 * ND_SECOND)
#define ND_SILENT_PAUSE_NS     (1 * ND_SECOND)
#define ND_TASKS_WIDTH         32u  /* tasks that are asked for at once */
#define ND_SIZE_WIDTH          16u  /* sizes of so many containers are asked for at once */
#define ND_SIZE_MAX_LAYERS     512u /* snapshots under one container */

/* /etc/passwd and /etc/group of images: larger ones are refused, so many images are remembered. */
#define ND_ACCOUNTS_MAX_BYTES  (1024u * 1024u)
#define ND_ACCOUNTS_MAX_IMAGES 64u
#define ND_ACCOUNTS_MAX_LINKS  40u /* symbolic links on the way to one file */

#define ND_STOP_TIMEOUT_DEFAULT_S 10
#define ND_TASK_CREATE_NS \
    (120 * ND_SECOND) /* create and start a task, not cut short by the client */
#define ND_SHIM_ANSWER_NS       (20 * ND_SECOND) /* for what a shim does at once */
#define ND_TASK_DELETE_RETRY_NS (5 * ND_SECOND)  /* containerd cleans up behind a dead shim */
#define ND_TASK_DELETE_PAUSE_NS (50 * ND_MILLISECOND)
#define ND_SHIM_WAIT_NS         (500 * ND_MILLISECOND) /* for a shim to end, each time it is asked */
#define ND_SHIM_PAUSE_NS        (20 * ND_MILLISECOND)
#define ND_WAIT_AGAIN_NS        (200 * ND_MILLISECOND) /* for a process, when containerd was away */
#define ND_KILL_WAIT_NS         (30 * ND_SECOND)       /* from SIGKILL to the exit */
#define ND_TEARDOWN_NS          (60 * ND_SECOND)       /* removal in the background */
/* A container with auto-remove whose output a nerdctl client reads is that client's to remove; when it
 * has not done so after this time, it is gone. */
#define ND_FOREIGN_REMOVE_NS    (60 * ND_SECOND)

#endif
