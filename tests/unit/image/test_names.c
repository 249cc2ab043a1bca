/* Names of images: found, listed, filtered, described, given, taken away. */

#include <stdio.h>

#include "codec/json.h"
#include "image/limits.h"

#include "image_world.h"

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* An image that differs from others by its name, with this "config" (NULL: {}). */
static void
load_named(struct image_world *w, const char *tag, const char *run)
{
    struct made m = made_image(w->arena, tag, 1);
    const char *tags = nd_arena_printf(w->arena, "[\"%s\"]", tag);

    m.run = run;
    load_ok(w, docker_archive(&m, &(struct docker_options){.tags = tags}));
}

static struct nd_error *
resolve(struct image_world *w, const char *image, struct nd_image_ready *ret)
{
    return nd_image_resolve(w->host, w->ns, nd_str(image), ND_STR_NONE, w->arena, ret);
}

static struct nd_error *
list(struct image_world *w, const char *reference, const char *const *filters, size_t n,
     Pb__ImageServiceListResponse *rsp)
{
    Pb__ImageServiceListRequest req = PB__IMAGE_SERVICE_LIST_REQUEST__INIT;

    *rsp = (Pb__ImageServiceListResponse)PB__IMAGE_SERVICE_LIST_RESPONSE__INIT;
    req.reference = text(reference);
    req.filters = (char **)(uintptr_t)filters;
    req.n_filters = n;
    return nd_images_list(w->host, w->ns, &req, w->arena, rsp);
}

/* The familiar names of what is listed, newest first, joined by blanks. */
static const char *
listed(struct image_world *w, const char *reference, const char *filter, const char *second)
{
    const char *filters[] = {filter, second};
    const char *names = "";
    Pb__ImageServiceListResponse rsp;

    expect_ok(list(w, reference, filters, second != NULL ? 2 : filter != NULL ? 1 : 0, &rsp));
    for (size_t i = 0; i < rsp.n_images; i++)
        names = nd_arena_printf(w->arena, "%s%s%s", names, i > 0 ? " " : "",
                                rsp.images[i]->familiar_name);
    return names;
}

static struct nd_error *
tag(struct image_world *w, const char *source, const char *target, Pb__ImageServiceTagResponse *rsp)
{
    Pb__ImageServiceTagRequest req = PB__IMAGE_SERVICE_TAG_REQUEST__INIT;

    *rsp = (Pb__ImageServiceTagResponse)PB__IMAGE_SERVICE_TAG_RESPONSE__INIT;
    req.source = text(source);
    req.target = text(target);
    return nd_image_tag(w->host, w->ns, &req, w->arena, rsp);
}

static void
tag_ok(struct image_world *w, const char *source, const char *target)
{
    Pb__ImageServiceTagResponse rsp;

    expect_ok(tag(w, source, target, &rsp));
}

static struct nd_error *
remove_image(struct image_world *w, const char *image, bool force,
             Pb__ImageServiceRemoveResponse *rsp)
{
    Pb__ImageServiceRemoveRequest req = PB__IMAGE_SERVICE_REMOVE_REQUEST__INIT;

    *rsp = (Pb__ImageServiceRemoveResponse)PB__IMAGE_SERVICE_REMOVE_RESPONSE__INIT;
    req.image = text(image);
    req.force = force;
    return nd_image_remove(w->host, w->ns, &req, w->arena, rsp);
}

static void
expect_reason(struct nd_error *err, enum nd_code code, const char *reason)
{
    if (nd_error_code(err) != code || nd_error_get_reason(err) == NULL ||
        strcmp(nd_error_get_reason(err), reason) != 0)
        fail_msg("%s %s: %s", nd_code_name(nd_error_code(err)), nd_error_get_reason(err),
                 nd_error_message(err));
    nd_error_free(err);
}

/* --- finding --- */

