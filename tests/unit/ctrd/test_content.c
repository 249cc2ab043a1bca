/* Blobs: written, found again, and nothing left behind of those that were not finished. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/random.h"
#include "codec/digest.h"
#include "containerd/content.h"
#include "containerd/content.pb-c.h"
#include "containerd/limits.h"

#include "private_containerd.h"

/* Bytes that no other test has. */
static struct nd_str
random_blob(struct world *w, size_t len, char digest[ND_DIGEST_TEXT_SIZE])
{
    char *bytes = nd_arena_alloc(w->arena, len + 1);

    nd_random(bytes, len);
    nd_digest_of(ND_SHA256, nd_str_n(bytes, len), digest);
    return nd_str_n(bytes, len);
}

static void
assert_stored(struct world *w, struct nd_ctrd_scope scope, const char *digest, struct nd_str want)
{
    struct nd_str found;

    expect_ok(nd_content_read(w->ctrd, scope, digest, want.len, w->arena, &found));
    assert_int_equal(found.len, want.len);
    assert_memory_equal(found.ptr, want.ptr, want.len);
    assert_int_equal(found.ptr[found.len], '\0');
}

static const char *
find_label(struct world *w, const char *digest, const char *key)
{
    CtContent__InfoRequest req = CT_CONTENT__INFO_REQUEST__INIT;
    CtContent__InfoResponse *rsp;

    req.digest = (char *)(uintptr_t)digest;
    expect_ok(nd_ctrd_call(w->ctrd, NS, CT_CONTENT_INFO, &req, w->arena, &rsp));
    for (size_t i = 0; i < rsp->info->n_labels; i++)
        if (strcmp(rsp->info->labels[i]->key, key) == 0)
            return rsp->info->labels[i]->value;
    return NULL;
}

static size_t
count_ingests(struct world *w)
{
    CtContent__ListStatusesRequest req = CT_CONTENT__LIST_STATUSES_REQUEST__INIT;
    CtContent__ListStatusesResponse *rsp;

    expect_ok(nd_ctrd_call(w->ctrd, NS, CT_CONTENT_LIST_STATUSES, &req, w->arena, &rsp));
    return rsp->n_statuses;
}

/* Without a lease only this keeps a blob from the collection that containerd begins with. */
#define KEPT "containerd.io/gc.root", "test"
static const char *const kept[] = {KEPT, NULL};

IN_REAL_LOOP(written_blobs_read_back)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    static const size_t sizes[] = {0, 1, 4096, 3 * ND_CTRD_WRITE_CHUNK + 7};
    const char *const labels[] = {"a/b", "c", KEPT, NULL};

    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
        char digest[ND_DIGEST_TEXT_SIZE];
        struct nd_str blob = random_blob(w, sizes[i], digest);

        expect_ok(nd_content_writer_open(w->ctrd, NS, "ref", digest, (int64_t)blob.len, &writer));
        assert_false(nd_content_writer_is_complete(writer));
        expect_ok(nd_content_writer_add(writer, nd_str_sub(blob, 0, blob.len / 3)));
        expect_ok(nd_content_writer_add(writer, nd_str_from(blob, blob.len / 3)));
        expect_ok(nd_content_writer_commit(writer, NULL, labels));
        assert_stored(w, NS, digest, blob);
        assert_string_equal(find_label(w, digest, "a/b"), "c");
    }
    assert_int_equal(count_ingests(w), 0);
    return NULL;
}

IN_REAL_LOOP(digest_may_be_told_at_the_end)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 100, digest);

    expect_ok(nd_content_writer_open(w->ctrd, NS, "late", NULL, 0, &writer));
    expect_ok(nd_content_writer_add(writer, blob));
    expect_ok(nd_content_writer_commit(writer, digest, kept));
    assert_stored(w, NS, digest, blob);
    return NULL;
}

IN_REAL_LOOP(existing_blobs_are_told)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_content_writer *writer = NULL;
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 100, digest);

    expect_ok(nd_content_put(w->ctrd, NS, blob, kept));
    expect_code(nd_content_writer_open(w->ctrd, NS, "again", digest, 100, &writer), ND_EXISTS);
    assert_null(writer);

    /* Told late, the digest is recognised late. */
    expect_ok(nd_content_writer_open(w->ctrd, NS, "again", NULL, 0, &writer));
    expect_ok(nd_content_writer_add(writer, blob));
    expect_code(nd_content_writer_commit(writer, digest, NULL), ND_EXISTS);
    nd_content_writer_close(writer);
    assert_int_equal(count_ingests(w), 0);
    return NULL;
}

