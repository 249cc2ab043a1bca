/*
 * The part of a plan about namespaces and the network.
 *
 * This version attaches containers to the host's network or to none. The default of nerdctl is the
 * network "bridge", which needs CNI: so that nobody believes to have it, leaving the field empty is
 * refused with a hint, and not answered with something else.
 */

#include <arpa/inet.h>
#include <string.h>

#include "plan_priv.h"

static struct nd_error *
without_cni(const char *what)
{
    return nd_error_hint(nd_not_yet("networks", "%s is not part of this version", what),
                         "use --network host or --network none");
}

static struct nd_error *
plan_mode(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    const char *network;

    if (c->n_networks == 0)
        return without_cni("the default network \"bridge\"");
    network = c->networks[0];
    if (c->n_networks > 1) {
        for (size_t i = 0; i < c->n_networks; i++) {
            if (strcmp(c->networks[i], "host") == 0 || strcmp(c->networks[i], "none") == 0)
                return nd_error_field("networks", "\"%s\" does not go together with other networks",
                                      c->networks[i]);
        }
    }
    if (strcmp(network, "host") == 0)
        plan->net_mode = ND_NET_HOST;
    else if (strcmp(network, "none") == 0)
        plan->net_mode = ND_NET_NONE;
    else if (network[0] == '\0')
        return nd_error_field("networks[0]", "is empty");
    else if (strcmp(network, "bridge") == 0)
        return without_cni("the network \"bridge\"");
    else if (strncmp(network, "container:", 10) == 0 || strncmp(network, "ns:", 3) == 0)
        return without_cni("sharing a network namespace");
    else
        return nd_error_hint(nd_error_field("networks[0]",
                                            "no network \"%.64s\": this version has host and none",
                                            network),
                             "use --network host or --network none");
    plan->network = network;
    return NULL;
}

static bool
is_address(const char *text)
{
    unsigned char address[16];

    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* One word, as a line of resolv.conf has room for. */
static struct nd_error *
check_word(const char *text)
{
    ND_TRY(nd_check_text(text, 255));
    if (strpbrk(text, " #;") != NULL)
        return nd_error_new(ND_INVALID, "contains a space, '#' or ';'");
    return NULL;
}

static struct nd_error *
check_words(const char *list, char *const *words, size_t n)
{
    ND_TRY(nd_check_count(list, n, ND_CONFIG_MAX_DNS));
    for (size_t i = 0; i < n; i++)
        ND_TRY(nd_in_element(check_word(words[i]), list, i));
    return NULL;
}

static struct nd_error *
plan_dns(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("dns", c->n_dns, ND_CONFIG_MAX_DNS));
    for (size_t i = 0; i < c->n_dns; i++) {
        if (!is_address(c->dns[i]))
            return nd_in_element(nd_error_new(ND_INVALID, "is not an IP address"), "dns", i);
    }
    ND_TRY(check_words("dns_search", c->dns_search, c->n_dns_search));
    ND_TRY(check_words("dns_options", c->dns_options, c->n_dns_options));
    plan->dns = (struct nd_dns){
        .servers = (const char *const *)c->dns,
        .n_servers = c->n_dns,
        .searches = (const char *const *)c->dns_search,
        .n_searches = c->n_dns_search,
        .options = (const char *const *)c->dns_options,
        .n_options = c->n_dns_options,
    };
    return NULL;
}

/* "name:address"; the address may be IPv6, in brackets or not. */
static struct nd_error *
parse_host(struct plan *plan, const char *line, struct nd_extra_host *ret)
{
    struct nd_str text = nd_str(line);
    size_t colon = nd_str_find(text, ':');
    struct nd_str address = nd_str_from(text, colon == SIZE_MAX ? text.len : colon + 1);
    struct nd_str name = nd_str_sub(text, 0, colon == SIZE_MAX ? 0 : colon);

    if (name.len == 0 || address.len == 0)
        return nd_error_new(ND_INVALID, "is not of the form name:address");
    ret->host = nd_arena_str(plan->arena, name);
    ND_TRY(check_word(ret->host));
    if (address.len > 2 && address.ptr[0] == '[' && address.ptr[address.len - 1] == ']')
        address = nd_str_sub(address, 1, address.len - 2);
    ret->ip = nd_arena_str(plan->arena, address);
    if (strcmp(ret->ip, "host-gateway") == 0)
        return nd_error_reason(
            nd_error_new(ND_UNIMPLEMENTED, "\"host-gateway\" is not part of this version"),
            "NOT_SUPPORTED");
    if (!is_address(ret->ip))
        return nd_error_new(ND_INVALID, "\"%.64s\" is not an IP address", ret->ip);
    return NULL;
}

