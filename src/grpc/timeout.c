/*
 * grpc-timeout: one to eight digits and a unit. Times are rounded up when they are written, so that
 * the server never gives up before the client does.
 */

#include "base/clock.h"

#include "wire_priv.h"

#define MAX_DIGITS 8
#define MAX_VALUE  99999999

/* From the finest to the coarsest. */
static const struct {
    char letter;
    int64_t ns;
} units[] = {
    {'n', 1},         {'u', ND_MICROSECOND}, {'m', ND_MILLISECOND},
    {'S', ND_SECOND}, {'M', ND_MINUTE},      {'H', ND_HOUR},
};

bool
nd_timeout_parse(struct nd_str text, int64_t *ret_ns)
{
    int64_t value = 0;

    if (text.len < 2 || text.len > MAX_DIGITS + 1)
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    for (size_t i = 0; i < ND_LEN(units); i++) {
        if (units[i].letter != text.ptr[text.len - 1])
            continue;
        *ret_ns = value > INT64_MAX / units[i].ns ? INT64_MAX : value * units[i].ns;
        return true;
    }
    return false;
}

size_t
nd_timeout_format(int64_t timeout_ns, char dst[ND_TIMEOUT_SIZE])
{
    int64_t value = 0;
    size_t unit = 0;
    size_t len = 0;

    for (timeout_ns = ND_MAX(timeout_ns, 0);; unit++) {
        value = timeout_ns / units[unit].ns + (timeout_ns % units[unit].ns != 0);
        if (value <= MAX_VALUE)
            break;
    }
    for (int64_t scale = MAX_VALUE / 10 + 1; scale > 0; scale /= 10) {
        if (value >= scale || scale == 1 || len != 0)
            dst[len++] = (char)('0' + value / scale % 10);
    }
    dst[len++] = units[unit].letter;
    dst[len] = '\0';
    return len;
}
