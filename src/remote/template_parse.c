/*
 * From the text of a template to its tree: recursive descent, one function per rule of the grammar.
 *
 *     list     = { text | "{{" action "}}" }
 *     action   = control | pipe                          (pipes: template_pipe.c)
 *
 * What must match (end and else, loops around break, names of templates) is checked here. Nesting
 * is bounded, because each level is a C stack frame.
 */

#include "remote/limits.h"

#include "template_parse_priv.h"

/* How a list of nodes ended. */
enum list_end { LIST_END_OF_TEXT, LIST_END, LIST_ELSE };

struct list {
    struct template_node *first;
    struct template_node **last;
};

static struct nd_error *parse_list(struct template_parser *p, struct list *list,
                                   enum list_end *ret_end);

static struct nd_error *
close_action(struct template_parser *p, const char *context)
{
    struct template_token token;

    ND_TRY(template_next_word(p, &token));
    if (token.kind != TOKEN_CLOSE)
        return template_unexpected(p, &token, context);
    p->trim_next = token.trim;
    return NULL;
}

static struct template_node *
add_node(struct template_parser *p, struct list *list, enum template_node_kind kind, size_t pos)
{
    struct template_node *node = nd_arena_new_object(p->arena, struct template_node);

    node->kind = kind;
    node->pos = pos;
    *list->last = node;
    list->last = &node->next;
    return node;
}

static struct nd_error *parse_block(struct template_parser *p, const char *context,
                                    struct template_node *node);

/* Behind "{{else": "}}", or " if" and " with", which nest and share the end. */
static struct nd_error *
parse_else(struct template_parser *p, const char *context, struct template_node *node)
{
    struct list list = {NULL, &list.first};
    struct template_token token;
    enum list_end end;
    size_t start = p->pos;

    ND_TRY(template_next_word(p, &token));
    if (template_is_word(&token, context) && !nd_str_eqz(token.text, "range")) {
        node->otherwise = add_node(p, &list, node->kind, token.pos);
        return parse_block(p, context, node->otherwise);
    }
    p->pos = start;
    ND_TRY(close_action(p, "else"));
    ND_TRY(parse_list(p, &list, &end));
    node->otherwise = list.first;
    if (end == LIST_ELSE)
        return template_fail(p, "expected end; found {{else}}");
    return end == LIST_END ? NULL : template_fail(p, "unexpected EOF");
}

/* Behind "{{if", "{{with" or "{{range": up to and with its end. */
static struct nd_error *
parse_block(struct template_parser *p, const char *context, struct template_node *node)
{
    struct list list = {NULL, &list.first};
    size_t variables = p->n_variables;
    enum list_end end;

    ND_TRY(template_deeper(p));
    ND_TRY(template_parse_pipe(p, context, TOKEN_CLOSE, &node->pipe));
    p->loops += node->kind == NODE_RANGE;
    ND_TRY(parse_list(p, &list, &end));
    p->loops -= node->kind == NODE_RANGE;
    node->body = list.first;
    if (end == LIST_ELSE)
        ND_TRY(parse_else(p, context, node));
    else if (end == LIST_END_OF_TEXT)
        return template_fail(p, "unexpected EOF");
    p->n_variables = variables;
    p->nesting--;
    return NULL;
}

static struct nd_error *
parse_template_name(struct template_parser *p, const char *context, struct nd_str *ret)
{
    struct template_token token;
    struct nd_error *err;

    ND_TRY(template_next_word(p, &token));
    if (token.kind != TOKEN_TEXT && token.kind != TOKEN_RAW_TEXT)
        return template_unexpected(p, &token, context);
    err = template_unquote(p->arena, token.text, ret);
    return err == NULL ? NULL : template_at_line(p, token.pos, err);
}

/* The body of a definition sees no variable but "$". */
static struct nd_error *
parse_definition(struct template_parser *p, struct nd_str name)
{
    struct template_definition *d = nd_arena_new_object(p->arena, struct template_definition);
    struct list list = {NULL, &list.first};
    size_t variables = p->n_variables;
    unsigned loops = p->loops;
    enum list_end end;

    ND_TRY(template_deeper(p));
    p->n_variables = 1;
    p->loops = 0;
    ND_TRY(parse_list(p, &list, &end));
    p->n_variables = variables;
    p->loops = loops;
    d->body = list.first;
    if (end != LIST_END)
        return template_fail(p, end == LIST_ELSE ? "unexpected {{else}} in define clause"
                                                 : "unexpected EOF");
    p->nesting--;
    for (struct template_definition *other = p->template->definitions; other != NULL;
         other = other->next) {
        if (nd_str_eq(other->name, name))
            return template_at_line(p, p->pos,
                                    nd_error_new(ND_INVALID,
                                                 "template: multiple definition of template %s",
                                                 template_quoted(p, name)));
    }
    d->name = name;
    d->next = p->template->definitions;
    p->template->definitions = d;
    return NULL;
}