IN_REAL_LOOP(every_spelling_finds_an_image)
{
    static const char *const names[] = {"box", "box:latest", "library/box",
                                        "docker.io/library/box:latest", "docker.io/box"};
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct nd_image_ready ready, again;

    load_named(w, "box:latest", NULL);
    for (size_t i = 0; i < ND_LEN(names); i++) {
        expect_ok(resolve(w, names[i], &ready));
        assert_string_equal(ready.name, "docker.io/library/box:latest");
    }
    const char *const digests[] = {ready.target_digest, ready.manifest_digest, ready.config_digest};
    for (size_t i = 0; i < ND_LEN(digests); i++) {
        expect_ok(resolve(w, digests[i], &again));
        expect_ok(resolve(w, digests[i] + 7, &again));
        expect_ok(resolve(w, nd_arena_printf(w->arena, "%.12s", digests[i] + 7), &again));
        expect_ok(resolve(w, nd_arena_printf(w->arena, "%.15s", digests[i]), &again));
        assert_string_equal(again.name, ready.name);
    }
    return NULL;
}

IN_REAL_LOOP(what_is_not_there_is_said_so)
{
    static const struct {
        const char *name;
        enum nd_code code;
        const char *reason;
    } cases[] = {
        {"nosuch", ND_NOT_FOUND, "IMAGE_NOT_FOUND"},
        {"nosuch:1", ND_NOT_FOUND, "IMAGE_NOT_FOUND"},
        {"abcdef012345", ND_NOT_FOUND, "IMAGE_NOT_FOUND"},
        {"sha256:abcdef012345", ND_NOT_FOUND, "IMAGE_NOT_FOUND"},
        {"UPPER", ND_INVALID, "IMAGE_REFERENCE_INVALID"},
        {"a b", ND_INVALID, "IMAGE_REFERENCE_INVALID"},
        {"", ND_INVALID, "IMAGE_REFERENCE_INVALID"},
        {"../x", ND_INVALID, "IMAGE_REFERENCE_INVALID"},
    };
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct nd_image_ready ready;

    load_named(w, "box:1", NULL);
    for (size_t i = 0; i < ND_LEN(cases); i++)
        expect_reason(resolve(w, cases[i].name, &ready), cases[i].code, cases[i].reason);
    return NULL;
}

/* Load images until two ids share their first digits: 4 digits make that likely after 300. */
IN_REAL_LOOP(an_id_that_several_images_have_is_ambiguous)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    static unsigned seen[65536]; /* by the first 4 digits: 1 + number of the image */
    struct nd_error *err = NULL;

    for (unsigned i = 0; i < 3000 && err == NULL; i++) {
        struct made m = {.arena = w->arena,
                         .run = nd_arena_printf(w->arena, "{\"User\":\"%u\"}", i)};
        const char *digest = digest_of(w->arena, made_config(&m));
        struct nd_image_ready ready;
        uint64_t first = 0;

        for (size_t k = 7; k < 11; k++)
            first =
                first * 16 + (uint64_t)(digest[k] <= '9' ? digest[k] - '0' : digest[k] - 'a' + 10);
        if (seen[first] == 0) {
            seen[first] = i + 1;
            continue;
        }
        load_ok(w, docker_archive(&m, &(struct docker_options){.tags = "[\"new:1\"]"}));
        m = (struct made){.arena = w->arena,
                          .run = nd_arena_printf(w->arena, "{\"User\":\"%u\"}", seen[first] - 1)};
        load_ok(w, docker_archive(&m, &(struct docker_options){.tags = "[\"old:1\"]"}));
        err = resolve(w, nd_arena_printf(w->arena, "%.4s", digest + 7), &ready);
    }
    expect_reason(err, ND_INVALID, "IMAGE_ID_AMBIGUOUS");
    return NULL;
}

/* --- listing --- */

