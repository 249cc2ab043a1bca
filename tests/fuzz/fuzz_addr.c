/* Addresses as users write them in configuration and on command lines. */

#include <string.h>

#include "base/defs.h"
#include "fiber/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nd_addr addr;
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_addr_parse(nd_str_n(data, size), &addr);

    if (err != NULL) {
        ND_INVARIANT(nd_error_code(err) == ND_INVALID);
        return 0;
    }
    if (addr.kind == ND_PEER_UNIX)
        ND_INVARIANT(addr.path[0] == '/' || (addr.path[0] == '@' && addr.path[1] != '\0'));
    else
        ND_INVARIANT(addr.kind == ND_PEER_TCP && strnlen(addr.host, sizeof(addr.host)) < 256);
    return 0;
}
