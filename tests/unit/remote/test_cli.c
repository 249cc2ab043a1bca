/*
 * The whole program against a daemon that pretends: exit codes, what goes where, signals, losses.
 * Each run is a process of its own, as for a user; nothing sleeps, everything waits for output or
 * an end.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#include "check.h"
#include "cli.h"
#include "fake_daemon.h"

#define MAX_WORDS 16
#define ID        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct fixture {
    char folder[64];
    char host[96]; /* address of the fake */
    pid_t daemon;
};

static int
set_up(void **state)
{
    struct fixture *f = nd_new(struct fixture);

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/nd-cli-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->host, sizeof(f->host), "unix://%s/d.sock", f->folder);
    f->daemon = fake_daemon_start(f->host);
    assert_true(f->daemon > 0);
    assert_int_equal(setenv("NERDCTL_HOST", f->host, 1), 0);
    assert_int_equal(setenv("XDG_CONFIG_HOME", f->folder, 1), 0);
    assert_int_equal(unsetenv("CONTAINERD_NAMESPACE"), 0);
    assert_int_equal(unsetenv("NERDCTL_NAMESPACE"), 0);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    char path[128];

    (void)kill(f->daemon, SIGKILL);
    (void)waitpid(f->daemon, NULL, 0);
    (void)snprintf(path, sizeof(path), "%s/d.sock", f->folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/id", f->folder);
    (void)unlink(path);
    (void)rmdir(f->folder);
    nd_free(f);
    return 0;
}

/* A running program and what it has written so far. */
struct program {
    pid_t pid;
    int out, err;
    struct nd_buf out_text, err_text;
};

/* Blanks separate words. */
static void
run_words(const char *line)
{
    char copy[512], *argv[MAX_WORDS + 2] = {(char *)ND_PROGRAM};
    struct nd_str rest = nd_str(line), word;
    int argc = 1;
    size_t at = 0;

    while (nd_str_next(&rest, ' ', &word) && argc <= MAX_WORDS) {
        argv[argc++] = copy + at;
        memcpy(copy + at, word.ptr, word.len);
        at += word.len;
        copy[at++] = '\0';
    }
    _exit(nd_cli_main(argc, argv));
}

static void
start(struct program *p, const char *line)
{
    int out[2], err[2];

    *p = (struct program){.out_text = ND_BUF_INIT(8 << 20), .err_text = ND_BUF_INIT(8 << 20)};
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    p->pid = fork();
    if (p->pid == 0) {
        close(out[0]);
        close(err[0]);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(err[1], STDERR_FILENO);
        run_words(line);
    }
    close(out[1]);
    close(err[1]);
    p->out = out[0];
    p->err = err[0];
}

static bool
read_more(int fd, struct nd_buf *text)
{
    char piece[65536];
    ssize_t n = read(fd, piece, sizeof(piece));

    if (n > 0)
        nd_buf_put(text, nd_str_n(piece, (size_t)n));
    return n > 0;
}

static void
wait_for(int fd, struct nd_buf *got, const char *text)
{
    while (got->ptr == NULL || strstr(got->ptr, text) == NULL) {
        if (!read_more(fd, got))
            fail_msg("the program ended without writing \"%s\"", text);
    }
}

static void
wait_for_output(struct program *p, const char *text)
{
    wait_for(p->out, &p->out_text, text);
}

