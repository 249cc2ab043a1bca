#ifndef NET_METER_PRIV_H
#define NET_METER_PRIV_H

#include "fiber/loop.h"

/* So many events per second, at most. */
struct nd_meter {
    int64_t since_ns;
    uint32_t count;
};

/* Count an event; false when there are more than `max` in this second. */
static inline bool
nd_meter_take(struct nd_meter *meter, uint32_t max)
{
    int64_t now_ns = nd_loop_turn_time().ns;

    if (now_ns - meter->since_ns > ND_SECOND) {
        meter->since_ns = now_ns;
        meter->count = 0;
    }
    return ++meter->count <= max;
}

#endif
