/*
 * What kernel and machine can, read once at start from /proc and /sys.
 *
 * A file that is missing means that the kernel does not have the thing, which is a fact too. So
 * nothing here fails; whoever needs something that is not there says so by name.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/str.h"

#include "facts_priv.h"

#define CGROUP_ROOT         "/sys/fs/cgroup"
#define CGROUP2_SUPER_MAGIC 0x63677270
#define LAST_CAP_DEFAULT    40
#define SMALL_FILE          4096

/* Up to SMALL_FILE - 1 bytes of a small file; empty when it cannot be read. */
static struct nd_str
read_small(const char *path, char buf[SMALL_FILE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return ND_STR_NONE;
    n = read(fd, buf, SMALL_FILE - 1);
    (void)close(fd);
    return nd_str_n(buf, n > 0 ? (size_t)n : 0);
}

static uint64_t
number_or(struct nd_str text, uint64_t otherwise)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    uint64_t n = otherwise;

    err = nd_parse_u64(nd_str_trim(text), UINT64_MAX, &n);
    return err != NULL ? otherwise : n;
}

/* "6.1.0-13-amd64": the first two numbers. */
static void
find_kernel(struct nd_host_facts *f)
{
    struct utsname name;
    struct nd_str rest, part;

    if (uname(&name) < 0)
        return;
    (void)snprintf(f->kernel_release, sizeof(f->kernel_release), "%s", name.release);
    rest = nd_str(f->kernel_release);
    if (nd_str_next(&rest, '.', &part))
        f->kernel_major = (unsigned)number_or(part, 0);
    if (nd_str_next(&rest, '.', &part))
        f->kernel_minor = (unsigned)number_or(part, 0);
}

/* "CapBnd:\t000001ffffffffff" of our own status. */
static void
find_capabilities(struct nd_host_facts *f)
{
    char buf[SMALL_FILE];
    struct nd_str rest = read_small("/proc/self/status", buf), line;
    const struct nd_str key = ND_STR("CapBnd:");

    while (nd_str_next(&rest, '\n', &line)) {
        if (!nd_str_starts(line, key))
            continue;
        line = nd_str_trim(nd_str_from(line, key.len));
        for (size_t i = 0; i < line.len; i++) {
            char c = line.ptr[i];

            f->bounding_caps =
                f->bounding_caps << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
    }
    f->last_cap =
        (int)number_or(read_small("/proc/sys/kernel/cap_last_cap", buf), LAST_CAP_DEFAULT);
}

static void
find_rlimits(struct nd_host_facts *f)
{
    struct rlimit limit;

    f->nofile_hard = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
    f->nproc_hard = getrlimit(RLIMIT_NPROC, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Whether the list of controllers in `text` has `name` as a word. */
static bool
has_word(struct nd_str text, const char *name)
{
    struct nd_str word;

    text = nd_str_trim(text);
    while (nd_str_next(&text, ' ', &word)) {
        if (nd_str_eqz(word, name))
            return true;
    }
    return false;
}

static void
find_cgroup2(struct nd_host_facts *f)
{
    char buf[SMALL_FILE];
    struct nd_str controllers = read_small(CGROUP_ROOT "/cgroup.controllers", buf);

    f->memory_limit = f->swap_limit = has_word(controllers, "memory");
    f->cpu_quota = f->cpu_shares = has_word(controllers, "cpu");
    f->cpuset = has_word(controllers, "cpuset");
    f->pids_limit = has_word(controllers, "pids");
    f->blkio_weight = has_word(controllers, "io");
}

static void
find_cgroup1(struct nd_host_facts *f)
{
    f->memory_limit = exists(CGROUP_ROOT "/memory/memory.limit_in_bytes");
    f->swap_limit = exists(CGROUP_ROOT "/memory/memory.memsw.limit_in_bytes");
    f->cpu_quota = exists(CGROUP_ROOT "/cpu/cpu.cfs_quota_us");
    f->cpu_shares = exists(CGROUP_ROOT "/cpu/cpu.shares");
    f->cpuset = exists(CGROUP_ROOT "/cpuset/cpuset.cpus");
    f->pids_limit = exists(CGROUP_ROOT "/pids/cgroup.procs");
    f->blkio_weight = exists(CGROUP_ROOT "/blkio/blkio.weight");
}

void
nd_host_find_facts(struct nd_host_facts *ret)
{
    struct nd_host_facts f = {0};
    struct statfs fs;
    char buf[SMALL_FILE];

    find_kernel(&f);
    find_capabilities(&f);
    find_rlimits(&f);
    f.systemd = exists("/run/systemd/system");
    f.apparmor =
        nd_str_starts(read_small("/sys/module/apparmor/parameters/enabled", buf), ND_STR("Y"));
    f.cgroup_v2 = statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
    if (f.cgroup_v2)
        find_cgroup2(&f);
    else
        find_cgroup1(&f);
    *ret = f;
}
