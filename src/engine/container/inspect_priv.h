#ifndef CONTAINER_INSPECT_PRIV_H
#define CONTAINER_INSPECT_PRIV_H

/* What an inspection is made of, and its parts. Context of all but nd_container_inspect(): any. */

#include "codec/json_writer.h"
#include "nerdctl/v1/container.pb-c.h"
#include "store/state.h"

#include "containers_priv.h"
#include "netinfo_priv.h"

struct inspection {
    const record *rec;
    const task *t; /* NULL: none */
    const Pb__Container *view;
    const struct nd_json *spec; /* decoded */
    struct nd_arena *arena;
    bool with_sizes;

    /* found on the host */
    const char *state_path;
    const char *resolv_conf, *hostname_file, *hosts_file, *log_file; /* "" when absent */
    bool has_lifecycle;
    const char *probes[ND_STATE_PROBES_MAX]; /* entries of health.json, JSON texts */
    size_t n_probes;
    struct nd_interface *interfaces;
    size_t n_interfaces;
};

void nd_inspect_docker(const struct inspection *in, struct nd_json_writer *w);
void nd_inspect_host_config(const struct inspection *in, struct nd_json_writer *w);
void nd_inspect_network(const struct inspection *in, struct nd_json_writer *w);
void nd_inspect_port_map(const struct inspection *in, struct nd_json_writer *w);
void nd_inspect_native(const struct inspection *in, struct nd_json_writer *w);

/* A decoded value, written again. */
void nd_inspect_value(struct nd_json_writer *w, const struct nd_json *value);

/* "nerdctl/dns" and others: the label's text, "" without it. */
const char *nd_inspect_label(const struct inspection *in, const char *key);

/* Source of the bind mount of the spec at a place; "" without one. */
const char *nd_inspect_bind_source(const struct inspection *in, const char *destination);

#endif
