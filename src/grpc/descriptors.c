/*
 * Descriptors without a descriptor library. protobuf-c knows nothing of .proto files, but all that
 * reflection needs is a walk over the wire format of FileDescriptorProto that notes names:
 *
 *     file: package + messages, enums, services, extensions
 *     message: fields, oneofs, nested messages and enums, extensions      enum: values
 *
 * Which field of which message holds what is a table; one recursive function walks it. An enum's
 * values are named next to the enum, not inside it, as in C++. The field numbers are those of
 * google/protobuf/descriptor.proto.
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/map.h"
#include "grpc/limits.h"

#include "descriptors_priv.h"

struct extension {
    struct nd_str type; /* whom it extends, without leading dot */
    int32_t number;
    const struct nd_descriptor_file *file;
};

struct nd_descriptors {
    struct nd_arena *arena;
    struct nd_map *files;   /* name -> struct nd_descriptor_file */
    struct nd_map *symbols; /* full name -> struct nd_descriptor_file */
    struct extension *extensions;
    size_t n_extensions;
};

/* --- the wire --- */

struct field {
    uint32_t number;
    uint32_t type;
    uint64_t value;      /* types 0, 1 and 5 */
    struct nd_str bytes; /* type 2 */
};

static bool
take_varint(struct nd_str *s, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 10 && i < s->len; i++) {
        unsigned char c = (unsigned char)s->ptr[i];

        value |= (uint64_t)(c & 127) << (7 * i);
        if (c < 128) {
            *s = nd_str_from(*s, i + 1);
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool
take_bytes(struct nd_str *s, uint64_t len, struct nd_str *ret)
{
    if (len > s->len)
        return false;
    *ret = nd_str_sub(*s, 0, (size_t)len);
    *s = nd_str_from(*s, (size_t)len);
    return true;
}

/* The next field; false at the end, or when what follows is broken: then *s is not empty. */
static bool
next_field(struct nd_str *s, struct field *ret)
{
    struct nd_str rest = *s;
    uint64_t tag, len;
    bool ok = false;

    if (!take_varint(&rest, &tag))
        return false;
    ret->number = (uint32_t)(tag >> 3);
    ret->type = tag & 7;
    if (ret->type == 0)
        ok = take_varint(&rest, &ret->value);
    else if (ret->type == 1)
        ok = take_bytes(&rest, 8, &ret->bytes);
    else if (ret->type == 2)
        ok = take_varint(&rest, &len) && take_bytes(&rest, len, &ret->bytes);
    else if (ret->type == 5)
        ok = take_bytes(&rest, 4, &ret->bytes);
    if (ok)
        *s = rest;
    return ok;
}

/* The last text field of that number; empty without one. */
static struct nd_str
text_field(struct nd_str message, uint32_t number)
{
    struct nd_str found = ND_STR_NONE;
    struct field f;

    while (next_field(&message, &f)) {
        if (f.number == number && f.type == 2)
            found = f.bytes;
    }
    return found;
}

/* --- what contains what --- */

enum kind {
    KIND_FILE,
    KIND_MESSAGE,
    KIND_ENUM,
    KIND_SERVICE,
    KIND_EXTENSION,
    KIND_LEAF,  /* fields, oneofs, methods: a name and nothing more */
    KIND_VALUE, /* of an enum */
};

static const struct {
    enum kind parent;
    uint32_t number;
    enum kind child;
} contents[] = {
    {KIND_FILE, 4, KIND_MESSAGE}, {KIND_FILE, 5, KIND_ENUM},
    {KIND_FILE, 6, KIND_SERVICE}, {KIND_FILE, 7, KIND_EXTENSION},
    {KIND_MESSAGE, 2, KIND_LEAF}, {KIND_MESSAGE, 3, KIND_MESSAGE},
    {KIND_MESSAGE, 4, KIND_ENUM}, {KIND_MESSAGE, 6, KIND_EXTENSION},
    {KIND_MESSAGE, 8, KIND_LEAF}, {KIND_ENUM, 2, KIND_VALUE},
    {KIND_SERVICE, 2, KIND_LEAF},
};

/* Where the table says what a field of a `parent` is; its length: nothing of interest. */
static size_t
find_content(enum kind parent, const struct field *f)
{
    size_t i = 0;

    while (i < ND_LEN(contents) &&
           !(contents[i].parent == parent && contents[i].number == f->number && f->type == 2))
        i++;
    return i;
}

enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_IMPORT = 3, NAME = 1, EXTENDEE = 2, NUMBER = 3 };

struct walk {
    struct nd_descriptors *d;
    struct nd_descriptor_file *file;
    unsigned depth;
};

static void
add_extension(struct walk *w, struct nd_str bytes)
{
    struct nd_descriptors *d = w->d;
    struct nd_str extendee = text_field(bytes, EXTENDEE);
    struct extension e = {.file = w->file};
    struct field f;

    while (next_field(&bytes, &f)) {
        if (f.number == NUMBER && f.type == 0)
            e.number = (int32_t)f.value;
    }
    e.type = nd_str_from(extendee, nd_str_starts(extendee, ND_STR(".")) ? 1 : 0);
    d->extensions = nd_realloc(d->extensions, d->n_extensions + 1, sizeof(e));
    d->extensions[d->n_extensions++] = e;
}

static struct nd_str
join(struct nd_descriptors *d, struct nd_str scope, struct nd_str name)
{
    char *text;

    if (scope.len == 0)
        return name;
    text = nd_arena_printf(d->arena, "%.*s.%.*s", ND_STR_ARG(scope), ND_STR_ARG(name));
    return nd_str(text);
}

static struct nd_error *
broken(const struct walk *w)
{
    return nd_error_new(ND_INVALID, "descriptors: %.*s is broken", ND_STR_ARG(w->file->name));
}

/* Note what is inside `bytes`, a `kind` whose name is `scope`. */
static struct nd_error *walk_contents(struct walk *w, enum kind kind, struct nd_str bytes,
                                      struct nd_str scope, struct nd_str outer);

static struct nd_error *
walk_child(struct walk *w, enum kind kind, struct nd_str bytes, struct nd_str scope,
           struct nd_str outer)
{
    struct nd_str name = join(w->d, kind == KIND_VALUE ? outer : scope, text_field(bytes, NAME));
    struct nd_error *err;

    if (name.len == 0)
        return broken(w);
    if (nd_map_find(w->d->symbols, name) == NULL)
        nd_map_set(w->d->symbols, name, w->file);
    if (kind == KIND_EXTENSION)
        add_extension(w, bytes);
    if (++w->depth > ND_GRPC_MAX_DESCRIPTOR_DEPTH)
        return broken(w);
    err = walk_contents(w, kind, bytes, name, scope);
    w->depth--;
    return err;
}

static struct nd_error *
walk_contents(struct walk *w, enum kind kind, struct nd_str bytes, struct nd_str scope,
              struct nd_str outer)
{
    struct nd_error *err = NULL;
    struct field f;

    while (err == NULL && next_field(&bytes, &f)) {
        size_t i = find_content(kind, &f);

        if (i < ND_LEN(contents))
            err = walk_child(w, contents[i].child, f.bytes, scope, outer);
    }
    if (err == NULL && bytes.len != 0)
        err = broken(w);
    return err;
}

/* --- files --- */

static void
note_imports(struct nd_descriptors *d, struct nd_descriptor_file *file)
{
    struct nd_str bytes = file->bytes;
    struct field f;
    size_t n = 0;

    while (next_field(&bytes, &f))
        n += f.number == FILE_IMPORT && f.type == 2;
    file->imports = nd_arena_new_array(d->arena, n, struct nd_str);
    bytes = file->bytes;
    while (next_field(&bytes, &f)) {
        if (f.number == FILE_IMPORT && f.type == 2)
            file->imports[file->n_imports++] = f.bytes;
    }
}

static struct nd_error *
add_file(struct nd_descriptors *d, struct nd_str bytes)
{
    struct nd_str name = text_field(bytes, FILE_NAME);
    struct nd_descriptor_file *file;
    struct walk w = {.d = d};

    if (name.len == 0)
        return nd_error_new(ND_INVALID, "descriptors: a file without a name");
    if (nd_map_find(d->files, name) != NULL)
        return NULL;
    file = nd_arena_new_object(d->arena, struct nd_descriptor_file);
    file->id = nd_map_count(d->files);
    file->name = name;
    file->bytes = bytes;
    nd_map_set(d->files, name, file);
    note_imports(d, file);
    w.file = file;
    return walk_contents(&w, KIND_FILE, bytes, text_field(bytes, FILE_PACKAGE), ND_STR_NONE);
}

struct nd_descriptors *
nd_descriptors_new(void)
{
    struct nd_descriptors *d = nd_new(struct nd_descriptors);

    d->arena = nd_arena_new(0);
    d->files = nd_map_new();
    d->symbols = nd_map_new();
    return d;
}

void
nd_descriptors_free(struct nd_descriptors *d)
{
    if (d == NULL)
        return;
    nd_free(d->extensions);
    nd_map_free(d->files);
    nd_map_free(d->symbols);
    nd_arena_free(d->arena);
    nd_free(d);
}

struct nd_error *
nd_descriptors_add(struct nd_descriptors *d, struct nd_str set)
{
    struct field f;

    while (next_field(&set, &f)) {
        if (f.number == 1 && f.type == 2)
            ND_TRY(add_file(d, f.bytes));
    }
    if (set.len != 0)
        return nd_error_new(ND_INVALID, "descriptors: the set is broken");
    return NULL;
}

/* --- questions --- */

size_t
nd_descriptors_count(const struct nd_descriptors *d)
{
    return nd_map_count(d->files);
}

const struct nd_descriptor_file *
nd_descriptors_file(const struct nd_descriptors *d, struct nd_str name)
{
    return nd_map_find(d->files, name);
}

const struct nd_descriptor_file *
nd_descriptors_symbol(const struct nd_descriptors *d, struct nd_str symbol)
{
    return nd_map_find(d->symbols, symbol);
}

const struct nd_descriptor_file *
nd_descriptors_extension(const struct nd_descriptors *d, struct nd_str type, int32_t number)
{
    for (size_t i = 0; i < d->n_extensions; i++) {
        if (d->extensions[i].number == number && nd_str_eq(d->extensions[i].type, type))
            return d->extensions[i].file;
    }
    return NULL;
}

size_t
nd_descriptors_extension_numbers(const struct nd_descriptors *d, struct nd_str type, int32_t *dst,
                                 size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_extensions && n < max; i++) {
        if (nd_str_eq(d->extensions[i].type, type))
            dst[n++] = d->extensions[i].number;
    }
    return n;
}
