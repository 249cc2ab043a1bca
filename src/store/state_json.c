/*
 * The JSON files of a container's state directory: how its output is logged, which ports are
 * published, what its hooks said of its last start. Texts and order of keys are nerdctl's.
 *
 * The files that the hooks and the daemon both write are written under the lock on the directory.
 * What cannot be understood is ND_DATA_LOSS, never a guess.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/json.h"
#include "fiber/work.h"
#include "store/limits.h"

#include "files_priv.h"
#include "state_priv.h"

#define TIME_TEXT_MAX  64u
#define PROBES_END_MAX ((size_t)256 * 1024) /* bytes at the end of health.json that are looked at */

/* --- reading and writing -------------------------------------------------------------------- */

static void
read_step(void *arg)
{
    struct nd_state_job *job = arg;

    job->errnum = nd_files_read(job->path, ND_STORE_FILE_MAX, &job->text, &job->text_len);
}

static void
replace_step(void *arg)
{
    struct nd_state_job *job = arg;

    job->errnum = nd_files_replace(job->path, job->mode, job->bytes);
}

static struct nd_error *
data_loss(struct nd_error *err, const char *path)
{
    return nd_error_recode(nd_error_wrap(err, "%s", path), ND_DATA_LOSS);
}

static struct nd_error *
read_json(const char *path, struct nd_json **ret)
{
    struct nd_state_job job = {.path = path};
    struct nd_error *err;

    ND_TRY(nd_state_run(&job, read_step, "read"));
    err = nd_json_parse(nd_str_n(job.text, job.text_len), NULL, ret);
    nd_free(job.text);
    return err != NULL ? data_loss(err, path) : NULL;
}

/* A file of the directory. Without its lock: the file is replaced as a whole. */
static struct nd_error *
read_member(struct nd_state *state, const char *name, struct nd_json **ret)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s", state->path, name);

    return read_json(path, ret);
}

/* Replace a file of the directory under its lock. */
static struct nd_error *
replace_locked(struct nd_state *state, const char *name, const struct nd_json *value)
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/%s", state->path, name);
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_STORE_FILE_MAX);
    struct nd_state_job job = {.path = path, .mode = 0600};

    ND_TRY_DOING(nd_json_write(value, ND_JSON_GO, &text), "%s", name);
    ND_TRY(nd_store_lock_take(state->path, ND_STORE_LOCK_DIR, &lock));
    job.bytes = nd_buf_str(&text);
    return nd_state_run(&job, replace_step, "write");
}

/* --- log-config.json ------------------------------------------------------------------------ */

static struct nd_json *
log_config_json(const struct nd_log_config *config)
{
    struct nd_json *value = nd_json_new_object();

    nd_json_set_text(value, "driver", config->driver);
    if (config->n_options > 0) {
        struct nd_json *options = nd_json_new_object();

        for (size_t i = 0; i < config->n_options; i++)
            nd_json_set_text(options, config->options[i].key, config->options[i].value);
        nd_json_sort(options);
        nd_json_set_value(value, "opts", options);
    }
    nd_json_set_text(value, "address", config->address);
    return value;
}

const char *
nd_log_config_format(const struct nd_log_config *config, struct nd_arena *arena)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = log_config_json(config);
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(SIZE_MAX / 8);
    struct nd_error *err = nd_json_write(value, ND_JSON_GO, &text);

    ND_INVARIANT(err == NULL); /* the buffer has no maximum */
    return nd_arena_str(arena, nd_buf_str(&text));
}

const char *
nd_log_config_option(const struct nd_log_config *config, const char *key)
{
    for (size_t i = 0; i < config->n_options; i++) {
        if (strcmp(config->options[i].key, key) == 0)
            return config->options[i].value;
    }
    return NULL;
}

static struct nd_error *
parse_options(const struct nd_json *options, struct nd_arena *arena, struct nd_log_config *ret)
{
    size_t n = nd_json_count(options), i = 0;
    struct nd_log_option *list = nd_arena_new_array(arena, n, struct nd_log_option);
    const struct nd_json *member;
    struct nd_str key, value;

    for (void *pos = NULL; nd_json_next(options, &pos, &key, &member); i++) {
        ND_TRY(nd_json_as_str(member, &value));
        list[i].key = nd_arena_str(arena, key);
        list[i].value = nd_arena_str(arena, value);
    }
    ret->options = list;
    ret->n_options = n;
    return NULL;
}

static struct nd_error *
parse_log_config(const struct nd_json *value, struct nd_arena *arena, struct nd_log_config *ret)
{
    struct nd_str driver, address;
    const struct nd_json *options;

    if (nd_json_type(value) != ND_JSON_OBJECT)
        return nd_error_new(ND_DATA_LOSS, "is no object");
    ND_TRY(nd_json_get_str(value, "driver", &driver));
    ND_TRY(nd_json_get_str(value, "address", &address));
    ND_TRY(nd_json_get_object(value, "opts", &options));
    ret->driver = nd_arena_str(arena, driver);
    ret->address = nd_arena_str(arena, address);
    return parse_options(options, arena, ret);
}

