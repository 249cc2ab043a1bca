#ifndef STORE_FILES_PRIV_H
#define STORE_FILES_PRIV_H

/*
 * Work on files, as threads do it: every function blocks and returns an errno, 0 for success. The
 * two ways of writing are those of nerdctl's data root.
 */

#include <sys/types.h>

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/* An errno of these functions as an error: EFBIG is a limit of ours. Context: any. */
struct nd_error *nd_files_error(int errnum, const char *what, const char *path) ND_NEW_ERROR;

/* A directory and those above it, as far as they are missing. */
int nd_files_mkdirs(const char *path, mode_t mode);

/* A whole file of at most `max` bytes, on the heap with a NUL behind. EFBIG when it is larger. */
int nd_files_read(const char *path, size_t max, char **ret, size_t *ret_len);

/* A new file takes the place of the old one: readers see one or the other. Inode changes. */
int nd_files_replace(const char *path, mode_t mode, struct nd_str bytes);

/*
 * Write into the file itself, whose inode a bind mount pins. `data_root` is where nerdctl would
 * have left a marker for this path after a crash: it is removed, or nerdctl would undo what is
 * written now.
 */
int nd_files_overwrite(const char *data_root, const char *path, mode_t mode, struct nd_str bytes);

/* A directory and everything below, without following links or entering other file systems. */
int nd_files_remove_tree(const char *path);

#endif
