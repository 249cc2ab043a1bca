/*
 * Sessions that are over.
 *
 * A client whose connection breaks just when the exit code is on its way comes back to a session that is no
 * more: for us everything was told, so its helper has gone, and perhaps the container with it. So the last
 * sessions' exit codes are kept for as long as a session is held, in a ring in which the oldest gives way.
 */

#include "base/alloc.h"

#include "attachment_priv.h"
#include "start_priv.h"
#include "stream_options_priv.h"

#define FINISHED_MAX 256u

struct finished {
    struct {
        uint8_t session[ND_WIRE_SESSION];
        uint64_t at[ND_WIRE_STREAMS];
        struct task_exit exit;
        int64_t until_ns;
    } last[FINISHED_MAX];
    size_t next;
};

static void
remember(const struct nd_attachment *a, const struct task_exit *exit)
{
    struct nd_containers *cs = a->process.cs;
    size_t i;

    if (cs->finished == NULL)
        cs->finished = nd_new(struct finished);
    i = cs->finished->next++ % FINISHED_MAX;
    memcpy(cs->finished->last[i].session, a->session, sizeof(a->session));
    memcpy(cs->finished->last[i].at, a->at, sizeof(a->at));
    cs->finished->last[i].exit = *exit;
    cs->finished->last[i].until_ns = nd_loop_now().ns + ND_SESSION_HOLD_MS * ND_MILLISECOND;
}

struct nd_error *
nd_attachment_end(struct nd_attachment *a, const struct task_exit *exit, struct nd_arena *arena)
{
    if (a->relay != NULL)
        remember(a, exit);
    if (a->feed->ended != NULL)
        ND_TRY(a->feed->ended(a->feed->arg, nd_exit_status(exit, arena)));
    a->is_over = true;
    return NULL;
}

bool
nd_session_find_finished(struct nd_containers *cs, const Pb__StreamOptions *options,
                         struct task_exit *ret)
{
    uint8_t session[ND_WIRE_SESSION];
    struct nd_error *err;

    if (options == NULL || options->session_id[0] == '\0' || cs->finished == NULL)
        return false;
    err = nd_session_parse(options->session_id, session);
    if (err != NULL) {
        nd_error_free(err);
        return false;
    }
    for (size_t i = 0; i < FINISHED_MAX; i++) {
        if (cs->finished->last[i].until_ns > nd_loop_now().ns &&
            memcmp(cs->finished->last[i].session, session, sizeof(session)) == 0 &&
            cs->finished->last[i].at[ND_WIRE_STDOUT] == options->stdout_offset &&
            cs->finished->last[i].at[ND_WIRE_STDERR] == options->stderr_offset) {
            *ret = cs->finished->last[i].exit;
            return true;
        }
    }
    return false;
}
