#ifndef CONTAINER_STREAM_OPTIONS_PRIV_H
#define CONTAINER_STREAM_OPTIONS_PRIV_H

/* Context of all: any. */

#include "base/error.h"
#include "nerdctl/v1/container.pb-c.h"
#include "wire/frame.h"

/* The name of a session as clients write it. Fails: ND_INVALID about "session_id". */
struct nd_error *nd_session_parse(const char *text, uint8_t ret[ND_WIRE_SESSION]) ND_CHECK_RESULT;

/* NULL options are good ones. Fails: ND_INVALID about a field of "stream". */
struct nd_error *nd_stream_options_check(const Pb__StreamOptions *options,
                                         bool may_resume) ND_CHECK_RESULT;

/* Fails: ND_INVALID about `field`. */
struct nd_error *nd_terminal_size_check(const Pb__TerminalSize *size,
                                        const char *field) ND_CHECK_RESULT;

#endif
