/*
 * Log lines.
 *
 *     {"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"image loaded",
 *      "ref":"alpine","bytes":3401123}                                (one line)
 *
 * The line is built in memory of this call and handed to the sink under a lock, so lines of
 * several threads never mix. Values are cut at a limit with a name: a message of a peer that ends
 * in an error must not fill the disk. Level, sink and context are process-wide on purpose: a room
 * that wants to say something must not need a handle for it.
 */

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define VALUE_MAX  ((size_t)8 * 1024)         /* bytes of one value in a line */
#define LINE_LIMIT ((size_t)16 * 1024 * 1024) /* never reached: fields are few and cut */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static nd_log_sink *log_sink;
static void *log_sink_arg;
static _Atomic(nd_log_context *) log_context;
static atomic_int log_level = ND_LOG_INFO;

void
nd_log_set_sink(nd_log_sink *sink, void *arg)
{
    pthread_mutex_lock(&log_lock);
    log_sink = sink;
    log_sink_arg = arg;
    pthread_mutex_unlock(&log_lock);
}

void
nd_log_set_level(enum nd_log_level level)
{
    atomic_store(&log_level, (int)level);
}

void
nd_log_set_context(nd_log_context *context)
{
    atomic_store(&log_context, context);
}

bool
nd_log_enabled(enum nd_log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* Length of the valid UTF-8 character in front, 0 when there is none. */
static size_t
valid_char(struct nd_str s)
{
    unsigned char first = (unsigned char)s.ptr[0];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    return size <= s.len && nd_str_is_utf8(nd_str_n(s.ptr, size)) ? size : 0;
}

/* A character that a JSON string may not hold as it is. */
static void
put_escaped(struct nd_buf *buf, unsigned char c)
{
    static const char short_forms[] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };

    if (c < sizeof(short_forms) && short_forms[c] != '\0')
        nd_buf_printf(buf, "\\%c", short_forms[c]);
    else
        nd_buf_printf(buf, "\\u%04x", c);
}

void
nd_json_quote(struct nd_buf *buf, struct nd_str text)
{
    size_t plain = 0; /* start of what can be copied as it is */
    size_t i = 0;

    nd_buf_putc(buf, '"');
    while (i < text.len) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t size =
            c < 0x20 || c == 0x7f || c == '"' || c == '\\' ? 0 : valid_char(nd_str_from(text, i));

        if (size > 0) {
            i += size;
            continue;
        }
        nd_buf_put(buf, nd_str_sub(text, plain, i - plain));
        if (c < 0x80)
            put_escaped(buf, c);
        else
            nd_buf_put(buf, ND_STR("\xef\xbf\xbd"));
        plain = ++i;
    }
    nd_buf_put(buf, nd_str_from(text, plain));
    nd_buf_putc(buf, '"');
}

static void
put_text(struct nd_buf *buf, struct nd_str text)
{
    nd_json_quote(buf, nd_str_sub(text, 0, VALUE_MAX));
}

/* ,"key": or ,"key<suffix>": */
static void
put_key(struct nd_buf *buf, const char *key, const char *suffix)
{
    nd_buf_printf(buf, ",\"%s%s\":", key, suffix);
}

static void
put_error(struct nd_buf *buf, const char *key, const struct nd_error *err)
{
    put_key(buf, key, "");
    if (err == NULL) {
        nd_buf_putz(buf, "null");
        return;
    }
    put_text(buf, nd_str(nd_error_message(err)));
    put_key(buf, key, "_code");
    nd_buf_printf(buf, "\"%s\"", nd_code_name(nd_error_code(err)));
}

static void
put_field(struct nd_buf *buf, const struct nd_kv *kv)
{
    if (kv->type == ND_KV_ERR) {
        put_error(buf, kv->key, kv->err);
        return;
    }
    put_key(buf, kv->key, "");
    switch (kv->type) {
    case ND_KV_TEXT:
        if (kv->text != NULL)
            put_text(buf, nd_str(kv->text));
        else
            nd_buf_putz(buf, "null");
        break;
    case ND_KV_STR:
        put_text(buf, kv->str);
        break;
    case ND_KV_I64:
        nd_buf_printf(buf, "%lld", (long long)kv->i64);
        break;
    case ND_KV_U64:
        nd_buf_printf(buf, "%llu", (unsigned long long)kv->u64);
        break;
    case ND_KV_BOOL:
        nd_buf_putz(buf, kv->boolean ? "true" : "false");
        break;
    case ND_KV_ERR:
        break;
    }
}

static void
put_head(struct nd_buf *buf, enum nd_log_level level, const char *message)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char now[ND_RFC3339_SIZE];

    nd_wall_format_full(nd_wall_now(), now);
    nd_buf_printf(buf, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", now, names[level]);
    nd_json_quote(buf, nd_str(message));
}

/* Without a sink: warnings to descriptor 2, in one write so that lines stay whole. */
static void
put_out(enum nd_log_level level, struct nd_buf *line)
{
    pthread_mutex_lock(&log_lock);
    if (log_sink != NULL) {
        log_sink(log_sink_arg, level, nd_buf_str(line));
    } else if (level >= ND_LOG_WARN) {
        nd_buf_putc(line, '\n');
        if (write(2, line->ptr, line->len) < 0)
            line->len = 0; /* nobody is left to be told */
    }
    pthread_mutex_unlock(&log_lock);
}

void
nd_log_line(enum nd_log_level level, const char *message, const struct nd_kv *fields,
            size_t n_fields)
{
    ND_AUTO(nd_buf_fini) struct nd_buf line = ND_BUF_INIT(LINE_LIMIT);
    nd_log_context *context = atomic_load(&log_context);

    put_head(&line, level, message);
    for (size_t i = 0; i < n_fields; i++)
        put_field(&line, &fields[i]);
    if (context != NULL)
        context(&line);
    nd_buf_putc(&line, '}');
    put_out(level, &line);
}
