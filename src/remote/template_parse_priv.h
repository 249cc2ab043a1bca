#ifndef REMOTE_TEMPLATE_PARSE_PRIV_H
#define REMOTE_TEMPLATE_PARSE_PRIV_H

/*
 * The two halves of the parser: template_pipe.c reads what stands inside of an action,
 * template_parse.c puts actions and text together. Everything fails with ND_INVALID "template:
 * :LINE: ...".
 */

#include "template_priv.h"

#define TEMPLATE_MAX_VARIABLES 256u /* in scope at once */

struct template_parser {
    struct nd_arena *arena;
    struct nd_template *template;
    struct nd_str text;
    size_t pos;
    bool trim_next; /* the last action was closed with " -}}" */
    unsigned nesting;
    unsigned loops;
    struct nd_str variables[TEMPLATE_MAX_VARIABLES];
    size_t n_variables;
};

/* Words that begin an action of their own. */
enum template_control {
    CONTROL_IF,
    CONTROL_WITH,
    CONTROL_RANGE,
    CONTROL_BREAK,
    CONTROL_CONTINUE,
    CONTROL_DEFINE,
    CONTROL_TEMPLATE,
    CONTROL_BLOCK,
    CONTROL_END,
    CONTROL_ELSE,
    CONTROL_NONE,
};

/* CONTROL_NONE when it is none. */
enum template_control template_find_control(const struct template_token *token);

/* Put the place in front of an error; make one that is about the current place. */
struct nd_error *template_at_line(const struct template_parser *p, size_t pos,
                                  struct nd_error *err) ND_NEW_ERROR;
struct nd_error *template_fail(const struct template_parser *p, const char *message) ND_NEW_ERROR;
struct nd_error *template_unexpected(const struct template_parser *p,
                                     const struct template_token *token,
                                     const char *context) ND_NEW_ERROR;

/* A text in quotes, for a message. */
const char *template_quoted(const struct template_parser *p, struct nd_str text);

/* The next token, blanks included; the next that is no blank; the same without taking it. */
struct nd_error *template_parser_next(struct template_parser *p,
                                      struct template_token *ret) ND_CHECK_RESULT;
struct nd_error *template_next_word(struct template_parser *p,
                                    struct template_token *ret) ND_CHECK_RESULT;
struct nd_error *template_peek_word(struct template_parser *p,
                                    struct template_token *ret) ND_CHECK_RESULT;
bool template_is_word(const struct template_token *token, const char *word);

/* One level of blocks or parentheses more. Fails at the limit. */
struct nd_error *template_deeper(struct template_parser *p) ND_CHECK_RESULT;

/* A variable that is known from here on. Fails at the limit. */
struct nd_error *template_declare(struct template_parser *p, struct nd_str name) ND_CHECK_RESULT;

/* A pipe up to and with `end`, "}}" or ")"; `context` is for messages. */
struct nd_error *template_parse_pipe(struct template_parser *p, const char *context,
                                     enum template_token_kind end,
                                     struct template_pipe **ret) ND_CHECK_RESULT;

#endif
