/*
 * Archives from strangers: each is refused with the code that its fault deserves, the message names
 * what is wrong, and no blob, snapshot, ingest, lease or name stays.
 */

#include <stdio.h>

#include "base/random.h"
#include "image/limits.h"

#include "image_world.h"

#define TAGS "[\"evil:1\"]"

static struct nd_str
docker_of(struct made *m)
{
    return docker_archive(m, &(struct docker_options){.tags = TAGS});
}

/* One layer that is this tar. */
static struct nd_str
with_layer(struct nd_arena *arena, struct nd_buf *tar)
{
    struct made m = {.arena = arena, .n_layers = 1};

    m.layers[0] = tar_take(tar, arena);
    return docker_of(&m);
}

static struct nd_str
with_entry(struct nd_arena *arena, char type, const char *name, const char *link)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    tar_file(&tar, "fine", ND_STR("fine"));
    tar_entry(&tar, type, name, link, type == '0' ? ND_STR("x") : ND_STR_NONE);
    return with_layer(arena, &tar);
}

static struct nd_str
dotdot(struct nd_arena *arena)
{
    return with_entry(arena, '0', "../escaped", "");
}

static struct nd_str
inner_dotdot(struct nd_arena *arena)
{
    return with_entry(arena, '0', "a/../../escaped", "");
}

static struct nd_str
hardlink_out(struct nd_arena *arena)
{
    return with_entry(arena, '1', "link", "../../../../etc/passwd");
}

static struct nd_str
hardlink_to_nothing(struct nd_arena *arena)
{
    return with_entry(arena, '1', "link", "no/such/file");
}

static struct nd_str
cut_layer(struct nd_arena *arena)
{
    struct made m = made_image(arena, "cut", 1);
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);
    static const char content[4000];

    tar_file(&tar, "big", nd_str_n(content, sizeof(content)));
    m.layers[0] = nd_str_sub(tar_take(&tar, arena), 0, 2000);
    return docker_of(&m);
}

static struct nd_str
garbage_layer(struct nd_arena *arena)
{
    struct made m = {.arena = arena, .n_layers = 1, .layers = {ND_STR("this is not a tar")}};

    return docker_of(&m);
}

static struct nd_str
wrong_diff_id(struct nd_arena *arena)
{
    struct made m = made_image(arena, "diff", 1), other = made_image(arena, "other", 1);

    m.config = made_config(&other);
    return docker_of(&m);
}

static struct nd_str
too_few_diff_ids(struct nd_arena *arena)
{
    struct made m = made_image(arena, "few", 2), other = made_image(arena, "few", 1);

    m.config = made_config(&other);
    return docker_of(&m);
}

static struct nd_str
other_platform(struct nd_arena *arena)
{
    struct made m = made_image(arena, "platform", 1);

    m.architecture = "s390x";
    return docker_of(&m);
}

static struct nd_str
config_is_text(struct nd_arena *arena)
{
    struct made m = made_image(arena, "text", 1);

    m.config = ND_STR("not json at all");
    return docker_of(&m);
}

static struct nd_str
missing_layer(struct nd_arena *arena)
{
    struct made m = made_image(arena, "missing", 1);

    return docker_archive(&m, &(struct docker_options){.tags = TAGS, .layer_prefix = "no/such/"});
}

static struct nd_str
with_manifest(struct nd_arena *arena, const char *manifest)
{
    struct made m = made_image(arena, "manifest", 1);

    return docker_archive(&m, &(struct docker_options){.tags = TAGS, .manifest = manifest});
}

static struct nd_str
manifest_naming_outside(struct nd_arena *arena)
{
    return with_manifest(arena, "[{\"Config\":\"../../../etc/passwd\",\"RepoTags\":" TAGS
                                ",\"Layers\":[\"/etc/shadow\"]}]");
}

static struct nd_str
manifest_broken(struct nd_arena *arena)
{
    return with_manifest(arena, "{broken");
}

static struct nd_str
manifest_of_numbers(struct nd_arena *arena)
{
    return with_manifest(arena, "[{\"Config\":5,\"RepoTags\":{},\"Layers\":\"x\"}]");
}

static struct nd_str
deep_manifest(struct nd_arena *arena)
{
    char *text = nd_arena_alloc(arena, 200001);

    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    return with_manifest(arena, text);
}

static struct nd_str
giant_manifest(struct nd_arena *arena)
{
    size_t n = ND_MANIFEST_MAX_BYTES + 2;
    char *text = nd_arena_alloc(arena, n + 1);

    memset(text, ' ', n);
    return with_manifest(arena, text);
}

static struct nd_str
bad_tag(struct nd_arena *arena)
{
    struct made m = made_image(arena, "tag", 1);

    return docker_archive(&m, &(struct docker_options){.tags = "[\"UPPER CASE:and spaces\"]"});
}

static struct nd_str
tag_with_nul(struct nd_arena *arena)
{
    struct made m = made_image(arena, "nul", 1);

    return docker_archive(&m, &(struct docker_options){.tags = "[\"evil\\u0000:1\"]"});
}

/* --- OCI layouts --- */

