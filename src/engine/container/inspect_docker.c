/*
 * A container as `docker inspect` prints it, as far as nerdctl does: the same names in the same
 * order, each from where nerdctl takes it. Two fields are docker's way and not nerdctl's, because
 * programs decide by them: a container without a task is "created" (nerdctl: an empty text), and
 * Restarting is true only while it is being restarted (nerdctl: whenever it has a restart policy
 * and runs).
 */

#include "codec/limits.h"

#include "inspect_priv.h"
#include "labels_priv.h"
#include "status_priv.h"
#include "view_priv.h"

const char *
nd_inspect_label(const struct inspection *in, const char *key)
{
    const char *value = nd_container_record_label(in->rec, key);

    return value != NULL ? value : "";
}

const char *
nd_inspect_bind_source(const struct inspection *in, const char *destination)
{
    const struct nd_json *mounts = nd_json_find(in->spec, "mounts");

    for (size_t i = 0; i < nd_json_count(mounts); i++) {
        const struct nd_json *m = nd_json_at(mounts, i);

        if (nd_str_eqz(nd_json_string(nd_json_find(m, "destination")), destination))
            return nd_arena_str(in->arena, nd_json_string(nd_json_find(m, "source")));
    }
    return "";
}

void
nd_inspect_value(struct nd_json_writer *w, const struct nd_json *value)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_JSON_MAX_BYTES);
    struct nd_error *err;

    if (value == NULL) {
        nd_json_null(w);
        return;
    }
    err = nd_json_write(value, ND_JSON_PLAIN, &text);
    if (err == NULL)
        nd_json_raw(w, nd_buf_str(&text));
    else
        nd_json_null(w);
    nd_error_free(err);
}

/* RFC 3339 with nanoseconds; "" when it is not known. */
static void
put_time(struct nd_json_writer *w, const char *key, const Google__Protobuf__Timestamp *ts)
{
    struct nd_wall at = nd_wall_of(ts);
    char text[ND_RFC3339_SIZE] = "";

    if (at.sec != 0 || at.nsec != 0)
        (void)nd_wall_format(at, text);
    nd_json_put_text(w, key, text);
}

/* What the last probes found, as nerdctl's timer left it. */
static void
write_probes(const struct inspection *in, struct nd_json_writer *w)
{
    nd_json_key(w, "Log");
    nd_json_begin_array(w);
    for (size_t i = 0; i < in->n_probes; i++)
        nd_json_raw(w, nd_str(in->probes[i]));
    nd_json_end_array(w);
}

/* If somebody probed: status and streak are a label. */
static void
write_health(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *state;
    int64_t streak = 0;
    struct nd_error *err;

    nd_container_record_json_label(in->rec, LABEL_HEALTHSTATE, in->arena, &state);
    if (state == NULL)
        return;
    err = nd_json_get_i64(state, "FailingStreak", &streak);
    nd_error_free(err);
    nd_json_key(w, "Health");
    nd_json_begin_object(w);
    nd_json_key(w, "Status");
    nd_json_str(w, nd_json_string(nd_json_find(state, "Status")));
    nd_json_put_i64(w, "FailingStreak", streak);
    write_probes(in, w);
    nd_json_end_object(w);
}

static void
write_state(const struct inspection *in, struct nd_json_writer *w)
{
    const Pb__Container *v = in->view;
    bool paused = v->state == PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED;

    nd_json_key(w, "State");
    nd_json_begin_object(w);
    nd_json_put_text(w, "Status", nd_state_word(v->state));
    nd_json_put_bool(w, "Running",
                     paused || v->state == PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING);
    nd_json_put_bool(w, "Paused", paused);
    nd_json_put_bool(w, "Restarting", v->state == PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING);
    nd_json_put_u64(w, "Pid", v->pid);
    nd_json_put_u64(w, "ExitCode", v->exit != NULL ? v->exit->code : 0);
    nd_json_put_text(w, "Error", nd_inspect_label(in, LABEL_ERROR));
    put_time(w, "StartedAt", v->started_at);
    put_time(w, "FinishedAt", v->exit != NULL ? v->exit->exited_at : NULL);
    write_health(in, w);
    nd_json_end_object(w);
}

