/*
 * A look at a layer before it is unpacked.
 *
 * containerd takes a name such as "../../x" inside the root without a word, and tells of a broken
 * layer only that something failed. Whoever loads a stranger's archive wants to know which entry is
 * wrong, and that nothing of it was written. So the layer is read here first, as a whole:
 *
 *     containerd ──▶ [fiber: spool] ──▶ [thread: step by step] ──▶ verdict
 *
 * The reader of archives refuses what leads out, what is broken and what is a bomb; here whiteouts
 * that name no sibling and very deep names are, too. One thing more is noticed: a hard link to
 * something that did not come before it. It may still be right (its target may be reached over a
 * symbolic link), so it is no error here, but when unpacking then fails it is the reason.
 *
 * Names are remembered as hashes: two names with one hash only make a dead link go unnoticed.
 */

#include <stdio.h>

#include "base/map.h"
#include "codec/archive.h"
#include "containerd/content.pb-c.h"
#include "fiber/work.h"
#include "image/limits.h"

#include "layer_check_priv.h"
#include "spool_priv.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)
#define LINK_SIZE  256 /* bytes kept of a dead link's name, for the message */

struct check {
    struct nd_spool *spool;
    struct nd_archive *archive;
    struct nd_map *names; /* hash of each name that can be linked to -> anything */
    uint64_t n_entries;
    bool in_content; /* of an entry */
    bool at_end;
    char dead_link[LINK_SIZE]; /* "" none */
    struct nd_error *err;      /* of the step */
};

static void
close_check(struct check *c)
{
    nd_archive_free(c->archive);
    nd_map_free(c->names);
}

static uint64_t
hash_name(const char *name)
{
    uint64_t hash = FNV_OFFSET;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * FNV_PRIME;
    return hash;
}

static void
note_name(struct check *c, const struct nd_archive_entry *e)
{
    if (e->type == ND_ARCHIVE_HARDLINK && c->dead_link[0] == '\0' &&
        nd_map_count(c->names) < ND_LAYER_MAX_NAMES &&
        nd_map_find_u64(c->names, hash_name(e->link)) == NULL)
        (void)snprintf(c->dead_link, sizeof(c->dead_link), "%.120s to %.120s", e->name, e->link);
    if (e->type != ND_ARCHIVE_DIR && nd_map_count(c->names) < ND_LAYER_MAX_NAMES)
        (void)nd_map_set_u64(c->names, hash_name(e->name), c);
}

static void
open_step(void *arg)
{
    struct check *c = arg;

    c->err = nd_archive_open(nd_spool_source, c->spool, NULL, &c->archive);
}

/*
 * A whiteout removes what its name says behind the prefix: that must be the name of a sibling. And
 * names are only so deep: containerd looks up every folder of a name again for each of them, so
 * that one name of four kilobytes costs a minute.
 */
static struct nd_error *
check_name(const char *name)
{
    static const char *const bad[] = {".wh.", ".wh..", ".wh..."};
    struct nd_str rest = nd_str(name), part = ND_STR_NONE;
    unsigned depth = 0;

    while (nd_str_next(&rest, '/', &part)) {
        if (depth++ > ND_LAYER_MAX_DEPTH)
            return nd_error_new(ND_EXHAUSTED, "\"%.60s...\" is more than %u folders deep", name,
                                ND_LAYER_MAX_DEPTH);
    }
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        if (nd_str_eqz(part, bad[i]))
            return nd_error_new(ND_INVALID, "whiteout \"%.120s\" names nothing beside it", name);
    }
    return NULL;
}

/* The next entry, or more of the content of this one. */
static struct nd_error *
read_some(struct check *c, uint64_t *left)
{
    const struct nd_archive_entry *e;
    bool passed;

    if (c->in_content) {
        ND_TRY(nd_archive_skip(c->archive, left, &passed));
        c->in_content = !passed;
        return NULL;
    }
    ND_TRY(nd_archive_next(c->archive, &e));
    c->at_end = e == NULL;
    if (e == NULL)
        return NULL;
    c->in_content = true;
    c->n_entries++;
    ND_TRY(check_name(e->name));
    note_name(c, e);
    return NULL;
}

