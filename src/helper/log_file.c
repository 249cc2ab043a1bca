/*
 * The log file. It is a sink that never says no: the container's output must be taken from its pipe
 * whatever the disk does, or the container stands still.
 *
 *     write:  | fits in the file           -> one write(2)
 *             | passes the size            -> up to the last entry that fits; rotate; the rest
 *             | short, or fails            -> cut the file back to its last whole entry, count the rest
 *
 * Rotation renames <path> to <path>.N, N one more than the newest there is, and removes the oldest.
 * Numbers go on after a restart: nerdctl's writer begins at 1 each time and so overwrites what it
 * rotated before. It also keeps every rotated file unless max-file is at least 2; here the number
 * of files is always bounded (docs/compatibility.md).
 *
 * A reader that follows the current file sees it renamed only after its last byte was written.
 *
 * What was dropped is told by an entry as soon as one can be written, and noted elsewhere until
 * then (wire/loss.h), because the disk may stay full for longer than the container lives.
 *
 * No fsync: a log is as durable as the page cache, as with every json-file writer.
 */

#include "helper/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/entry.h"
#include "wire/rotated.h"

/* <path>.<number> */
struct rotated_path {
    char text[ND_LOGGER_PATH_MAX + 24];
};

static struct rotated_path
rotated_path(const struct nd_log_file *file, uint64_t number)
{
    struct rotated_path p;

    snprintf(p.text, sizeof(p.text), "%s.%" PRIu64, file->path, number);
    return p;
}

