/*
 * The mounts of the spec.
 *
 * Seven defaults, then those of the user. A user's mount replaces the default with the same
 * destination, and one on /dev takes away every default below it as well. All of that is sorted by
 * the number of path separators, so that a parent is mounted before what lies in it; equal ones
 * keep their order. The files below /etc that the engine writes come last, whatever the user asked
 * for.
 */

#include <stdio.h>

#include "base/alloc.h"

#include "spec_priv.h"

#define OPTIONS_MAX 8

struct entry {
    const char *destination, *type, *source;
    const char *const *options;
    size_t n_options;
};

/* Storage of the default that depends on a number. */
struct defaults {
    char shm_size[40];
    const char *shm_options[OPTIONS_MAX];
};

/* clang-format off */
#define OPTIONS(...) \
    .options = (const char *const[]){__VA_ARGS__}, .n_options = ND_LEN(((const char *const[]){__VA_ARGS__}))

static const struct entry fixed[] = {
    {"/proc", "proc", "proc", OPTIONS("nosuid", "noexec", "nodev")},
    {"/dev", "tmpfs", "tmpfs", OPTIONS("nosuid", "strictatime", "mode=755", "size=65536k")},
    {"/dev/pts", "devpts", "devpts",
     OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")},
    {"/dev/shm", "tmpfs", "shm", OPTIONS("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")},
    {"/dev/mqueue", "mqueue", "mqueue", OPTIONS("nosuid", "noexec", "nodev")},
    {"/sys", "sysfs", "sysfs", OPTIONS("nosuid", "noexec", "nodev", "ro")},
    {"/sys/fs/cgroup", "cgroup", "cgroup", OPTIONS("ro", "nosuid", "noexec", "nodev")},
};

static const struct entry host_ipc_shm =
    {"/dev/shm", "bind", "/dev/shm", OPTIONS("rbind", "nosuid", "noexec", "nodev")};
static const struct entry host_ipc_mqueue =
    {"/dev/mqueue", "bind", "/dev/mqueue", OPTIONS("rbind", "nosuid", "noexec", "nodev")};
static const struct entry writable_sys =
    {"/sys", "sysfs", "sysfs", OPTIONS("nosuid", "noexec", "nodev", "rw")};
static const struct entry writable_cgroup =
    {"/sys/fs/cgroup", "cgroup", "cgroup", OPTIONS("rw", "nosuid", "noexec", "nodev")};
#undef OPTIONS
/* clang-format on */

/* The default at `fixed[i]`, changed as the input asks. */
static struct entry
default_entry(const struct nd_spec_input *in, size_t i, struct defaults *d)
{
    struct entry e = fixed[i];
    struct nd_str at = nd_str(e.destination);

    if (nd_str_eqz(at, "/sys") && in->privileged)
        return writable_sys;
    if (nd_str_eqz(at, "/sys/fs/cgroup") && in->privileged)
        return writable_cgroup;
    if (nd_str_eqz(at, "/dev/mqueue") && in->ipc.mode == ND_NS_HOST)
        return host_ipc_mqueue;
    if (!nd_str_eqz(at, "/dev/shm"))
        return e;
    if (in->ipc.mode == ND_NS_HOST)
        return host_ipc_shm;
    if (in->shm_path != NULL) {
        e = host_ipc_shm;
        e.source = in->shm_path;
    } else if (in->shm_size_bytes > 0) {
        (void)snprintf(d->shm_size, sizeof(d->shm_size), "size=%lldk",
                       (long long)(in->shm_size_bytes / 1024));
        memcpy(d->shm_options, e.options, e.n_options * sizeof(e.options[0]));
        d->shm_options[e.n_options - 1] = d->shm_size;
        e.options = d->shm_options;
    }
    return e;
}

/* Whether a user's mount takes the place of a default. */
static bool
is_replaced(const struct nd_spec_input *in, const char *destination)
{
    for (size_t i = 0; i < in->n_mounts; i++) {
        struct nd_str user = nd_str(in->mounts[i].destination);

        if (nd_str_eqz(user, destination))
            return true;
        if (nd_str_eqz(user, "/dev") && nd_str_starts(nd_str(destination), ND_STR("/dev/")))
            return true;
    }
    return false;
}

static size_t
depth_of(const char *path)
{
    size_t n = 0;

    for (; *path != '\0'; path++)
        n += *path == '/';
    return n;
}

/* Stable, and the lists are short. */
static void
sort_by_depth(struct entry *entries, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct entry e = entries[i];
        size_t j = i;

        for (; j > 0 && depth_of(entries[j - 1].destination) > depth_of(e.destination); j--)
            entries[j] = entries[j - 1];
        entries[j] = e;
    }
}

static struct nd_error *
check_destinations(const struct nd_spec_input *in)
{
    for (size_t i = 0; i < in->n_mounts; i++) {
        for (size_t j = 0; j < i; j++) {
            if (nd_str_eqz(nd_str(in->mounts[i].destination), in->mounts[j].destination))
                return nd_error_new(ND_INVALID, "two mounts at %s", in->mounts[i].destination);
        }
    }
    return NULL;
}

static void
write_entry(struct nd_json_writer *w, const struct entry *e)
{
    nd_json_begin_object(w);
    nd_json_put_text(w, "destination", e->destination);
    nd_json_put_text(w, "type", e->type);
    nd_json_put_text(w, "source", e->source);
    if (e->n_options > 0)
        nd_json_put_texts(w, "options", e->options, e->n_options);
    nd_json_end_object(w);
}

static struct entry
entry_of(const struct nd_spec_mount *m)
{
    return (struct entry){m->destination, m->type, m->source, m->options, m->n_options};
}

struct nd_error *
nd_spec_write_mounts(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    ND_AUTO(nd_freep) struct entry *all = NULL;
    struct defaults d = {0};
    size_t n = 0;

    ND_TRY(check_destinations(in));
    all = nd_new_array(ND_LEN(fixed) + in->n_mounts, struct entry);
    for (size_t i = 0; i < ND_LEN(fixed); i++) {
        if (!is_replaced(in, fixed[i].destination))
            all[n++] = default_entry(in, i, &d);
    }
    for (size_t i = 0; i < in->n_mounts; i++)
        all[n++] = entry_of(&in->mounts[i]);
    sort_by_depth(all, n);

    nd_json_key(w, "mounts");
    nd_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        write_entry(w, &all[i]);
    for (size_t i = 0; i < in->n_etc_mounts; i++) {
        struct entry e = entry_of(&in->etc_mounts[i]);

        write_entry(w, &e);
    }
    nd_json_end_array(w);
    return NULL;
}
