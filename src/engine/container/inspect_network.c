/*
 * NetworkSettings of an inspection: published ports by the file, addresses by the live interfaces,
 * which have no names of networks on them ("unknown-eth0", as nerdctl shows them).
 */

#include <string.h>

#include "inspect_priv.h"

static bool
is_shown(const struct nd_interface *i)
{
    return i->up && !i->loopback;
}

static const struct nd_interface *
first_shown(const struct inspection *in)
{
    for (size_t i = 0; i < in->n_interfaces; i++) {
        if (is_shown(&in->interfaces[i]))
            return &in->interfaces[i];
    }
    return NULL;
}

static const char *
port_text(const struct inspection *in, const Pb__PortMapping *p)
{
    return nd_arena_printf(in->arena, "%u/%s", p->container_port, p->protocol);
}

static void
write_mapping(const Pb__PortMapping *p, const char *port, const struct inspection *in,
              struct nd_json_writer *w)
{
    nd_json_key(w, port);
    nd_json_begin_array(w);
    nd_json_begin_object(w);
    nd_json_put_text(w, "HostIp", p->host_ip);
    nd_json_put_text(w, "HostPort", nd_arena_printf(in->arena, "%u", p->host_port));
    nd_json_end_object(w);
    nd_json_end_array(w);
}

/* Later mappings of one container port win. There may be as many as there are ports. */
void
nd_inspect_port_map(const struct inspection *in, struct nd_json_writer *w)
{
    ND_AUTO(nd_map_freep) struct nd_map *last = nd_map_new();
    const Pb__Container *v = in->view;
    size_t n = first_shown(in) != NULL ? v->n_ports : 0;

    for (size_t i = 0; i < n; i++)
        nd_map_set(last, nd_str(port_text(in, v->ports[i])), v->ports[i]);
    nd_json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        const char *port = port_text(in, v->ports[i]);

        if (nd_map_find(last, nd_str(port)) == v->ports[i])
            write_mapping(v->ports[i], port, in, w);
    }
    nd_json_end_object(w);
}

static void
write_network(const struct nd_interface *i, struct nd_json_writer *w)
{
    nd_json_begin_object(w);
    nd_json_put_text(w, "IPAddress", i->ip);
    nd_json_put_u64(w, "IPPrefixLen", i->ip_prefix);
    nd_json_put_text(w, "GlobalIPv6Address", i->ip6);
    nd_json_put_u64(w, "GlobalIPv6PrefixLen", i->ip6_prefix);
    nd_json_put_text(w, "MacAddress", i->mac);
    nd_json_end_object(w);
}

void
nd_inspect_network(const struct inspection *in, struct nd_json_writer *w)
{
    static const struct nd_interface none = {.name = ""};
    const struct nd_interface *first = first_shown(in);

    if (first == NULL)
        first = &none;
    nd_json_key(w, "NetworkSettings");
    nd_json_begin_object(w);
    nd_json_key(w, "Ports");
    nd_inspect_port_map(in, w);
    nd_json_put_text(w, "GlobalIPv6Address", first->ip6);
    nd_json_put_u64(w, "GlobalIPv6PrefixLen", first->ip6_prefix);
    nd_json_put_text(w, "IPAddress", first->ip);
    nd_json_put_u64(w, "IPPrefixLen", first->ip_prefix);
    nd_json_put_text(w, "MacAddress", first->mac);
    nd_json_key(w, "Networks");
    nd_json_begin_object(w);
    for (size_t i = 0; i < in->n_interfaces; i++) {
        if (!is_shown(&in->interfaces[i]))
            continue;
        nd_json_key(w, nd_arena_printf(in->arena, "unknown-%s", in->interfaces[i].name));
        write_network(&in->interfaces[i], w);
    }
    nd_json_end_object(w);
    nd_json_end_object(w);
}