static struct nd_str
wrong_blob(struct nd_arena *arena)
{
    struct made m = made_image(arena, "blob", 1);
    struct layout l = layout_begin(arena);
    struct nd_str manifest = layout_image(&l, &m, false, true);

    layout_blob(&l, manifest, NULL);
    layout_blob(&l, made_config(&m), NULL);
    layout_blob(&l, layer_of(arena, "file0", "blob 1\n"), digest_of(arena, m.layers[0]));
    layout_entry(&l, OCI_MANIFEST, manifest, "");
    return layout_end(&l);
}

static struct nd_str
missing_blob(struct nd_arena *arena)
{
    struct made m = made_image(arena, "gone", 1);
    struct layout l = layout_begin(arena);
    struct nd_str manifest = layout_image(&l, &m, false, true);

    layout_blob(&l, manifest, NULL);
    layout_blob(&l, made_config(&m), NULL);
    layout_entry(&l, OCI_MANIFEST, manifest, "");
    return layout_end(&l);
}

static struct nd_str
wrong_sizes(struct nd_arena *arena)
{
    struct made m = made_image(arena, "size", 1);
    struct layout l = layout_begin(arena);
    struct nd_str manifest;

    l.size_lie = 1;
    manifest = layout_image(&l, &m, false, false);
    layout_blob(&l, manifest, NULL);
    layout_entry(&l, OCI_MANIFEST, manifest, "");
    return layout_end(&l);
}

static struct nd_str
index_without_blob(struct nd_arena *arena)
{
    struct layout l = layout_begin(arena);

    layout_entry(&l, OCI_INDEX, ND_STR("nowhere"), "");
    return layout_end(&l);
}

static struct nd_str
empty_index(struct nd_arena *arena)
{
    struct layout l = layout_begin(arena);

    return layout_end(&l);
}

static struct nd_str
gzip_called_plain(struct nd_arena *arena)
{
    struct made m = made_image(arena, "dress", 1), dressed = m;
    struct layout l = layout_begin(arena);
    struct nd_str manifest;

    dressed.config = made_config(&m);
    dressed.layers[0] = gzipped(arena, m.layers[0]);
    manifest = layout_image(&l, &dressed, false, false);
    layout_blob(&l, manifest, NULL);
    layout_entry(&l, OCI_MANIFEST, manifest, "");
    return layout_end(&l);
}

/* Indexes in indexes, one more than are read. */
static struct nd_str
deep_indexes(struct nd_arena *arena)
{
    struct layout l = layout_begin(arena);
    struct made m = made_image(arena, "deep", 1);
    struct nd_str inner = layout_image(&l, &m, false, false);
    const char *type = OCI_MANIFEST;

    for (unsigned i = 0; i <= ND_IMAGE_MAX_DEPTH + 1; i++) {
        const char *text;

        layout_blob(&l, inner, NULL);
        text = nd_arena_printf(arena,
                               "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX
                               "\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                               "\"size\":%zu}]}",
                               type, digest_of(arena, inner), inner.len);
        inner = nd_str(text);
        type = OCI_INDEX;
    }
    layout_blob(&l, inner, NULL);
    layout_entry(&l, OCI_INDEX, inner, "");
    return layout_end(&l);
}

/* --- the archive itself --- */

static struct nd_str
nothing(struct nd_arena *arena)
{
    (void)arena;
    return ND_STR_NONE;
}

static struct nd_str
noise(struct nd_arena *arena)
{
    char *bytes = nd_arena_alloc(arena, 100000);

    nd_random(bytes, 100000);
    bytes[0] = '\xde';
    return nd_str_n(bytes, 100000);
}

static struct nd_str
tar_without_image(struct nd_arena *arena)
{
    return layer_of(arena, "readme", "hello");
}

static struct nd_str
cut_archive(struct nd_arena *arena)
{
    struct made m = made_image(arena, "half", 2);
    struct nd_str whole = docker_of(&m);

    return nd_str_sub(whole, 0, whole.len / 2 + 100);
}

static struct nd_str
cut_gzip(struct nd_arena *arena)
{
    struct made m = made_image(arena, "halfgz", 2);
    struct nd_str whole = gzipped(arena, docker_of(&m));

    return nd_str_sub(whole, 0, whole.len / 2);
}

static struct nd_str
outer_dotdot(struct nd_arena *arena)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    tar_file(&tar, "../manifest.json", ND_STR("[]"));
    return tar_take(&tar, arena);
}

static struct nd_str
outer_link_out(struct nd_arena *arena)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    tar_entry(&tar, '2', "layer.tar", "../../etc/shadow", ND_STR_NONE);
    return tar_take(&tar, arena);
}

static struct nd_str
link_loop(struct nd_arena *arena)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    tar_entry(&tar, '2', "a", "b", ND_STR_NONE);
    tar_entry(&tar, '2', "b", "a", ND_STR_NONE);
    tar_file(&tar, "manifest.json",
             ND_STR("[{\"Config\":\"a\",\"RepoTags\":" TAGS ",\"Layers\":[\"b\"]}]"));
    return tar_take(&tar, arena);
}

