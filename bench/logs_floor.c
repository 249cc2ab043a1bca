/*
 * The floor of reading a log: read the json-file, take the text out of every line, hand it to
 * another thread through a Unix socket. One loop in plain C, no waiting for more, no options.
 *
 *     logs_floor FILE       for each byte of standard input one pass; prints nanoseconds and bytes
 *
 * What a line looks like is taken for granted: {"log":"...","stream":...}; so this is faster than
 * what has to be prepared for anything.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define READ_BYTES (1024u * 1024u)
#define SEND_BYTES (64u * 1024u)

struct floor {
    int out;
    char in[2 * READ_BYTES];
    size_t n_in;
    char text[SEND_BYTES + 8];
    size_t n_text;
    uint64_t total;
};

static void *
drain(void *arg)
{
    static char buf[READ_BYTES];
    int fd = *(int *)arg;

    while (read(fd, buf, sizeof(buf)) > 0)
        ;
    return NULL;
}

static void
send_text(struct floor *f)
{
    for (size_t done = 0; done < f->n_text;) {
        ssize_t n = write(f->out, f->text + done, f->n_text - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    f->total += f->n_text;
    f->n_text = 0;
}

/* The character behind a backslash; \u escapes count as one byte here. */
static char
unescape(const char **p)
{
    char c = *(*p)++;

    if (c == 'u')
        *p += 4;
    return c == 'n' ? '\n' : c;
}

static void
take_line(struct floor *f, const char *line)
{
    const char *p = line + sizeof("{\"log\":\"") - 1;

    while (*p != '"') {
        size_t run = strcspn(p, "\"\\");

        while (run > 0) {
            size_t room = SEND_BYTES - f->n_text;
            size_t n = ND_MIN(run, room);

            memcpy(f->text + f->n_text, p, n);
            f->n_text += n;
            p += n;
            run -= n;
            if (f->n_text == SEND_BYTES)
                send_text(f);
        }
        if (*p == '\\') {
            p++;
            f->text[f->n_text++] = unescape(&p);
        }
    }
}

static void
take_lines(struct floor *f)
{
    char *line = f->in, *end;

    while ((end = memchr(line, '\n', f->n_in - (size_t)(line - f->in))) != NULL) {
        take_line(f, line);
        line = end + 1;
    }
    f->n_in -= (size_t)(line - f->in);
    memmove(f->in, line, f->n_in);
}

static void
one_pass(struct floor *f, int fd)
{
    struct nd_mono begin = nd_mono_now();
    int pair[2];
    pthread_t reader;
    ssize_t n;

    f->total = 0;
    f->n_in = 0;
    (void)lseek(fd, 0, SEEK_SET);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        pthread_create(&reader, NULL, drain, &pair[1]) != 0)
        return;
    f->out = pair[0];
    while ((n = read(fd, f->in + f->n_in, READ_BYTES)) > 0) {
        f->n_in += (size_t)n;
        take_lines(f);
    }
    send_text(f);
    (void)close(pair[0]);
    (void)pthread_join(reader, NULL);
    (void)close(pair[1]);
    printf("%" PRId64 " %" PRIu64 "\n", nd_mono_now().ns - begin.ns, f->total);
    (void)fflush(stdout);
}

int
main(int argc, char **argv)
{
    static struct floor f;
    char go;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0) {
        (void)fputs("usage: logs_floor FILE\n", stderr);
        return 2;
    }
    while (read(0, &go, 1) == 1)
        one_pass(&f, fd);
    return 0;
}
