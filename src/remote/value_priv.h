#ifndef REMOTE_VALUE_PRIV_H
#define REMOTE_VALUE_PRIV_H

/* What is known about the documents of inspect beyond their JSON. */

#include "remote/value.h"

/* A field of a document by its other name, or its zero value when it was left out; else NULL. */
struct nd_value *nd_document_field(const struct nd_value *object, struct nd_str name);

/* Whether the object behind this name is a map: its keys are data, not fields. */
bool nd_document_is_map(struct nd_str name);

#endif
