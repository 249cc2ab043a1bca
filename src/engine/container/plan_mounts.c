/*
 * The part of a plan about file trees and devices.
 *
 * A mount option is one of a table; words that exclude each other (two propagations, ro and rw) are
 * refused instead of letting the last one win. Whether a source exists is looked at when the
 * container is made.
 */

#include "plan_priv.h"

enum option_group {
    OPT_ACCESS = 1,
    OPT_PROPAGATION,
    OPT_BIND,
    OPT_EXEC,
    OPT_SUID,
    OPT_DEV,
    OPT_ATIME,
    OPT_SYNC
};

/* clang-format off */
static const struct mount_option {
    const char *word;
    enum option_group group; /* one of a group at most */
    bool bind, tmpfs; /* where it makes sense */
} option_table[] = {
    {"ro", OPT_ACCESS, true, true},           {"rw", OPT_ACCESS, true, true},
    {"rro", OPT_ACCESS, true, false},
    {"private", OPT_PROPAGATION, true, false}, {"rprivate", OPT_PROPAGATION, true, false},
    {"shared", OPT_PROPAGATION, true, false},  {"rshared", OPT_PROPAGATION, true, false},
    {"slave", OPT_PROPAGATION, true, false},   {"rslave", OPT_PROPAGATION, true, false},
    {"bind", OPT_BIND, true, false},          {"rbind", OPT_BIND, true, false},
    {"exec", OPT_EXEC, true, true},           {"noexec", OPT_EXEC, true, true},
    {"suid", OPT_SUID, true, true},           {"nosuid", OPT_SUID, true, true},
    {"dev", OPT_DEV, true, true},             {"nodev", OPT_DEV, true, true},
    {"atime", OPT_ATIME, true, true},         {"noatime", OPT_ATIME, true, true},
    {"relatime", OPT_ATIME, true, true},      {"strictatime", OPT_ATIME, true, true},
    {"sync", OPT_SYNC, false, true},          {"async", OPT_SYNC, false, true},
};
/* clang-format on */

/* "key=value" options of tmpfs, and which letters may follow the digits of the value. */
static const struct {
    const char *key;
    const char *units;
    bool octal;
} tmpfs_values[] = {
    {"size", "kmgtKMGT%", false},
    {"mode", "", true},
    {"uid", "", false},
    {"gid", "", false},
    {"nr_inodes", "kmgKMG", false},
    {"nr_blocks", "kmgKMG", false},
};

static const struct mount_option *
find_option(struct nd_str word)
{
    for (size_t i = 0; i < ND_LEN(option_table); i++) {
        if (nd_str_eqz(word, option_table[i].word))
            return &option_table[i];
    }
    return NULL;
}

/* Digits, then at most one of the units. */
static bool
is_number(struct nd_str value, const char *units, bool octal)
{
    size_t digits = 0;

    while (digits < value.len && value.ptr[digits] >= '0' &&
           value.ptr[digits] <= (octal ? '7' : '9'))
        digits++;
    if (digits == 0 || digits > 15)
        return false;
    return digits == value.len ||
           (digits == value.len - 1 && strchr(units, value.ptr[digits]) != NULL);
}

static bool
is_tmpfs_value(struct nd_str word)
{
    size_t equals = nd_str_find(word, '=');

    if (equals == SIZE_MAX)
        return false;
    for (size_t i = 0; i < ND_LEN(tmpfs_values); i++) {
        if (nd_str_eqz(nd_str_sub(word, 0, equals), tmpfs_values[i].key))
            return is_number(nd_str_from(word, equals + 1), tmpfs_values[i].units,
                             tmpfs_values[i].octal);
    }
    return false;
}

static struct nd_error *
check_option(const struct plan_mount *m, const char *word, unsigned *groups)
{
    const struct mount_option *o = find_option(nd_str(word));

    if (o == NULL) {
        if (m->kind == PLAN_TMPFS && is_tmpfs_value(nd_str(word)))
            return NULL;
        return nd_error_new(ND_INVALID, "\"%.64s\" is no mount option", word);
    }
    if (m->kind == PLAN_BIND ? !o->bind : !o->tmpfs)
        return nd_error_new(ND_INVALID, "\"%s\" does not apply to this type of mount", word);
    if ((*groups & (1u << o->group)) != 0)
        return nd_error_new(ND_INVALID, "\"%s\" contradicts another option, or repeats it", word);
    *groups |= 1u << o->group;
    return NULL;
}

