/*
 * Command lines of `run`: any words parse or are refused, and what parses makes a message that can
 * be sent. Words are separated by NUL.
 */

#include "base/arena.h"
#include "remote/container_config.h"
#include "remote/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Flags that read files of the machine do not belong here. */
static bool
reads_a_file(struct nd_str word)
{
    return nd_str_search(word, ND_STR("-file")) != SIZE_MAX ||
           nd_str_search(word, ND_STR("seccomp")) != SIZE_MAX;
}

static void
read_line(struct nd_arena *a, struct nd_texts words)
{
    struct nd_flags *flags = nd_flags_new(a, nd_container_flags);
    struct nd_flag_words input = {.words = words.items, .n = words.n};
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_flags_parse(a, &flags, 1, &input);
    Pb__ContainerConfig *config;

    if (err == NULL && !input.help)
        err = nd_flags_check_supported(flags);
    if (err != NULL || input.help || input.args.n == 0)
        return;
    err = nd_container_config(a, flags, &input.args, &config);
    if (err == NULL)
        ND_INVARIANT(protobuf_c_message_check(&config->base) &&
                     protobuf_c_message_get_packed_size(&config->base) > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    struct nd_str rest = nd_str_n(data, size), word;
    struct nd_texts words = {.n = 0};

    while (nd_str_next(&rest, '\0', &word)) {
        if (reads_a_file(word) || words.n == ND_REMOTE_MAX_LIST_VALUES)
            return 0;
        nd_texts_push(a, &words, nd_str_n(nd_arena_str(a, word), word.len));
    }
    read_line(a, words);
    return 0;
}
