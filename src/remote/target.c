/*
 * Choosing the daemon: flags beat the environment, the environment beats the current context.
 *
 * The rules are docker's, with NERDCTL_ in the variables' names; only verification differs: whoever
 * asks for TLS gets a verified daemon, unless the command line says --tlsverify=false.
 */

#include "remote/target.h"

#include <stdlib.h>

static const char *
variable(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL ? value : "";
}

struct nd_error *
nd_target_context_name(struct nd_arena *arena, const struct nd_flags *globals,
                       const struct nd_contexts *contexts, const char **ret_name,
                       const char **ret_origin)
{
    const char *name = nd_flag_textz(globals, "context");

    (void)arena;
    if (name[0] != '\0' && nd_flag_text(globals, "host").len > 0)
        return nd_error_new(ND_INVALID, "conflicting options: either specify --host or --context, "
                                        "not both");
    *ret_name = ND_DEFAULT_CONTEXT;
    if (name[0] != '\0') {
        *ret_name = name;
        *ret_origin = "--context";
    } else if (nd_flag_text(globals, "host").len > 0) {
        *ret_origin = "--host";
    } else if (variable("NERDCTL_HOST")[0] != '\0') {
        *ret_origin = "NERDCTL_HOST";
    } else if (variable("NERDCTL_CONTEXT")[0] != '\0') {
        *ret_name = variable("NERDCTL_CONTEXT");
        *ret_origin = "NERDCTL_CONTEXT";
    } else if (contexts->current[0] != '\0') {
        *ret_name = contexts->current;
        *ret_origin = "the current context";
    } else {
        *ret_origin = "the default";
    }
    return NULL;
}

static struct nd_error *
use_context(struct nd_arena *arena, const struct nd_contexts *contexts, struct nd_target *target)
{
    const struct nd_context *c = nd_contexts_find(contexts, target->context);

    if (c == NULL)
        return nd_error_hint(nd_error_new(ND_NOT_FOUND,
                                          "context \"%s\" does not exist (chosen by %s)",
                                          target->context, target->origin),
                             "nerdctl-remote context ls shows those that do");
    target->origin = nd_arena_printf(arena, "context %s", c->name);
    target->host = c->host;
    target->namespace = c->namespace;
    target->tls = c->tls;
    target->skip_verify = c->skip_verify;
    target->ca = c->ca;
    target->cert = c->cert;
    target->key = c->key;
    return NULL;
}

/*
 * NERDCTL_CERT_PATH names a folder with ca.pem, cert.pem and key.pem; NERDCTL_TLS_VERIFY asks for
 * TLS.
 */
static void
use_tls_variables(struct nd_arena *arena, struct nd_target *target)
{
    const char *folder = variable("NERDCTL_CERT_PATH");

    if (variable("NERDCTL_TLS_VERIFY")[0] != '\0')
        target->tls = true;
    if (!target->tls || folder[0] == '\0')
        return;
    target->ca = nd_arena_printf(arena, "%s/ca.pem", folder);
    target->cert = nd_arena_printf(arena, "%s/cert.pem", folder);
    target->key = nd_arena_printf(arena, "%s/key.pem", folder);
}

static void
use_tls_flags(const struct nd_flags *globals, struct nd_target *target)
{
    static const char *const files[] = {"tlscacert", "tlscert", "tlskey"};
    const char **values[] = {&target->ca, &target->cert, &target->key};

    for (size_t i = 0; i < ND_LEN(files); i++) {
        if (nd_flag_text(globals, files[i]).len == 0)
            continue;
        *values[i] = nd_flag_textz(globals, files[i]);
        target->tls = true;
    }
    if (nd_flag_given(globals, "tls"))
        target->tls = nd_flag_bool(globals, "tls");
    if (nd_flag_given(globals, "tlsverify")) {
        target->skip_verify = !nd_flag_bool(globals, "tlsverify");
        target->tls = true;
    }
}

static void
use_namespace(const struct nd_flags *globals, struct nd_target *target)
{
    static const char *const variables[] = {"CONTAINERD_NAMESPACE", "NERDCTL_NAMESPACE"};

    for (size_t i = ND_LEN(variables); i-- > 0;) {
        if (variable(variables[i])[0] != '\0')
            target->namespace = variable(variables[i]);
    }
    if (nd_flag_text(globals, "namespace").len > 0)
        target->namespace = nd_flag_textz(globals, "namespace");
}

struct nd_error *
nd_target_resolve(struct nd_arena *arena, const struct nd_flags *globals, struct nd_target *ret)
{
    struct nd_target target = {.context = ND_DEFAULT_CONTEXT,
                               .origin = "",
                               .host = ND_DEFAULT_HOST,
                               .namespace = "",
                               .ca = "",
                               .cert = "",
                               .key = ""};
    struct nd_contexts contexts = {.current = ""};
    bool explicit_host = nd_flag_text(globals, "host").len > 0;

    /* A broken file must not stand in the way of somebody who does not need it. */
    if (!explicit_host && variable("NERDCTL_HOST")[0] == '\0')
        ND_TRY(nd_contexts_load(arena, &contexts));
    else if (nd_flag_text(globals, "context").len > 0)
        ND_TRY(nd_contexts_load(arena, &contexts));
    ND_TRY(nd_target_context_name(arena, globals, &contexts, &target.context, &target.origin));
    if (strcmp(target.context, ND_DEFAULT_CONTEXT) != 0) {
        ND_TRY(use_context(arena, &contexts, &target));
    } else {
        if (explicit_host)
            target.host = nd_flag_textz(globals, "host");
        else if (variable("NERDCTL_HOST")[0] != '\0' && strcmp(target.origin, "NERDCTL_HOST") == 0)
            target.host = variable("NERDCTL_HOST");
        use_tls_variables(arena, &target);
    }
    use_tls_flags(globals, &target);
    use_namespace(globals, &target);
    *ret = target;
    return NULL;
}
