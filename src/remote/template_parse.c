/*
 * From the text of a template to its tree: recursive descent, one function per rule of the grammar.
 *
 *     list     = { text | "{{" action "}}" }
 *     action   = control | pipe
 *     pipe     = [ variables (":=" | "=") ] command { "|" command }
 *     command  = operand { " " operand }
 *     operand  = term { ".name" }
 *
 * The lexer has no state, so looking ahead is lexing from a saved position. What must match (end,
 * parentheses, variables in scope, functions that exist) is checked here, so that a wrong template
 * fails before anything was printed. Nesting is bounded, because each level is a C stack frame.
 */

#include "remote/limits.h"

#include "template_priv.h"

#define MAX_VARIABLES 256u /* in scope at once */
#define MAX_NAMES     64u  /* ".a.b.c" */

struct parser {
    struct nd_arena *arena;
    struct nd_template *template;
    struct nd_str text;
    size_t pos;
    bool trim_next; /* the last action was closed with " -}}" */
    unsigned nesting;
    unsigned loops;
    struct nd_str variables[MAX_VARIABLES];
    size_t n_variables;
};

/* How a list of nodes ended. */
enum list_end { LIST_END_OF_TEXT, LIST_END, LIST_ELSE };

struct list {
    struct template_node *first;
    struct template_node **last;
};

static struct nd_error *parse_list(struct parser *p, struct list *list, enum list_end *ret_end);
static struct nd_error *parse_pipe(struct parser *p, const char *context,
                                   enum template_token_kind end, struct template_pipe **ret);

static struct nd_error *
at_line(const struct parser *p, size_t pos, struct nd_error *err)
{
    unsigned line = 1;

    for (size_t i = 0; i < pos && i < p->text.len; i++)
        line += p->text.ptr[i] == '\n';
    return nd_error_wrap(err, "template: :%u", line);
}

static struct nd_error *
fail(const struct parser *p, const char *message)
{
    return at_line(p, p->pos, nd_error_new(ND_INVALID, "%s", message));
}

static bool
is_word(const struct template_token *token, const char *word)
{
    return token->kind == TOKEN_WORD && nd_str_eqz(token->text, word);
}

enum control {
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
static const char *const control_words[] = {"if",     "with",     "range", "break", "continue",
                                            "define", "template", "block", "end",   "else"};

static enum control
find_control(const struct template_token *token)
{
    for (size_t i = 0; i < ND_LEN(control_words); i++) {
        if (is_word(token, control_words[i]))
            return (enum control)i;
    }
    return CONTROL_NONE;
}

/* A text in quotes, for a message. */
static const char *
quoted(const struct parser *p, struct nd_str text)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(4 * ND_TEMPLATE_MAX_BYTES + 3);
    ND_AUTO(nd_error_freep) struct nd_error *err = template_quote(&buf, text);

    return err == NULL ? nd_arena_str(p->arena, nd_buf_str(&buf)) : "";
}

/* As Go: keywords in angles, other words in quotes and, when long, cut. */
static struct nd_error *
unexpected(const struct parser *p, const struct template_token *token, const char *context)
{
    struct nd_error *err;

    if (token->kind == TOKEN_END_OF_TEXT)
        err = nd_error_new(ND_INVALID, "unclosed action");
    else if (find_control(token) != CONTROL_NONE)
        err = nd_error_new(ND_INVALID, "unexpected <%.*s> in %s", ND_STR_ARG(token->text), context);
    else if (token->text.len > 10)
        err = nd_error_new(ND_INVALID, "unexpected %s... in %s",
                           quoted(p, nd_str_sub(token->text, 0, 10)), context);
    else
        err = nd_error_new(ND_INVALID, "unexpected %s in %s", quoted(p, token->text), context);
    return at_line(p, token->pos, err);
}

static struct nd_error *
next(struct parser *p, struct template_token *ret)
{
    struct nd_error *err = template_next_token(p->text, &p->pos, ret);

    return err == NULL ? NULL : at_line(p, p->pos, err);
}

