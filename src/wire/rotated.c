/*
 * Names of rotated logs. Whoever looks through a container's folder meets other files too, some of
 * them of a log's name with more behind it (a lock, another program's copy), and must take none of
 * them for output.
 */

#include "wire/rotated.h"

#include <string.h>

uint64_t
nd_wire_rotated_number(const char *name, const char *base)
{
    size_t base_len = strlen(base);
    uint64_t number = 0;

    if (strncmp(name, base, base_len) != 0 || name[base_len] != '.' || name[base_len + 1] == '0')
        return 0;
    for (const char *p = name + base_len + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || number > UINT32_MAX)
            return 0;
        number = number * 10 + (uint64_t)(*p - '0');
    }
    return number;
}
