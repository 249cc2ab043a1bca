#ifndef REMOTE_FLAGS_H
#define REMOTE_FLAGS_H

/*
 * Flags of the command line: declared once in tables, from which parsing, help, completion and
 * manual pages come. The syntax is that of the pflag library, which docker and nerdctl use:
 *
 *     --name value   --name=value   --switch   --switch=false
 *     -n value   -n=value   -nvalue   -ab (switches together, the last may take a value)
 *     --   ends the flags
 *
 * Context of everything here: any.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "remote/units.h"

enum nd_flag_type {
    ND_FLAG_BOOL,
    ND_FLAG_STRING,
    ND_FLAG_INT,
    ND_FLAG_INT64,
    ND_FLAG_UINT16,
    ND_FLAG_UINT64,
    ND_FLAG_FLOAT,
    ND_FLAG_DURATION,
    ND_FLAG_SLICE, /* may be repeated, each value is a comma-separated list */
    ND_FLAG_ARRAY, /* may be repeated, values are taken as they are */
};

enum nd_flag_mark {
    ND_FLAG_PLAIN = 0,
    ND_FLAG_HIDDEN = 1,      /* not in help */
    ND_FLAG_UNSUPPORTED = 2, /* known, but the API has nothing for it: refused when it is used */
    ND_FLAG_HOST_ONLY = 4,   /* means something only beside containerd: refused when it is used */
    ND_FLAG_NO_EFFECT = 8,   /* accepted as nerdctl accepts it, and does nothing there either */
    ND_FLAG_ROOT_ONLY = 16,  /* only in front of the command's name */
    ND_FLAG_ROOT_SHORT = 32, /* the shorthand only there */
};

struct nd_flag {
    const char *name;
    char shorthand; /* '\0': none */
    enum nd_flag_type type;
    const char *fallback; /* the value when it is not given, as text; "" for none */
    const char *help;
    unsigned marks;
    const char *same_as; /* the flag that really gets the value; NULL: this one */
};

struct nd_flag_table {
    const struct nd_flag *flags;
    size_t n;
};
#define ND_FLAG_TABLE(array) ((struct nd_flag_table){(array), ND_LEN(array)})

/* The values of one table. */
struct nd_flags;

/* The table must outlive it; everything is in the arena. */
struct nd_flags *nd_flags_new(struct nd_arena *arena, struct nd_flag_table table)
    __attribute__((__returns_nonnull__));

/* From here on the set does not know what is marked ND_FLAG_ROOT_ONLY and ND_FLAG_ROOT_SHORT. */
void nd_flags_leave_root(struct nd_flags *flags);

/* Words that are still to be read, and what becomes of them. */
struct nd_flag_words {
    struct nd_str *words;
    size_t n;
    bool mixed;           /* flags may follow arguments */
    struct nd_texts args; /* result: what is no flag */
    bool help;            /* result: --help or -h was met; parsing stopped there */
};

/*
 * Read `words` into `sets`, of which the first that knows a flag gets it. Unless `mixed`,
 * everything from the first argument on is argument. Fails: ND_INVALID "unknown flag: --x" and so
 * on.
 */
struct nd_error *nd_flags_parse(struct nd_arena *arena, struct nd_flags *const *sets, size_t n_sets,
                                struct nd_flag_words *words) ND_CHECK_RESULT;

/* A flag that was given but cannot be honoured. Fails: ND_UNIMPLEMENTED, names it. */
struct nd_error *nd_flags_check_supported(const struct nd_flags *flags) ND_CHECK_RESULT;

/* Whether its table has a flag of this name. */
bool nd_flags_has(const struct nd_flags *flags, const char *name);

/* Values. The flag must be in the table and of that type. */
bool nd_flag_given(const struct nd_flags *flags, const char *name);
bool nd_flag_bool(const struct nd_flags *flags, const char *name);
struct nd_str nd_flag_text(const struct nd_flags *flags, const char *name); /* STRING */
const char *nd_flag_textz(const struct nd_flags *flags, const char *name)
    __attribute__((__returns_nonnull__));
int64_t nd_flag_int(const struct nd_flags *flags, const char *name);   /* INT, INT64 */
uint64_t nd_flag_uint(const struct nd_flags *flags, const char *name); /* UINT16, UINT64 */
double nd_flag_float(const struct nd_flags *flags, const char *name);
int64_t nd_flag_duration(const struct nd_flags *flags, const char *name);
const struct nd_texts *nd_flag_list(const struct nd_flags *flags, const char *name);

/* Lines of help, aligned, sorted by name: "  -s, --long type   text (default X)". */
void nd_flags_help(struct nd_arena *arena, struct nd_flag_table table, struct nd_buf *out);

/* What help calls the type of a value: "string", "strings", "int"; "" for switches. */
const char *nd_flag_type_name(enum nd_flag_type type);

#endif