/* So many entries, or so many bytes of content, that the thread is soon free for others. */
static void
read_step(void *arg)
{
    struct check *c = arg;
    uint64_t left = ND_LAYER_STEP_BYTES;

    for (unsigned i = 0; i < ND_LAYER_STEP_ENTRIES && left > 0 && !c->at_end && c->err == NULL; i++)
        c->err = read_some(c, &left);
}

static struct nd_error *
run_step(struct check *c, void (*step)(void *arg))
{
    ND_TRY(nd_work(ND_WORK_BULK, step, c));
    return ND_TAKE(c->err);
}

/* Mark what the layer itself is to blame for. */
static struct nd_error *
blame(struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);

    if (code != ND_INVALID && code != ND_DATA_LOSS && code != ND_EXHAUSTED)
        return err;
    return nd_error_reason(err, "LAYER_INVALID");
}

/* --- the layer's bytes, from containerd to a file without a name --- */

/* gzip under a type that says "plain", and the other way round, is what unpacking fails at. */
static struct nd_error *
check_compression(const struct nd_oci_descriptor *layer, struct nd_str first)
{
    const bool gzip = nd_str_starts(first, nd_str_n("\x1f\x8b", 2));
    const bool zstd = nd_str_starts(first, nd_str_n("\x28\xb5\x2f\xfd", 4));
    enum nd_oci_compression said = nd_oci_compression(nd_str(layer->media_type));

    if ((said == ND_OCI_PLAIN) == (!gzip && !zstd))
        return NULL;
    return blame(nd_error_new(ND_INVALID, "it is called %s, but its content is %s",
                              layer->media_type,
                              gzip   ? "gzip"
                              : zstd ? "zstd"
                                     : "not compressed"));
}

static struct nd_error *
spool_stream(struct nd_client_call *call, const struct nd_oci_descriptor *layer,
             struct nd_arena *arena, struct nd_spool *spool)
{
    for (;;) {
        CtContent__ReadResponse *rsp;
        struct nd_str bytes;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        bytes = nd_str_n(rsp->data.data, rsp->data.len);
        if (nd_spool_size(spool) == 0 && bytes.len > 0)
            ND_TRY(check_compression(layer, bytes));
        ND_TRY(nd_spool_add(spool, bytes));
    }
}

static struct nd_error *
spool_layer(struct nd_host *host, struct nd_ctrd_scope scope, const struct nd_oci_descriptor *layer,
            struct nd_spool *spool)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    CtContent__ReadRequest req = CT_CONTENT__READ_REQUEST__INIT;

    req.digest = (char *)(uintptr_t)layer->digest;
    ND_TRY(nd_ctrd_stream(nd_host_ctrd(host), scope, CT_CONTENT_READ, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    return spool_stream(call, layer, arena, spool);
}

static struct nd_error *
read_layer(struct check *c)
{
    ND_TRY(run_step(c, open_step));
    while (!c->at_end)
        ND_TRY(run_step(c, read_step));
    return NULL;
}

struct nd_error *
nd_layer_check(struct nd_host *host, struct nd_ctrd_scope scope,
               const struct nd_oci_descriptor *layer, struct nd_arena *arena,
               struct nd_layer_facts *ret)
{
    ND_AUTO(nd_spool_freep) struct nd_spool *spool = NULL;
    ND_AUTO(close_check) struct check c = {.names = nd_map_new()};
    struct nd_error *err;

    ND_TRY(nd_spool_new(nd_host_settings(host)->data_root, &spool));
    ND_TRY(spool_layer(host, scope, layer, spool));
    c.spool = spool;
    err = read_layer(&c);
    if (err != NULL)
        return blame(err);
    *ret = (struct nd_layer_facts){.n_entries = c.n_entries};
    if (c.dead_link[0] != '\0')
        ret->dead_link = nd_arena_strdup(arena, c.dead_link);
    return NULL;
}
