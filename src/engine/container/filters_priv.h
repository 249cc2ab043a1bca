#ifndef CONTAINER_FILTERS_PRIV_H
#define CONTAINER_FILTERS_PRIV_H

/* The filters of a list. Context of all: any. */

#include "nerdctl/v1/container.pb-c.h"

#include "pattern_priv.h"

struct nd_filters;

/* Fails: ND_INVALID about "filters[i]". In the arena. */
struct nd_error *nd_filters_parse(char *const *texts, size_t n, struct nd_arena *arena,
                                  struct nd_filters **ret) ND_CHECK_RESULT;

/* Whether containers that do not run are asked for by their state. */
bool nd_filters_imply_all(const struct nd_filters *filters);

/*
 * Find the containers that "before" and "since" name among all. Fails: ND_INVALID about
 * "filters[i]" when there is none.
 */
struct nd_error *nd_filters_bind(struct nd_filters *filters, Pb__Container *const *all,
                                 size_t n) ND_CHECK_RESULT;

bool nd_filters_match(const struct nd_filters *filters, const Pb__Container *container);

#endif
