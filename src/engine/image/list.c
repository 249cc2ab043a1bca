/*
 * Images that match, newest first.
 *
 * Filters are docker's: values of one key are alternatives, different keys must all hold; `label`
 * must hold for each value. A reference may be a shell pattern over the familiar name, with or
 * without its tag.
 */

#include <fnmatch.h>
#include <stdlib.h>

#include "base/map.h"
#include "image/images.h"
#include "image/limits.h"
#include "oci/reference.h"

#include "present_priv.h"
#include "records_priv.h"

struct filters {
    const Pb__ImageServiceListRequest *req;
    bool has_before, has_since;
    struct nd_wall before, since; /* creation of the images that were named */
};

static void
split(const char *filter, struct nd_str *key, struct nd_str *value)
{
    struct nd_str whole = nd_str(filter);
    size_t equals = nd_str_find(whole, '=');

    *key = nd_str_sub(whole, 0, ND_MIN(equals, whole.len));
    *value = equals == SIZE_MAX ? ND_STR_NONE : nd_str_from(whole, equals + 1);
}

static struct nd_wall
created(const CtImages__Image *image)
{
    return image->created_at != NULL
               ? (struct nd_wall){image->created_at->seconds, image->created_at->nanos}
               : (struct nd_wall){0, 0};
}

static struct nd_error *
read_point(struct nd_host *host, const char *ns, struct nd_str image, struct nd_arena *arena,
           struct nd_wall *ret, bool *ret_has)
{
    struct nd_found_images found;

    ND_TRY(nd_record_find(host, ns, image, arena, &found));
    *ret = created(found.images[0]);
    *ret_has = true;
    return NULL;
}

static struct nd_error *
check_length(const char *field, const char *text)
{
    if (strlen(text) > ND_IMAGE_MAX_FILTER_BYTES)
        return nd_error_field(field, "is longer than %u bytes", ND_IMAGE_MAX_FILTER_BYTES);
    return NULL;
}

/*
 * Every filter is looked at before any image is, so that a wrong one is an error also in an empty
 * store.
 */
static struct nd_error *
read_filters(struct nd_host *host, const char *ns, struct nd_arena *arena, struct filters *f)
{
    static const char *const keys[] = {"before", "since", "label", "reference", "dangling"};

    if (f->req->n_filters > ND_IMAGE_MAX_FILTERS)
        return nd_error_field("filters", "more than %u", ND_IMAGE_MAX_FILTERS);
    for (size_t i = 0; i < f->req->n_filters; i++) {
        const char *path = nd_arena_printf(arena, "filters[%zu]", i);
        struct nd_str key, value;
        bool known = false, dangling;
        struct nd_error *err = NULL;

        ND_TRY(check_length(path, f->req->filters[i]));
        split(f->req->filters[i], &key, &value);
        for (size_t k = 0; k < ND_LEN(keys); k++)
            known = known || nd_str_eqz(key, keys[k]);
        if (!known)
            return nd_error_field(path,
                                  "invalid filter \"%.*s\": known are before, since, label, "
                                  "reference, dangling",
                                  ND_STR_ARG(key));
        if (value.len == 0)
            err = nd_error_new(ND_INVALID, "has no value");
        else if (nd_str_eqz(key, "dangling"))
            err = nd_parse_bool(value, &dangling);
        else if (nd_str_eqz(key, "before"))
            err = read_point(host, ns, value, arena, &f->before, &f->has_before);
        else if (nd_str_eqz(key, "since"))
            err = read_point(host, ns, value, arena, &f->since, &f->has_since);
        if (err != NULL)
            return nd_error_in_field(err, path);
    }
    return NULL;
}

/* What of a record the filters look at. */
struct subject {
    struct nd_host *host;
    const char *ns;
    const CtImages__Image *record;
    struct nd_arena *arena;
    const char *familiar,
        *repository; /* as people write them; the name itself when it is no reference */
    bool has_tag;
};

static void
name_subject(struct subject *s)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_reference ref;

    s->familiar = s->repository = s->record->name;
    err = nd_reference_parse(nd_str(s->record->name), s->arena, &ref);
    if (err != NULL)
        return;
    s->familiar = nd_reference_familiar(&ref, s->arena);
    s->repository = nd_reference_familiar_repository(&ref);
    s->has_tag = ref.tag[0] != '\0';
}

static bool
config_has_label(const struct nd_oci_config *config, struct nd_str key, const struct nd_str *value)
{
    for (size_t i = 0; i < config->n_labels; i++) {
        if (nd_str_eqz(key, config->labels[i].key))
            return value == NULL || nd_str_eqz(*value, config->labels[i].value);
    }
    return false;
}

/* The labels are those that the image was built with, of any platform; "key" or "key=value". */
static struct nd_error *
has_label(const struct subject *s, struct nd_str wanted, bool *ret)
{
    const size_t equals = nd_str_find(wanted, '=');
    const struct nd_str key = nd_str_sub(wanted, 0, ND_MIN(equals, wanted.len));
    const struct nd_str value = equals == SIZE_MAX ? ND_STR_NONE : nd_str_from(wanted, equals + 1);
    struct nd_tree tree;
    struct nd_error *err = nd_tree_read(s->host, (struct nd_ctrd_scope){.ns = s->ns},
                                        s->record->target, s->arena, &tree);

    *ret = false;
    if (nd_tree_is_broken(err)) {
        nd_error_free(err); /* without content it has no labels */
        return NULL;
    }
    ND_TRY(err);
    for (size_t i = 0; i < tree.n && !*ret; i++)
        *ret = tree.manifests[i].config != NULL &&
               config_has_label(tree.manifests[i].config, key, equals == SIZE_MAX ? NULL : &value);
    return NULL;
}

