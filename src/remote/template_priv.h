#ifndef REMOTE_TEMPLATE_PRIV_H
#define REMOTE_TEMPLATE_PRIV_H

/*
 * Inside of templates: tokens, the tree that parsing makes, and what functions see while it runs.
 */

#include "remote/template.h"

enum template_token_kind {
    TOKEN_END_OF_TEXT,
    TOKEN_CLOSE, /* "}}", perhaps with the trim mark in front */
    TOKEN_SPACE,
    TOKEN_DOT,
    TOKEN_FIELD,    /* ".name" */
    TOKEN_VARIABLE, /* "$" or "$name" */
    TOKEN_WORD,
    TOKEN_NUMBER,
    TOKEN_CHARACTER, /* 'a' */
    TOKEN_TEXT,      /* "a" */
    TOKEN_RAW_TEXT,  /* `a` */
    TOKEN_PIPE,
    TOKEN_OPEN_PAREN,
    TOKEN_CLOSE_PAREN,
    TOKEN_DECLARE, /* ":=" */
    TOKEN_ASSIGN,  /* "=" */
    TOKEN_COMMA,
    TOKEN_OTHER, /* any other printable character */
};

struct template_token {
    enum template_token_kind kind;
    struct nd_str text;
    size_t pos; /* in the template */
    bool trim;  /* CLOSE: white space behind goes */
};

/* The token at `*pos` inside an action; moves `*pos` behind it. Fails: ND_INVALID, bare text. */
struct nd_error *template_next_token(struct nd_str text, size_t *pos,
                                     struct template_token *ret) ND_CHECK_RESULT;

/* Values of literals. Fails: ND_INVALID, bare text. */
struct nd_error *template_parse_number(struct nd_arena *arena, const struct template_token *token,
                                       struct nd_value **ret) ND_CHECK_RESULT;
struct nd_error *template_unquote(struct nd_arena *arena, struct nd_str quoted,
                                  struct nd_str *ret) ND_CHECK_RESULT;

enum template_operand_kind {
    OPERAND_DOT,
    OPERAND_NIL,
    OPERAND_LITERAL,
    OPERAND_FIELD,    /* names of the dot */
    OPERAND_VARIABLE, /* variable, then names */
    OPERAND_CHAIN,    /* pipe in parentheses or function, then names */
    OPERAND_FUNCTION,
    OPERAND_PIPE,
};

struct template_operand {
    enum template_operand_kind kind;
    size_t start;         /* in the template */
    size_t pos;           /* of the part that messages point at: the first of several fields */
    struct nd_str source; /* as it was written, for messages */
    struct nd_value *literal;
    struct nd_str variable;
    const struct nd_str *names;
    size_t n_names;
    const struct template_function *function;
    struct template_pipe *pipe;
    struct template_operand *base; /* CHAIN: what the names are fields of */
    struct template_operand *next;
};

struct template_command {
    struct template_operand *operands;
    size_t n_operands;
    struct nd_str source;
    struct template_command *next;
};

struct template_pipe {
    size_t pos;
    struct nd_str source;
    struct nd_str variables[2]; /* declared or assigned */
    size_t n_variables;
    bool assigns; /* "=" instead of ":=" */
    struct template_command *commands;
};

enum template_node_kind {
    NODE_TEXT,
    NODE_ACTION,
    NODE_IF,
    NODE_WITH,
    NODE_RANGE,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_CALL, /* {{template}} */
};

struct template_node {
    enum template_node_kind kind;
    size_t pos;
    struct nd_str text;   /* TEXT: what to print; CALL: the name */
    struct nd_str source; /* CALL: as messages show it */
    struct template_pipe *pipe;
    struct template_node *body;
    struct template_node *otherwise;
    struct template_node *next;
};

struct template_definition {
    struct nd_str name;
    struct template_node *body;
    struct template_definition *next;
};

struct nd_template {
    struct nd_str text;
    struct template_node *body;
    struct template_definition *definitions;
};

/* What a function sees of the run. */
struct template_run {
    const struct nd_template *template;
    struct nd_arena *arena;
    struct nd_buf *out;
    bool heading;
    unsigned steps;
    unsigned depth;
    size_t pos; /* of what is being evaluated, for messages */
    struct nd_str source;
    struct template_variable *variables;
    const struct nd_value *dollar;
};

/* Count work; a text of `bytes` was made. Fails: ND_EXHAUSTED. */
struct nd_error *template_work(struct template_run *run, size_t bytes) ND_CHECK_RESULT;

struct template_arguments {
    const struct nd_value *const *values;
    size_t n;
};

/* A function: gets its arguments, gives a value. Fails: bare text. */
typedef struct nd_error *template_function_fn(struct template_run *run,
                                              struct template_arguments args,
                                              const struct nd_value **ret);

enum template_function_mark {
    FUNCTION_LAZY_AND = 1, /* arguments are evaluated one by one until the answer is known */
    FUNCTION_LAZY_OR = 2,
    FUNCTION_KEEPS_HEADING = 4, /* in the heading of a table it gives its first argument */
};

struct template_function {
    const char *name;
    template_function_fn *call;
    const char *takes; /* a letter per argument: s text, i integer, v any; '*': any more of v */
    unsigned marks;
};

/* NULL when there is none. */
const struct template_function *template_find_function(struct nd_str name);

/* Go's Sprint, Sprintln and Sprintf. */
struct nd_error *template_print(struct nd_buf *out, struct template_arguments args,
                                bool line) ND_CHECK_RESULT;
struct nd_error *template_printf(struct nd_buf *out, struct nd_str format,
                                 struct template_arguments args) ND_CHECK_RESULT;

/* `text` as a Go string in quotes. */
struct nd_error *template_quote(struct nd_buf *out, struct nd_str text) ND_CHECK_RESULT;

#endif
