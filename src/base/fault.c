/*
 * Fault points, for builds with ND_FAULTS.
 *
 * Under one lock: what is armed, how often each name was reached since, and the trace. Names are
 * counted one by one, so that a point in a loop, or one that several steps share, can be armed for
 * each of its hits. The counts begin anew when a point is armed or a trace begun: a test traces an
 * operation once and then repeats it with each entry of that trace armed.
 */

#include "base/fault.h"

#ifdef ND_FAULTS

#    include <errno.h>
#    include <pthread.h>
#    include <signal.h>
#    include <stdio.h>
#    include <unistd.h>

#    define NAMES_MAX 256u
#    define NAME_SIZE 64u
#    define TRACE_MAX 1024u

enum action { ACTION_NONE, ACTION_FAIL, ACTION_KILL };

static struct {
    pthread_mutex_t lock;
    struct {
        char name[NAME_SIZE];
        unsigned n;
    } counts[NAMES_MAX];
    size_t n_names;

    char armed[NAME_SIZE];
    uint64_t at;
    enum action action;
    bool fired;

    bool tracing;
    struct {
        size_t name;
        unsigned n;
    } trace[TRACE_MAX];
    size_t n_trace;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The lock is held. Beyond NAMES_MAX the last one takes all. */
static size_t
find_name(const char *name)
{
    for (size_t i = 0; i < faults.n_names; i++) {
        if (strcmp(faults.counts[i].name, name) == 0)
            return i;
    }
    if (faults.n_names == NAMES_MAX)
        return NAMES_MAX - 1;
    (void)snprintf(faults.counts[faults.n_names].name, NAME_SIZE, "%s", name);
    return faults.n_names++;
}

static enum action
reach(const char *name)
{
    enum action action = ACTION_NONE;
    size_t at;

    pthread_mutex_lock(&faults.lock);
    at = find_name(name);
    faults.counts[at].n++;
    if (faults.tracing && faults.n_trace < TRACE_MAX) {
        faults.trace[faults.n_trace].name = at;
        faults.trace[faults.n_trace++].n = faults.counts[at].n;
    }
    if (faults.action != ACTION_NONE && !faults.fired && faults.counts[at].n == faults.at &&
        strcmp(faults.armed, name) == 0) {
        faults.fired = true;
        action = faults.action;
    }
    pthread_mutex_unlock(&faults.lock);
    if (action == ACTION_KILL)
        (void)kill(getpid(), SIGKILL);
    return action;
}

struct nd_error *
nd_fault_reach(const char *name)
{
    if (reach(name) != ACTION_FAIL)
        return NULL;
    return nd_error_reason(nd_error_new(ND_INTERNAL, "fault point %s", name), "FAULT");
}

int
nd_fault_reach_errno(const char *name)
{
    return reach(name) == ACTION_FAIL ? EIO : 0;
}

/* The lock is held. */
static void
forget_counts(void)
{
    for (size_t i = 0; i < faults.n_names; i++)
        faults.counts[i].n = 0;
}

struct nd_error *
nd_fault_arm(struct nd_str text)
{
    size_t equals = nd_str_rfind(text, '=');
    struct nd_str name = nd_str_sub(text, 0, ND_MIN(equals, text.len));
    struct nd_str what = equals != SIZE_MAX ? nd_str_from(text, equals + 1) : ND_STR_NONE;
    size_t hash = nd_str_rfind(name, '#');
    uint64_t at = 1;
    char armed[NAME_SIZE];

    if (hash != SIZE_MAX) {
        ND_TRY_DOING(nd_parse_u64(nd_str_from(name, hash + 1), UINT32_MAX, &at), "fault");
        name = nd_str_sub(name, 0, hash);
    }
    if (text.len > 0 && !nd_str_eqz(what, "fail") && !nd_str_eqz(what, "kill"))
        return nd_error_new(ND_INVALID, "fault \"%.*s\": neither =fail nor =kill",
                            ND_STR_ARG(text));
    ND_TRY(nd_str_copy(armed, sizeof(armed), name, "fault"));
    pthread_mutex_lock(&faults.lock);
    memcpy(faults.armed, armed, sizeof(armed));
    faults.at = at;
    faults.action = text.len == 0              ? ACTION_NONE
                    : nd_str_eqz(what, "fail") ? ACTION_FAIL
                                               : ACTION_KILL;
    faults.fired = false;
    forget_counts();
    pthread_mutex_unlock(&faults.lock);
    return NULL;
}

bool
nd_fault_has_fired(void)
{
    bool fired;

    pthread_mutex_lock(&faults.lock);
    fired = faults.fired;
    pthread_mutex_unlock(&faults.lock);
    return fired;
}

void
nd_fault_trace_begin(void)
{
    pthread_mutex_lock(&faults.lock);
    faults.tracing = true;
    faults.n_trace = 0;
    forget_counts();
    pthread_mutex_unlock(&faults.lock);
}

void
nd_fault_trace_end(struct nd_buf *buf)
{
    pthread_mutex_lock(&faults.lock);
    faults.tracing = false;
    for (size_t i = 0; i < faults.n_trace; i++)
        nd_buf_printf(buf, "%s%s#%u", i > 0 ? "," : "", faults.counts[faults.trace[i].name].name,
                      faults.trace[i].n);
    pthread_mutex_unlock(&faults.lock);
}

#endif