/* A blob that exists is in the lease of whoever wrote it again, whenever he told its digest. */
IN_REAL_LOOP(existing_blobs_get_into_the_lease)
{
    ND_AUTO(world_endp) struct world *w = world_begin();

    for (unsigned late = 0; late < 2; late++) {
        ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
        char digest[ND_DIGEST_TEXT_SIZE];
        struct nd_str blob = random_blob(w, 100, digest);
        struct nd_lease first = {.id = ""}, second = {.id = ""};
        struct nd_ctrd_scope scope = NS;
        struct nd_error *err;

        nd_random_hex(first.id, ND_LEASE_ID_BYTES);
        nd_random_hex(second.id, ND_LEASE_ID_BYTES);
        expect_ok(nd_lease_create(w->ctrd, "test", &first));
        expect_ok(nd_lease_create(w->ctrd, "test", &second));
        scope.lease = first.id;
        expect_ok(nd_content_put(w->ctrd, scope, blob, NULL));
        scope.lease = second.id;
        err = nd_content_writer_open(w->ctrd, scope, "again", late ? NULL : digest, 100, &writer);
        if (late) {
            expect_ok(err);
            expect_ok(nd_content_writer_add(writer, blob));
            err = nd_content_writer_commit(writer, digest, NULL);
        }
        expect_code(err, ND_EXISTS);
        expect_ok(nd_lease_delete(w->ctrd, "test", &first, true));
        assert_stored(w, NS, digest, blob);
        expect_ok(nd_lease_delete(w->ctrd, "test", &second, true));
    }
    assert_int_equal(count_ingests(w), 0);
    return NULL;
}

IN_REAL_LOOP(bytes_of_another_namespace_are_not_sent_again)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
    const struct nd_ctrd_scope other = {.ns = "other"};
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 5000, digest);

    expect_ok(nd_content_put(w->ctrd, NS, blob, NULL));
    expect_ok(nd_content_writer_open(w->ctrd, other, "shared", digest, 5000, &writer));
    assert_true(nd_content_writer_is_complete(writer));
    expect_ok(nd_content_writer_commit(writer, NULL, NULL));
    assert_stored(w, other, digest, blob);
    return NULL;
}

IN_REAL_LOOP(wrong_bytes_are_refused_and_removed)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_content_writer *writer = NULL;
    char digest[ND_DIGEST_TEXT_SIZE], other[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 64, digest), found;

    (void)random_blob(w, 64, other);
    expect_ok(nd_content_writer_open(w->ctrd, NS, "wrong", other, 64, &writer));
    expect_ok(nd_content_writer_add(writer, blob));
    expect_code(nd_content_writer_commit(writer, NULL, NULL), ND_PRECONDITION);
    nd_content_writer_close(writer);
    assert_int_equal(count_ingests(w), 0);
    expect_code(nd_content_read(w->ctrd, NS, digest, 64, w->arena, &found), ND_NOT_FOUND);
    return NULL;
}

IN_REAL_LOOP(unfinished_blobs_are_aborted)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_content_writer *writer = NULL;

    expect_ok(nd_content_writer_open(w->ctrd, NS, "half", NULL, 0, &writer));
    expect_ok(nd_content_writer_add(writer, ND_STR("half of it")));
    assert_int_equal(count_ingests(w), 1);
    nd_content_writer_close(writer);
    assert_int_equal(count_ingests(w), 0);
    return NULL;
}

/* What a writer that died left behind: longer than what comes, and other bytes. */
IN_REAL_LOOP(rests_of_others_do_not_get_into_a_blob)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
    CtContent__WriteRequest req = CT_CONTENT__WRITE_REQUEST__INIT;
    CtContent__WriteResponse *rsp;
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 10, digest);

    expect_ok(nd_ctrd_stream(w->ctrd, NS, CT_CONTENT_WRITE, &call));
    req.action = CT_CONTENT__WRITE_ACTION__WRITE;
    req.ref = (char *)(uintptr_t) "rest";
    req.data.data = (uint8_t *)(uintptr_t) "what was written before it died";
    req.data.len = 31;
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_recv(call, w->arena, &rsp));
    nd_client_call_end(ND_TAKE(call));

    expect_ok(nd_content_writer_open(w->ctrd, NS, "rest", digest, 10, &writer));
    expect_ok(nd_content_writer_add(writer, blob));
    expect_ok(nd_content_writer_commit(writer, NULL, NULL));
    assert_stored(w, NS, digest, blob);
    return NULL;
}

