/*
 * The objects behind events, for filters that ask for names, images or labels. An event of a
 * container carries its id and not much more, and when it says that the container was deleted,
 * nobody can be asked any more. So containers are remembered: those that were there at the
 * beginning, and each that appears.
 *
 *     update    ask containerd, remember
 *     others    what is remembered; else ask, remember
 *     delete    what is remembered; then forget
 *
 * One that is gone before it could be asked about for the first time stays without a name and
 * labels: filters for these pass its events over. Images bring their labels with the event.
 */

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "codec/json.h"
#include "containerd/containers.pb-c.h"
#include "containerd/limits.h"
#include "containerd/namespaces.pb-c.h"
#include "system/limits.h"

#include "events_priv.h"

#define LABEL_NAME "nerdctl/name"

/* One container. */
struct known {
    struct nd_arena *arena; /* holds this and its texts */
    const char *name;
    const char *image;
    struct event_label *labels;
    size_t n_labels;
};

struct event_subjects {
    struct nd_ctrd *ctrd;
    struct nd_map *containers; /* "namespace/id": struct known */
};

struct event_subjects *
nd_event_subjects_new(struct nd_ctrd *ctrd)
{
    struct event_subjects *s = nd_new(struct event_subjects);

    s->ctrd = ctrd;
    s->containers = nd_map_new();
    return s;
}

static void
free_known(struct known *known)
{
    if (known != NULL)
        nd_arena_free(known->arena);
}

static void
forget_all(struct event_subjects *s)
{
    struct nd_str key;
    size_t pos = 0;
    void *known;

    while (nd_map_next(s->containers, &pos, &key, &known))
        free_known(nd_map_take(s->containers, key));
}

void
nd_event_subjects_free(struct event_subjects *s)
{
    if (s == NULL)
        return;
    forget_all(s);
    nd_map_free(s->containers);
    nd_free(s);
}

void
nd_event_subjects_freep(struct event_subjects **s)
{
    nd_event_subjects_free(ND_TAKE(*s));
}

/* --- remembering --- */

static struct nd_str
make_key(const char *ns, const char *id, struct nd_arena *arena)
{
    return nd_str(nd_arena_printf(arena, "%s/%s", ns, id));
}

static struct known *
make_known(const CtContainers__Container *c)
{
    struct nd_arena *arena = nd_arena_new(0);
    struct known *known = nd_arena_new_object(arena, struct known);

    known->arena = arena;
    known->name = "";
    known->image = nd_arena_strdup(arena, c->image);
    known->labels = nd_arena_new_array(arena, c->n_labels, struct event_label);
    known->n_labels = c->n_labels;
    for (size_t i = 0; i < c->n_labels; i++) {
        known->labels[i].key = nd_arena_strdup(arena, c->labels[i]->key);
        known->labels[i].value = nd_arena_strdup(arena, c->labels[i]->value);
        if (strcmp(known->labels[i].key, LABEL_NAME) == 0)
            known->name = known->labels[i].value;
    }
    return known;
}

/* Any other one makes room. */
static void
forget_one(struct event_subjects *s)
{
    struct nd_str key;
    size_t pos = 0;
    void *known;

    if (nd_map_next(s->containers, &pos, &key, &known))
        free_known(nd_map_take(s->containers, key));
}

static void
remember(struct event_subjects *s, const char *ns, const CtContainers__Container *c,
         struct nd_arena *scratch)
{
    if (nd_map_count(s->containers) == ND_EVENTS_KNOWN_MAX)
        forget_one(s);
    free_known(nd_map_set(s->containers, make_key(ns, c->id, scratch), make_known(c)));
}

static struct nd_error *
load_from(struct event_subjects *s, const char *ns, struct nd_client_call *call)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;

    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        CtContainers__ListStreamResponse *rsp;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        if (rsp->container != NULL)
            remember(s, ns, rsp->container, arena);
    }
}

static struct nd_error *
load_namespace(struct event_subjects *s, const char *ns)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_ctrd_stream(s->ctrd, (struct nd_ctrd_scope){.ns = ns}, CT_CONTAINERS_LIST_STREAM,
                          &call));
    return nd_ctrd_stream_error(s->ctrd, load_from(s, ns, call));
}

static struct nd_error *
load_all(struct event_subjects *s)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtNamespaces__ListRequest req = CT_NAMESPACES__LIST_REQUEST__INIT;
    const struct nd_ctrd_scope scope = {NULL, NULL};
    CtNamespaces__ListResponse *rsp;

    ND_TRY(nd_ctrd_call(s->ctrd, scope, CT_NAMESPACES_LIST, &req, arena, &rsp));
    for (size_t i = 0; i < rsp->n_namespaces; i++)
        ND_TRY(load_namespace(s, rsp->namespaces[i]->name));
    return NULL;
}