/* Mount labels as they are; without them the binds of the spec, as nerdctl shows them. */
static void
write_mounts(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *labels = nd_view_mount_labels(in->rec, in->arena);
    const struct nd_json *mounts = nd_json_find(in->spec, "mounts");

    nd_json_key(w, "Mounts");
    if (nd_json_count(labels) > 0) {
        nd_inspect_value(w, labels);
        return;
    }
    nd_json_begin_array(w);
    for (size_t i = 0; i < nd_json_count(mounts); i++) {
        const struct nd_json *m = nd_json_at(mounts, i);

        if (!nd_str_eqz(nd_json_string(nd_json_find(m, "type")), "bind"))
            continue;
        nd_json_begin_object(w);
        nd_json_put_text(w, "Type", "bind");
        nd_json_key(w, "Source");
        nd_json_str(w, nd_json_string(nd_json_find(m, "source")));
        nd_json_key(w, "Destination");
        nd_json_str(w, nd_json_string(nd_json_find(m, "destination")));
        nd_json_put_text(w, "Mode", "");
        nd_json_put_bool(w, "RW", true);
        nd_json_put_text(w, "Propagation", "");
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

static void
put_filled(struct nd_json_writer *w, const char *key, const char *text)
{
    if (text[0] != '\0')
        nd_json_put_text(w, key, text);
}

static void
write_labels(const struct inspection *in, struct nd_json_writer *w)
{
    if (in->rec->n_labels == 0)
        return;
    nd_json_key(w, "Labels");
    nd_json_begin_object(w);
    for (size_t i = 0; i < in->rec->n_labels; i++)
        nd_json_put_text(w, in->rec->labels[i]->key, in->rec->labels[i]->value);
    nd_json_end_object(w);
}

static void
put_json_label(const struct inspection *in, struct nd_json_writer *w, const char *key,
               const char *label)
{
    const struct nd_json *value;

    nd_container_record_json_label(in->rec, label, in->arena, &value);
    if (value == NULL)
        return;
    nd_json_key(w, key);
    nd_inspect_value(w, value);
}

/* nerdctl has the first only, and it is always false. */
static void
write_streams(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *process = nd_json_find(in->spec, "process");
    bool open = nd_container_record_label_is(in->rec, LABEL_INTERACTIVE, "true");
    bool attached = nd_container_record_label_is(in->rec, LABEL_ATTACHED, "true");
    bool tty = false;
    struct nd_error *err = nd_json_get_bool(process, "terminal", &tty);

    nd_error_free(err);
    nd_json_put_bool(w, "AttachStdin", open && attached);
    nd_json_put_bool(w, "AttachStdout", attached);
    nd_json_put_bool(w, "AttachStderr", attached);
    put_json_label(in, w, "ExposedPorts", LABEL_EXPOSED_PORTS);
    nd_json_put_bool(w, "Tty", tty);
    nd_json_put_bool(w, "OpenStdin", open);
    nd_json_put_bool(w, "StdinOnce", open && attached);
}

static void
write_config(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *env = nd_json_find(nd_json_find(in->spec, "process"), "env");
    const char *hostname = nd_inspect_label(in, LABEL_HOSTNAME);

    if (hostname[0] == '\0')
        hostname = nd_arena_str(in->arena, nd_json_string(nd_json_find(in->spec, "hostname")));
    nd_json_key(w, "Config");
    nd_json_begin_object(w);
    put_filled(w, "Hostname", hostname);
    put_filled(w, "Domainname", nd_inspect_label(in, LABEL_DOMAINNAME));
    put_filled(w, "User", nd_inspect_label(in, LABEL_USER));
    write_streams(in, w);
    if (nd_json_count(env) > 0) {
        nd_json_key(w, "Env");
        nd_inspect_value(w, env);
    }
    put_json_label(in, w, "Healthcheck", LABEL_HEALTHCHECK);
    put_filled(w, "Image", in->rec->image);
    write_labels(in, w);
    nd_json_end_object(w);
}

static void
write_command(const struct inspection *in, struct nd_json_writer *w)
{
    const Pb__Container *v = in->view;
    size_t n = v->n_command > 0 ? v->n_command - 1 : 0;

    nd_json_put_text(w, "Path", v->n_command > 0 ? v->command[0] : "");
    nd_json_put_texts(w, "Args", n > 0 ? (const char *const *)v->command + 1 : NULL, n);
}

static int64_t
restart_count(const struct inspection *in)
{
    const char *count = nd_container_record_label(in->rec, LABEL_RESTART_COUNT);
    struct nd_error *err;
    int64_t n = 0;

    if (count == NULL || !nd_container_record_label_is(in->rec, LABEL_RESTART_STATUS, "running"))
        return 0;
    err = nd_parse_i64(nd_str(count), 0, INT32_MAX, &n);
    nd_error_free(err);
    return n;
}

void
nd_inspect_docker(const struct inspection *in, struct nd_json_writer *w)
{
    const struct nd_json *process = nd_json_find(in->spec, "process");

    nd_json_begin_object(w);
    nd_json_put_text(w, "Id", in->rec->id);
    put_time(w, "Created", in->rec->created_at);
    write_command(in, w);
    write_state(in, w);
    nd_json_put_text(w, "Image", in->rec->image);
    nd_json_put_text(w, "ResolvConfPath", in->resolv_conf);
    nd_json_put_text(w, "HostnamePath", in->hostname_file);
    nd_json_put_text(w, "HostsPath", in->hosts_file);
    nd_json_put_text(w, "LogPath", in->log_file);
    nd_json_put_text(w, "Name", in->view->name);
    nd_json_put_i64(w, "RestartCount", restart_count(in));
    nd_json_put_text(w, "Driver", in->rec->snapshotter);
    nd_json_put_text(w, "Platform", "linux");
    nd_json_key(w, "AppArmorProfile");
    nd_json_str(w, nd_json_string(nd_json_find(process, "apparmorProfile")));
    nd_inspect_host_config(in, w);
    if (in->with_sizes) {
        nd_json_put_i64(w, "SizeRw", in->view->size_rw);
        nd_json_put_i64(w, "SizeRootFs", in->view->size_root_fs);
    }
    write_mounts(in, w);
    write_config(in, w);
    nd_inspect_network(in, w);
    nd_json_end_object(w);
}
