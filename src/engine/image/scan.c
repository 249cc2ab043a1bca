/*
 * One pass over an archive.
 *
 * A thread reads it a step at a time (parse, inflate, hash: at most ND_LOAD_STEP_BYTES), the fiber
 * passes the bytes of each step on to containerd:
 *
 *     spool ──▶ [thread: step] ──▶ [fiber: content writer] ──▶ containerd
 *
 * The order of an archive says nothing: manifest.json may come first or last, and what a file is
 * for is known only when everything has been read. So every file becomes content, under a lease;
 * what no image refers to in the end goes with the lease. Digests are computed here from the bytes
 * that are sent, never taken from the archive's word.
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/random.h"
#include "codec/archive.h"
#include "codec/digest.h"
#include "fiber/work.h"
#include "image/limits.h"

#include "scan_priv.h"

#define LINKS_MAX  16 /* links behind each other */
#define MAGIC_SIZE 4

/* The state of the reading; the thread has it during a step, the fiber between steps. */
struct reader {
    struct nd_archive *archive;
    struct nd_spool *spool;
    struct nd_hasher *hasher;
    char *buf; /* of a step: ND_LOAD_STEP_BYTES */
    size_t len;
    bool at_end;         /* of the entry's content */
    bool passed;         /* nothing of the last entry was left */
    uint64_t pos;        /* in the entry's content, holes included */
    struct nd_str piece; /* what the archive gave and did not fit */
    uint64_t piece_offset;
    const struct nd_archive_entry *entry;
    struct nd_error *err; /* of the step */
};

struct nd_error *
nd_archive_fault(struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);

    if (code != ND_INVALID && code != ND_DATA_LOSS && code != ND_EXHAUSTED)
        return err;
    if (nd_error_get_reason(err) != NULL)
        return err;
    return nd_error_hint(
        nd_error_reason(err, "ARCHIVE_INVALID"),
        "the archive must be made by 'docker save', 'nerdctl save' or be an OCI layout");
}

static void
open_step(void *arg)
{
    struct reader *r = arg;

    r->err = nd_archive_open(nd_spool_source, r->spool, NULL, &r->archive);
}

/* What was not read of the entry before, a step of it at a time; then the next entry. */
static void
next_step(void *arg)
{
    struct reader *r = arg;
    uint64_t left = ND_LOAD_STEP_BYTES;

    r->err = nd_archive_skip(r->archive, &left, &r->passed);
    if (r->err == NULL && r->passed)
        r->err = nd_archive_next(r->archive, &r->entry);
}

/* Append zeros or bytes up to the end of the buffer; returns how many. */
static size_t
fill(struct reader *r, const char *bytes, uint64_t want)
{
    size_t n = (size_t)ND_MIN(want, (uint64_t)(ND_LOAD_STEP_BYTES - r->len));

    if (bytes != NULL)
        memcpy(r->buf + r->len, bytes, n);
    else
        memset(r->buf + r->len, 0, n);
    r->len += n;
    r->pos += n;
    return n;
}

/* Up to a buffer full of the entry's content, hashed. */
static void
read_step(void *arg)
{
    struct reader *r = arg;

    r->len = 0;
    while (r->len < ND_LOAD_STEP_BYTES && !r->at_end) {
        if (r->piece.len == 0) {
            r->err = nd_archive_read(r->archive, &r->piece, &r->piece_offset);
            if (r->err != NULL)
                return;
            if (r->piece.len == 0)
                r->piece_offset = r->entry->size; /* a hole may reach to the end */
        }
        if (r->pos < r->piece_offset) {
            (void)fill(r, NULL, r->piece_offset - r->pos);
            continue;
        }
        if (r->piece.len == 0) {
            r->at_end = true;
            break;
        }
        r->piece = nd_str_from(r->piece, fill(r, r->piece.ptr, r->piece.len));
        r->piece_offset = r->pos;
    }
    nd_hasher_add(r->hasher, r->buf, r->len);
}

static struct nd_error *
run_step(struct reader *r, void (*step)(void *arg))
{
    ND_TRY(nd_work(ND_WORK_BULK, step, r));
    return ND_TAKE(r->err);
}

static void
begin_content(struct reader *r)
{
    nd_hasher_free(r->hasher);
    r->hasher = nd_hasher_new(ND_SHA256);
    r->at_end = false;
    r->pos = 0;
    r->piece = ND_STR_NONE;
}