struct nd_error *
nd_event_subjects_load(struct event_subjects *s, const char *ns)
{
    forget_all(s);
    return ns != NULL ? load_namespace(s, ns) : load_all(s);
}

/* --- finding --- */

static struct nd_error *
ask(struct event_subjects *s, const char *ns, const char *id, struct nd_arena *arena,
    const CtContainers__Container **ret)
{
    CtContainers__GetRequest req = CT_CONTAINERS__GET_REQUEST__INIT;
    CtContainers__GetResponse *rsp;
    struct nd_error *err;

    req.id = (char *)id;
    *ret = NULL;
    err = nd_ctrd_call(s->ctrd, (struct nd_ctrd_scope){.ns = ns}, CT_CONTAINERS_GET, &req, arena,
                       &rsp);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return NULL;
    }
    ND_TRY(err);
    *ret = rsp->container;
    return NULL;
}

static void
fill_from(const struct known *known, struct nd_arena *arena, struct event_subject *ret)
{
    struct event_label *labels = nd_arena_new_array(arena, known->n_labels, struct event_label);

    for (size_t i = 0; i < known->n_labels; i++)
        labels[i] = (struct event_label){nd_arena_strdup(arena, known->labels[i].key),
                                         nd_arena_strdup(arena, known->labels[i].value)};
    ret->name = nd_arena_strdup(arena, known->name);
    ret->image = nd_arena_strdup(arena, known->image);
    ret->labels = labels;
    ret->n_labels = known->n_labels;
}

/* Not remembered, or perhaps changed. One that is not there stays as it is remembered. */
static struct nd_error *
refresh(struct event_subjects *s, const char *ns, const char *id, struct nd_arena *arena)
{
    const CtContainers__Container *container;

    ND_TRY(ask(s, ns, id, arena, &container));
    if (container != NULL)
        remember(s, ns, container, arena);
    return NULL;
}

static struct nd_error *
find_container(struct event_subjects *s, const char *topic, struct nd_arena *arena,
               struct event_subject *ret)
{
    struct nd_str key = make_key(ret->ns, ret->event.id, arena);
    const struct known *known;

    if (nd_map_find(s->containers, key) == NULL || strcmp(topic, "/containers/update") == 0)
        ND_TRY(refresh(s, ret->ns, ret->event.id, arena));
    known = nd_map_find(s->containers, key);
    if (known != NULL)
        fill_from(known, arena, ret);
    if (strcmp(topic, "/containers/delete") == 0)
        free_known(nd_map_take(s->containers, key));
    return NULL;
}

static void
copy_labels(const struct nd_json *object, struct nd_arena *arena, struct event_subject *ret)
{
    struct event_label *labels =
        nd_arena_new_array(arena, nd_json_count(object), struct event_label);
    const struct nd_json *value;
    struct nd_str key;
    void *pos = NULL;

    while (nd_json_next(object, &pos, &key, &value)) {
        labels[ret->n_labels].key = nd_arena_str(arena, key);
        labels[ret->n_labels].value = nd_arena_str(arena, nd_json_string(value));
        ret->n_labels++;
    }
    ret->labels = labels;
}

static struct nd_error *
find_image(const Ct__Envelope *event, struct nd_arena *arena, struct event_subject *ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *payload = NULL;
    struct nd_buf buf = ND_BUF_INIT(ND_CTRD_MAX_MESSAGE_BYTES);
    struct nd_error *err = nd_ctrd_event_json(event, &buf);

    if (err == NULL)
        err = nd_json_parse(nd_buf_str(&buf), NULL, &payload);
    nd_buf_fini(&buf);
    ND_TRY_DOING(err, "event of image %s", ret->event.id);
    ret->image = ret->event.id;
    copy_labels(nd_json_find(payload, "labels"), arena, ret);
    return NULL;
}

struct nd_error *
nd_event_subjects_find(struct event_subjects *s, const Ct__Envelope *event, struct nd_arena *arena,
                       struct event_subject *ret)
{
    if (strcmp(ret->event.type, "container") == 0 && ret->event.id[0] != '\0')
        return find_container(s, event->topic, arena, ret);
    if (strcmp(ret->event.type, "image") == 0)
        return find_image(event, arena, ret);
    return NULL;
}
