#ifndef WIRE_LOSS_H
#define WIRE_LOSS_H

/*
 * Output that a log could not take, for as long as the log itself cannot tell of it: when the disk
 * is full, and stays so. A logger notes it at the beginning of its lock's file; the place is taken
 * when the logger begins, so that to change what stands there takes no room. Whoever reads the log
 * to its end tells it then.
 *
 *      0            8          16         24      28
 *      | "ND-loss1" | entries  | bytes    | errno | zero |      integers in little-endian order
 *
 * A file that begins otherwise is another program's, and tells of nothing.
 *
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/str.h"

#define ND_WIRE_LOSS      32u
#define ND_WIRE_LOSS_TEXT 512u

struct nd_wire_loss {
    uint64_t entries, bytes;
    int why; /* errno of the last failure */
};

void nd_wire_put_loss(char dst[ND_WIRE_LOSS], const struct nd_wire_loss *loss);

/* From the beginning of a lock's file; false when it is no note, or says that nothing is lost. */
bool nd_wire_get_loss(struct nd_str bytes, struct nd_wire_loss *ret);

/* The line that tells of it, with its newline; returns its length. */
size_t nd_wire_loss_text(const struct nd_wire_loss *loss, char dst[ND_WIRE_LOSS_TEXT]);

#endif
