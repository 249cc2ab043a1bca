#ifndef TESTS_INTEROP_INTEROP_PARTS_H
#define TESTS_INTEROP_INTEROP_PARTS_H

/*
 * What the cases of the interoperability client are made of: expectations and requests.
 * Expectations that do not come true are errors of code ND_INTERNAL. Payloads are zero bytes.
 */

#include "grpc/channel.h"

#include "interop.pb-c.h"

#define INTEROP_LARGE_REQUEST  271828
#define INTEROP_LARGE_RESPONSE 314159

struct nd_error *interop_expect(bool holds, const char *what) ND_CHECK_RESULT;
struct nd_error *interop_expect_size(const Interop__Payload *payload, size_t size) ND_CHECK_RESULT;

/* Takes `err`, which must have this code and, unless NULL, this message. */
struct nd_error *interop_expect_error(struct nd_error *err, enum nd_code code,
                                      const char *message) ND_CHECK_RESULT;

/* The next message of a duplex or server stream has so many bytes; there is no other one. */
struct nd_error *interop_expect_answer(struct nd_client_call *call, size_t size) ND_CHECK_RESULT;
struct nd_error *interop_expect_end(struct nd_client_call *call) ND_CHECK_RESULT;

Interop__Payload *interop_zeros(struct nd_arena *arena, size_t size);

/* A request with so much payload, for answers of these sizes. */
Interop__StreamingOutputCallRequest *interop_ask(struct nd_arena *arena, size_t payload,
                                                 const int *sizes, size_t n);

/* The large unary call of many cases. Context: fiber. */
struct nd_error *interop_large_call(struct nd_channel *ch) ND_CHECK_RESULT;

#endif
