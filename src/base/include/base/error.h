#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/*
 * The one error type. A code for programs, a message for people; where it helps a stable reason,
 * the failing field, a suggestion. NULL is success. A function that can fail returns the error and
 * nothing else, is marked ND_CHECK_RESULT, and leaves its results untouched on failure.
 * Context of everything here: any.
 */

#include "base/defs.h"

/* The gRPC status codes, same numbers: no mapping table anywhere. */
enum nd_code {
    ND_OK = 0,
    ND_CANCELLED = 1,
    ND_UNKNOWN = 2,
    ND_INVALID = 3,  /* INVALID_ARGUMENT */
    ND_DEADLINE = 4, /* DEADLINE_EXCEEDED */
    ND_NOT_FOUND = 5,
    ND_EXISTS = 6,       /* ALREADY_EXISTS */
    ND_DENIED = 7,       /* PERMISSION_DENIED */
    ND_EXHAUSTED = 8,    /* RESOURCE_EXHAUSTED */
    ND_PRECONDITION = 9, /* FAILED_PRECONDITION */
    ND_ABORTED = 10,
    ND_OUT_OF_RANGE = 11,
    ND_UNIMPLEMENTED = 12,
    ND_INTERNAL = 13,
    ND_UNAVAILABLE = 14,
    ND_DATA_LOSS = 15,
    ND_UNAUTHENTICATED = 16,
};
#define ND_CODE_MAX 16

/* "NOT_FOUND" and so on; "CODE_17" style text never occurs: out of range gives "UNKNOWN". */
const char *nd_code_name(enum nd_code code);

struct nd_error;

#define ND_NEW_ERROR ND_CHECK_RESULT __attribute__((__returns_nonnull__))

/* A new error, owned by the caller. Never NULL. */
struct nd_error *nd_error_new(enum nd_code code, const char *fmt, ...) ND_NEW_ERROR ND_PRINTF(2, 3);

/* From errno: picks the code (ENOENT is NOT_FOUND and so on), appends ": <text of errnum>". */
struct nd_error *nd_error_errno(int errnum, const char *fmt, ...) ND_NEW_ERROR ND_PRINTF(2, 3);

/* ND_INVALID about one field of a request: `path` as in the proto ("labels[3].key"). */
struct nd_error *nd_error_field(const char *path, const char *fmt, ...) ND_NEW_ERROR
    ND_PRINTF(2, 3);

/* Put "context: " in front of the message, keep the rest. Takes `err` and returns it. */
struct nd_error *nd_error_wrap(struct nd_error *err, const char *fmt, ...) ND_NEW_ERROR
    ND_PRINTF(2, 3);

/*
 * Attributes. Each takes `err` and returns it, copies its texts and replaces what was set before.
 *   recode      another code for the same message
 *   in_field    puts "prefix." in front of the field path, or sets it
 *   reason      stable, machine readable: UPPER_SNAKE, e.g. "IMAGE_NOT_FOUND"
 *   hint        one sentence on what the user can do; may be called several times, each is kept
 *   component   who failed: "containerd", "cni", "registry", ...
 *   meta        key and value for programs; several
 *   retry_in    the caller may try again after so many milliseconds
 */
struct nd_error *nd_error_recode(struct nd_error *err, enum nd_code code) ND_NEW_ERROR;
struct nd_error *nd_error_in_field(struct nd_error *err, const char *prefix) ND_NEW_ERROR;
struct nd_error *nd_error_reason(struct nd_error *err, const char *reason) ND_NEW_ERROR;
struct nd_error *nd_error_hint(struct nd_error *err, const char *fmt, ...) ND_NEW_ERROR
    ND_PRINTF(2, 3);
struct nd_error *nd_error_component(struct nd_error *err, const char *component) ND_NEW_ERROR;
struct nd_error *nd_error_meta(struct nd_error *err, const char *key,
                               const char *value) ND_NEW_ERROR;
struct nd_error *nd_error_retry_in(struct nd_error *err, uint64_t retry_ms) ND_NEW_ERROR;

/*
 * Getters. Texts are borrowed and live as long as the error; NULL when not set. NULL err is fine.
 */
enum nd_code nd_error_code(const struct nd_error *err);   /* ND_OK for NULL */
const char *nd_error_message(const struct nd_error *err); /* "" for NULL */
const char *nd_error_get_field(const struct nd_error *err);
const char *nd_error_get_reason(const struct nd_error *err);
const char *nd_error_get_component(const struct nd_error *err);
size_t nd_error_n_hints(const struct nd_error *err);
const char *nd_error_get_hint(const struct nd_error *err, size_t i);
size_t nd_error_n_meta(const struct nd_error *err);
const char *nd_error_meta_key(const struct nd_error *err, size_t i);
const char *nd_error_meta_value(const struct nd_error *err, size_t i);
uint64_t nd_error_get_retry_ms(const struct nd_error *err); /* 0: not set */

/* A copy, owned by the caller: for one failure that has several receivers. NULL gives NULL. */
struct nd_error *nd_error_copy(const struct nd_error *err);

void nd_error_free(struct nd_error *err); /* NULL is fine */
void nd_error_freep(struct nd_error **err);

/* Hand an unhandled failure to the caller as it is. */
#define ND_TRY(call)                       \
    do {                                   \
        struct nd_error *nd_try_ = (call); \
        if (nd_try_ != NULL)               \
            return nd_try_;                \
    } while (0)

/* The same, saying what was being done. */
#define ND_TRY_DOING(call, ...)                         \
    do {                                                \
        struct nd_error *nd_try_ = (call);              \
        if (nd_try_ != NULL)                            \
            return nd_error_wrap(nd_try_, __VA_ARGS__); \
    } while (0)

#endif
