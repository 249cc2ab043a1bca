/*
 * Inside of an action: pipes, commands and operands, and what the parser is made of.
 *
 *     pipe     = [ variables (":=" | "=") ] command { "|" command }
 *     command  = operand { " " operand }
 *     operand  = term { ".name" }
 *
 * The lexer has no state, so looking ahead is lexing from a saved position. Variables and functions
 * are checked here, so that a wrong template fails before anything was printed.
 */

#include "remote/limits.h"

#include "template_parse_priv.h"

#define MAX_NAMES 64u /* ".a.b.c" */

struct nd_error *
template_at_line(const struct template_parser *p, size_t pos, struct nd_error *err)
{
    unsigned line = 1;

    for (size_t i = 0; i < pos && i < p->text.len; i++)
        line += p->text.ptr[i] == '\n';
    return nd_error_wrap(err, "template: :%u", line);
}

struct nd_error *
template_fail(const struct template_parser *p, const char *message)
{
    return template_at_line(p, p->pos, nd_error_new(ND_INVALID, "%s", message));
}

bool
template_is_word(const struct template_token *token, const char *word)
{
    return token->kind == TOKEN_WORD && nd_str_eqz(token->text, word);
}

static const char *const control_words[] = {"if",     "with",     "range", "break", "continue",
                                            "define", "template", "block", "end",   "else"};

enum template_control
template_find_control(const struct template_token *token)
{
    for (size_t i = 0; i < ND_LEN(control_words); i++) {
        if (template_is_word(token, control_words[i]))
            return (enum template_control)i;
    }
    return CONTROL_NONE;
}

/* A text in quotes, for a message. */
const char *
template_quoted(const struct template_parser *p, struct nd_str text)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(4 * ND_TEMPLATE_MAX_BYTES + 3);
    ND_AUTO(nd_error_freep) struct nd_error *err = template_quote(&buf, text);

    return err == NULL ? nd_arena_str(p->arena, nd_buf_str(&buf)) : "";
}

/* As Go: keywords in angles, other words in quotes and, when long, cut. */
struct nd_error *
template_unexpected(const struct template_parser *p, const struct template_token *token,
                    const char *context)
{
    struct nd_error *err;

    if (token->kind == TOKEN_END_OF_TEXT)
        err = nd_error_new(ND_INVALID, "unclosed action");
    else if (template_find_control(token) != CONTROL_NONE)
        err = nd_error_new(ND_INVALID, "unexpected <%.*s> in %s", ND_STR_ARG(token->text), context);
    else if (token->text.len > 10)
        err = nd_error_new(ND_INVALID, "unexpected %s... in %s",
                           template_quoted(p, nd_str_sub(token->text, 0, 10)), context);
    else
        err = nd_error_new(ND_INVALID, "unexpected %s in %s", template_quoted(p, token->text),
                           context);
    return template_at_line(p, token->pos, err);
}

struct nd_error *
template_parser_next(struct template_parser *p, struct template_token *ret)
{
    struct nd_error *err = template_next_token(p->text, &p->pos, ret);

    return err == NULL ? NULL : template_at_line(p, p->pos, err);
}

static struct nd_error *
peek(struct template_parser *p, struct template_token *ret)
{
    size_t pos = p->pos;
    struct nd_error *err = template_parser_next(p, ret);

    p->pos = pos;
    return err;
}

struct nd_error *
template_next_word(struct template_parser *p, struct template_token *ret)
{
    do
        ND_TRY(template_parser_next(p, ret));
    while (ret->kind == TOKEN_SPACE);
    return NULL;
}

struct nd_error *
template_peek_word(struct template_parser *p, struct template_token *ret)
{
    size_t pos = p->pos;
    struct nd_error *err = template_next_word(p, ret);

    p->pos = pos;
    return err;
}

struct nd_error *
template_deeper(struct template_parser *p)
{
    if (++p->nesting > ND_TEMPLATE_MAX_NESTING)
        return template_fail(p, "too many blocks or parentheses inside each other");
    return NULL;
}

