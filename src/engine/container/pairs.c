/*
 * A list of keys and values in which a key occurs once: labels and annotations in the making. In
 * order of first setting; the lists are short, so a key is looked for from the front.
 */

#include "creation_priv.h"

static struct nd_spec_pair *
find_pair(const struct pair_list *list, const char *key)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->at[i].key, key) == 0)
            return &list->at[i];
    }
    return NULL;
}

void
nd_pairs_set(struct pair_list *list, const char *key, const char *value)
{
    struct nd_spec_pair *pair = find_pair(list, key);

    if (pair != NULL) {
        pair->value = value;
        return;
    }
    if (list->n == list->cap) {
        size_t cap = list->cap == 0 ? 32 : 2 * list->cap;
        struct nd_spec_pair *at = nd_arena_new_array(list->arena, cap, struct nd_spec_pair);

        if (list->n > 0)
            memcpy(at, list->at, list->n * sizeof(at[0]));
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = (struct nd_spec_pair){key, value};
}
