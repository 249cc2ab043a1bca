/*
 * The memory of a fiber: one mapping each.
 *
 *     low address                                                         high address
 *     | guard page (no access) | stack, growing down ...      | struct nd_fiber |
 *
 * The kernel gives pages as they are touched, so a parked fiber costs a page or two whatever the
 * size of its stack. An overflow hits the guard and faults. The fiber's own record stands on top of
 * its stack: a fiber taken from the pool costs no allocation.
 *
 * Mapping costs 11 us, taking from the pool 20 ns: hence the pool (fiber.c), whose stacks keep
 * their pages.
 */

#include <sys/mman.h>
#include <unistd.h>

#include "loop_priv.h"
#include "switch_priv.h"

/* Instrumented frames are larger. */
#ifdef ND_ASAN
#    define STACK_BYTES (ND_FIBER_STACK_BYTES * 4)
#else
#    define STACK_BYTES ND_FIBER_STACK_BYTES
#endif

#define RECORD_BYTES ((sizeof(struct nd_fiber) + 63) & ~(size_t)63)

static size_t
guard_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

struct nd_fiber *
nd_stack_map(void)
{
    size_t guard = guard_bytes();
    char *base = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, guard, PROT_NONE) < 0) {
        munmap(base, guard + STACK_BYTES);
        return NULL;
    }
    return (struct nd_fiber *)(void *)(base + guard + STACK_BYTES - RECORD_BYTES);
}

void *
nd_stack_bottom(struct nd_fiber *fiber)
{
    return (char *)fiber + RECORD_BYTES - STACK_BYTES;
}

size_t
nd_stack_size(void)
{
    return STACK_BYTES - RECORD_BYTES;
}

void
nd_stack_unmap(struct nd_fiber *fiber)
{
    char *bottom = nd_stack_bottom(fiber);
    size_t guard = guard_bytes();

    ND_STACK_CLEAN(bottom, STACK_BYTES);
    munmap(bottom - guard, guard + STACK_BYTES);
}
