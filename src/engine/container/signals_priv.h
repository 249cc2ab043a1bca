#ifndef CONTAINER_SIGNALS_PRIV_H
#define CONTAINER_SIGNALS_PRIV_H

/* Signals by name and number, as people write them. Context: any. */

#include "base/error.h"
#include "base/str.h"

/*
 * "SIGTERM", "term", "15", "SIGRTMIN+3", "RTMAX-1". Fails: ND_INVALID, without a field.
 */
struct nd_error *nd_signal_parse(struct nd_str text, int *ret) ND_CHECK_RESULT;

#endif
