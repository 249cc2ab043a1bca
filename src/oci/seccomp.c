/*
 * The default seccomp profile: everything is refused (EPERM) but what stands in the tables below.
 *
 * The profile depends on three things. Capabilities: who may administrate may also call what that
 * needs. The kernel: from 4.8 on ptrace is safe to allow. The architecture: a few calls exist on
 * one alone, and programs of its 32-bit relatives run too. Names that the host's libseccomp does
 * not know are skipped by runc, so the tables may be newer than the host.
 *
 * Several rules for one call mean OR; conditions inside a rule mean AND, but runc splits repeated
 * conditions on one argument into rules of their own. So "not AF_ALG and not AF_VSOCK" is written
 * as three ranges instead of two inequalities.
 *
 * Follows: contracts/seccomp.md, which moves with moby's and containerd's defaults.
 */

#include "oci/seccomp.h"

#define ERRNO_EPERM  1
#define ERRNO_ENOSYS 38

/* Namespaces that clone() must not make without CAP_SYS_ADMIN. */
#define CLONE_NEW_ANY UINT64_C(0x7e020000)

/* clang-format off */
static const char *const always[] = {
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk",
    "cachestat", "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
    "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
    "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range", "connect",
    "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd",
    "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64",
    "fadvise64_64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2",
    "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr",
    "flock", "fork", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
    "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64",
    "futex_wait", "futex_waitv", "futex_wake", "futimesat", "get_robust_list", "get_thread_area",
    "getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32",
    "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid",
    "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32",
    "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt",
    "gettid", "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents",
    "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "ioctl", "ioprio_get",
    "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen",
    "listmount", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "lstat", "lstat64", "madvise",
    "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir", "mkdirat",
    "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd",
    "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat",
    "open", "openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2",
    "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64",
    "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "select", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send",
    "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "set_robust_list", "set_thread_area",
    "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit",
    "setsid", "setsockopt", "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl",
    "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
    "sigreturn", "socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64",
    "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo",
    "tee", "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate",
    "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime",
    "utimensat", "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid",
    "write", "writev",
};

static const char *const with_ptrace[] = {"process_vm_readv", "process_vm_writev", "ptrace"};

/* What a capability adds. */
static const struct {
    unsigned cap;
    const char *const *names;
    size_t n;
} by_capability[] = {
#define NAMES(...) (const char *const[]){__VA_ARGS__}, ND_LEN(((const char *const[]){__VA_ARGS__}))
    {ND_CAP_DAC_READ_SEARCH, NAMES("open_by_handle_at")},
    {ND_CAP_SYS_ADMIN, NAMES("bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen",
                             "fspick", "lookup_dcookie", "mount", "mount_setattr", "move_mount",
                             "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname",
                             "sethostname", "setns", "syslog", "umount", "umount2", "unshare")},
    {ND_CAP_SYS_BOOT, NAMES("reboot")},
    {ND_CAP_SYS_CHROOT, NAMES("chroot")},
    {ND_CAP_SYS_MODULE, NAMES("delete_module", "init_module", "finit_module")},
    {ND_CAP_SYS_PACCT, NAMES("acct")},
    {ND_CAP_SYS_PTRACE, NAMES("kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv",
                              "process_vm_writev", "ptrace")},
    {ND_CAP_SYS_RAWIO, NAMES("iopl", "ioperm")},
    {ND_CAP_SYS_TIME, NAMES("settimeofday", "stime", "clock_settime", "clock_settime64")},
    {ND_CAP_SYS_TTY_CONFIG, NAMES("vhangup")},
    {ND_CAP_SYS_NICE, NAMES("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node")},
    {ND_CAP_SYSLOG, NAMES("syslog")},
    {ND_CAP_BPF, NAMES("bpf")},
    {ND_CAP_PERFMON, NAMES("perf_event_open")},
};

/* What an architecture is called, and what it adds. */
static const struct arch {
    const char *name;
    const char *const *scmp;
    size_t n_scmp;
    const char *const *names;
    size_t n;
} by_arch[] = {
    {"amd64", NAMES("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"), NAMES("arch_prctl", "modify_ldt")},
    {"386", NAMES("SCMP_ARCH_X86"), NAMES("modify_ldt")},
    {"arm64", NAMES("SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"),
     NAMES("arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls")},
    {"arm", NAMES("SCMP_ARCH_ARM"),
     NAMES("arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls")},
    {"ppc64le", NAMES("SCMP_ARCH_PPC64LE"), NAMES("sync_file_range2", "swapcontext")},
    {"s390x", NAMES("SCMP_ARCH_S390", "SCMP_ARCH_S390X"),
     NAMES("s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr")},
    {"riscv64", NAMES("SCMP_ARCH_RISCV64"), NAMES("riscv_flush_icache", "riscv_hwprobe")},
#undef NAMES
};
/* clang-format on */

