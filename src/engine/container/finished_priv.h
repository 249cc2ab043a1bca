#ifndef CONTAINER_FINISHED_PRIV_H
#define CONTAINER_FINISHED_PRIV_H

/* Exit codes of sessions that are over; see finished.c. Context of all: any. */

#include "wire/frame.h"

#include "containers_priv.h"

struct finished;

/* A client that was told everything. */
struct finished_session {
    uint8_t name[ND_WIRE_SESSION];
    uint64_t at[ND_WIRE_STREAMS]; /* what it has */
    struct task_exit exit;
    int64_t until_ns; /* on the loop's clock; then it is forgotten */
};

struct finished *nd_finished_new(void) __attribute__((__returns_nonnull__));
void nd_finished_free(struct finished *f); /* NULL is fine */

/* Remember one, in the place of an older one of that name. It is copied. */
void nd_finished_put(struct finished *f, const struct finished_session *session, int64_t now_ns);

/* Borrowed until the next nd_finished_put(); NULL: there is none, or not any longer. */
const struct finished_session *
nd_finished_find(const struct finished *f, const uint8_t name[ND_WIRE_SESSION], int64_t now_ns);

#endif
