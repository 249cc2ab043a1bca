/*
 * Images that match, newest first.
 *
 * Filters are docker's: values of one key are alternatives, different keys must all hold; `label` must hold
 * for each value. A reference may be a shell pattern over the familiar name, with or without its tag.
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

/* Every filter is looked at before any image is, so that a wrong one is an error also in an empty store. */
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

        split(f->req->filters[i], &key, &value);
        for (size_t k = 0; k < ND_LEN(keys); k++)
            known = known || nd_str_eqz(key, keys[k]);
        if (!known)
            return nd_error_field(path,
                                  "invalid filter \"%.*s\": known are before, since, label, "
                                  "reference, dangling",
                                  ND_STR_ARG(key));
        if (nd_str_eqz(key, "dangling"))
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

static bool
has_label(const Pb__Image *image, struct nd_str wanted)
{
    size_t equals = nd_str_find(wanted, '=');
    struct nd_str key = nd_str_sub(wanted, 0, ND_MIN(equals, wanted.len));

    for (size_t i = 0; i < image->n_labels; i++) {
        if (nd_str_eqz(key, image->labels[i]->key))
            return equals == SIZE_MAX ||
                   nd_str_eqz(nd_str_from(wanted, equals + 1), image->labels[i]->value);
    }
    return false;
}

static bool
matches_pattern(const Pb__Image *image, struct nd_str value, struct nd_arena *arena)
{
    const char *pattern = nd_arena_str(arena, value);

    return fnmatch(pattern, image->familiar_name, FNM_PATHNAME) == 0 ||
           fnmatch(pattern, image->repository, FNM_PATHNAME) == 0 ||
           fnmatch(pattern, image->name, FNM_PATHNAME) == 0;
}

static bool
is_dangling(const Pb__Image *image)
{
    return nd_str_eqz(nd_str(image->tag), "<none>");
}

/* Whether one filter holds. */
static bool
holds(const struct filters *f, const Pb__Image *image, struct nd_wall at, struct nd_str key,
      struct nd_str value, struct nd_arena *arena)
{
    if (nd_str_eqz(key, "before"))
        return nd_wall_cmp(at, f->before) < 0;
    if (nd_str_eqz(key, "since"))
        return nd_wall_cmp(at, f->since) > 0;
    if (nd_str_eqz(key, "label"))
        return has_label(image, value);
    if (nd_str_eqz(key, "reference"))
        return matches_pattern(image, value, arena);
    return is_dangling(image) == (nd_str_eqz(value, "true") || nd_str_eqz(value, "1"));
}

static bool
matches(const struct filters *f, const Pb__Image *image, struct nd_wall at, struct nd_arena *arena)
{
    const Pb__ImageServiceListRequest *req = f->req;
    bool any_reference = false, wants_reference = false;

    for (size_t i = 0; i < req->n_filters; i++) {
        struct nd_str key, value;

        split(req->filters[i], &key, &value);
        if (nd_str_eqz(key, "reference")) {
            wants_reference = true;
            any_reference = any_reference || holds(f, image, at, key, value, arena);
        } else if (!holds(f, image, at, key, value, arena)) {
            return false;
        }
    }
    if (wants_reference && !any_reference)
        return false;
    return req->reference[0] == '\0' || matches_pattern(image, nd_str(req->reference), arena);
}

static int
newest_first(const void *a, const void *b)
{
    const CtImages__Image *const *x = a, *const *y = b;

    return nd_wall_cmp(created(*y), created(*x));
}

/* Which names some container of the namespace uses. */
static struct nd_error *
used_names(struct nd_host *host, const char *ns, struct nd_arena *arena, struct nd_map *used)
{
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_ctrd_stream(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns},
                          CT_CONTAINERS_LIST_STREAM, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        CtContainers__ListStreamResponse *rsp;

        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        if (rsp->container != NULL && rsp->container->image[0] != '\0')
            (void)nd_map_set(used, nd_str(rsp->container->image), used);
    }
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
        Pb__Image *image;

        if (!begun) {
            begun = nd_str_eqz(nd_str(all->images[i]->name), req->page_token);
            continue;
        }
        if (req->page_size > 0 && rsp->n_images == (size_t)req->page_size) {
            rsp->next_page_token = rsp->images[rsp->n_images - 1]->name;
            return NULL;
        }
        ND_TRY(nd_image_present(host, ns, all->images[i], arena, &image));
        image->in_use = nd_map_find(used, nd_str(image->name)) != NULL;
        if (matches(f, image, created(all->images[i]), arena))
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
    ND_TRY(read_filters(host, ns, arena, &filters));
    ND_TRY(nd_record_list(host, ns, arena, &all));
    ND_TRY(used_names(host, ns, arena, used));
    qsort(all->images, all->n_images, sizeof(all->images[0]), newest_first);
    return fill_page(host, ns, &filters, all, used, arena, rsp);
}
