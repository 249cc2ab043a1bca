#ifndef HELPER_SESSIONS_H
#define HELPER_SESSIONS_H

/*
 * The table of sessions: who is there, what each one has, who holds up the output and for how long.
 * `sessions` is the whole table of ND_HELPER_SESSIONS_MAX. Nothing here touches a socket but to
 * close it.
 */

#include "hub.h"

/* A slot for a new connection, or NULL. */
struct session *sessions_free_slot(struct session *sessions);

/* A connection was accepted: it has a moment to say HELLO. */
void session_begin(struct session *s, int fd, int64_t now_ns);

/*
 * HELLO: the session is new, or goes on in its old slot, which `*at` becomes. Returns an enum
 * nd_wire_refusal, or 0.
 */
unsigned sessions_hello(struct session *sessions, struct session **at,
                        const struct nd_wire_hello *hello, struct spool *spools, int64_t now_ns);

/* Frames of a session that is attached. Each returns an enum nd_wire_refusal, or 0. */
unsigned session_ack(struct session *s, const struct spool *spool, enum nd_wire_stream stream,
                     uint64_t offset, int64_t now_ns);
unsigned session_input(struct session *s, uint64_t offset, struct nd_str bytes);
unsigned session_input_end(struct session *s, uint64_t offset);
void session_leave(struct session *s, int64_t now_ns);

/* Its connection broke. */
void session_lost(struct session *s, int64_t now_ns);

/* So much of its input was written. */
void session_took(struct session *s, size_t n);

/* The process gets no more input: what is pending goes nowhere. */
void sessions_drop_input(struct session *sessions);

bool session_wants(const struct session *s, enum nd_wire_stream stream);

/* It was told of a gap up to here. */
void session_skip(struct session *s, enum nd_wire_stream stream, uint64_t offset);

/* Whether there is something that could be sent to it now. */
bool session_has_more(const struct session *s, const struct spool *spools);

/* Whether it may still want something, if only to hear once more that an output has ended. */
bool session_is_owed(const struct session *s);

/* How much a spool can take without leaving anybody behind. */
size_t sessions_room(const struct session *sessions, const struct spool *spool,
                     enum nd_wire_stream stream);

/* Bytes will be put: whoever had everything begins to be waited for now. */
void sessions_will_grow(struct session *sessions, const struct spool *spool,
                        enum nd_wire_stream stream, int64_t now_ns);

/* Time has passed: holds that are over, patience that has run out, spools that nobody wants. */
void sessions_look(struct session *sessions, struct spool *spools, int64_t now_ns);

/* Nobody can come back any more, and somebody waits for the end of all this. */
void sessions_let_go(struct session *sessions, int64_t now_ns);

/* When that has to be asked again; INT64_MAX: never. */
int64_t sessions_wait_ns(const struct session *sessions, const struct spool *spools,
                         int64_t now_ns);

#endif
