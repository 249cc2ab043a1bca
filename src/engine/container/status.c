/*
 * What a container does, in words.
 *
 * The state is the task's; without a task a container counts as created, whatever was before. One
 * that has ended and that containerd's restart monitor will start again is restarting: whether it
 * will is told by labels. Ages are in docker's units.
 */

#include "base/buf.h"

#include "labels_priv.h"
#include "status_priv.h"

static bool
on_failure_restarts(struct nd_str limit_text, uint32_t code, const char *count_text)
{
    uint64_t limit = 0, count = 0;
    struct nd_error *err;

    if (limit_text.len > 0) {
        err = nd_parse_u64(limit_text, UINT32_MAX, &limit);
        nd_error_free(err);
    }
    if (count_text != NULL) {
        err = nd_parse_u64(nd_str(count_text), UINT32_MAX, &count);
        nd_error_free(err);
    }
    return code != 0 && (limit == 0 || count < limit);
}

/* Whether the restart monitor will start a container whose task has ended. */
static bool
will_restart(const record *rec, const task *t)
{
    struct nd_str policy = nd_str(nd_container_record_label(rec, LABEL_RESTART_POLICY));

    if (!nd_container_record_label_is(rec, LABEL_RESTART_STATUS, "running"))
        return false;
    if (policy.len == 0 || nd_str_eqz(policy, "always"))
        return true;
    if (nd_str_eqz(policy, "unless-stopped"))
        return !nd_container_record_label_is(rec, LABEL_STOPPED, "true");
    if (nd_str_starts(policy, ND_STR("on-failure")))
        return on_failure_restarts(nd_str_from(policy, sizeof("on-failure:") - 1), t->exit_status,
                                   nd_container_record_label(rec, LABEL_RESTART_COUNT));
    return false;
}

Pb__ContainerState
nd_state_of(const record *rec, const task *t)
{
    if (t == NULL)
        return PB__CONTAINER_STATE__CONTAINER_STATE_CREATED;
    switch (t->status) {
    case CT_TASKS__STATUS__CREATED:
        return PB__CONTAINER_STATE__CONTAINER_STATE_CREATED;
    case CT_TASKS__STATUS__RUNNING:
        return PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING;
    case CT_TASKS__STATUS__PAUSED:
    case CT_TASKS__STATUS__PAUSING:
        return PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED;
    case CT_TASKS__STATUS__STOPPED:
        return will_restart(rec, t) ? PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING
                                    : PB__CONTAINER_STATE__CONTAINER_STATE_EXITED;
    default:
        return PB__CONTAINER_STATE__CONTAINER_STATE_UNSPECIFIED;
    }
}

const char *
nd_state_word(Pb__ContainerState state)
{
    static const char *const words[] = {
        [PB__CONTAINER_STATE__CONTAINER_STATE_CREATED] = "created",
        [PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING] = "running",
        [PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED] = "paused",
        [PB__CONTAINER_STATE__CONTAINER_STATE_EXITED] = "exited",
        [PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING] = "restarting",
    };

    return (size_t)state < ND_LEN(words) && words[state] != NULL ? words[state] : "unknown";
}

void
nd_age_text(int64_t age_ns, struct nd_buf *buf)
{
    long long seconds = (long long)(age_ns / ND_SECOND), minutes = seconds / 60;
    long long hours = (seconds + 1800) / 3600; /* rounded */

    if (age_ns < ND_SECOND)
        nd_buf_putz(buf, "Less than a second");
    else if (seconds == 1)
        nd_buf_putz(buf, "1 second");
    else if (seconds < 60)
        nd_buf_printf(buf, "%lld seconds", seconds);
    else if (minutes == 1)
        nd_buf_putz(buf, "About a minute");
    else if (minutes < 60)
        nd_buf_printf(buf, "%lld minutes", minutes);
    else if (hours == 1)
        nd_buf_putz(buf, "About an hour");
    else if (hours < 48)
        nd_buf_printf(buf, "%lld hours", hours);
    else if (hours < 24 * 7 * 2)
        nd_buf_printf(buf, "%lld days", hours / 24);
    else if (hours < 24 * 60)
        nd_buf_printf(buf, "%lld weeks", hours / 24 / 7);
    else if (hours < 24 * 365 * 2)
        nd_buf_printf(buf, "%lld months", hours / 24 / 30);
    else
        nd_buf_printf(buf, "%lld years", seconds / 3600 / 24 / 365);
}

/* "Up", with what a health check found. */
static const char *
up_text(const record *rec, struct nd_arena *arena)
{
    static const struct {
        const char *health, *text;
    } table[] = {
        {"healthy", "Up (healthy)"},
        {"unhealthy", "Up (unhealthy)"},
        {"starting", "Up (health: starting)"},
    };
    const struct nd_json *health;

    nd_container_record_json_label(rec, LABEL_HEALTHSTATE, arena, &health);
    for (size_t i = 0; i < ND_LEN(table); i++) {
        if (nd_str_eqz(nd_json_string(nd_json_find(health, "Status")), table[i].health))
            return table[i].text;
    }
    return "Up";
}

static const char *
ended_text(const char *word, const task *t, struct nd_wall now, struct nd_arena *arena)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(256);
    struct nd_wall at = nd_wall_of(t->exited_at);

    nd_buf_printf(&buf, "%s (%u)", word, t->exit_status);
    if (at.sec != 0) {
        int64_t seconds = ND_MIN(now.sec - at.sec, INT64_MAX / ND_SECOND - 1);

        nd_buf_putc(&buf, ' ');
        nd_age_text(seconds < 0 ? 0 : seconds * ND_SECOND + now.nsec - at.nsec, &buf);
        nd_buf_putz(&buf, " ago");
    }
    return nd_arena_str(arena, nd_buf_str(&buf));
}

const char *
nd_status_text(const record *rec, const task *t, struct nd_wall now, struct nd_arena *arena)
{
    if (t != NULL && t->status == CT_TASKS__STATUS__PAUSING)
        return "Pausing";
    switch (nd_state_of(rec, t)) {
    case PB__CONTAINER_STATE__CONTAINER_STATE_CREATED:
        return "Created";
    case PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING:
        return up_text(rec, arena);
    case PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED:
        return "Paused";
    case PB__CONTAINER_STATE__CONTAINER_STATE_EXITED:
        return ended_text("Exited", t, now, arena);
    case PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING:
        return ended_text("Restarting", t, now, arena);
    default:
        return "Unknown (its shim does not answer)";
    }
}
