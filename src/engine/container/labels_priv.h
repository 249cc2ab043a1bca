#ifndef CONTAINER_LABELS_PRIV_H
#define CONTAINER_LABELS_PRIV_H

/* Keys that nerdctl and containerd give a meaning to. */
#define LABEL_NAMESPACE     "nerdctl/namespace"
#define LABEL_NAME          "nerdctl/name"
#define LABEL_HOSTNAME      "nerdctl/hostname"
#define LABEL_DOMAINNAME    "nerdctl/domainname"
#define LABEL_EXTRA_HOSTS   "nerdctl/extraHosts"
#define LABEL_STATE_DIR     "nerdctl/state-dir"
#define LABEL_NETWORKS      "nerdctl/networks"
#define LABEL_PLATFORM      "nerdctl/platform"
#define LABEL_AUTO_REMOVE   "nerdctl/auto-remove"
#define LABEL_LOG_URI       "nerdctl/log-uri"
#define LABEL_LOG_CONFIG    "nerdctl/log-config"
#define LABEL_IPC           "nerdctl/ipc"
#define LABEL_HOST_CONFIG   "nerdctl/host-config"
#define LABEL_DNS           "nerdctl/dns"
#define LABEL_MOUNTS        "nerdctl/mounts"
#define LABEL_USER          "nerdctl/user"
#define LABEL_PRIVILEGED    "nerdctl/privileged"
#define LABEL_ERROR         "nerdctl/error"
#define LABEL_STOP_TIMEOUT  "nerdctl/stop-timeout"
#define LABEL_PID_CONTAINER "nerdctl/pid-container"
#define LABEL_HEALTHCHECK   "nerdctl/healthcheck"
#define LABEL_HEALTHSTATE   "nerdctl/healthstate"
#define LABEL_EXPOSED_PORTS "nerdctl/exposed-ports"
#define LABEL_STOP_SIGNAL   "io.containerd.image.config.stop-signal"

#define LABEL_ANONYMOUS_VOLUMES "nerdctl/anonymous-volumes"

/* Ours: its standard input is kept open. */
#define LABEL_INTERACTIVE "nerdctl-grpc/interactive"
/* Ours: it was not made to run detached. */
#define LABEL_ATTACHED    "nerdctl-grpc/attached"

#define LABEL_RESTART_POLICY "containerd.io/restart.policy"
#define LABEL_RESTART_STATUS "containerd.io/restart.status"
#define LABEL_RESTART_COUNT  "containerd.io/restart.count"
#define LABEL_STOPPED        "containerd.io/restart.explicitly-stopped"

#endif
