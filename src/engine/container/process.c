/*
 * The process of a new container: what the image says, and what the request puts in its place.
 *
 * An entrypoint of the request takes away the image's entrypoint and its command; arguments take
 * away the command alone. A variable that is set twice has the later value in the place of the
 * earlier one.
 */

#include "creation_priv.h"
#include "signals_priv.h"

static const char default_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void
add_args(struct creation *c, char *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->args[c->n_args++] = args[i];
}

static struct nd_error *
make_args(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    const struct nd_oci_config *image = c->image.config;
    bool own_entrypoint = config->n_entrypoint > 0 || config->clear_entrypoint;
    size_t program = c->init_path != NULL ? 2 : 0; /* its place, behind the init's words */

    c->n_args = 0;
    c->args = nd_arena_new_array(
        c->arena, 2 + config->n_entrypoint + config->n_args + image->n_entrypoint + image->n_cmd,
        const char *);
    if (c->init_path != NULL) {
        const char *name = strrchr(c->init_path, '/') + 1;

        c->args[c->n_args++] = nd_arena_printf(c->arena, "/sbin/%s", name);
        c->args[c->n_args++] = "--";
    }
    if (own_entrypoint)
        add_args(c, config->entrypoint, config->n_entrypoint);
    else
        add_args(c, (char *const *)image->entrypoint, image->n_entrypoint);
    if (config->n_args > 0 || own_entrypoint)
        add_args(c, config->args, config->n_args);
    else
        add_args(c, (char *const *)image->cmd, image->n_cmd);
    if (c->n_args == program || c->args[program][0] == '\0')
        return nd_error_field("config.args",
                              "nothing to run: neither image nor request name a program");
    return NULL;
}

static void
set_variable(struct creation *c, const char *variable)
{
    size_t name = strcspn(variable, "=") + 1; /* with the '=' */

    for (size_t i = 0; i < c->n_env; i++) {
        if (strncmp(c->env[i], variable, name) == 0) {
            c->env[i] = variable;
            return;
        }
    }
    c->env[c->n_env++] = variable;
}

static bool
sets(const char *const *env, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strncmp(env[i], name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static void
make_env(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    const struct nd_oci_config *image = c->image.config;

    c->n_env = 0;
    c->env = nd_arena_new_array(c->arena, image->n_env + config->n_env + 3, const char *);
    if (!sets((const char *const *)image->env, image->n_env, "PATH="))
        set_variable(c, default_path);
    for (size_t i = 0; i < image->n_env; i++) {
        if (strchr(image->env[i], '=') != NULL)
            set_variable(c, image->env[i]);
    }
    if (config->tty)
        set_variable(c, "TERM=xterm");
    for (size_t i = 0; i < config->n_env; i++)
        set_variable(c, config->env[i]);
    set_variable(c, nd_arena_printf(c->arena, "HOSTNAME=%s", c->hostname));
}

/*
 * As in nerdctl the image's signal wins over the request's; one that is no signal counts as none.
 */
static const char *
stop_signal(const struct creation *c)
{
    const char *signal = c->image.config->stop_signal;
    struct nd_error *err;
    int signo;

    if (signal[0] != '\0') {
        err = nd_signal_parse(nd_str(signal), &signo);
        if (err == NULL)
            return signal;
        nd_plan_warn(c->plan, "the image's stop signal \"%.40s\" is none and not used", signal);
        nd_error_free(err);
    }
    return c->plan->config->stop_signal[0] != '\0' ? c->plan->config->stop_signal : "SIGTERM";
}

struct nd_error *
nd_creation_process(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    const struct nd_oci_config *image = c->image.config;
    const char *folder = image->working_dir;

    ND_TRY(make_args(c));
    make_env(c);
    c->cwd = config->working_dir[0] != '\0' ? config->working_dir
             : folder[0] == '/'             ? folder
                                            : nd_arena_printf(c->arena, "/%s", folder);
    c->stop_signal = stop_signal(c);
    return NULL;
}
