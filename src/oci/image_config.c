/*
 * The config of an image: what a container of it starts with, and what its root is made of.
 *
 * Docker and OCI agree on it, save for some keys that only docker has (Healthcheck). Member names
 * are compared exactly. The health check is kept as text, because it goes into a label as it is.
 *
 * A chain id names the stack of layers below and including one:
 *
 *     chain(1) = diff(1)        chain(n) = sha256(chain(n-1) + " " + diff(n))
 */

#include "base/alloc.h"
#include "codec/digest.h"

#include "image_priv.h"

/* NULL stays NULL. */
static struct nd_error *
in_field(struct nd_error *err, const char *key)
{
    return err != NULL ? nd_error_in_field(err, key) : NULL;
}

static struct nd_error *
read_platform(const struct nd_json *document, struct nd_platform *ret)
{
    struct nd_str os, arch, variant;

    ND_TRY(nd_json_get_str(document, "os", &os));
    ND_TRY(nd_json_get_str(document, "architecture", &arch));
    ND_TRY(nd_json_get_str(document, "variant", &variant));
    return nd_platform_make(os, arch, variant, ret);
}

static struct nd_error *
read_healthcheck(const struct nd_json *object, struct nd_arena *arena, const char **ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(2 * ND_OCI_MAX_BYTES);
    const struct nd_json *check;

    *ret = "";
    ND_TRY(nd_json_get_object(object, "Healthcheck", &check));
    if (check == NULL)
        return NULL;
    ND_TRY(nd_json_write(check, ND_JSON_GO, &text));
    *ret = nd_arena_str(arena, nd_buf_str(&text));
    return NULL;
}

/* A member of a config and where it goes. */
struct member {
    const char *key;
    size_t offset;   /* in struct nd_oci_config: of a text, or of a list ... */
    size_t n_offset; /* ... and of the number of its elements */
};

#define TEXT(key, name)                                \
    {                                                  \
        (key), offsetof(struct nd_oci_config, name), 0 \
    }
#define LIST(key, name)                                                                       \
    {                                                                                         \
        (key), offsetof(struct nd_oci_config, name), offsetof(struct nd_oci_config, n_##name) \
    }

static const struct member texts[] = {
    TEXT("User", user),
    TEXT("WorkingDir", working_dir),
    TEXT("StopSignal", stop_signal),
};

static const struct member lists[] = {
    LIST("Env", env),
    LIST("Entrypoint", entrypoint),
    LIST("Cmd", cmd),
};

/* Objects of which only the keys matter. */
static const struct member sets[] = {
    LIST("ExposedPorts", exposed_ports),
    LIST("Volumes", volumes),
};

static void *
at(struct nd_oci_config *c, size_t offset)
{
    return (char *)c + offset;
}

static struct nd_error *
read_lists(const struct nd_json *object, struct nd_arena *arena, struct nd_oci_config *c)
{
    for (size_t i = 0; i < ND_LEN(lists); i++)
        ND_TRY(nd_oci_get_texts(object, lists[i].key, ND_OCI_MAX_LIST, arena,
                                at(c, lists[i].offset), at(c, lists[i].n_offset)));
    for (size_t i = 0; i < ND_LEN(sets); i++)
        ND_TRY(nd_oci_get_keys(object, sets[i].key, arena, at(c, sets[i].offset),
                               at(c, sets[i].n_offset)));
    return nd_oci_get_pairs(object, "Labels", arena, &c->labels, &c->n_labels);
}

/* The object "config": how to run. It may be missing. */
static struct nd_error *
read_run_config(const struct nd_json *document, struct nd_arena *arena, struct nd_oci_config *c)
{
    const struct nd_json *object;

    ND_TRY(nd_json_get_object(document, "config", &object));
    for (size_t i = 0; i < ND_LEN(texts); i++)
        ND_TRY(in_field(nd_oci_get_text(object, texts[i].key, arena, at(c, texts[i].offset)),
                        "config"));
    ND_TRY(in_field(read_lists(object, arena, c), "config"));
    return in_field(read_healthcheck(object, arena, &c->healthcheck), "config");
}

static struct nd_error *
read_rootfs(const struct nd_json *document, struct nd_arena *arena, struct nd_oci_config *c)
{
    const struct nd_json *rootfs;
    struct nd_str type;

    ND_TRY(nd_json_get_object(document, "rootfs", &rootfs));
    ND_TRY(nd_json_get_str(rootfs, "type", &type));
    if (type.len > 0 && !nd_str_eqz(type, "layers"))
        return nd_error_field("type", "is \"%.*s\", not \"layers\"",
                              ND_STR_ARG(nd_str_sub(type, 0, 64)));
    ND_TRY(nd_oci_get_texts(rootfs, "diff_ids", ND_OCI_MAX_LAYERS, arena, &c->diff_ids,
                            &c->n_diff_ids));
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        struct nd_digest digest;
        struct nd_error *err = nd_digest_parse(nd_str(c->diff_ids[i]), &digest);

        if (err != NULL)
            return nd_oci_in_element(nd_error_recode(err, ND_INVALID), "diff_ids", i);
    }
    return NULL;
}

