/*
 * The version of the runtime program, which only the program itself tells:
 *
 *     runc version 1.1.5+ds1
 *     commit: 1.1.5+ds1-1+deb12u1
 *     spec: 1.0.2-dev
 *
 * To start it takes longer than most calls, so its answer is kept for a while.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/process.h"

#include "runtime_priv.h"

static struct nd_error *
start(int output_fd, struct nd_process **ret)
{
    static const char *const argv[] = {"runc", "--version", NULL};
    const struct nd_process_options options = {
        .argv = argv, .fds = {-1, output_fd, -1}, .n_fds = 3, .new_session = true};

    return nd_process_start(&options, ret);
}

/* Everything that comes until the end; what is beyond the limit is dropped. */
static struct nd_error *
read_all(struct nd_stream *s, char *dst, size_t cap, size_t *ret)
{
    char rest[256];
    size_t len = 0, n;

    do {
        bool full = len == cap;

        ND_TRY(nd_stream_read(s, full ? rest : dst + len, full ? sizeof(rest) : cap - len, &n));
        len += full ? 0 : n;
    } while (n != 0);
    *ret = len;
    return NULL;
}

/* Run it with its output in a pipe of ours. */
static struct nd_error *
run(char *dst, size_t cap, size_t *ret_len)
{
    ND_AUTO(nd_process_freep) struct nd_process *process = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *output = NULL;
    ND_AUTO(nd_closep) int read_fd = -1;
    int fds[2], status;
    struct nd_error *err;

    ND_DEADLINE_IN(ND_RUNTIME_TIMEOUT_NS);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return nd_error_errno(errno, "make a pipe");
    read_fd = fds[0];
    err = start(fds[1], &process);
    close(fds[1]);
    ND_TRY(err);
    ND_TRY(nd_stream_from_fd(read_fd, &output));
    (void)ND_TAKE_FD(read_fd);
    ND_TRY(read_all(output, dst, cap, ret_len));
    ND_TRY(nd_process_wait(process, &status));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return nd_error_new(ND_UNAVAILABLE, "it ended with status %d", status);
    return NULL;
}

struct nd_error *
nd_runtime_version_parse(struct nd_str output, struct nd_arena *arena, struct nd_host_runtime *ret)
{
    const struct nd_str version = ND_STR("runc version "), commit = ND_STR("commit: ");
    struct nd_host_runtime found = {"", ""};
    struct nd_str line;

    if (!nd_str_is_utf8(output))
        return nd_error_new(ND_UNAVAILABLE, "runc --version does not print text");
    while (nd_str_next(&output, '\n', &line)) {
        if (nd_str_starts(line, version))
            found.version = nd_arena_str(arena, nd_str_trim(nd_str_from(line, version.len)));
        else if (nd_str_starts(line, commit))
            found.commit = nd_arena_str(arena, nd_str_trim(nd_str_from(line, commit.len)));
    }
    if (found.version[0] == '\0')
        return nd_error_new(ND_UNAVAILABLE, "runc --version does not tell its version");
    *ret = found;
    return NULL;
}

static struct nd_error *
ask(struct nd_arena *arena, struct nd_host_runtime *ret)
{
    char output[ND_RUNTIME_OUTPUT_BYTES];
    size_t len = 0;

    ND_TRY_DOING(run(output, sizeof(output), &len), "runc --version");
    return nd_runtime_version_parse(nd_str_n(output, len), arena, ret);
}

void
nd_runtime_cache_fini(struct nd_runtime_cache *cache)
{
    nd_free(cache->version);
    nd_free(cache->commit);
}

static void
keep(struct nd_runtime_cache *cache, const struct nd_host_runtime *found)
{
    nd_runtime_cache_fini(cache);
    cache->version = nd_strdup(found->version);
    cache->commit = nd_strdup(found->commit);
    cache->fresh_until.ns = nd_loop_now().ns + ND_RUNTIME_FRESH_NS;
}

struct nd_error *
nd_runtime_find(struct nd_runtime_cache *cache, struct nd_arena *arena, struct nd_host_runtime *ret)
{
    if (cache->version != NULL && nd_loop_now().ns < cache->fresh_until.ns) {
        ret->version = nd_arena_strdup(arena, cache->version);
        ret->commit = nd_arena_strdup(arena, cache->commit);
        return NULL;
    }
    ND_TRY(ask(arena, ret));
    keep(cache, ret);
    return NULL;
}
