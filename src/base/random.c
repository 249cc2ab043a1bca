/*
 * Random bytes of the kernel.
 *
 * getrandom() without flags waits for the pool once at boot and cannot fail later for requests up
 * to 256 bytes; longer ones may be cut by a signal, hence the loop. A kernel without it is not
 * supported, and a fallback to something weaker would be worse than stopping.
 */

#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/str.h"

void
nd_random(void *dst, size_t len)
{
    char *at = dst;

    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        ND_INVARIANT(n >= 0 || errno == EINTR);
        n = ND_MAX(n, 0);
        at += n;
        len -= (size_t)n;
    }
}

uint64_t
nd_random_u64(void)
{
    uint64_t v;

    nd_random(&v, sizeof(v));
    return v;
}

void
nd_random_hex(char *dst, size_t bytes)
{
    unsigned char chunk[32];

    dst[0] = '\0';
    while (bytes > 0) {
        size_t n = ND_MIN(bytes, sizeof(chunk));

        nd_random(chunk, n);
        nd_hex(dst, chunk, n);
        dst += 2 * n;
        bytes -= n;
    }
}
