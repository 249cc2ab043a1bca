#ifndef IMAGE_PRIV_H
#define IMAGE_PRIV_H

/* Reading the documents of images: what their files share. */

#include "codec/json.h"
#include "oci/image.h"
#include "oci/limits.h"

/* Parse a document: a JSON object within ND_OCI_MAX_BYTES. */
struct nd_error *nd_oci_document(struct nd_str text, struct nd_json **ret) ND_CHECK_RESULT;

/* A text member, copied; "" when it is not there. */
struct nd_error *nd_oci_get_text(const struct nd_json *object, const char *key,
                                 struct nd_arena *arena, const char **ret) ND_CHECK_RESULT;

/* A list that is read: at most `max` of it. */
struct nd_oci_list {
    const struct nd_json *array;
    size_t n;
};

struct nd_error *nd_oci_get_list(const struct nd_json *object, const char *key, size_t max,
                                 struct nd_oci_list *ret) ND_CHECK_RESULT;

/* A list of texts; NULL elements are refused. */
struct nd_error *nd_oci_get_texts(const struct nd_json *object, const char *key, size_t max,
                                  struct nd_arena *arena, const char *const **ret,
                                  size_t *ret_n) ND_CHECK_RESULT;

/* The values of an object whose values are all texts. */
struct nd_error *nd_oci_get_pairs(const struct nd_json *object, const char *key,
                                  struct nd_arena *arena, const struct nd_oci_pair **ret,
                                  size_t *ret_n) ND_CHECK_RESULT;

/* The keys of an object, which serves as a set. */
struct nd_error *nd_oci_get_keys(const struct nd_json *object, const char *key,
                                 struct nd_arena *arena, const char *const **ret,
                                 size_t *ret_n) ND_CHECK_RESULT;

/* An RFC 3339 time; *ret_has says whether it is there. */
struct nd_error *nd_oci_get_time(const struct nd_json *object, const char *key, bool *ret_has,
                                 struct nd_wall *ret) ND_CHECK_RESULT;

/* Say that an error is about element `i` of a list. NULL stays NULL. */
struct nd_error *nd_oci_in_element(struct nd_error *err, const char *key, size_t i) ND_CHECK_RESULT;

#endif
