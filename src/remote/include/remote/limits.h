#ifndef REMOTE_LIMITS_H
#define REMOTE_LIMITS_H

/* What a command line, a template, a file of the user or an answer may make us hold. */

#define ND_REMOTE_MAX_LIST_VALUES    65536u        /* values of one list flag */
#define ND_REMOTE_MAX_FILE_BYTES     (1024u << 10) /* env files, label files, profiles, contexts */
#define ND_REMOTE_MAX_DOCUMENT_BYTES (64u << 20)   /* what one element prints */
#define ND_REMOTE_MAX_MESSAGE_BYTES  (64u << 20)   /* one message of the daemon */
#define ND_REMOTE_MAX_OUTPUT_BYTES   (1024u << 20) /* printed at once, by lists */

#define ND_TEMPLATE_MAX_BYTES   (64u << 10) /* text of a template */
#define ND_TEMPLATE_MAX_NESTING 50u         /* blocks and parentheses inside each other */
#define ND_TEMPLATE_MAX_DEPTH   64u         /* the same while it runs, {{template}} included */
#define ND_TEMPLATE_MAX_STEPS   1000000u    /* nodes run, and 64 bytes made count as one more */
#define ND_TEMPLATE_MAX_WIDTH   1000000     /* width and precision of printf, as in Go */

#endif
