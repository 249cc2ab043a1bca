/*
 * FIFOs and the helper that holds them.
 *
 * The reading ends must be open before the shim opens the writing ends, so the helper is started
 * first; it detaches itself and its first process ends once it is ready. The names of the FIFOs go
 * as soon as the shim has them open: nobody else shall read bytes away.
 */

#include "stream/folder.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/process.h"
#include "fiber/work.h"
#include "stream/relay.h"

#define FULL_PAUSE_NS (100 * ND_MILLISECOND)

static const struct {
    enum nd_fifo fifo;
    const char *name;
} fifo_names[] = {
    {ND_FIFO_STDIN, "stdin"},
    {ND_FIFO_STDOUT, "stdout"},
    {ND_FIFO_STDERR, "stderr"},
};

struct making {
    const char *folder;
    unsigned fifos;
    struct nd_error *err;
};

static struct nd_error *
make(const char *folder, unsigned fifos)
{
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return nd_error_errno(errno, "make %s", folder);
    nd_streams_folder_hide(folder);
    for (size_t i = 0; i < ND_LEN(fifo_names); i++) {
        ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s", folder, fifo_names[i].name);

        if ((fifos & fifo_names[i].fifo) != 0 && mkfifo(path, 0600) < 0)
            return nd_error_errno(errno, "make FIFO %s", path);
    }
    return NULL;
}

static void
run_making(void *arg)
{
    struct making *m = arg;

    m->err = make(m->folder, m->fifos);
}

/* On a thread: where many files come and go, ext4 takes a millisecond to find each a free inode. */
struct nd_error *
nd_streams_folder_make(const char *folder, unsigned fifos)
{
    struct making m = {.folder = folder, .fifos = fifos};

    ND_TRY(nd_work(ND_WORK_SHORT, run_making, &m));
    return m.err;
}

static void
remove_name(const char *folder, const char *name)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s", folder, name);

    (void)unlink(path);
}

void
nd_streams_folder_hide(const char *folder)
{
    for (size_t i = 0; i < ND_LEN(fifo_names); i++)
        remove_name(folder, fifo_names[i].name);
}

void
nd_streams_folder_remove(const char *folder)
{
    nd_streams_folder_hide(folder);
    remove_name(folder, "socket");
    remove_name(folder, "socket.new");
    (void)rmdir(folder);
}

struct nd_error *
nd_streams_helper_start(const struct nd_streams_helper *helper)
{
    const char *const argv[] = {
        helper->program, "relay",    helper->folder, helper->tty ? "tty" : "pipes",
        helper->store,   helper->ns, helper->id,     NULL};
    const struct nd_process_options options = {.argv = argv, .cwd = "/", .new_session = true};
    ND_AUTO(nd_process_freep) struct nd_process *process = NULL;
    int status;

    ND_TRY_DOING(nd_process_start(&options, &process), "start %s", helper->program);
    ND_TRY(nd_process_wait(process, &status));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return nd_error_new(ND_INTERNAL, "%s: not ready for the streams in %s", helper->program,
                            helper->folder);
    return NULL;
}

/*
 * Where too many are attached for one more, they have to go first; one that is stopped may go on.
 */
static struct nd_error *
open_when_there_is_room(const char *folder, struct nd_relay **ret)
{
    const struct nd_relay_options options = {.folder = folder};

    for (;;) {
        struct nd_error *err = nd_relay_open(&options, ret);

        if (nd_error_code(err) != ND_EXHAUSTED && nd_error_code(err) != ND_UNAVAILABLE)
            return err;
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(FULL_PAUSE_NS));
    }
}

struct nd_error *
nd_streams_helper_join(const char *folder)
{
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = NULL;
    struct nd_error *err = open_when_there_is_room(folder, &relay);

    while (err == NULL) {
        struct nd_relay_event event;

        err = nd_relay_next(relay, &event);
    }
    if (nd_error_code(err) == ND_CANCELLED || nd_error_code(err) == ND_DEADLINE)
        return err;
    nd_error_free(err); /* it has gone, or never was */
    return NULL;
}

void
nd_streams_helper_end(const char *folder, bool never_started)
{
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = NULL;
    struct nd_error *err = open_when_there_is_room(folder, &relay);

    if (err == NULL)
        err = nd_relay_send(relay, ND_WIRE_EXITED, ND_WIRE_STDOUT, never_started, ND_STR_NONE);
    if (err == NULL)
        err = nd_relay_send(relay, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        nd_info("helper was not told of an end", ND_KV("folder", folder), ND_KV("error", err));
    nd_error_free(err);
}