struct nd_error *
template_declare(struct template_parser *p, struct nd_str name)
{
    if (p->n_variables == TEMPLATE_MAX_VARIABLES)
        return template_fail(p, "too many variables");
    p->variables[p->n_variables++] = name;
    return NULL;
}

static struct nd_error *
check_variable(const struct template_parser *p, const struct template_token *token)
{
    for (size_t i = 0; i < p->n_variables; i++) {
        if (nd_str_eq(p->variables[i], token->text))
            return NULL;
    }
    return template_at_line(
        p, token->pos,
        nd_error_new(ND_INVALID, "undefined variable \"%.*s\"", ND_STR_ARG(token->text)));
}

static struct nd_error *
parse_word(struct template_parser *p, const struct template_token *token,
           struct template_operand *operand)
{
    if (nd_str_eqz(token->text, "true") || nd_str_eqz(token->text, "false")) {
        operand->kind = OPERAND_LITERAL;
        operand->literal = nd_value_bool(p->arena, token->text.ptr[0] == 't');
        return NULL;
    }
    if (nd_str_eqz(token->text, "nil")) {
        operand->kind = OPERAND_NIL;
        return NULL;
    }
    operand->kind = OPERAND_FUNCTION;
    operand->function = template_find_function(token->text);
    if (operand->function == NULL) {
        return template_at_line(
            p, token->pos,
            nd_error_new(ND_INVALID, "function \"%.*s\" not defined", ND_STR_ARG(token->text)));
    }
    return NULL;
}

static struct nd_error *
parse_literal(struct template_parser *p, const struct template_token *token,
              struct template_operand *operand)
{
    struct nd_error *err;

    operand->kind = OPERAND_LITERAL;
    if (token->kind == TOKEN_NUMBER || token->kind == TOKEN_CHARACTER) {
        err = template_parse_number(p->arena, token, &operand->literal);
    } else {
        operand->literal = nd_value_new(p->arena, ND_VALUE_TEXT);
        err = template_unquote(p->arena, token->text, &operand->literal->text);
    }
    return err == NULL ? NULL : template_at_line(p, token->pos, err);
}

/* The tokens that begin an operand; *ret is false when there is none, and nothing is consumed. */
static struct nd_error *
parse_term(struct template_parser *p, struct template_operand *operand, struct nd_str *name,
           bool *ret)
{
    size_t start = p->pos;
    struct template_token token;

    ND_TRY(template_parser_next(p, &token));
    operand->pos = token.pos;
    *ret = true;
    switch (token.kind) {
    case TOKEN_DOT:
        operand->kind = OPERAND_DOT;
        return NULL;
    case TOKEN_FIELD:
        operand->kind = OPERAND_FIELD;
        *name = nd_str_from(token.text, 1);
        return NULL;
    case TOKEN_VARIABLE:
        operand->kind = OPERAND_VARIABLE;
        operand->variable = token.text;
        return check_variable(p, &token);
    case TOKEN_WORD:
        return parse_word(p, &token, operand);
    case TOKEN_NUMBER:
    case TOKEN_CHARACTER:
    case TOKEN_TEXT:
    case TOKEN_RAW_TEXT:
        return parse_literal(p, &token, operand);
    case TOKEN_OPEN_PAREN:
        operand->kind = OPERAND_PIPE;
        return template_parse_pipe(p, "parenthesized pipeline", TOKEN_CLOSE_PAREN, &operand->pipe);
    default:
        *ret = false;
        p->pos = start;
        return NULL;
    }
}

