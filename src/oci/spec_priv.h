#ifndef OCI_SPEC_PRIV_H
#define OCI_SPEC_PRIV_H

/* The parts of the run spec that have a file of their own. Each writes one key and its value. */

#include "oci/spec.h"

struct nd_error *nd_spec_write_mounts(const struct nd_spec_input *in,
                                      struct nd_json_writer *w) ND_CHECK_RESULT;
void nd_spec_write_resources(const struct nd_spec_input *in, struct nd_json_writer *w);

#endif
