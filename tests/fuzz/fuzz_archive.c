/*
 * Archives: whatever the bytes, every name that comes out is clean, and reading ends. The first
 * byte says in what pieces the source gives the rest.
 */

#include <string.h>

#include "codec/archive.h"
#include "codec/limits.h"

#define MAX_OUT ((uint64_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
    struct nd_str rest;
    size_t step;
};

static struct nd_error *
give(void *arg, struct nd_str *ret_bytes)
{
    struct feed *feed = arg;

    *ret_bytes = nd_str_sub(feed->rest, 0, feed->step);
    feed->rest = nd_str_from(feed->rest, feed->step);
    return NULL;
}

static void
check_name(const char *name)
{
    ND_INVARIANT(name[0] != '\0' && name[0] != '/' && strlen(name) <= ND_ARCHIVE_MAX_NAME);
    ND_INVARIANT(strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0);
    ND_INVARIANT(strstr(name, "/../") == NULL && strstr(name, "//") == NULL);
}

static struct nd_error *
read_content(struct nd_archive *a)
{
    uint64_t offset, last = 0;
    struct nd_str piece;

    do {
        ND_TRY(nd_archive_read(a, &piece, &offset));
        ND_INVARIANT(piece.len == 0 || offset >= last);
        last = offset + piece.len;
    } while (piece.len > 0);
    return NULL;
}

static struct nd_error *
read_through(struct nd_archive *a)
{
    const struct nd_archive_entry *entry;

    for (;;) {
        ND_TRY(nd_archive_next(a, &entry));
        if (entry == NULL)
            return NULL;
        check_name(entry->name);
        if (entry->type == ND_ARCHIVE_HARDLINK)
            check_name(entry->link);
        if ((entry->mode & 1) == 0) /* else it is left to be passed over */
            ND_TRY(read_content(a));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed feed = {nd_str_n(data, size), 1 << 16};
    const struct nd_archive_limits limits = {.max_entries = 2000, .max_bytes = MAX_OUT};
    ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (size > 0) {
        feed.step = (size_t)data[0] * 16 + 1;
        feed.rest = nd_str_from(feed.rest, 1);
    }
    err = nd_archive_open(give, &feed, &limits, &a);
    if (err == NULL)
        err = read_through(a);
    ND_INVARIANT(err == NULL || nd_error_code(err) != ND_INTERNAL);
    return 0;
}
