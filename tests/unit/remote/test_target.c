/* Which daemon: flags, environment, contexts; and the file that keeps them. */

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remote/command.h"
#include "remote/target.h"

#include "check.h"

struct fixture {
    char home[64];
    struct nd_arena *arena;
};

static const char *const variables[] = {"NERDCTL_HOST",         "NERDCTL_CONTEXT",
                                        "CONTAINERD_NAMESPACE", "NERDCTL_NAMESPACE",
                                        "NERDCTL_CERT_PATH",    "NERDCTL_TLS_VERIFY"};

static int
set_up(void **state)
{
    static struct fixture f;

    (void)snprintf(f.home, sizeof(f.home), "/tmp/nd-target-XXXXXX");
    assert_non_null(mkdtemp(f.home));
    f.arena = nd_arena_new(0);
    assert_int_equal(setenv("XDG_CONFIG_HOME", f.home, 1), 0);
    for (size_t i = 0; i < ND_LEN(variables); i++)
        assert_int_equal(unsetenv(variables[i]), 0);
    *state = &f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    (void)unlink(nd_contexts_path(f->arena));
    (void)rmdir(nd_arena_printf(f->arena, "%s/nerdctl-remote", f->home));
    (void)rmdir(f->home);
    nd_arena_free(f->arena);
    return 0;
}

static struct nd_error *
resolve(struct fixture *f, const char *line, struct nd_target *ret)
{
    struct nd_flags *globals = nd_flags_new(f->arena, nd_global_flags);
    struct nd_texts words = {.n = 0};
    struct nd_str rest = nd_str(line), word;
    struct nd_flag_words input = {.n = 0};

    while (nd_str_next(&rest, ' ', &word))
        nd_texts_push(f->arena, &words, word);
    input.words = words.items;
    input.n = words.n;
    ND_TRY(nd_flags_parse(f->arena, &globals, 1, &input));
    return nd_target_resolve(f->arena, globals, ret);
}

static void
save_two(struct fixture *f, const char *current)
{
    struct nd_context items[] = {
        {.name = "prod",
         .description = "the \"real\" one",
         .host = "tcp://prod:9090",
         .namespace = "apps",
         .ca = "/ca",
         .cert = "/cert",
         .key = "/key",
         .tls = true},
        {.name = "lab",
         .description = "",
         .host = "tcp://lab:1",
         .namespace = "",
         .ca = "",
         .cert = "",
         .key = "",
         .tls = false},
    };
    struct nd_contexts contexts = {items, 2, current};

    check_ok(nd_contexts_save(f->arena, &contexts));
}

