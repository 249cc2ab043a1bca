/*
 * From the flags of `run` and `create` to the message that describes a container.
 *
 * Most flags are a text, a number or a list that goes into one field, and stand in the tables at
 * the top. The others have a function each, which run one after the other; the first mistake ends
 * it and names its flag. Nothing that was written on the command line is dropped: a flag either has
 * a place here or was refused before (ND_FLAG_UNSUPPORTED).
 */

#include "remote/container_config.h"

#include <stdlib.h>

#include "remote/container_parts.h"
#include "remote/limits.h"

#define U ND_FLAG_UNSUPPORTED
#define FLAG(name, short, type, fallback, help, marks, same_as) \
    {name, short, ND_FLAG_##type, fallback, help, marks, same_as},

static const struct nd_flag flags_of_both[] = {
#include "container_flags.def"
};

const struct nd_flag_table nd_container_flags = ND_FLAG_TABLE(flags_of_both);

struct builder {
    struct nd_arena *arena;
    const struct nd_flags *flags;
    Pb__ContainerConfig *config;
};

#define AT(field) offsetof(Pb__ContainerConfig, field)

/* Flags whose text is the field. Set only when given: the daemon knows the defaults. */
static const struct {
    const char *flag;
    size_t at;
} text_fields[] = {
    {"name", AT(name)},
    {"workdir", AT(working_dir)},
    {"user", AT(user)},
    {"hostname", AT(hostname)},
    {"domainname", AT(domainname)},
    {"ipc", AT(ipc_mode)},
    {"pid", AT(pid_mode)},
    {"uts", AT(uts_mode)},
    {"cgroupns", AT(cgroupns_mode)},
    {"cgroup-parent", AT(cgroup_parent)},
    {"stop-signal", AT(stop_signal)},
    {"platform", AT(platform)},
    {"init-binary", AT(init_binary)},
    {"runtime", AT(runtime)},
};

static const struct {
    const char *flag;
    size_t at;
} bool_fields[] = {
    {"tty", AT(tty)},
    {"interactive", AT(interactive)},
    {"privileged", AT(privileged)},
    {"read-only", AT(read_only)},
    {"rm", AT(auto_remove)},
    {"init", AT(init)},
};

static const struct {
    const char *flag;
    size_t at_n, at;
} list_fields[] = {
    {"group-add", AT(n_group_add), AT(group_add)},
    {"cap-add", AT(n_cap_add), AT(cap_add)},
    {"cap-drop", AT(n_cap_drop), AT(cap_drop)},
    {"dns", AT(n_dns), AT(dns)},
    {"dns-search", AT(n_dns_search), AT(dns_search)},
    {"dns-option", AT(n_dns_options), AT(dns_options)},
};

static char **
copy_list(struct nd_arena *arena, const struct nd_texts *texts)
{
    char **list = nd_arena_new_array(arena, texts->n + 1, char *);

    for (size_t i = 0; i < texts->n; i++)
        list[i] = nd_arena_str(arena, texts->items[i]);
    return list;
}

static struct nd_error *
set_plain_fields(struct builder *b)
{
    char *base = (char *)b->config;

    for (size_t i = 0; i < ND_LEN(text_fields); i++) {
        if (nd_flag_given(b->flags, text_fields[i].flag))
            *(char **)(void *)(base + text_fields[i].at) =
                nd_arena_str(b->arena, nd_flag_text(b->flags, text_fields[i].flag));
    }
    for (size_t i = 0; i < ND_LEN(bool_fields); i++)
        *(protobuf_c_boolean *)(void *)(base + bool_fields[i].at) =
            nd_flag_bool(b->flags, bool_fields[i].flag);
    for (size_t i = 0; i < ND_LEN(list_fields); i++) {
        const struct nd_texts *texts = nd_flag_list(b->flags, list_fields[i].flag);

        *(size_t *)(void *)(base + list_fields[i].at_n) = texts->n;
        *(char ***)(void *)(base + list_fields[i].at) = copy_list(b->arena, texts);
    }
    return NULL;
}

static struct nd_error *
set_entrypoint(struct builder *b)
{
    const struct nd_texts *texts = nd_flag_list(b->flags, "entrypoint");

    if (!nd_flag_given(b->flags, "entrypoint"))
        return NULL;
    if (texts->n == 1 && texts->items[0].len == 0) {
        b->config->clear_entrypoint = true;
        return NULL;
    }
    b->config->n_entrypoint = texts->n;
    b->config->entrypoint = copy_list(b->arena, texts);
    return NULL;
}

static struct nd_error *
set_networks(struct builder *b)
{
    const struct nd_texts *texts = nd_flag_list(b->flags, "network");

    if (!nd_flag_given(b->flags, "network"))
        return NULL;
    b->config->n_networks = texts->n;
    b->config->networks = copy_list(b->arena, texts);
    return NULL;
}

/* "KEY" alone takes our own value; one that we do not have is left out. */
static void
add_variable(struct builder *b, struct nd_texts *env, struct nd_str text)
{
    const char *value;
    char *name;

    if (nd_str_find(text, '=') != SIZE_MAX) {
        nd_texts_push(b->arena, env, text);
        return;
    }
    name = nd_arena_str(b->arena, text);
    value = secure_getenv(name);
    if (value != NULL)
        nd_texts_push(b->arena, env, nd_str(nd_arena_printf(b->arena, "%s=%s", name, value)));
}

/* All lines of the files that a list flag names. */
static struct nd_error *
read_files(struct builder *b, const char *flag, struct nd_texts *ret)
{
    const struct nd_texts *files = nd_flag_list(b->flags, flag);

    for (size_t i = 0; i < files->n; i++) {
        const char *path = nd_arena_str(b->arena, files->items[i]);
        struct nd_str content;

        ND_TRY_DOING(nd_file_read(b->arena, path, &content), "--%s", flag);
        ND_TRY_DOING(nd_key_file_parse(b->arena, content, path, ret), "--%s", flag);
    }
    return NULL;
}

static struct nd_error *
set_env(struct builder *b)
{
    const struct nd_texts *given = nd_flag_list(b->flags, "env");
    struct nd_texts lines = {.n = 0}, env = {.n = 0};

    ND_TRY(read_files(b, "env-file", &lines));
    for (size_t i = 0; i < lines.n; i++)
        add_variable(b, &env, lines.items[i]);
    for (size_t i = 0; i < given->n; i++) {
        if (given->items[i].len == 0 || given->items[i].ptr[0] == '=')
            return nd_error_new(ND_INVALID, "--env: invalid environment variable: %.*s",
                                ND_STR_ARG(given->items[i]));
        add_variable(b, &env, given->items[i]);
    }
    b->config->n_env = env.n;
    b->config->env = copy_list(b->arena, &env);
    return NULL;
}

/* One entry of the maps that protobuf-c makes of map<string, string>: they all have this shape. */
struct pair {
    ProtobufCMessage base;
    char *key;
    char *value;
};
_Static_assert(sizeof(struct pair) == sizeof(Pb__ContainerConfig__LabelsEntry) &&
                   offsetof(struct pair, value) ==
                       offsetof(Pb__ContainerConfig__LabelsEntry, value),
               "entries of text maps look like this");

struct pairs {
    struct pair **items;
    size_t n;
};

/* A key that is there gets the new value. */
static void
add_pair(struct builder *b, struct pairs *pairs, const ProtobufCMessageDescriptor *type,
         struct nd_str text)
{
    size_t equals = nd_str_find(text, '=');
    char *key = nd_arena_str(b->arena, nd_str_sub(text, 0, equals));
    char *value = equals == SIZE_MAX ? nd_arena_strdup(b->arena, "")
                                     : nd_arena_str(b->arena, nd_str_from(text, equals + 1));
    struct pair *pair;

    for (size_t i = 0; i < pairs->n; i++) {
        if (strcmp(pairs->items[i]->key, key) == 0) {
            pairs->items[i]->value = value;
            return;
        }
    }
    pair = nd_arena_new_object(b->arena, struct pair);
    protobuf_c_message_init(type, pair);
    pair->key = key;
    pair->value = value;
    pairs->items[pairs->n++] = pair;
}

/* The texts of a flag as a map; `files` holds lines that come before them. */
static struct nd_error *
make_pairs(struct builder *b, const char *flag, const struct nd_texts *lines,
           const ProtobufCMessageDescriptor *type, bool needs_value, struct pairs *ret)
{
    const struct nd_texts *given = nd_flag_list(b->flags, flag);

    ret->items = nd_arena_new_array(b->arena, given->n + lines->n + 1, struct pair *);
    for (size_t i = 0; i < lines->n; i++)
        add_pair(b, ret, type, lines->items[i]);
    for (size_t i = 0; i < given->n; i++) {
        size_t equals = nd_str_find(given->items[i], '=');

        if (equals == 0 || given->items[i].len == 0 || (needs_value && equals == SIZE_MAX))
            return nd_error_new(ND_INVALID, "--%s: \"%.*s\" is not of the form key=value", flag,
                                ND_STR_ARG(given->items[i]));
        add_pair(b, ret, type, given->items[i]);
    }
    return NULL;
}

static struct nd_error *
set_maps(struct builder *b)
{
    Pb__ContainerConfig *c = b->config;
    struct nd_texts lines = {.n = 0}, none = {.n = 0};
    struct pairs labels = {.n = 0}, annotations = {.n = 0}, sysctls = {.n = 0};

    ND_TRY(read_files(b, "label-file", &lines));
    ND_TRY(make_pairs(b, "label", &lines, &pb__container_config__labels_entry__descriptor, false,
                      &labels));
    ND_TRY(make_pairs(b, "annotation", &none, &pb__container_config__annotations_entry__descriptor,
                      true, &annotations));
    ND_TRY(make_pairs(b, "sysctl", &none, &pb__container_config__sysctls_entry__descriptor, true,
                      &sysctls));
    c->n_labels = labels.n;
    c->labels = (Pb__ContainerConfig__LabelsEntry **)(void *)labels.items;
    c->n_annotations = annotations.n;
    c->annotations = (Pb__ContainerConfig__AnnotationsEntry **)(void *)annotations.items;
    c->n_sysctls = sysctls.n;
    c->sysctls = (Pb__ContainerConfig__SysctlsEntry **)(void *)sysctls.items;
    return NULL;
}

static struct nd_error *
set_mounts(struct builder *b)
{
    static const struct {
        const char *flag;
        struct nd_error *(*parse)(struct nd_arena *arena, struct nd_str text, Pb__Mount **ret);
    } kinds[] = {{"volume", nd_volume_parse}, {"mount", nd_mount_parse}, {"tmpfs", nd_tmpfs_parse}};
    size_t n = 0;

    for (size_t k = 0; k < ND_LEN(kinds); k++)
        n += nd_flag_list(b->flags, kinds[k].flag)->n;
    b->config->mounts = nd_arena_new_array(b->arena, n + 1, Pb__Mount *);
    for (size_t k = 0; k < ND_LEN(kinds); k++) {
        const struct nd_texts *texts = nd_flag_list(b->flags, kinds[k].flag);

        for (size_t i = 0; i < texts->n; i++)
            ND_TRY_DOING(kinds[k].parse(b->arena, texts->items[i],
                                        &b->config->mounts[b->config->n_mounts++]),
                         "--%s", kinds[k].flag);
    }
    return NULL;
}

static struct nd_error *
set_devices_and_ulimits(struct builder *b)
{
    const struct nd_texts *devices = nd_flag_list(b->flags, "device");
    const struct nd_texts *ulimits = nd_flag_list(b->flags, "ulimit");
    Pb__ContainerConfig *c = b->config;

    c->devices = nd_arena_new_array(b->arena, devices->n + 1, Pb__Device *);
    for (; c->n_devices < devices->n; c->n_devices++)
        ND_TRY_DOING(
            nd_device_parse(b->arena, devices->items[c->n_devices], &c->devices[c->n_devices]),
            "--device");
    c->ulimits = nd_arena_new_array(b->arena, ulimits->n + 1, Pb__Ulimit *);
    for (; c->n_ulimits < ulimits->n; c->n_ulimits++)
        ND_TRY_DOING(
            nd_ulimit_parse(b->arena, ulimits->items[c->n_ulimits], &c->ulimits[c->n_ulimits]),
            "--ulimit");
    return NULL;
}

/* "name:address"; docker also takes '=' between the two. */
static struct nd_error *
set_hosts(struct builder *b)
{
    const struct nd_texts *texts = nd_flag_list(b->flags, "add-host");
    Pb__ContainerConfig *c = b->config;

    c->add_hosts = nd_arena_new_array(b->arena, texts->n + 1, char *);
    for (size_t i = 0; i < texts->n; i++) {
        char *line = nd_arena_str(b->arena, texts->items[i]);
        size_t at = strcspn(line, ":=");

        if (at == 0 || line[at] == '\0' || line[at + 1] == '\0')
            return nd_error_new(ND_INVALID, "--add-host: bad format for add-host: \"%s\"", line);
        line[at] = ':';
        c->add_hosts[c->n_add_hosts++] = line;
    }
    return NULL;
}

/* A seccomp profile is a file of this machine: the daemon gets what is in it. */
static struct nd_error *
read_profile(struct builder *b, char *option, char **ret)
{
    static const char prefix[] = "seccomp=";
    const char *path = option + sizeof(prefix) - 1;
    struct nd_str content;

    *ret = option;
    if (strncmp(option, prefix, sizeof(prefix) - 1) != 0 || strcmp(path, "unconfined") == 0)
        return NULL;
    ND_TRY_DOING(nd_file_read(b->arena, path, &content), "--security-opt seccomp");
    *ret = nd_arena_printf(b->arena, "%s%.*s", prefix, ND_STR_ARG(content));
    return NULL;
}

static struct nd_error *
set_security(struct builder *b)
{
    const struct nd_texts *texts = nd_flag_list(b->flags, "security-opt");
    Pb__ContainerConfig *c = b->config;

    c->security_options = copy_list(b->arena, texts);
    for (; c->n_security_options < texts->n; c->n_security_options++)
        ND_TRY(read_profile(b, c->security_options[c->n_security_options],
                            &c->security_options[c->n_security_options]));
    return NULL;
}

static struct nd_error *
parse_size(struct builder *b, const char *flag, bool may_be_unlimited, int64_t *ret)
{
    struct nd_str text = nd_flag_text(b->flags, flag);

    if (text.len == 0)
        return NULL;
    if (may_be_unlimited && nd_str_eqz(text, "-1")) {
        *ret = -1;
        return NULL;
    }
    ND_TRY_DOING(nd_size_parse(text, ret), "--%s", flag);
    return NULL;
}

static struct nd_error *
set_memory(struct builder *b, Pb__Resources *r)
{
    int64_t swappiness = nd_flag_int(b->flags, "memory-swappiness");

    ND_TRY(parse_size(b, "memory", false, &r->memory));
    ND_TRY(parse_size(b, "memory-reservation", false, &r->memory_reservation));
    ND_TRY(parse_size(b, "memory-swap", true, &r->memory_swap));
    ND_TRY(parse_size(b, "shm-size", false, &b->config->shm_size));
    if (swappiness < -1 || swappiness > 100)
        return nd_error_new(ND_INVALID, "--memory-swappiness: %lld is not between 0 and 100",
                            (long long)swappiness);
    if (swappiness != -1) {
        r->memory_swappiness_presence_case =
            PB__RESOURCES__MEMORY_SWAPPINESS_PRESENCE_MEMORY_SWAPPINESS;
        r->memory_swappiness = swappiness;
    }
    r->oom_kill_disable = nd_flag_bool(b->flags, "oom-kill-disable");
    return NULL;
}

static struct nd_error *
set_cpu(struct builder *b, Pb__Resources *r)
{
    int64_t quota = nd_flag_int(b->flags, "cpu-quota");
    uint64_t rt_runtime = nd_flag_uint(b->flags, "cpu-rt-runtime");

    r->cpus = nd_flag_float(b->flags, "cpus");
    r->cpu_shares = nd_flag_uint(b->flags, "cpu-shares");
    r->cpu_period = nd_flag_uint(b->flags, "cpu-period");
    r->cpu_rt_period = nd_flag_uint(b->flags, "cpu-rt-period");
    r->cpuset_cpus = nd_arena_str(b->arena, nd_flag_text(b->flags, "cpuset-cpus"));
    r->cpuset_mems = nd_arena_str(b->arena, nd_flag_text(b->flags, "cpuset-mems"));
    if (r->cpus < 0)
        return nd_error_new(ND_INVALID, "--cpus: %g is negative", r->cpus);
    if (r->cpus != 0 && (quota != -1 || r->cpu_period != 0))
        return nd_error_new(ND_INVALID, "cpus and quota/period should be used separately");
    if (nd_flag_given(b->flags, "cpu-quota")) {
        r->cpu_quota_presence_case = PB__RESOURCES__CPU_QUOTA_PRESENCE_CPU_QUOTA;
        r->cpu_quota = quota;
    }
    if (rt_runtime > INT64_MAX)
        return nd_error_new(ND_INVALID, "--cpu-rt-runtime is too large");
    if (rt_runtime != 0) {
        r->cpu_rt_runtime_presence_case = PB__RESOURCES__CPU_RT_RUNTIME_PRESENCE_CPU_RT_RUNTIME;
        r->cpu_rt_runtime = (int64_t)rt_runtime;
    }
    return NULL;
}

static struct nd_error *
set_resources(struct builder *b)
{
    Pb__Resources *r = nd_arena_new_object(b->arena, Pb__Resources);

    pb__resources__init(r);
    ND_TRY(set_memory(b, r));
    ND_TRY(set_cpu(b, r));
    r->pids_limit = nd_flag_int(b->flags, "pids-limit");
    r->blkio_weight = (uint32_t)nd_flag_uint(b->flags, "blkio-weight");
    b->config->resources = r;
    return NULL;
}

static struct nd_error *
set_end(struct builder *b)
{
    Pb__ContainerConfig *c = b->config;

    if (nd_flag_given(b->flags, "oom-score-adj")) {
        c->oom_score_adj_presence_case = PB__CONTAINER_CONFIG__OOM_SCORE_ADJ_PRESENCE_OOM_SCORE_ADJ;
        c->oom_score_adj = (int32_t)nd_flag_int(b->flags, "oom-score-adj");
    }
    if (nd_flag_given(b->flags, "stop-timeout")) {
        c->stop_timeout_presence_case = PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT;
        c->stop_timeout = (int32_t)nd_flag_int(b->flags, "stop-timeout");
    }
    return NULL;
}

static struct nd_error *
set_log(struct builder *b)
{
    Pb__LogConfig *log = nd_arena_new_object(b->arena, Pb__LogConfig);
    struct nd_texts none = {.n = 0};
    struct pairs options = {.n = 0};

    if (!nd_flag_given(b->flags, "log-driver") && !nd_flag_given(b->flags, "log-opt"))
        return NULL;
    pb__log_config__init(log);
    ND_TRY(make_pairs(b, "log-opt", &none, &pb__log_config__options_entry__descriptor, true,
                      &options));
    log->driver = nd_arena_str(b->arena, nd_flag_text(b->flags, "log-driver"));
    log->n_options = options.n;
    log->options = (Pb__LogConfig__OptionsEntry **)(void *)options.items;
    b->config->log = log;
    return NULL;
}

static struct nd_error *
set_pull(struct builder *b)
{
    static const struct {
        const char *word;
        Pb__PullPolicy policy;
    } policies[] = {
        {"missing", PB__PULL_POLICY__PULL_POLICY_MISSING},
        {"always", PB__PULL_POLICY__PULL_POLICY_ALWAYS},
        {"never", PB__PULL_POLICY__PULL_POLICY_NEVER},
    };
    struct nd_str word = nd_flag_text(b->flags, "pull");

    for (size_t i = 0; i < ND_LEN(policies); i++) {
        if (!nd_str_eqz(word, policies[i].word))
            continue;
        if (nd_flag_given(b->flags, "pull"))
            b->config->pull = policies[i].policy;
        return NULL;
    }
    return nd_error_new(ND_INVALID,
                        "invalid pull option: '%.*s': must be one of \"always\", \"missing\" or "
                        "\"never\"",
                        ND_STR_ARG(word));
}

struct nd_error *
nd_container_env(struct nd_arena *arena, const struct nd_flags *flags, char ***ret, size_t *ret_n)
{
    Pb__ContainerConfig config = PB__CONTAINER_CONFIG__INIT;
    struct builder b = {arena, flags, &config};

    ND_TRY(set_env(&b));
    *ret = config.env;
    *ret_n = config.n_env;
    return NULL;
}

struct nd_error *
nd_container_config(struct nd_arena *arena, const struct nd_flags *flags,
                    const struct nd_texts *args, Pb__ContainerConfig **ret)
{
    static struct nd_error *(*const steps[])(struct builder * b) = {
        set_plain_fields,
        set_entrypoint,
        set_networks,
        set_env,
        set_maps,
        set_mounts,
        set_devices_and_ulimits,
        set_hosts,
        set_security,
        set_resources,
        set_end,
        set_log,
        set_pull,
    };
    Pb__ContainerConfig *config = nd_arena_new_object(arena, Pb__ContainerConfig);
    struct builder b = {arena, flags, config};
    struct nd_texts words = {args->items + 1, args->n - 1, 0};

    ND_INVARIANT(args->n > 0);
    pb__container_config__init(config);
    config->image = nd_arena_str(arena, args->items[0]);
    config->n_args = words.n;
    config->args = copy_list(arena, &words);
    for (size_t i = 0; i < ND_LEN(steps); i++)
        ND_TRY(steps[i](&b));
    *ret = config;
    return NULL;
}
