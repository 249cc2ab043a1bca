/*
 * The same for several objects at once.
 *
 * Every argument gets a fiber; their calls share the one connection. Outcomes are kept and printed
 * in the order of the arguments, so that output does not depend on who was first.
 */

#include "targets.h"

#include "fiber/group.h"

#define MAX_TEXT_BYTES (1024u << 10)

struct batch {
    struct nd_cli *cli;
    struct nd_target_job *jobs;
    size_t n;
};

/* A failure belongs to its argument alone, so the fiber itself succeeds. */
static struct nd_error *
run_job(void *arg)
{
    struct nd_target_job *job = arg;

    job->err = job->fn(job);
    return NULL;
}

static struct nd_error *
run_batch(void *arg)
{
    struct batch *batch = arg;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("targets", ND_TARGETS_AT_ONCE);

    for (size_t i = 0; i < batch->n; i++)
        ND_TRY(nd_group_spawn(g, run_job, &batch->jobs[i]));
    return nd_group_wait(g);
}

/* Hints that several failures share are worth saying once. */
static struct nd_error *
add_hints(struct nd_error *to, const struct nd_error *from)
{
    for (size_t i = 0; i < nd_error_n_hints(from); i++) {
        const char *hint = nd_error_get_hint(from, i);
        bool known = false;

        for (size_t k = 0; k < nd_error_n_hints(to); k++)
            known = known || strcmp(nd_error_get_hint(to, k), hint) == 0;
        if (!known)
            to = nd_error_hint(to, "%s", hint);
    }
    return to;
}

struct nd_error *
nd_errors_join(struct nd_error **errors, size_t n)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(MAX_TEXT_BYTES);
    struct nd_error *first = NULL, *all;
    size_t failed = 0;

    for (size_t i = 0; i < n; i++) {
        if (errors[i] == NULL)
            continue;
        failed++;
        if (first == NULL)
            first = errors[i];
        if (text.len < MAX_TEXT_BYTES / 2)
            nd_buf_printf(&text, "\n%.1000s", nd_error_message(errors[i]));
    }
    if (failed <= 1)
        return first;
    all = nd_error_new(nd_error_code(first), "%zu errors:%.*s", failed, (int)text.len, text.ptr);
    for (size_t i = 0; i < n; i++) {
        if (errors[i] != NULL)
            all = add_hints(all, errors[i]);
        nd_error_free(errors[i]);
    }
    return all;
}

struct nd_error *
nd_targets_run(struct nd_cli *cli, struct nd_error *(*fn)(struct nd_target_job *job),
               const void *arg)
{
    struct batch batch = {.cli = cli, .n = cli->args.n};
    struct nd_error **errors;

    batch.jobs = nd_arena_new_array(cli->arena, batch.n + 1, struct nd_target_job);
    errors = nd_arena_new_array(cli->arena, batch.n + 1, struct nd_error *);
    for (size_t i = 0; i < batch.n; i++)
        batch.jobs[i] =
            (struct nd_target_job){.cli = cli, .name = nd_cli_arg(cli, i), .arg = arg, .fn = fn};
    errors[batch.n] = nd_cli_call(cli, run_batch, &batch);
    for (size_t i = 0; i < batch.n; i++) {
        errors[i] = batch.jobs[i].err;
        if (errors[i] == NULL && errors[batch.n] == NULL && batch.jobs[i].text != NULL)
            nd_buf_printf(&cli->out, "%s\n", batch.jobs[i].text);
    }
    return nd_errors_join(errors, batch.n + 1);
}
