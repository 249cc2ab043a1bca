/*
 * Honest archives: whatever their order and dress, they become the same images, with the labels
 * that keep them; and a load that ends early leaves nothing.
 */

#include <stdio.h>

#include "containerd/content.pb-c.h"
#include "containerd/snapshots.pb-c.h"
#include "fiber/group.h"

#include "image_world.h"

#define NAME "docker.io/library/made:1"
#define TAGS "[\"made:1\"]"

#define TURNS_MAX 100000000u /* of the loop: no load takes as many */

static struct nd_image_ready
resolve_ok(struct image_world *w, const char *name)
{
    struct nd_image_ready ready;

    expect_ok(nd_image_resolve(w->host, w->ns, nd_str(name), ND_STR_NONE, w->arena, &ready));
    return ready;
}

static void
remove_ok(struct image_world *w, const char *name)
{
    Pb__ImageServiceRemoveRequest req = PB__IMAGE_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ImageServiceRemoveResponse rsp = PB__IMAGE_SERVICE_REMOVE_RESPONSE__INIT;

    req.image = (char *)(uintptr_t)name;
    expect_ok(nd_image_remove(w->host, w->ns, &req, w->arena, &rsp));
}

/* Load it, look at it, remove it. */
static void
check_archive(struct image_world *w, struct made *m, struct nd_str archive)
{
    struct load_run run = {.bytes = archive};
    struct nd_image_ready ready;
    struct remains r;

    expect_ok(load_with(w, &run, NULL));
    assert_int_equal(run.n_loaded, 1);
    assert_string_equal(run.name[0], NAME);
    ready = resolve_ok(w, "made:1");
    assert_string_equal(ready.target_digest, run.digest[0]);
    assert_int_equal(ready.config->n_diff_ids, m->n_layers);
    r = remains_in(w);
    assert_int_equal(r.snapshots, m->n_layers);
    assert_int_equal(r.ingests + r.leases, 0);
    remove_ok(w, "made:1");
    assert_nothing_left(w, "removing it");
}

IN_REAL_LOOP(archives_load_in_every_dress)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "dress", 3);
    const struct nd_str docker = docker_archive(&m, &(struct docker_options){.tags = TAGS});
    const struct nd_str first =
        docker_archive(&m, &(struct docker_options){.tags = TAGS, .manifest_first = true});

    check_archive(w, &m, docker);
    check_archive(w, &m, first);
    check_archive(w, &m, gzipped(w->arena, docker));
    check_archive(w, &m, oci_archive(&m, NAME, false));
    check_archive(w, &m, oci_archive(&m, NAME, true));
    check_archive(w, &m, gzipped(w->arena, oci_archive(&m, NAME, true)));
    return NULL;
}

/* Old docker saves a layer once and links to it. */
IN_REAL_LOOP(layers_may_be_links)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "links", 1);

    m.n_layers = 3;
    m.layers[1] = m.layers[2] = m.layers[0];
    check_archive(w, &m, docker_archive(&m, &(struct docker_options){.tags = TAGS, .links = true}));
    return NULL;
}

IN_REAL_LOOP(images_without_layers_load)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "scratch", 0);

    load_ok(w, docker_archive(&m, &(struct docker_options){.tags = TAGS}));
    assert_string_equal(resolve_ok(w, "made:1").chain_id, "");
    remove_ok(w, "made:1");
    assert_nothing_left(w, "removing it");
    return NULL;
}

/* What the collector goes by, as containerd's own clients write it. */
IN_REAL_LOOP(parents_refer_to_their_children)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "labels", 2);
    struct nd_image_ready ready;

    load_ok(w, docker_archive(&m, &(struct docker_options){.tags = TAGS}));
    ready = resolve_ok(w, "made:1");
    assert_string_equal(blob_label(w, ready.manifest_digest, "containerd.io/gc.ref.content.config"),
                        ready.config_digest);
    for (unsigned i = 0; i < 2; i++) {
        const char *key = nd_arena_printf(w->arena, "containerd.io/gc.ref.content.l.%u", i);
        const char *layer = digest_of(w->arena, m.layers[i]);

        assert_string_equal(blob_label(w, ready.manifest_digest, key), layer);
        assert_string_equal(blob_label(w, layer, "containerd.io/uncompressed"), layer);
    }
    assert_string_equal(blob_label(w, ready.config_digest, "containerd.io/gc.ref.snapshot.native"),
                        ready.chain_id);
    return NULL;
}

