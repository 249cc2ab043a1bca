/*
 * HostConfig of an inspection: limits and rights, read back from the spec and from nerdctl's
 * labels.
 */

#include <stdio.h>

#include "oci/capability.h"

#include "inspect_priv.h"
#include "labels_priv.h"
#include "view_priv.h"

static const struct nd_json *
find_path(const struct nd_json *from, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        from = nd_json_find(from, keys[i]);
    return from;
}

/* A number of linux.resources; 0 when it is not there. */
static int64_t
resource(const struct inspection *in, const char *section, const char *key)
{
    const char *const path[] = {"linux", "resources", section};
    int64_t value = 0;
    struct nd_error *err = nd_json_get_i64(find_path(in->spec, path, ND_LEN(path)), key, &value);

    nd_error_free(err);
    return value;
}

static const struct nd_json *
resource_value(const struct inspection *in, const char *section, const char *key)
{
    const char *const path[] = {"linux", "resources", section, key};

    return find_path(in->spec, path, ND_LEN(path));
}

static bool
has_namespace(const struct inspection *in, const char *type)
{
    const char *const path[] = {"linux", "namespaces"};
    const struct nd_json *all = find_path(in->spec, path, ND_LEN(path));

    for (size_t i = 0; i < nd_json_count(all); i++) {
        if (nd_str_eqz(nd_json_string(nd_json_find(nd_json_at(all, i), "type")), type))
            return true;
    }
    return false;
}

static void
write_log_config(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *config;

    nd_container_record_json_label(in->rec, LABEL_LOG_CONFIG, in->arena, &config);
    nd_json_key(w, "LogConfig");
    if (nd_json_type(config) == ND_JSON_OBJECT)
        nd_inspect_value(w, config);
    else
        nd_json_raw(w, ND_STR("{\"driver\":\"json-file\",\"address\":\"\"}"));
}

/* "on-failure:3" and so on. */
static void
write_restart_policy(const struct inspection *in, struct nd_json_writer *w)
{
    struct nd_str policy = nd_str(nd_container_record_label(in->rec, LABEL_RESTART_POLICY));
    size_t colon = nd_str_find(policy, ':');
    int64_t retries = 0;

    if (colon != SIZE_MAX) {
        struct nd_error *err = nd_parse_i64(nd_str_from(policy, colon + 1), 0, INT32_MAX, &retries);

        nd_error_free(err);
    }
    nd_json_key(w, "RestartPolicy");
    nd_json_begin_object(w);
    nd_json_key(w, "Name");
    nd_json_str(w, nd_str_sub(policy, 0, colon));
    nd_json_put_i64(w, "MaximumRetryCount", retries);
    nd_json_end_object(w);
}

static nd_capset
bounding_set(const struct inspection *in)
{
    const char *const path[] = {"process", "capabilities", "bounding"};
    const struct nd_json *list = find_path(in->spec, path, ND_LEN(path));
    nd_capset set = 0;

    for (size_t i = 0; i < nd_json_count(list); i++) {
        unsigned cap;
        struct nd_error *err = nd_cap_parse(nd_json_string(nd_json_at(list, i)), &cap);

        if (err == NULL)
            set |= ND_CAP_BIT(cap);
        nd_error_free(err);
    }
    return set;
}

static void
write_caps(struct nd_json_writer *w, const char *key, nd_capset set)
{
    nd_json_key(w, key);
    nd_json_begin_array(w);
    for (unsigned cap = 0; cap < ND_CAP_COUNT; cap++) {
        if ((set & ND_CAP_BIT(cap)) != 0)
            nd_json_text(w, nd_cap_name(cap));
    }
    nd_json_end_array(w);
}

static void
write_dns(const struct inspection *in, struct nd_json_writer *w)
{
    static const struct {
        const char *key, *label_key;
    } lists[] = {{"Dns", "DNSServers"},
                 {"DnsOptions", "DNSResolvConfOptions"},
                 {"DnsSearch", "DNSSearchDomains"}};
    const struct nd_json *dns, *hosts;

    nd_container_record_json_label(in->rec, LABEL_DNS, in->arena, &dns);
    for (size_t i = 0; i < ND_LEN(lists); i++) {
        nd_json_key(w, lists[i].key);
        nd_inspect_value(w, nd_json_find(dns, lists[i].label_key));
    }
    nd_container_record_json_label(in->rec, LABEL_EXTRA_HOSTS, in->arena, &hosts);
    nd_json_key(w, "ExtraHosts");
    nd_inspect_value(w, hosts);
}