static void
contexts_survive_the_file(void **state)
{
    struct fixture *f = *state;
    struct nd_contexts contexts;
    const struct nd_context *prod;
    struct stat st;

    check_ok(nd_contexts_load(f->arena, &contexts));
    assert_int_equal(contexts.n, 0);
    save_two(f, "prod");
    check_ok(nd_contexts_load(f->arena, &contexts));
    assert_int_equal(contexts.n, 2);
    assert_string_equal(contexts.current, "prod");
    prod = nd_contexts_find(&contexts, "prod");
    assert_string_equal(prod->description, "the \"real\" one");
    assert_string_equal(prod->host, "tcp://prod:9090");
    assert_string_equal(prod->namespace, "apps");
    assert_string_equal(prod->key, "/key");
    assert_true(prod->tls);
    assert_false(nd_contexts_find(&contexts, "lab")->tls);
    assert_null(nd_contexts_find(&contexts, "nope"));
    assert_int_equal(stat(nd_contexts_path(f->arena), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
the_stronger_source_wins(void **state)
{
    static const struct {
        const char *host_variable, *context_variable, *current, *line;
        const char *host, *origin;
    } cases[] = {
        {NULL, NULL, "", "", ND_DEFAULT_HOST, "the default"},
        {NULL, NULL, "lab", "", "tcp://lab:1", "context lab"},
        {NULL, "prod", "lab", "", "tcp://prod:9090", "context prod"},
        {"tcp://env:1", "prod", "lab", "", "tcp://env:1", "NERDCTL_HOST"},
        {"tcp://env:1", NULL, "", "--context lab", "tcp://lab:1", "context lab"},
        {"tcp://env:1", NULL, "", "--host tcp://flag:1", "tcp://flag:1", "--host"},
        {NULL, NULL, "lab", "-H tcp://flag:1", "tcp://flag:1", "--host"},
        {NULL, NULL, "lab", "--context default", ND_DEFAULT_HOST, "--context"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_target t;

        save_two(f, cases[i].current);
        if (cases[i].host_variable != NULL)
            assert_int_equal(setenv("NERDCTL_HOST", cases[i].host_variable, 1), 0);
        if (cases[i].context_variable != NULL)
            assert_int_equal(setenv("NERDCTL_CONTEXT", cases[i].context_variable, 1), 0);
        check_row(i, cases[i].line, resolve(f, cases[i].line, &t), ND_OK);
        assert_string_equal(t.host, cases[i].host);
        assert_string_equal(t.origin, cases[i].origin);
        assert_int_equal(unsetenv("NERDCTL_HOST"), 0);
        assert_int_equal(unsetenv("NERDCTL_CONTEXT"), 0);
    }
}

static void
contradictions_and_ghosts_are_refused(void **state)
{
    struct fixture *f = *state;
    struct nd_target t;

    save_two(f, "prod");
    check_message(resolve(f, "--host tcp://x:1 --context lab", &t), ND_INVALID,
                  "either specify --host or --context");
    check_message(resolve(f, "--context nope", &t), ND_NOT_FOUND,
                  "context \"nope\" does not exist (chosen by --context)");
    assert_int_equal(setenv("NERDCTL_CONTEXT", "gone", 1), 0);
    check_message(resolve(f, "", &t), ND_NOT_FOUND, "chosen by NERDCTL_CONTEXT");
}

static void
tls_is_verified_unless_refused(void **state)
{
    static const struct {
        const char *line;
        bool tls, skip_verify;
        const char *ca;
    } cases[] = {
        {"-H tcp://x:1", false, false, ""},
        {"-H tcp://x:1 --tls", true, false, ""},
        {"-H tcp://x:1 --tlsverify", true, false, ""},
        {"-H tcp://x:1 --tlsverify=false", true, true, ""},
        {"-H tcp://x:1 --tlscacert /c", true, false, "/c"},
        {"-H tcp://x:1 --tlscert /c --tls=false", false, false, ""},
        {"--context prod", true, false, "/ca"},
        {"--context prod --tlscacert /other", true, false, "/other"},
        {"--context lab", false, false, ""},
    };
    struct fixture *f = *state;
    struct nd_target t;

    save_two(f, "");
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        check_row(i, cases[i].line, resolve(f, cases[i].line, &t), ND_OK);
        assert_int_equal(t.tls, cases[i].tls);
        assert_int_equal(t.skip_verify, cases[i].skip_verify);
        assert_string_equal(t.ca, cases[i].ca);
    }
    assert_int_equal(setenv("NERDCTL_TLS_VERIFY", "1", 1), 0);
    assert_int_equal(setenv("NERDCTL_CERT_PATH", "/certs", 1), 0);
    check_ok(resolve(f, "-H tcp://x:1", &t));
    assert_true(t.tls && !t.skip_verify);
    assert_string_equal(t.key, "/certs/key.pem");
}

static void
namespace_comes_from_flag_then_environment_then_context(void **state)
{
    struct fixture *f = *state;
    struct nd_target t;

    save_two(f, "prod");
    check_ok(resolve(f, "", &t));
    assert_string_equal(t.namespace, "apps");
    assert_int_equal(setenv("NERDCTL_NAMESPACE", "second", 1), 0);
    check_ok(resolve(f, "", &t));
    assert_string_equal(t.namespace, "second");
    assert_int_equal(setenv("CONTAINERD_NAMESPACE", "first", 1), 0);
    check_ok(resolve(f, "", &t));
    assert_string_equal(t.namespace, "first");
    check_ok(resolve(f, "-n flag", &t));
    assert_string_equal(t.namespace, "flag");
}

static void
broken_files_are_named_and_not_in_the_way(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"contexts\":{}}",
                                      "{\"contexts\":[{\"name\":\"x\"}]}",
                                      "{\"contexts\":[{\"name\":1,\"host\":\"y\"}]}",
                                      "{\"contexts\":[1]}",
                                      "{\"current\":[]}"};
    struct fixture *f = *state;

    save_two(f, "");
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        FILE *file = fopen(nd_contexts_path(f->arena), "we");
        struct nd_target t;

        assert_non_null(file);
        (void)fputs(bad[i], file);
        assert_int_equal(fclose(file), 0);
        check_message(resolve(f, "", &t), ND_INVALID, "contexts.json");
        check_ok(resolve(f, "--host tcp://x:1", &t));
        assert_string_equal(t.host, "tcp://x:1");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contexts_survive_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_stronger_source_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(contradictions_and_ghosts_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls_is_verified_unless_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(namespace_comes_from_flag_then_environment_then_context,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_files_are_named_and_not_in_the_way, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