static const struct {
    const char *name;
    struct nd_str (*make)(struct nd_arena *arena);
    enum nd_code code;
    const char *says;
} cases[] = {
    {"a name with ..", dotdot, ND_INVALID, "../escaped"},
    {"a name with .. inside", inner_dotdot, ND_INVALID, "a/../../escaped"},
    {"a hard link out", hardlink_out, ND_INVALID, "link"},
    {"a hard link to nothing", hardlink_to_nothing, ND_INVALID, "no/such/file"},
    {"a layer cut off", cut_layer, ND_DATA_LOSS, "layer 1 of 1"},
    {"a layer that is none", garbage_layer, ND_INVALID, "layer 1 of 1"},
    {"a layer of another diff id", wrong_diff_id, ND_DATA_LOSS, "unpacks to"},
    {"too few diff ids", too_few_diff_ids, ND_INVALID, "2 layers"},
    {"another platform", other_platform, ND_NOT_FOUND, "evil:1 has nothing for linux/"},
    {"a config that is no JSON", config_is_text, ND_INVALID, "config"},
    {"a layer that is missing", missing_layer, ND_INVALID, "no/such/layer0/layer.tar"},
    {"a manifest naming outside", manifest_naming_outside, ND_INVALID, "etc/passwd"},
    {"a broken manifest.json", manifest_broken, ND_INVALID, "manifest.json"},
    {"a manifest.json of numbers", manifest_of_numbers, ND_INVALID, "manifest.json"},
    {"a deep manifest.json", deep_manifest, ND_EXHAUSTED, "manifest.json"},
    {"a giant manifest.json", giant_manifest, ND_EXHAUSTED, "manifest.json"},
    {"a bad tag", bad_tag, ND_INVALID, "UPPER CASE"},
    {"a tag with NUL", tag_with_nul, ND_INVALID, "manifest.json"},
    {"a blob that is not what it is called", wrong_blob, ND_DATA_LOSS, "blobs/sha256/"},
    {"a blob that is missing", missing_blob, ND_INVALID, "is not in the archive"},
    {"sizes that are wrong", wrong_sizes, ND_DATA_LOSS, "bytes"},
    {"an index without its blob", index_without_blob, ND_INVALID, "is not in the archive"},
    {"an index.json of nothing", empty_index, ND_INVALID, "index.json"},
    {"gzip that is called plain", gzip_called_plain, ND_INVALID, "content is gzip"},
    {"indexes in indexes", deep_indexes, ND_INVALID, "inside each other"},
    {"nothing", nothing, ND_INVALID, "empty"},
    {"noise", noise, ND_INVALID, ""},
    {"a tar without an image", tar_without_image, ND_INVALID, "neither"},
    {"an archive cut off", cut_archive, ND_DATA_LOSS, ""},
    {"a gzip cut off", cut_gzip, ND_DATA_LOSS, ""},
    {"a file outside", outer_dotdot, ND_INVALID, "../manifest.json"},
    {"a link outside", outer_link_out, ND_INVALID, "layer.tar"},
    {"links in a circle", link_loop, ND_INVALID, "\"a\""},
};

IN_REAL_LOOP(hostile_archives_are_refused_by_name_and_leave_nothing)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct load_run run = {.bytes = cases[i].make(w->arena)};
        struct nd_error *err = load_with(w, &run, NULL);

        if (nd_error_code(err) != cases[i].code ||
            strstr(nd_error_message(err), cases[i].says) == NULL) {
            print_error("%s: %s: %s\n", cases[i].name, nd_code_name(nd_error_code(err)),
                        nd_error_message(err));
            fail();
        }
        if (nd_error_get_reason(err) == NULL)
            fail_msg("%s: no reason: %s", cases[i].name, nd_error_message(err));
        nd_error_free(err);
        assert_int_equal(run.n_loaded, 0);
        assert_nothing_left(w, cases[i].name);
    }
    return NULL;
}

/* Every cut of an honest archive is refused. */
IN_REAL_LOOP(truncated_archives_are_refused_wherever_they_end)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "cuts", 2);
    struct nd_str whole = docker_of(&m);

    /* The last blocks are the end mark and the manifest. */
    for (size_t len = 512; len + 2048 < whole.len; len += 512) {
        struct load_run run = {.bytes = nd_str_sub(whole, 0, len)};
        struct nd_error *err = load_with(w, &run, NULL);

        if (err == NULL)
            fail_msg("%zu of %zu bytes are an image", len, whole.len);
        nd_error_free(err);
    }
    assert_nothing_left(w, "cuts");
    return NULL;
}

IN_REAL_LOOP(archives_of_thousands_of_entries_load)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    for (unsigned i = 0; i < 10000; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "d/%u", i);
        tar_file(&tar, name, ND_STR_NONE);
    }
    load_ok(w, with_layer(w->arena, &tar));
    assert_int_equal(remains_in(w).names, 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_archives_are_refused_by_name_and_leave_nothing),
        cmocka_unit_test(truncated_archives_are_refused_wherever_they_end),
        cmocka_unit_test(archives_of_thousands_of_entries_load),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
