/*
 * The part of a plan about the process: program, environment, user, the signals that end it.
 *
 * Arguments are held against what execve() takes, so that a list that can never be started is
 * refused here and not by runc.
 */

#include "plan_priv.h"
#include "signals_priv.h"

struct nd_error *
nd_check_strings(const char *list, char *const *texts, size_t n, size_t *total)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(texts[i]);

        if (len > ND_CONFIG_MAX_ARG_BYTES - 1)
            return nd_in_element(
                nd_error_new(ND_INVALID, "is longer than %u bytes", ND_CONFIG_MAX_ARG_BYTES - 1),
                list, i);
        *total += len + 1;
        if (*total > ND_CONFIG_MAX_ARGV_BYTES)
            return nd_error_field(list, "arguments and environment together are over %u bytes",
                                  ND_CONFIG_MAX_ARGV_BYTES);
    }
    return NULL;
}

static struct nd_error *
check_program(const Pb__ContainerConfig *c, size_t *total)
{
    ND_TRY(nd_check_count("args", c->n_args, ND_CONFIG_MAX_ARGS));
    ND_TRY(nd_check_count("entrypoint", c->n_entrypoint, ND_CONFIG_MAX_ARGS));
    ND_TRY(nd_check_strings("args", c->args, c->n_args, total));
    ND_TRY(nd_check_strings("entrypoint", c->entrypoint, c->n_entrypoint, total));
    if (c->n_entrypoint > 0 && c->entrypoint[0][0] == '\0')
        return nd_error_hint(nd_error_field("entrypoint[0]", "is empty"),
                             "set clear_entrypoint to run the arguments alone");
    return NULL;
}

static struct nd_error *
check_variable(const char *variable)
{
    const char *equals = strchr(variable, '=');

    if (equals == NULL)
        return nd_error_new(ND_INVALID, "is not of the form KEY=VALUE");
    if (equals == variable)
        return nd_error_new(ND_INVALID, "has no name before the '='");
    return NULL;
}

static struct nd_error *
check_env(const Pb__ContainerConfig *c, size_t *total)
{
    ND_TRY(nd_check_count("env", c->n_env, ND_CONFIG_MAX_ENV));
    for (size_t i = 0; i < c->n_env; i++)
        ND_TRY(nd_in_element(check_variable(c->env[i]), "env", i));
    return nd_check_strings("env", c->env, c->n_env, total);
}

/* "user" or "user:group"; who that is, is looked up in the image. */
static struct nd_error *
check_user(const char *user)
{
    struct nd_str text = nd_str(user);
    size_t colon = nd_str_find(text, ':');

    if (text.len == 0)
        return NULL;
    ND_TRY(nd_check_text(user, 255));
    if (nd_str_find(text, ' ') != SIZE_MAX || nd_str_find(text, '/') != SIZE_MAX)
        return nd_error_new(ND_INVALID, "is neither a user nor user:group");
    if (colon == SIZE_MAX)
        return NULL;
    if (colon == 0 || colon == text.len - 1 || nd_str_rfind(text, ':') != colon)
        return nd_error_new(ND_INVALID, "is neither a user nor user:group");
    return NULL;
}

static struct nd_error *
check_identity(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    struct nd_error *err = check_user(c->user);
    const char *clean;

    if (err != NULL)
        return nd_error_in_field(err, "user");
    ND_TRY(nd_check_count("group_add", c->n_group_add, ND_CONFIG_MAX_GROUPS));
    for (size_t i = 0; i < c->n_group_add; i++)
        ND_TRY(nd_in_element(nd_check_text(c->group_add[i], 255), "group_add", i));
    if (c->working_dir[0] != '\0') {
        err = nd_clean_path(plan->arena, c->working_dir, &clean);
        if (err != NULL)
            return nd_error_in_field(err, "working_dir");
    }
    return NULL;
}

static struct nd_error *
check_end(const Pb__ContainerConfig *c)
{
    struct nd_error *err;
    int signo;

    if (c->stop_signal[0] != '\0') {
        err = nd_signal_parse(nd_str(c->stop_signal), &signo);
        if (err != NULL)
            return nd_error_in_field(err, "stop_signal");
    }
    if (c->stop_timeout_presence_case == PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT &&
        (c->stop_timeout < 0 || c->stop_timeout > ND_STOP_TIMEOUT_MAX_S))
        return nd_error_field("stop_timeout", "is not between 0 and %d seconds",
                              ND_STOP_TIMEOUT_MAX_S);
    if (c->oom_score_adj_presence_case ==
            PB__CONTAINER_CONFIG__OOM_SCORE_ADJ_PRESENCE_OOM_SCORE_ADJ &&
        (c->oom_score_adj < -1000 || c->oom_score_adj > 1000))
        return nd_error_field("oom_score_adj", "is not between -1000 and 1000");
    return NULL;
}

struct nd_error *
nd_plan_process(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    size_t total = 0;

    ND_TRY(check_program(c, &total));
    ND_TRY(check_env(c, &total));
    ND_TRY(check_identity(plan));
    return check_end(c);
}
