/* See archives.h. The tar format is POSIX ustar: enough for names below 100 bytes. */

#include "archives.h"

#include <stdio.h>
#include <zlib.h>

#include "base/alloc.h"
#include "oci/platform.h"

#include "check.h"

#define BLOCK 512

static void
put_octal(char *field, size_t size, uint64_t value)
{
    (void)snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
}

void
tar_entry(struct nd_buf *tar, char type, const char *name, const char *link, struct nd_str content)
{
    static const char zeros[BLOCK];
    char h[BLOCK] = {0};
    unsigned sum = 0;

    assert_true(strlen(name) < 100 && strlen(link) < 100);
    memcpy(h, name, strlen(name));
    put_octal(h + 100, 8, type == '5' ? 0755 : 0644);
    put_octal(h + 108, 8, 0);
    put_octal(h + 116, 8, 0);
    put_octal(h + 124, 12, content.len);
    put_octal(h + 136, 12, 1700000000);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 157, link, strlen(link));
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    (void)snprintf(h + 148, 8, "%06o", sum);
    nd_buf_put(tar, nd_str_n(h, BLOCK));
    nd_buf_put(tar, content);
    nd_buf_put(tar, nd_str_n(zeros, (BLOCK - content.len % BLOCK) % BLOCK));
}

void
tar_file(struct nd_buf *tar, const char *name, struct nd_str content)
{
    tar_entry(tar, '0', name, "", content);
}

/* Hand a buffer over to the arena. */
static struct nd_str
settle(struct nd_arena *arena, struct nd_buf *buf)
{
    struct nd_str bytes = nd_str_n(nd_arena_memdup(arena, buf->ptr, buf->len), buf->len);

    nd_buf_fini(buf);
    return bytes;
}

struct nd_str
tar_take(struct nd_buf *tar, struct nd_arena *arena)
{
    static const char zeros[2 * BLOCK];

    nd_buf_put(tar, nd_str_n(zeros, sizeof(zeros)));
    return settle(arena, tar);
}

struct nd_str
layer_of(struct nd_arena *arena, const char *name, const char *content)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    tar_file(&tar, name, nd_str(content));
    return tar_take(&tar, arena);
}

struct nd_str
gzipped(struct nd_arena *arena, struct nd_str bytes)
{
    z_stream z = {0};
    struct nd_str out;
    uLong bound;

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    bound = deflateBound(&z, bytes.len);
    z.next_in = (Bytef *)(uintptr_t)bytes.ptr;
    z.avail_in = (uInt)bytes.len;
    z.next_out = nd_arena_alloc(arena, bound);
    z.avail_out = (uInt)bound;
    out.ptr = (const char *)z.next_out;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

const char *
digest_of(struct nd_arena *arena, struct nd_str bytes)
{
    char text[ND_DIGEST_TEXT_SIZE];

    nd_digest_of(ND_SHA256, bytes, text);
    return nd_arena_strdup(arena, text);
}

struct made
made_image(struct nd_arena *arena, const char *seed, size_t n)
{
    struct made m = {.arena = arena, .n_layers = n};

    assert_true(n <= LAYERS_MAX);
    for (size_t i = 0; i < n; i++)
        m.layers[i] = layer_of(arena, nd_arena_printf(arena, "file%zu", i),
                               nd_arena_printf(arena, "%s %zu\n", seed, i));
    return m;
}

struct nd_str
made_config(struct made *m)
{
    struct nd_buf text = ND_BUF_INIT(ARCHIVE_MAX_BYTES);
    struct nd_platform host;

    if (m->config.ptr != NULL)
        return m->config;
    nd_platform_host(&host);
    nd_buf_printf(&text,
                  "{\"created\":\"2024-01-02T03:04:05Z\",\"architecture\":\"%s\",\"os\":\"linux\","
                  "\"config\":%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                  m->architecture != NULL ? m->architecture : host.architecture,
                  m->run != NULL ? m->run : "{}");
    for (size_t i = 0; i < m->n_layers; i++)
        nd_buf_printf(&text, "%s\"%s\"", i > 0 ? "," : "", digest_of(m->arena, m->layers[i]));
    nd_buf_putz(&text, "]},\"history\":[{\"created\":\"2024-01-02T03:04:05Z\",\"created_by\":"
                       "\"test\",\"comment\":\"made\"}]}");
    m->config = settle(m->arena, &text);
    return m->config;
}

static const char *
honest_manifest(struct made *m, const struct docker_options *o)
{
    struct nd_buf text = ND_BUF_INIT(ARCHIVE_MAX_BYTES);
    const char *json;

    nd_buf_printf(&text, "[{\"Config\":\"config.json\",\"RepoTags\":%s,\"Layers\":[", o->tags);
    for (size_t i = 0; i < m->n_layers; i++)
        nd_buf_printf(&text, "%s\"%slayer%zu/layer.tar\"", i > 0 ? "," : "",
                      o->layer_prefix != NULL ? o->layer_prefix : "", i);
    nd_buf_putz(&text, "]}]");
    json = nd_arena_str(m->arena, nd_buf_str(&text));
    nd_buf_fini(&text);
    return json;
}

static void
put_layer(struct nd_buf *tar, struct made *m, const struct docker_options *o, size_t i)
{
    const char *name = nd_arena_printf(m->arena, "layer%zu/layer.tar", i);

    if (o->links && i > 0)
        tar_entry(tar, i % 2 == 1 ? '2' : '1', name,
                  i % 2 == 1 ? "../layer0/layer.tar" : "layer0/layer.tar", ND_STR_NONE);
    else
        tar_file(tar, name, m->layers[i]);
}

struct nd_str
docker_archive(struct made *m, const struct docker_options *o)
{
    struct nd_buf tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);
    const char *manifest = o->manifest != NULL ? o->manifest : honest_manifest(m, o);

    if (o->manifest_first)
        tar_file(&tar, "manifest.json", nd_str(manifest));
    for (size_t i = 0; i < m->n_layers; i++)
        put_layer(&tar, m, o, i);
    tar_file(&tar, "config.json", made_config(m));
    if (!o->manifest_first)
        tar_file(&tar, "manifest.json", nd_str(manifest));
    return tar_take(&tar, m->arena);
}