/* The exit code, 128 + signal as shells have it. Everything was read then. */
static int
finish(struct program *p)
{
    int status;

    while (p->out >= 0 && read_more(p->out, &p->out_text))
        continue;
    while (read_more(p->err, &p->err_text))
        continue;
    nd_buf_putz(&p->out_text, "");
    nd_buf_putz(&p->err_text, "");
    nd_closep(&p->out);
    nd_closep(&p->err);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
forget(struct program *p)
{
    nd_buf_fini(&p->out_text);
    nd_buf_fini(&p->err_text);
}

static const char *
text_of(const struct nd_buf *buf)
{
    return buf->ptr != NULL ? buf->ptr : "";
}

/* Runs to the end. NULL for what is not looked at; `err` is a part. */
static void
check_run(const char *line, int code, const char *out, const char *err)
{
    struct program p;
    int got;

    start(&p, line);
    got = finish(&p);
    if (got != code)
        print_error("%s: %d, not %d\n%s%s", line, got, code, text_of(&p.out_text),
                    text_of(&p.err_text));
    assert_int_equal(got, code);
    if (out != NULL)
        assert_string_equal(text_of(&p.out_text), out);
    if (err != NULL && strstr(text_of(&p.err_text), err) == NULL)
        print_error("%s: \"%s\" does not say \"%s\"\n", line, text_of(&p.err_text), err);
    if (err != NULL)
        assert_non_null(strstr(text_of(&p.err_text), err));
    forget(&p);
}

static void
exit_codes_are_docker_s(void **state)
{
    (void)state;
    check_run("run echo", 7, "out\n", "err\n");
    check_run("run --rm echo arg", 7, "out\n", "level=warning msg=\"mind the gap\"");
    check_run("run grumble", 5, "", NULL);
    check_run("run missing", 125, "", "hint: load it\nhint: or another one\n");
    check_run("run noexec", 126, "", "permission denied");
    check_run("run badfield", 125, "", "msg=\"--user: is odd\"");
    check_run("run --nope echo", 125, "", "unknown flag: --nope");
    check_run("run -m lots echo", 125, "", "--memory");
    check_run("run -p 80 echo", 125, "", "flag --publish is not supported");
    check_run("run -i echo", 7, "out\n", "err\n");
    check_run("run --detach-keys ctrl- echo", 125, "", "--detach-keys");
    check_run("run silent", 125, "", "without saying how it went");
    check_run("ps --nope", 1, "", "unknown flag: --nope");
    check_run("nope", 1, "", "unknown subcommand");
    check_run("exec x", 1, "", "requires at least 2 arg");
    check_run("build x", 1, "", "not supported by this version");
    check_run("run --help", 0, NULL, NULL);
    check_run("container", 0, NULL, NULL);
    check_run("--version", 0, ND_PROGRAM " version 0.1.0\n", NULL);
}

static void
outputs_can_be_chosen(void **state)
{
    (void)state;
    check_run("run -a stdout echo", 7, "out\n", NULL);
    check_run("run -a stderr echo", 7, "", "err\n");
    check_run("run -a stdin echo", 7, "", "");
    check_run("run -a nowhere echo", 125, "", "invalid stream");
    check_run("run -d -a stdout echo", 125, "", "incompatible flags -d and -a");
}

static void
detached_runs_print_the_id(void **state)
{
    struct fixture *f = *state;
    char line[256], path[128], id[80] = "";
    int fd;

    check_run("run -d echo", 0, ID "\n", NULL);
    (void)snprintf(path, sizeof(path), "%s/id", f->folder);
    (void)snprintf(line, sizeof(line), "run -d --cidfile %s echo", path);
    check_run(line, 0, ID "\n", NULL);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, id, sizeof(id)), 64);
    close(fd);
    assert_string_equal(id, ID);
    check_run(line, 125, "", "container ID file found");
}

static void
everything_a_container_writes_arrives(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run flood");
    assert_int_equal(finish(&p), 0);
    assert_int_equal(p.out_text.len, 1024 * 1024);
    forget(&p);
}

