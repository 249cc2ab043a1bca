#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * The log interface: a constant message and typed fields, one JSON object per line. The message is
 * never formatted, so lines can be searched and counted.
 *
 *     nd_info("image loaded", ND_KV("ref", ref), ND_KV("bytes", n));
 *
 * Where a line goes is the sink's matter; without one, lines of level warn and above go to
 * descriptor 2. The level and the sink are process-wide (the exceptions to "no globals").
 * Context of everything here: any thread.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

enum nd_log_level {
    ND_LOG_DEBUG, /* the rest */
    ND_LOG_INFO,  /* what an operator would like to read, a few lines per call */
    ND_LOG_WARN,  /* we coped, look at it */
    ND_LOG_ERROR, /* somebody must act */
};

struct nd_kv {
    const char *key;
    enum nd_kv_type { ND_KV_TEXT, ND_KV_STR, ND_KV_I64, ND_KV_U64, ND_KV_BOOL, ND_KV_ERR } type;
    union {
        const char *text;
        struct nd_str str;
        int64_t i64;
        uint64_t u64;
        bool boolean;
        const struct nd_error *err;
    };
};

static inline struct nd_kv
nd_kv_text(const char *key, const char *v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_TEXT, .text = v};
}
static inline struct nd_kv
nd_kv_str(const char *key, struct nd_str v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_STR, .str = v};
}
static inline struct nd_kv
nd_kv_i64(const char *key, int64_t v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_I64, .i64 = v};
}
static inline struct nd_kv
nd_kv_u64(const char *key, uint64_t v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_U64, .u64 = v};
}
static inline struct nd_kv
nd_kv_bool(const char *key, bool v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_BOOL, .boolean = v};
}
static inline struct nd_kv
nd_kv_err(const char *key, const struct nd_error *v)
{
    return (struct nd_kv){.key = key, .type = ND_KV_ERR, .err = v};
}

/* The encoding follows the type of the value. Credentials have a type of their own: no ND_KV. */
#define ND_KV(key, value) \
    _Generic((value),                        \
        char *: nd_kv_text,                  \
        const char *: nd_kv_text,            \
        struct nd_str: nd_kv_str,            \
        bool: nd_kv_bool,                    \
        int: nd_kv_i64,                      \
        long: nd_kv_i64,                     \
        long long: nd_kv_i64,                \
        unsigned: nd_kv_u64,                 \
        unsigned long: nd_kv_u64,            \
        unsigned long long: nd_kv_u64,       \
        struct nd_error *: nd_kv_err,        \
        const struct nd_error *: nd_kv_err)((key), (value))

/* A finished line, without newline. Called from any thread, one call at a time. */
typedef void nd_log_sink(void *arg, enum nd_log_level level, struct nd_str line);

/* Fields of every line, such as fiber and action: the fiber room sets this. May write to `buf`
 * text of the form `,"key":value`. */
struct nd_buf;
typedef void nd_log_context(struct nd_buf *buf);

/*
 * Where lines go (NULL: descriptor 2), from which level on, and what is added to each (NULL:
 * nothing). `arg` and the functions must live as long as anybody logs.
 */
void nd_log_set_sink(nd_log_sink *sink, void *arg);
void nd_log_set_level(enum nd_log_level level);
void nd_log_set_context(nd_log_context *context);

/* Whether a line of that level would go anywhere. */
bool nd_log_enabled(enum nd_log_level level);

/* Use the macros. */
void nd_log_line(enum nd_log_level level, const char *message, const struct nd_kv *fields,
                 size_t n_fields);

#define ND_LOG_AT(level, message, ...)                                          \
    do {                                                                        \
        if (nd_log_enabled(level)) {                                            \
            const struct nd_kv nd_kvs_[] = {{0}, ##__VA_ARGS__};                \
            nd_log_line((level), "" message, nd_kvs_ + 1, ND_LEN(nd_kvs_) - 1); \
        }                                                                       \
    } while (0)

#define nd_debug(message, ...) ND_LOG_AT(ND_LOG_DEBUG, message, ##__VA_ARGS__)
#define nd_info(message, ...)  ND_LOG_AT(ND_LOG_INFO, message, ##__VA_ARGS__)
#define nd_warn(message, ...)  ND_LOG_AT(ND_LOG_WARN, message, ##__VA_ARGS__)
#define nd_err(message, ...)   ND_LOG_AT(ND_LOG_ERROR, message, ##__VA_ARGS__)

/* Append `text` as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void nd_json_quote(struct nd_buf *buf, struct nd_str text);

#endif
