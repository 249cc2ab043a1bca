/*
 * From a request to a plan: the table of checks, and what they share.
 *
 *   ContainerConfig ──▶ process, names, network, mounts, devices, resources, ... ──▶ struct plan
 *                                     (plan_<part>.c, one each)
 *
 * Every field of the message is looked at in exactly one of the parts. A value is either right, or
 * refused by its name, or (for a few that the user should know about) accepted with a warning;
 * nothing is ignored. The first wrong field is reported, its path as the .proto file has it. All of
 * this is a function of the request and of facts gathered at start: the disk and containerd are
 * looked at by the creation itself, which still comes before the first change.
 */

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#include "plan_priv.h"

#define MAX_WARNINGS 64u

typedef struct nd_error *plan_part(struct plan *plan);

static plan_part *const parts[] = {
    nd_plan_process, nd_plan_names,    nd_plan_namespaces, nd_plan_network,
    nd_plan_mounts,  nd_plan_devices,  nd_plan_resources,  nd_plan_ulimits,
    nd_plan_sysctls, nd_plan_security, nd_plan_log,        nd_plan_runtime,
};

struct nd_error *
nd_plan_make(const Pb__ContainerConfig *config, const struct nd_host_facts *facts,
             const struct nd_host_settings *settings, struct nd_arena *arena, struct plan **ret)
{
    struct plan *plan = nd_arena_new_object(arena, struct plan);

    if (config == NULL)
        return nd_error_field("config", "is missing");
    plan->config = config;
    plan->facts = facts;
    plan->settings = settings;
    plan->arena = arena;
    plan->warnings = nd_arena_new_array(arena, MAX_WARNINGS, char *);
    for (size_t i = 0; i < ND_LEN(parts); i++) {
        struct nd_error *err = parts[i](plan);

        if (err != NULL)
            return nd_error_in_field(err, "config");
    }
    *ret = plan;
    return NULL;
}

void
nd_plan_warn(struct plan *plan, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (plan->n_warnings == MAX_WARNINGS)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    plan->warnings[plan->n_warnings++] = nd_arena_strdup(plan->arena, text);
}

struct nd_error *
nd_in_element(struct nd_error *err, const char *list, size_t i)
{
    char prefix[64];

    if (err == NULL)
        return NULL;
    (void)snprintf(prefix, sizeof(prefix), "%s[%zu]", list, i);
    return nd_error_in_field(err, prefix);
}

struct nd_error *
nd_in_entry(struct nd_error *err, const char *map, const char *key)
{
    char prefix[192];

    if (err == NULL)
        return NULL;
    (void)snprintf(prefix, sizeof(prefix), "%s[\"%.100s\"]", map, key);
    return nd_error_in_field(err, prefix);
}

struct nd_error *
nd_not_yet(const char *field, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return nd_error_reason(nd_error_recode(nd_error_field(field, "%s", text), ND_UNIMPLEMENTED),
                           "NOT_SUPPORTED");
}

struct nd_error *
nd_check_count(const char *list, size_t n, size_t max)
{
    if (n > max)
        return nd_error_field(list, "has %zu entries, at most %zu are allowed", n, max);
    return NULL;
}

struct nd_error *
nd_check_text(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len == 0)
        return nd_error_new(ND_INVALID, "is empty");
    if (len > max)
        return nd_error_new(ND_INVALID, "is longer than %zu bytes", max);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return nd_error_new(ND_INVALID, "contains a control character");
    }
    return NULL;
}

/* Components are cut at slashes; "" and "." vanish, ".." is refused: nobody needs it here. */
struct nd_error *
nd_clean_path(struct nd_arena *arena, const char *path, const char **ret)
{
    struct nd_str rest = nd_str(path), piece;
    char *clean;
    size_t n = 0;

    ND_TRY(nd_check_text(path, ND_CONFIG_MAX_TEXT - 1));
    if (path[0] != '/')
        return nd_error_new(ND_INVALID, "is not an absolute path");
    clean = nd_arena_alloc(arena, rest.len + 2);
    while (nd_str_next(&rest, '/', &piece)) {
        if (piece.len == 0 || nd_str_eqz(piece, "."))
            continue;
        if (nd_str_eqz(piece, ".."))
            return nd_error_new(ND_INVALID, "contains \"..\"");
        if (piece.len > 255)
            return nd_error_new(ND_INVALID, "has a component longer than 255 bytes");
        clean[n++] = '/';
        memcpy(clean + n, piece.ptr, piece.len);
        n += piece.len;
    }
    if (n == 0)
        clean[n++] = '/';
    clean[n] = '\0';
    *ret = clean;
    return NULL;
}
