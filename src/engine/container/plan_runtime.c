/*
 * The part of a plan about what surrounds the process: its log, its init, its runtime.
 *
 * The log drivers are json-file, which our helper writes, and none. A driver of nerdctl that is not
 * here is refused by its name, and so is an option of json-file that would be without effect.
 */

#include <ctype.h>
#include <stdlib.h>

#include "plan_priv.h"

static const char *const later_drivers[] = {"journald", "fluentd", "syslog", "local",
                                            "gelf",     "awslogs", "splunk"};

static struct nd_error *
check_max_size(const char *value)
{
    uint64_t bytes = 0;

    ND_TRY(nd_log_size_parse(nd_str(value), &bytes));
    if (bytes == 0)
        return nd_error_new(ND_INVALID, "max-size is 0");
    return NULL;
}

static struct nd_error *
check_max_file(const char *value)
{
    uint64_t n;
    struct nd_error *err = nd_parse_u64(nd_str(value), 100000, &n);

    if (err == NULL && n > 0)
        return NULL;
    nd_error_free(err);
    return nd_error_new(ND_INVALID, "max-file: \"%.40s\" is not a number of files", value);
}

static struct nd_error *
check_any(const char *value)
{
    (void)value;
    return NULL;
}

static const struct {
    const char *key;
    struct nd_error *(*check)(const char *value); /* NULL: not part of this version */
} json_file_options[] = {
    {"max-size", check_max_size},
    {"max-file", check_max_file},
    {"labels", check_any},
    {"env", check_any},
    {"log-path", NULL},
    {"compress", NULL},
    {"mode", NULL},
    {"max-buffer-size", NULL},
    {"tag", NULL},
    {"env-regex", NULL},
    {"labels-regex", NULL},
};

struct nd_error *
nd_log_size_parse(struct nd_str text, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t n, unit = 1;
    struct nd_str suffix;
    struct nd_error *err;

    while (digits < text.len && isdigit((unsigned char)text.ptr[digits]))
        digits++;
    suffix = nd_str_trim(nd_str_from(text, digits));
    if (suffix.len > 1 && tolower((unsigned char)suffix.ptr[suffix.len - 1]) == 'b')
        suffix.len--;
    if (suffix.len == 1) {
        switch (tolower((unsigned char)suffix.ptr[0])) {
        case 'k':
            unit = 1000;
            break;
        case 'm':
            unit = 1000 * 1000;
            break;
        case 'g':
            unit = 1000 * 1000 * 1000;
            break;
        case 'b':
            break;
        default:
            digits = 0;
            break;
        }
    } else if (suffix.len > 1) {
        digits = 0;
    }
    err = nd_parse_u64(nd_str_sub(text, 0, digits), UINT64_MAX / 2 / unit, &n);
    if (err != NULL) {
        nd_error_free(err);
        return nd_error_new(ND_INVALID, "\"%.*s\" is no size such as 10m",
                            ND_STR_ARG(nd_str_sub(text, 0, 40)));
    }
    *ret = n * unit;
    return NULL;
}

static struct nd_error *
check_log_option(const char *key, const char *value)
{
    if (strlen(key) + strlen(value) > ND_LABEL_MAX_BYTES / 2)
        return nd_error_new(ND_INVALID, "\"%.40s\" is too long", key);
    for (size_t i = 0; i < ND_LEN(json_file_options); i++) {
        if (strcmp(key, json_file_options[i].key) != 0)
            continue;
        if (json_file_options[i].check == NULL)
            return nd_error_reason(
                nd_error_new(ND_UNIMPLEMENTED, "\"%s\" is not part of this version", key),
                "NOT_SUPPORTED");
        return json_file_options[i].check(value);
    }
    return nd_error_new(ND_INVALID, "json-file has no option \"%.64s\"", key);
}

static bool
has_log_option(const Pb__LogConfig *log, const char *key)
{
    for (size_t i = 0; i < log->n_options; i++) {
        if (strcmp(log->options[i]->key, key) == 0)
            return true;
    }
    return false;
}

