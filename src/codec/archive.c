/*
 * Tar archives of strangers, on libarchive.
 *
 *     source ──► libarchive: gzip, zstd or plain ──► tar ──► entries, contents
 *                                                        │
 *     limits: entries, bytes, bytes out per byte in  ◄───┘   names cleaned, or refused
 *
 * libarchive is given exactly two filters and one format, and never an external program or a path.
 * Contents that the caller does not read are read here all the same, piece by piece: libarchive
 * would skip them in one go, and a few kilobytes of input could keep it busy for hours.
 *
 * Names are bytes. libarchive wants to convert them to the locale and fails in the C locale for
 * what is not ASCII, so its calls run in a UTF-8 locale of this thread, where bytes pass unchanged.
 * A warning of libarchive is an error here: it means that an entry is not what it says.
 */

#include "codec/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>

#include "base/alloc.h"
#include "codec/limits.h"

struct nd_archive {
    struct archive *reader;
    locale_t locale;
    nd_archive_source *source;
    void *source_arg;
    struct nd_error *source_err; /* what the source said; handed out by the call that needed it */
    struct nd_archive_limits limits;
    uint64_t n_entries;
    uint64_t bytes_in;
    struct nd_str pending; /* of the source, not handed on yet */
    size_t piece_bytes;    /* handed on at once; 0: not known yet */
    bool in_header;
    uint64_t header_start; /* in what is unpacked */
    uint64_t bytes_out;    /* holes count as the zeros that they stand for */
    uint64_t content_end;  /* how far the entry's content was read, holes included */
    bool at_end;
    bool in_content; /* the entry's content has not been read to its end */
    struct nd_archive_entry entry;
    struct nd_buf name;
    struct nd_buf link;
    struct nd_archive_xattr xattrs[ND_ARCHIVE_MAX_XATTRS];
};

/*
 * libarchive builds a list of a sparse file's holes while it reads the entry's header, without a
 * limit: a few kilobytes of input could make it take gigabytes. So what is compressed is handed on
 * in small pieces, and with each the header is looked at.
 */
#define PLAIN_PIECE  ((size_t)64 * 1024)
#define PACKED_PIECE ((size_t)512)

static void
choose_piece(struct nd_archive *a)
{
    bool packed = nd_str_starts(a->pending, nd_str_n("\x1f\x8b", 2)) ||
                  nd_str_starts(a->pending, nd_str_n("\x28\xb5\x2f\xfd", 4)) || a->pending.len < 4;

    a->piece_bytes = packed ? PACKED_PIECE : PLAIN_PIECE;
}

static struct nd_error *
check_header(const struct nd_archive *a)
{
    la_int64_t position = archive_filter_bytes(a->reader, 0);

    if (!a->in_header || position < 0 ||
        (uint64_t)position - a->header_start <= ND_ARCHIVE_MAX_HEADER)
        return NULL;
    return nd_error_new(ND_EXHAUSTED, "the header of an entry is longer than %llu bytes",
                        (unsigned long long)ND_ARCHIVE_MAX_HEADER);
}

/* The next piece of the source. */
static struct nd_error *
next_piece(struct nd_archive *a, struct nd_str *ret)
{
    ND_TRY(check_header(a));
    if (a->pending.len == 0)
        ND_TRY(a->source(a->source_arg, &a->pending));
    if (a->piece_bytes == 0)
        choose_piece(a);
    *ret = nd_str_sub(a->pending, 0, a->piece_bytes);
    a->pending = nd_str_from(a->pending, ret->len);
    return NULL;
}

static ssize_t
on_read(struct archive *reader, void *arg, const void **ret)
{
    struct nd_archive *a = arg;
    struct nd_str bytes = ND_STR_NONE;

    if (a->source_err == NULL)
        a->source_err = next_piece(a, &bytes);
    if (a->source_err != NULL) {
        archive_set_error(reader, EIO, "no input");
        return ARCHIVE_FATAL;
    }
    a->bytes_in += bytes.len;
    *ret = bytes.ptr;
    return (ssize_t)bytes.len;
}

/* The error behind a result of libarchive. */
static struct nd_error *
failure(struct nd_archive *a, const char *doing)
{
    const char *text = archive_error_string(a->reader);
    bool cut_off = text != NULL && (strstr(text, "runcated") != NULL);

    if (a->source_err != NULL)
        return nd_error_wrap(ND_TAKE(a->source_err), "%s", doing);
    return nd_error_new(cut_off ? ND_DATA_LOSS : ND_INVALID, "%s: %s", doing,
                        text != NULL ? text : "not a tar archive");
}

