#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/*
 * Fault points: named places at which a test can make the program fail, or kill it. They stand
 * before and after whatever changes the world, so that a test can stop a mutation at each of its
 * steps. Compiled in by the option ND_FAULTS of the build (debug and asan); otherwise they are
 * nothing.
 *
 *     ND_TRY(ND_FAULT("change.ready"));
 *
 * At most one is armed, for one hit: "name#3=kill" is the third time that `name` is reached. A
 * trace says which were reached, and how often. Process-wide, like the log level. Context of
 * everything here: any thread.
 */

#include "base/buf.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

#ifdef ND_FAULTS

/*
 * Fails: ND_INTERNAL, reason FAULT, when it is armed to fail. When it is armed to kill it does not
 * return.
 */
struct nd_error *nd_fault_reach(const char *name) ND_CHECK_RESULT;

/* The same as an errno: EIO, or 0. */
int nd_fault_reach_errno(const char *name);

#    define ND_FAULT(name)       nd_fault_reach(name)
#    define ND_FAULT_ERRNO(name) nd_fault_reach_errno(name)

/*
 * "name", "name#3", each with "=fail" or "=kill"; empty disarms. Counts from now on. Fails:
 * ND_INVALID.
 */
struct nd_error *nd_fault_arm(struct nd_str text) ND_CHECK_RESULT;

/* Whether the armed one was reached. */
bool nd_fault_has_fired(void);

/* Begin to trace; and append what was reached since, "name#1,other#1,name#2", ending the trace. */
void nd_fault_trace_begin(void);
void nd_fault_trace_end(struct nd_buf *buf);

#else

#    define ND_FAULT(name)       ((struct nd_error *)NULL)
#    define ND_FAULT_ERRNO(name) 0

#endif

#endif