IN_REAL_LOOP(every_tag_becomes_a_name)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "tags", 1);
    struct load_run run = {
        .bytes =
            docker_archive(&m, &(struct docker_options){.tags = "[\"one:1\",\"r.io:5/two:2\"]"})};

    expect_ok(load_with(w, &run, NULL));
    assert_int_equal(run.n_loaded, 2);
    assert_string_equal(run.name[0], "docker.io/library/one:1");
    assert_string_equal(run.name[1], "r.io:5/two:2");
    return NULL;
}

/* Named by date and digest, and found again by that and by its id. */
IN_REAL_LOOP(images_without_a_tag_get_a_name)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "untagged", 1);
    const struct nd_str archives[] = {
        docker_archive(&m, &(struct docker_options){.tags = "null"}),
        oci_archive(&m, NULL, false),
    };

    for (size_t i = 0; i < ND_LEN(archives); i++) {
        struct load_run run = {.bytes = archives[i]};
        struct nd_image_ready ready;

        expect_ok(load_with(w, &run, NULL));
        assert_true(nd_str_starts(nd_str(run.name[0]), ND_STR("import-20")));
        assert_true(nd_str_ends(nd_str(run.name[0]), nd_str(run.digest[0])));
        ready = resolve_ok(w, run.name[0]);
        assert_string_equal(ready.name, run.name[0]);
        ready = resolve_ok(w, nd_arena_strdup(w->arena, run.digest[0] + 7));
        assert_string_equal(ready.name, run.name[0]);
        remove_ok(w, run.name[0]);
        assert_nothing_left(w, "removing it");
    }
    return NULL;
}

IN_REAL_LOOP(loading_again_changes_nothing)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "again", 2);
    const struct nd_str archive = docker_archive(&m, &(struct docker_options){.tags = TAGS});
    struct remains before, after;

    load_ok(w, archive);
    before = remains_in(w);
    load_ok(w, archive);
    after = remains_in(w);
    assert_memory_equal(&before, &after, sizeof(before));
    return NULL;
}

/* A name that is taken moves to the new image; what only the old one needed goes. */
IN_REAL_LOOP(a_taken_name_moves)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made old = made_image(w->arena, "old", 1), new = made_image(w->arena, "new", 1);

    load_ok(w, docker_archive(&old, &(struct docker_options){.tags = TAGS}));
    load_ok(w, docker_archive(&new, &(struct docker_options){.tags = TAGS}));
    assert_string_equal(resolve_ok(w, "made:1").config->diff_ids[0],
                        digest_of(w->arena, new.layers[0]));
    assert_int_equal(remains_in(w).names, 1);
    return NULL;
}

struct loader {
    struct image_world *w;
    struct nd_str archive;
};

static struct nd_error *
load_fiber(void *arg)
{
    struct loader *l = arg;

    load_ok(l->w, l->archive);
    return NULL;
}

IN_REAL_LOOP(loads_of_one_image_at_once_agree)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "race", 4);
    struct loader loader = {w, docker_archive(&m, &(struct docker_options){.tags = TAGS})};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("loads", 0);
    struct remains r;

    for (unsigned i = 0; i < 6; i++)
        expect_ok(nd_group_spawn(g, load_fiber, &loader));
    expect_ok(nd_group_wait(g));
    r = remains_in(w);
    assert_int_equal(r.snapshots, 4);
    assert_int_equal(r.names, 1);
    assert_int_equal(r.leases + r.ingests, 0);
    remove_ok(w, "made:1");
    assert_nothing_left(w, "removing it");
    return NULL;
}