/* "blobs/sha256/<hex>" names a digest. */
static bool
digest_of_name(const char *name, char ret[ND_DIGEST_TEXT_SIZE])
{
    const struct nd_str prefix = ND_STR("blobs/sha256/");
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_digest digest;

    if (!nd_str_starts(nd_str(name), prefix))
        return false;
    (void)snprintf(ret, ND_DIGEST_TEXT_SIZE, "sha256:%.100s", name + prefix.len);
    err = nd_digest_parse(nd_str(ret), &digest);
    return err == NULL;
}

/* Where the text of a describing file belongs; NULL for any other file. */
static struct nd_str *
description(struct nd_scan *scan, const char *name)
{
    if (nd_str_eqz(nd_str(name), "index.json"))
        return &scan->index_json;
    if (nd_str_eqz(nd_str(name), "manifest.json"))
        return &scan->manifest_json;
    if (nd_str_eqz(nd_str(name), "oci-layout"))
        return &scan->oci_layout;
    return NULL;
}

static struct nd_error *
keep_text(struct reader *r, struct nd_scan *scan, struct nd_str *ret)
{
    if (r->entry->size > ND_MANIFEST_MAX_BYTES || r->entry->size >= ND_LOAD_STEP_BYTES)
        return nd_error_new(ND_EXHAUSTED, "it has more than %u bytes", ND_LOAD_STEP_BYTES - 1);
    ND_TRY(run_step(r, read_step));
    *ret = nd_str_n(nd_arena_str(scan->arena, nd_str_n(r->buf, r->len)), r->len);
    return NULL;
}

/* Send the content, a step at a time, until it ends or containerd says that it has the blob. */
static struct nd_error *
send_content(struct reader *r, struct nd_content_writer *writer, struct nd_scan_blob *blob)
{
    bool first = true;

    do {
        ND_TRY(run_step(r, read_step));
        if (first && r->len >= MAGIC_SIZE) {
            blob->gzip = memcmp(r->buf, "\x1f\x8b", 2) == 0;
            blob->zstd = memcmp(r->buf, "\x28\xb5\x2f\xfd", 4) == 0;
        }
        first = false;
        if (writer != NULL && r->len > 0)
            ND_TRY(nd_content_writer_add(writer, nd_str_n(r->buf, r->len)));
    } while (!r->at_end);
    blob->size = (int64_t)r->pos;
    return NULL;
}