/* Whether the user gave one of a group, so that our default for it is left out. */
static const char *
given_in(const Pb__Mount *in, enum option_group group)
{
    for (size_t i = 0; i < in->n_options; i++) {
        const struct mount_option *o = find_option(nd_str(in->options[i]));

        if (o != NULL && o->group == group)
            return in->options[i];
    }
    return NULL;
}

static void
add_option(struct plan_mount *m, const char *word)
{
    m->options[m->n_options++] = word;
}

/*
 * Those of the user; then what nerdctl adds: tmpfs is noexec, nosuid, nodev unless said otherwise.
 */
static void
make_options(const Pb__Mount *in, struct plan_mount *m)
{
    static const struct {
        enum option_group group;
        const char *word;
    } tmpfs_defaults[] = {{OPT_EXEC, "noexec"}, {OPT_SUID, "nosuid"}, {OPT_DEV, "nodev"}};

    for (size_t i = 0; i < in->n_options; i++) {
        const struct mount_option *o = find_option(nd_str(in->options[i]));

        if (o != NULL && (o->group == OPT_PROPAGATION || o->group == OPT_BIND))
            continue;
        add_option(m, in->options[i]);
    }
    if (in->read_only && given_in(in, OPT_ACCESS) == NULL)
        add_option(m, "ro");
    if (m->kind == PLAN_BIND) {
        add_option(m, m->propagation[0] != '\0' ? m->propagation : "rprivate");
        add_option(m, given_in(in, OPT_BIND) != NULL ? given_in(in, OPT_BIND) : "rbind");
        return;
    }
    for (size_t i = 0; i < ND_LEN(tmpfs_defaults); i++) {
        if (given_in(in, tmpfs_defaults[i].group) == NULL)
            add_option(m, tmpfs_defaults[i].word);
    }
}

/* What inspect shows as Mode: the user's options, and for tmpfs what they became. */
static const char *
mode_text(struct plan *plan, const Pb__Mount *in, const struct plan_mount *m)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_CONFIG_MAX_OPTIONS * 256);
    size_t n = m->kind == PLAN_TMPFS ? m->n_options : in->n_options;
    const char *const *words =
        m->kind == PLAN_TMPFS ? m->options : (const char *const *)in->options;

    for (size_t i = 0; i < n; i++) {
        if (text.len > 0)
            nd_buf_putc(&text, ',');
        nd_buf_putz(&text, words[i]);
    }
    if (m->kind == PLAN_BIND && in->read_only && given_in(in, OPT_ACCESS) == NULL) {
        if (text.len > 0)
            nd_buf_putc(&text, ',');
        nd_buf_putz(&text, "ro");
    }
    return nd_arena_str(plan->arena, nd_buf_str(&text));
}

static struct nd_error *
plan_options(struct plan *plan, const Pb__Mount *in, struct plan_mount *m)
{
    unsigned groups = 0;
    const char *access;

    ND_TRY(nd_check_count("options", in->n_options, ND_CONFIG_MAX_OPTIONS));
    for (size_t i = 0; i < in->n_options; i++)
        ND_TRY(nd_in_element(check_option(m, in->options[i], &groups), "options", i));
    access = given_in(in, OPT_ACCESS);
    if (in->read_only && access != NULL && strcmp(access, "rw") == 0)
        return nd_error_field("read_only", "contradicts the option \"rw\"");
    m->read_only = in->read_only || (access != NULL && strcmp(access, "rw") != 0);
    m->propagation = given_in(in, OPT_PROPAGATION) != NULL ? given_in(in, OPT_PROPAGATION) : "";
    m->options = nd_arena_new_array(plan->arena, in->n_options + 8, const char *);
    make_options(in, m);
    m->mode = mode_text(plan, in, m);
    return NULL;
}