/* --- ends --- */

IN_REAL_LOOP(a_client_that_goes_leaves_nothing)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "gone", 2);
    struct load_run run = {.bytes = docker_archive(&m, &(struct docker_options){.tags = TAGS}),
                           .fail_at = 1};

    expect_code(load_with(w, &run, NULL), ND_CANCELLED);
    assert_int_equal(run.n_loaded, 0);
    assert_nothing_left(w, "the client has gone");
    return NULL;
}

struct cancelled {
    struct image_world *w;
    struct load_run run;
    bool ended;
};

static struct nd_error *
cancelled_load(void *arg)
{
    struct cancelled *c = arg;

    nd_error_free(load_with(c->w, &c->run, NULL));
    c->ended = true;
    return NULL;
}

/* Cancelled after so many turns of the loop, wherever that is. */
IN_REAL_LOOP(a_cancelled_load_leaves_nothing_or_the_image)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "cancel", 2);
    const struct nd_str archive = docker_archive(&m, &(struct docker_options){.tags = TAGS});
    bool finished = false;

    for (unsigned turns = 1; turns < TURNS_MAX && !finished; turns += 1 + turns / 8) {
        struct cancelled c = {.w = w, .run = {.bytes = archive}};
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("load", 0);
        struct remains r;

        expect_ok(nd_group_spawn(g, cancelled_load, &c));
        for (unsigned i = 0; i < turns && !c.ended; i++)
            expect_ok(nd_fiber_yield());
        nd_group_cancel(g);
        nd_error_free(nd_group_wait(g));
        assert_true(c.ended);
        finished = c.run.n_loaded > 0;
        r = remains_in(w);
        assert_int_equal(r.leases, 0);
        assert_int_equal(r.ingests, 0);
        if (r.names == 0)
            assert_nothing_left(w, "cancelling");
        else
            remove_ok(w, "made:1");
    }
    assert_true(finished);
    assert_nothing_left(w, "all of them");
    return NULL;
}

/* --- platforms --- */

/* An index with an image for each architecture, under NAME. */
static struct nd_str
index_of(struct image_world *w, const char *const *architectures, size_t n)
{
    struct layout l = layout_begin(w->arena);
    struct nd_buf text = ND_BUF_INIT(65536);
    const char *index;

    nd_buf_putz(&text, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[");
    for (size_t i = 0; i < n; i++) {
        struct made m = made_image(w->arena, architectures[i], 1);
        struct nd_str manifest;

        m.architecture = architectures[i];
        manifest = layout_image(&l, &m, false, false);
        layout_blob(&l, manifest, NULL);
        nd_buf_printf(&text,
                      "%s{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
                      "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}",
                      i > 0 ? "," : "", digest_of(w->arena, manifest), manifest.len,
                      architectures[i]);
    }
    nd_buf_putz(&text, "]}");
    index = nd_arena_str(w->arena, nd_buf_str(&text));
    nd_buf_fini(&text);
    layout_blob(&l, nd_str(index), NULL);
    layout_entry(&l, OCI_INDEX, nd_str(index),
                 ",\"annotations\":{\"io.containerd.image.name\":\"" NAME "\"}");
    return layout_end(&l);
}

static const char *const two[] = {"s390x", "riscv64"};

static void
load_platforms(struct image_world *w, const char *platform, bool all, enum nd_code code)
{
    struct load_run run = {.bytes = index_of(w, two, 2)};
    Pb__LoadOptions options = PB__LOAD_OPTIONS__INIT;
    char *platforms[] = {(char *)(uintptr_t)platform};

    options.platforms = platforms;
    options.n_platforms = platform != NULL;
    options.all_platforms = all;
    expect_code(load_with(w, &run, &options), code);
}

IN_REAL_LOOP(only_wanted_platforms_are_kept)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct nd_image_ready ready;

    load_platforms(w, "linux/s390x", false, ND_OK);
    assert_int_equal(remains_in(w).snapshots, 1);
    assert_int_equal(remains_in(w).blobs, 5); /* index, both manifests, one config, one layer */
    expect_ok(
        nd_image_resolve(w->host, w->ns, ND_STR(NAME), ND_STR("linux/s390x"), w->arena, &ready));
    assert_string_equal(ready.platform, "linux/s390x");
    expect_code(
        nd_image_resolve(w->host, w->ns, ND_STR(NAME), ND_STR("linux/riscv64"), w->arena, &ready),
        ND_NOT_FOUND);
    return NULL;
}

IN_REAL_LOOP(all_platforms_are_kept_on_request)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct nd_image_ready ready;

    load_platforms(w, NULL, true, ND_OK);
    assert_int_equal(remains_in(w).snapshots, 2);
    expect_ok(
        nd_image_resolve(w->host, w->ns, ND_STR(NAME), ND_STR("linux/riscv64"), w->arena, &ready));
    return NULL;
}