struct nd_error *
nd_state_read_log_config(struct nd_state *state, struct nd_arena *arena, struct nd_log_config *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    struct nd_log_config config = {0};
    struct nd_error *err;

    ND_TRY(read_member(state, "log-config.json", &value));
    err = parse_log_config(value, arena, &config);
    if (err != NULL)
        return data_loss(err, "log-config.json");
    *ret = config;
    return NULL;
}

/* --- network-config.json -------------------------------------------------------------------- */

struct nd_error *
nd_state_ports_text(const struct nd_ports *ports, struct nd_buf *buf)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = nd_json_new_object();

    if (ports->n > ND_STORE_PORTS_MAX)
        return nd_error_new(ND_EXHAUSTED, "%zu published ports, the limit is %u", ports->n,
                            ND_STORE_PORTS_MAX);
    if (ports->n > 0) {
        struct nd_json *list = nd_json_new_array();

        for (size_t i = 0; i < ports->n; i++) {
            struct nd_json *port = nd_json_new_object();

            nd_json_set_i64(port, "HostPort", ports->at[i].host_port);
            nd_json_set_i64(port, "ContainerPort", ports->at[i].container_port);
            nd_json_set_text(port, "Protocol", ports->at[i].protocol);
            nd_json_set_text(port, "HostIP", ports->at[i].host_ip);
            nd_json_push(list, port);
        }
        nd_json_set_value(value, "portMappings", list);
    }
    return nd_json_write(value, ND_JSON_GO, buf);
}

static struct nd_error *
parse_port_number(const struct nd_json *object, const char *key, int32_t *ret)
{
    int64_t v;

    ND_TRY(nd_json_get_i64(object, key, &v));
    if (v < 0 || v > UINT16_MAX)
        return nd_error_field(key, "is no port");
    *ret = (int32_t)v;
    return NULL;
}

static struct nd_error *
parse_port(const struct nd_json *object, struct nd_arena *arena, struct nd_port_mapping *ret)
{
    struct nd_str protocol, host_ip;

    if (nd_json_type(object) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "a port mapping is no object");
    ND_TRY(parse_port_number(object, "HostPort", &ret->host_port));
    ND_TRY(parse_port_number(object, "ContainerPort", &ret->container_port));
    ND_TRY(nd_json_get_str(object, "Protocol", &protocol));
    ND_TRY(nd_json_get_str(object, "HostIP", &host_ip));
    ret->protocol = nd_arena_str(arena, protocol);
    ret->host_ip = nd_arena_str(arena, host_ip);
    return NULL;
}

static struct nd_error *
parse_port_list(const struct nd_json *list, struct nd_arena *arena,
                const struct nd_port_mapping **ret, size_t *ret_n)
{
    size_t n = nd_json_count(list);
    struct nd_port_mapping *ports;

    if (n > ND_STORE_PORTS_MAX)
        return nd_error_new(ND_EXHAUSTED, "%zu published ports, the limit is %u", n,
                            ND_STORE_PORTS_MAX);
    ports = nd_arena_new_array(arena, n, struct nd_port_mapping);
    for (size_t i = 0; i < n; i++)
        ND_TRY(parse_port(nd_json_at(list, i), arena, &ports[i]));
    *ret = ports;
    *ret_n = n;
    return NULL;
}

struct nd_error *
nd_ports_parse(struct nd_str text, struct nd_arena *arena, const struct nd_port_mapping **ret,
               size_t *ret_n)
{
    ND_AUTO(nd_json_freep) struct nd_json *list = NULL;

    ND_TRY(nd_json_parse(text, NULL, &list));
    if (nd_json_type(list) != ND_JSON_ARRAY && nd_json_type(list) != ND_JSON_NULL)
        return nd_error_new(ND_INVALID, "port mappings are no list");
    return parse_port_list(list, arena, ret, ret_n);
}

struct nd_error *
nd_state_read_ports(struct nd_state *state, struct nd_arena *arena,
                    const struct nd_port_mapping **ret, size_t *ret_n)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    const struct nd_json *list;
    struct nd_error *err = read_member(state, "network-config.json", &value);

    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        *ret = NULL;
        *ret_n = 0;
        return NULL;
    }
    if (err != NULL)
        return err;
    err = nd_json_get_array(value, "portMappings", &list);
    if (err == NULL && nd_json_type(value) != ND_JSON_OBJECT)
        err = nd_error_new(ND_DATA_LOSS, "is no object");
    if (err == NULL)
        err = parse_port_list(list, arena, ret, ret_n);
    return err != NULL ? data_loss(err, "network-config.json") : NULL;
}

/* --- lifecycle.json ------------------------------------------------------------------------- */

