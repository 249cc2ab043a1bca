/*
 * `inspect`: one container in detail, as docker's fields (inspect_docker.c and its parts) or as
 * containerd's record (inspect_native.c).
 *
 * What cannot be known from the record is looked up first: the task, files of the state folder,
 * live interfaces, sizes. A container that ends or goes meanwhile shows what was there.
 */

#include <stdio.h>
#include <unistd.h>

#include "container/query.h"
#include "fiber/work.h"
#include "store/hosts.h"
#include "store/state.h"

#include "inspect_priv.h"
#include "labels_priv.h"
#include "tasks_priv.h"
#include "view_priv.h"

#define DOCUMENT_MAX (32u * 1024u * 1024u) /* far above what a spec and labels can become */

struct files_job {
    const char *paths[4];
    bool there[4];
};

static void
look_at_files(void *arg)
{
    struct files_job *job = arg;

    for (size_t i = 0; i < ND_LEN(job->paths); i++)
        job->there[i] = access(job->paths[i], F_OK) == 0;
}

static struct nd_error *
find_files(struct nd_containers *cs, const char *ns, struct inspection *in)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct files_job job;
    struct nd_store *store;

    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, in->rec->id, &state));
    in->state_path = nd_arena_strdup(in->arena, nd_state_path(state));
    job.paths[0] = nd_state_resolv_conf_path(state);
    job.paths[1] = nd_state_hostname_path(state);
    job.paths[2] = nd_state_log_path(state);
    job.paths[3] = nd_hosts_path(store, ns, in->rec->id, in->arena);
    ND_TRY(nd_work(ND_WORK_SHORT, look_at_files, &job));
    in->resolv_conf = job.there[0] ? nd_arena_strdup(in->arena, job.paths[0])
                                   : nd_inspect_bind_source(in, "/etc/resolv.conf");
    in->hostname_file = job.there[1] ? nd_arena_strdup(in->arena, job.paths[1])
                                     : nd_inspect_bind_source(in, "/etc/hostname");
    in->log_file = job.there[2] ? nd_arena_strdup(in->arena, job.paths[2]) : "";
    if (nd_container_record_label(in->rec, LABEL_HEALTHSTATE) != NULL)
        ND_TRY(nd_state_read_probes(state, in->arena, in->probes, &in->n_probes));
    in->hosts_file = nd_inspect_bind_source(in, "/etc/hosts");
    if (in->hosts_file[0] == '\0' && job.there[3])
        in->hosts_file = job.paths[3];
    return NULL;
}

static struct nd_error *
look_up(struct nd_containers *cs, const char *ns, const Pb__ContainerServiceInspectRequest *req,
        struct inspection *in, Pb__Container **ret_view)
{
    struct nd_error *err;
    Pb__Container *view;
    task *t;

    ND_TRY(nd_task_look(cs, ns, in->rec->id, in->arena, &t));
    in->t = t;
    ND_TRY(nd_container_record_spec(in->rec, in->arena, &in->spec));
    view = nd_view_make(in->rec, t, nd_wall_now(), in->arena);
    in->view = view;
    ND_TRY(nd_view_add_start(cs, ns, view, in->arena));
    err = nd_view_add_ports(cs, ns, view, in->arena);
    if (err != NULL && nd_error_code(err) != ND_DATA_LOSS)
        return err;
    nd_error_free(err); /* an unreadable file of ports hides no container */
    if (req->size)
        ND_TRY(nd_view_add_sizes(cs, ns, in->rec, view));
    in->with_sizes = req->size;
    ND_TRY(find_files(cs, ns, in));
    if (view->pid != 0)
        ND_TRY(nd_interfaces_of(view->pid, in->arena, &in->interfaces, &in->n_interfaces));
    *ret_view = view;
    return NULL;
}

struct nd_error *
nd_container_inspect(struct nd_containers *cs, const char *ns,
                     const Pb__ContainerServiceInspectRequest *req, struct nd_arena *arena,
                     Pb__ContainerServiceInspectResponse *rsp)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(DOCUMENT_MAX);
    struct nd_json_writer w = ND_JSON_WRITER(&text);
    struct inspection in = {.arena = arena};
    Pb__Container *view;
    record *rec;

    if (req->mode != PB__INSPECT_MODE__INSPECT_MODE_UNSPECIFIED &&
        req->mode != PB__INSPECT_MODE__INSPECT_MODE_DOCKER_COMPAT &&
        req->mode != PB__INSPECT_MODE__INSPECT_MODE_NATIVE)
        return nd_error_field("mode", "%d is no mode", (int)req->mode);
    ND_TRY(nd_container_find(cs, ns, req->container, arena, &rec));
    in.rec = rec;
    ND_TRY(look_up(cs, ns, req, &in, &view));
    if (req->mode == PB__INSPECT_MODE__INSPECT_MODE_NATIVE)
        nd_inspect_native(&in, &w);
    else
        nd_inspect_docker(&in, &w);
    rsp->container = view;
    rsp->document = nd_arena_str(arena, nd_buf_str(&text));
    return NULL;
}