static struct nd_error *
plan_log_options(struct plan *plan, const Pb__LogConfig *log)
{
    struct nd_log_option *options =
        nd_arena_new_array(plan->arena, log->n_options, struct nd_log_option);

    ND_TRY(nd_check_count("options", log->n_options, ND_CONFIG_MAX_LOG_OPTIONS));
    for (size_t i = 0; i < log->n_options; i++) {
        ND_TRY(nd_in_entry(check_log_option(log->options[i]->key, log->options[i]->value),
                           "options", log->options[i]->key));
        options[i] = (struct nd_log_option){log->options[i]->key, log->options[i]->value};
    }
    if (has_log_option(log, "max-file") && !has_log_option(log, "max-size"))
        nd_plan_warn(plan, "log option max-file has no effect without max-size");
    plan->log.options = options;
    plan->log.n_options = log->n_options;
    return NULL;
}

static struct nd_error *
plan_driver(struct plan *plan, const Pb__LogConfig *log)
{
    if (strcmp(log->driver, "none") == 0) {
        plan->log_none = true;
        if (log->n_options > 0)
            return nd_error_field("options", "driver none has none");
        return NULL;
    }
    for (size_t i = 0; i < ND_LEN(later_drivers); i++) {
        if (strcmp(log->driver, later_drivers[i]) == 0)
            return nd_not_yet("driver", "%s is not part of this version", log->driver);
    }
    if (strstr(log->driver, "://") != NULL)
        return nd_not_yet("driver", "a log URI is not part of this version");
    if (log->driver[0] != '\0' && strcmp(log->driver, "json-file") != 0)
        return nd_error_field("driver", "\"%.40s\" is no log driver", log->driver);
    return plan_log_options(plan, log);
}

struct nd_error *
nd_plan_log(struct plan *plan)
{
    const Pb__LogConfig *log = plan->config->log;
    struct nd_error *err;

    plan->log = (struct nd_log_config){.driver = "json-file",
                                       .address = plan->settings->containerd_address};
    if (log == NULL)
        return NULL;
    err = plan_driver(plan, log);
    return err != NULL ? nd_error_in_field(err, "log") : NULL;
}

static struct nd_error *
check_program_name(const char *name)
{
    ND_TRY(nd_check_text(name, 255));
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-+", *c) == NULL)
            return nd_error_new(ND_INVALID, "\"%.64s\" is neither a name nor an absolute path",
                                name);
    }
    return NULL;
}

/* An init to be found in PATH, or a path; looked for when the container is made. */
static struct nd_error *
plan_init(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;
    struct nd_error *err;

    if (!c->init) {
        if (c->init_binary[0] != '\0')
            return nd_error_field("init_binary", "needs init");
        return NULL;
    }
    plan->init_binary = c->init_binary[0] != '\0' ? c->init_binary : "tini";
    if (plan->init_binary[0] == '/')
        err = nd_clean_path(plan->arena, plan->init_binary, &plan->init_binary);
    else
        err = check_program_name(plan->init_binary);
    return err != NULL ? nd_error_in_field(err, "init_binary") : NULL;
}

/*
 * "io.containerd.runc.v2" names a shim; what is anything else names the program that runc's shim
 * runs instead of runc, as nerdctl has it.
 */
struct nd_error *
nd_plan_runtime(struct plan *plan)
{
    const char *asked = plan->config->runtime;
    const char *usual = plan->settings->runtime;
    struct nd_error *err = NULL;

    ND_TRY(plan_init(plan));
    plan->runtime = usual != NULL ? usual : "io.containerd.runc.v2";
    if (asked[0] == '\0')
        return NULL;
    if (asked[0] == '/') {
        err = nd_clean_path(plan->arena, asked, &plan->runtime_binary);
    } else {
        err = check_program_name(asked);
        if (strncmp(asked, "io.containerd.", 14) == 0)
            plan->runtime = asked;
        else
            plan->runtime_binary = asked;
    }
    if (plan->runtime_binary != NULL)
        plan->runtime = "io.containerd.runc.v2";
    return err != NULL ? nd_error_in_field(err, "runtime") : NULL;
}
