/*
 * The event stream. containerd neither says when a subscription has become active, nor replays, nor
 * counts. So a new subscription is sounded: we publish an event of our own, again and again, until
 * the stream brings it back; whatever happens after that will come, too.
 *
 *     subscribe, publish barrier ──> event, event, barrier: open
 *                                     └──────┴── kept, the first that next() returns
 *
 * Barriers travel in a namespace of their own, under a topic that other clients do not look at,
 * with a random mark, since other subscriptions of ours sound the same stream.
 *
 * The server queues for a slow reader without bound: whoever opens a stream reads it, always.
 */

#include "containerd/events.h"

#include "base/alloc.h"
#include "base/random.h"
#include "codec/pb.h"
#include "containerd/events.pb-c.h"

#include "ctrd_priv.h"

#define BARRIER_NS    "nerdctl-grpc"
#define BARRIER_TOPIC "/nerdctl-grpc/barrier"
#define BARRIER_TYPE  "nerdctl_grpc.Barrier"

struct early_event {
    TAILQ_ENTRY(early_event) link;
    struct nd_arena *arena; /* holds the event */
    const Ct__Envelope *event;
};

struct nd_ctrd_events {
    struct nd_ctrd *ctrd;
    struct nd_client_call *call;
    TAILQ_HEAD(, early_event) early;
    size_t n_early;
    uint64_t mark; /* in our barriers */
};

/* --- the stream --- */

static struct nd_error *
subscribe(struct nd_ctrd_events *events, const char *const *filters)
{
    CtEvents__SubscribeRequest req = CT_EVENTS__SUBSCRIBE_REQUEST__INIT;
    char *texts[ND_CTRD_MAX_FILTERS + 1];
    size_t n = 0;

    if (filters != NULL) {
        texts[n++] = nd_ctrd_text("topic==\"" BARRIER_TOPIC "\"");
        for (size_t i = 0; filters[i] != NULL; i++) {
            if (n == ND_LEN(texts))
                return nd_error_new(ND_EXHAUSTED, "more than %u event filters",
                                    ND_CTRD_MAX_FILTERS);
            texts[n++] = nd_ctrd_text(filters[i]);
        }
    }
    req.filters = texts;
    req.n_filters = n;
    ND_TRY(nd_ctrd_stream(events->ctrd, (struct nd_ctrd_scope){NULL, NULL}, CT_EVENTS_SUBSCRIBE,
                          &events->call));
    return nd_ctrd_stream_error(events->ctrd, nd_ctrd_send_last(events->call, &req));
}

/* One event, whatever it is. */
static struct nd_error *
receive(struct nd_ctrd_events *events, struct nd_arena *arena, const Ct__Envelope **ret)
{
    Ct__Envelope *event;
    struct nd_error *err = nd_client_call_recv(events->call, arena, &event);

    if (err != NULL)
        return nd_ctrd_stream_failure(events->ctrd, err);
    if (event == NULL)
        return nd_ctrd_stream_failure(events->ctrd,
                                      nd_error_new(ND_UNAVAILABLE, "the event stream has ended"));
    *ret = event;
    return NULL;
}

static bool
is_barrier(const Ct__Envelope *event)
{
    return strcmp(event->topic, BARRIER_TOPIC) == 0;
}

/* --- the barrier --- */

static bool
is_our_barrier(const struct nd_ctrd_events *events, const Ct__Envelope *event)
{
    const Google__Protobuf__Any *any = event->event;

    return is_barrier(event) && any != NULL && any->value.len == sizeof(events->mark) &&
           memcmp(any->value.data, &events->mark, sizeof(events->mark)) == 0;
}

static struct nd_error *
publish_barrier(struct nd_ctrd_events *events)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtEvents__PublishRequest req = CT_EVENTS__PUBLISH_REQUEST__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    const struct nd_ctrd_scope scope = {.ns = BARRIER_NS};
    Google__Protobuf__Empty *rsp;

    any.type_url = nd_ctrd_text(BARRIER_TYPE);
    any.value.data = (uint8_t *)&events->mark;
    any.value.len = sizeof(events->mark);
    req.topic = nd_ctrd_text(BARRIER_TOPIC);
    req.event = &any;
    return nd_ctrd_call(events->ctrd, scope, CT_EVENTS_PUBLISH, &req, arena, &rsp);
}

