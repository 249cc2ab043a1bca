/*
 * SystemService.Events: a subscription to containerd on one side, a client on the other, which may
 * read as slowly as it likes. containerd queues for its subscribers without bound, so it is always
 * read at once; what waits for the client waits here, and only so much:
 *
 *     containerd ──> reader ──filter──> queue ──> sender ──> client
 *                       │                 '── full: drop, until it is empty; then a gap event
 *                       '── stream broken: open again, until it works; then a gap event
 *
 * A gap event says that events may be missing at that place. It is not filtered: whoever keeps a
 * picture of the host by events has to know when to look again.
 */

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "containerd/limits.h"
#include "fiber/group.h"
#include "fiber/sync.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "system/limits.h"
#include "system/system.h"

#include "events_priv.h"

#define GAP_TOPIC "/nerdctl-grpc/gap"

struct queued {
    TAILQ_ENTRY(queued) link;
    struct nd_arena *arena; /* holds the event */
    Pb__SystemServiceEventsResponse event;
};

struct watching {
    struct nd_host *host;
    const char *ns; /* NULL: all */
    struct nd_wall since;
    bool has_since;
    const struct event_filter *filter;
    struct event_subjects *subjects; /* NULL: the filter does not need them */
    const struct nd_event_sink *sink;

    struct nd_ctrd_events *events;
    TAILQ_HEAD(, queued) queue;
    size_t n_queued;
    bool overrun; /* events were dropped and are until the queue is empty */
    struct nd_cond changed;
};

static char *
text(const char *borrowed)
{
    return (char *)borrowed;
}

/* --- the queue --- */

static void
free_queued(struct queued *q)
{
    if (q == NULL)
        return;
    nd_arena_free(q->arena);
    nd_free(q);
}

static void
free_queuedp(struct queued **q)
{
    free_queued(ND_TAKE(*q));
}

static struct queued *
new_queued(void)
{
    struct queued *q = nd_new(struct queued);

    q->arena = nd_arena_new(0);
    pb__system_service_events_response__init(&q->event);
    return q;
}

static Google__Protobuf__Timestamp *
make_timestamp(struct nd_wall at, struct nd_arena *arena)
{
    Google__Protobuf__Timestamp *t = nd_arena_new_object(arena, Google__Protobuf__Timestamp);

    google__protobuf__timestamp__init(t);
    t->seconds = at.sec;
    t->nanos = at.nsec;
    return t;
}

/* Takes `q`. */
static void
enqueue(struct watching *w, struct queued *q)
{
    w->overrun = w->overrun || w->n_queued == ND_EVENTS_QUEUE_MAX;
    if (w->overrun) {
        free_queued(q);
        return;
    }
    TAILQ_INSERT_TAIL(&w->queue, q, link);
    w->n_queued++;
    nd_cond_signal(&w->changed);
}

static struct queued *
dequeue(struct watching *w)
{
    struct queued *q = TAILQ_FIRST(&w->queue);

    if (q == NULL)
        return NULL;
    TAILQ_REMOVE(&w->queue, q, link);
    w->n_queued--;
    return q;
}

static struct queued *
make_gap(const struct watching *w, const char *json)
{
    struct queued *q = new_queued();

    q->event.timestamp = make_timestamp(nd_wall_now(), q->arena);
    q->event.namespace_ = text(w->ns != NULL ? w->ns : "");
    q->event.topic = text(GAP_TOPIC);
    q->event.event = text(json);
    q->event.type = text("daemon");
    return q;
}

/* --- the sender --- */

static struct nd_error *
send_next(struct watching *w, bool *ret_sent)
{
    ND_AUTO(free_queuedp) struct queued *q = dequeue(w);

    if (q == NULL && w->overrun) {
        w->overrun = false;
        q = make_gap(w, "{\"reason\":\"the client reads too slowly\"}");
    }
    *ret_sent = q != NULL;
    return q != NULL ? w->sink->put(w->sink->arg, &q->event) : NULL;
}

static struct nd_error *
send_events(void *arg)
{
    struct watching *w = arg;

    nd_doing("send events");
    for (;;) {
        bool sent;

        ND_TRY(send_next(w, &sent));
        if (!sent)
            ND_TRY(nd_cond_wait(&w->changed));
    }
}

/* --- the reader --- */

static bool
is_too_old(const struct watching *w, const Ct__Envelope *event)
{
    if (!w->has_since || event->timestamp == NULL)
        return false;
    return nd_wall_cmp((struct nd_wall){event->timestamp->seconds, event->timestamp->nanos},
                       w->since) < 0;
}

static struct nd_error *
is_wanted(struct watching *w, const Ct__Envelope *event, const struct nd_ctrd_event_name *name,
          struct nd_arena *arena, bool *ret)
{
    struct event_subject subject = {
        .ns = event->namespace_, .event = *name, .name = "", .image = ""};

    if (is_too_old(w, event)) {
        *ret = false;
        return NULL;
    }
    if (w->subjects != NULL)
        ND_TRY(nd_event_subjects_find(w->subjects, event, arena, &subject));
    *ret = nd_event_filter_matches(w->filter, &subject);
    return NULL;
}

static struct nd_error *
convert(const Ct__Envelope *from, const struct nd_ctrd_event_name *name, struct nd_arena *arena,
        Pb__SystemServiceEventsResponse *to)
{
    struct nd_buf json = ND_BUF_INIT(8 * ND_CTRD_MAX_MESSAGE_BYTES);
    struct nd_error *err = nd_ctrd_event_json(from, &json);

    if (err == NULL)
        to->event = nd_arena_str(arena, nd_buf_str(&json));
    nd_buf_fini(&json);
    ND_TRY_DOING(err, "event %s", from->topic);
    if (from->timestamp != NULL)
        to->timestamp = make_timestamp(
            (struct nd_wall){from->timestamp->seconds, from->timestamp->nanos}, arena);
    to->namespace_ = from->namespace_;
    to->topic = from->topic;
    to->type = text(name->type);
    to->action = text(name->action);
    to->id = text(name->id);
    return NULL;
}