static void
write_groups(const struct inspection *in, struct nd_json_writer *w)
{
    const char *const path[] = {"process", "user", "additionalGids"};
    const struct nd_json *gids = find_path(in->spec, path, ND_LEN(path));

    nd_json_key(w, "GroupAdd");
    nd_json_begin_array(w);
    for (size_t i = 0; i < nd_json_count(gids); i++) {
        uint64_t gid = 0;
        struct nd_error *err = nd_json_as_u64(nd_json_at(gids, i), &gid);

        nd_error_free(err);
        if (gid != 0)
            nd_json_text(w, nd_arena_printf(in->arena, "%llu", (unsigned long long)gid));
    }
    nd_json_end_array(w);
}

static void
write_annotations(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *all = nd_json_find(in->spec, "annotations"), *value;
    struct nd_str key;
    void *pos = NULL;
    bool any = false;

    while (nd_json_next(all, &pos, &key, &value)) {
        if (nd_str_starts(key, ND_STR("nerdctl/")))
            continue;
        if (!any) {
            nd_json_key(w, "Annotations");
            nd_json_begin_object(w);
        }
        any = true;
        nd_json_key(w, nd_arena_str(in->arena, key));
        nd_json_str(w, nd_json_string(value));
    }
    if (any)
        nd_json_end_object(w);
}

static void
write_tmpfs(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *mounts = nd_view_mount_labels(in->rec, in->arena);
    bool any = false;

    for (size_t i = 0; i < nd_json_count(mounts); i++) {
        const struct nd_json *m = nd_json_at(mounts, i);

        if (!nd_str_eqz(nd_json_string(nd_json_find(m, "Type")), "tmpfs"))
            continue;
        if (!any) {
            nd_json_key(w, "Tmpfs");
            nd_json_begin_object(w);
        }
        any = true;
        nd_json_key(w, nd_arena_str(in->arena, nd_json_string(nd_json_find(m, "Destination"))));
        nd_json_str(w, nd_json_string(nd_json_find(m, "Mode")));
    }
    if (any)
        nd_json_end_object(w);
}

