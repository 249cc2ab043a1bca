#ifndef MACHINE_PRIV_H
#define MACHINE_PRIV_H

#include "base/arena.h"

/* What the machine tells about itself, read anew each time: processors and memory can change. */
struct machine {
    const char *name;             /* of the host */
    const char *architecture;     /* as the kernel names it */
    const char *operating_system; /* of the distribution, for people */
    int n_cpus;                   /* that this process may use */
    uint64_t memory_bytes;
    bool seccomp;
    bool ipv4_forwarding;
};

/*
 * Texts are in the arena. What cannot be found out is empty or 0. Context: any; reads files of
 * /proc.
 */
void nd_machine_look(struct nd_arena *arena, struct machine *ret);

/* The value of a key of os-release(5), quotes taken off; empty when it is missing. For tests. */
struct nd_str nd_os_release_find(struct nd_str file, const char *key, struct nd_arena *arena);

/* "MemTotal" of /proc/meminfo in bytes; 0 when it is missing. For tests. */
uint64_t nd_meminfo_total(struct nd_str file);

#endif