static struct nd_error *
read_history_entry(const struct nd_json *object, struct nd_arena *arena, struct nd_oci_history *ret)
{
    if (nd_json_type(object) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "is not an object");
    ND_TRY(nd_oci_get_time(object, "created", &ret->has_created, &ret->created));
    ND_TRY(nd_oci_get_text(object, "created_by", arena, &ret->created_by));
    ND_TRY(nd_oci_get_text(object, "author", arena, &ret->author));
    ND_TRY(nd_oci_get_text(object, "comment", arena, &ret->comment));
    return nd_json_get_bool(object, "empty_layer", &ret->empty_layer);
}

static struct nd_error *
read_history(const struct nd_json *document, struct nd_arena *arena, struct nd_oci_config *c)
{
    struct nd_oci_history *history;
    struct nd_oci_list list;

    ND_TRY(nd_oci_get_list(document, "history", ND_OCI_MAX_LIST, &list));
    history = nd_arena_new_array(arena, list.n, struct nd_oci_history);
    for (size_t i = 0; i < list.n; i++)
        ND_TRY(nd_oci_in_element(read_history_entry(nd_json_at(list.array, i), arena, &history[i]),
                                 "history", i));
    c->history = history;
    c->n_history = list.n;
    return NULL;
}

struct nd_error *
nd_oci_config_parse(struct nd_str text, struct nd_arena *arena, struct nd_oci_config *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    struct nd_oci_config c = {0};

    ND_TRY(nd_oci_document(text, &document));
    ND_TRY(read_platform(document, &c.platform));
    ND_TRY(nd_oci_get_time(document, "created", &c.has_created, &c.created));
    ND_TRY(nd_oci_get_text(document, "author", arena, &c.author));
    ND_TRY(read_run_config(document, arena, &c));
    ND_TRY(in_field(read_rootfs(document, arena, &c), "rootfs"));
    ND_TRY(read_history(document, arena, &c));
    *ret = c;
    return NULL;
}

const char *
nd_oci_chain_id(const struct nd_oci_config *config, size_t n, struct nd_arena *arena)
{
    char chain[ND_DIGEST_TEXT_SIZE] = "";

    ND_INVARIANT(n <= config->n_diff_ids);
    if (n == 1)
        return nd_arena_strdup(arena, config->diff_ids[0]);
    for (size_t i = 1; i < n; i++) {
        ND_AUTO(nd_freep)
        char *both =
            nd_asprintf("%s %s", i == 1 ? config->diff_ids[0] : chain, config->diff_ids[i]);

        nd_digest_of(ND_SHA256, nd_str(both), chain);
    }
    return nd_arena_strdup(arena, chain);
}
