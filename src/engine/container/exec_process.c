/*
 * What a command in a container runs as.
 *
 * It begins as a copy of the container's own process, so it has the same confinement; the request
 * then changes what it may. A user is looked up in the files that the container has now, seen
 * through its first process; the path is resolved within the container's root and never leaves it.
 */

#include <errno.h>

#include "base/alloc.h"
#include "container/limits.h"
#include "fiber/work.h"
#include "oci/capability.h"
#include "oci/user.h"

#include "exec_priv.h"
#include "layers_priv.h"
#include "plan_priv.h"

struct nd_error *
nd_exec_check(const Pb__ExecOptions *o)
{
    size_t total = 0;

    if (o->n_args == 0 || o->args[0][0] == '\0')
        return nd_error_field("args", "names no program");
    ND_TRY(nd_check_count("args", o->n_args, ND_CONFIG_MAX_ARGS));
    ND_TRY(nd_check_strings("args", o->args, o->n_args, &total));
    ND_TRY(nd_check_count("env", o->n_env, ND_CONFIG_MAX_ENV));
    ND_TRY(nd_check_strings("env", o->env, o->n_env, &total));
    for (size_t i = 0; i < o->n_env; i++) {
        if (o->env[i][0] == '=' || strchr(o->env[i], '=') == NULL)
            return nd_in_element(nd_error_new(ND_INVALID, "is not KEY=VALUE"), "env", i);
    }
    if (o->working_dir[0] != '\0' && o->working_dir[0] != '/')
        return nd_error_field("working_dir", "is not an absolute path");
    if (strlen(o->working_dir) > ND_CONFIG_MAX_TEXT)
        return nd_error_field("working_dir", "is longer than %u bytes", ND_CONFIG_MAX_TEXT);
    if (strlen(o->user) > ND_CONFIG_MAX_TEXT)
        return nd_error_field("user", "is longer than %u bytes", ND_CONFIG_MAX_TEXT);
    if (o->detach && o->interactive)
        return nd_error_field("interactive", "does not go together with detach");
    return NULL;
}

/* KEY= of "KEY=VALUE". */
static struct nd_str
key_of(struct nd_str variable)
{
    size_t at = nd_str_find(variable, '=');

    return nd_str_sub(variable, 0, at == SIZE_MAX ? variable.len : at + 1);
}

/* Whether a later one of the request's takes the place of this. */
static bool
is_replaced(const Pb__ExecOptions *o, struct nd_str variable, size_t from)
{
    struct nd_str key = key_of(variable);

    for (size_t i = from; i < o->n_env; i++) {
        if (nd_str_eq(key_of(nd_str(o->env[i])), key))
            return true;
    }
    return false;
}

static void
set_env(struct nd_json *process, const Pb__ExecOptions *o)
{
    const struct nd_json *old = nd_json_find(process, "env");
    struct nd_json *env = nd_json_new_array();
    bool has_term = is_replaced(o, ND_STR("TERM="), 0);

    for (size_t i = 0; i < nd_json_count(old); i++) {
        struct nd_str variable = nd_json_string(nd_json_at(old, i));

        has_term = has_term || nd_str_starts(variable, ND_STR("TERM="));
        if (!is_replaced(o, variable, 0))
            nd_json_push_str(env, variable);
    }
    if (o->tty && !has_term)
        nd_json_push_str(env, ND_STR("TERM=xterm"));
    for (size_t i = 0; i < o->n_env; i++) {
        if (!is_replaced(o, nd_str(o->env[i]), i + 1))
            nd_json_push_str(env, nd_str(o->env[i]));
    }
    nd_json_set_value(process, "env", env);
}

static void
set_args(struct nd_json *process, const Pb__ExecOptions *o)
{
    struct nd_json *args = nd_json_new_array();

    for (size_t i = 0; i < o->n_args; i++)
        nd_json_push_str(args, nd_str(o->args[i]));
    nd_json_set_value(process, "args", args);
}

