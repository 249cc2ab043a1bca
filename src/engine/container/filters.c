/*
 * The filters of a list: "key=value", several of one key are alternatives, except labels, which
 * must all hold; different keys must hold together.
 *
 * before and since name a container by which others are measured; it is looked for among the listed
 * ones.
 */

#include <stdio.h>

#include "container/limits.h"

#include "filters_priv.h"
#include "status_priv.h"

enum key {
    KEY_ID,
    KEY_NAME,
    KEY_LABEL,
    KEY_EXITED,
    KEY_STATUS,
    KEY_BEFORE,
    KEY_SINCE,
    KEY_VOLUME,
    KEY_NETWORK,
    KEYS
};

static const char *const key_names[KEYS] = {
    [KEY_ID] = "id",         [KEY_NAME] = "name",     [KEY_LABEL] = "label",
    [KEY_EXITED] = "exited", [KEY_STATUS] = "status", [KEY_BEFORE] = "before",
    [KEY_SINCE] = "since",   [KEY_VOLUME] = "volume", [KEY_NETWORK] = "network",
};

/* Words of docker; the last two no container of containerd has. */
static const char *const status_words[] = {"created",    "running",  "paused", "exited",
                                           "restarting", "removing", "dead"};

struct filter {
    enum key key;
    size_t index; /* in the request */
    struct nd_str value;
    uint64_t code;              /* KEY_EXITED */
    struct nd_pattern *pattern; /* KEY_NAME */
    struct nd_wall at;          /* KEY_BEFORE, KEY_SINCE, once bound */
};

struct nd_filters {
    struct filter *at;
    size_t n;
};

static struct nd_error *
parse_value(struct filter *f, struct nd_arena *arena)
{
    switch (f->key) {
    case KEY_NAME:
        return nd_pattern_compile(f->value, arena, &f->pattern);
    case KEY_EXITED:
        return nd_parse_u64(f->value, 255, &f->code);
    case KEY_STATUS:
        for (size_t i = 0; i < ND_LEN(status_words); i++) {
            if (nd_str_eqz(f->value, status_words[i]))
                return NULL;
        }
        return nd_error_new(ND_INVALID, "\"%.*s\" is no status of a container",
                            ND_STR_ARG(nd_str_sub(f->value, 0, 40)));
    default:
        return NULL;
    }
}

static struct nd_error *
parse_filter(struct nd_str text, struct nd_arena *arena, struct filter *f)
{
    size_t equals = nd_str_find(text, '=');
    struct nd_str key = nd_str_sub(text, 0, equals);

    if (text.len > ND_LIST_MAX_PATTERN)
        return nd_error_new(ND_INVALID, "is longer than %u bytes", ND_LIST_MAX_PATTERN);
    if (equals == SIZE_MAX)
        return nd_error_new(ND_INVALID, "is not of the form key=value");
    f->value = nd_str_from(text, equals + 1);
    if (f->value.len == 0)
        return nd_error_new(ND_INVALID, "has no value");
    for (f->key = 0; f->key < KEYS; f->key++) {
        if (nd_str_eqz(key, key_names[f->key]))
            return parse_value(f, arena);
    }
    return nd_error_new(ND_INVALID, "\"%.*s\" is no key of a filter",
                        ND_STR_ARG(nd_str_sub(key, 0, 40)));
}

static struct nd_error *
in_filter(struct nd_error *err, size_t i)
{
    char path[40];

    if (err == NULL)
        return NULL;
    (void)snprintf(path, sizeof(path), "filters[%zu]", i);
    return nd_error_in_field(err, path);
}

static size_t
count_patterns(const struct nd_filters *filters)
{
    size_t n = 0;

    for (size_t i = 0; i < filters->n; i++)
        n += filters->at[i].key == KEY_NAME;
    return n;
}

struct nd_error *
nd_filters_parse(char *const *texts, size_t n, struct nd_arena *arena, struct nd_filters **ret)
{
    struct nd_filters *filters = nd_arena_new_object(arena, struct nd_filters);

    if (n > ND_LIST_MAX_FILTERS)
        return nd_error_field("filters", "has more than %u entries", ND_LIST_MAX_FILTERS);
    filters->at = nd_arena_new_array(arena, n, struct filter);
    for (size_t i = 0; i < n; i++) {
        filters->at[i].index = i;
        ND_TRY(in_filter(parse_filter(nd_str(texts[i]), arena, &filters->at[i]), i));
    }
    filters->n = n;
    if (count_patterns(filters) > ND_LIST_MAX_PATTERNS)
        return nd_error_field("filters", "has more than %u by name", ND_LIST_MAX_PATTERNS);
    *ret = filters;
    return NULL;
}

