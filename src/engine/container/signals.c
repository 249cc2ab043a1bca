/*
 * Signals by name and number.
 *
 * Names in any case, with or without SIG, as the kill command and Dockerfiles have them. Real-time
 * signals are counted from the C library's first and last one (34 and 64), because that is what the
 * programs in the container see; the kernel's own 32 and 33 are reachable by number alone.
 */

#include <ctype.h>
#include <signal.h>

#include "signals_priv.h"

#define SIGNAL_MAX    64
#define SIGNAL_RT_MIN 34
#define SIGNAL_RT_MAX 64
#define NAME_MAX_LEN  16u

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS},       {"CHLD", SIGCHLD},
    {"CLD", SIGCHLD},  {"CONT", SIGCONT}, {"FPE", SIGFPE},       {"HUP", SIGHUP},
    {"ILL", SIGILL},   {"INT", SIGINT},   {"IO", SIGIO},         {"IOT", SIGABRT},
    {"KILL", SIGKILL}, {"PIPE", SIGPIPE}, {"POLL", SIGIO},       {"PROF", SIGPROF},
    {"PWR", SIGPWR},   {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},     {"STKFLT", SIGSTKFLT},
    {"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},     {"TRAP", SIGTRAP},
    {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
    {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

/* "RTMIN", "RTMIN+3", "RTMAX-1": false when it is none. */
static bool
parse_real_time(struct nd_str name, int *ret)
{
    bool from_min = nd_str_starts(name, ND_STR("RTMIN"));
    struct nd_str rest = nd_str_from(name, 5);
    struct nd_error *err;
    uint64_t distance = 0;

    if (!from_min && !nd_str_starts(name, ND_STR("RTMAX")))
        return false;
    if (rest.len > 0) {
        if (rest.ptr[0] != (from_min ? '+' : '-'))
            return false;
        err = nd_parse_u64(nd_str_from(rest, 1), SIGNAL_RT_MAX - SIGNAL_RT_MIN, &distance);
        if (err != NULL) {
            nd_error_free(err);
            return false;
        }
    }
    *ret = from_min ? SIGNAL_RT_MIN + (int)distance : SIGNAL_RT_MAX - (int)distance;
    return true;
}

static bool
parse_name(struct nd_str text, int *ret)
{
    char upper[NAME_MAX_LEN];
    struct nd_str name;

    if (text.len >= sizeof(upper))
        return false;
    for (size_t i = 0; i < text.len; i++)
        upper[i] = (char)toupper((unsigned char)text.ptr[i]);
    name = nd_str_n(upper, text.len);
    if (nd_str_starts(name, ND_STR("SIG")))
        name = nd_str_from(name, 3);
    for (size_t i = 0; i < ND_LEN(signals); i++) {
        if (nd_str_eqz(name, signals[i].name)) {
            *ret = signals[i].number;
            return true;
        }
    }
    return parse_real_time(name, ret);
}

struct nd_error *
nd_signal_parse(struct nd_str text, int *ret)
{
    struct nd_error *err;
    uint64_t number;

    if (text.len > 0 && isdigit((unsigned char)text.ptr[0])) {
        err = nd_parse_u64(text, SIGNAL_MAX, &number);
        if (err == NULL && number > 0) {
            *ret = (int)number;
            return NULL;
        }
        nd_error_free(err);
    } else if (parse_name(text, ret)) {
        return NULL;
    }
    return nd_error_new(ND_INVALID, "\"%.*s\" is no signal", ND_STR_ARG(nd_str_sub(text, 0, 40)));
}
