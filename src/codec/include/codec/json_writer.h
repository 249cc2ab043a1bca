#ifndef CODEC_JSON_WRITER_H
#define CODEC_JSON_WRITER_H

/*
 * JSON written front to back into a buffer, without a tree: specs, labels, documents of our own.
 * Commas and quotes are the writer's matter; a call out of place (a value where a key is due) is a
 * broken invariant. The buffer's maximum must be bounded by construction (nd_buf_put()). Context of
 * everything here: any.
 */

#include "base/buf.h"
#include "base/str.h"

#define ND_JSON_WRITER_DEPTH 32

struct nd_json_writer {
    struct nd_buf *buf; /* borrowed */
    uint32_t objects;   /* private: bit d says that level d is an object */
    uint32_t filled;    /* private: bit d says that level d has a member */
    unsigned depth;     /* private */
    bool key_due;       /* private: a key was written, its value follows */
};

#define ND_JSON_WRITER(buffer) ((struct nd_json_writer){.buf = (buffer)})

/*
 * What holds values; and, in an object, the key that each value needs before it. Keys and texts are
 * copied.
 */
void nd_json_begin_object(struct nd_json_writer *w);
void nd_json_end_object(struct nd_json_writer *w);
void nd_json_begin_array(struct nd_json_writer *w);
void nd_json_end_array(struct nd_json_writer *w);
void nd_json_key(struct nd_json_writer *w, const char *key);

/* A value. Bytes of a text that are not UTF-8 become U+FFFD. */
void nd_json_str(struct nd_json_writer *w, struct nd_str value);
void nd_json_text(struct nd_json_writer *w, const char *value); /* NULL writes null */
void nd_json_i64(struct nd_json_writer *w, int64_t value);
void nd_json_u64(struct nd_json_writer *w, uint64_t value);
void nd_json_bool(struct nd_json_writer *w, bool value);
void nd_json_null(struct nd_json_writer *w);
void nd_json_raw(struct nd_json_writer *w, struct nd_str json); /* a value that is JSON already */

/* Key and value in one go. */
void nd_json_put_text(struct nd_json_writer *w, const char *key, const char *value);
void nd_json_put_i64(struct nd_json_writer *w, const char *key, int64_t value);
void nd_json_put_u64(struct nd_json_writer *w, const char *key, uint64_t value);
void nd_json_put_bool(struct nd_json_writer *w, const char *key, bool value);

/* A list of texts. */
void nd_json_texts(struct nd_json_writer *w, const char *const *texts, size_t n);
void nd_json_put_texts(struct nd_json_writer *w, const char *key, const char *const *texts,
                       size_t n);

#endif