struct condition {
    unsigned index;
    const char *op;
    uint64_t value, value_two;
};

/* The beginning of a rule: its names and what happens. */
static void
begin_rule(struct nd_json_writer *w, const char *const *names, size_t n, const char *action)
{
    nd_json_begin_object(w);
    nd_json_put_texts(w, "names", names, n);
    nd_json_put_text(w, "action", action);
}

static void
allow(struct nd_json_writer *w, const char *const *names, size_t n)
{
    begin_rule(w, names, n, "SCMP_ACT_ALLOW");
    nd_json_end_object(w);
}

static void
allow_if(struct nd_json_writer *w, const char *name, struct condition c)
{
    begin_rule(w, &name, 1, "SCMP_ACT_ALLOW");
    nd_json_key(w, "args");
    nd_json_begin_array(w);
    nd_json_begin_object(w);
    nd_json_put_u64(w, "index", c.index);
    nd_json_put_u64(w, "value", c.value);
    if (c.value_two != 0)
        nd_json_put_u64(w, "valueTwo", c.value_two);
    nd_json_put_text(w, "op", c.op);
    nd_json_end_object(w);
    nd_json_end_array(w);
    nd_json_end_object(w);
}

/* Every address family but AF_ALG (38) and AF_VSOCK (40). */
static void
allow_sockets(struct nd_json_writer *w)
{
    allow_if(w, "socket", (struct condition){0, "SCMP_CMP_LT", 38, 0});
    allow_if(w, "socket", (struct condition){0, "SCMP_CMP_EQ", 39, 0});
    allow_if(w, "socket", (struct condition){0, "SCMP_CMP_GT", 40, 0});
}

static void
allow_personalities(struct nd_json_writer *w)
{
    static const uint64_t values[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

    for (size_t i = 0; i < ND_LEN(values); i++)
        allow_if(w, "personality", (struct condition){0, "SCMP_CMP_EQ", values[i], 0});
}

/* Without CAP_SYS_ADMIN: clone() may make no namespace; clone3(), whose flags a filter cannot see, does
 * not exist, so that libc falls back to clone(). */
static void
restrict_clone(struct nd_json_writer *w, const char *arch)
{
    static const char *const clone3 = "clone3";
    unsigned flags_index = nd_str_eqz(nd_str(arch), "s390x") ? 1 : 0;

    allow_if(w, "clone", (struct condition){flags_index, "SCMP_CMP_MASKED_EQ", CLONE_NEW_ANY, 0});
    begin_rule(w, &clone3, 1, "SCMP_ACT_ERRNO");
    nd_json_put_u64(w, "errnoRet", ERRNO_ENOSYS);
    nd_json_end_object(w);
}

static const struct arch *
find_arch(const char *name)
{
    for (size_t i = 0; i < ND_LEN(by_arch); i++) {
        if (nd_str_eqz(nd_str(name), by_arch[i].name))
            return &by_arch[i];
    }
    return NULL;
}

static void
write_rules(const struct nd_seccomp_input *in, const struct arch *arch, struct nd_json_writer *w)
{
    allow(w, always, ND_LEN(always));
    allow_sockets(w);
    allow_personalities(w);
    if (in->kernel_major > 4 || (in->kernel_major == 4 && in->kernel_minor >= 8))
        allow(w, with_ptrace, ND_LEN(with_ptrace));
    if (arch != NULL)
        allow(w, arch->names, arch->n);
    for (size_t i = 0; i < ND_LEN(by_capability); i++) {
        if ((in->bounding & ND_CAP_BIT(by_capability[i].cap)) != 0)
            allow(w, by_capability[i].names, by_capability[i].n);
    }
    if ((in->bounding & ND_CAP_BIT(ND_CAP_SYS_ADMIN)) == 0)
        restrict_clone(w, in->arch);
}

void
nd_seccomp_write(const struct nd_seccomp_input *input, struct nd_json_writer *w)
{
    const struct arch *arch = find_arch(input->arch);

    nd_json_begin_object(w);
    nd_json_put_text(w, "defaultAction", "SCMP_ACT_ERRNO");
    nd_json_put_u64(w, "defaultErrnoRet", ERRNO_EPERM);
    if (arch != NULL)
        nd_json_put_texts(w, "architectures", arch->scmp, arch->n_scmp);
    nd_json_key(w, "syscalls");
    nd_json_begin_array(w);
    write_rules(input, arch, w);
    nd_json_end_array(w);
    nd_json_end_object(w);
}