struct rival {
    struct world *w;
    const char *digest;
    enum nd_code code;
};

static struct nd_error *
open_the_same(void *arg)
{
    struct rival *r = arg;
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
    ND_AUTO(nd_error_freep)
    struct nd_error *err =
        nd_content_writer_open(r->w->ctrd, NS, "contested", r->digest, 0, &writer);

    r->code = nd_error_code(err);
    return NULL;
}

IN_REAL_LOOP(second_writer_waits_for_the_first)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("rivals", 0);
    struct nd_content_writer *writer = NULL;
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 10, digest);
    struct rival rival = {w, digest, ND_OK};

    expect_ok(nd_content_writer_open(w->ctrd, NS, "contested", digest, 0, &writer));
    expect_ok(nd_group_spawn(group, open_the_same, &rival));
    expect_ok(nd_content_writer_add(writer, blob));
    expect_ok(nd_content_writer_commit(writer, NULL, NULL));
    nd_content_writer_close(writer);
    expect_ok(nd_group_wait(group));
    assert_int_equal(rival.code, ND_EXISTS);
    return NULL;
}

IN_REAL_LOOP(put_sets_labels_of_an_existing_blob)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    const char *const first[] = {"one", "1", NULL};
    const char *const second[] = {"two/x.y", "2", "one", "", NULL};
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 10, digest);

    expect_ok(nd_content_put(w->ctrd, NS, blob, first));
    assert_string_equal(find_label(w, digest, "one"), "1");
    expect_ok(nd_content_put(w->ctrd, NS, blob, second));
    assert_string_equal(find_label(w, digest, "two/x.y"), "2");
    assert_null(find_label(w, digest, "one"));
    assert_int_equal(count_ingests(w), 0);
    return NULL;
}

IN_REAL_LOOP(reading_is_bounded)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_str blob = random_blob(w, 1000, digest), found;

    expect_ok(nd_content_put(w->ctrd, NS, blob, NULL));
    assert_stored(w, NS, digest, blob);
    expect_code(nd_content_read(w->ctrd, NS, digest, 999, w->arena, &found), ND_EXHAUSTED);
    expect_code(nd_content_read(w->ctrd, NS, "sha256:short", 10, w->arena, &found), ND_INVALID);
    return NULL;
}

IN_REAL_LOOP(damaged_blobs_are_not_handed_out)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    char digest[ND_DIGEST_TEXT_SIZE], path[512];
    struct nd_str blob = random_blob(w, 1000, digest), found;
    int fd;

    expect_ok(nd_content_put(w->ctrd, NS, blob, NULL));
    (void)snprintf(path, sizeof(path), "%s/root/io.containerd.content.v1.content/blobs/sha256/%s",
                   containerd_dir(), digest + strlen("sha256:"));
    assert_int_equal(chmod(path, 0600), 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
    close(fd);
    expect_code(nd_content_read(w->ctrd, NS, digest, 1000, w->arena, &found), ND_DATA_LOSS);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_blobs_read_back),
        cmocka_unit_test(digest_may_be_told_at_the_end),
        cmocka_unit_test(existing_blobs_are_told),
        cmocka_unit_test(existing_blobs_get_into_the_lease),
        cmocka_unit_test(bytes_of_another_namespace_are_not_sent_again),
        cmocka_unit_test(wrong_bytes_are_refused_and_removed),
        cmocka_unit_test(unfinished_blobs_are_aborted),
        cmocka_unit_test(rests_of_others_do_not_get_into_a_blob),
        cmocka_unit_test(second_writer_waits_for_the_first),
        cmocka_unit_test(put_sets_labels_of_an_existing_blob),
        cmocka_unit_test(reading_is_bounded),
        cmocka_unit_test(damaged_blobs_are_not_handed_out),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