/* --- OCI layouts --- */

struct layout
layout_begin(struct nd_arena *arena)
{
    struct layout l = {.arena = arena,
                       .tar = nd_arena_new_object(arena, struct nd_buf),
                       .entries = ND_BUF_INIT(ARCHIVE_MAX_BYTES)};

    *l.tar = ND_BUF_INIT(ARCHIVE_MAX_BYTES);
    tar_file(l.tar, "oci-layout", ND_STR("{\"imageLayoutVersion\":\"1.0.0\"}"));
    return l;
}

void
layout_blob(struct layout *l, struct nd_str bytes, const char *digest)
{
    if (digest == NULL)
        digest = digest_of(l->arena, bytes);
    tar_file(l->tar, nd_arena_printf(l->arena, "blobs/sha256/%s", strchr(digest, ':') + 1), bytes);
}

static void
put_descriptor(struct layout *l, struct nd_buf *text, const char *type, struct nd_str bytes)
{
    nd_buf_printf(text, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}", type,
                  digest_of(l->arena, bytes), (long long)bytes.len + l->size_lie);
}

struct nd_str
layout_image(struct layout *l, struct made *m, bool gzip, bool bare)
{
    struct nd_buf text = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    nd_buf_putz(&text, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":");
    put_descriptor(l, &text, "application/vnd.oci.image.config.v1+json", made_config(m));
    if (!bare)
        layout_blob(l, made_config(m), NULL);
    nd_buf_putz(&text, ",\"layers\":[");
    for (size_t i = 0; i < m->n_layers; i++) {
        struct nd_str bytes = gzip ? gzipped(l->arena, m->layers[i]) : m->layers[i];

        if (i > 0)
            nd_buf_putc(&text, ',');
        put_descriptor(l, &text,
                       gzip ? "application/vnd.oci.image.layer.v1.tar+gzip"
                            : "application/vnd.oci.image.layer.v1.tar",
                       bytes);
        if (!bare)
            layout_blob(l, bytes, NULL);
    }
    nd_buf_putz(&text, "]}");
    return settle(l->arena, &text);
}

void
layout_entry(struct layout *l, const char *type, struct nd_str text, const char *extra)
{
    nd_buf_printf(&l->entries, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
                  l->entries.len > 0 ? "," : "", type, digest_of(l->arena, text), text.len, extra);
}

struct nd_str
layout_end(struct layout *l)
{
    struct nd_buf text = ND_BUF_INIT(ARCHIVE_MAX_BYTES);

    nd_buf_printf(&text, "{\"schemaVersion\":2,\"manifests\":[%.*s]}",
                  ND_STR_ARG(nd_buf_str(&l->entries)));
    tar_file(l->tar, "index.json", nd_buf_str(&text));
    nd_buf_fini(&text);
    nd_buf_fini(&l->entries);
    return tar_take(l->tar, l->arena);
}

struct nd_str
oci_archive(struct made *m, const char *name, bool gzip)
{
    struct layout l = layout_begin(m->arena);
    struct nd_str manifest = layout_image(&l, m, gzip, false);

    layout_blob(&l, manifest, NULL);
    layout_entry(&l, OCI_MANIFEST, manifest,
                 name == NULL
                     ? ""
                     : nd_arena_printf(m->arena,
                                       ",\"annotations\":{\"io.containerd.image.name\":\"%s\"}",
                                       name));
    return layout_end(&l);
}