struct nd_error *
nd_state_write_lifecycle(struct nd_state *state, const struct nd_lifecycle *lifecycle)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = nd_json_new_object();
    char at[ND_RFC3339_SIZE];

    nd_wall_format(lifecycle->started_at, at);
    nd_json_set_text(value, "started_at", at);
    nd_json_set_bool(value, "create_error", lifecycle->create_error);
    return replace_locked(state, "lifecycle.json", value);
}

static struct nd_error *
parse_lifecycle(const struct nd_json *value, struct nd_lifecycle *ret)
{
    struct nd_str at;

    ND_TRY(nd_json_get_str(value, "started_at", &at));
    ND_TRY(nd_json_get_bool(value, "create_error", &ret->create_error));
    if (at.len > TIME_TEXT_MAX)
        return nd_error_field("started_at", "is too long");
    return nd_wall_parse(at, &ret->started_at);
}

struct nd_error *
nd_state_read_lifecycle(struct nd_state *state, struct nd_lifecycle *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    struct nd_lifecycle lifecycle = {0};
    struct nd_error *err;

    ND_TRY(read_member(state, "lifecycle.json", &value));
    err = parse_lifecycle(value, &lifecycle);
    if (err != NULL)
        return data_loss(err, "lifecycle.json");
    *ret = lifecycle;
    return NULL;
}

/* Many files for one way to a thread and back. */
struct starts_job {
    struct nd_state *const *states;
    size_t n;
    struct nd_wall *at;
};

static struct nd_error *
read_start(const char *path, struct nd_wall *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    ND_AUTO(nd_freep) char *text = NULL;
    struct nd_lifecycle lifecycle = {0};
    size_t len;
    int errnum = nd_files_read(path, ND_STORE_FILE_MAX, &text, &len);

    if (errnum != 0)
        return nd_files_error(errnum, "read", path);
    ND_TRY(nd_json_parse(nd_str_n(text, len), NULL, &value));
    ND_TRY(parse_lifecycle(value, &lifecycle));
    *ret = lifecycle.started_at;
    return NULL;
}

static void
read_starts(void *arg)
{
    struct starts_job *job = arg;

    for (size_t i = 0; i < job->n; i++) {
        ND_AUTO(nd_freep) char *path = nd_asprintf("%s/lifecycle.json", job->states[i]->path);

        job->at[i] = (struct nd_wall){0, 0};
        nd_error_free(read_start(path, &job->at[i]));
    }
}

struct nd_error *
nd_states_read_starts(struct nd_state *const *states, size_t n, struct nd_wall *ret)
{
    struct starts_job job = {states, n, ret};

    return n > 0 ? nd_work(ND_WORK_SHORT, read_starts, &job) : NULL;
}

/* --- health.json ---------------------------------------------------------------------------- */

/* The end of the file: it grows for as long as the container lives, and nobody trims it. */
static void
read_end_step(void *arg)
{
    struct nd_state_job *job = arg;
    ND_AUTO(nd_closep) int fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    ssize_t n;

    if (size < 0) {
        job->errnum = errno;
        return;
    }
    job->text = nd_calloc(1, PROBES_END_MAX + 1);
    n = pread(fd, job->text, PROBES_END_MAX,
              size > (off_t)PROBES_END_MAX ? size - (off_t)PROBES_END_MAX : 0);
    if (n < 0)
        job->errnum = errno;
    else
        job->text_len = (size_t)n;
}

/* Lines from the last one backwards. */
static bool
take_last_line(struct nd_str *text, struct nd_str *ret)
{
    size_t newline;

    while (text->len > 0 && text->ptr[text->len - 1] == '\n')
        text->len--;
    if (text->len == 0)
        return false;
    newline = nd_str_rfind(*text, '\n');
    *ret = newline == SIZE_MAX ? *text : nd_str_from(*text, newline + 1);
    text->len = newline == SIZE_MAX ? 0 : newline;
    return true;
}

static bool
is_object(struct nd_str text)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    struct nd_error *err = nd_json_parse(text, NULL, &value);

    nd_error_free(err);
    return err == NULL && nd_json_type(value) == ND_JSON_OBJECT;
}

struct nd_error *
nd_state_read_probes(struct nd_state *state, struct nd_arena *arena,
                     const char *ret[ND_STATE_PROBES_MAX], size_t *ret_n)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/health.json", state->path);
    struct nd_state_job job = {.path = path};
    struct nd_error *err = nd_state_run(&job, read_end_step, "read");
    ND_AUTO(nd_freep) char *text = job.text;
    struct nd_str rest = nd_str_n(text, job.text_len), line, found[ND_STATE_PROBES_MAX];
    size_t n = 0;

    *ret_n = 0;
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return NULL;
    }
    ND_TRY(err);
    while (n < ND_STATE_PROBES_MAX && take_last_line(&rest, &line)) {
        if (is_object(line)) /* not torn, and not only its end was read */
            found[n++] = line;
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = nd_arena_str(arena, found[n - 1 - i]);
    *ret_n = n;
    return NULL;
}
