#ifndef STORE_LOG_RECORD_H
#define STORE_LOG_RECORD_H

/*
 * Records of the json-file log, decoded in place and many at a time:
 *     {"log":"text\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z"}
 * A last key "raw" has the bytes of an entry that are not UTF-8, in base64 (standard alphabet,
 * padded), while "log" has U+FFFD for each wrong one. The helper writes it (helper/entry.h); it is
 * what counts, unless it is no base64, or has a length that "log" rules out: then it is somebody
 * else's key. Context of everything here: any.
 */

#include "base/clock.h"
#include "base/defs.h"
#include "base/str.h"

enum nd_log_stream {
    ND_LOG_STDOUT = 1,
    ND_LOG_STDERR = 2,
};

struct nd_log_entry {
    struct nd_str bytes; /* as the container wrote them, the newline included */
    struct nd_wall at;   /* {0, 0} when the record has no time */
    enum nd_log_stream stream;
};

#define ND_LOG_DECODE_PAD \
    64u /* readable bytes that must follow the text, their content is ignored */

struct nd_log_decoded {
    size_t n;        /* entries filled in */
    size_t consumed; /* bytes of the text that are done with: whole lines */
    size_t skipped;  /* of these, bytes of lines that held no record */
    size_t payload;  /* bytes in the entries */
};

/*
 * Decode the whole lines at the front of `text`, until `max` entries or `max_payload` bytes are
 * there. The text is overwritten, entries point into it. A last line without newline is left alone.
 * Lines that are no record are skipped; of a line whose beginning was torn by a crash, a whole
 * record at its end is kept.
 */
void nd_log_decode(char *text, size_t len, struct nd_log_entry *entries, size_t max,
                   size_t max_payload, struct nd_log_decoded *ret);

#endif
