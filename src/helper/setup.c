/*
 * From start to ready.
 *
 * The order matters: the shim lets the container's process start when it is told "ready", and a
 * reader of the log takes the lock to wait for the last byte. So the lock comes first, then ready.
 *
 * Little here may fail. The container writes straight into our pipe: were we to give up, its next
 * write would kill it. A configuration that cannot be read gives defaults, a lock that another
 * logger of the container does not give back is gone without after a while, and a log that cannot
 * be opened becomes output that is dropped and counted. Only a call without the environment and
 * descriptors of a logger is refused.
 *
 * A helper lives as long as its container. It must not go with the shim's process group, must be
 * the last that the kernel picks when memory is short, and does not mind SIGTERM: that only says
 * that the task is being deleted, while the end of the streams, or of the container (init_watch.c),
 * says that everything was read.
 *
 * The daemon starts a helper where the shim cannot: for a process with standard input but without a
 * terminal, and for commands that run in a container. It finds FIFOs in its folder instead of pipes
 * in its descriptors, and the rest is the same.
 */

#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define OOM_SCORE_ADJ "-998" /* as containerd's shims have */
#define COMPONENT_MAX 255u

static bool
is_component(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    return len > 0 && len <= COMPONENT_MAX && strchr(text, '/') == NULL && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

static void
ignore_signals(void)
{
    static const int signos[] = {SIGTERM, SIGINT,  SIGHUP,  SIGPIPE,
                                 SIGQUIT, SIGUSR1, SIGUSR2, SIGXFSZ};

    for (size_t i = 0; i < ND_LEN(signos); i++)
        signal(signos[i], SIG_IGN);
}

static void
lower_oom_score(void)
{
    ND_AUTO(nd_closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    /* Not permitted without privilege, and then the inherited score has to do. */
    if (fd >= 0 && write(fd, OOM_SCORE_ADJ, sizeof(OOM_SCORE_ADJ) - 1) < 0)
        errno = 0;
}

static void
stand_alone(void)
{
    ignore_signals();
    (void)setsid(); /* fails when we lead a group already, which does as well */
    umask(0077);
    lower_oom_score();
}

static void
adopt_pipes(struct setup *setup)
{
    for (int fd = 3; fd <= 5; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(3, F_SETPIPE_SZ, ND_LOGGER_PIPE_BYTES);
    fcntl(4, F_SETPIPE_SZ, ND_LOGGER_PIPE_BYTES);
    setup->streams[0] = 3;
    setup->streams[1] = 4;
    setup->ready_fd = 5;
    if (setup->terminal) {
        close(4); /* may stay open until the task is deleted */
        setup->streams[1] = -1;
    }
}

/* Up to `size` - 1 bytes of a file and a NUL; -1 when it cannot be read. */
static ssize_t
read_file(const char *path, char *dst, size_t size)
{
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t len = 0;

    if (fd < 0)
        return -1;
    while (len < size - 1) {
        ssize_t n = read(fd, dst + len, size - 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    dst[len] = '\0';
    return (ssize_t)len;
}

/*
 * Whether the task in the bundle (our working directory) has a terminal. Inside a JSON text the
 * quotes of these words would be escaped, and the specification has one member of this name with a
 * value that is a word, so there is no need to understand the rest of the file.
 */
static bool
bundle_has_terminal(char *scratch, size_t size)
{
    static const char key[] = "\"terminal\"";
    const char *p = scratch;

    if (read_file("config.json", scratch, size) < 0)
        return false;
    while ((p = strstr(p, key)) != NULL) {
        p += sizeof(key) - 1;
        p += strspn(p, " \t\r\n:");
        if (strncmp(p, "true", 4) == 0)
            return true;
    }
    return false;
}

static void
read_config(struct setup *setup, char *scratch, size_t size)
{
    char path[ND_LOGGER_PATH_MAX + 32];
    ssize_t len;

    snprintf(path, sizeof(path), "%s/log-config.json", setup->state_dir);
    len = read_file(path, scratch, ND_MIN(size, (size_t)ND_LOGGER_CONFIG_MAX));
    nd_logger_config_parse(scratch, len > 0 ? (size_t)len : 0, &setup->config);
}

/* Make the directories above an own log path. */
static void
make_parents(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
}

void
setup_lock(struct setup *setup)
{
    char path[ND_LOGGER_PATH_MAX + 16];
    int64_t give_up = nd_mono_now().ns + ND_LOGGER_LOCK_NS;
    int fd;

    snprintf(path, sizeof(path), "%s/logger-lock", setup->state_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && nd_mono_now().ns < give_up) {
        const struct timespec pause = {.tv_nsec = ND_LOGGER_LOCK_RETRY_NS};

        nanosleep(&pause, NULL);
    }
    setup->lock_fd = fd;
}

/* Paths and configuration of a container's log. */
static bool
find_log(struct setup *setup, const char *id, char *scratch, size_t scratch_size)
{
    int len;

    read_config(setup, scratch, scratch_size);
    len =
        snprintf(setup->log_path, sizeof(setup->log_path), "%s/%s-json.log", setup->state_dir, id);
    if (len < 0 || (size_t)len >= sizeof(setup->log_path))
        return false;
    if (setup->config.log_path[0] != '\0') {
        memcpy(setup->log_path, setup->config.log_path, sizeof(setup->log_path));
        make_parents(setup->log_path);
    }
    return true;
}

static bool
find_folders(struct setup *setup, const char *store, const char *ns, const char *id)
{
    int len;

    if (store == NULL || store[0] != '/' || !is_component(id) || !is_component(ns))
        return false;
    len =
        snprintf(setup->state_dir, sizeof(setup->state_dir), "%s/containers/%s/%s", store, ns, id);
    if (len < 0 || (size_t)len >= sizeof(setup->state_dir))
        return false;
    len = snprintf(setup->streams_dir, sizeof(setup->streams_dir), "%s/streams", setup->state_dir);
    return len >= 0 && (size_t)len < sizeof(setup->streams_dir);
}

bool
setup_logger(struct setup *setup, const char *store, char *scratch, size_t scratch_size)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread */
    const char *id = getenv("CONTAINER_ID"), *ns = getenv("CONTAINER_NAMESPACE");
    /* NOLINTEND(concurrency-mt-unsafe) */

    if (!find_folders(setup, store, ns, id) || fcntl(3, F_GETFD) < 0)
        return false;
    stand_alone();
    setup->by_shim = true;
    setup->terminal = bundle_has_terminal(scratch, scratch_size);
    adopt_pipes(setup);
    setup->init = (struct init_watch){.bundle = -1, .fd = -1};
    if (!setup->terminal)
        init_watch_begin(&setup->init);
    if (chdir("/") < 0)
        errno = 0; /* only so that the bundle can be removed */
    setup->lock_fd = -1;
    return !setup->keeps_log || find_log(setup, id, scratch, scratch_size);
}

/* Without a writer a FIFO is silent; it ends when its last writer has gone. */
static int
open_output(const char *folder, const char *name)
{
    char path[ND_LOGGER_PATH_MAX + 16];
    ND_AUTO(nd_closep) int fd = -1;
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
        return -1;
    return ND_TAKE_FD(fd);
}

bool
setup_relay(struct setup *setup, int argc, char **argv, char *scratch, size_t scratch_size)
{
    const char *folder = argc > 3 ? argv[2] : "";

    if ((argc != 4 && argc != 7) || folder[0] != '/' ||
        strlen(folder) >= sizeof(setup->streams_dir))
        return false;
    if (argc == 7 && !find_folders(setup, argv[4], argv[5], argv[6]))
        return false;
    stand_alone();
    snprintf(setup->streams_dir, sizeof(setup->streams_dir), "%s", folder);
    setup->terminal = strcmp(argv[3], "tty") == 0;
    setup->lock_fd = setup->ready_fd = -1;
    setup->init = (struct init_watch){.bundle = -1, .fd = -1};
    setup->streams[0] = open_output(folder, "stdout");
    setup->streams[1] = setup->terminal ? -1 : open_output(folder, "stderr");
    if (setup->streams[0] < 0 || (setup->streams[1] < 0 && !setup->terminal))
        return false;
    setup->keeps_log = argc == 7;
    return !setup->keeps_log || find_log(setup, argv[6], scratch, scratch_size);
}