static struct nd_archive_limits
limits_or_defaults(const struct nd_archive_limits *limits)
{
    struct nd_archive_limits l = {
        .max_entries = ND_ARCHIVE_MAX_ENTRIES,
        .max_bytes = ND_ARCHIVE_MAX_BYTES,
        .max_ratio = ND_ARCHIVE_MAX_RATIO,
    };

    if (limits != NULL && limits->max_entries > 0)
        l.max_entries = limits->max_entries;
    if (limits != NULL && limits->max_bytes > 0)
        l.max_bytes = limits->max_bytes;
    if (limits != NULL && limits->max_ratio > 0)
        l.max_ratio = limits->max_ratio;
    return l;
}

/* A reader that knows gzip, zstd and tar. Asking for a filter that is not built in is a warning. */
static void
set_up(struct nd_archive *a)
{
    a->reader = archive_read_new();
    a->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    ND_INVARIANT(a->reader != NULL && a->locale != (locale_t)0);
    ND_INVARIANT(archive_read_support_format_tar(a->reader) == ARCHIVE_OK);
    ND_INVARIANT(archive_read_support_filter_gzip(a->reader) == ARCHIVE_OK);
    ND_INVARIANT(archive_read_support_filter_zstd(a->reader) == ARCHIVE_OK);
}

struct nd_error *
nd_archive_open(nd_archive_source *source, void *arg, const struct nd_archive_limits *limits,
                struct nd_archive **ret)
{
    ND_AUTO(nd_archive_freep) struct nd_archive *a = nd_new(struct nd_archive);
    locale_t before;
    int result;

    a->source = source;
    a->source_arg = arg;
    a->limits = limits_or_defaults(limits);
    a->name = ND_BUF_INIT(ND_ARCHIVE_MAX_NAME);
    a->link = ND_BUF_INIT(ND_ARCHIVE_MAX_NAME);
    set_up(a);
    before = uselocale(a->locale);
    result = archive_read_open(a->reader, a, NULL, on_read, NULL);
    uselocale(before);
    if (result != ARCHIVE_OK)
        return failure(a, "open archive");
    if (archive_filter_count(a->reader) > 2) /* tar itself counts */
        return nd_error_new(ND_INVALID, "open archive: it is compressed more than once");
    *ret = ND_TAKE(a);
    return NULL;
}

void
nd_archive_free(struct nd_archive *archive)
{
    if (archive == NULL)
        return;
    archive_read_free(archive->reader);
    freelocale(archive->locale);
    nd_error_free(archive->source_err);
    nd_buf_fini(&archive->name);
    nd_buf_fini(&archive->link);
    nd_free(archive);
}

void
nd_archive_freep(struct nd_archive **archive)
{
    nd_archive_free(*archive);
}

/* What was decompressed so far, against the limits. */
static struct nd_error *
check_output(const struct nd_archive *a)
{
    la_int64_t position = archive_filter_bytes(a->reader, 0);
    uint64_t out = ND_MAX(a->bytes_out, position > 0 ? (uint64_t)position : 0);

    if (out > a->limits.max_bytes)
        return nd_error_new(ND_EXHAUSTED, "the archive holds more than %llu bytes",
                            (unsigned long long)a->limits.max_bytes);
    if (out > ND_ARCHIVE_RATIO_FREE && out / a->limits.max_ratio > a->bytes_in)
        return nd_error_new(ND_EXHAUSTED, "the archive grows more than %llu times when unpacked",
                            (unsigned long long)a->limits.max_ratio);
    return NULL;
}

/*
 * The entry's content goes on to here. A hole takes no bytes of the archive, and whoever unpacks it
 * writes zeros without end: it counts like everything else.
 */
static struct nd_error *
reach(struct nd_archive *a, uint64_t end)
{
    a->bytes_out += end - ND_MIN(end, a->content_end);
    a->content_end = ND_MAX(end, a->content_end);
    return check_output(a);
}

