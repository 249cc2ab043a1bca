/*
 * The labels of a new container, and the annotations of its spec.
 *
 * Labels are set in the order that nerdctl applies them, later ones winning: the image's, the stop
 * signal and timeout, the user's, our own. Then every label with "nerdctl/" in its key is copied to
 * the annotations, which is where nerdctl's hooks, stop and rm look; they are a snapshot and never
 * change.
 *
 * An image's labels with a prefix that means something to nerdctl or containerd are dropped: they
 * would name files of the host and other people's volumes. (nerdctl copies them.)
 */

#include "codec/json_writer.h"

#include "creation_priv.h"
#include "labels_priv.h"

#define JSON_LABEL_MAX \
    (32u * 1024u * 1024u) /* more than checked input can make; see check_sizes() */

static const char *const dropped_prefixes[] = {
    "containerd.io/", "io.cri-containerd", "io.containerd.image.config.",
    "nerdctl/",       "nerdctl-grpc/",
};

static bool
is_dropped(const char *key)
{
    for (size_t i = 0; i < ND_LEN(dropped_prefixes); i++) {
        if (strncmp(key, dropped_prefixes[i], strlen(dropped_prefixes[i])) == 0)
            return true;
    }
    return false;
}

static void
set_image_labels(struct creation *c)
{
    const struct nd_oci_config *config = c->image.config;

    for (size_t i = 0; i < config->n_labels; i++) {
        const char *key = config->labels[i].key, *value = config->labels[i].value;

        if (is_dropped(key) || key[0] == '\0')
            continue;
        if (strlen(key) + strlen(value) > ND_LABEL_MAX_BYTES) {
            nd_plan_warn(c->plan, "label \"%.100s\" of the image is left out: over %u bytes", key,
                         ND_LABEL_MAX_BYTES);
            continue;
        }
        nd_pairs_set(&c->labels, key, value);
    }
}

/* A JSON text in the arena; `buf` was written by a json writer. */
static const char *
take_json(struct creation *c, struct nd_buf *buf)
{
    return nd_arena_str(c->arena, nd_buf_str(buf));
}

static const char *
extra_hosts_json(struct creation *c)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_begin_array(&w);
    for (size_t i = 0; i < c->plan->n_extra_hosts; i++)
        nd_json_text(&w, nd_arena_printf(c->arena, "%s:%s", c->plan->extra_hosts[i].host,
                                         c->plan->extra_hosts[i].ip));
    nd_json_end_array(&w);
    return take_json(c, &buf);
}

static const char *
list_json(struct creation *c, const char *const *texts, size_t n)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_texts(&w, texts, n);
    return take_json(c, &buf);
}

static const char *
ipc_json(struct creation *c)
{
    static const char *const modes[] = {"private", "host", "shareable"};
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_begin_object(&w);
    nd_json_put_text(&w, "mode", modes[c->plan->ipc]);
    if (c->plan->ipc == PLAN_IPC_SHAREABLE)
        nd_json_put_text(&w, "hostShmPath",
                         nd_arena_printf(c->arena, "%s/shm", nd_state_path(c->state)));
    if (c->plan->config->shm_size > 0)
        nd_json_put_text(&w, "shmSize",
                         nd_arena_printf(c->arena, "%lld", (long long)c->plan->config->shm_size));
    nd_json_end_object(&w);
    return take_json(c, &buf);
}

static const char *
host_config_json(struct creation *c)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_begin_object(&w);
    nd_json_put_u64(&w, "BlkioWeight", c->plan->resources.blkio_weight);
    nd_json_put_text(&w, "CidFile", "");
    nd_json_key(&w, "Devices");
    if (c->plan->n_devices == 0) {
        nd_json_null(&w);
    } else {
        nd_json_begin_array(&w);
        for (size_t i = 0; i < c->plan->n_devices; i++) {
            nd_json_begin_object(&w);
            nd_json_put_text(&w, "PathOnHost", c->plan->devices[i].host_path);
            nd_json_put_text(&w, "PathInContainer", c->plan->devices[i].container_path);
            nd_json_put_text(&w, "CgroupPermissions", c->plan->devices[i].access);
            nd_json_end_object(&w);
        }
        nd_json_end_array(&w);
    }
    nd_json_end_object(&w);
    return take_json(c, &buf);
}

