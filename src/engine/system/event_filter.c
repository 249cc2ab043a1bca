/*
 * The filters of an event stream: texts "key=value", a handful of keys, each with its own idea of
 * what equals what. An image may be written as people write it; a container is meant by its name or
 * the beginning of its id.
 */

#include "oci/reference.h"
#include "system/limits.h"

#include "events_priv.h"

/* A value, and what it means as a name of an image (only for that key). */
struct filter_value {
    struct nd_str text;
    const char *image;      /* normalised; NULL when it is no reference */
    const char *repository; /* NULL when tag or digest were given */
};

typedef bool match_fn(const struct filter_value *value, const struct event_subject *subject);

static bool
match_event(const struct filter_value *value, const struct event_subject *subject)
{
    return nd_str_eqz(value->text, subject->event.action);
}

static bool
match_container(const struct filter_value *value, const struct event_subject *subject)
{
    if (strcmp(subject->event.type, "container") != 0)
        return false;
    return nd_str_eqz(value->text, subject->name) ||
           nd_str_starts(nd_str(subject->event.id), value->text);
}

/* "repository:tag" or "repository@digest" of that repository. */
static bool
is_of_repository(struct nd_str image, const char *repository)
{
    struct nd_str prefix = nd_str(repository);

    return nd_str_starts(image, prefix) && image.len > prefix.len &&
           (image.ptr[prefix.len] == ':' || image.ptr[prefix.len] == '@');
}

static bool
match_image(const struct filter_value *value, const struct event_subject *subject)
{
    struct nd_str image = nd_str(subject->image);

    if (image.len == 0)
        return false;
    return nd_str_eq(value->text, image) ||
           (value->image != NULL && nd_str_eqz(image, value->image)) ||
           (value->repository != NULL && is_of_repository(image, value->repository));
}

/* "key" or "key=value". */
static bool
match_label(const struct filter_value *value, const struct event_subject *subject)
{
    size_t at = nd_str_find(value->text, '=');
    struct nd_str key = at != SIZE_MAX ? nd_str_sub(value->text, 0, at) : value->text;

    for (size_t i = 0; i < subject->n_labels; i++) {
        const struct event_label *label = &subject->labels[i];

        if (nd_str_eqz(key, label->key))
            return at == SIZE_MAX || nd_str_eqz(nd_str_from(value->text, at + 1), label->value);
    }
    return false;
}

static bool
match_namespace(const struct filter_value *value, const struct event_subject *subject)
{
    return nd_str_eqz(value->text, subject->ns);
}

static bool
match_type(const struct filter_value *value, const struct event_subject *subject)
{
    return nd_str_eqz(value->text, subject->event.type);
}

static const struct filter_key {
    struct nd_str name;
    match_fn *matches;
    bool wants_objects;
} keys[] = {
    {ND_STR("event"), match_event, false},         {ND_STR("container"), match_container, true},
    {ND_STR("image"), match_image, true},          {ND_STR("label"), match_label, true},
    {ND_STR("namespace"), match_namespace, false}, {ND_STR("type"), match_type, false},
};

#define N_KEYS ND_LEN(keys)

struct event_filter {
    struct filter_value *values[N_KEYS];
    size_t n_values[N_KEYS];
};

/* --- parsing --- */

/* "status" is another word for "event", as in other tools. */
static size_t
find_key(struct nd_str name)
{
    if (nd_str_eqz(name, "status"))
        name = ND_STR("event");
    for (size_t i = 0; i < N_KEYS; i++)
        if (nd_str_eq(keys[i].name, name))
            return i;
    return SIZE_MAX;
}

static bool
has_tag_or_digest(struct nd_str image)
{
    struct nd_str last = nd_str_from(image, nd_str_rfind(image, '/') + 1);

    return nd_str_find(last, ':') != SIZE_MAX || nd_str_find(last, '@') != SIZE_MAX;
}

/* What is no reference can still be equal to a name. */
static void
understand_image(struct filter_value *value, struct nd_arena *arena)
{
    struct nd_reference ref;
    struct nd_error *err = nd_reference_parse(value->text, arena, &ref);

    if (err == NULL) {
        value->image = ref.name;
        value->repository = has_tag_or_digest(value->text) ? NULL : ref.repository;
    }
    nd_error_free(err);
}

static struct nd_error *
parse_one(struct nd_str text, size_t max_values, struct nd_arena *arena,
          struct event_filter *filter)
{
    size_t at = nd_str_find(text, '=');
    size_t key = at != SIZE_MAX ? find_key(nd_str_sub(text, 0, at)) : SIZE_MAX;
    struct filter_value *value;

    if (at == SIZE_MAX)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not key=value", ND_STR_ARG(text));
    if (key == SIZE_MAX)
        return nd_error_new(
            ND_INVALID, "\"%.*s\": the keys are event, container, image, label, namespace and type",
            ND_STR_ARG(text));
    if (at + 1 == text.len)
        return nd_error_new(ND_INVALID, "\"%.*s\" has no value", ND_STR_ARG(text));
    if (filter->values[key] == NULL)
        filter->values[key] = nd_arena_new_array(arena, max_values, struct filter_value);
    value = &filter->values[key][filter->n_values[key]++];
    value->text = nd_str_from(text, at + 1);
    if (keys[key].matches == match_image)
        understand_image(value, arena);
    return NULL;
}

struct nd_error *
nd_event_filter_parse(char *const *texts, size_t n, struct nd_arena *arena,
                      const struct event_filter **ret)
{
    struct event_filter *filter;

    if (n > ND_EVENTS_MAX_FILTERS)
        return nd_error_in_field(
            nd_error_new(ND_EXHAUSTED, "more than %u filters", ND_EVENTS_MAX_FILTERS), "filters");
    filter = nd_arena_new_object(arena, struct event_filter);
    for (size_t i = 0; i < n; i++) {
        struct nd_error *err = parse_one(nd_str(texts[i]), n, arena, filter);

        if (err != NULL)
            return nd_error_in_field(err, nd_arena_printf(arena, "filters[%zu]", i));
    }
    *ret = n != 0 ? filter : NULL;
    return NULL;
}

/* --- matching --- */

static bool
matches_key(const struct event_filter *filter, size_t key, const struct event_subject *subject)
{
    for (size_t i = 0; i < filter->n_values[key]; i++)
        if (keys[key].matches(&filter->values[key][i], subject))
            return true;
    return filter->n_values[key] == 0;
}

bool
nd_event_filter_matches(const struct event_filter *filter, const struct event_subject *subject)
{
    for (size_t key = 0; filter != NULL && key < N_KEYS; key++)
        if (!matches_key(filter, key, subject))
            return false;
    return true;
}

bool
nd_event_filter_wants_objects(const struct event_filter *filter)
{
    for (size_t key = 0; filter != NULL && key < N_KEYS; key++)
        if (keys[key].wants_objects && filter->n_values[key] != 0)
            return true;
    return false;
}