/* `operand` gets fields of its own: plain ones take them, others become the base of a chain. */
static struct nd_error *
make_chain(struct template_parser *p, struct template_operand *operand)
{
    struct template_operand *base;

    switch (operand->kind) {
    case OPERAND_FIELD:
    case OPERAND_VARIABLE:
        return NULL;
    case OPERAND_DOT:
    case OPERAND_NIL:
    case OPERAND_LITERAL:
        return template_at_line(p, operand->pos,
                                nd_error_new(ND_INVALID, "unexpected . after term %s",
                                             template_quoted(p, operand->source)));
    case OPERAND_CHAIN:
    case OPERAND_FUNCTION:
    case OPERAND_PIPE:
        break;
    }
    base = nd_arena_memdup(p->arena, operand, sizeof(*operand));
    operand->kind = OPERAND_CHAIN;
    operand->base = base;
    return NULL;
}

static struct nd_error *
parse_operand(struct template_parser *p, struct template_operand **ret)
{
    struct template_operand *operand = nd_arena_new_object(p->arena, struct template_operand);
    struct nd_str names[MAX_NAMES];
    struct template_token token;
    size_t start = p->pos;
    bool found;

    *ret = NULL;
    ND_TRY(parse_term(p, operand, &names[0], &found));
    if (!found)
        return NULL;
    operand->start = start;
    operand->n_names = operand->kind == OPERAND_FIELD ? 1 : 0;
    operand->source = nd_str_sub(p->text, start, p->pos - start);
    ND_TRY(peek(p, &token));
    if (token.kind == TOKEN_FIELD) {
        ND_TRY(make_chain(p, operand));
        operand->pos = token.pos;
    }
    while (token.kind == TOKEN_FIELD) {
        if (operand->n_names == MAX_NAMES)
            return template_fail(p, "too many fields");
        ND_TRY(template_parser_next(p, &token));
        names[operand->n_names++] = nd_str_from(token.text, 1);
        ND_TRY(peek(p, &token));
    }
    operand->source = nd_str_sub(p->text, start, p->pos - start);
    if (operand->n_names > 0)
        operand->names = nd_arena_memdup(p->arena, names, operand->n_names * sizeof(names[0]));
    *ret = operand;
    return NULL;
}

/* Operands up to "|", which is consumed, or the end of the pipe, which is not. */
static struct nd_error *
parse_command(struct template_parser *p, struct template_command **ret, bool *ret_more)
{
    struct template_command *command = nd_arena_new_object(p->arena, struct template_command);
    struct template_operand **last = &command->operands;
    struct template_token token;
    size_t before;

    *ret_more = false;
    for (;;) {
        struct template_operand *operand;

        ND_TRY(template_peek_word(p, &token));
        p->pos = token.pos;
        ND_TRY(parse_operand(p, &operand));
        if (operand != NULL) {
            *last = operand;
            last = &operand->next;
            command->n_operands++;
        }
        before = p->pos;
        ND_TRY(template_parser_next(p, &token));
        if (token.kind == TOKEN_SPACE)
            continue;
        if (token.kind == TOKEN_PIPE)
            *ret_more = true;
        else if (token.kind == TOKEN_CLOSE || token.kind == TOKEN_CLOSE_PAREN)
            p->pos = before;
        else
            return template_unexpected(p, &token, "operand");
        break;
    }
    if (command->n_operands == 0)
        return template_fail(p, "empty command");
    command->source = nd_str_trim(
        nd_str_sub(p->text, command->operands->start, before - command->operands->start));
    *ret = command;
    return NULL;
}

/* "$a :=", "$a =", "$i, $e :=" in front of a pipe, if that is what stands there. */
static struct nd_error *
parse_variables(struct template_parser *p, const char *context, struct template_pipe *pipe)
{
    bool range = nd_str_eqz(nd_str(context), "range");
    struct template_token name, token;

    for (;;) {
        size_t start = p->pos;

        ND_TRY(template_next_word(p, &name));
        if (name.kind != TOKEN_VARIABLE) {
            p->pos = start;
            return NULL;
        }
        ND_TRY(template_next_word(p, &token));
        if (token.kind == TOKEN_DECLARE || token.kind == TOKEN_ASSIGN) {
            pipe->assigns = token.kind == TOKEN_ASSIGN;
            pipe->variables[pipe->n_variables++] = name.text;
            return pipe->assigns ? check_variable(p, &name) : template_declare(p, name.text);
        }
        if (token.kind != TOKEN_COMMA) {
            p->pos = start;
            return NULL;
        }
        if (!range || pipe->n_variables != 0) {
            return template_at_line(
                p, token.pos, nd_error_new(ND_INVALID, "too many declarations in %s", context));
        }
        pipe->variables[pipe->n_variables++] = name.text;
        ND_TRY(template_declare(p, name.text));
        ND_TRY(template_peek_word(p, &token));
        if (token.kind != TOKEN_VARIABLE)
            return template_fail(p, "range can only initialize variables");
    }
}

