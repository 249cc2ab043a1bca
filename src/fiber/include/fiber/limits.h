#ifndef FIBER_LIMITS_H
#define FIBER_LIMITS_H

/* The limits of this room, with their units. */

#include <stddef.h>

#define ND_FIBER_STACK_BYTES ((size_t)64 * 1024) /* plus one guard page */
#define ND_FIBER_MAX         20000u /* alive at once; vm.max_map_count allows about 32,000 */
#define ND_FIBER_POOL_MAX    256u   /* stacks kept for reuse; above, they go back to the kernel */
#define ND_FIBER_STALL_MS    20     /* a turn of the loop that takes longer is logged */
#define ND_LOOP_LATE_NS \
    (30 * ND_MICROSECOND) /* of a turn for what can wait, and the last piece's rest */
#define ND_WORK_SHORT_THREADS 2u
#define ND_WORK_BULK_THREADS  2u
#define ND_SHIELD_GRACE_NS    (30 * ND_SECOND)    /* default time for undo steps */
#define ND_STREAM_READ_BYTES  ((size_t)64 * 1024) /* read at once from a descriptor */
#define ND_STREAM_PACED_FIRST \
    ((size_t)2048) /* the same, in the beginning, of a stream that has its part of a turn */
#define ND_STREAM_PACED_LEAST ((size_t)1024) /* and however long they take */
#define ND_STREAM_PACED_MOST \
    ((size_t)32 * 1024) /* the kernel's own part of a larger read alone takes long */
#define ND_STREAM_PACED_NS \
    (30 * ND_MICROSECOND)        /* what is read at once should not take longer than this */
#define ND_STREAM_PACED_QUICK 4u /* reads of half that time, before the stream's come first again */
#define ND_STREAM_QUEUE_BYTES \
    ((size_t)256 * 1024 * 1024) /* unsent at once; above, the stream fails */
#define ND_LISTEN_BACKLOG 511

#define ND_DIAL_MAX_ADDRESSES 16u /* of a name: more are not tried */
#define ND_DIAL_STAGGER_NS \
    (250 * ND_MILLISECOND) /* for the answer of an address, before the next one is tried as well */

/* TCP: the first probe after so long without a sign of life, then one each PROBE seconds. Data and
 * probes that nobody acknowledges, or a peer that does not read, end the connection together. */
#define ND_TCP_IDLE_S        30
#define ND_TCP_PROBE_S       5
#define ND_TCP_PROBES        4
#define ND_TCP_UNANSWERED_MS ((ND_TCP_IDLE_S + ND_TCP_PROBE_S * ND_TCP_PROBES) * 1000)

#endif
