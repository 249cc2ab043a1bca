/*
 * Loading an archive, as a sequence:
 *
 *   spool      what the client sends, to a file without a name
 *   lease      what is made from here on lives as long as the lease, or as a name leads to it
 *   scan       every file of the archive into the content store (scan.c)
 *   describe   which images are there: an OCI layout's index (load_oci.c) or docker's list
 *              (load_docker.c)
 *   link       each manifest gets labels that keep its config and layers
 *   unpack     layers to snapshots, for the platforms that were asked for
 *   name       the record in the image store: from here on it is an image
 *
 * Any failure, and a client that is gone, ends in the same place: the lease is deleted, shielded,
 * and the collector takes what no name leads to. There is nothing else to undo.
 */

#include "base/log.h"
#include "fiber/limits.h"
#include "image/images.h"
#include "image/limits.h"

#include "leased_priv.h"
#include "load_priv.h"
#include "present_priv.h"
#include "records_priv.h"
#include "spool_priv.h"
#include "unpack_priv.h"

#define PROGRESS_STEP (UINT64_C(8) << 20) /* bytes between two reports */

/* A load that is going on. */
struct load {
    struct nd_host *host;
    const Pb__LoadOptions *options;
    const struct nd_image_load_io *io;
    struct nd_ctrd_scope scope;
    struct nd_load_platforms wanted;
    struct leased *leased;
    struct nd_spool *spool;
    struct nd_arena *arena;
    uint64_t reported; /* bytes at the last report */
};

static struct nd_error *
report(struct load *l, const char *id, const char *action, uint64_t current, uint64_t total)
{
    Pb__Progress progress = PB__PROGRESS__INIT;

    progress.id = (char *)(uintptr_t)id;
    progress.action = (char *)(uintptr_t)action;
    progress.current = (int64_t)current;
    progress.total = (int64_t)total;
    return l->io->progress != NULL ? l->io->progress(l->io->arg, &progress) : NULL;
}

static struct nd_error *
receive(struct load *l)
{
    for (;;) {
        struct nd_str bytes;

        ND_TRY(l->io->read(l->io->arg, &bytes));
        if (bytes.len == 0)
            break;
        ND_TRY(nd_spool_add(l->spool, bytes));
        if (nd_spool_size(l->spool) - l->reported < PROGRESS_STEP)
            continue;
        l->reported = nd_spool_size(l->spool);
        ND_TRY(report(l, "archive", "receiving", l->reported, (uint64_t)l->options->total_bytes));
    }
    l->reported = 0;
    if (nd_spool_size(l->spool) > 0)
        return NULL;
    return nd_archive_fault(nd_error_new(ND_INVALID, "the archive is empty"));
}

static struct nd_error *
on_scan(void *arg, uint64_t done, uint64_t total)
{
    struct load *l = arg;

    if (done - l->reported < PROGRESS_STEP)
        return NULL;
    l->reported = done;
    return report(l, "archive", "loading", done, total);
}

/* The platforms that were asked for. */
static struct nd_error *
read_platforms(struct load *l)
{
    const Pb__LoadOptions *o = l->options;

    l->wanted.all = o->all_platforms;
    l->wanted.n = ND_MAX(o->n_platforms, (size_t)1);
    if (l->wanted.n > ND_LOAD_MAX_PLATFORMS)
        return nd_error_field("options.platforms", "more than %u", ND_LOAD_MAX_PLATFORMS);
    l->wanted.platforms = nd_arena_new_array(l->arena, l->wanted.n, struct nd_platform);
    nd_platform_host(&l->wanted.platforms[0]);
    for (size_t i = 0; i < o->n_platforms; i++) {
        struct nd_error *err = nd_platform_parse(nd_str(o->platforms[i]), &l->wanted.platforms[i]);

        if (err != NULL)
            return nd_error_in_field(err, nd_arena_printf(l->arena, "options.platforms[%zu]", i));
    }
    return NULL;
}

