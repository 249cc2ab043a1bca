#ifndef STREAM_FOLDER_H
#define STREAM_FOLDER_H

/*
 * The folder in which a process's streams meet: FIFOs that the shim opens, and a helper that holds
 * their other ends and its socket. Context of everything here: fiber.
 */

#include "base/error.h"
#include "fiber/fiber.h"

enum nd_fifo {
    ND_FIFO_STDIN = 1,
    ND_FIFO_STDOUT = 2,
    ND_FIFO_STDERR = 4,
};

/* Make the folder (0700) and the FIFOs, set of enum nd_fifo, in it; old ones go. Suspends. */
struct nd_error *nd_streams_folder_make(const char *folder, unsigned fifos) ND_CHECK_RESULT;

/* Remove the names of the FIFOs: whoever has them open goes on. */
void nd_streams_folder_hide(const char *folder);

/* Remove all that may be in it, and the folder. */
void nd_streams_folder_remove(const char *folder);

/*
 * A helper for a folder with output FIFOs. `store`, `ns` and `id` are for its log; NULL: it has
 * none.
 */
struct nd_streams_helper {
    const char *program;
    const char *folder;
    bool tty;
    const char *store, *ns, *id;
};

/* Start it; it can be attached to on return. Fails: ND_INTERNAL. */
struct nd_error *nd_streams_helper_start(const struct nd_streams_helper *helper) ND_CHECK_RESULT;

/*
 * Wait until the helper of a folder has gone: its process has ended, and nobody who was attached
 * may come back for something. Wants nothing of it itself. Fails: ND_CANCELLED, ND_DEADLINE.
 */
struct nd_error *nd_streams_helper_join(const char *folder) ND_CHECK_RESULT;

/* Tell the helper of a folder that its process has ended, or was never started. Best effort. */
void nd_streams_helper_end(const char *folder, bool never_started);

#endif
