/*
 * What a new container needs of the host's files: sources of binds, devices, an init, a runtime,
 * profiles of AppArmor. Here they are looked at, before anything is changed; a missing one is an
 * error of its field.
 *
 * Looking is stat(2) and short directory listings of /dev, which do not wait for a disk worth
 * mentioning; paths of the user, which may lie on slow file systems, are looked at on a thread.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"

#include "creation_priv.h"

#define DEVICES_MAX  4096u /* with all of /dev, for a privileged container */
#define DEV_DEPTH    4u
#define PROFILES_MAX (1024u * 1024u) /* bytes of the kernel's list of AppArmor profiles */

struct looking {
    struct creation *c;
    struct nd_error *err;
};

static struct nd_error *
check_source(const struct plan_mount *m)
{
    struct stat st;

    if (m->kind != PLAN_BIND || stat(m->source, &st) == 0)
        return NULL;
    if (errno == ENOENT && m->create_source)
        return NULL;
    return nd_error_recode(nd_error_errno(errno, "%s", m->source), ND_INVALID);
}

/* A device node as the spec has it; false when it is none. */
static bool
read_device(const char *host_path, const char *path, const char *access, struct nd_arena *arena,
            struct nd_spec_device *ret)
{
    struct stat st;

    if (stat(host_path, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
        return false;
    *ret = (struct nd_spec_device){
        .path = nd_arena_strdup(arena, path),
        .type = S_ISCHR(st.st_mode) ? 'c' : 'b',
        .major = major(st.st_rdev),
        .minor = minor(st.st_rdev),
        .mode = st.st_mode & 0777,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .access = access,
    };
    return true;
}

/* Folders below /dev that are file systems of their own, or lead out of it. */
static bool
is_skipped(const char *name)
{
    static const char *const names[] = {".",     "..",      "pts",      "shm",
                                        "fd",    "mqueue",  ".lxc",     ".lxd-mounts",
                                        ".udev", "console", "hugepages"};

    for (size_t i = 0; i < ND_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Every device below a folder, under the same names below `path`. */
static void
add_folder(struct creation *c, const char *host_path, const char *path, const char *access,
           unsigned depth)
{
    DIR *dir = opendir(host_path);
    struct dirent *entry;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    while (dir != NULL && c->n_devices < DEVICES_MAX && (entry = readdir(dir)) != NULL) {
        const char *from = nd_arena_printf(c->arena, "%s/%s", host_path, entry->d_name);
        const char *to = nd_arena_printf(c->arena, "%s/%s", path, entry->d_name);

        if (is_skipped(entry->d_name))
            continue;
        if (read_device(from, to, access, c->arena, &c->devices[c->n_devices]))
            c->n_devices++;
        else if (entry->d_type == DT_DIR && depth < DEV_DEPTH)
            add_folder(c, from, to, access, depth + 1);
    }
    if (dir != NULL)
        closedir(dir);
}

static struct nd_error *
add_device(struct creation *c, const struct plan_device *d)
{
    size_t before = c->n_devices;
    struct stat st;

    if (stat(d->host_path, &st) < 0)
        return nd_error_in_field(
            nd_error_recode(nd_error_errno(errno, "%s", d->host_path), ND_INVALID), "host_path");
    if (S_ISDIR(st.st_mode))
        add_folder(c, d->host_path, d->container_path, d->access, 0);
    else if (read_device(d->host_path, d->container_path, d->access, c->arena,
                         &c->devices[c->n_devices]))
        c->n_devices++;
    if (c->n_devices == before)
        return nd_error_field("host_path", "%s is no device", d->host_path);
    return NULL;
}

static struct nd_error *
find_devices(struct creation *c)
{
    c->devices =
        nd_arena_new_array(c->arena, DEVICES_MAX + c->plan->n_devices + 1, struct nd_spec_device);
    for (size_t i = 0; i < c->plan->n_devices; i++)
        ND_TRY(nd_in_element(add_device(c, &c->plan->devices[i]), "devices", i));
    if (c->plan->config->privileged)
        add_folder(c, "/dev", "/dev", "rwm", 0);
    return NULL;
}

/* A program by absolute path, or found where root's programs are. */
static const char *
find_program(const char *name, struct nd_arena *arena)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
    const char *path = getenv("PATH");
    struct nd_str rest = nd_str(path), folder;

    if (name[0] == '/')
        return access(name, X_OK) == 0 ? name : NULL;
    while (nd_str_next(&rest, ':', &folder)) {
        const char *at = nd_arena_printf(arena, "%.*s/%s", ND_STR_ARG(folder), name);

        if (folder.len > 0 && folder.ptr[0] == '/' && access(at, X_OK) == 0)
            return at;
    }
    for (size_t i = 0; i < ND_LEN(folders); i++) {
        const char *at = nd_arena_printf(arena, "%s/%s", folders[i], name);

        if (access(at, X_OK) == 0)
            return at;
    }
    return NULL;
}

static struct nd_error *
find_programs(struct creation *c)
{
    const struct plan *plan = c->plan;

    if (plan->init_binary != NULL) {
        c->init_path = find_program(plan->init_binary, c->arena);
        if (c->init_path == NULL)
            return nd_error_hint(nd_error_field("init_binary", "no program \"%.200s\" on this host",
                                                plan->init_binary),
                                 "install tini, or name another init");
    }
    if (plan->runtime_binary != NULL && find_program(plan->runtime_binary, c->arena) == NULL)
        return nd_error_field("runtime", "no program \"%.200s\" on this host",
                              plan->runtime_binary);
    return NULL;
}

/* Whether the kernel has a profile loaded: lines of the form "name (enforce)". */
static bool
has_profile(const char *name)
{
    ND_AUTO(nd_closep)
    int fd = open("/sys/kernel/security/apparmor/profiles", O_RDONLY | O_CLOEXEC);
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(PROFILES_MAX);
    struct nd_str rest, line;
    char part[4096];
    ssize_t n;

    while (fd >= 0 && (n = read(fd, part, sizeof(part))) > 0) {
        struct nd_error *err = nd_buf_add(&text, nd_str_n(part, (size_t)n));

        if (err != NULL) {
            nd_error_free(err);
            break;
        }
    }
    rest = nd_buf_str(&text);
    while (nd_str_next(&rest, '\n', &line)) {
        if (nd_str_eqz(nd_str_sub(line, 0, nd_str_find(line, ' ')), name))
            return true;
    }
    return false;
}

static struct nd_error *
choose_profile(struct creation *c)
{
    const char *named = c->plan->apparmor;
    static const char usual[] = "nerdctl-default";

    if (!c->plan->facts->apparmor || c->plan->config->privileged)
        return NULL;
    if (named != NULL && strcmp(named, "unconfined") == 0)
        return NULL;
    if (named == NULL) {
        if (has_profile(usual))
            c->apparmor = usual;
        else
            nd_plan_warn(c->plan,
                         "AppArmor does not confine the container: its profile %s is not "
                         "loaded",
                         usual);
        return NULL;
    }
    if (!has_profile(named))
        return nd_error_reason(
            nd_error_recode(nd_error_field("security_options",
                                           "AppArmor profile \"%.200s\" is not loaded", named),
                            ND_PRECONDITION),
            "APPARMOR_PROFILE_NOT_FOUND");
    c->apparmor = named;
    return NULL;
}

static struct nd_error *
look_at_all(struct creation *c)
{
    for (size_t i = 0; i < c->plan->n_mounts; i++) {
        struct nd_error *err = check_source(&c->plan->mounts[i]);

        if (err != NULL)
            return nd_in_element(nd_error_in_field(err, "source"), "mounts", i);
    }
    ND_TRY(find_devices(c));
    ND_TRY(find_programs(c));
    return choose_profile(c);
}

/* On a thread: the fiber waits, so the creation is the thread's alone meanwhile. */
static void
look(void *arg)
{
    struct looking *l = arg;

    l->err = look_at_all(l->c);
}

/* Nothing to look at is the common case, and worth no thread. */
static bool
needs_looking(const struct plan *plan)
{
    return plan->n_mounts > 0 || plan->n_devices > 0 || plan->config->privileged ||
           plan->init_binary != NULL || plan->runtime_binary != NULL || plan->facts->apparmor;
}

struct nd_error *
nd_creation_host_files(struct creation *c)
{
    struct looking l = {.c = c};

    if (!needs_looking(c->plan))
        return NULL;
    ND_TRY(nd_work(ND_WORK_SHORT, look, &l));
    return l.err != NULL ? nd_error_in_field(l.err, "config") : NULL;
}