static struct nd_error *
peek(struct parser *p, struct template_token *ret)
{
    size_t pos = p->pos;
    struct nd_error *err = next(p, ret);

    p->pos = pos;
    return err;
}

static struct nd_error *
next_word(struct parser *p, struct template_token *ret)
{
    do
        ND_TRY(next(p, ret));
    while (ret->kind == TOKEN_SPACE);
    return NULL;
}

static struct nd_error *
peek_word(struct parser *p, struct template_token *ret)
{
    size_t pos = p->pos;
    struct nd_error *err = next_word(p, ret);

    p->pos = pos;
    return err;
}

static struct nd_error *
deeper(struct parser *p)
{
    if (++p->nesting > ND_TEMPLATE_MAX_NESTING)
        return fail(p, "too many blocks or parentheses inside each other");
    return NULL;
}

static struct nd_error *
close_action(struct parser *p, const char *context)
{
    struct template_token token;

    ND_TRY(next_word(p, &token));
    if (token.kind != TOKEN_CLOSE)
        return unexpected(p, &token, context);
    p->trim_next = token.trim;
    return NULL;
}

static struct nd_error *
declare(struct parser *p, struct nd_str name)
{
    if (p->n_variables == MAX_VARIABLES)
        return fail(p, "too many variables");
    p->variables[p->n_variables++] = name;
    return NULL;
}

static struct nd_error *
check_variable(const struct parser *p, const struct template_token *token)
{
    for (size_t i = 0; i < p->n_variables; i++) {
        if (nd_str_eq(p->variables[i], token->text))
            return NULL;
    }
    return at_line(
        p, token->pos,
        nd_error_new(ND_INVALID, "undefined variable \"%.*s\"", ND_STR_ARG(token->text)));
}

static struct nd_error *
parse_word(struct parser *p, const struct template_token *token, struct template_operand *operand)
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
        return at_line(
            p, token->pos,
            nd_error_new(ND_INVALID, "function \"%.*s\" not defined", ND_STR_ARG(token->text)));
    }
    return NULL;
}

static struct nd_error *
parse_literal(struct parser *p, const struct template_token *token,
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
    return err == NULL ? NULL : at_line(p, token->pos, err);
}

/* The tokens that begin an operand; *ret is false when there is none, and nothing is consumed. */
static struct nd_error *
parse_term(struct parser *p, struct template_operand *operand, struct nd_str *name, bool *ret)
{
    size_t start = p->pos;
    struct template_token token;

    ND_TRY(next(p, &token));
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
        return parse_pipe(p, "parenthesized pipeline", TOKEN_CLOSE_PAREN, &operand->pipe);
    default:
        *ret = false;
        p->pos = start;
        return NULL;
    }
}

