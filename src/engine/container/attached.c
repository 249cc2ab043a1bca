/*
 * Attached to a container's first process, from the beginning or later.
 *
 *   begin ─▶ open ─┬─ a helper of ours ──▶ session (attachment.c) ─┬─▶ exit code ─▶ session is left
 *                  ├─ another's log ─────▶ follower (output.c) ────┤
 *                  └─ neither ─────────────────────────────────────┘
 *
 * Whoever starts a process is connected before it runs, so nothing can be missed. A session is left
 * only when the exit code was told: a client that is cut off before may come back for it, and for
 * the last bytes, also when this daemon has died meanwhile.
 */

#include "attached_priv.h"
#include "output_priv.h"
#include "start_priv.h"

void
nd_attached_fini(struct attached *a)
{
    nd_attachment_fini(&a->streams);
    nd_group_end(a->group);
    nd_exit_watch_fini(&a->exit);
    nd_hold_unusep(&a->use);
}

void
nd_attached_begin(struct attached *a, const struct attached_to *to)
{
    a->to = *to;
    a->group = nd_group_begin("attached", 0);
    a->use = nd_hold_use(to->cs, to->ns, to->id);
    a->exit = (struct exit_watch){.cs = to->cs, .ns = to->ns, .id = to->id};
    a->streams = (struct nd_attachment){
        .process = {.cs = to->cs, .ns = to->ns, .id = to->id, .exec_id = ""},
        .feed = to->feed,
        .options = to->options,
        .takes_input = to->takes_input,
        .hold_ms = nd_session_hold_ms(to->cs),
        .patience_ms = to->patience_ms,
    };
}

bool
nd_attached_is_fed(const struct attached *a)
{
    return a->streams.relay != NULL || a->has_log;
}

/* Whether there is a log that we understand. */
static bool
has_log(const struct attached *a, struct nd_arena *arena)
{
    struct nd_log_config config = {0};
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_state_read_log_config(a->to.state, arena, &config);

    return err == NULL && strcmp(config.driver, "json-file") == 0;
}

/* A session that is asked for by its name is that, or an error. */
static struct nd_error *
open_output(struct attached *a, uint64_t from, struct nd_wall since, struct nd_arena *arena)
{
    const char *folder = nd_arena_printf(arena, "%s/streams", nd_state_path(a->to.state));
    struct nd_error *err;

    if (a->to.feed->output == NULL)
        return NULL;
    err = nd_attachment_open(&a->streams, folder, from);
    if (nd_error_code(err) != ND_NOT_FOUND || nd_session_is_named(a->to.options))
        return err;
    nd_error_free(err);
    a->has_log = has_log(a, arena);
    a->since = since;
    return NULL;
}

struct nd_error *
nd_attached_open(struct attached *a, uint64_t from, struct nd_wall since, struct nd_arena *arena)
{
    ND_TRY(open_output(a, from, since, arena));
    return nd_exit_watch_begin(&a->exit, a->group);
}

struct nd_error *
nd_attached_tell(const struct attached *a, const struct nd_container_feed *feed,
                 struct nd_container_started *started)
{
    char session[ND_SESSION_TEXT_SIZE];

    if (feed->started == NULL)
        return NULL;
    if (a->streams.relay != NULL) {
        nd_session_format(a->streams.session, session);
        started->session = session;
    }
    return feed->started(feed->arg, started);
}

/* That there is no session is said, too. */
static struct nd_error *
tell_of_log(const struct nd_container_feed *feed)
{
    Pb__StreamEvent event = PB__STREAM_EVENT__INIT;
    Pb__StreamSession session = PB__STREAM_SESSION__INIT;

    if (feed->event == NULL)
        return NULL;
    session.source = PB__OUTPUT_SOURCE__OUTPUT_SOURCE_LOG;
    event.event_case = PB__STREAM_EVENT__EVENT_SESSION;
    event.session = &session;
    return feed->event(feed->arg, &event);
}

static struct nd_error *
feed_log(struct attached *a)
{
    const struct follower follower = {.cs = a->to.cs,
                                      .state = a->to.state,
                                      .since = a->since,
                                      .exit = &a->exit,
                                      .feed = a->to.feed};

    if (a->to.feed->attached != NULL)
        a->to.feed->attached(a->to.feed->arg, NULL);
    if (!a->has_log)
        return NULL;
    ND_TRY(tell_of_log(a->to.feed));
    return nd_follow(&follower);
}

static struct nd_error *
wait_for_exit(void *arg)
{
    struct attached *a = arg;

    return nd_exit_watch_join(&a->exit, &a->end);
}

/* A process may go on without its outputs, and its client may leave it then as before. */
static struct nd_error *
feed_session(struct attached *a)
{
    ND_TRY(nd_attachment_begin(&a->streams));
    ND_TRY(nd_attachment_pump(&a->streams));
    return nd_attachment_wait(&a->streams, wait_for_exit, a);
}

struct nd_error *
nd_attached_join(struct attached *a, struct nd_arena *arena, bool *ret_ended)
{
    if (ret_ended != NULL)
        *ret_ended = false;
    if (a->streams.relay != NULL) {
        ND_TRY(feed_session(a));
        if (a->streams.detached)
            return NULL;
    } else {
        ND_TRY(feed_log(a));
        ND_TRY(wait_for_exit(a));
    }
    if (ret_ended != NULL)
        *ret_ended = true;
    return nd_attachment_end(&a->streams, &a->end, arena);
}