IN_REAL_LOOP(lists_are_newest_first_and_filtered)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();

    assert_string_equal(listed(w, "", NULL, NULL), "");
    load_named(w, "red:1", "{\"Labels\":{\"colour\":\"red\",\"size\":\"1\"}}");
    load_named(w, "blue:1", "{\"Labels\":{\"colour\":\"blue\"}}");
    load_named(w, "r.io/team/plain:2", NULL);
    tag_ok(w, "red:1", "red:2");

    assert_string_equal(listed(w, "", NULL, NULL), "red:2 r.io/team/plain:2 blue:1 red:1");
    assert_string_equal(listed(w, "red", NULL, NULL), "red:2 red:1");
    assert_string_equal(listed(w, "docker.io/library/red:1", NULL, NULL), "red:1");
    assert_string_equal(listed(w, "red:3", NULL, NULL), "");
    assert_string_equal(listed(w, "", "label=colour", NULL), "red:2 blue:1 red:1");
    assert_string_equal(listed(w, "", "label=colour=blue", NULL), "blue:1");
    assert_string_equal(listed(w, "", "label=colour=green", NULL), "");
    assert_string_equal(listed(w, "", "label=colour", "label=size=1"), "red:2 red:1");
    assert_string_equal(listed(w, "", "reference=bl*", NULL), "blue:1");
    assert_string_equal(listed(w, "", "reference=bl*", "reference=*:2"), "red:2 blue:1");
    assert_string_equal(listed(w, "", "reference=*/*/plain", NULL), "r.io/team/plain:2");
    assert_string_equal(listed(w, "", "before=blue:1", NULL), "red:1");
    assert_string_equal(listed(w, "", "since=blue:1", NULL), "red:2 r.io/team/plain:2");
    assert_string_equal(listed(w, "", "since=red:1", "before=red:2"), "r.io/team/plain:2 blue:1");
    assert_string_equal(listed(w, "", "dangling=true", NULL), "");
    assert_string_equal(listed(w, "blue", "dangling=false", NULL), "blue:1");
    return NULL;
}

IN_REAL_LOOP(untagged_images_are_dangling)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    struct made m = made_image(w->arena, "nameless", 1);

    load_named(w, "named:1", NULL);
    load_ok(w, oci_archive(&m, NULL, false));
    assert_true(nd_str_starts(nd_str(listed(w, "", "dangling=true", NULL)), ND_STR("import-")));
    assert_string_equal(listed(w, "", "dangling=false", NULL), "named:1");
    return NULL;
}

IN_REAL_LOOP(wrong_filters_are_refused_by_field)
{
    static const struct {
        const char *filter;
        enum nd_code code;
    } cases[] = {
        {"colour=red", ND_INVALID},      {"label=colour", ND_OK}, {"label", ND_INVALID},
        {"reference=", ND_INVALID},      {"", ND_INVALID},        {"dangling=perhaps", ND_INVALID},
        {"before=nosuch", ND_NOT_FOUND},
    };
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceListResponse rsp;

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        const char *filters[] = {"dangling=true", cases[i].filter};
        struct nd_error *err = list(w, "", filters, 2, &rsp);

        if (err != NULL)
            assert_string_equal(nd_error_get_field(err), "filters[1]");
        expect_code(err, cases[i].code);
    }
    return NULL;
}

IN_REAL_LOOP(pages_hold_each_image_once)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceListRequest req = PB__IMAGE_SERVICE_LIST_REQUEST__INIT;
    const char *all = "";
    unsigned n_pages = 0;

    load_named(w, "n0:1", NULL);
    for (unsigned i = 1; i < 6; i++)
        tag_ok(w, "n0:1", nd_arena_printf(w->arena, "n%u:1", i));
    req.page_size = 4;
    do {
        Pb__ImageServiceListResponse rsp = PB__IMAGE_SERVICE_LIST_RESPONSE__INIT;

        expect_ok(nd_images_list(w->host, w->ns, &req, w->arena, &rsp));
        assert_true(rsp.n_images <= 4);
        for (size_t i = 0; i < rsp.n_images; i++)
            all = nd_arena_printf(w->arena, "%s %s", all, rsp.images[i]->familiar_name);
        req.page_token = rsp.next_page_token;
        n_pages++;
    } while (req.page_token[0] != '\0');
    assert_int_equal(n_pages, 2);
    assert_string_equal(all, " n5:1 n4:1 n3:1 n2:1 n1:1 n0:1");
    req.page_token = text("no such token");
    expect_code(
        nd_images_list(w->host, w->ns, &req, w->arena,
                       &(Pb__ImageServiceListResponse)PB__IMAGE_SERVICE_LIST_RESPONSE__INIT),
        ND_INVALID);
    req.page_token = text("");
    req.page_size = -1;
    expect_code(
        nd_images_list(w->host, w->ns, &req, w->arena,
                       &(Pb__ImageServiceListResponse)PB__IMAGE_SERVICE_LIST_RESPONSE__INIT),
        ND_INVALID);
    return NULL;
}

