/*
 * What interfaces and addresses a container has right now, as the kernel says, whoever made them.
 *
 * A network namespace belongs to a thread: one of the pool enters the container's, asks, and
 * returns to where it came from. A thread that could not return would answer for the wrong host
 * from then on, so that is the end of the program; the kernel refuses it only to those who could
 * not have left either.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fiber/work.h"

#include "netinfo_priv.h"

struct job {
    uint32_t pid;
    struct nd_interface *at;
    size_t n;
};

static struct nd_interface *
interface_named(struct job *job, const char *name)
{
    for (size_t i = 0; i < job->n; i++) {
        if (strcmp(job->at[i].name, name) == 0)
            return &job->at[i];
    }
    if (job->n == ND_INTERFACES_MAX)
        return NULL;
    (void)snprintf(job->at[job->n].name, sizeof(job->at[0].name), "%s", name);
    return &job->at[job->n++];
}

static unsigned
prefix_of(const unsigned char *mask, size_t len)
{
    unsigned bits = 0;

    for (size_t i = 0; i < len; i++)
        bits += (unsigned)__builtin_popcount(mask[i]);
    return bits;
}

static void
add_ip(struct nd_interface *to, const struct ifaddrs *a)
{
    const struct sockaddr_in *addr = (const void *)a->ifa_addr;
    const struct sockaddr_in *mask = (const void *)a->ifa_netmask;

    if (to->ip[0] != '\0' || mask == NULL)
        return;
    (void)inet_ntop(AF_INET, &addr->sin_addr, to->ip, sizeof(to->ip));
    to->ip_prefix = prefix_of((const void *)&mask->sin_addr, sizeof(mask->sin_addr));
}

static void
add_ip6(struct nd_interface *to, const struct ifaddrs *a)
{
    const struct sockaddr_in6 *addr = (const void *)a->ifa_addr;
    const struct sockaddr_in6 *mask = (const void *)a->ifa_netmask;

    if (to->ip6[0] != '\0' || mask == NULL || IN6_IS_ADDR_LINKLOCAL(&addr->sin6_addr))
        return;
    (void)inet_ntop(AF_INET6, &addr->sin6_addr, to->ip6, sizeof(to->ip6));
    to->ip6_prefix = prefix_of((const void *)&mask->sin6_addr, sizeof(mask->sin6_addr));
}

static void
add_mac(struct nd_interface *to, const struct ifaddrs *a)
{
    const struct sockaddr_ll *addr = (const void *)a->ifa_addr;
    const unsigned char *m = addr->sll_addr;

    if (addr->sll_halen == 6)
        (void)snprintf(to->mac, sizeof(to->mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
                       m[3], m[4], m[5]);
}

static void
read_interfaces(struct job *job)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        struct nd_interface *to = interface_named(job, a->ifa_name);

        if (to == NULL)
            break;
        to->loopback = (a->ifa_flags & IFF_LOOPBACK) != 0;
        to->up = (a->ifa_flags & IFF_UP) != 0;
        if (a->ifa_addr == NULL)
            continue;
        if (a->ifa_addr->sa_family == AF_INET)
            add_ip(to, a);
        else if (a->ifa_addr->sa_family == AF_INET6)
            add_ip6(to, a);
        else if (a->ifa_addr->sa_family == AF_PACKET)
            add_mac(to, a);
    }
    freeifaddrs(all);
}

static void
look(void *arg)
{
    struct job *job = arg;
    char path[64];
    ND_AUTO(nd_closep) int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    ND_AUTO(nd_closep) int theirs = -1;

    (void)snprintf(path, sizeof(path), "/proc/%u/ns/net", job->pid);
    theirs = open(path, O_RDONLY | O_CLOEXEC);
    if (own < 0 || theirs < 0 || setns(theirs, CLONE_NEWNET) < 0)
        return;
    read_interfaces(job);
    ND_INVARIANT(setns(own, CLONE_NEWNET) == 0);
}

struct nd_error *
nd_interfaces_of(uint32_t pid, struct nd_arena *arena, struct nd_interface **ret, size_t *ret_n)
{
    struct job job = {.pid = pid,
                      .at = nd_arena_new_array(arena, ND_INTERFACES_MAX, struct nd_interface)};

    ND_TRY(nd_work(ND_WORK_SHORT, look, &job));
    *ret = job.at;
    *ret_n = job.n;
    return NULL;
}
