#ifndef JSON_PRIV_H
#define JSON_PRIV_H

/* What the files of the JSON codec share. */

#include <jansson.h>

#include "codec/json.h"

/* The jansson value behind ours, and the other way round without saying. */
json_t *nd_json_node(const struct nd_json *value);

/* Whether a real stands for an integer above INT64_MAX, and that integer. */
bool nd_json_is_big(const json_t *node);
uint64_t nd_json_big_value(const json_t *node);

#endif
