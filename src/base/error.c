/*
 * The error value.
 *
 * One heap object with a code, a message, and what else is known. Errors are rare and small, so
 * nothing is shared and everything is copied: an error may outlive the call, the arena and the
 * fiber that made it.
 *
 *     message:  "create web: mounts[2].source: is not absolute"
 *                            ▲ field_at
 *
 * An error about a field names it twice: in `field` for programs, and at the front of its own text
 * in the message for people. Context that is wrapped around goes before that place, and a prefix
 * for the field path is inserted at it, so both stay right whatever the order of the two.
 */

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct pair {
    char *key; /* NULL in hints */
    char *value;
};

struct pairs {
    struct pair *at;
    size_t n;
};

struct nd_error {
    enum nd_code code;
    char *message;
    char *field;
    size_t field_at; /* where the text about the field begins in the message */
    char *reason;
    char *component;
    struct pairs hints;
    struct pairs meta;
    uint64_t retry_ms;
};

const char *
nd_code_name(enum nd_code code)
{
    static const char *const names[] = {
        [ND_OK] = "OK",
        [ND_CANCELLED] = "CANCELLED",
        [ND_UNKNOWN] = "UNKNOWN",
        [ND_INVALID] = "INVALID_ARGUMENT",
        [ND_DEADLINE] = "DEADLINE_EXCEEDED",
        [ND_NOT_FOUND] = "NOT_FOUND",
        [ND_EXISTS] = "ALREADY_EXISTS",
        [ND_DENIED] = "PERMISSION_DENIED",
        [ND_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [ND_PRECONDITION] = "FAILED_PRECONDITION",
        [ND_ABORTED] = "ABORTED",
        [ND_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [ND_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [ND_INTERNAL] = "INTERNAL",
        [ND_UNAVAILABLE] = "UNAVAILABLE",
        [ND_DATA_LOSS] = "DATA_LOSS",
        [ND_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    return (unsigned)code < ND_LEN(names) ? names[code] : names[ND_UNKNOWN];
}

/* The text of a printf, on the heap. */
static char *__attribute__((__format__(__printf__, 1, 0), __returns_nonnull__))
format(const char *fmt, va_list args)
{
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);

    ND_INVARIANT(len >= 0 && text != NULL);
    return text;
}

/* Puts the formatted text of the caller's variable arguments into `text`. */
#define FORMAT(text, fmt)            \
    do {                             \
        va_list args_;               \
        va_start(args_, fmt);        \
        (text) = format(fmt, args_); \
        va_end(args_);               \
    } while (0)

/* Takes `message`. */
static struct nd_error *__attribute__((__returns_nonnull__)) make(enum nd_code code, char *message)
{
    struct nd_error *err = nd_new(struct nd_error);

    err->code = code;
    err->message = message;
    return err;
}

/* Replace a text that the error owns by `text`, which it takes. */
static void
replace(char **at, char *text)
{
    nd_free(*at);
    *at = text;
}

struct nd_error *
nd_error_new(enum nd_code code, const char *fmt, ...)
{
    char *message;

    FORMAT(message, fmt);
    return make(code, message);
}

static enum nd_code
code_of_errno(int errnum)
{
    static const struct {
        int errnum;
        enum nd_code code;
    } table[] = {
        {ENOENT, ND_NOT_FOUND},
        {EEXIST, ND_EXISTS},
        {EACCES, ND_DENIED},
        {EPERM, ND_DENIED},
        {ENOSPC, ND_EXHAUSTED},
        {EMFILE, ND_EXHAUSTED},
        {ENFILE, ND_EXHAUSTED},
        {ENOMEM, ND_EXHAUSTED},
        {EDQUOT, ND_EXHAUSTED},
        {EINVAL, ND_INVALID},
        {ENAMETOOLONG, ND_INVALID},
        {ELOOP, ND_INVALID},
        {ECONNREFUSED, ND_UNAVAILABLE},
        {ECONNRESET, ND_UNAVAILABLE},
        {EPIPE, ND_UNAVAILABLE},
        {ENETUNREACH, ND_UNAVAILABLE},
        {EHOSTUNREACH, ND_UNAVAILABLE},
        {ETIMEDOUT, ND_DEADLINE},
        {EBUSY, ND_PRECONDITION},
        {ENOTEMPTY, ND_PRECONDITION},
    };

    for (size_t i = 0; i < ND_LEN(table); i++) {
        if (table[i].errnum == errnum)
            return table[i].code;
    }
    return ND_INTERNAL;
}

struct nd_error *
nd_error_errno(int errnum, const char *fmt, ...)
{
    const char *text = strerrordesc_np(errnum);
    ND_AUTO(nd_freep) char *doing = NULL;

    FORMAT(doing, fmt);
    if (text == NULL)
        return make(code_of_errno(errnum), nd_asprintf("%s: errno %d", doing, errnum));
    return make(code_of_errno(errnum), nd_asprintf("%s: %s", doing, text));
}

struct nd_error *
nd_error_field(const char *path, const char *fmt, ...)
{
    ND_AUTO(nd_freep) char *text = NULL;
    struct nd_error *err;

    FORMAT(text, fmt);
    err = make(ND_INVALID, nd_asprintf("%s: %s", path, text));
    err->field = nd_strdup(path);
    return err;
}

struct nd_error *
nd_error_wrap(struct nd_error *err, const char *fmt, ...)
{
    ND_AUTO(nd_freep) char *context = NULL;

    FORMAT(context, fmt);
    replace(&err->message, nd_asprintf("%s: %s", context, err->message));
    err->field_at += strlen(context) + 2;
    return err;
}

struct nd_error *
nd_error_recode(struct nd_error *err, enum nd_code code)
{
    err->code = code;
    return err;
}

struct nd_error *
nd_error_in_field(struct nd_error *err, const char *prefix)
{
    const char *join = err->field == NULL ? ": " : err->field[0] == '[' ? "" : ".";

    replace(&err->message, nd_asprintf("%.*s%s%s%s", (int)err->field_at, err->message, prefix, join,
                                       err->message + err->field_at));
    if (err->field == NULL)
        err->field = nd_strdup(prefix);
    else
        replace(&err->field, nd_asprintf("%s%s%s", prefix, join, err->field));
    return err;
}

struct nd_error *
nd_error_reason(struct nd_error *err, const char *reason)
{
    replace(&err->reason, nd_strdup(reason));
    return err;
}

/* Takes both texts. */
static void
add_pair(struct pairs *pairs, char *key, char *value)
{
    pairs->at = nd_realloc(pairs->at, pairs->n + 1, sizeof(pairs->at[0]));
    pairs->at[pairs->n].key = key;
    pairs->at[pairs->n].value = value;
    pairs->n++;
}

struct nd_error *
nd_error_hint(struct nd_error *err, const char *fmt, ...)
{
    char *text;

    FORMAT(text, fmt);
    add_pair(&err->hints, NULL, text);
    return err;
}

struct nd_error *
nd_error_component(struct nd_error *err, const char *component)
{
    replace(&err->component, nd_strdup(component));
    return err;
}

struct nd_error *
nd_error_meta(struct nd_error *err, const char *key, const char *value)
{
    for (size_t i = 0; i < err->meta.n; i++) {
        if (strcmp(err->meta.at[i].key, key) == 0) {
            replace(&err->meta.at[i].value, nd_strdup(value));
            return err;
        }
    }
    add_pair(&err->meta, nd_strdup(key), nd_strdup(value));
    return err;
}

struct nd_error *
nd_error_retry_in(struct nd_error *err, uint64_t retry_ms)
{
    err->retry_ms = retry_ms;
    return err;
}

enum nd_code
nd_error_code(const struct nd_error *err)
{
    return err != NULL ? err->code : ND_OK;
}

const char *
nd_error_message(const struct nd_error *err)
{
    return err != NULL ? err->message : "";
}

const char *
nd_error_get_field(const struct nd_error *err)
{
    return err != NULL ? err->field : NULL;
}

const char *
nd_error_get_reason(const struct nd_error *err)
{
    return err != NULL ? err->reason : NULL;
}

const char *
nd_error_get_component(const struct nd_error *err)
{
    return err != NULL ? err->component : NULL;
}

size_t
nd_error_n_hints(const struct nd_error *err)
{
    return err != NULL ? err->hints.n : 0;
}

const char *
nd_error_get_hint(const struct nd_error *err, size_t i)
{
    return i < nd_error_n_hints(err) ? err->hints.at[i].value : NULL;
}

size_t
nd_error_n_meta(const struct nd_error *err)
{
    return err != NULL ? err->meta.n : 0;
}

const char *
nd_error_meta_key(const struct nd_error *err, size_t i)
{
    return i < nd_error_n_meta(err) ? err->meta.at[i].key : NULL;
}

const char *
nd_error_meta_value(const struct nd_error *err, size_t i)
{
    return i < nd_error_n_meta(err) ? err->meta.at[i].value : NULL;
}

uint64_t
nd_error_get_retry_ms(const struct nd_error *err)
{
    return err != NULL ? err->retry_ms : 0;
}

struct nd_error *
nd_error_copy(const struct nd_error *err)
{
    struct nd_error *copy;

    if (err == NULL)
        return NULL;
    copy = make(err->code, nd_strdup(err->message));
    copy->field = nd_strdup(err->field);
    copy->field_at = err->field_at;
    copy->reason = nd_strdup(err->reason);
    copy->component = nd_strdup(err->component);
    copy->retry_ms = err->retry_ms;
    for (size_t i = 0; i < err->hints.n; i++)
        add_pair(&copy->hints, NULL, nd_strdup(err->hints.at[i].value));
    for (size_t i = 0; i < err->meta.n; i++)
        add_pair(&copy->meta, nd_strdup(err->meta.at[i].key), nd_strdup(err->meta.at[i].value));
    return copy;
}

static void
free_pairs(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        nd_free(pairs->at[i].key);
        nd_free(pairs->at[i].value);
    }
    nd_free(pairs->at);
}

void
nd_error_free(struct nd_error *err)
{
    if (err == NULL)
        return;
    free_pairs(&err->hints);
    free_pairs(&err->meta);
    nd_free(err->message);
    nd_free(err->field);
    nd_free(err->reason);
    nd_free(err->component);
    nd_free(err);
}

void
nd_error_freep(struct nd_error **err)
{
    nd_error_free(*err);
}