static bool
matches_pattern(const struct subject *s, struct nd_str value)
{
    const char *pattern = nd_arena_str(s->arena, value);

    return fnmatch(pattern, s->familiar, FNM_PATHNAME) == 0 ||
           fnmatch(pattern, s->repository, FNM_PATHNAME) == 0 ||
           fnmatch(pattern, s->record->name, FNM_PATHNAME) == 0;
}

static bool
is_true(struct nd_str value)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    bool yes = false;

    err = nd_parse_bool(value, &yes);
    return yes;
}

/* Whether one filter holds. */
static struct nd_error *
holds(const struct filters *f, const struct subject *s, struct nd_str key, struct nd_str value,
      bool *ret)
{
    if (nd_str_eqz(key, "label"))
        return has_label(s, value, ret);
    if (nd_str_eqz(key, "before"))
        *ret = nd_wall_cmp(created(s->record), f->before) < 0;
    else if (nd_str_eqz(key, "since"))
        *ret = nd_wall_cmp(created(s->record), f->since) > 0;
    else if (nd_str_eqz(key, "reference"))
        *ret = matches_pattern(s, value);
    else
        *ret = s->has_tag != is_true(value); /* dangling */
    return NULL;
}

/*
 * The name that the request asks for: with tag or digest that one, without all of the repository.
 */
static bool
is_referenced(const struct subject *s, const char *wanted)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_reference ref;
    const struct nd_str last = nd_str_from(nd_str(wanted), nd_str_rfind(nd_str(wanted), '/') + 1);
    const bool whole = nd_str_find(last, ':') != SIZE_MAX || nd_str_find(last, '@') != SIZE_MAX;

    if (wanted[0] == '\0' || matches_pattern(s, nd_str(wanted)))
        return true;
    err = nd_reference_parse(nd_str(wanted), s->arena, &ref);
    if (err != NULL)
        return false;
    return whole ? nd_str_eqz(nd_str(ref.name), s->record->name)
                 : nd_str_eqz(nd_str(nd_reference_familiar_repository(&ref)), s->repository);
}

static struct nd_error *
matches(const struct filters *f, struct subject *s, bool *ret)
{
    bool any_reference = false, wants_reference = false;

    name_subject(s);
    *ret = is_referenced(s, f->req->reference);
    for (size_t i = 0; i < f->req->n_filters && *ret; i++) {
        struct nd_str key, value;
        bool held = false;

        split(f->req->filters[i], &key, &value);
        ND_TRY(holds(f, s, key, value, &held));
        if (nd_str_eqz(key, "reference")) {
            wants_reference = true;
            any_reference = any_reference || held;
        } else {
            *ret = held;
        }
    }
    *ret = *ret && (any_reference || !wants_reference);
    return NULL;
}

static int
newest_first(const void *a, const void *b)
{
    const CtImages__Image *const *x = a, *const *y = b;

    const int by_time = nd_wall_cmp(created(*y), created(*x));

    return by_time != 0 ? by_time : strcmp((*x)->name, (*y)->name);
}

/* Page tokens are the name behind which the next page begins. */
static struct nd_error *
fill_page(struct nd_host *host, const char *ns, const struct filters *f,
          CtImages__ListResponse *all, const struct nd_map *used, struct nd_arena *arena,
          Pb__ImageServiceListResponse *rsp)
{
    const Pb__ImageServiceListRequest *req = f->req;
    bool begun = req->page_token[0] == '\0';

    rsp->images = nd_arena_new_array(arena, all->n_images + 1, Pb__Image *);
    for (size_t i = 0; i < all->n_images; i++) {
        struct subject subject = {.host = host, .ns = ns, .record = all->images[i], .arena = arena};
        Pb__Image *image;
        bool wanted;

        if (!begun) {
            begun = nd_str_eqz(nd_str(all->images[i]->name), req->page_token);
            continue;
        }
        ND_TRY(matches(f, &subject, &wanted));
        if (!wanted)
            continue;
        if (req->page_size > 0 && rsp->n_images == (size_t)req->page_size) {
            rsp->next_page_token = rsp->images[rsp->n_images - 1]->name;
            return NULL;
        }
        ND_TRY(nd_image_present(host, ns, all->images[i], used, arena, &image));
        rsp->images[rsp->n_images++] = image;
    }
    if (begun)
        return NULL;
    return nd_error_field("page_token", "is not one of this list, or the image it named is gone");
}

struct nd_error *
nd_images_list(struct nd_host *host, const char *ns, const Pb__ImageServiceListRequest *req,
               struct nd_arena *arena, Pb__ImageServiceListResponse *rsp)
{
    ND_AUTO(nd_map_freep) struct nd_map *used = nd_map_new();
    struct filters filters = {.req = req};
    CtImages__ListResponse *all;

    if (req->page_size < 0)
        return nd_error_field("page_size", "is negative");
    ND_TRY(check_length("reference", req->reference));
    ND_TRY(read_filters(host, ns, arena, &filters));
    ND_TRY(nd_record_list(host, ns, arena, &all));
    ND_TRY(nd_image_used_names(host, ns, NULL, used));
    if (all->n_images > 1)
        qsort(all->images, all->n_images, sizeof(all->images[0]), newest_first);
    return fill_page(host, ns, &filters, all, used, arena, rsp);
}