static struct nd_error *
plan_hosts(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("add_hosts", c->n_add_hosts, ND_CONFIG_MAX_HOSTS));
    plan->extra_hosts = nd_arena_new_array(plan->arena, c->n_add_hosts, struct nd_extra_host);
    plan->n_extra_hosts = c->n_add_hosts;
    for (size_t i = 0; i < c->n_add_hosts; i++)
        ND_TRY(nd_in_element(parse_host(plan, c->add_hosts[i], &plan->extra_hosts[i]), "add_hosts",
                             i));
    return NULL;
}

struct nd_error *
nd_plan_network(struct plan *plan)
{
    ND_TRY(plan_mode(plan));
    ND_TRY(plan_dns(plan));
    return plan_hosts(plan);
}

static struct nd_error *
plan_ipc(struct plan *plan)
{
    const char *mode = plan->config->ipc_mode;

    if (mode[0] == '\0' || strcmp(mode, "private") == 0)
        plan->ipc = PLAN_IPC_PRIVATE;
    else if (strcmp(mode, "host") == 0)
        plan->ipc = PLAN_IPC_HOST;
    else if (strcmp(mode, "shareable") == 0)
        plan->ipc = PLAN_IPC_SHAREABLE;
    else if (strncmp(mode, "container:", 10) == 0)
        return nd_not_yet("ipc_mode", "sharing another container's is not part of this version");
    else
        return nd_error_field("ipc_mode", "\"%.40s\" is none of host, private, shareable", mode);
    if (plan->config->shm_size < 0)
        return nd_error_field("shm_size", "is negative");
    if (plan->config->shm_size > 0 && plan->config->shm_size < 4096)
        return nd_error_field("shm_size", "is below 4096 bytes");
    if (plan->config->shm_size > 0 && plan->ipc == PLAN_IPC_HOST)
        return nd_error_field("shm_size", "does not go together with ipc_mode host");
    return NULL;
}

/* A namespace that is the host's or its own. */
static struct nd_error *
host_or_own(const char *field, const char *mode, bool *ret_host)
{
    *ret_host = strcmp(mode, "host") == 0;
    if (mode[0] == '\0' || *ret_host)
        return NULL;
    if (strncmp(mode, "container:", 10) == 0)
        return nd_not_yet(field, "sharing another container's is not part of this version");
    return nd_error_field(field, "\"%.40s\" is neither empty nor host", mode);
}

static bool
uses_systemd(const struct plan *plan)
{
    const char *manager = plan->settings->cgroup_manager;

    if (manager != NULL)
        return strcmp(manager, "systemd") == 0;
    return plan->facts->cgroup_v2 && plan->facts->systemd;
}

static struct nd_error *
plan_cgroup(struct plan *plan)
{
    const char *mode = plan->config->cgroupns_mode, *parent = plan->config->cgroup_parent;
    const char *clean;
    struct nd_error *err;

    plan->systemd_cgroup = uses_systemd(plan);
    if (mode[0] == '\0')
        plan->cgroupns_private = plan->facts->cgroup_v2 && !plan->config->privileged;
    else if (strcmp(mode, "private") == 0)
        plan->cgroupns_private = true;
    else if (strcmp(mode, "host") != 0)
        return nd_error_field("cgroupns_mode", "\"%.40s\" is neither host nor private", mode);
    if (parent[0] == '\0')
        return NULL;
    if (plan->systemd_cgroup) {
        struct nd_str slice = nd_str(parent);

        if (!nd_str_ends(slice, ND_STR(".slice")) || slice.len > 255 ||
            nd_str_find(slice, '/') != SIZE_MAX || nd_str_find(slice, ':') != SIZE_MAX)
            return nd_error_field("cgroup_parent", "\"%.100s\" is not the name of a slice", parent);
        return NULL;
    }
    err = nd_clean_path(plan->arena,
                        parent[0] == '/' ? parent : nd_arena_printf(plan->arena, "/%s", parent),
                        &clean);
    return err != NULL ? nd_error_in_field(err, "cgroup_parent") : NULL;
}

struct nd_error *
nd_plan_namespaces(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(plan_ipc(plan));
    ND_TRY(host_or_own("pid_mode", c->pid_mode, &plan->pid_host));
    ND_TRY(host_or_own("uts_mode", c->uts_mode, &plan->uts_host));
    if (plan->uts_host && c->hostname[0] != '\0')
        return nd_error_field("hostname", "does not go together with uts_mode host");
    if (plan->uts_host && c->domainname[0] != '\0')
        return nd_error_field("domainname", "does not go together with uts_mode host");
    return plan_cgroup(plan);
}
