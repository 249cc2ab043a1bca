/*
 * The part of a plan about confinement: capabilities, seccomp, AppArmor, new privileges.
 *
 * security_options are words; each kind may be given once. A profile for seccomp is the JSON of the
 * runtime specification's linux.seccomp object; it is checked for its outline here, and by runc for
 * the rest.
 */

#include "codec/json.h"

#include "plan_priv.h"

enum security_kind { SEC_SECCOMP, SEC_PRIVILEGES, SEC_APPARMOR, SEC_KINDS };

static struct nd_error *
plan_caps(struct plan *plan)
{
    static const char *const all[] = {"ALL"};
    const Pb__ContainerConfig *c = plan->config;
    nd_capset host = plan->facts->bounding_caps, caps;

    ND_TRY(nd_check_count("cap_add", c->n_cap_add, 2 * ND_CAP_COUNT));
    ND_TRY(nd_check_count("cap_drop", c->n_cap_drop, 2 * ND_CAP_COUNT));
    ND_TRY(nd_cap_apply(host, (const char *const *)c->cap_add, c->n_cap_add,
                        (const char *const *)c->cap_drop, c->n_cap_drop, &caps));
    if (c->privileged)
        ND_TRY(nd_cap_apply(host, all, 1, (const char *const *)c->cap_drop, c->n_cap_drop, &caps));
    plan->caps = caps;
    return NULL;
}

static const char *const seccomp_actions[] = {
    "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
    "SCMP_ACT_TRAP",         "SCMP_ACT_TRACE",       "SCMP_ACT_NOTIFY",
};

/* An object whose defaultAction is a text: enough to know that it is meant to be a profile. */
static struct nd_error *
check_profile(struct nd_str text)
{
    ND_AUTO(nd_json_freep) struct nd_json *json = NULL;
    struct nd_error *err;
    struct nd_str action;

    if (text.len > ND_CONFIG_MAX_PROFILE)
        return nd_error_new(ND_INVALID, "the seccomp profile is over %u bytes",
                            ND_CONFIG_MAX_PROFILE);
    err = nd_json_parse(text, NULL, &json);
    if (err != NULL)
        return nd_error_recode(nd_error_wrap(err, "the seccomp profile"), ND_INVALID);
    err = nd_json_get_str(json, "defaultAction", &action);
    nd_error_free(err);
    for (size_t i = 0; err == NULL && i < ND_LEN(seccomp_actions); i++) {
        if (nd_str_eqz(action, seccomp_actions[i]))
            return NULL;
    }
    return nd_error_new(ND_INVALID, "the seccomp profile has no defaultAction that there is");
}

static struct nd_error *
set_seccomp(struct plan *plan, struct nd_str value)
{
    if (nd_str_eqz(value, "unconfined")) {
        plan->seccomp_unconfined = true;
        return NULL;
    }
    if (plan->config->privileged)
        return nd_error_new(ND_INVALID, "a privileged container has no seccomp profile");
    ND_TRY(check_profile(value));
    plan->seccomp_profile = nd_arena_str(plan->arena, value);
    return NULL;
}

static struct nd_error *
set_privileges(struct plan *plan, struct nd_str value)
{
    struct nd_error *err;

    plan->no_new_privileges = true;
    if (value.len == 0)
        return NULL;
    err = nd_parse_bool(value, &plan->no_new_privileges);
    if (err == NULL)
        return NULL;
    nd_error_free(err);
    return nd_error_new(ND_INVALID, "\"%.*s\" is neither true nor false",
                        ND_STR_ARG(nd_str_sub(value, 0, 40)));
}

static struct nd_error *
set_apparmor(struct plan *plan, struct nd_str value)
{
    plan->apparmor = nd_arena_str(plan->arena, value);
    if (nd_str_eqz(value, "unconfined"))
        return NULL;
    ND_TRY(nd_check_text(plan->apparmor, 255));
    if (!plan->facts->apparmor)
        return nd_error_reason(nd_error_new(ND_PRECONDITION, "this host has no AppArmor"),
                               "HOST_LACKS_SUPPORT");
    if (plan->config->privileged)
        return nd_error_new(ND_INVALID, "a privileged container has no AppArmor profile");
    return NULL;
}

static const struct {
    const char *name;
    enum security_kind kind;
    bool value; /* one is needed */
    struct nd_error *(*set)(struct plan *plan, struct nd_str value);
} options[] = {
    {"seccomp", SEC_SECCOMP, true, set_seccomp},
    {"no-new-privileges", SEC_PRIVILEGES, false, set_privileges},
    {"apparmor", SEC_APPARMOR, true, set_apparmor},
};

/* "name=value", or "name:value" as it was once written. */
static struct nd_error *
set_option(struct plan *plan, const char *option, bool seen[SEC_KINDS])
{
    struct nd_str text = nd_str(option);
    size_t at = strcspn(option, "=:");
    struct nd_str name = nd_str_sub(text, 0, at), value = nd_str_from(text, at + 1);

    for (size_t i = 0; i < ND_LEN(options); i++) {
        if (!nd_str_eqz(name, options[i].name))
            continue;
        if (seen[options[i].kind])
            return nd_error_new(ND_INVALID, "%s was given before", options[i].name);
        seen[options[i].kind] = true;
        if (value.len == 0 && (options[i].value || at < text.len))
            return nd_error_new(ND_INVALID, "%s has no value", options[i].name);
        return options[i].set(plan, value);
    }
    if (nd_str_eqz(name, "label") || nd_str_eqz(name, "systempaths"))
        return nd_error_reason(
            nd_error_new(ND_UNIMPLEMENTED, "%.*s is not part of this version", ND_STR_ARG(name)),
            "NOT_SUPPORTED");
    return nd_error_new(ND_INVALID, "\"%.*s\" is no security option",
                        ND_STR_ARG(nd_str_sub(name, 0, 64)));
}

struct nd_error *
nd_plan_security(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    bool seen[SEC_KINDS] = {false};

    ND_TRY(plan_caps(plan));
    ND_TRY(nd_check_count("security_options", c->n_security_options, ND_CONFIG_MAX_SECURITY));
    for (size_t i = 0; i < c->n_security_options; i++)
        ND_TRY(
            nd_in_element(set_option(plan, c->security_options[i], seen), "security_options", i));
    return NULL;
}