IN_REAL_LOOP(a_platform_that_is_missing_or_none_is_refused)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();

    load_platforms(w, NULL, false, ND_NOT_FOUND);
    load_platforms(w, "linux/ppc64le", false, ND_NOT_FOUND);
    load_platforms(w, "lin ux/!", false, ND_INVALID);
    assert_nothing_left(w, "loads for other platforms");
    return NULL;
}

/* --- unpacking --- */

static void
remove_snapshot(struct image_world *w, const char *key)
{
    CtSnapshots__RemoveRequest req = CT_SNAPSHOTS__REMOVE_REQUEST__INIT;
    Google__Protobuf__Empty *rsp;

    req.snapshotter = (char *)(uintptr_t) "native";
    req.key = (char *)(uintptr_t)key;
    expect_ok(nd_ctrd_call(w->ctrd->ctrd, (struct nd_ctrd_scope){.ns = w->ns}, CT_SNAPSHOTS_REMOVE,
                           &req, w->arena, &rsp));
}

IN_REAL_LOOP(what_is_not_unpacked_is_unpacked_when_it_is_needed)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "late", 3);
    struct load_run run = {.bytes = docker_archive(&m, &(struct docker_options){.tags = TAGS})};
    Pb__LoadOptions options = PB__LOAD_OPTIONS__INIT;
    struct nd_image_ready ready;

    options.no_unpack = true;
    expect_ok(load_with(w, &run, &options));
    assert_int_equal(remains_in(w).snapshots, 0);
    ready = resolve_ok(w, "made:1");
    assert_int_equal(remains_in(w).snapshots, 3);
    assert_int_equal(remains_in(w).leases, 0);

    /* Only the top is missing: only the top is made. */
    remove_snapshot(w, ready.chain_id);
    assert_int_equal(remains_in(w).snapshots, 2);
    assert_string_equal(resolve_ok(w, "made:1").chain_id, ready.chain_id);
    assert_int_equal(remains_in(w).snapshots, 3);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archives_load_in_every_dress),
        cmocka_unit_test(layers_may_be_links),
        cmocka_unit_test(images_without_layers_load),
        cmocka_unit_test(parents_refer_to_their_children),
        cmocka_unit_test(every_tag_becomes_a_name),
        cmocka_unit_test(images_without_a_tag_get_a_name),
        cmocka_unit_test(loading_again_changes_nothing),
        cmocka_unit_test(a_taken_name_moves),
        cmocka_unit_test(loads_of_one_image_at_once_agree),
        cmocka_unit_test(a_client_that_goes_leaves_nothing),
        cmocka_unit_test(a_cancelled_load_leaves_nothing_or_the_image),
        cmocka_unit_test(only_wanted_platforms_are_kept),
        cmocka_unit_test(all_platforms_are_kept_on_request),
        cmocka_unit_test(a_platform_that_is_missing_or_none_is_refused),
        cmocka_unit_test(what_is_not_unpacked_is_unpacked_when_it_is_needed),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
