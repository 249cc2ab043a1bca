#ifndef TEST_LOGGER_RUN_H
#define TEST_LOGGER_RUN_H

/*
 * The program as the shim runs it: descriptors 3 to 5, two variables of environment, a bundle as
 * working directory. What arrives in the log is read back with the decoder of the store. Every
 * function fails the test when something is not as it must be.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/log_record.h"

#define PATIENCE_MS 60000 /* a test that waits so long has failed */
#define LOG_MAX     (512u * 1024u * 1024u)
#define ID          "3f2a90c1d4e5"

/* One container's surroundings and its logger. */
struct run {
    char dir[64];
    char state[128], log[160], lock[160], bundle[96];
    pid_t pid;
    int out, err, ready; /* our ends; -1 when closed */
};

void write_file(const char *path, const char *text);
/* Directories of one container; nothing runs yet. clean_container() removes them. */
void make_container(struct run *r);
/* log-config.json with these options, as JSON members. */
void configure(struct run *r, const char *options);
/* Start it with a limit on the size of files, without waiting for "ready". */
void start_logger(struct run *r, rlim_t file_size);
void wait_ready(struct run *r);
/* All of it: `options` NULL means no configuration. */
void begin_logger(struct run *r, const char *options);
void close_streams(struct run *r);
/* End the streams and wait for the logger, which must succeed. */
void finish_logger(struct run *r);
void clean_container(struct run *r);
void send_all(int fd, struct nd_str bytes);
void read_whole(const char *path, struct nd_buf *ret);
/* What the log says of one stream, text after text; every line of the file must be a record. */
void read_log(const char *path, enum nd_log_stream stream, struct nd_buf *ret);
void assert_log_is(const char *path, enum nd_log_stream stream, struct nd_str want);
/* Wait until the log holds `text`. */
void wait_log_has(const struct run *r, const char *text);
/* Mostly text, with long lines, binary stretches and characters of every length. */
void random_output(struct nd_buf *ret, size_t len);

#endif
