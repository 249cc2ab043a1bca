#ifndef TESTS_FUZZ_HOSTILE_H
#define TESTS_FUZZ_HOSTILE_H

/* What the hostile ends of the fuzzed connections have in common. */

#include "base/str.h"
#include "fiber/stream.h"

/* How HTTP/2 begins, said by a good client. A server begins with the settings alone. */
#define HOSTILE_PREFACE   ND_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" HOSTILE_SETTINGS_)
#define HOSTILE_SETTINGS  ND_STR(HOSTILE_SETTINGS_)
#define HOSTILE_SETTINGS_ "\0\0\0\4\0\0\0\0\0"

/*
 * Read what comes from `stream` until its end, so that windows and queues move. A fiber's function.
 */
struct nd_error *hostile_swallow(void *stream);

/*
 * Write `input` to the stream. Its first byte says whether `beginning` goes before, and how large
 * the pieces are in which the rest is written. Suspends the fiber.
 */
struct nd_error *hostile_write(struct nd_stream *to, struct nd_str beginning, struct nd_str input);

#endif
