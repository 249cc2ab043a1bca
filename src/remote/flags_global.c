/*
 * Flags that every command understands.
 *
 * Those that say where the daemon is are ours; nerdctl's own global flags describe the host beside
 * containerd. A remote client cannot decide those: they are known, so that scripts get an answer
 * that names the flag, and refused. The one-letter aliases count only in front of the command,
 * because commands use the same letters for themselves.
 */

#include "remote/command.h"

#define HOST_ONLY (ND_FLAG_HIDDEN | ND_FLAG_HOST_ONLY)
#define ROOT      ND_FLAG_ROOT_ONLY
#define SHORT     ND_FLAG_ROOT_SHORT

/* clang-format off */
static const struct nd_flag flags[] = {
    {"host", 'H', ND_FLAG_STRING, "", "Address of the daemon, unix:///path or tcp://host:port [$NERDCTL_HOST]", SHORT, NULL},
    {"H", '\0', ND_FLAG_STRING, "", "Same as --host", ND_FLAG_HIDDEN | ROOT, "host"},
    {"context", 'c', ND_FLAG_STRING, "", "Name of the context to use [$NERDCTL_CONTEXT]", SHORT, NULL},
    {"namespace", 'n', ND_FLAG_STRING, "", "containerd namespace [$CONTAINERD_NAMESPACE]", SHORT, NULL},
    {"n", '\0', ND_FLAG_STRING, "", "Same as --namespace", ND_FLAG_HIDDEN | ROOT, "namespace"},
    {"debug", 'D', ND_FLAG_BOOL, "", "Print debug lines on standard error", SHORT, NULL},
    {"debug-full", '\0', ND_FLAG_BOOL, "", "Same as --debug", ND_FLAG_HIDDEN, "debug"},
    {"tls", '\0', ND_FLAG_BOOL, "", "Use TLS; implied by the other tls flags", 0, NULL},
    {"tlscacert", '\0', ND_FLAG_STRING, "", "Trust certificates signed by this CA (PEM file)", 0, NULL},
    {"tlscert", '\0', ND_FLAG_STRING, "", "Certificate of the client (PEM file)", 0, NULL},
    {"tlskey", '\0', ND_FLAG_STRING, "", "Key of the client (PEM file)", 0, NULL},
    {"tlsverify", '\0', ND_FLAG_BOOL, "true", "Use TLS and verify the daemon; false: do not verify", 0, NULL},
    {"resume-timeout", '\0', ND_FLAG_DURATION, "30s", "How long to try to connect again with a process; the daemon keeps its output for 30s", 0, NULL},
    {"version", 'v', ND_FLAG_BOOL, "", "Print the version and quit", ROOT, NULL},

    {"experimental", '\0', ND_FLAG_BOOL, "true", "No effect", ND_FLAG_HIDDEN | ND_FLAG_NO_EFFECT, NULL},
    {"address", '\0', ND_FLAG_STRING, "", "Address of containerd", HOST_ONLY, NULL},
    {"a", 'a', ND_FLAG_STRING, "", "Same as --address", HOST_ONLY | ROOT, "address"},
    {"bridge-ip", '\0', ND_FLAG_STRING, "", "Address of the default bridge network", HOST_ONLY, NULL},
    {"cdi-spec-dirs", '\0', ND_FLAG_SLICE, "", "Directories of CDI device descriptions", HOST_ONLY, NULL},
    {"cgroup-manager", '\0', ND_FLAG_STRING, "", "cgroup driver", HOST_ONLY, NULL},
    {"cni-netconfpath", '\0', ND_FLAG_STRING, "", "Directory of CNI networks", HOST_ONLY, NULL},
    {"cni-path", '\0', ND_FLAG_STRING, "", "Directory of CNI plugins", HOST_ONLY, NULL},
    {"data-root", '\0', ND_FLAG_STRING, "", "Directory of persistent state", HOST_ONLY, NULL},
    {"global-dns", '\0', ND_FLAG_SLICE, "", "DNS servers of all containers", HOST_ONLY, NULL},
    {"global-dns-opts", '\0', ND_FLAG_SLICE, "", "DNS options of all containers", HOST_ONLY, NULL},
    {"global-dns-search", '\0', ND_FLAG_SLICE, "", "DNS search domains of all containers", HOST_ONLY, NULL},
    {"host-gateway-ip", '\0', ND_FLAG_STRING, "", "Address that host-gateway stands for", HOST_ONLY, NULL},
    {"hosts-dir", '\0', ND_FLAG_SLICE, "", "Directories of registry settings", HOST_ONLY, NULL},
    {"insecure-registry", '\0', ND_FLAG_BOOL, "", "Do not verify registries", HOST_ONLY, NULL},
    {"kube-hide-dupe", '\0', ND_FLAG_BOOL, "", "Hide duplicate images of k8s.io", HOST_ONLY, NULL},
    {"selinux-enabled", '\0', ND_FLAG_BOOL, "", "Turn SELinux support on", HOST_ONLY, NULL},
    {"snapshotter", '\0', ND_FLAG_STRING, "", "Snapshotter of containerd", HOST_ONLY, NULL},
    {"storage-driver", '\0', ND_FLAG_STRING, "", "Same as --snapshotter", HOST_ONLY, "snapshotter"},
    {"userns-remap", '\0', ND_FLAG_STRING, "", "Map user ids of containers", HOST_ONLY, NULL},
};
/* clang-format on */

const struct nd_flag_table nd_global_flags = {flags, ND_LEN(flags)};
