/*
 * Sessions.
 *
 *     NEW ──HELLO──▶ ATTACHED ──connection breaks──▶ AWAY
 *      │                │  ▲                         │ │
 *      │ too slow       │  └────────── HELLO ────────┘ │
 *      ▼                ▼ BYE                          │
 *     FREE          LEAVING ◀─────hold is over─────────┘
 *                       └─────its input is written──▶ FREE
 *
 * The room in a spool is what the slowest of those leaves who count. One counts from its HELLO on,
 * while it is away too, and stops counting for an output that it has held up for longer than its
 * patience; from then on it gets what is there and is told what it missed, until it has caught up.
 * Patience begins anew with each good piece that is acknowledged, and once for one that was away:
 * else a byte now and then, or coming back for ever, would hold up the process for ever.
 */

#include "sessions.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define EACH_SESSION(s, sessions) \
    for (struct session *s = (sessions); s < (sessions) + ND_HELPER_SESSIONS_MAX; s++)

/* Most are never touched: who types needs one page. */
static char pending_memory[ND_HELPER_SESSIONS_MAX][ND_WIRE_INPUT_WINDOW];

static void
forget(struct session *s)
{
    nd_closep(&s->fd);
    s->state = SESSION_FREE;
    s->wants = 0;
    s->pending_len = 0;
    s->input_ends = false;
}

struct session *
sessions_free_slot(struct session *sessions)
{
    for (size_t i = 0; i < ND_HELPER_SESSIONS_MAX; i++) {
        if (sessions[i].state != SESSION_FREE)
            continue;
        sessions[i].pending = pending_memory[i];
        return &sessions[i];
    }
    return NULL;
}

void
session_begin(struct session *s, int fd, int64_t now_ns)
{
    *s = (struct session){.state = SESSION_NEW,
                          .fd = fd,
                          .until_ns = now_ns + ND_HELPER_GREETING_NS,
                          .pending = s->pending};
}

/* A name of zeros is no name: who says it does not come back. */
static struct session *
find_session(struct session *sessions, const uint8_t *name)
{
    static const uint8_t nobody[ND_WIRE_SESSION];

    if (memcmp(name, nobody, ND_WIRE_SESSION) == 0)
        return NULL;
    EACH_SESSION(s, sessions)
    {
        if ((s->state == SESSION_ATTACHED || s->state == SESSION_AWAY) &&
            memcmp(s->name, name, ND_WIRE_SESSION) == 0)
            return s;
    }
    return NULL;
}

static int64_t
duration_ns(uint32_t ms, int64_t max_ns)
{
    return ms == ND_WIRE_FOR_EVER ? max_ns : ND_MIN(ms * ND_MILLISECOND, max_ns);
}

/* Something was acknowledged: see whether it has come far enough. */
static void
note_move(struct session *s, enum nd_wire_stream stream, const struct spool *spool, int64_t now_ns)
{
    uint64_t acked = s->out[stream].acked;

    if (acked == spool->end)
        s->out[stream].is_behind = false;
    if (acked < s->out[stream].mark && acked != spool->end)
        return;
    s->out[stream].mark = ND_MAX(s->out[stream].mark, acked + ND_HELPER_STEP_BYTES);
    s->out[stream].moved_ns = now_ns;
    s->out[stream].is_renewed = false;
}

/*
 * Where an output goes on: as asked, but not behind its end. What is no longer there becomes a gap.
 */
static void
place(struct session *s, enum nd_wire_stream stream, uint64_t from, const struct spool *spool,
      int64_t now_ns)
{
    s->out[stream].sent = ND_MIN(from, spool->end);
    s->out[stream].acked = s->out[stream].sent;
    s->out[stream].told_end = false;
    if (!s->out[stream].is_renewed)
        s->out[stream].moved_ns = now_ns;
    s->out[stream].is_renewed = s->resumed;
    note_move(s, stream, spool, now_ns);
}

/*
 * A session that is known cannot have got what was not written; what it holds must not go for that.
 */
static unsigned
check_offsets(const struct nd_wire_hello *hello, const struct spool *spools)
{
    static const unsigned refusals[ND_WIRE_STREAMS] = {ND_WIRE_STDOUT_BEYOND,
                                                       ND_WIRE_STDERR_BEYOND};

    for (size_t i = 0; i < ND_WIRE_STREAMS; i++) {
        if (hello->from[i] != ND_WIRE_NOW && hello->from[i] > spools[i].end)
            return refusals[i];
    }
    return 0;
}

unsigned
sessions_hello(struct session *sessions, struct session **at, const struct nd_wire_hello *hello,
               struct spool *spools, int64_t now_ns)
{
    struct session *s = *at, *known;