/* A success of another kind: the content is there already. */
static struct nd_error *
unless_exists(struct nd_error *err)
{
    if (nd_error_code(err) != ND_EXISTS)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
keep_content(struct reader *r, struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
             struct nd_scan_blob *blob, char digest[ND_DIGEST_TEXT_SIZE])
{
    ND_AUTO(nd_content_writer_closep) struct nd_content_writer *writer = NULL;
    char expected[ND_DIGEST_TEXT_SIZE], ref[64], id[17];
    bool known = digest_of_name(blob->name, expected);

    nd_random_hex(id, 8);
    (void)snprintf(ref, sizeof(ref), "nerdctl-grpc-load-%s", id);
    ND_TRY(unless_exists(nd_content_writer_open(ctrd, scope, ref, known ? expected : NULL,
                                                (int64_t)r->entry->size, &writer)));
    ND_TRY(send_content(r, writer, blob));
    nd_hasher_text(r->hasher, digest);
    if (known && !nd_str_eqz(nd_str(digest), expected))
        return nd_error_new(ND_DATA_LOSS, "its content has digest %s", digest);
    if (writer != NULL)
        ND_TRY(unless_exists(nd_content_writer_commit(writer, digest, NULL)));
    return NULL;
}

static struct nd_error *
take_file(struct reader *r, struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, struct nd_scan *scan)
{
    struct nd_str *text = description(scan, r->entry->name);
    char digest[ND_DIGEST_TEXT_SIZE];
    struct nd_scan_blob *blob;

    begin_content(r);
    if (text != NULL)
        return keep_text(r, scan, text);
    if (r->entry->size == 0)
        return NULL; /* never content: containerd refuses empty images, layers are never empty */
    if (nd_map_count(scan->blobs) == ND_LOAD_MAX_BLOBS)
        return nd_error_new(ND_EXHAUSTED, "the archive has more than %u files", ND_LOAD_MAX_BLOBS);
    blob = nd_arena_new_object(scan->arena, struct nd_scan_blob);
    blob->name = nd_arena_strdup(scan->arena, r->entry->name);
    ND_TRY(keep_content(r, ctrd, scope, blob, digest));
    blob->digest = nd_arena_strdup(scan->arena, digest);
    (void)nd_map_set(scan->blobs, nd_str(blob->name), blob);
    (void)nd_map_set(scan->by_digest, nd_str(blob->digest), blob);
    return NULL;
}

/*
 * The name that a symbolic link stands for: its target, seen from its folder. NULL when it leads
 * out.
 */
static char *
link_target(struct nd_scan *scan, const char *name, const char *link)
{
    size_t slash = nd_str_rfind(nd_str(name), '/');
    char *path =
        nd_arena_printf(scan->arena, "%.*s/%s", (int)(slash == SIZE_MAX ? 0 : slash), name, link);
    struct nd_str rest = nd_str(path), part;
    size_t len = 0;

    if (link[0] == '/')
        return NULL;
    while (nd_str_next(&rest, '/', &part)) {
        if (part.len == 0 || nd_str_eqz(part, "."))
            continue;
        if (nd_str_eqz(part, "..")) {
            size_t cut = nd_str_rfind(nd_str_n(path, len), '/');

            if (len == 0)
                return NULL;
            len = cut == SIZE_MAX ? 0 : cut;
            continue;
        }
        if (len > 0)
            path[len++] = '/';
        memmove(path + len, part.ptr, part.len);
        len += part.len;
    }
    path[len] = '\0';
    return path;
}

static struct nd_error *
take_link(struct reader *r, struct nd_scan *scan)
{
    const struct nd_archive_entry *e = r->entry;
    char *target = e->type == ND_ARCHIVE_HARDLINK ? nd_arena_strdup(scan->arena, e->link)
                                                  : link_target(scan, e->name, e->link);

    if (target == NULL)
        return nd_error_new(ND_INVALID, "it is a link out of the archive, to %s", e->link);
    if (nd_map_count(scan->links) == ND_LOAD_MAX_BLOBS)
        return nd_error_new(ND_EXHAUSTED, "the archive has more than %u links", ND_LOAD_MAX_BLOBS);
    (void)nd_map_set(scan->links, nd_str(e->name), target);
    return NULL;
}

static struct nd_error *
take_entry(struct reader *r, struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, struct nd_scan *scan)
{
    switch (r->entry->type) {
    case ND_ARCHIVE_FILE:
        return take_file(r, ctrd, scope, scan);
    case ND_ARCHIVE_SYMLINK:
    case ND_ARCHIVE_HARDLINK:
        return take_link(r, scan);
    case ND_ARCHIVE_DIR:
        return NULL;
    case ND_ARCHIVE_CHAR:
    case ND_ARCHIVE_BLOCK:
    case ND_ARCHIVE_FIFO:
        return nd_error_new(ND_INVALID, "it is neither a file nor a folder");
    }
    return NULL;
}

static void
close_reader(struct reader *r)
{
    nd_archive_free(r->archive);
    nd_hasher_free(r->hasher);
    nd_free(r->buf);
}

static struct nd_error *
scan_entries(struct reader *r, struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
             nd_scan_progress *progress, void *arg, struct nd_scan *scan)
{
    ND_TRY(run_step(r, open_step));
    for (;;) {
        do
            ND_TRY(run_step(r, next_step));
        while (!r->passed);
        if (r->entry == NULL)
            return NULL;
        ND_TRY_DOING(take_entry(r, ctrd, scope, scan), "entry \"%s\" of the archive",
                     r->entry->name);
        ND_TRY(progress(arg, nd_spool_position(r->spool), nd_spool_size(r->spool)));
    }
}

struct nd_error *
nd_scan_archive(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, struct nd_spool *spool,
                nd_scan_progress *progress, void *arg, struct nd_arena *arena, struct nd_scan *ret)
{
    ND_AUTO(close_reader)
    struct reader r = {.spool = spool, .buf = nd_new_array(ND_LOAD_STEP_BYTES, char)};
    struct nd_error *err;

    *ret = (struct nd_scan){
        .arena = arena, .blobs = nd_map_new(), .by_digest = nd_map_new(), .links = nd_map_new()};
    err = scan_entries(&r, ctrd, scope, progress, arg, ret);
    if (err != NULL)
        nd_scan_fini(ret);
    return nd_archive_fault(err);
}

void
nd_scan_fini(struct nd_scan *scan)
{
    nd_map_free(scan->blobs);
    nd_map_free(scan->by_digest);
    nd_map_free(scan->links);
    *scan = (struct nd_scan){0};
}

const struct nd_scan_blob *
nd_scan_find(const struct nd_scan *scan, struct nd_str name)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        const struct nd_scan_blob *blob = nd_map_find(scan->blobs, name);
        const char *target = nd_map_find(scan->links, name);

        if (blob != NULL || target == NULL)
            return blob;
        name = nd_str(target);
    }
    return NULL;
}