/* Only functions, fields, variables and parentheses can take the value of a pipe. */
static struct nd_error *
check_pipe(const struct template_parser *p, const struct template_pipe *pipe, const char *context)
{
    unsigned stage = 2;

    if (pipe->commands == NULL) {
        return template_at_line(p, p->pos,
                                nd_error_new(ND_INVALID, "missing value for %s", context));
    }
    for (const struct template_command *c = pipe->commands->next; c != NULL; c = c->next, stage++) {
        enum template_operand_kind kind = c->operands->kind;

        if (kind == OPERAND_DOT || kind == OPERAND_NIL || kind == OPERAND_LITERAL) {
            return template_at_line(
                p, c->operands->pos,
                nd_error_new(ND_INVALID, "non executable command in pipeline stage %u", stage));
        }
    }
    return NULL;
}

static struct nd_error *
parse_commands(struct template_parser *p, const char *context, enum template_token_kind end,
               struct template_pipe *pipe)
{
    struct template_command **last = &pipe->commands;
    struct template_token token;
    bool more = true;

    while (more) {
        ND_TRY(template_peek_word(p, &token));
        if (token.kind == end)
            break;
        if (token.kind == TOKEN_CLOSE && end == TOKEN_CLOSE_PAREN)
            return template_at_line(p, token.pos, nd_error_new(ND_INVALID, "unclosed left paren"));
        if (token.kind == TOKEN_CLOSE_PAREN)
            return template_at_line(p, token.pos,
                                    nd_error_new(ND_INVALID, "unexpected right paren"));
        if (token.kind == TOKEN_CLOSE || token.kind > TOKEN_RAW_TEXT) {
            if (token.kind != TOKEN_OPEN_PAREN)
                return template_unexpected(p, &token, context);
        }
        if (token.kind == TOKEN_END_OF_TEXT)
            return template_unexpected(p, &token, context);
        ND_TRY(parse_command(p, last, &more));
        last = &(*last)->next;
    }
    return NULL;
}

struct nd_error *
template_parse_pipe(struct template_parser *p, const char *context, enum template_token_kind end,
                    struct template_pipe **ret)
{
    struct template_pipe *pipe = nd_arena_new_object(p->arena, struct template_pipe);
    struct template_token token;

    ND_TRY(template_deeper(p));
    ND_TRY(template_peek_word(p, &token));
    pipe->pos = token.pos;
    ND_TRY(parse_variables(p, context, pipe));
    ND_TRY(parse_commands(p, context, end, pipe));
    ND_TRY(check_pipe(p, pipe, context));
    pipe->source = nd_str_trim(nd_str_sub(p->text, pipe->pos, p->pos - pipe->pos));
    ND_TRY(template_next_word(p, &token));
    if (token.kind == TOKEN_CLOSE_PAREN && end == TOKEN_CLOSE)
        return template_at_line(p, token.pos, nd_error_new(ND_INVALID, "unexpected right paren"));
    if (token.kind != end) {
        return template_at_line(p, token.pos, nd_error_new(ND_INVALID, "unclosed left paren"));
    }
    if (end == TOKEN_CLOSE)
        p->trim_next = token.trim;
    p->nesting--;
    *ret = pipe;
    return NULL;
}
