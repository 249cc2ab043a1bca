#ifndef HELPER_SETUP_H
#define HELPER_SETUP_H

/* What a log writer finds out and takes before it says that it is ready. */

#include "base/defs.h"
#include "helper/log_config.h"

#include "init_watch.h"

struct setup {
    bool keeps_log;                     /* with setup_logger() the caller says so */
    char state_dir[ND_LOGGER_PATH_MAX]; /* of the container */
    char log_path[ND_LOGGER_PATH_MAX];
    char streams_dir[ND_LOGGER_PATH_MAX]; /* where people attach */
    struct nd_logger_config config;
    bool terminal;  /* everything comes on the first stream */
    bool by_shim;   /* pipes of the shim's, which waits for our end; else FIFOs of the daemon's */
    int streams[2]; /* what to read; -1: nothing */
    int ready_fd;   /* to be written to and closed */
    int lock_fd;    /* -1: could not be taken, or there is no log */
    struct init_watch init; /* by the shim and without a terminal; else the streams end */
};

/*
 * As the shim starts us: detach from its session and signals, find the paths, read the
 * configuration if there is to be a log. `scratch` is used and left. False: the surroundings are
 * not those of a log writer.
 */
bool setup_logger(struct setup *setup, const char *store, char *scratch, size_t scratch_size);

/* As the daemon starts us, detached already; see ND_RELAY_MODE. */
bool setup_relay(struct setup *setup, int argc, char **argv, char *scratch, size_t scratch_size);

/*
 * Take the exclusive lock of a log that says: more output may come. The container's logger of
 * before has it until it has written everything; it is not waited for for ever.
 */
void setup_lock(struct setup *setup);

#endif