bool
nd_filters_imply_all(const struct nd_filters *filters)
{
    for (size_t i = 0; i < filters->n; i++) {
        if (filters->at[i].key == KEY_STATUS || filters->at[i].key == KEY_EXITED)
            return true;
    }
    return false;
}

static struct nd_wall
created(const Pb__Container *c)
{
    return nd_wall_of(c->created_at);
}

/* By name, the beginning of the id, or a part of the name: the best of them. */
static const Pb__Container *
find_named(struct nd_str text, Pb__Container *const *all, size_t n)
{
    const Pb__Container *found = NULL;
    int best = 0;

    for (size_t i = 0; i < n; i++) {
        struct nd_str name = nd_str(all[i]->name);
        int how = nd_str_eq(name, text)                     ? 3
                  : nd_str_starts(nd_str(all[i]->id), text) ? 2
                  : nd_str_search(name, text) != SIZE_MAX   ? 1
                                                            : 0;

        if (how > best) {
            best = how;
            found = all[i];
        }
    }
    return found;
}

struct nd_error *
nd_filters_bind(struct nd_filters *filters, Pb__Container *const *all, size_t n)
{
    for (size_t i = 0; i < filters->n; i++) {
        struct filter *f = &filters->at[i];
        const Pb__Container *found;

        if (f->key != KEY_BEFORE && f->key != KEY_SINCE)
            continue;
        found = find_named(f->value, all, n);
        if (found == NULL)
            return in_filter(nd_error_new(ND_INVALID, "no such container: %.*s",
                                          ND_STR_ARG(nd_str_sub(f->value, 0, 100))),
                             f->index);
        f->at = created(found);
    }
    return NULL;
}

static bool
has_label(const Pb__Container *c, struct nd_str wanted)
{
    size_t equals = nd_str_find(wanted, '=');
    struct nd_str key = nd_str_sub(wanted, 0, equals);

    for (size_t i = 0; i < c->n_labels; i++) {
        if (nd_str_eqz(key, c->labels[i]->key))
            return equals == SIZE_MAX ||
                   nd_str_eqz(nd_str_from(wanted, equals + 1), c->labels[i]->value);
    }
    return false;
}

static bool
has_volume(const Pb__Container *c, struct nd_str wanted)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        if (nd_str_eqz(wanted, c->mounts[i]->source) || nd_str_eqz(wanted, c->mounts[i]->target))
            return true;
    }
    return false;
}

static bool
has_network(const Pb__Container *c, struct nd_str wanted)
{
    for (size_t i = 0; i < c->n_networks; i++) {
        if (nd_str_eqz(wanted, c->networks[i]))
            return true;
    }
    return false;
}

static bool
matches(const struct filter *f, const Pb__Container *c)
{
    switch (f->key) {
    case KEY_ID:
        return nd_str_starts(nd_str(c->id), f->value);
    case KEY_NAME:
        return nd_pattern_matches(f->pattern, nd_str_sub(nd_str(c->name), 0, ND_LIST_MATCH_BYTES));
    case KEY_LABEL:
        return has_label(c, f->value);
    case KEY_EXITED:
        return c->exit != NULL && c->exit->code == f->code;
    case KEY_STATUS:
        return nd_str_eqz(f->value, nd_state_word(c->state));
    case KEY_BEFORE:
        return nd_wall_cmp(created(c), f->at) < 0;
    case KEY_SINCE:
        return nd_wall_cmp(created(c), f->at) > 0;
    case KEY_VOLUME:
        return has_volume(c, f->value);
    case KEY_NETWORK:
        return has_network(c, f->value);
    case KEYS:
        break;
    }
    return false;
}

bool
nd_filters_match(const struct nd_filters *filters, const Pb__Container *container)
{
    bool asked[KEYS] = {false}, holds[KEYS] = {false};

    for (size_t i = 0; i < filters->n; i++) {
        const struct filter *f = &filters->at[i];
        bool one = matches(f, container);

        if (f->key == KEY_LABEL && !one)
            return false;
        asked[f->key] = true;
        holds[f->key] |= one;
    }
    for (size_t k = 0; k < KEYS; k++) {
        if (asked[k] && !holds[k])
            return false;
    }
    return true;
}
