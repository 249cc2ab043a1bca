#ifndef CODEC_ARCHIVE_H
#define CODEC_ARCHIVE_H

/*
 * Reading tar archives from outside, plain or compressed with gzip or zstd, as a stream. Nothing is
 * ever written to a disk by this code and no other program is run.
 * Context of everything here: any thread. Reading blocks as long as the source does: on a worker.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/*
 * Where the bytes come from: gives the next ones, valid until it is called again; none at the end.
 * Its error is what the function that needed the bytes returns.
 */
typedef struct nd_error *nd_archive_source(void *arg, struct nd_str *ret_bytes);

/* 0 in a member means the default of codec/limits.h. */
struct nd_archive_limits {
    uint64_t max_entries;
    uint64_t max_bytes; /* of all contents together */
    uint64_t max_ratio; /* bytes out per byte in */
};

enum nd_archive_type {
    ND_ARCHIVE_FILE,
    ND_ARCHIVE_DIR,
    ND_ARCHIVE_SYMLINK,
    ND_ARCHIVE_HARDLINK,
    ND_ARCHIVE_CHAR,
    ND_ARCHIVE_BLOCK,
    ND_ARCHIVE_FIFO,
};

struct nd_archive_xattr {
    const char *name;
    struct nd_str value;
};

/* Borrowed; valid until the next call of nd_archive_next(). */
struct nd_archive_entry {
    enum nd_archive_type type;
    const char *name; /* clean: relative, no "." or ".." or empty part; "." is the root itself */
    const char *link; /* SYMLINK: the target as it is; HARDLINK: a clean name; else NULL */
    uint64_t size;    /* of the content; 0 unless FILE */
    uint32_t mode;    /* permission bits, set-id and sticky: 07777 */
    uint32_t uid, gid;
    uint32_t dev_major, dev_minor; /* CHAR, BLOCK */
    struct nd_wall mtime;
    size_t n_xattrs;
    const struct nd_archive_xattr *xattrs;
};

struct nd_archive;

/*
 * Start reading. The source is asked at once, to recognise the format. `limits` NULL: the defaults.
 * Fails: ND_INVALID  not a tar archive, or compressed in another way
 */
struct nd_error *nd_archive_open(nd_archive_source *source, void *arg,
                                 const struct nd_archive_limits *limits,
                                 struct nd_archive **ret) ND_CHECK_RESULT;
void nd_archive_free(struct nd_archive *archive); /* NULL is fine */
void nd_archive_freep(struct nd_archive **archive);

/*
 * Go to the next entry; NULL at the end. What was not read of the last one is passed over.
 * Fails: ND_INVALID    broken archive, or a name that leads out of the archive's root: it is named
 *        ND_EXHAUSTED  over a limit
 *        ND_DATA_LOSS  the archive ends too early
 */
struct nd_error *nd_archive_next(struct nd_archive *archive,
                                 const struct nd_archive_entry **ret) ND_CHECK_RESULT;

/*
 * The next piece of the entry's content and where it belongs; an empty piece at the end. Pieces
 * come in order; between them may be holes, which are zeros. Valid until the next call. Fails: as
 * nd_archive_next()
 */
struct nd_error *nd_archive_read(struct nd_archive *archive, struct nd_str *ret_bytes,
                                 uint64_t *ret_offset) ND_CHECK_RESULT;

/*
 * Pass over the entry's content until its end, or until `*left` bytes were read: for whoever must
 * not take long. What was read is taken off `*left`. Fails: as nd_archive_next()
 */
struct nd_error *nd_archive_skip(struct nd_archive *archive, uint64_t *left,
                                 bool *ret_at_end) ND_CHECK_RESULT;

/*
 * The whole content of a small entry, appended to `buf`.
 * Fails: as nd_archive_next(); ND_EXHAUSTED when it is over ND_ARCHIVE_MAX_SMALL or `buf` is full
 */
struct nd_error *nd_archive_read_all(struct nd_archive *archive,
                                     struct nd_buf *buf) ND_CHECK_RESULT;

/*
 * A name without "./", "//" and a slash at its end; "." when nothing is left of "./".
 * Fails: ND_INVALID  empty, absolute, with a part "..", with a NUL, or longer than
 *                    ND_ARCHIVE_MAX_NAME
 */
struct nd_error *nd_archive_clean_name(struct nd_str name, struct nd_buf *ret) ND_CHECK_RESULT;

#endif