static struct nd_error *
keep(struct nd_ctrd_events *events, struct nd_arena *arena, const Ct__Envelope *event)
{
    struct early_event *early;

    if (events->n_early == ND_CTRD_EARLY_EVENTS_MAX)
        return nd_error_new(ND_EXHAUSTED, "more than %u events before the barrier",
                            ND_CTRD_EARLY_EVENTS_MAX);
    early = nd_new(struct early_event);
    early->arena = arena;
    early->event = event;
    TAILQ_INSERT_TAIL(&events->early, early, link);
    events->n_early++;
    return NULL;
}

static struct nd_error *
receive_until_barrier(struct nd_ctrd_events *events)
{
    for (;;) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        const Ct__Envelope *event;

        ND_TRY(receive(events, arena, &event));
        if (is_our_barrier(events, event))
            return NULL;
        if (is_barrier(event))
            continue;
        ND_TRY(keep(events, arena, event));
        arena = NULL; /* kept with it */
    }
}

static struct nd_error *
receive_for_a_while(struct nd_ctrd_events *events)
{
    ND_DEADLINE_IN(ND_CTRD_BARRIER_RETRY_NS);

    return receive_until_barrier(events);
}

/* Publish until it comes back: what was published before we were subscribed does not. */
static struct nd_error *
sound(struct nd_ctrd_events *events)
{
    int64_t give_up_ns = nd_loop_now().ns + ND_CTRD_BARRIER_WAIT_NS;

    events->mark = nd_random_u64();
    for (;;) {
        struct nd_error *err;

        ND_TRY(publish_barrier(events));
        err = receive_for_a_while(events);
        if (nd_error_code(err) != ND_DEADLINE || nd_loop_now().ns > give_up_ns)
            return err;
        nd_error_free(err);
        ND_TRY(nd_ctx_check());
    }
}

/* --- what users call --- */

struct nd_error *
nd_ctrd_events_open(struct nd_ctrd *ctrd, const char *const *filters, struct nd_ctrd_events **ret)
{
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *events = nd_new(struct nd_ctrd_events);

    events->ctrd = ctrd;
    TAILQ_INIT(&events->early);
    ND_TRY_DOING(subscribe(events, filters), "subscribe to events");
    ND_TRY_DOING(sound(events), "subscribe to events");
    *ret = ND_TAKE(events);
    return NULL;
}

static void
free_early(struct nd_ctrd_events *events, struct early_event *early)
{
    TAILQ_REMOVE(&events->early, early, link);
    nd_arena_free(early->arena);
    nd_free(early);
}

static struct nd_error *
take_early(struct nd_ctrd_events *events, struct nd_arena *arena, const Ct__Envelope **ret)
{
    struct early_event *early = TAILQ_FIRST(&events->early);
    ProtobufCMessage *copy;

    ND_TRY(nd_pb_copy(early->event, arena, &copy));
    free_early(events, early);
    *ret = (const Ct__Envelope *)copy;
    return NULL;
}

struct nd_error *
nd_ctrd_events_next(struct nd_ctrd_events *events, struct nd_arena *arena, const Ct__Envelope **ret)
{
    const Ct__Envelope *event;

    if (!TAILQ_EMPTY(&events->early))
        return take_early(events, arena, ret);
    do {
        ND_TRY(receive(events, arena, &event));
    } while (is_barrier(event));
    *ret = event;
    return NULL;
}

void
nd_ctrd_events_close(struct nd_ctrd_events *events)
{
    if (events == NULL)
        return;
    while (!TAILQ_EMPTY(&events->early))
        free_early(events, TAILQ_FIRST(&events->early));
    nd_client_call_end(events->call);
    nd_free(events);
}

void
nd_ctrd_events_closep(struct nd_ctrd_events **events)
{
    nd_ctrd_events_close(ND_TAKE(*events));
}