static void
write_ulimits(const struct inspection *in, struct nd_json_writer *w)
{
    const char *const path[] = {"process", "rlimits"};
    const struct nd_json *all = find_path(in->spec, path, ND_LEN(path));

    nd_json_key(w, "Ulimits");
    if (nd_json_count(all) == 0) {
        nd_json_null(w);
        return;
    }
    nd_json_begin_array(w);
    for (size_t i = 0; i < nd_json_count(all); i++) {
        const struct nd_json *one = nd_json_at(all, i);
        struct nd_str type = nd_json_string(nd_json_find(one, "type"));
        char *name;
        uint64_t hard = 0, soft = 0;
        struct nd_error *err;

        if (nd_str_starts(type, ND_STR("RLIMIT_")))
            type = nd_str_from(type, 7);
        name = nd_arena_str(in->arena, type);
        for (char *c = name; *c != '\0'; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        err = nd_json_get_u64(one, "hard", &hard);
        nd_error_free(err);
        err = nd_json_get_u64(one, "soft", &soft);
        nd_error_free(err);
        nd_json_begin_object(w);
        nd_json_put_text(w, "Name", name);
        nd_json_put_i64(w, "Hard", (int64_t)hard); /* unlimited shows as -1 */
        nd_json_put_i64(w, "Soft", (int64_t)soft);
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

static void
write_cpu(const struct inspection *in, struct nd_json_writer *w)
{
    static const struct {
        const char *key, *spec_key;
    } numbers[] = {{"CpuQuota", "quota"},
                   {"CpuShares", "shares"},
                   {"CpuPeriod", "period"},
                   {"CpuRealtimePeriod", "realtimePeriod"},
                   {"CpuRealtimeRuntime", "realtimeRuntime"}};

    nd_json_key(w, "CpusetMems");
    nd_json_str(w, nd_json_string(resource_value(in, "cpu", "mems")));
    nd_json_key(w, "CpusetCpus");
    nd_json_str(w, nd_json_string(resource_value(in, "cpu", "cpus")));
    for (size_t i = 0; i < ND_LEN(numbers); i++)
        nd_json_put_i64(w, numbers[i].key, resource(in, "cpu", numbers[i].spec_key));
}

static void
write_memory(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *swappiness = resource_value(in, "memory", "swappiness");

    nd_json_put_i64(w, "Memory", resource(in, "memory", "limit"));
    nd_json_put_i64(w, "MemorySwap", resource(in, "memory", "swap"));
    nd_json_put_i64(w, "MemoryReservation", resource(in, "memory", "reservation"));
    nd_json_key(w, "MemorySwappiness");
    nd_inspect_value(w, swappiness);
    nd_json_put_i64(w, "PidsLimit", resource(in, "pids", "limit"));
    write_ulimits(in, w);
}

/* What the label has; the weight of the spec counts more. */
static void
write_devices(const struct inspection *in, struct nd_json_writer *w)
{
    static const char *const lists[] = {"BlkioWeightDevice", "BlkioDeviceReadBps",
                                        "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
                                        "BlkioDeviceWriteIOps"};
    const struct nd_json *config;
    bool no_oom_kill = false;
    int64_t weight = resource(in, "blockIO", "weight");
    const char *const memory[] = {"linux", "resources", "memory"};
    struct nd_error *err = nd_json_get_bool(find_path(in->spec, memory, ND_LEN(memory)),
                                            "disableOOMKiller", &no_oom_kill);

    nd_error_free(err);
    nd_container_record_json_label(in->rec, LABEL_HOST_CONFIG, in->arena, &config);
    if (weight == 0) {
        err = nd_json_get_i64(config, "BlkioWeight", &weight);
        nd_error_free(err);
    }
    nd_json_put_bool(w, "OomKillDisable", no_oom_kill);
    nd_json_key(w, "Devices");
    nd_inspect_value(w, nd_json_find(config, "Devices"));
    nd_json_put_i64(w, "BlkioWeight", weight);
    for (size_t i = 0; i < ND_LEN(lists); i++) {
        nd_json_key(w, lists[i]);
        nd_json_begin_array(w);
        nd_json_end_array(w);
    }
}

static void
write_namespaces(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *ipc;

    nd_container_record_json_label(in->rec, LABEL_IPC, in->arena, &ipc);
    nd_json_key(w, "IpcMode");
    nd_json_str(w, nd_json_string(nd_json_find(ipc, "mode")));
    write_annotations(in, w);
    {
        const struct nd_json *process = nd_json_find(in->spec, "process");
        int64_t score = 0;
        struct nd_error *err = nd_json_get_i64(process, "oomScoreAdj", &score);

        nd_error_free(err);
        nd_json_put_i64(w, "OomScoreAdj", score);
    }
    nd_json_put_text(w, "PidMode",
                     !has_namespace(in, "pid") ? "host"
                                               : nd_inspect_label(in, LABEL_PID_CONTAINER));
    nd_json_put_bool(w, "Privileged",
                     nd_container_record_label_is(in->rec, LABEL_PRIVILEGED, "true"));
}

static void
write_root(const struct inspection *in, struct nd_json_writer *w)
{
    const char *const sysctl[] = {"linux", "sysctl"};
    const struct nd_json *ipc;
    bool read_only = false;
    struct nd_error *err = nd_json_get_bool(nd_json_find(in->spec, "root"), "readonly", &read_only);

    nd_error_free(err);
    nd_container_record_json_label(in->rec, LABEL_IPC, in->arena, &ipc);
    nd_json_put_bool(w, "ReadonlyRootfs", read_only);
    write_tmpfs(in, w);
    nd_json_put_text(w, "UTSMode", has_namespace(in, "uts") ? "" : "host");
    nd_json_put_i64(w, "ShmSize", nd_ipc_shm_size(ipc));
    nd_json_key(w, "Sysctls");
    nd_inspect_value(w, find_path(in->spec, sysctl, ND_LEN(sysctl)));
    nd_json_put_text(w, "Runtime", in->rec->runtime != NULL ? in->rec->runtime->name : "");
}

void
nd_inspect_host_config(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *host_config, *networks;
    nd_capset caps = bounding_set(in);

    nd_container_record_json_label(in->rec, LABEL_HOST_CONFIG, in->arena, &host_config);
    nd_container_record_json_label(in->rec, LABEL_NETWORKS, in->arena, &networks);
    nd_json_key(w, "HostConfig");
    nd_json_begin_object(w);
    nd_json_key(w, "ContainerIDFile");
    nd_json_str(w, nd_json_string(nd_json_find(host_config, "CidFile")));
    write_log_config(in, w);
    nd_json_key(w, "NetworkMode");
    nd_json_str(w, nd_json_string(nd_json_at(networks, 0)));
    nd_json_key(w, "PortBindings");
    nd_inspect_port_map(in, w);
    write_restart_policy(in, w);
    nd_json_put_bool(w, "AutoRemove",
                     nd_container_record_label_is(in->rec, LABEL_AUTO_REMOVE, "true"));
    write_caps(w, "CapAdd", caps & ~nd_cap_default());
    write_caps(w, "CapDrop", nd_cap_default() & ~caps);
    nd_json_put_text(w, "CgroupnsMode", has_namespace(in, "cgroup") ? "private" : "");
    write_dns(in, w);
    write_groups(in, w);
    write_namespaces(in, w);
    write_root(in, w);
    write_cpu(in, w);
    write_memory(in, w);
    write_devices(in, w);
    nd_json_end_object(w);
}
