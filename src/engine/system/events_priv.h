#ifndef EVENTS_PRIV_H
#define EVENTS_PRIV_H

/*
 * What the parts of the event stream share: the filters of a request, and what they are asked
 * about.
 */

#include "containerd/events.h"
#include "host/host.h"
#include "nerdctl/v1/system.pb-c.h"

struct event_label {
    const char *key;
    const char *value;
};

/* One event as a filter sees it. Texts are borrowed, never NULL. */
struct event_subject {
    const char *ns;
    struct nd_ctrd_event_name event;
    const char *name;  /* of the container */
    const char *image; /* of the container, or the image itself */
    const struct event_label *labels;
    size_t n_labels;
};

/* --- filters: values of one key are alternatives, keys must all match --- */

struct event_filter;

/*
 * Take "key=value" texts apart. `*ret` lives in the arena, NULL when there are none.
 * Fails: ND_INVALID about "filters[i]", ND_EXHAUSTED. Context: any.
 */
struct nd_error *nd_event_filter_parse(char *const *texts, size_t n, struct nd_arena *arena,
                                       const struct event_filter **ret) ND_CHECK_RESULT;

/* NULL matches everything. Context: any. */
bool nd_event_filter_matches(const struct event_filter *filter,
                             const struct event_subject *subject);

/* Whether it asks for more than the event tells: names, images, labels. */
bool nd_event_filter_wants_objects(const struct event_filter *filter);

/* --- subjects: containers by id, remembered because a deleted one cannot be asked any more --- */

struct event_subjects;

struct event_subjects *nd_event_subjects_new(struct nd_ctrd *ctrd)
    __attribute__((__returns_nonnull__));
void nd_event_subjects_free(struct event_subjects *s); /* NULL is fine */
void nd_event_subjects_freep(struct event_subjects **s);

/* Forget all, and look at the containers of a namespace (NULL: of all). Context: fiber. */
struct nd_error *nd_event_subjects_load(struct event_subjects *s, const char *ns) ND_CHECK_RESULT;

/*
 * Fill in what the object of an event is. `ret` borrows from the arena and until the next call.
 * Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_event_subjects_find(struct event_subjects *s, const Ct__Envelope *event,
                                        struct nd_arena *arena,
                                        struct event_subject *ret) ND_CHECK_RESULT;

#endif
