#ifndef HELPER_SETUP_H
#define HELPER_SETUP_H

/* What a log writer finds out and takes before it says that it is ready. */

#include "base/defs.h"
#include "helper/log_config.h"

#include "init_watch.h"

struct setup {
    char state_dir[ND_LOGGER_PATH_MAX];
    char log_path[ND_LOGGER_PATH_MAX];
    struct nd_logger_config config;
    bool terminal; /* everything comes on descriptor 3; 4 may stay open until the task is deleted */
    int lock_fd;   /* -1: could not be taken */
    struct init_watch init; /* without a terminal; with one the stream ends with the container */
};

/*
 * Detach from the shim's session and signals, find the paths, read the configuration, take the lock.
 * `scratch` is used and left. False: the surroundings are not those of a log writer.
 */
bool setup_logger(struct setup *setup, const char *store, char *scratch, size_t scratch_size);

#endif
