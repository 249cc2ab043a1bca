#ifndef HELPER_LOG_CONFIG_H
#define HELPER_LOG_CONFIG_H

/* log-config.json, as far as the json-file driver needs it. Context: any; nothing allocates. */

#include "base/defs.h"
#include "base/str.h"
#include "helper/limits.h"

struct nd_logger_config {
    uint64_t max_bytes;                /* of one file; 0: no limit */
    unsigned max_files;                /* at least 1 */
    char log_path[ND_LOGGER_PATH_MAX]; /* "": the usual place */
};

/*
 * Read the options from `text`, which is overwritten. What cannot be understood keeps its default:
 * a logger that stops because of its configuration would take the container with it. Returns
 * whether the text was whole.
 */
bool nd_logger_config_parse(char *text, size_t len, struct nd_logger_config *ret);

/* "10m", "1.5 GB", "512": bytes, in decimal units, or -1 for no limit (0). False: not a size. */
bool nd_logger_size_parse(struct nd_str text, uint64_t *ret);

#endif