static struct nd_error *
read_next(struct watching *w)
{
    ND_AUTO(free_queuedp) struct queued *q = new_queued();
    struct nd_ctrd_event_name name;
    const Ct__Envelope *event;
    bool wanted;

    ND_TRY(nd_ctrd_events_next(w->events, q->arena, &event));
    nd_ctrd_event_name(event, q->arena, &name);
    ND_TRY(is_wanted(w, event, &name, q->arena, &wanted));
    if (!wanted)
        return NULL;
    ND_TRY(convert(event, &name, q->arena, &q->event));
    enqueue(w, ND_TAKE(q));
    return NULL;
}

static struct nd_error *
subscribe(struct watching *w)
{
    struct nd_buf filter = ND_BUF_INIT(1024); /* the name of a namespace is short */
    const char *filters[] = {NULL, NULL};
    struct nd_error *err;

    if (w->ns != NULL) {
        nd_ctrd_filter_eq(&filter, "namespace", nd_str(w->ns));
        filters[0] = filter.ptr;
    }
    err = nd_ctrd_events_open(nd_host_ctrd(w->host), w->ns != NULL ? filters : NULL, &w->events);
    nd_buf_fini(&filter);
    return err;
}

static struct nd_error *
open_stream(struct watching *w)
{
    nd_ctrd_events_close(ND_TAKE(w->events));
    ND_TRY(subscribe(w));
    return w->subjects != NULL ? nd_event_subjects_load(w->subjects, w->ns) : NULL;
}

/* Again and again, until it works or fails for another reason than that nobody answers. */
static struct nd_error *
reopen_stream(struct watching *w)
{
    for (;;) {
        struct nd_error *err;
        enum nd_code code;

        ND_TRY(nd_fiber_sleep(ND_EVENTS_REOPEN_NS));
        err = open_stream(w);
        code = nd_error_code(err);
        if (code != ND_UNAVAILABLE && code != ND_DEADLINE)
            return err;
        nd_error_free(err);
        ND_TRY(nd_ctx_check());
    }
}

/* The stream broke with `why`, which is taken: go on as soon as possible. */
static struct nd_error *
bridge(struct watching *w, struct nd_error *why)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = why;

    ND_TRY(nd_ctx_check());
    nd_info("the event stream broke", ND_KV("error", err));
    ND_TRY(reopen_stream(w));
    enqueue(w, make_gap(w, "{\"reason\":\"containerd was unreachable\"}"));
    return NULL;
}

static struct nd_error *
read_events(void *arg)
{
    struct watching *w = arg;

    nd_doing("read events");
    ND_TRY(open_stream(w));
    ND_TRY(w->sink->listening(w->sink->arg));
    for (;;) {
        struct nd_error *err = read_next(w);

        if (err != NULL)
            ND_TRY(bridge(w, err));
    }
}

/* --- both --- */

static struct nd_error *
run(struct watching *w)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("events", 0);

    ND_TRY(nd_group_spawn(group, read_events, w));
    ND_TRY(nd_group_spawn(group, send_events, w));
    return nd_group_wait(group);
}

static struct nd_error *
run_for(struct watching *w, int64_t duration_ns)
{
    ND_DEADLINE_IN(duration_ns);

    return run(w);
}

/* The end of the time that the client asked for is success. */
static struct nd_error *
run_until(struct watching *w, struct nd_wall until)
{
    struct nd_wall now = nd_wall_now();
    struct nd_error *err;

    if (nd_wall_cmp(until, now) <= 0)
        return NULL;
    /* A time beyond what a duration can hold is never reached. */
    if (until.sec - now.sec > INT64_MAX / ND_SECOND - 1)
        return run(w);
    err = run_for(w, (until.sec - now.sec) * ND_SECOND + until.nsec - now.nsec);
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err);
    return nd_ctx_check();
}

static struct nd_error *
take_time(const Google__Protobuf__Timestamp *from, const char *field, struct nd_wall *ret)
{
    if (from->nanos < 0 || from->nanos > 999999999 || from->seconds < 0 ||
        from->seconds > INT64_C(253402300799)) /* the year 9999 */
        return nd_error_field(field, "is not a time");
    *ret = (struct nd_wall){from->seconds, from->nanos};
    return NULL;
}

static void
end_watching(struct watching *w)
{
    struct queued *q;

    nd_ctrd_events_close(w->events);
    nd_event_subjects_free(w->subjects);
    while ((q = dequeue(w)) != NULL)
        free_queued(q);
}

struct nd_error *
nd_system_events(struct nd_host *host, const char *ns, const Pb__SystemServiceEventsRequest *req,
                 const struct nd_event_sink *sink)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct watching w = {.host = host, .ns = req->all_namespaces ? NULL : ns, .sink = sink};
    struct nd_wall until = {0};
    struct nd_error *err;

    TAILQ_INIT(&w.queue);
    ND_TRY(nd_event_filter_parse(req->filters, req->n_filters, arena, &w.filter));
    w.has_since = req->since != NULL;
    if (req->since != NULL)
        ND_TRY(take_time(req->since, "since", &w.since));
    if (req->until != NULL)
        ND_TRY(take_time(req->until, "until", &until));
    if (nd_event_filter_wants_objects(w.filter))
        w.subjects = nd_event_subjects_new(nd_host_ctrd(host));
    err = req->until != NULL ? run_until(&w, until) : run(&w);
    end_watching(&w);
    return err;
}