static void
set_privileged(struct nd_json *process, uint64_t host_caps)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    struct nd_json *all = nd_json_new_object();

    for (size_t set = 0; set < ND_LEN(sets); set++) {
        struct nd_json *names = nd_json_new_array();

        for (unsigned cap = 0; cap < ND_CAP_COUNT; cap++) {
            if ((host_caps & ND_CAP_BIT(cap)) != 0)
                nd_json_push_str(names, nd_str(nd_cap_name(cap)));
        }
        nd_json_set_value(all, sets[set], names);
    }
    nd_json_set_value(process, "capabilities", all);
    nd_json_remove(process, "apparmorProfile");
    nd_json_remove(process, "noNewPrivileges");
}

struct accounts_job {
    const char *root;
    char *passwd, *group;
    size_t passwd_len, group_len;
    int errnum;
};

static void
free_texts(struct accounts_job *job)
{
    nd_free(job->passwd);
    nd_free(job->group);
}

/* A container without such a file, or with something odd in its place, has no names. */
static int
read_one(const char *root, const char *path, char **ret, size_t *ret_len)
{
    int errnum = nd_layers_read(&root, 1, path, ND_ACCOUNTS_MAX_BYTES, ret, ret_len);

    if (errnum == ENOENT || errnum == ENOTDIR || errnum == EISDIR || errnum == ENOTSUP) {
        *ret = nd_strdup("");
        *ret_len = 0;
        return 0;
    }
    return errnum;
}

static void
read_accounts(void *arg)
{
    struct accounts_job *job = arg;

    job->errnum = read_one(job->root, "etc/passwd", &job->passwd, &job->passwd_len);
    if (job->errnum == 0)
        job->errnum = read_one(job->root, "etc/group", &job->group, &job->group_len);
}

static struct nd_error *
set_user(struct nd_json *process, const Pb__ExecOptions *o, uint32_t pid, struct nd_arena *arena)
{
    ND_AUTO(free_texts)
    struct accounts_job job = {.root = nd_arena_printf(arena, "/proc/%u/root/", pid)};
    struct nd_user_query query = {.text = nd_str(o->user)};
    struct nd_json *user, *groups;
    struct nd_user found;
    struct nd_error *err;

    if (o->user[0] == '\0')
        return NULL;
    ND_TRY(nd_work(ND_WORK_SHORT, read_accounts, &job));
    if (job.errnum != 0)
        return nd_error_errno(job.errnum, "read the accounts of the container");
    query.passwd = nd_str_n(job.passwd, job.passwd_len);
    query.group = nd_str_n(job.group, job.group_len);
    err = nd_user_resolve(&query, arena, &found);
    if (err != NULL)
        return nd_error_in_field(nd_error_recode(err, ND_INVALID), "user");
    user = nd_json_new_object();
    groups = nd_json_new_array();
    nd_json_set_u64(user, "uid", found.uid);
    nd_json_set_u64(user, "gid", found.gid);
    for (size_t i = 0; i < found.n_gids; i++)
        nd_json_push(groups, nd_json_new_u64(found.gids[i]));
    nd_json_set_value(user, "additionalGids", groups);
    nd_json_set_value(process, "user", user);
    return NULL;
}

struct nd_error *
nd_exec_process(struct nd_containers *cs, const Pb__ExecOptions *options, const record *rec,
                uint32_t pid, struct nd_arena *arena, struct nd_buf *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *process = NULL;
    const struct nd_json *spec;

    ND_TRY(nd_container_record_spec(rec, arena, &spec));
    if (nd_json_find(spec, "process") == NULL)
        return nd_error_new(ND_DATA_LOSS, "the spec of container %.12s has no process", rec->id);
    process = nd_json_copy(nd_json_find(spec, "process"));
    nd_json_set_bool(process, "terminal", options->tty);
    nd_json_remove(process, "consoleSize");
    set_args(process, options);
    set_env(process, options);
    if (options->working_dir[0] != '\0')
        nd_json_set_text(process, "cwd", options->working_dir);
    if (options->privileged)
        set_privileged(process, nd_host_facts(cs->host)->bounding_caps);
    ND_TRY(set_user(process, options, pid, arena));
    return nd_json_write(process, ND_JSON_PLAIN, ret);
}
