/*
 * The machine: processors, memory, names. All of it is read from files of the kernel and of the
 * distribution that take microseconds; a file that is missing leaves its fact empty.
 */

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "machine_priv.h"

#define FILE_MAX 4096 /* the stack of a fiber is small */

static struct nd_str
read_file(const char *path, char *buf)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return ND_STR_NONE;
    n = read(fd, buf, FILE_MAX);
    (void)close(fd);
    return nd_str_n(buf, n > 0 ? (size_t)n : 0);
}

/* Inside quotes a backslash takes the next character as it is (os-release is a shell's text). */
static struct nd_str
unquote(struct nd_str value, struct nd_arena *arena)
{
    char *dst, quote;
    size_t len = 0;

    if (value.len == 0 || (value.ptr[0] != '"' && value.ptr[0] != '\''))
        return value;
    quote = value.ptr[0];
    dst = nd_arena_alloc(arena, value.len);
    for (size_t i = 1; i < value.len && value.ptr[i] != quote; i++) {
        if (quote == '"' && value.ptr[i] == '\\' && i + 1 < value.len)
            i++;
        dst[len++] = value.ptr[i];
    }
    return nd_str_n(dst, len);
}

struct nd_str
nd_os_release_find(struct nd_str file, const char *key, struct nd_arena *arena)
{
    struct nd_str line;

    while (nd_str_next(&file, '\n', &line)) {
        size_t at = nd_str_find(line, '=');

        if (at != SIZE_MAX && nd_str_eqz(nd_str_trim(nd_str_sub(line, 0, at)), key))
            return unquote(nd_str_trim(nd_str_from(line, at + 1)), arena);
    }
    return ND_STR_NONE;
}

uint64_t
nd_meminfo_total(struct nd_str file)
{
    const struct nd_str key = ND_STR("MemTotal:"), unit = ND_STR("kB");
    struct nd_str line;

    while (nd_str_next(&file, '\n', &line)) {
        uint64_t kib = 0;

        if (!nd_str_starts(line, key) || !nd_str_ends(line, unit))
            continue;
        line = nd_str_sub(line, key.len, line.len - key.len - unit.len);
        nd_error_free(nd_parse_u64(nd_str_trim(line), UINT64_MAX / 1024, &kib));
        return kib * 1024;
    }
    return 0;
}

static const char *
find_operating_system(struct nd_arena *arena)
{
    char buf[FILE_MAX];
    struct nd_str file = read_file("/etc/os-release", buf);
    struct nd_str name;

    if (file.len == 0)
        file = read_file("/usr/lib/os-release", buf);
    name = nd_os_release_find(file, "PRETTY_NAME", arena);
    return nd_str_is_utf8(name) ? nd_arena_str(arena, name) : "";
}

static int
count_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

void
nd_machine_look(struct nd_arena *arena, struct machine *ret)
{
    char buf[FILE_MAX];
    struct utsname name = {0};

    (void)uname(&name);
    ret->name = nd_arena_strdup(arena, name.nodename);
    ret->architecture = nd_arena_strdup(arena, name.machine);
    ret->operating_system = find_operating_system(arena);
    ret->n_cpus = count_cpus();
    ret->memory_bytes = nd_meminfo_total(read_file("/proc/meminfo", buf));
    ret->seccomp = prctl(PR_GET_SECCOMP) >= 0;
    ret->ipv4_forwarding =
        nd_str_starts(read_file("/proc/sys/net/ipv4/ip_forward", buf), ND_STR("1"));
}
