/*
 * The PORTS column.
 *
 * Mappings are put in order of address, protocol and host port; then each run of neighbours becomes
 * one range, and the ranges of one address and protocol one group. Groups are sorted as text.
 */

#include "remote/ports.h"

#include <stdlib.h>

#include "base/str.h"

static int
compare_ports(const void *a, const void *b)
{
    const Pb__PortMapping *left = *(Pb__PortMapping *const *)a;
    const Pb__PortMapping *right = *(Pb__PortMapping *const *)b;
    int order = strcmp(left->host_ip, right->host_ip);

    if (order == 0)
        order = strcmp(left->protocol, right->protocol);
    if (order == 0)
        order = left->host_port < right->host_port ? -1 : left->host_port > right->host_port;
    return order;
}

static bool
is_same_group(const Pb__PortMapping *a, const Pb__PortMapping *b)
{
    return strcmp(a->host_ip, b->host_ip) == 0 && strcmp(a->protocol, b->protocol) == 0;
}

static bool
continues(const Pb__PortMapping *first, const Pb__PortMapping *p, size_t distance)
{
    return is_same_group(first, p) && p->host_port == first->host_port + distance &&
           p->container_port == first->container_port + distance;
}

/* "8000-8002->80-82"; *at moves behind what belongs together. */
static const char *
range_text(struct nd_arena *arena, Pb__PortMapping *const *ports, size_t n, size_t *at)
{
    const Pb__PortMapping *first = ports[*at], *last;
    size_t start = *at;

    while (*at < n && continues(first, ports[*at], *at - start))
        (*at)++;
    last = ports[*at - 1];
    if (last == first)
        return nd_arena_printf(arena, "%u->%u", first->host_port, first->container_port);
    return nd_arena_printf(arena, "%u-%u->%u-%u", first->host_port, last->host_port,
                           first->container_port, last->container_port);
}

static const char *
group_text(struct nd_arena *arena, Pb__PortMapping *const *ports, size_t n, size_t *at)
{
    const Pb__PortMapping *first = ports[*at];
    bool v6 = strchr(first->host_ip, ':') != NULL;
    const char *text = nd_arena_printf(arena, v6 ? "[%s]:%s" : "%s:%s", first->host_ip,
                                       range_text(arena, ports, n, at));

    while (*at < n && is_same_group(first, ports[*at]))
        text = nd_arena_printf(arena, "%s, %s", text, range_text(arena, ports, n, at));
    return nd_arena_printf(arena, "%s/%s", text, first->protocol);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *
nd_ports_text(struct nd_arena *arena, Pb__PortMapping *const *ports, size_t n)
{
    Pb__PortMapping **sorted = nd_arena_new_array(arena, n + 1, Pb__PortMapping *);
    const char **groups = nd_arena_new_array(arena, n + 1, const char *);
    const char *text = "";
    size_t n_groups = 0;

    for (size_t i = 0; i < n; i++)
        sorted[i] = ports[i];
    qsort(sorted, n, sizeof(Pb__PortMapping *), compare_ports);
    for (size_t at = 0; at < n;)
        groups[n_groups++] = group_text(arena, sorted, n, &at);
    qsort(groups, n_groups, sizeof(groups[0]), compare_texts);
    for (size_t i = 0; i < n_groups; i++)
        text = nd_arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", groups[i]);
    return text;
}