struct nd_error *
nd_archive_read(struct nd_archive *archive, struct nd_str *ret_bytes, uint64_t *ret_offset)
{
    locale_t before;
    const void *ptr;
    size_t len = 0;
    la_int64_t offset;
    int result;

    if (!archive->in_content) {
        *ret_bytes = ND_STR_NONE;
        *ret_offset = archive->entry.size;
        return NULL;
    }
    do {
        before = uselocale(archive->locale);
        result = archive_read_data_block(archive->reader, &ptr, &len, &offset);
        uselocale(before);
    } while (result == ARCHIVE_OK && len == 0);
    if (result == ARCHIVE_EOF) {
        archive->in_content = false;
        ND_TRY(reach(archive, archive->entry.size));
        return nd_archive_read(archive, ret_bytes, ret_offset);
    }
    if (result != ARCHIVE_OK)
        return failure(archive, archive->entry.name);
    if (offset < 0 || (uint64_t)offset < archive->content_end)
        return nd_error_new(ND_INVALID, "%s: pieces over each other", archive->entry.name);
    ND_TRY(reach(archive, (uint64_t)offset + len));
    *ret_bytes = nd_str_n(ptr, len);
    *ret_offset = (uint64_t)offset;
    return NULL;
}

struct nd_error *
nd_archive_read_all(struct nd_archive *archive, struct nd_buf *buf)
{
    struct nd_str piece;
    uint64_t offset;

    if (archive->entry.size > ND_ARCHIVE_MAX_SMALL)
        return nd_error_new(ND_EXHAUSTED, "%s is longer than %llu bytes", archive->entry.name,
                            (unsigned long long)ND_ARCHIVE_MAX_SMALL);
    for (size_t start = buf->len; archive->in_content;) {
        ND_TRY(nd_archive_read(archive, &piece, &offset));
        if (offset > ND_ARCHIVE_MAX_SMALL)
            return nd_error_new(ND_EXHAUSTED, "%s has a hole too large", archive->entry.name);
        while (buf->len - start < offset)
            ND_TRY_DOING(nd_buf_add(buf, nd_str_n("", 1)), "%s", archive->entry.name);
        ND_TRY_DOING(nd_buf_add(buf, piece), "%s", archive->entry.name);
    }
    return NULL;
}

struct nd_error *
nd_archive_skip(struct nd_archive *archive, uint64_t *left, bool *ret_at_end)
{
    struct nd_str piece = ND_STR_NONE;
    uint64_t offset;

    while (archive->in_content && *left > 0) {
        ND_TRY(nd_archive_read(archive, &piece, &offset));
        *left -= ND_MIN(*left, (uint64_t)piece.len);
    }
    *ret_at_end = !archive->in_content;
    return NULL;
}

static struct nd_error *
pass_over_content(struct nd_archive *a)
{
    uint64_t left = UINT64_MAX;
    bool at_end;

    return nd_archive_skip(a, &left, &at_end);
}

static struct nd_error *
read_type(struct archive_entry *from, struct nd_archive_entry *to)
{
    static const struct {
        unsigned mode;
        enum nd_archive_type type;
    } types[] = {
        {AE_IFREG, ND_ARCHIVE_FILE}, {AE_IFDIR, ND_ARCHIVE_DIR},   {AE_IFLNK, ND_ARCHIVE_SYMLINK},
        {AE_IFCHR, ND_ARCHIVE_CHAR}, {AE_IFBLK, ND_ARCHIVE_BLOCK}, {AE_IFIFO, ND_ARCHIVE_FIFO},
    };
    unsigned mode = archive_entry_filetype(from);

    if (archive_entry_hardlink(from) != NULL) {
        to->type = ND_ARCHIVE_HARDLINK;
        return NULL;
    }
    for (size_t i = 0; i < ND_LEN(types); i++) {
        if (types[i].mode == mode) {
            to->type = types[i].type;
            return NULL;
        }
    }
    return nd_error_new(ND_INVALID, "%s: unknown kind of file", to->name);
}

static struct nd_error *
read_names(struct nd_archive *a, struct archive_entry *from)
{
    struct nd_str name = nd_str(archive_entry_pathname(from));
    const char *target;

    ND_TRY(nd_archive_clean_name(name, &a->name));
    a->entry.name = a->name.ptr;
    ND_TRY(read_type(from, &a->entry));
    if (a->entry.type == ND_ARCHIVE_HARDLINK) {
        ND_TRY_DOING(nd_archive_clean_name(nd_str(archive_entry_hardlink(from)), &a->link),
                     "%s: hard link", a->entry.name);
        a->entry.link = a->link.ptr;
    } else if (a->entry.type == ND_ARCHIVE_SYMLINK) {
        target = archive_entry_symlink(from);
        if (target == NULL || target[0] == '\0' || strlen(target) > ND_ARCHIVE_MAX_NAME)
            return nd_error_new(ND_INVALID, "%s: no usable link target", a->entry.name);
        a->entry.link = target;
    }
    return NULL;
}

