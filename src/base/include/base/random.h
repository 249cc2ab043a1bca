#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

/* Random bytes of the kernel (getrandom). Context of everything here: any. */

#include "base/defs.h"

/* Fill `dst`; good for keys. Never fails. */
void nd_random(void *dst, size_t len);
uint64_t nd_random_u64(void);

/* 2 * bytes lower-case hex digits and a NUL: identifiers. */
void nd_random_hex(char *dst, size_t bytes);

#endif
