#ifndef REMOTE_TEMPLATE_FUNCTIONS_PRIV_H
#define REMOTE_TEMPLATE_FUNCTIONS_PRIV_H

/* The functions of templates that make text, for the table in template_functions.c. */

#include "template_priv.h"

#define DECLARE_FUNCTION(name)                                                                 \
    struct nd_error *template_##name(struct template_run *run, struct template_arguments args, \
                                     const struct nd_value **ret) ND_CHECK_RESULT

DECLARE_FUNCTION(html);
DECLARE_FUNCTION(join);
DECLARE_FUNCTION(js);
DECLARE_FUNCTION(json);
DECLARE_FUNCTION(lower);
DECLARE_FUNCTION(pad);
DECLARE_FUNCTION(split);
DECLARE_FUNCTION(sprint);
DECLARE_FUNCTION(sprintf);
DECLARE_FUNCTION(sprintln);
DECLARE_FUNCTION(title);
DECLARE_FUNCTION(truncate);
DECLARE_FUNCTION(upper);
DECLARE_FUNCTION(urlquery);

#endif
