/*
 * What a containerd record says, for containers of ours and of nerdctl alike: any label may be
 * missing or broken, and a container of somebody else may have none.
 */

#include <ctype.h>

#include "containers_priv.h"
#include "labels_priv.h"

/* From Go's zero time, which means unset, to the year 9999: what a timestamp can be on the wire. */
#define UNSET_SECONDS INT64_C(-62135596800)
#define MAX_SECONDS   INT64_C(253402300799)

const char *
nd_container_record_label(const record *rec, const char *key)
{
    for (size_t i = 0; i < rec->n_labels; i++) {
        if (strcmp(rec->labels[i]->key, key) == 0)
            return rec->labels[i]->value;
    }
    return NULL;
}

bool
nd_container_record_label_is(const record *rec, const char *key, const char *value)
{
    const char *label = nd_container_record_label(rec, key);

    return label != NULL && strcmp(label, value) == 0;
}

const char *
nd_container_record_name(const record *rec)
{
    const char *name = nd_container_record_label(rec, LABEL_NAME);

    return name != NULL ? name : "";
}

const char *
nd_container_record_birth(const record *rec, struct nd_arena *arena)
{
    struct nd_wall at = nd_wall_of(rec->created_at);

    return nd_arena_printf(arena, "%lld.%09ld", (long long)at.sec, (long)at.nsec);
}

static void
free_json(void *json)
{
    nd_json_free(json);
}

struct nd_error *
nd_container_record_spec(const record *rec, struct nd_arena *arena, const struct nd_json **ret)
{
    struct nd_json *json;
    struct nd_error *err;

    if (rec->spec == NULL)
        return nd_error_new(ND_DATA_LOSS, "container %s has no spec", rec->id);
    err = nd_json_parse(nd_str_n(rec->spec->value.data, rec->spec->value.len), NULL, &json);
    if (err != NULL)
        return nd_error_recode(nd_error_wrap(err, "spec of container %s", rec->id), ND_DATA_LOSS);
    nd_arena_defer(arena, free_json, json);
    *ret = json;
    return NULL;
}

void
nd_container_record_json_label(const record *rec, const char *key, struct nd_arena *arena,
                               const struct nd_json **ret)
{
    const char *text = nd_container_record_label(rec, key);
    struct nd_json *json;
    struct nd_error *err;

    *ret = NULL;
    if (text == NULL)
        return;
    err = nd_json_parse(nd_str(text), NULL, &json);
    if (err != NULL) {
        nd_error_free(err);
        return;
    }
    nd_arena_defer(arena, free_json, json);
    *ret = json;
}

/* "64m", "1.5g", "67108864": units of 1024, as nerdctl takes them. */
int64_t
nd_ipc_shm_size(const struct nd_json *ipc)
{
    static const char units[] = "bkmgt";
    struct nd_str text = nd_json_string(nd_json_find(ipc, "shmSize"));
    double value = 0, scale = 1;
    bool fraction = false;
    const char *unit;
    size_t i = 0;

    for (; i < text.len && (isdigit((unsigned char)text.ptr[i]) || text.ptr[i] == '.'); i++) {
        if (text.ptr[i] == '.')
            fraction = true;
        else if (fraction)
            value += (text.ptr[i] - '0') * (scale /= 10);
        else
            value = value * 10 + (text.ptr[i] - '0');
    }
    while (i < text.len && text.ptr[i] == ' ')
        i++;
    unit = i < text.len ? strchr(units, tolower((unsigned char)text.ptr[i])) : units;
    for (const char *u = units; unit != NULL && u < unit; u++)
        value *= 1024;
    return unit != NULL && value < (double)(INT64_MAX / 2) ? (int64_t)value : 0;
}

char **
nd_json_list(const struct nd_json *list, struct nd_arena *arena, size_t *ret_n)
{
    size_t n = nd_json_type(list) == ND_JSON_ARRAY ? nd_json_count(list) : 0;
    char **texts = nd_arena_new_array(arena, n, char *);

    for (size_t i = 0; i < n; i++)
        texts[i] = nd_arena_str(arena, nd_json_string(nd_json_at(list, i)));
    *ret_n = n;
    return texts;
}

struct nd_wall
nd_wall_of(const Google__Protobuf__Timestamp *ts)
{
    if (ts == NULL || ts->seconds <= UNSET_SECONDS || ts->seconds > MAX_SECONDS || ts->nanos < 0 ||
        ts->nanos > 999999999)
        return (struct nd_wall){0, 0};
    return (struct nd_wall){ts->seconds, ts->nanos};
}

Google__Protobuf__Timestamp *
nd_timestamp_of(struct nd_wall at, struct nd_arena *arena)
{
    Google__Protobuf__Timestamp *ts;

    if (at.sec == 0 && at.nsec == 0)
        return NULL;
    ts = nd_arena_new_object(arena, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(ts);
    ts->seconds = at.sec;
    ts->nanos = at.nsec;
    return ts;
}