IN_REAL_LOOP(lists_tell_sizes_platforms_and_use)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceListResponse rsp;
    const Pb__Image *image;

    load_named(w, "free:1", NULL);
    load_named(w, "used:1", NULL);
    make_container(w, "c1", "docker.io/library/used:1");
    expect_ok(list(w, "", NULL, 0, &rsp));
    assert_int_equal(rsp.n_images, 2);
    image = rsp.images[0];
    assert_string_equal(image->familiar_name, "used:1");
    assert_string_equal(image->repository, "used");
    assert_string_equal(image->tag, "1");
    assert_true(image->in_use && !rsp.images[1]->in_use);
    assert_non_null(image->created_at);
    assert_int_equal(image->n_platforms, 1);
    assert_string_equal(image->platforms[0]->platform->os, "linux");
    assert_true(image->platforms[0]->available);
    assert_int_equal(image->platforms[0]->created_at->seconds, 1704164645);
    assert_true(image->platforms[0]->blob_size > 1536); /* a file's block, its head, the end mark */
    assert_true(image->platforms[0]->size > 0);
    return NULL;
}

/* --- describing --- */

static const char *
member(const struct nd_json *object, const char *key)
{
    return nd_json_string(nd_json_find(object, key)).ptr;
}

static struct nd_json *
inspect(struct image_world *w, const char *image, Pb__InspectMode mode)
{
    Pb__ImageServiceInspectRequest req = PB__IMAGE_SERVICE_INSPECT_REQUEST__INIT;
    Pb__ImageServiceInspectResponse rsp = PB__IMAGE_SERVICE_INSPECT_RESPONSE__INIT;
    struct nd_json *document;

    req.image = text(image);
    req.mode = mode;
    expect_ok(nd_image_inspect(w->host, w->ns, &req, w->arena, &rsp));
    assert_non_null(rsp.image);
    expect_ok(nd_json_parse(nd_str(rsp.document), NULL, &document));
    return document;
}

IN_REAL_LOOP(inspect_prints_what_docker_prints)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    const struct nd_json *config, *names;
    struct nd_image_ready ready;

    load_named(w, "shown:1",
               "{\"User\":\"7\",\"Env\":[\"A=1\"],\"Cmd\":[\"sh\"],\"WorkingDir\":\"/w\","
               "\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":{\"a\":\"b\"}}");
    expect_ok(resolve(w, "shown:1", &ready));
    document = inspect(w, "shown:1", PB__INSPECT_MODE__INSPECT_MODE_UNSPECIFIED);
    assert_string_equal(member(document, "Id"), ready.config_digest);
    assert_string_equal(member(document, "Comment"), "made");
    assert_string_equal(member(document, "Created"), "2024-01-02T03:04:05Z");
    assert_string_equal(member(document, "Os"), "linux");
    names = nd_json_find(document, "RepoTags");
    assert_int_equal(nd_json_count(names), 1);
    assert_string_equal(nd_json_string(nd_json_at(names, 0)).ptr, "shown:1");
    names = nd_json_find(document, "RepoDigests");
    assert_string_equal(nd_json_string(nd_json_at(names, 0)).ptr,
                        nd_arena_printf(w->arena, "shown@%s", ready.target_digest));
    config = nd_json_find(document, "Config");
    assert_string_equal(member(config, "User"), "7");
    assert_string_equal(member(config, "WorkingDir"), "/w");
    assert_string_equal(member(nd_json_find(config, "Labels"), "a"), "b");
    assert_int_equal(nd_json_count(nd_json_find(nd_json_find(document, "RootFS"), "Layers")), 1);
    return NULL;
}

IN_REAL_LOOP(native_inspect_prints_the_record)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    struct nd_image_ready ready;

    load_named(w, "native:1", NULL);
    expect_ok(resolve(w, "native:1", &ready));
    document = inspect(w, "native:1", PB__INSPECT_MODE__INSPECT_MODE_NATIVE);
    assert_string_equal(member(nd_json_find(document, "Image"), "Name"),
                        "docker.io/library/native:1");
    assert_string_equal(member(nd_json_find(document, "ManifestDesc"), "digest"),
                        ready.manifest_digest);
    assert_string_equal(member(nd_json_find(document, "ImageConfigDesc"), "digest"),
                        ready.config_digest);
    return NULL;
}

/* --- giving and taking --- */