static const char *
dns_json(struct creation *c)
{
    const struct nd_dns *dns = &c->plan->dns;
    const struct {
        const char *key;
        const char *const *texts;
        size_t n;
    } lists[] = {
        {"DNSServers", dns->servers, dns->n_servers},
        {"DNSResolvConfOptions", dns->options, dns->n_options},
        {"DNSSearchDomains", dns->searches, dns->n_searches},
    };
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_begin_object(&w);
    for (size_t i = 0; i < ND_LEN(lists); i++) {
        nd_json_key(&w, lists[i].key);
        if (lists[i].n == 0)
            nd_json_null(&w);
        else
            nd_json_texts(&w, lists[i].texts, lists[i].n);
    }
    nd_json_end_object(&w);
    return take_json(c, &buf);
}

/* Without a log: the text that nerdctl leaves. */
static const char *
log_config_json(struct creation *c)
{
    if (c->plan->log_none)
        return "{\"driver\":\"\",\"address\":\"\"}";
    return nd_log_config_format(&c->plan->log, c->arena);
}

static const char *
mount_json(struct creation *c, const struct plan_mount *m)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    nd_json_begin_object(&w);
    nd_json_put_text(&w, "Type", m->kind == PLAN_BIND ? "bind" : "tmpfs");
    nd_json_put_text(&w, "Source", m->kind == PLAN_BIND ? m->source : "tmpfs");
    nd_json_put_text(&w, "Destination", m->target);
    nd_json_put_text(&w, "Mode", m->mode);
    nd_json_put_bool(&w, "RW", !m->read_only);
    nd_json_put_text(&w, "Propagation", m->propagation);
    nd_json_end_object(&w);
    return take_json(c, &buf);
}

/*
 * The image's health check with nerdctl's defaults for what it leaves open; NULL without a usable
 * one.
 */
static const char *
healthcheck_json(struct creation *c)
{
    static const struct {
        const char *key;
        int64_t value;
    } defaults[] = {{"Interval", 30 * ND_SECOND}, {"Timeout", 30 * ND_SECOND}, {"Retries", 3}};
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(JSON_LABEL_MAX);
    ND_AUTO(nd_json_freep) struct nd_json *check = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (c->image.config->healthcheck[0] == '\0')
        return NULL;
    err = nd_json_parse(nd_str(c->image.config->healthcheck), NULL, &check);
    if (err != NULL || nd_json_type(nd_json_find(check, "Test")) != ND_JSON_ARRAY)
        return NULL;
    for (size_t i = 0; i < ND_LEN(defaults); i++) {
        if (nd_json_real(nd_json_find(check, defaults[i].key)) == 0)
            nd_json_set_i64(check, defaults[i].key, defaults[i].value);
    }
    err = nd_json_write(check, ND_JSON_GO, &buf);
    return err == NULL ? take_json(c, &buf) : NULL;
}