    if (hello->version != ND_WIRE_VERSION)
        return ND_WIRE_BAD_VERSION;
    known = find_session(sessions, hello->session);
    if (known != NULL && check_offsets(hello, spools) != 0)
        return check_offsets(hello, spools);
    if (known != NULL) {
        nd_closep(&known->fd);
        known->fd = s->fd;
        s->fd = -1;
        forget(s);
        s = *at = known;
    }
    memcpy(s->name, hello->session, ND_WIRE_SESSION);
    s->state = SESSION_ATTACHED;
    s->resumed = known != NULL;
    s->greets = true;
    s->is_full = false;
    s->told_closed = false;
    s->wants = hello->flags & (ND_WIRE_WANTS_STDOUT | ND_WIRE_WANTS_STDERR);
    if (known == NULL) {
        s->hold_ns = duration_ns(hello->hold_ms, ND_HELPER_HOLD_MAX_NS);
        s->patience_ns = duration_ns(hello->patience_ms, INT64_MAX);
    }
    for (unsigned i = 0; i < ND_WIRE_STREAMS; i++) {
        if (session_wants(s, (enum nd_wire_stream)i))
            spool_keep(&spools[i], true);
        place(s, (enum nd_wire_stream)i, hello->from[i], &spools[i], now_ns);
    }
    return 0;
}

bool
session_wants(const struct session *s, enum nd_wire_stream stream)
{
    return (s->wants & (stream == ND_WIRE_STDOUT ? ND_WIRE_WANTS_STDOUT : ND_WIRE_WANTS_STDERR)) !=
           0;
}

unsigned
session_ack(struct session *s, const struct spool *spool, enum nd_wire_stream stream,
            uint64_t offset, int64_t now_ns)
{
    if (offset > s->out[stream].sent)
        return ND_WIRE_BAD_FRAME;
    if (offset > s->out[stream].acked) {
        s->out[stream].acked = offset;
        note_move(s, stream, spool, now_ns);
    }
    return 0;
}

unsigned
session_input(struct session *s, uint64_t offset, struct nd_str bytes)
{
    if (offset > s->received)
        return ND_WIRE_BAD_FRAME;
    bytes = nd_str_from(bytes, (size_t)ND_MIN((uint64_t)bytes.len, s->received - offset));
    if (bytes.len == 0)
        return 0; /* sent again after a cut, perhaps behind the end */
    if (s->input_ends)
        return ND_WIRE_BAD_FRAME;
    if (bytes.len > ND_WIRE_INPUT_WINDOW - s->pending_len)
        return ND_WIRE_BAD_FRAME;
    if (s->pending_len > 0)
        memmove(s->pending, s->pending + s->pending_at, s->pending_len);
    s->pending_at = 0;
    memcpy(s->pending + s->pending_len, bytes.ptr, bytes.len);
    s->pending_len += bytes.len;
    s->received += bytes.len;
    return 0;
}

unsigned
session_input_end(struct session *s, uint64_t offset)
{
    if (offset != s->received)
        return ND_WIRE_BAD_FRAME;
    s->input_ends = true;
    return 0;
}

void
session_leave(struct session *s, int64_t now_ns)
{
    nd_closep(&s->fd);
    s->wants = 0;
    s->until_ns = now_ns + ND_HELPER_HOLD_MAX_NS;
    s->state = SESSION_LEAVING;
}

void
session_lost(struct session *s, int64_t now_ns)
{
    nd_closep(&s->fd);
    s->is_full = false;
    /* One that gave up before it was welcomed knows of no session to come back to. */
    if (s->state != SESSION_ATTACHED || (s->greets && !s->resumed)) {
        forget(s);
        return;
    }
    s->state = SESSION_AWAY;
    s->until_ns = now_ns + s->hold_ns;
}

void
session_took(struct session *s, size_t n)
{
    s->pending_at += n;
    s->pending_len -= n;
    s->taken += n;
}

void
sessions_drop_input(struct session *sessions)
{
    EACH_SESSION(s, sessions)
    {
        session_took(s, s->pending_len);
        s->input_ends = false;
    }
}

void
session_skip(struct session *s, enum nd_wire_stream stream, uint64_t offset)
{
    s->out[stream].sent = offset;
    s->out[stream].acked = ND_MAX(s->out[stream].acked, offset);
}

bool
session_has_more(const struct session *s, const struct spool *spools)
{
    for (unsigned i = 0; i < ND_WIRE_STREAMS; i++) {
        if (session_wants(s, (enum nd_wire_stream)i) &&
            (s->out[i].sent < spools[i].end || (spools[i].ended && !s->out[i].told_end)))
            return true;
    }
    return s->greets || s->taken != s->told;
}

bool
session_is_owed(const struct session *s)
{
    return (s->state == SESSION_ATTACHED || s->state == SESSION_AWAY) && s->wants != 0;
}

/* Whether the output waits for it. */
static bool
counts(const struct session *s, enum nd_wire_stream stream)
{
    return (s->state == SESSION_ATTACHED || s->state == SESSION_AWAY) &&
           !s->out[stream].is_behind && session_wants(s, stream);
}

