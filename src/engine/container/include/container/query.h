#ifndef CONTAINER_QUERY_H
#define CONTAINER_QUERY_H

/*
 * What is to be known of containers. Nothing here changes anything.
 * Context of everything here: fiber.
 * Follows: contracts/nerdctl-interop.md 7.6, 9.6, 13.
 */

#include "container/containers.h"
#include "nerdctl/v1/container.pb-c.h"

/*
 * Containers that match, newest first. One that vanishes meanwhile is left out.
 * Fails: ND_INVALID about "filters[i]", "last", "page_size" or "page_token".
 */
struct nd_error *nd_containers_list(struct nd_containers *cs, const char *ns,
                                    const Pb__ContainerServiceListRequest *req,
                                    struct nd_arena *arena,
                                    Pb__ContainerServiceListResponse *rsp) ND_CHECK_RESULT;

/* How many there are, and what they do; the rest has ended, or was never started. */
struct nd_container_counts {
    size_t all, running, paused;
    size_t silent; /* their shims do not answer */
};
struct nd_error *nd_containers_count(struct nd_containers *cs, const char *ns,
                                     struct nd_container_counts *ret) ND_CHECK_RESULT;

struct nd_error *nd_container_inspect(struct nd_containers *cs, const char *ns,
                                      const Pb__ContainerServiceInspectRequest *req,
                                      struct nd_arena *arena,
                                      Pb__ContainerServiceInspectResponse *rsp) ND_CHECK_RESULT;

/* Where output goes: pieces of one stream, at most ND_OUTPUT_MAX_BYTES, borrowed for the call. */
struct nd_output_sink {
    struct nd_error *(*put)(void *arg, Pb__OutputStream stream, struct nd_str bytes);
    void *arg;
};

/*
 * What a container wrote; with `follow` until it has ended and its logger is done. Ends with the error
 * of `sink` when that returns one.
 * Fails: ND_PRECONDITION, reason LOGS_NOT_READABLE (driver none, or one that cannot be read back);
 *        ND_DATA_LOSS, reason OUTPUT_LOST (files of the log were removed before they were read);
 *        ND_INVALID about "tail", "since" or "until".
 */
struct nd_error *nd_container_logs(struct nd_containers *cs, const char *ns,
                                   const Pb__ContainerServiceLogsRequest *req,
                                   const struct nd_output_sink *sink) ND_CHECK_RESULT;

#endif