static void
set_own_labels(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    const char *networks = list_json(c, &c->plan->network, 1);
    const char *healthcheck = healthcheck_json(c);
    const struct nd_spec_pair always[] = {
        {LABEL_NAMESPACE, c->ns},
        {LABEL_NAME, c->name},
        {LABEL_HOSTNAME, c->hostname},
        {LABEL_DOMAINNAME, config->domainname},
        {LABEL_EXTRA_HOSTS, extra_hosts_json(c)},
        {LABEL_STATE_DIR, nd_state_path(c->state)},
        {LABEL_NETWORKS, networks},
        {LABEL_PLATFORM, c->image.platform},
        {LABEL_AUTO_REMOVE, config->auto_remove ? "true" : "false"},
        {LABEL_LOG_URI, c->log_uri},
        {LABEL_LOG_CONFIG, log_config_json(c)},
        {LABEL_IPC, ipc_json(c)},
        {LABEL_HOST_CONFIG, host_config_json(c)},
        {LABEL_DNS, dns_json(c)},
    };

    for (size_t i = 0; i < ND_LEN(always); i++)
        nd_pairs_set(&c->labels, always[i].key, always[i].value);
    for (size_t i = 0; i < c->plan->n_mounts; i++)
        nd_pairs_set(&c->labels, nd_arena_printf(c->arena, LABEL_MOUNTS ".%zu", i),
                     mount_json(c, &c->plan->mounts[i]));
    if (config->interactive)
        nd_pairs_set(&c->labels, LABEL_INTERACTIVE, "true");
    if (!c->detached)
        nd_pairs_set(&c->labels, LABEL_ATTACHED, "true");
    if (config->privileged)
        nd_pairs_set(&c->labels, LABEL_PRIVILEGED, "true");
    if (c->user_text[0] != '\0')
        nd_pairs_set(&c->labels, LABEL_USER, c->user_text);
    if (healthcheck != NULL && strlen(healthcheck) < ND_LABEL_MAX_BYTES - sizeof(LABEL_HEALTHCHECK))
        nd_pairs_set(&c->labels, LABEL_HEALTHCHECK, healthcheck);
    /* A start would write it; a run knows already. */
    if (c->will_start)
        nd_pairs_set(&c->labels, LABEL_STOPPED, "false");
}

static struct nd_error *
check_sizes(const struct creation *c)
{
    static const struct {
        const char *prefix, *field;
    } fields[] = {
        {LABEL_EXTRA_HOSTS, "config.add_hosts"}, {LABEL_LOG_CONFIG, "config.log.options"},
        {LABEL_HOST_CONFIG, "config.devices"},   {LABEL_DNS, "config.dns"},
        {LABEL_MOUNTS, "config.mounts"},
    };

    for (size_t i = 0; i < c->labels.n; i++) {
        const struct nd_spec_pair *pair = &c->labels.at[i];
        const char *field = "config.labels";

        if (strlen(pair->key) + strlen(pair->value) <= ND_LABEL_MAX_BYTES)
            continue;
        for (size_t j = 0; j < ND_LEN(fields); j++) {
            if (strncmp(pair->key, fields[j].prefix, strlen(fields[j].prefix)) == 0)
                field = fields[j].field;
        }
        return nd_error_field(field, "what it says is over the %u bytes that containerd keeps",
                              ND_LABEL_MAX_BYTES);
    }
    return NULL;
}

static void
set_annotations(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;

    for (size_t i = 0; i < c->labels.n; i++) {
        if (strstr(c->labels.at[i].key, "nerdctl/") != NULL)
            nd_pairs_set(&c->annotations, c->labels.at[i].key, c->labels.at[i].value);
    }
    for (size_t i = 0; i < config->n_annotations; i++)
        nd_pairs_set(&c->annotations, config->annotations[i]->key, config->annotations[i]->value);
}

struct nd_error *
nd_creation_labels(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;

    c->labels = (struct pair_list){.arena = c->arena};
    c->annotations = (struct pair_list){.arena = c->arena};
    set_image_labels(c);
    nd_pairs_set(&c->labels, LABEL_STOP_SIGNAL, c->stop_signal);
    if (config->stop_timeout_presence_case ==
        PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT)
        nd_pairs_set(&c->labels, LABEL_STOP_TIMEOUT,
                     nd_arena_printf(c->arena, "%d", (int)config->stop_timeout));
    for (size_t i = 0; i < config->n_labels; i++)
        nd_pairs_set(&c->labels, config->labels[i]->key, config->labels[i]->value);
    set_own_labels(c);
    ND_TRY(check_sizes(c));
    set_annotations(c);
    return NULL;
}