static struct nd_error *
nothing_wanted(const struct load *l, const char *name)
{
    char first[ND_PLATFORM_TEXT_SIZE];
    struct nd_error *err;

    nd_platform_format(&l->wanted.platforms[0], first);
    err = nd_error_new(ND_NOT_FOUND, "%s has nothing for %s%s", name, first,
                       l->wanted.n > 1 ? " and the others" : "");
    return nd_error_hint(nd_error_reason(err, "PLATFORM_NOT_FOUND"),
                         "name one that it has with --platform, or use --all-platforms");
}

/* The manifests that are wanted, unpacked if that is wanted; at least one must be. */
static struct nd_error *
unpack_wanted(struct load *l, const char *name, const struct nd_tree *tree)
{
    size_t n = 0;

    for (size_t i = 0; i < tree->n; i++) {
        const struct nd_tree_manifest *m = &tree->manifests[i];
        struct nd_unpack unpack = {m->manifest, m->config, NULL};
        const char *chain_id;

        if (m->manifest == NULL || m->config == NULL || !nd_load_wants(&l->wanted, &m->platform))
            continue;
        n++;
        if (l->options->no_unpack)
            continue;
        unpack.config_digest = m->manifest->config.digest;
        ND_TRY(report(l, name, "unpacking", 0, 0));
        ND_TRY_DOING(nd_image_unpack(l->host, l->scope, &unpack, l->arena, &chain_id), "unpack %s",
                     name);
    }
    return n > 0 ? NULL : nothing_wanted(l, name);
}

/* One image of the archive: all its names. */
static struct nd_error *
finish_image(struct load *l, const struct nd_scan *scan, const struct nd_loaded *image)
{
    struct nd_tree tree;

    ND_TRY(
        nd_load_link(nd_host_ctrd(l->host), l->scope, scan, &l->wanted, &image->target, l->arena));
    ND_TRY(nd_archive_fault(nd_tree_read(l->host, l->scope, &image->target, l->arena, &tree)));
    ND_TRY(nd_archive_fault(unpack_wanted(l, image->names[0], &tree)));
    for (size_t i = 0; i < image->n_names; i++) {
        CtImages__Image *record;
        Pb__Image *shown;

        ND_TRY(
            nd_record_put(l->host, l->scope, image->names[i], &image->target, l->arena, &record));
        ND_TRY(nd_image_present(l->host, l->scope.ns, record, NULL, l->arena, &shown));
        if (l->io->loaded != NULL)
            ND_TRY(l->io->loaded(l->io->arg, shown));
    }
    return NULL;
}

static struct nd_error *
load_scanned(struct load *l, const struct nd_scan *scan)
{
    struct nd_loaded_list list;

    ND_TRY(
        nd_archive_fault(nd_load_describe(nd_host_ctrd(l->host), l->scope, scan, l->arena, &list)));
    for (size_t i = 0; i < list.n; i++)
        ND_TRY(finish_image(l, scan, &list.images[i]));
    return NULL;
}

static struct nd_error *
load_under_lease(struct load *l)
{
    ND_AUTO(nd_scan_fini) struct nd_scan scan = {0};

    ND_TRY(nd_leased_take(l->leased));
    l->scope.lease = l->leased->lease.id;
    ND_TRY(nd_scan_archive(nd_host_ctrd(l->host), l->scope, l->spool, on_scan, l, l->arena, &scan));
    return load_scanned(l, &scan);
}

struct nd_error *
nd_image_load(struct nd_host *host, const char *ns, const Pb__LoadOptions *options,
              const struct nd_image_load_io *io)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_spool_freep) struct nd_spool *spool = NULL;
    ND_AUTO(nd_leased_end) struct leased leased = {0}; /* the names keep what was loaded */
    struct load l = {.leased = &leased,
                     .host = host,
                     .options = options,
                     .io = io,
                     .arena = arena,
                     .scope = {.ns = ns}};

    ND_TRY(read_platforms(&l));
    ND_TRY(nd_leased_begin(host, ns, true, &leased));
    ND_TRY(nd_spool_new(nd_host_settings(host)->data_root, &spool));
    l.spool = spool;
    ND_TRY(receive(&l));
    return load_under_lease(&l);
}