static void
signals_are_passed_on(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run signals");
    wait_for_output(&p, "up\n");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    wait_for_output(&p, "TERM\n");
    assert_int_equal(kill(p.pid, SIGUSR1), 0);
    wait_for_output(&p, "USR1\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    assert_int_equal(finish(&p), 3);
    assert_string_equal(p.out_text.ptr, "up\nTERM\nUSR1\nINT\n");
    forget(&p);
}

static void
the_third_interrupt_ends_us(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run deaf");
    wait_for_output(&p, "up\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    wait_for_output(&p, "INT\n");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    wait_for_output(&p, "TERM\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    assert_int_equal(finish(&p), 1);
    assert_non_null(strstr(p.err_text.ptr, "forcefully exiting"));
    forget(&p);
}

static void
without_sig_proxy_signals_are_ours(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run --sig-proxy=false deaf");
    wait_for_output(&p, "up\n");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    assert_int_equal(finish(&p), 128 + SIGTERM);
    forget(&p);
}

static void
an_interrupt_before_the_start_cancels(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run slow");
    wait_for(p.err, &p.err_text, "takes a while");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    assert_int_equal(finish(&p), 130);
    assert_string_equal(text_of(&p.out_text), "");
    assert_null(strstr(p.err_text.ptr, "fatal"));
    forget(&p);
}

static void
a_lost_daemon_is_125(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run die");
    assert_int_equal(finish(&p), 125);
    assert_string_equal(p.out_text.ptr, "up\n");
    assert_non_null(strstr(p.err_text.ptr, "lost the connection to the daemon"));
    assert_non_null(strstr(p.err_text.ptr, "hint: the container goes on"));
    forget(&p);
}

static void
an_unread_pipe_ends_us_like_any_filter(void **state)
{
    struct program p;

    (void)state;
    start(&p, "run flood");
    assert_true(read_more(p.out, &p.out_text));
    nd_closep(&p.out);
    p.out = -1;
    assert_int_equal(finish(&p), 128 + SIGPIPE);
    forget(&p);
}

static void
several_targets_keep_their_order(void **state)
{
    (void)state;
    check_run("stop a b c", 0, "a\nb\nc\n", NULL);
    check_run("stop a x1 c", 1, "a\nc\n", "level=fatal msg=\"no such container: x1\"\nhint: look");
    check_run("stop x1 b x2", 1, "b\n",
              "msg=\"2 errors:\\nno such container: x1\\nno such container: x2\"\n"
              "hint: look around\n");
    check_run("wait a bb ccc", 0, "1\n2\n3\n", NULL);
}

static void
the_namespace_travels(void **state)
{
    (void)state;
    check_run("version -f {{.Server.Version}}", 0, "none\n", NULL);
    check_run("-n k8s.io version -f {{.Server.Version}}", 0, "k8s.io\n", NULL);
    check_run("version --namespace x -f {{.Server.Version}}", 0, "x\n", NULL);
}

static void
connection_problems_come_with_advice(void **state)
{
    struct fixture *f = *state;
    char line[256], path[128];

    check_run("-H unix:///nonexistent/d.sock ps", 1, "",
              "hint: is the daemon running on this host?");
    check_run("-H tcp://127.0.0.1:1 ps", 1, "", "hint: is nerdctl-grpcd running there");
    check_run("-H ssh://host ps", 1, "", "hint: forward the socket");
    check_run("-H nonsense ps", 1, "", "hint: write unix:///path/of/socket or tcp://host:port");
    check_run("-H unix:///x --context y ps", 1, "", "either specify --host or --context");
    check_run("--context nope ps", 1, "", "context \\\"nope\\\" does not exist");
    check_run("-H unix:///nonexistent version -f {{.Client.Os}}", 1, "linux\n", "cannot connect");
    (void)snprintf(path, sizeof(path), "%s/id", f->folder);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    (void)snprintf(line, sizeof(line), "-H unix://%s ps", path);
    check_run(line, 1, "", "hint: the socket is there but nobody answers");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exit_codes_are_docker_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outputs_can_be_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(detached_runs_print_the_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everything_a_container_writes_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_are_passed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_third_interrupt_ends_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_sig_proxy_signals_are_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interrupt_before_the_start_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_daemon_is_125, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unread_pipe_ends_us_like_any_filter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_targets_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_namespace_travels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connection_problems_come_with_advice, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
