/*
 * Whether a call that has failed is made again, and when (contracts/grpc-wire.md 7.3, gRFC A6).
 *
 *     the request never left          again at once, as long as the deadline allows
 *     the server certainly did not    again at once, the first time; then as any other failure
 *       look at it
 *     a status of the policy's list   again after a backoff, up to max_attempts
 *     anything after the first        never: the call is committed
 *       header block
 *
 * The server has a say: grpc-retry-pushback-ms in its trailers is the exact delay, or a no. And so
 * has everybody else: the tokens that failures cost are the channel's, so when most calls fail,
 * nothing is repeated any more and a server in trouble is left alone.
 */

#include "base/random.h"

#include "client_call_priv.h"

static const struct nd_retry_policy cautious = {
    .max_attempts = 3,
    .codes = ND_RETRY_ON(ND_UNAVAILABLE),
    .initial_backoff_ns = 50 * ND_MILLISECOND,
    .max_backoff_ns = ND_SECOND,
    .backoff_multiplier = 2,
};

struct nd_retry_policy
nd_retry_policy_of(const struct nd_channel *ch, const struct nd_call_options *options)
{
    struct nd_retry_policy policy = {0};

    if (options != NULL && options->retry != NULL)
        policy = *options->retry;
    else if (options != NULL && options->idempotent)
        policy = ch->options.retry.max_attempts != 0 ? ch->options.retry : cautious;
    policy.max_attempts = ND_MIN(policy.max_attempts, ND_GRPC_MAX_ATTEMPTS);
    return policy;
}

/* --- tokens --- */

/* A failure: false when no more than half of the tokens are left. */
static bool
take_token(struct nd_channel *ch)
{
    if (ch->options.retry_max_tokens == 0)
        return true;
    ch->retry_tokens -= ND_MIN(ch->retry_tokens, 1000u);
    return ch->retry_tokens > 1000 * ch->options.retry_max_tokens / 2;
}

static void
give_token(struct nd_channel *ch)
{
    if (ch->options.retry_max_tokens != 0)
        ch->retry_tokens = ND_MIN(ch->retry_tokens + ch->options.retry_token_thousandths,
                                  1000 * ch->options.retry_max_tokens);
}

/* --- delays --- */

enum pushback { PUSHBACK_NONE, PUSHBACK_DELAY, PUSHBACK_STOP };

static enum pushback
read_pushback(const struct nd_metadata *md, int64_t *ret_ns)
{
    enum pushback found = PUSHBACK_NONE;

    for (size_t i = 0; i < nd_metadata_count(md); i++) {
        struct nd_str key, value;
        uint64_t ms = 0;
        struct nd_error *err;

        nd_metadata_at(md, i, &key, &value);
        if (!nd_str_eqz(key, "grpc-retry-pushback-ms"))
            continue;
        err = found == PUSHBACK_NONE ? nd_parse_u64(value, INT32_MAX, &ms) : NULL;
        found = found == PUSHBACK_NONE && err == NULL ? PUSHBACK_DELAY : PUSHBACK_STOP;
        nd_error_free(err);
        *ret_ns = (int64_t)ms * ND_MILLISECOND;
    }
    return found;
}

/* The n-th of a row, a fifth more or less. */
static int64_t
backoff_ns(const struct nd_retry_policy *policy, unsigned n)
{
    double ns = (double)policy->initial_backoff_ns;
    double max_ns = (double)ND_MIN(policy->max_backoff_ns, ND_FOR_EVER_NS);

    while (n-- > 0 && ns < max_ns)
        ns *= ND_MAX(policy->backoff_multiplier, 1.0);
    ns = ND_MIN(ns, max_ns);
    return (int64_t)(ns * (0.8 + 0.4 * ((double)(nd_random_u64() % 1000) / 1000)));
}

/* --- the decision --- */

static bool
is_worth_it(const struct nd_client_call *call, const struct nd_error *err)
{
    return (call->policy.codes & ND_RETRY_ON(nd_error_code(err))) != 0;
}

/* A failure of the policy's list. */
static bool
decide_by_policy(struct nd_client_call *call, int64_t *ret_at_ns)
{
    bool has_token = take_token(call->ch);
    int64_t delay_ns = 0;
    enum pushback pushback = read_pushback(&call->rsp.trailers, &delay_ns);

    if (call->committed || !has_token || pushback == PUSHBACK_STOP)
        return false;
    if (call->attempts + 1 >= call->policy.max_attempts)
        return false;
    if (pushback == PUSHBACK_DELAY)
        call->n_backoffs = 0;
    else
        delay_ns = backoff_ns(&call->policy, call->n_backoffs++);
    call->attempts++;
    *ret_at_ns = nd_loop_now().ns + delay_ns;
    return true;
}

bool
nd_retry_decide(struct nd_client_call *call, enum nd_attempt_end how, const struct nd_error *err,
                int64_t *ret_at_ns)
{
    *ret_at_ns = 0;
    if (err == NULL) {
        give_token(call->ch);
        return false;
    }
    if (call->ch->state == ND_CHANNEL_CLOSED)
        return false;
    if (how == ND_ATTEMPT_UNSENT && !call->committed)
        return true;
    if (how == ND_ATTEMPT_REFUSED && !call->refused && !call->committed) {
        call->refused = true;
        return true;
    }
    return call->policy.max_attempts > 1 && is_worth_it(call, err) &&
           decide_by_policy(call, ret_at_ns);
}