static struct nd_error *
read_owner(struct archive_entry *from, struct nd_archive_entry *to)
{
    la_int64_t uid = archive_entry_uid(from);
    la_int64_t gid = archive_entry_gid(from);

    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return nd_error_new(ND_INVALID, "%s: owner %lld:%lld is out of range", to->name,
                            (long long)uid, (long long)gid);
    to->uid = (uint32_t)uid;
    to->gid = (uint32_t)gid;
    return NULL;
}

/*
 * The place for an attribute of that name: the same name may occur in two spellings of the format.
 */
static struct nd_archive_xattr *
xattr_slot(struct nd_archive *a, const char *name)
{
    for (size_t i = 0; i < a->entry.n_xattrs; i++) {
        if (strcmp(a->xattrs[i].name, name) == 0)
            return &a->xattrs[i];
    }
    return a->entry.n_xattrs < ND_ARCHIVE_MAX_XATTRS ? &a->xattrs[a->entry.n_xattrs++] : NULL;
}

static struct nd_error *
read_xattrs(struct nd_archive *a, struct archive_entry *from)
{
    const char *name;
    const void *value;
    size_t len;

    a->entry.xattrs = a->xattrs;
    archive_entry_xattr_reset(from);
    while (archive_entry_xattr_next(from, &name, &value, &len) == ARCHIVE_OK) {
        struct nd_archive_xattr *slot = xattr_slot(a, name);

        if (slot == NULL || len > ND_ARCHIVE_MAX_XATTR)
            return nd_error_new(ND_EXHAUSTED,
                                "%s: more than %zu extended attributes, or one over %zu bytes",
                                a->entry.name, ND_ARCHIVE_MAX_XATTRS, ND_ARCHIVE_MAX_XATTR);
        *slot = (struct nd_archive_xattr){name, nd_str_n(value, len)};
    }
    return NULL;
}

static struct nd_error *
read_entry(struct nd_archive *a, struct archive_entry *from)
{
    la_int64_t size = archive_entry_size(from);
    struct nd_archive_entry *to = &a->entry;

    *to = (struct nd_archive_entry){
        .mode = archive_entry_mode(from) & 07777,
        .dev_major = (uint32_t)archive_entry_rdevmajor(from),
        .dev_minor = (uint32_t)archive_entry_rdevminor(from),
        .mtime = {archive_entry_mtime(from), (int32_t)archive_entry_mtime_nsec(from)},
    };
    ND_TRY(read_names(a, from));
    ND_TRY(read_owner(from, to));
    ND_TRY(read_xattrs(a, from));
    if (to->mtime.nsec < 0 || to->mtime.nsec >= 1000000000)
        to->mtime.nsec = 0;
    if (to->type == ND_ARCHIVE_FILE) {
        if (size < 0 || (uint64_t)size > a->limits.max_bytes)
            return nd_error_new(ND_EXHAUSTED, "%s is longer than %llu bytes", to->name,
                                (unsigned long long)a->limits.max_bytes);
        to->size = (uint64_t)size;
    }
    a->content_end = 0;
    a->in_content = true; /* whatever the type: a hard link may bring content, it is passed over */
    return NULL;
}

struct nd_error *
nd_archive_next(struct nd_archive *archive, const struct nd_archive_entry **ret)
{
    struct archive_entry *from;
    locale_t before;
    struct nd_error *err = NULL;
    int result;

    ND_TRY(pass_over_content(archive));
    if (archive->at_end) {
        *ret = NULL;
        return NULL;
    }
    before = uselocale(archive->locale);
    archive->header_start = (uint64_t)ND_MAX(archive_filter_bytes(archive->reader, 0), 0);
    archive->in_header = true;
    result = archive_read_next_header(archive->reader, &from);
    archive->in_header = false;
    if (result == ARCHIVE_OK)
        err = read_entry(archive, from);
    uselocale(before);

    if (result == ARCHIVE_EOF) {
        archive->at_end = true;
        *ret = NULL;
        return NULL;
    }
    if (result != ARCHIVE_OK)
        return failure(archive, "read archive");
    ND_TRY(err);
    if (++archive->n_entries > archive->limits.max_entries)
        return nd_error_new(ND_EXHAUSTED, "the archive has more than %llu entries",
                            (unsigned long long)archive->limits.max_entries);
    ND_TRY(check_output(archive));
    *ret = &archive->entry;
    return NULL;
}