static struct nd_error *
parse_define(struct template_parser *p)
{
    struct nd_str name = ND_STR_NONE;

    if (p->nesting != 0)
        return template_fail(p, "unexpected <define> in command");
    ND_TRY(parse_template_name(p, "define clause", &name));
    ND_TRY(close_action(p, "define clause"));
    return parse_definition(p, name);
}

/* {{template "name" pipe}}, and what {{block}} leaves in its place. */
static struct nd_error *
parse_call(struct template_parser *p, struct list *list, size_t pos, bool block)
{
    const char *context = block ? "block clause" : "template clause";
    struct template_node *node = add_node(p, list, NODE_CALL, pos);
    struct template_token token;

    ND_TRY(template_peek_word(p, &token));
    node->pos = token.pos;
    ND_TRY(parse_template_name(p, context, &node->text));
    node->source =
        nd_str(nd_arena_printf(p->arena, "{{template %s}}", template_quoted(p, node->text)));
    ND_TRY(template_peek_word(p, &token));
    if (token.kind == TOKEN_CLOSE && !block)
        return close_action(p, context);
    ND_TRY(template_parse_pipe(p, context, TOKEN_CLOSE, &node->pipe));
    return block ? parse_definition(p, node->text) : NULL;
}

static struct nd_error *
parse_jump(struct template_parser *p, struct list *list, enum template_node_kind kind, size_t pos)
{
    const char *word = kind == NODE_BREAK ? "{{break}}" : "{{continue}}";

    ND_TRY(close_action(p, word));
    if (p->loops == 0)
        return template_at_line(p, pos, nd_error_new(ND_INVALID, "%s outside {{range}}", word));
    add_node(p, list, kind, pos);
    return NULL;
}

/* Behind "{{". *ret_end stays LIST_END_OF_TEXT unless this was an end or an else. */
static struct nd_error *
parse_action(struct template_parser *p, struct list *list, enum list_end *ret_end)
{
    struct template_token token;
    enum template_control control;

    ND_TRY(template_peek_word(p, &token));
    control = template_find_control(&token);
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
    return template_parse_pipe(p, "command", TOKEN_CLOSE,
                               &add_node(p, list, NODE_ACTION, token.pos)->pipe);
}

/* Behind "{{" and its trim mark: a comment is skipped. */
static struct nd_error *
skip_comment(struct template_parser *p, bool *ret)
{
    struct nd_str rest = nd_str_from(p->text, p->pos);
    struct template_token token;
    size_t end;

    *ret = nd_str_starts(rest, ND_STR("/*"));
    if (!*ret)
        return NULL;
    end = nd_str_search(rest, ND_STR("*/"));
    if (end == SIZE_MAX)
        return template_fail(p, "unclosed comment");
    p->pos += end + 2;
    ND_TRY(template_parser_next(p, &token));
    if (token.kind != TOKEN_CLOSE)
        return template_fail(p, "comment ends before closing delimiter");
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
parse_text(struct template_parser *p, struct list *list, bool *ret)
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
parse_list(struct template_parser *p, struct list *list, enum list_end *ret_end)
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
    struct template_parser p = {.arena = arena, .template = t};
    struct list list = {NULL, &list.first};
    enum list_end end;

    if (text.len > ND_TEMPLATE_MAX_BYTES)
        return nd_error_new(ND_INVALID, "template is longer than %u bytes", ND_TEMPLATE_MAX_BYTES);
    t->text = nd_str_n(nd_arena_str(arena, text), text.len);
    p.text = t->text;
    ND_TRY(template_declare(&p, ND_STR("$")));
    ND_TRY(parse_list(&p, &list, &end));
    if (end != LIST_END_OF_TEXT)
        return template_fail(&p, end == LIST_END ? "unexpected {{end}}" : "unexpected {{else}}");
    t->body = list.first;
    *ret = t;
    return NULL;
}
