/*
 * Images in a containerd of one's own: loaded in every dress, found, listed, described, tagged,
 * removed; and what a bad archive leaves behind, which is nothing.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/process.h"
#include "image/images.h"

#include "private_containerd.h"

#define ARCHIVE_MAX (64u * 1024u * 1024u)

struct bench {
    struct nd_host *host;
    struct nd_arena *arena;
    char *data_root;
};

static struct bench *
bench_begin(void)
{
    struct bench *b = nd_new(struct bench);
    struct nd_host_settings settings = {.containerd_address = containerd_socket(),
                                        .default_namespace = "test",
                                        .snapshotter = "overlayfs",
                                        .helper_path = "/bin/true"};

    b->data_root = nd_asprintf("%s/data", containerd_dir());
    settings.data_root = b->data_root;
    expect_ok(nd_host_new(&settings, &b->host));
    b->arena = nd_arena_new(0);
    return b;
}

static void
bench_endp(struct bench **b)
{
    nd_host_free((*b)->host);
    nd_arena_free((*b)->arena);
    nd_free((*b)->data_root);
    nd_free(*b);
}

/* The archive that make_image.py makes with these arguments; NULL-terminated, up to 12. */
static void
make_archive(const char *const *args, struct nd_buf *ret)
{
    const char *argv[20] = {"/usr/bin/python3", ND_MAKE_IMAGE, "--out"};
    char *path = nd_asprintf("%s/archive-%d.tar", containerd_dir(), getpid());
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;
    struct nd_process_options options = {.argv = argv};
    size_t n = 3;
    int status, fd;
    ssize_t got;

    argv[n++] = path;
    while (*args != NULL)
        argv[n++] = *args++;
    expect_ok(nd_process_start(&options, &p));
    expect_ok(nd_process_wait(p, &status));
    assert_int_equal(status, 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    do {
        expect_ok(nd_buf_reserve(ret, 65536));
        got = read(fd, ret->ptr + ret->len, 65536);
        assert_true(got >= 0);
        ret->len += (size_t)got;
    } while (got > 0);
    close(fd);
    unlink(path);
    nd_free(path);
}

struct feed {
    struct nd_str rest;
    struct nd_arena *arena;
    char *names[8];
    size_t n_names;
};

static struct nd_error *
feed_read(void *arg, struct nd_str *ret)
{
    struct feed *f = arg;

    *ret = nd_str_sub(f->rest, 0, 100000);
    f->rest = nd_str_from(f->rest, ret->len);
    return NULL;
}

static struct nd_error *
feed_loaded(void *arg, const Pb__Image *image)
{
    struct feed *f = arg;

    f->names[f->n_names++] = nd_arena_strdup(f->arena, image->name);
    return NULL;
}

static struct nd_error *
load(struct bench *b, struct nd_str archive, struct feed *feed)
{
    Pb__LoadOptions options = PB__LOAD_OPTIONS__INIT;
    const struct nd_image_load_io io = {.read = feed_read, .loaded = feed_loaded, .arg = feed};

    *feed = (struct feed){.rest = archive, .arena = b->arena};
    return nd_image_load(b->host, "test", &options, &io);
}

/* How many blobs, snapshots and leases there are. */
static size_t
count_leftovers(struct bench *b)
{
    CtLeases__ListRequest leases = CT_LEASES__LIST_REQUEST__INIT;
    CtLeases__ListResponse *rsp;
    CtContent__ListRequest content = CT_CONTENT__LIST_REQUEST__INIT;
    CtContent__ListStatusesRequest statuses = CT_CONTENT__LIST_STATUSES_REQUEST__INIT;
    CtContent__ListStatusesResponse *ingests;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    CtContent__ListResponse *blobs;
    size_t n;

    expect_ok(nd_ctrd_call(nd_host_ctrd(b->host), NS, CT_LEASES_LIST, &leases, b->arena, &rsp));
    expect_ok(nd_ctrd_call(nd_host_ctrd(b->host), NS, CT_CONTENT_LIST_STATUSES, &statuses, b->arena,
                           &ingests));
    n = rsp->n_leases + ingests->n_statuses;
    expect_ok(nd_ctrd_stream(nd_host_ctrd(b->host), NS, CT_CONTENT_LIST, &call));
    expect_ok(nd_client_call_send(call, &content));
    expect_ok(nd_client_call_finish_sending(call));
    for (;;) {
        expect_ok(nd_client_call_recv(call, b->arena, &blobs));
        if (blobs == NULL)
            return n;
        n += blobs->n_info;
    }
}

static void
remove_image(struct bench *b, const char *name)
{
    Pb__ImageServiceRemoveRequest req = PB__IMAGE_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ImageServiceRemoveResponse rsp = PB__IMAGE_SERVICE_REMOVE_RESPONSE__INIT;

    req.image = (char *)(uintptr_t)name;
    expect_ok(nd_image_remove(b->host, "test", &req, b->arena, &rsp));
    assert_int_equal(rsp.n_untagged, 1);
}

IN_REAL_LOOP(every_kind_of_archive_loads_runs_and_goes_without_a_trace)
{
    static const char *const kinds[][6] = {
        {"--format", "docker", NULL},
        {"--format", "docker", "--compress", "gzip", NULL},
        {"--format", "oci", NULL},
        {"--format", "oci", "--compress", "zstd", NULL},
        {"--format", "oci", "--layers", "3", NULL},
    };
    ND_AUTO(bench_endp) struct bench *b = bench_begin();

    for (size_t i = 0; i < ND_LEN(kinds); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf archive = ND_BUF_INIT(ARCHIVE_MAX);
        const char *args[12] = {"--tag", "demo:1"};
        struct nd_image_ready ready;
        struct feed feed;

        for (size_t k = 0; kinds[i][k] != NULL; k++)
            args[2 + k] = kinds[i][k];
        make_archive(args, &archive);
        expect_ok(load(b, nd_buf_str(&archive), &feed));
        assert_int_equal(feed.n_names, 1);
        assert_string_equal(feed.names[0], "docker.io/library/demo:1");
        expect_ok(
            nd_image_resolve(b->host, "test", ND_STR("demo:1"), ND_STR_NONE, b->arena, &ready));
        assert_true(nd_str_starts(nd_str(ready.chain_id), ND_STR("sha256:")));
        assert_true(ready.config->n_diff_ids >= 1);
        remove_image(b, "demo:1");
        assert_int_equal(count_leftovers(b), 0);
    }
    return NULL;
}

IN_REAL_LOOP(broken_archives_leave_nothing)
{
    static const char *const args[] = {"--tag", "broken:1", "--format", "oci", NULL};
    ND_AUTO(bench_endp) struct bench *b = bench_begin();
    ND_AUTO(nd_buf_fini) struct nd_buf archive = ND_BUF_INIT(ARCHIVE_MAX);
    struct feed feed;

    make_archive(args, &archive);
    expect_code(load(b, ND_STR(""), &feed), ND_INVALID);
    expect_code(load(b, ND_STR("this is no archive at all"), &feed), ND_INVALID);
    for (size_t cut = 1000; cut < archive.len - 20000; cut += archive.len / 7) {
        struct nd_error *err = load(b, nd_str_n(archive.ptr, cut), &feed);

        assert_non_null(err);
        assert_string_equal(nd_error_get_reason(err), "ARCHIVE_INVALID");
        nd_error_free(err);
        assert_int_equal(count_leftovers(b), 0);
    }
    archive.ptr[archive.len / 2] ^= 1;
    expect_code(load(b, nd_buf_str(&archive), &feed), ND_DATA_LOSS);
    assert_int_equal(count_leftovers(b), 0);
    return NULL;
}

IN_REAL_LOOP(images_are_found_by_name_and_id_listed_and_tagged)
{
    static const char *const args[] = {"--tag", "one:1",     "--format", "oci",
                                       "--cmd", "/bin/true", NULL};
    ND_AUTO(bench_endp) struct bench *b = bench_begin();
    ND_AUTO(nd_buf_fini) struct nd_buf archive = ND_BUF_INIT(ARCHIVE_MAX);
    Pb__ImageServiceTagRequest tag = PB__IMAGE_SERVICE_TAG_REQUEST__INIT;
    Pb__ImageServiceTagResponse tagged = PB__IMAGE_SERVICE_TAG_RESPONSE__INIT;
    Pb__ImageServiceListRequest list = PB__IMAGE_SERVICE_LIST_REQUEST__INIT;
    Pb__ImageServiceListResponse listed = PB__IMAGE_SERVICE_LIST_RESPONSE__INIT;
    Pb__ImageServiceInspectRequest inspect = PB__IMAGE_SERVICE_INSPECT_REQUEST__INIT;
    Pb__ImageServiceInspectResponse inspected = PB__IMAGE_SERVICE_INSPECT_RESPONSE__INIT;
    struct nd_image_ready ready, by_id;
    struct feed feed;

    make_archive(args, &archive);
    expect_ok(load(b, nd_buf_str(&archive), &feed));
    expect_ok(nd_image_resolve(b->host, "test", ND_STR("one:1"), ND_STR_NONE, b->arena, &ready));
    expect_ok(nd_image_resolve(b->host, "test", nd_str_n(ready.config_digest + 7, 12), ND_STR_NONE,
                               b->arena, &by_id));
    assert_string_equal(by_id.name, ready.name);
    expect_code(nd_image_resolve(b->host, "test", ND_STR("two"), ND_STR_NONE, b->arena, &by_id),
                ND_NOT_FOUND);
    expect_code(
        nd_image_resolve(b->host, "test", ND_STR("one:1"), ND_STR("linux/s390x"), b->arena, &by_id),
        ND_NOT_FOUND);
    tag.source = (char *)(uintptr_t) "one:1";
    tag.target = (char *)(uintptr_t) "two:2";
    expect_ok(nd_image_tag(b->host, "test", &tag, b->arena, &tagged));
    assert_string_equal(tagged.image->familiar_name, "two:2");
    tag.target = (char *)(uintptr_t) "UPPER";
    expect_code(nd_image_tag(b->host, "test", &tag, b->arena, &tagged), ND_INVALID);
    expect_ok(nd_images_list(b->host, "test", &list, b->arena, &listed));
    assert_int_equal(listed.n_images, 2);
    assert_true(listed.images[0]->platforms[0]->size > 0);
    assert_true(listed.images[0]->platforms[0]->blob_size > 0);
    inspect.image = (char *)(uintptr_t) "two:2";
    expect_ok(nd_image_inspect(b->host, "test", &inspect, b->arena, &inspected));
    assert_non_null(strstr(inspected.document, "\"Cmd\":[\"/bin/true\"]"));
    assert_non_null(strstr(inspected.document, "\"RepoTags\":[\"two:2\"]"));
    remove_image(b, "one:1");
    remove_image(b, "two:2");
    assert_int_equal(count_leftovers(b), 0);
    return NULL;
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_archive_loads_runs_and_goes_without_a_trace),
        cmocka_unit_test(broken_archives_leave_nothing),
        cmocka_unit_test(images_are_found_by_name_and_id_listed_and_tagged),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