IN_REAL_LOOP(a_tag_leads_to_the_same_image)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceTagResponse rsp;
    struct nd_image_ready ready;

    load_named(w, "first:1", NULL);
    load_named(w, "second:1", NULL);
    expect_ok(tag(w, "first:1", "r.io:5000/team/box:v1", &rsp));
    assert_string_equal(rsp.image->name, "r.io:5000/team/box:v1");
    expect_ok(resolve(w, "first:1", &ready));
    assert_string_equal(rsp.image->digest, ready.target_digest);
    /* And moves. */
    expect_ok(tag(w, "second:1", "r.io:5000/team/box:v1", &rsp));
    assert_string_not_equal(rsp.image->digest, ready.target_digest);
    expect_reason(tag(w, "nosuch", "x:1", &rsp), ND_NOT_FOUND, "IMAGE_NOT_FOUND");
    expect_reason(tag(w, "first:1", "UPPER", &rsp), ND_INVALID, "IMAGE_REFERENCE_INVALID");
    expect_code(tag(w, "first:1", nd_arena_printf(w->arena, "x@%s", ready.target_digest), &rsp),
                ND_INVALID);
    return NULL;
}

IN_REAL_LOOP(content_goes_with_the_last_name)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceRemoveResponse rsp;
    struct nd_image_ready ready;

    load_named(w, "one:1", NULL);
    tag_ok(w, "one:1", "two:2");
    expect_ok(resolve(w, "one:1", &ready));
    expect_ok(remove_image(w, "one:1", false, &rsp));
    assert_int_equal(rsp.n_untagged, 1);
    assert_int_equal(rsp.n_deleted, 0);
    expect_ok(resolve(w, "two:2", &ready));
    expect_ok(remove_image(w, ready.target_digest, false, &rsp));
    assert_string_equal(rsp.untagged[0], "docker.io/library/two:2");
    assert_int_equal(rsp.n_deleted, 1);
    assert_nothing_left(w, "the last name went");
    expect_reason(remove_image(w, "two:2", false, &rsp), ND_NOT_FOUND, "IMAGE_NOT_FOUND");
    return NULL;
}

IN_REAL_LOOP(an_id_with_several_names_needs_force)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceRemoveResponse rsp;
    struct nd_image_ready ready;

    load_named(w, "one:1", NULL);
    tag_ok(w, "one:1", "two:2");
    expect_ok(resolve(w, "one:1", &ready));
    expect_code(remove_image(w, ready.target_digest, false, &rsp), ND_PRECONDITION);
    assert_int_equal(remains_in(w).names, 2);
    expect_ok(remove_image(w, ready.target_digest, true, &rsp));
    assert_int_equal(rsp.n_untagged, 2);
    assert_nothing_left(w, "both names went");
    return NULL;
}

IN_REAL_LOOP(an_image_of_a_stopped_container_needs_force)
{
    ND_AUTO(image_world_endp) struct image_world *w = image_world_begin();
    Pb__ImageServiceRemoveResponse rsp;

    load_named(w, "used:1", NULL);
    make_container(w, "c1", "docker.io/library/used:1");
    expect_reason(remove_image(w, "used:1", false, &rsp), ND_PRECONDITION, "IMAGE_IN_USE");
    assert_int_equal(remains_in(w).names, 1);
    expect_ok(remove_image(w, "used:1", true, &rsp));
    assert_int_equal(remains_in(w).names, 0);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_finds_an_image),
        cmocka_unit_test(what_is_not_there_is_said_so),
        cmocka_unit_test(an_id_that_several_images_have_is_ambiguous),
        cmocka_unit_test(lists_are_newest_first_and_filtered),
        cmocka_unit_test(untagged_images_are_dangling),
        cmocka_unit_test(wrong_filters_are_refused_by_field),
        cmocka_unit_test(pages_hold_each_image_once),
        cmocka_unit_test(lists_tell_sizes_platforms_and_use),
        cmocka_unit_test(inspect_prints_what_docker_prints),
        cmocka_unit_test(native_inspect_prints_the_record),
        cmocka_unit_test(a_tag_leads_to_the_same_image),
        cmocka_unit_test(content_goes_with_the_last_name),
        cmocka_unit_test(an_id_with_several_names_needs_force),
        cmocka_unit_test(an_image_of_a_stopped_container_needs_force),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
