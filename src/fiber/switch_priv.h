#ifndef FIBER_SWITCH_PRIV_H
#define FIBER_SWITCH_PRIV_H

/*
 * The switch from one stack to another (one implementation per processor), and what the address
 * sanitizer wants to be told around it.
 */

#include <stddef.h>

/* Leave this stack, note its state in *save_sp, go on where `load_sp` was left. */
void nd_switch(void **save_sp, void *load_sp);

/* The state of a new stack that begins with `entry`, which must not return. */
void *nd_switch_prepare(void *bottom, void *top, void (*entry)(void));

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define ND_ASAN 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#    define ND_ASAN 1
#endif

#ifdef ND_ASAN
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
/* Before a switch to the stack at `bottom`; `save` NULL: the stack that is left has ended. */
#    define ND_SWITCH_START(save, bottom, size) \
        __sanitizer_start_switch_fiber((save), (bottom), (size))
/* After arriving; the two results describe the stack that was left. */
#    define ND_SWITCH_FINISH(saved, ret_bottom, ret_size) \
        __sanitizer_finish_switch_fiber((saved), (ret_bottom), (ret_size))
/* A reused stack: forget the frames that were on it. */
#    define ND_STACK_CLEAN(bottom, size) __asan_unpoison_memory_region((bottom), (size))
#else
#    define ND_SWITCH_START(save, bottom, size)           ((void)0)
#    define ND_SWITCH_FINISH(saved, ret_bottom, ret_size) ((void)0)
#    define ND_STACK_CLEAN(bottom, size)                  ((void)0)
#endif

#endif
