/*
 * Flags in help: one line each, aligned behind the longest, sorted by name as pflag does it.
 *
 *       --format string   Format the output (default "table")
 *   -q, --quiet           Only print ids
 */

#include <stdlib.h>

#include "remote/flags.h"
#include "remote/limits.h"

const char *
nd_flag_type_name(enum nd_flag_type type)
{
    switch (type) {
    case ND_FLAG_BOOL:
        return "";
    case ND_FLAG_STRING:
        return "string";
    case ND_FLAG_INT:
    case ND_FLAG_INT64:
        return "int";
    case ND_FLAG_UINT16:
        return "uint16";
    case ND_FLAG_UINT64:
        return "uint";
    case ND_FLAG_FLOAT:
        return "float";
    case ND_FLAG_DURATION:
        return "duration";
    case ND_FLAG_SLICE:
        return "strings";
    case ND_FLAG_ARRAY:
        return "stringArray";
    }
    return "";
}

static const char *
left_side(struct nd_arena *arena, const struct nd_flag *flag)
{
    const char *type = nd_flag_type_name(flag->type);
    char shorthand[] = {'-', flag->shorthand, ',', ' ', '\0'};

    return nd_arena_printf(arena, "  %s--%s%s%s", flag->shorthand != '\0' ? shorthand : "    ",
                           flag->name, type[0] != '\0' ? " " : "", type);
}

/* " (default X)", unless the default is nothing. */
static const char *
fallback_text(struct nd_arena *arena, const struct nd_flag *flag)
{
    const char *value = flag->fallback;
    bool nothing = value[0] == '\0' || nd_str_eqz(nd_str(value), "false") ||
                   nd_str_eqz(nd_str(value), "0") || nd_str_eqz(nd_str(value), "0s");

    if (nothing)
        return "";
    if (flag->type == ND_FLAG_STRING)
        return nd_arena_printf(arena, " (default \"%s\")", value);
    if (flag->type == ND_FLAG_SLICE || flag->type == ND_FLAG_ARRAY)
        return nd_arena_printf(arena, " (default [%s])", value);
    return nd_arena_printf(arena, " (default %s)", value);
}

static int
compare_flags(const void *a, const void *b)
{
    const struct nd_flag *const *left = a, *const *right = b;

    return nd_str_cmp(nd_str((*left)->name), nd_str((*right)->name));
}

void
nd_flags_help(struct nd_arena *arena, struct nd_flag_table table, struct nd_buf *out)
{
    const struct nd_flag **shown = nd_arena_new_array(arena, table.n + 1, const struct nd_flag *);
    size_t n = 0, width = 0;

    for (size_t i = 0; i < table.n; i++) {
        if ((table.flags[i].marks & ND_FLAG_HIDDEN) != 0)
            continue;
        shown[n++] = &table.flags[i];
        width = ND_MAX(width, strlen(left_side(arena, &table.flags[i])));
    }
    qsort(shown, n, sizeof(const struct nd_flag *), compare_flags);
    for (size_t i = 0; i < n; i++) {
        bool refused = (shown[i]->marks & (ND_FLAG_UNSUPPORTED | ND_FLAG_HOST_ONLY)) != 0;

        nd_buf_printf(out, "%-*s   %s%s%s\n", (int)width, left_side(arena, shown[i]),
                      shown[i]->help, fallback_text(arena, shown[i]),
                      refused ? " (not supported yet)" : "");
    }
}