static size_t
room_of(const struct session *s, const struct spool *spool, enum nd_wire_stream stream)
{
    uint64_t missing = spool->end - s->out[stream].acked;

    return missing < spool->cap ? spool->cap - (size_t)missing : 0;
}

size_t
sessions_room(const struct session *sessions, const struct spool *spool, enum nd_wire_stream stream)
{
    size_t room = spool->cap;

    for (const struct session *s = sessions; s < sessions + ND_HELPER_SESSIONS_MAX; s++) {
        if (counts(s, stream))
            room = ND_MIN(room, room_of(s, spool, stream));
    }
    return room;
}

void
sessions_will_grow(struct session *sessions, const struct spool *spool, enum nd_wire_stream stream,
                   int64_t now_ns)
{
    EACH_SESSION(s, sessions)
    {
        if (counts(s, stream) && s->out[stream].acked == spool->end)
            s->out[stream].moved_ns = now_ns;
    }
}

/*
 * When a session that holds up an output stops counting for it; INT64_MAX: it does not hold it up.
 */
static int64_t
gives_up_ns(const struct session *s, const struct spool *spool, enum nd_wire_stream stream)
{
    int64_t moved_ns = s->out[stream].moved_ns;

    if (!counts(s, stream) || room_of(s, spool, stream) > 0 ||
        s->patience_ns > INT64_MAX - moved_ns)
        return INT64_MAX;
    return moved_ns + s->patience_ns;
}

/* When something happens to it without anybody doing anything. */
static int64_t
due_ns(const struct session *s, const struct spool *spools)
{
    if (s->state != SESSION_ATTACHED)
        return s->state != SESSION_FREE ? s->until_ns : INT64_MAX;
    return ND_MIN(gives_up_ns(s, &spools[ND_WIRE_STDOUT], ND_WIRE_STDOUT),
                  gives_up_ns(s, &spools[ND_WIRE_STDERR], ND_WIRE_STDERR));
}

static void
give_up(struct session *s, const struct spool *spools, int64_t now_ns)
{
    for (unsigned i = 0; i < ND_WIRE_STREAMS; i++) {
        if (gives_up_ns(s, &spools[i], (enum nd_wire_stream)i) <= now_ns)
            s->out[i].is_behind = true;
    }
}

/*
 * Of those who may be let go: not one for whom the process is to wait, nor one with input to be
 * written.
 */
static struct session *
longest_away(struct session *sessions)
{
    struct session *found = NULL;

    EACH_SESSION(s, sessions)
    {
        if (s->state == SESSION_AWAY && s->patience_ns != INT64_MAX && s->pending_len == 0 &&
            (found == NULL || s->until_ns < found->until_ns))
            found = s;
    }
    return found;
}

/* Who is away and may come back must not keep out who is here. */
static void
make_room(struct session *sessions)
{
    size_t n_free = 0;

    EACH_SESSION(s, sessions)
    n_free += s->state == SESSION_FREE;
    while (n_free < ND_HELPER_SESSIONS_SPARE) {
        struct session *s = longest_away(sessions);

        if (s == NULL)
            return;
        forget(s);
        n_free++;
    }
}

void
sessions_look(struct session *sessions, struct spool *spools, int64_t now_ns)
{
    bool wanted[ND_WIRE_STREAMS] = {false};

    make_room(sessions);
    EACH_SESSION(s, sessions)
    {
        if (due_ns(s, spools) <= now_ns) {
            if (s->state == SESSION_ATTACHED)
                give_up(s, spools, now_ns);
            else if (s->state == SESSION_AWAY)
                session_leave(s, now_ns);
            else
                forget(s);
        }
        if (s->state == SESSION_LEAVING && s->pending_len == 0 && !s->input_ends)
            forget(s);
        for (unsigned i = 0; i < ND_WIRE_STREAMS; i++)
            wanted[i] = wanted[i] || session_wants(s, (enum nd_wire_stream)i);
    }
    for (unsigned i = 0; i < ND_WIRE_STREAMS; i++)
        spool_keep(&spools[i], wanted[i]);
}

void
sessions_let_go(struct session *sessions, int64_t now_ns)
{
    EACH_SESSION(s, sessions)
    {
        if (s->state == SESSION_AWAY)
            session_leave(s, now_ns);
        else if (s->state == SESSION_ATTACHED)
            s->patience_ns = ND_MIN(s->patience_ns, ND_HELPER_REPLACED_NS);
    }
}

int64_t
sessions_wait_ns(const struct session *sessions, const struct spool *spools, int64_t now_ns)
{
    int64_t first_ns = INT64_MAX;

    for (const struct session *s = sessions; s < sessions + ND_HELPER_SESSIONS_MAX; s++) {
        first_ns = ND_MIN(first_ns, due_ns(s, spools));
    }
    if (first_ns == INT64_MAX)
        return INT64_MAX;
    return first_ns > now_ns ? first_ns - now_ns : 0;
}
