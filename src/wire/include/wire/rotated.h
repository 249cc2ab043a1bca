#ifndef WIRE_ROTATED_H
#define WIRE_ROTATED_H

/*
 * The names of a log's rotated files: "<log>.<number>" beside it, counted from 1, the highest the
 * newest. Numbers are not used again, so that a reader who holds a name never finds another file
 * behind it.
 *
 * Context of everything here: any.
 */

#include "base/defs.h"

/*
 * The number in the name of a folder's entry, for the log whose own name is `base`. 0 when the
 * entry is something else: without decimal digits or with more behind them, with a zero in front,
 * beyond 2^35.
 */
uint64_t nd_wire_rotated_number(const char *name, const char *base);

#endif
