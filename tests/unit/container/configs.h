#ifndef TESTS_UNIT_CONTAINER_CONFIGS_H
#define TESTS_UNIT_CONTAINER_CONFIGS_H

/* A host, a good configuration for it, and ways to change that one, for the tests of plans. */

#include <stdlib.h>

#include "check.h"
#include "plan_priv.h"

/* Lists of a config are static here; a test's config points to them. */
#define TEXTS(field, ...)                      \
    do {                                       \
        static char *texts_[] = {__VA_ARGS__}; \
        c->field = texts_;                     \
        c->n_##field = ND_LEN(texts_);         \
    } while (0)

static const struct nd_host_facts facts = {
    .kernel_major = 6,
    .kernel_minor = 1,
    .last_cap = 40,
    .bounding_caps = (UINT64_C(1) << 41) - 1,
    .nofile_hard = 1048576,
    .nproc_hard = 65536,
    .memory_limit = true,
    .swap_limit = true,
    .cpu_quota = true,
    .cpu_shares = true,
    .cpuset = true,
    .pids_limit = true,
    .blkio_weight = true,
};

static const struct nd_host_settings settings = {
    .containerd_address = "/run/containerd/containerd.sock",
    .data_root = "/var/lib/nerdctl",
    .default_namespace = "default",
    .snapshotter = "overlayfs",
    .cgroup_manager = "cgroupfs",
    .helper_path = "/usr/bin/helper",
    .runtime = "io.containerd.runc.v2",
};

static char *none[] = {(char *)"none"};

static Pb__ContainerConfig
good_config(void)
{
    Pb__ContainerConfig c = PB__CONTAINER_CONFIG__INIT;

    c.image = (char *)"alpine";
    c.networks = none;
    c.n_networks = 1;
    return c;
}

static struct nd_error *
plan_with(const Pb__ContainerConfig *config, const struct nd_host_facts *f, struct nd_arena *arena,
          struct plan **ret)
{
    return nd_plan_make(config, f, &settings, arena, ret);
}

static void
check_field(const char *what, struct nd_error *err, enum nd_code code, const char *field)
{
    const char *got = nd_error_get_field(err);

    if (nd_error_code(err) != code || got == NULL || strcmp(got, field) != 0) {
        print_error("%s: %s about %s (%s), not %s about %s\n", what,
                    nd_code_name(nd_error_code(err)), got != NULL ? got : "nothing",
                    nd_error_message(err), nd_code_name(code), field);
        nd_error_free(err);
        fail();
    }
    nd_error_free(err);
}

/* Each changes one thing of a good config. Storage is static: the config borrows it. */
#define CHANGE(name) static void name(Pb__ContainerConfig *c)

static char *
long_text(size_t n)
{
    static char text[300000];

    memset(text, 'a', n);
    text[n] = '\0';
    return text;
}

static void
set_mount(Pb__ContainerConfig *c, const char *type, const char *source, const char *target,
          const char *option)
{
    static Pb__Mount m;
    static Pb__Mount *list[1] = {&m};
    static char *options[1];

    pb__mount__init(&m);
    m.type = (char *)type;
    m.source = (char *)source;
    m.target = (char *)target;
    options[0] = (char *)option;
    m.options = options;
    m.n_options = option != NULL ? 1 : 0;
    c->mounts = list;
    c->n_mounts = 1;
}

static Pb__Resources *
set_resources(Pb__ContainerConfig *c)
{
    static Pb__Resources r;

    pb__resources__init(&r);
    c->resources = &r;
    return &r;
}

static void
set_ulimit(Pb__ContainerConfig *c, const char *name, int64_t soft, int64_t hard)
{
    static Pb__Ulimit u;
    static Pb__Ulimit *list[1] = {&u};

    pb__ulimit__init(&u);
    u.name = (char *)name;
    u.soft = soft;
    u.hard = hard;
    c->ulimits = list;
    c->n_ulimits = 1;
}

static void
set_device(Pb__ContainerConfig *c, const char *host, const char *inside, const char *access)
{
    static Pb__Device d;
    static Pb__Device *list[1] = {&d};

    pb__device__init(&d);
    d.host_path = (char *)host;
    d.container_path = (char *)inside;
    d.permissions = (char *)access;
    c->devices = list;
    c->n_devices = 1;
}

static void
set_label(Pb__ContainerConfig *c, const char *key, const char *value)
{
    static Pb__ContainerConfig__LabelsEntry e;
    static Pb__ContainerConfig__LabelsEntry *list[1] = {&e};

    pb__container_config__labels_entry__init(&e);
    e.key = (char *)key;
    e.value = (char *)value;
    c->labels = list;
    c->n_labels = 1;
}

static void
set_annotation(Pb__ContainerConfig *c, const char *key, const char *value)
{
    static Pb__ContainerConfig__AnnotationsEntry e;
    static Pb__ContainerConfig__AnnotationsEntry *list[1] = {&e};

    pb__container_config__annotations_entry__init(&e);
    e.key = (char *)key;
    e.value = (char *)value;
    c->annotations = list;
    c->n_annotations = 1;
}

static void
set_sysctl(Pb__ContainerConfig *c, const char *key, const char *value)
{
    static Pb__ContainerConfig__SysctlsEntry e;
    static Pb__ContainerConfig__SysctlsEntry *list[1] = {&e};

    pb__container_config__sysctls_entry__init(&e);
    e.key = (char *)key;
    e.value = (char *)value;
    c->sysctls = list;
    c->n_sysctls = 1;
}

static void
set_log(Pb__ContainerConfig *c, const char *driver, const char *key, const char *value)
{
    static Pb__LogConfig log;
    static Pb__LogConfig__OptionsEntry e;
    static Pb__LogConfig__OptionsEntry *list[1] = {&e};

    pb__log_config__init(&log);
    pb__log_config__options_entry__init(&e);
    log.driver = (char *)driver;
    e.key = (char *)key;
    e.value = (char *)value;
    log.options = list;
    log.n_options = key != NULL ? 1 : 0;
    c->log = &log;
}

static void
set_security(Pb__ContainerConfig *c, const char *first, const char *second)
{
    static char *list[2];

    list[0] = (char *)first;
    list[1] = (char *)second;
    c->security_options = list;
    c->n_security_options = second != NULL ? 2 : 1;
}

static void
set_networks(Pb__ContainerConfig *c, const char *first, const char *second)
{
    static char *list[2];

    list[0] = (char *)first;
    list[1] = (char *)second;
    c->networks = list;
    c->n_networks = second != NULL ? 2 : 1;
}

#endif
