#ifndef REMOTE_PORTS_H
#define REMOTE_PORTS_H

#include "base/arena.h"
#include "nerdctl/v1/container.pb-c.h"

/*
 * Published ports as lists show them: "0.0.0.0:8000-8002->80-82/tcp, [::]:53->53/udp". Neighbours
 * merge to ranges, ranges of one address and protocol are grouped. Context: any.
 */
const char *nd_ports_text(struct nd_arena *arena, Pb__PortMapping *const *ports, size_t n);

#endif
