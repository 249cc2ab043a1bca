#ifndef CTRD_PRIV_H
#define CTRD_PRIV_H

/* What the files of this room share: the client's inside, and labels as map entries. */

#include "base/buf.h"
#include "containerd/client.h"
#include "containerd/limits.h"
#include "fiber/sync.h"

struct nd_ctrd {
    struct nd_channel *channel;
    char *address;
    int64_t health_interval_ns;

    bool connected;
    bool ill;             /* connected, but the last health check got no answer or a bad one */
    uint64_t connections; /* made so far: the number of the current one */
    uint64_t losses;      /* connections lost and attempts failed so far */
    struct nd_cond changed;

    struct nd_ctrd_listener listeners[ND_CTRD_MAX_LISTENERS];
    size_t n_listeners;
    bool told_up;             /* what the listeners know, */
    uint64_t told_connection; /* and of which connection */

    uint64_t version_of; /* the connection that `version` was asked over; 0: none */
    struct nd_ctrd_version version;
    char *version_text, *version_revision;
};

/*
 * Say about a failure what containerd's failures say. `losses` is the counter from before the call:
 * it tells a lost connection from an UNAVAILABLE of the server's own. Takes and returns `err`.
 */
struct nd_error *nd_ctrd_explain(const struct nd_ctrd *ctrd, uint64_t losses,
                                 struct nd_error *err) ND_NEW_ERROR;

/* The same for a stream's failure, not NULL. Static analysis does not believe the attribute. */
static inline struct nd_error *
nd_ctrd_stream_failure(const struct nd_ctrd *ctrd, struct nd_error *err)
{
    err = nd_ctrd_explain(ctrd, ctrd->losses, err);
    if (err == NULL)
        __builtin_unreachable();
    return err;
}

/* Send a last request (NULL: none) and half-close. When the server has ended the call already this is
 * no failure: receiving tells why. */
struct nd_error *nd_ctrd_send_last(struct nd_client_call *call,
                                   const void *request) ND_CHECK_RESULT;

/*
 * Texts "key, value, ..., NULL" as the entries of a map<string, string> field, whose entry type is
 * `desc`. The result is the array that the generated message wants, in the arena, texts borrowed.
 */
void *nd_ctrd_map(struct nd_arena *arena, const ProtobufCMessageDescriptor *desc,
                  const char *const *pairs, size_t *ret_n);

/* A text that protobuf-c declares without const. */
static inline char *
nd_ctrd_text(const char *text)
{
    return (char *)(text != NULL ? text : "");
}

#endif
