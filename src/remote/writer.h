#ifndef REMOTE_WRITER_H
#define REMOTE_WRITER_H

/*
 * Bytes of a container to our own standard output and error: at once, all of them, in order,
 * without holding up the loop when the reader is slow.
 */

#include "base/str.h"

/*
 * Write everything to descriptor `fd`, which stays in its blocking mode. A pipe that nobody reads
 * any more ends the program as SIGPIPE would. Fails: ND_CANCELLED while waiting; errors of writing.
 * Context: fiber.
 */
struct nd_error *nd_write_all(int fd, struct nd_str bytes) ND_CHECK_RESULT;

/* End the program the way an unread pipe ends filters. Returns only if that is impossible. */
void nd_die_of_closed_pipe(void);

#endif