/* `operand` gets fields of its own: plain ones take them, others become the base of a chain. */
static struct nd_error *
make_chain(struct parser *p, struct template_operand *operand)
{
    struct template_operand *base;

    switch (operand->kind) {
    case OPERAND_FIELD:
    case OPERAND_VARIABLE:
        return NULL;
    case OPERAND_DOT:
    case OPERAND_NIL:
    case OPERAND_LITERAL:
        return at_line(
            p, operand->pos,
            nd_error_new(ND_INVALID, "unexpected . after term %s", quoted(p, operand->source)));
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
parse_operand(struct parser *p, struct template_operand **ret)
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
            return fail(p, "too many fields");
        ND_TRY(next(p, &token));
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
parse_command(struct parser *p, struct template_command **ret, bool *ret_more)
{
    struct template_command *command = nd_arena_new_object(p->arena, struct template_command);
    struct template_operand **last = &command->operands;
    struct template_token token;
    size_t before;

    *ret_more = false;
    for (;;) {
        struct template_operand *operand;

        ND_TRY(peek_word(p, &token));
        p->pos = token.pos;
        ND_TRY(parse_operand(p, &operand));
        if (operand != NULL) {
            *last = operand;
            last = &operand->next;
            command->n_operands++;
        }
        before = p->pos;
        ND_TRY(next(p, &token));
        if (token.kind == TOKEN_SPACE)
            continue;
        if (token.kind == TOKEN_PIPE)
            *ret_more = true;
        else if (token.kind == TOKEN_CLOSE || token.kind == TOKEN_CLOSE_PAREN)
            p->pos = before;
        else
            return unexpected(p, &token, "operand");
        break;
    }
    if (command->n_operands == 0)
        return fail(p, "empty command");
    command->source = nd_str_trim(
        nd_str_sub(p->text, command->operands->start, before - command->operands->start));
    *ret = command;
    return NULL;
}

/* "$a :=", "$a =", "$i, $e :=" in front of a pipe, if that is what stands there. */
static struct nd_error *
parse_variables(struct parser *p, const char *context, struct template_pipe *pipe)
{
    bool range = nd_str_eqz(nd_str(context), "range");
    struct template_token name, token;

    for (;;) {
        size_t start = p->pos;

        ND_TRY(next_word(p, &name));
        if (name.kind != TOKEN_VARIABLE) {
            p->pos = start;
            return NULL;
        }
        ND_TRY(next_word(p, &token));
        if (token.kind == TOKEN_DECLARE || token.kind == TOKEN_ASSIGN) {
            pipe->assigns = token.kind == TOKEN_ASSIGN;
            pipe->variables[pipe->n_variables++] = name.text;
            return pipe->assigns ? check_variable(p, &name) : declare(p, name.text);
        }
        if (token.kind != TOKEN_COMMA) {
            p->pos = start;
            return NULL;
        }
        if (!range || pipe->n_variables != 0) {
            return at_line(p, token.pos,
                           nd_error_new(ND_INVALID, "too many declarations in %s", context));
        }
        pipe->variables[pipe->n_variables++] = name.text;
        ND_TRY(declare(p, name.text));
        ND_TRY(peek_word(p, &token));
        if (token.kind != TOKEN_VARIABLE)
            return fail(p, "range can only initialize variables");
    }
}

/* Only functions, fields, variables and parentheses can take the value of a pipe. */
static struct nd_error *
check_pipe(const struct parser *p, const struct template_pipe *pipe, const char *context)
{
    unsigned stage = 2;

    if (pipe->commands == NULL) {
        return at_line(p, p->pos, nd_error_new(ND_INVALID, "missing value for %s", context));
    }
    for (const struct template_command *c = pipe->commands->next; c != NULL; c = c->next, stage++) {
        enum template_operand_kind kind = c->operands->kind;

        if (kind == OPERAND_DOT || kind == OPERAND_NIL || kind == OPERAND_LITERAL) {
            return at_line(
                p, c->operands->pos,
                nd_error_new(ND_INVALID, "non executable command in pipeline stage %u", stage));
        }
    }
    return NULL;
}

static struct nd_error *
parse_commands(struct parser *p, const char *context, enum template_token_kind end,
               struct template_pipe *pipe)
{
    struct template_command **last = &pipe->commands;
    struct template_token token;
    bool more = true;

    while (more) {
        ND_TRY(peek_word(p, &token));
        if (token.kind == end)
            break;
        if (token.kind == TOKEN_CLOSE && end == TOKEN_CLOSE_PAREN)
            return at_line(p, token.pos, nd_error_new(ND_INVALID, "unclosed left paren"));
        if (token.kind == TOKEN_CLOSE_PAREN)
            return at_line(p, token.pos, nd_error_new(ND_INVALID, "unexpected right paren"));
        if (token.kind == TOKEN_CLOSE || token.kind > TOKEN_RAW_TEXT) {
            if (token.kind != TOKEN_OPEN_PAREN)
                return unexpected(p, &token, context);
        }
        if (token.kind == TOKEN_END_OF_TEXT)
            return unexpected(p, &token, context);
        ND_TRY(parse_command(p, last, &more));
        last = &(*last)->next;
    }
    return NULL;
}

static struct nd_error *
parse_pipe(struct parser *p, const char *context, enum template_token_kind end,
           struct template_pipe **ret)
{
    struct template_pipe *pipe = nd_arena_new_object(p->arena, struct template_pipe);
    struct template_token token;

    ND_TRY(deeper(p));
    ND_TRY(peek_word(p, &token));
    pipe->pos = token.pos;
    ND_TRY(parse_variables(p, context, pipe));
    ND_TRY(parse_commands(p, context, end, pipe));
    ND_TRY(check_pipe(p, pipe, context));
    pipe->source = nd_str_trim(nd_str_sub(p->text, pipe->pos, p->pos - pipe->pos));
    ND_TRY(next_word(p, &token));
    if (token.kind == TOKEN_CLOSE_PAREN && end == TOKEN_CLOSE)
        return at_line(p, token.pos, nd_error_new(ND_INVALID, "unexpected right paren"));
    if (token.kind != end) {
        return at_line(p, token.pos, nd_error_new(ND_INVALID, "unclosed left paren"));
    }
    if (end == TOKEN_CLOSE)
        p->trim_next = token.trim;
    p->nesting--;
    *ret = pipe;
    return NULL;
}

static struct template_node *
add_node(struct parser *p, struct list *list, enum template_node_kind kind, size_t pos)
{
    struct template_node *node = nd_arena_new_object(p->arena, struct template_node);

    node->kind = kind;
    node->pos = pos;
    *list->last = node;
    list->last = &node->next;
    return node;
}

static struct nd_error *parse_block(struct parser *p, const char *context,
                                    struct template_node *node);

/* Behind "{{else": "}}", or " if" and " with", which nest and share the end. */
static struct nd_error *
parse_else(struct parser *p, const char *context, struct template_node *node)
{
    struct list list = {NULL, &list.first};
    struct template_token token;
    enum list_end end;
    size_t start = p->pos;

    ND_TRY(next_word(p, &token));
    if (is_word(&token, context) && !nd_str_eqz(token.text, "range")) {
        node->otherwise = add_node(p, &list, node->kind, token.pos);
        return parse_block(p, context, node->otherwise);
    }
    p->pos = start;
    ND_TRY(close_action(p, "else"));
    ND_TRY(parse_list(p, &list, &end));
    node->otherwise = list.first;
    if (end == LIST_ELSE)
        return fail(p, "expected end; found {{else}}");
    return end == LIST_END ? NULL : fail(p, "unexpected EOF");
}

/* Behind "{{if", "{{with" or "{{range": up to and with its end. */
static struct nd_error *
parse_block(struct parser *p, const char *context, struct template_node *node)
{
    struct list list = {NULL, &list.first};
    size_t variables = p->n_variables;
    enum list_end end;

    ND_TRY(deeper(p));
    ND_TRY(parse_pipe(p, context, TOKEN_CLOSE, &node->pipe));
    p->loops += node->kind == NODE_RANGE;
    ND_TRY(parse_list(p, &list, &end));
    p->loops -= node->kind == NODE_RANGE;
    node->body = list.first;
    if (end == LIST_ELSE)
        ND_TRY(parse_else(p, context, node));
    else if (end == LIST_END_OF_TEXT)
        return fail(p, "unexpected EOF");
    p->n_variables = variables;
    p->nesting--;
    return NULL;
}

static struct nd_error *
parse_template_name(struct parser *p, const char *context, struct nd_str *ret)
{
    struct template_token token;
    struct nd_error *err;

    ND_TRY(next_word(p, &token));
    if (token.kind != TOKEN_TEXT && token.kind != TOKEN_RAW_TEXT)
        return unexpected(p, &token, context);
    err = template_unquote(p->arena, token.text, ret);
    return err == NULL ? NULL : at_line(p, token.pos, err);
}

/* The body of a definition sees no variable but "$". */
static struct nd_error *
parse_definition(struct parser *p, struct nd_str name)
{
    struct template_definition *d = nd_arena_new_object(p->arena, struct template_definition);
    struct list list = {NULL, &list.first};
    size_t variables = p->n_variables;
    unsigned loops = p->loops;
    enum list_end end;

    ND_TRY(deeper(p));
    p->n_variables = 1;
    p->loops = 0;
    ND_TRY(parse_list(p, &list, &end));
    p->n_variables = variables;
    p->loops = loops;
    d->body = list.first;
    if (end != LIST_END)
        return fail(p,
                    end == LIST_ELSE ? "unexpected {{else}} in define clause" : "unexpected EOF");
    p->nesting--;
    for (struct template_definition *other = p->template->definitions; other != NULL;
         other = other->next) {
        if (nd_str_eq(other->name, name))
            return at_line(p, p->pos,
                           nd_error_new(ND_INVALID, "template: multiple definition of template %s",
                                        quoted(p, name)));
    }
    d->name = name;
    d->next = p->template->definitions;
    p->template->definitions = d;
    return NULL;
}

static struct nd_error *
parse_define(struct parser *p)
{
    struct nd_str name = ND_STR_NONE;

    if (p->nesting != 0)
        return fail(p, "unexpected <define> in command");
    ND_TRY(parse_template_name(p, "define clause", &name));
    ND_TRY(close_action(p, "define clause"));
    return parse_definition(p, name);
}

/* {{template "name" pipe}}, and what {{block}} leaves in its place. */
static struct nd_error *
parse_call(struct parser *p, struct list *list, size_t pos, bool block)
{
    const char *context = block ? "block clause" : "template clause";
    struct template_node *node = add_node(p, list, NODE_CALL, pos);
    struct template_token token;

    ND_TRY(peek_word(p, &token));
    node->pos = token.pos;
    ND_TRY(parse_template_name(p, context, &node->text));
    node->source = nd_str(nd_arena_printf(p->arena, "{{template %s}}", quoted(p, node->text)));
    ND_TRY(peek_word(p, &token));
    if (token.kind == TOKEN_CLOSE && !block)
        return close_action(p, context);
    ND_TRY(parse_pipe(p, context, TOKEN_CLOSE, &node->pipe));
    return block ? parse_definition(p, node->text) : NULL;
}

static struct nd_error *
parse_jump(struct parser *p, struct list *list, enum template_node_kind kind, size_t pos)
{
    const char *word = kind == NODE_BREAK ? "{{break}}" : "{{continue}}";

    ND_TRY(close_action(p, word));
    if (p->loops == 0)
        return at_line(p, pos, nd_error_new(ND_INVALID, "%s outside {{range}}", word));
    add_node(p, list, kind, pos);
    return NULL;
}

/* Behind "{{". *ret_end stays LIST_END_OF_TEXT unless this was an end or an else. */
static struct nd_error *
parse_action(struct parser *p, struct list *list, enum list_end *ret_end)
{
    struct template_token token;
    enum control control;

    ND_TRY(peek_word(p, &token));
    control = find_control(&token);
    if (control != CONTROL_NONE)
        p->pos = token.pos + token.text.len;
    switch (control) {
    case CONTROL_IF:
        return parse_block(p, "if", add_node(p, list, NODE_IF, token.pos));
    case CONTROL_WITH:
        return parse_block(p, "with", add_node(p, list, NODE_WITH, token.pos));
    case CONTROL_RANGE:
        return parse_block(p, "range", add_node(p, list, NODE_RANGE, token.pos));
    case CONTROL_BREAK:
        return parse_jump(p, list, NODE_BREAK, token.pos);
    case CONTROL_CONTINUE:
        return parse_jump(p, list, NODE_CONTINUE, token.pos);
    case CONTROL_DEFINE:
        return parse_define(p);
    case CONTROL_TEMPLATE:
        return parse_call(p, list, token.pos, false);
    case CONTROL_BLOCK:
        return parse_call(p, list, token.pos, true);
    case CONTROL_END:
        *ret_end = LIST_END;
        return close_action(p, "end");
    case CONTROL_ELSE: /* the caller reads what follows */
        *ret_end = LIST_ELSE;
        return NULL;
    case CONTROL_NONE:
        break;
    }
    return parse_pipe(p, "command", TOKEN_CLOSE, &add_node(p, list, NODE_ACTION, token.pos)->pipe);
}

/* Behind "{{" and its trim mark: a comment is skipped. */
static struct nd_error *
skip_comment(struct parser *p, bool *ret)
{
    struct nd_str rest = nd_str_from(p->text, p->pos);
    struct template_token token;
    size_t end;

    *ret = nd_str_starts(rest, ND_STR("/*"));
    if (!*ret)
        return NULL;
    end = nd_str_search(rest, ND_STR("*/"));
    if (end == SIZE_MAX)
        return fail(p, "unclosed comment");
    p->pos += end + 2;
    ND_TRY(next(p, &token));
    if (token.kind != TOKEN_CLOSE)
        return fail(p, "comment ends before closing delimiter");
    p->trim_next = token.trim;
    return NULL;
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct nd_str
trim_right(struct nd_str s)
{
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static struct nd_str
trim_left(struct nd_str s)
{
    while (s.len > 0 && is_space(s.ptr[0]))
        s = nd_str_from(s, 1);
    return s;
}

/* Text up to the next "{{", which is consumed with its trim mark; *ret is false at the end. */
static struct nd_error *
parse_text(struct parser *p, struct list *list, bool *ret)
{
    struct nd_str rest = nd_str_from(p->text, p->pos);
    size_t open = nd_str_search(rest, ND_STR("{{"));
    struct nd_str text = nd_str_sub(rest, 0, open);
    bool trims = false;

    *ret = open != SIZE_MAX;
    if (*ret) {
        struct nd_str inside = nd_str_from(rest, open + 2);

        trims = inside.len > 1 && inside.ptr[0] == '-' && is_space(inside.ptr[1]);
    }
    if (p->trim_next)
        text = trim_left(text);
    p->trim_next = false;
    if (trims)
        text = trim_right(text);
    if (text.len > 0)
        add_node(p, list, NODE_TEXT, p->pos)->text = text;
    p->pos = *ret ? p->pos + open + (trims ? 4 : 2) : p->text.len;
    return NULL;
}

static struct nd_error *
parse_list(struct parser *p, struct list *list, enum list_end *ret_end)
{
    bool more, comment;

    *ret_end = LIST_END_OF_TEXT;
    for (;;) {
        ND_TRY(parse_text(p, list, &more));
        if (!more)
            return NULL;
        ND_TRY(skip_comment(p, &comment));
        if (comment)
            continue;
        ND_TRY(parse_action(p, list, ret_end));
        if (*ret_end != LIST_END_OF_TEXT)
            return NULL;
    }
}

struct nd_error *
nd_template_parse(struct nd_arena *arena, struct nd_str text, struct nd_template **ret)
{
    struct nd_template *t = nd_arena_new_object(arena, struct nd_template);
    struct parser p = {.arena = arena, .template = t};
    struct list list = {NULL, &list.first};
    enum list_end end;

    if (text.len > ND_TEMPLATE_MAX_BYTES)
        return nd_error_new(ND_INVALID, "template is longer than %u bytes", ND_TEMPLATE_MAX_BYTES);
    t->text = nd_str_n(nd_arena_str(arena, text), text.len);
    p.text = t->text;
    ND_TRY(declare(&p, ND_STR("$")));
    ND_TRY(parse_list(&p, &list, &end));
    if (end != LIST_END_OF_TEXT)
        return fail(&p, end == LIST_END ? "unexpected {{end}}" : "unexpected {{else}}");
    t->body = list.first;
    *ret = t;
    return NULL;
}