/* Find the newest rotated file and remove those that are too old already. */
static void
look_for_rotated(struct nd_log_file *file)
{
    char dir_path[ND_LOGGER_PATH_MAX];
    const char *base = strrchr(file->path, '/') + 1;
    DIR *dir;

    snprintf(dir_path, sizeof(dir_path), "%.*s", (int)(base - file->path), file->path);
    dir = opendir(dir_path);
    if (dir == NULL)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        file->rotated = ND_MAX(file->rotated, nd_wire_rotated_number(e->d_name, base));
    rewinddir(dir);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint64_t number = nd_wire_rotated_number(e->d_name, base);

        if (number != 0 && number + file->keep <= file->rotated)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

/* Open the current file, and end a line that was torn when its writer died. */
static void
open_current(struct nd_log_file *file)
{
    struct stat st;
    char last;

    file->fd =
        open(file->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (file->fd < 0) {
        file->lost.why = errno;
        return;
    }
    if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        file->lost.why = EINVAL;
        close(file->fd);
        file->fd = -1;
        return;
    }
    file->size = (uint64_t)st.st_size;
    file->rotate_at = file->max_bytes;
    if (file->size > 0 && pread(file->fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
        write(file->fd, "\n", 1) == 1)
        file->size++;
}

static void
note_loss(const struct nd_log_file *file)
{
    char note[ND_WIRE_LOSS];

    nd_wire_put_loss(note, &file->lost);
    if (file->loss_fd >= 0 && pwrite(file->loss_fd, note, sizeof(note), 0) < 0)
        errno = 0; /* there is nobody to tell */
}

/* What the logger before could not tell; and the place for what this one cannot. */
static void
take_over_loss(struct nd_log_file *file)
{
    char note[ND_WIRE_LOSS];
    ssize_t n = file->loss_fd >= 0 ? pread(file->loss_fd, note, sizeof(note), 0) : -1;

    if (n < 0 || !nd_wire_get_loss(nd_str_n(note, (size_t)n), &file->lost))
        note_loss(file);
}

void
nd_log_file_open(struct nd_log_file *file, const struct nd_log_file_options *options)
{
    *file =
        (struct nd_log_file){.fd = -1,
                             .max_bytes = options->max_bytes > 0 ? options->max_bytes : UINT64_MAX,
                             .keep = options->max_files - 1,
                             .loss_fd = options->loss_fd};
    take_over_loss(file);
    if (options->path[0] != '/' || strlen(options->path) >= sizeof(file->path)) {
        file->lost.why = ENAMETOOLONG;
        return;
    }
    memcpy(file->path, options->path, strlen(options->path));
    look_for_rotated(file);
    open_current(file);
}

static void
drop(struct nd_log_file *file, struct nd_str entries)
{
    uint64_t n, bytes;

    nd_entry_count(entries, &n, &bytes);
    file->lost.entries += n;
    file->lost.bytes += bytes;
    note_loss(file);
}

/* write(2) until all is out. Returns how much of it is in the file as whole entries. */
static size_t
write_whole(struct nd_log_file *file, struct nd_str entries)
{
    size_t done = 0;
    const char *last;

    while (done < entries.len) {
        ssize_t n = write(file->fd, entries.ptr + done, entries.len - done);

        if (n > 0) {
            done += (size_t)n;
            file->size += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            file->lost.why = n == 0 ? ENOSPC : errno;
            break;
        }
    }
    if (done == entries.len || done == 0)
        return done;

    /* A torn entry would spoil the next one: take it back, or at least end its line. */
    last = memrchr(entries.ptr, '\n', done);
    size_t whole = last != NULL ? (size_t)(last + 1 - entries.ptr) : 0;
    struct stat st;

    if (fstat(file->fd, &st) == 0 && st.st_size >= (off_t)(done - whole) &&
        ftruncate(file->fd, st.st_size - (off_t)(done - whole)) == 0)
        file->size -= done - whole;
    return whole;
}

/* The entry that tells of a loss. False when it could not be written either. */
static bool
write_notice(struct nd_log_file *file)
{
    char text[ND_WIRE_LOSS_TEXT + ND_ENTRY_PAD], entry[ND_ENTRY_SPACE(ND_WIRE_LOSS_TEXT)];
    char *end = entry;
    struct nd_entry_tail tail;
    size_t len = nd_wire_loss_text(&file->lost, text);

    nd_entry_tail_init(&tail, "stderr", nd_wall_now());
    nd_entry_encode(nd_str_n(text, len), &tail, &end);
    if (write_whole(file, nd_str_n(entry, (size_t)(end - entry))) != (size_t)(end - entry))
        return false;
    file->lost.entries = 0;
    file->lost.bytes = 0;
    note_loss(file);
    return true;
}

/* The file is full: give it a number, begin a new one, forget the oldest. */
static void
rotate(struct nd_log_file *file)
{
    struct stat st;
    struct rotated_path newest = rotated_path(file, file->rotated + 1);

    /* Somebody may have emptied it meanwhile. */
    if (fstat(file->fd, &st) == 0 && (uint64_t)st.st_size < file->size) {
        file->size = (uint64_t)st.st_size;
        return;
    }
    if (rename(file->path, newest.text) < 0 && errno != ENOENT) {
        file->rotate_at = file->size + file->max_bytes / 8 + 1; /* grow on, try again later */
        return;
    }
    file->rotated++;
    close(file->fd);
    open_current(file);
    if (file->rotated > file->keep) {
        struct rotated_path oldest = rotated_path(file, file->rotated - file->keep);

        unlink(oldest.text);
    }
}

static size_t
first_entry(struct nd_str entries)
{
    const char *newline = memchr(entries.ptr, '\n', entries.len);

    return newline != NULL ? (size_t)(newline + 1 - entries.ptr) : entries.len;
}

/* How much of `entries` goes into the current file before it is full, in whole entries. */
static size_t
fitting(const struct nd_log_file *file, struct nd_str entries)
{
    uint64_t room = file->size < file->rotate_at ? file->rotate_at - file->size : 0;
    const char *last;

    if (entries.len <= room)
        return entries.len;
    last = room > 0 ? memrchr(entries.ptr, '\n', (size_t)room) : NULL;
    return last != NULL ? (size_t)(last + 1 - entries.ptr) : 0;
}

bool
nd_log_file_owes_notice(const struct nd_log_file *file)
{
    return file->lost.entries > 0;
}

void
nd_log_file_settle(struct nd_log_file *file)
{
    if (file->fd < 0 && file->path[0] != '\0')
        open_current(file);
    if (file->fd >= 0 && nd_log_file_owes_notice(file))
        write_notice(file);
}

void
nd_log_file_write(struct nd_log_file *file, struct nd_str entries)
{
    if (file->fd < 0 || nd_log_file_owes_notice(file))
        nd_log_file_settle(file);

    while (entries.len > 0) {
        size_t n, done;

        if (file->fd < 0 || nd_log_file_owes_notice(file)) {
            drop(file, entries);
            return;
        }
        n = fitting(file, entries);
        if (n == 0 && file->size > 0) {
            rotate(file);
            n = fitting(file, entries);
        }
        if (n == 0) /* larger than a whole file, or rotation is not possible */
            n = first_entry(entries);
        if (file->fd < 0)
            continue;
        done = write_whole(file, nd_str_sub(entries, 0, n));
        if (done < n)
            drop(file, nd_str_sub(entries, done, n - done));
        entries = nd_str_from(entries, n);
    }
}

void
nd_log_file_close(struct nd_log_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
