/*
 * load: an archive of images from a file or standard input to the daemon.
 *
 * One fiber reads the archive and sends it in pieces, the other receives what the daemon says about
 * it; the daemon's window holds the first one back. When the daemon has seen enough (an error,
 * say), sending fails with ABORTED, and the receiver knows the reason.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber/group.h"

#include "attach.h"
#include "cli.h"
#include "nerdctl_methods.h"
#include "protocol.h"

#define PIECE_BYTES (256u << 10)

static const struct nd_flag flags[] = {
    {"all-platforms", '\0', ND_FLAG_BOOL, "", "Every platform in the archive", 0, NULL},
    {"input", 'i', ND_FLAG_STRING, "", "Read from this file instead of standard input", 0, NULL},
    {"platform", '\0', ND_FLAG_SLICE, "", "Only this platform (os/arch[/variant])", 0, NULL},
    {"quiet", 'q', ND_FLAG_BOOL, "", "Do not say what was loaded", 0, NULL},
};

struct load {
    struct nd_cli *cli;
    int fd;
    Pb__LoadOptions options;
    bool is_seekable; /* it can be read again */
    off_t from;       /* where it begins */
    struct nd_client_call *call;
    struct nd_group *group;
    size_t n_told, n_images; /* printed so far; seen in this call */
};

/* A pipe may have nothing yet; then the fiber waits. Files are always ready. */
static bool
is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

static struct nd_error *
read_piece(struct load *load, uint8_t *dst, size_t *ret)
{
    ssize_t n;

    do {
        if (!is_ready(load->fd))
            ND_TRY(nd_fd_wait(load->fd, ND_FD_READ));
        n = read(load->fd, dst, PIECE_BYTES);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        return nd_error_errno(errno, "read the archive");
    *ret = (size_t)n;
    return NULL;
}

static struct nd_error *
send_options(struct load *load)
{
    Pb__ImageServiceLoadRequest request = PB__IMAGE_SERVICE_LOAD_REQUEST__INIT;

    request.request_case = PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_OPTIONS;
    request.options = &load->options;
    return nd_client_call_send(load->call, &request);
}

static struct nd_error *
send_archive(struct load *load)
{
    Pb__ImageServiceLoadRequest request = PB__IMAGE_SERVICE_LOAD_REQUEST__INIT;
    uint8_t *piece = nd_arena_alloc(load->cli->arena, PIECE_BYTES);
    size_t n = 0;

    ND_TRY(send_options(load));
    request.request_case = PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_CHUNK;
    for (;;) {
        ND_TRY(read_piece(load, piece, &n));
        if (n == 0)
            return nd_client_call_finish_sending(load->call);
        request.chunk.data = piece;
        request.chunk.len = n;
        ND_TRY(nd_client_call_send(load->call, &request));
    }
}

/* That the daemon wants no more is no failure: the receiver knows why. */
static struct nd_error *
run_sender(void *arg)
{
    struct nd_error *err = send_archive(arg);

    if (nd_error_code(err) != ND_ABORTED)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
handle_reply(struct load *load, const Pb__ImageServiceLoadResponse *reply)
{
    struct nd_cli *cli = load->cli;

    if (reply->response_case == PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_PROGRESS)
        nd_progress_show(reply->progress);
    if (reply->response_case != PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_IMAGE ||
        nd_flag_bool(cli->flags, "quiet") || ++load->n_images <= load->n_told)
        return NULL;
    load->n_told++;
    nd_progress_clear();
    nd_buf_printf(&cli->out, "Loaded image: %s\n", reply->image->name);
    return nd_cli_flush(cli);
}

static struct nd_error *
receive(struct load *load)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Pb__ImageServiceLoadResponse *reply;

    for (;;) {
        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(load->call, arena, &reply));
        if (reply == NULL)
            return NULL;
        ND_TRY(handle_reply(load, reply));
    }
}

/* When the daemon is done, so are we, even if the archive has not ended. */
static struct nd_error *
run_receiver(void *arg)
{
    struct load *load = arg;

    ND_TRY(receive(load));
    nd_group_cancel(load->group);
    return NULL;
}

static struct nd_error *
load_once(void *arg)
{
    struct load *load = arg;
    struct nd_cli *cli = load->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("load", 0);

    if (load->is_seekable && lseek(load->fd, load->from, SEEK_SET) < 0)
        return nd_error_errno(errno, "read the archive from its beginning");
    load->n_images = 0;
    ND_TRY(nd_client_call_begin(cli->channel, PB_IMAGE_SERVICE_LOAD, &cli->options, &call));
    load->call = call;
    load->group = g;
    ND_TRY(nd_group_spawn(g, run_sender, load));
    ND_TRY(nd_group_spawn(g, run_receiver, load));
    return nd_group_wait(g);
}

/* What came through a pipe is gone: the call is made once then. */
static struct nd_error *
run_load(void *arg)
{
    struct load *load = arg;

    if (!load->is_seekable)
        return load_once(load);
    load->options.request_id = nd_cli_request_id(load->cli);
    return nd_cli_repeat(load->cli, load_once, load);
}

static struct nd_error *
open_input(struct nd_cli *cli, struct load *load)
{
    const char *path = nd_flag_textz(cli->flags, "input");
    struct stat st;

    if (path[0] == '\0' && isatty(STDIN_FILENO) == 1)
        return nd_error_hint(
            nd_error_new(ND_INVALID, "stdin is empty and input flag is not specified"),
            "nerdctl-remote load -i FILE, or nerdctl-remote load < FILE");
    load->fd = path[0] == '\0' ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (load->fd < 0 || fstat(load->fd, &st) < 0)
        return nd_error_errno(errno, "open %s", path[0] == '\0' ? "standard input" : path);
    if (S_ISDIR(st.st_mode))
        return nd_error_new(ND_INVALID, "%s is a directory, not an archive", path);
    load->is_seekable = S_ISREG(st.st_mode);
    load->from = load->is_seekable ? lseek(load->fd, 0, SEEK_CUR) : 0;
    if (load->is_seekable)
        load->options.total_bytes = st.st_size;
    return NULL;
}

static struct nd_error *
run(struct nd_cli *cli)
{
    const struct nd_texts *platforms = nd_flag_list(cli->flags, "platform");
    struct load load = {.cli = cli, .options = PB__LOAD_OPTIONS__INIT};
    struct nd_error *err;

    ND_TRY(open_input(cli, &load));
    load.options.n_platforms = platforms->n;
    load.options.platforms = nd_protocol_texts(cli->arena, platforms);
    load.options.all_platforms = nd_flag_bool(cli->flags, "all-platforms");
    err = nd_cli_call(cli, run_load, &load);
    nd_progress_clear();
    return err;
}

const struct nd_command nd_command_image_load = {
    .path = "image load",
    .aliases = "load",
    .usage = "load [flags]",
    .help = "Load images from an archive",
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
