#ifndef STORE_LOG_RAW_PRIV_H
#define STORE_LOG_RAW_PRIV_H

/* The value of a record's "raw": base64 in the standard alphabet, padded. Context: any. */

#include "base/defs.h"
#include "base/str.h"

/* How many bytes `text` stands for, if it is base64; 0: it has no such length. */
size_t log_raw_len(struct nd_str text);

/*
 * Write the bytes over the `len` > 0 digits at `text`, a length that log_raw_len() accepts. False:
 * it is no base64, or not in the one form that an encoder gives it; what it held is lost then.
 */
bool log_raw_decode(char *text, size_t len);

#endif