static struct nd_error *
plan_kind(const Pb__Mount *in, struct plan_mount *m)
{
    bool is_path = in->source[0] == '/';

    if (strcmp(in->type, "tmpfs") == 0) {
        m->kind = PLAN_TMPFS;
        if (in->source[0] != '\0' && strcmp(in->source, "tmpfs") != 0)
            return nd_error_field("source", "a tmpfs has none");
        if (in->create_source)
            return nd_error_field("create_source", "a tmpfs has no source");
        return NULL;
    }
    if (strcmp(in->type, "volume") == 0 || (in->type[0] == '\0' && !is_path))
        return nd_not_yet("type", "volumes are not part of this version");
    if (in->type[0] != '\0' && strcmp(in->type, "bind") != 0)
        return nd_error_field("type", "\"%.40s\" is none of bind, volume, tmpfs", in->type);
    m->kind = PLAN_BIND;
    return NULL;
}

static struct nd_error *
plan_mount(struct plan *plan, const Pb__Mount *in, struct plan_mount *m)
{
    struct nd_error *err;

    ND_TRY(plan_kind(in, m));
    if (m->kind == PLAN_BIND) {
        err = nd_clean_path(plan->arena, in->source, &m->source);
        if (err != NULL)
            return nd_error_in_field(err, "source");
    }
    err = nd_clean_path(plan->arena, in->target, &m->target);
    if (err == NULL && strcmp(m->target, "/") == 0)
        err = nd_error_new(ND_INVALID, "is the root of the container");
    if (err != NULL)
        return nd_error_in_field(err, "target");
    m->create_source = in->create_source;
    return plan_options(plan, in, m);
}

struct nd_error *
nd_plan_mounts(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("mounts", c->n_mounts, ND_CONFIG_MAX_MOUNTS));
    plan->mounts = nd_arena_new_array(plan->arena, c->n_mounts, struct plan_mount);
    for (size_t i = 0; i < c->n_mounts; i++) {
        struct plan_mount *m = &plan->mounts[i];

        m->index = i;
        ND_TRY(nd_in_element(plan_mount(plan, c->mounts[i], m), "mounts", i));
        for (size_t j = 0; j < i; j++) {
            if (strcmp(plan->mounts[j].target, m->target) == 0)
                return nd_in_element(
                    nd_error_field("target", "is the target of mounts[%zu], too", j), "mounts", i);
        }
    }
    plan->n_mounts = c->n_mounts;
    return NULL;
}

static struct nd_error *
check_access(const char *letters)
{
    for (const char *c = letters; *c != '\0'; c++) {
        if (strchr("rwm", *c) == NULL || strchr(c + 1, *c) != NULL)
            return nd_error_field("permissions", "\"%.16s\" is no choice of r, w, m", letters);
    }
    return NULL;
}

static struct nd_error *
plan_device(struct plan *plan, const Pb__Device *in, struct plan_device *d)
{
    struct nd_error *err = nd_clean_path(plan->arena, in->host_path, &d->host_path);

    if (err != NULL)
        return nd_error_in_field(err, "host_path");
    d->container_path = d->host_path;
    if (in->container_path[0] != '\0') {
        err = nd_clean_path(plan->arena, in->container_path, &d->container_path);
        if (err != NULL)
            return nd_error_in_field(err, "container_path");
    }
    ND_TRY(check_access(in->permissions));
    d->access = in->permissions[0] != '\0' ? in->permissions : "rwm";
    return NULL;
}

struct nd_error *
nd_plan_devices(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("devices", c->n_devices, ND_CONFIG_MAX_DEVICES));
    plan->devices = nd_arena_new_array(plan->arena, c->n_devices, struct plan_device);
    for (size_t i = 0; i < c->n_devices; i++) {
        plan->devices[i].index = i;
        ND_TRY(nd_in_element(plan_device(plan, c->devices[i], &plan->devices[i]), "devices", i));
    }
    plan->n_devices = c->n_devices;
    return NULL;
}
