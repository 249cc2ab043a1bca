#ifndef GRPC_CLIENT_CALL_PRIV_H
#define GRPC_CLIENT_CALL_PRIV_H

/* A call of the client: client_call.c (what callers do), attempt.c, response.c, retry.c. */

#include "channel_priv.h"

/* What has arrived in the running attempt. */
struct nd_response {
    struct nd_metadata headers;
    struct nd_metadata trailers;
    unsigned http_status;
    struct nd_str content_type;
    struct nd_str status; /* grpc-status as received; ptr NULL: none */
    struct nd_str message;
    struct nd_str details;
    unsigned n_details;
    bool bad_binary : 1;
    bool has_headers : 1;
    bool is_foreign : 1; /* not a gRPC response: `in` collects its body */
};

struct nd_client_call {
    struct nd_h2_stream h2; /* first: calls are found through it */
    struct nd_channel *ch;
    const struct nd_method_desc *method;
    struct nd_arena *arena;

    /* The request, as long as it may have to be sent again. */
    const void *single;       /* unary: the message; the caller's, like its metadata */
    struct nd_buf sent;       /* streams: the frames so far */
    struct nd_header *block;  /* room for the header block */
    struct nd_header *fields; /* of it: the metadata, encoded */
    size_t n_fields;

    struct nd_response rsp;
    struct nd_frames in;
    size_t owed;             /* bytes of `in` whose credit was not given back */
    struct nd_cond readable; /* also: the first header block, and every change of the flags below */
    struct nd_cond writable;
    struct nd_error *end; /* NULL: OK */

    /* Attempts. */
    struct nd_retry_policy policy;
    unsigned attempts;   /* made under the policy */
    unsigned n_backoffs; /* since the last pushback */
    int64_t again_at_ns;

    bool wait_for_ready : 1;
    bool says_gzip : 1;   /* in the request's header block */
    bool wants_gzip : 1;  /* the caller, for the next message */
    bool half_closed : 1; /* the caller sends nothing more */
    bool reader_waits : 1;
    bool again : 1;       /* an attempt is due */
    bool is_repeated : 1; /* and is not the first */
    bool opening : 1;     /* some fiber makes it */
    bool refused : 1;     /* once, and repeated for that */
    bool committed : 1;   /* no other attempt */
    bool done : 1;        /* `end` holds */
    TAILQ_ENTRY(nd_client_call) link;
};

/* --- attempt.c --- */

/* Before the first attempt: the header block, and what of the request must be kept. */
void nd_attempt_prepare(struct nd_client_call *call, const struct nd_metadata *md);

/*
 * If an attempt is due, make it, or wait for the fiber that does. Afterwards either the stream is
 * open or the call is done. Fails: ND_CANCELLED, ND_DEADLINE, the attempt is still due then;
 * ND_EXHAUSTED and others when the request cannot be sent. Context: fiber.
 */
struct nd_error *nd_attempt_ensure(struct nd_client_call *call) ND_CHECK_RESULT;

/* Append a message to the stream's queue. Context: fiber. */
struct nd_error *nd_attempt_put(struct nd_client_call *call, const void *message) ND_CHECK_RESULT;

/* There will be no other attempt: what was kept for it goes. */
void nd_attempt_commit(struct nd_client_call *call);

enum nd_attempt_end {
    ND_ATTEMPT_UNSENT,  /* not a byte of it has left */
    ND_ATTEMPT_REFUSED, /* the server has certainly not looked at it */
    ND_ATTEMPT_ENDED,
};

/*
 * The running attempt has ended, with status OK if `err` is NULL. Takes `err`; the first end
 * counts.
 */
void nd_attempt_over(struct nd_client_call *call, enum nd_attempt_end how, struct nd_error *err);

/* Reset the stream, and let this be the end of the call. Takes `err`. */
void nd_attempt_break_off(struct nd_client_call *call, enum nd_h2_code code, struct nd_error *err);

/* --- response.c --- */

extern const struct nd_h2_stream_ops nd_response_ops;

/* --- retry.c --- */

/* The policy of a call; max_attempts is 0 without one. */
struct nd_retry_policy nd_retry_policy_of(const struct nd_channel *ch,
                                          const struct nd_call_options *options);

/*
 * An attempt has ended with `err` (NULL: OK): true when the call gets another one, no earlier than
 * *ret_at_ns. Counts it.
 */
bool nd_retry_decide(struct nd_client_call *call, enum nd_attempt_end how,
                     const struct nd_error *err, int64_t *ret_at_ns);

#endif
