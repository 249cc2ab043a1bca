/*
 * Running a template: walking its tree with a dot.
 *
 * Two things make a walk more than a switch. A command may be a function, whose arguments are
 * checked against what it takes before it is called; and `break` and `continue` leave blocks early,
 * which the walk reports upwards as a flow. Variables are a chain on the C stack: a scope ends when
 * the function that declared it returns.
 *
 * Every message says where: the position of what is being evaluated is kept in the run, and the
 * outermost function puts it in front of the reason, as Go does. Steps are counted, so that a
 * template that would run for ever ends with an error instead.
 */

#include "remote/limits.h"

#include "template_priv.h"

#define MAX_ARGUMENTS 64u

struct template_variable {
    struct nd_str name;
    const struct nd_value *value;
    struct template_variable *outer;
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static const struct nd_value missing = {.kind = ND_VALUE_MISSING};
static const struct nd_value null = {.kind = ND_VALUE_NULL};

static struct nd_error *walk_list(struct template_run *run, const struct template_node *list,
                                  const struct nd_value *dot, enum flow *flow);
static struct nd_error *eval_pipe(struct template_run *run, const struct template_pipe *pipe,
                                  const struct nd_value *dot, const struct nd_value **ret);

/* One level further down: into a list of nodes or into a pipe. The stack may be that of a fiber. */
static struct nd_error *
deeper(struct template_run *run)
{
    if (++run->depth > ND_TEMPLATE_MAX_DEPTH)
        return nd_error_new(ND_EXHAUSTED, "exceeded maximum template depth (%u)",
                            ND_TEMPLATE_MAX_DEPTH);
    return NULL;
}

struct nd_error *
template_work(struct template_run *run, size_t bytes)
{
    size_t steps = 1 + bytes / 64;

    if (steps > ND_TEMPLATE_MAX_STEPS - run->steps)
        return nd_error_new(ND_EXHAUSTED, "template does more than %u steps",
                            ND_TEMPLATE_MAX_STEPS);
    run->steps += (unsigned)steps;
    return NULL;
}

static void
at(struct template_run *run, size_t pos, struct nd_str source)
{
    run->pos = pos;
    run->source = source;
}

static void
at_operand(struct template_run *run, const struct template_operand *operand)
{
    at(run, operand->pos, operand->source);
}

/* One field of a value, or what asking a method gives. `argument` is NULL without one. */
static struct nd_error *
eval_field(const struct nd_value *v, struct nd_str name, const struct nd_value *argument,
           const struct nd_value **ret)
{
    const struct nd_value *found = NULL;

    if (v->kind == ND_VALUE_MISSING) {
        *ret = &missing;
        return NULL;
    }
    if (v->kind == ND_VALUE_NULL)
        return nd_error_new(ND_INVALID, "nil pointer evaluating interface {}.%.*s",
                            ND_STR_ARG(name));
    if (v->kind == ND_VALUE_OBJECT)
        found = nd_value_field(v, name);
    else if (v->kind == ND_VALUE_MAP)
        found = nd_value_find(v, name);
    if (found == NULL && v->kind == ND_VALUE_MAP)
        found = &missing;
    if (found == NULL && v->kind == ND_VALUE_OBJECT && v->document)
        return nd_error_new(ND_INVALID, "map has no entry for key \"%.*s\"", ND_STR_ARG(name));
    if (found == NULL)
        return nd_error_new(ND_INVALID, "can't evaluate field %.*s in type %s", ND_STR_ARG(name),
                            nd_value_kind_name(v->kind));
    if (found->kind == ND_VALUE_LOOKUP) {
        static const struct nd_value empty = {.kind = ND_VALUE_TEXT};

        if (argument == NULL)
            return nd_error_new(ND_INVALID, "wrong number of args for %.*s: want 1 got 0",
                                ND_STR_ARG(name));
        if (argument->kind != ND_VALUE_TEXT)
            return nd_error_new(ND_INVALID, "wrong type for value; expected string; got %s",
                                nd_value_kind_name(argument->kind));
        found = nd_value_find(found, argument->text);
        *ret = found != NULL ? found : &empty;
        return NULL;
    }
    if (argument != NULL)
        return nd_error_new(ND_INVALID, "%.*s %s", ND_STR_ARG(name),
                            v->kind == ND_VALUE_MAP
                                ? "is not a method but has arguments"
                                : "has arguments but cannot be invoked as function");
    *ret = found;
    return NULL;
}

/* The names of an operand, one after the other; only the last may have an argument. */
static struct nd_error *
eval_names(const struct template_operand *operand, const struct nd_value *v,
           const struct nd_value *argument, const struct nd_value **ret)
{
    for (size_t i = 0; i < operand->n_names; i++) {
        bool last = i + 1 == operand->n_names;

        ND_TRY(eval_field(v, operand->names[i], last ? argument : NULL, &v));
    }
    *ret = v;
    return NULL;
}

static struct template_variable *
find_variable(const struct template_run *run, struct nd_str name)
{
    struct template_variable *v = run->variables;

    while (v != NULL && !nd_str_eq(v->name, name))
        v = v->outer;
    return v;
}

static struct nd_error *
eval_variable(struct template_run *run, const struct template_operand *operand,
              const struct nd_value *argument, const struct nd_value **ret)
{
    const struct template_variable *v = find_variable(run, operand->variable);
    const struct nd_value *value = v != NULL ? v->value : run->dollar;

    if (v == NULL && operand->variable.len > 1)
        return nd_error_new(ND_INVALID, "undefined variable: %.*s", ND_STR_ARG(operand->variable));
    return eval_names(operand, value, argument, ret);
}

static struct nd_error *eval_function(struct template_run *run,
                                      const struct template_operand *operand,
                                      const struct template_command *command,
                                      const struct nd_value *dot, const struct nd_value *final,
                                      const struct nd_value **ret);

/* An operand that is not called: an argument, or the base of a chain. */
static struct nd_error *
eval_operand(struct template_run *run, const struct template_operand *operand,
             const struct nd_value *dot, const struct nd_value **ret)
{
    const struct nd_value *base = &missing;

    ND_TRY(template_work(run, 0));
    at_operand(run, operand);
    switch (operand->kind) {
    case OPERAND_DOT:
        *ret = dot;
        return NULL;
    case OPERAND_NIL:
        *ret = &null;
        return NULL;
    case OPERAND_LITERAL:
        *ret = operand->literal;
        return NULL;
    case OPERAND_FIELD:
        return eval_names(operand, dot, NULL, ret);
    case OPERAND_VARIABLE:
        return eval_variable(run, operand, NULL, ret);
    case OPERAND_FUNCTION:
        return eval_function(run, operand, NULL, dot, NULL, ret);
    case OPERAND_PIPE:
        return eval_pipe(run, operand->pipe, dot, ret);
    case OPERAND_CHAIN:
        break;
    }
    ND_TRY(eval_operand(run, operand->base, dot, &base));
    at_operand(run, operand);
    return eval_names(operand, base, NULL, ret);
}

/* What the takes-string of a function says about argument `i`: 's', 'i' or 'v'. */
static char
taken_kind(const struct template_function *function, size_t i)
{
    size_t n = strlen(function->takes);

    if (n > 0 && function->takes[n - 1] == '*' && i >= n - 1)
        return 'v';
    return function->takes[i < n ? i : n]; /* behind the last: the NUL */
}

/* `operand` is where the value was written, NULL when it came through the pipe. */
static struct nd_error *
check_argument(const struct template_function *function, size_t i,
               const struct template_operand *operand, const struct nd_value *v)
{
    char kind = taken_kind(function, i);
    enum nd_value_kind wanted = kind == 's' ? ND_VALUE_TEXT : ND_VALUE_INT;
    const char *name = kind == 's' ? "string" : "int";

    if (kind == 'v' || v->kind == wanted)
        return NULL;
    if (operand != NULL && operand->kind == OPERAND_LITERAL)
        return nd_error_new(ND_INVALID, "expected %s; found %.*s",
                            kind == 's' ? "string" : "integer", ND_STR_ARG(operand->source));
    if (operand != NULL && operand->kind == OPERAND_NIL)
        return nd_error_new(ND_INVALID, "cannot assign nil to %s", name);
    if (v->kind == ND_VALUE_MISSING || v->kind == ND_VALUE_NULL)
        return nd_error_new(ND_INVALID, "invalid value; expected %s", name);
    return nd_error_new(ND_INVALID, "wrong type for value; expected %s; got %s", name,
                        nd_value_kind_name(v->kind));
}

static struct nd_error *
check_count(const struct template_function *function, size_t n)
{
    size_t wanted = strlen(function->takes);
    bool open = wanted > 0 && function->takes[wanted - 1] == '*';

    wanted -= open;
    if (n >= wanted && (n == wanted || open) && n <= MAX_ARGUMENTS)
        return NULL;
    return nd_error_new(ND_INVALID, "wrong number of args for %s: want %s%zu got %zu",
                        function->name, open ? "at least " : "", wanted, n);
}

/* `and` and `or` evaluate no more arguments than they need. */
static struct nd_error *
eval_lazy(struct template_run *run, const struct template_function *function,
          const struct template_operand *operands, const struct nd_value *dot,
          const struct nd_value *final, const struct nd_value **ret)
{
    bool stop_when_empty = (function->marks & FUNCTION_LAZY_AND) != 0;
    const struct nd_value *v = NULL;

    for (; operands != NULL; operands = operands->next) {
        ND_TRY(eval_operand(run, operands, dot, &v));
        if (nd_value_is_empty(v) == stop_when_empty) {
            *ret = v;
            return NULL;
        }
    }
    *ret = final != NULL ? final : v;
    return NULL;
}

static struct nd_error *
call(struct template_run *run, const struct template_function *function,
     struct template_arguments args, const struct nd_value **ret)
{
    struct nd_error *err;

    if (run->heading && (function->marks & FUNCTION_KEEPS_HEADING) == 0 && args.n > 0 &&
        (taken_kind(function, 0) == 's' || args.values[0]->kind == ND_VALUE_TEXT)) {
        *ret = args.values[0];
        return NULL;
    }
    err = function->call(run, args, ret);
    if (err == NULL || nd_error_code(err) == ND_EXHAUSTED)
        return err;
    return nd_error_wrap(err, "error calling %s", function->name);
}

/* `command` NULL: the function stands where an argument does, and has none itself. */
static struct nd_error *
eval_function(struct template_run *run, const struct template_operand *operand,
              const struct template_command *command, const struct nd_value *dot,
              const struct nd_value *final, const struct nd_value **ret)
{
    const struct template_operand *operands = command != NULL ? operand->next : NULL;
    const struct template_function *function = operand->function;
    const struct nd_value **values;
    size_t n = final != NULL;

    for (const struct template_operand *o = operands; o != NULL; o = o->next)
        n++;
    at_operand(run, operand);
    ND_TRY(check_count(function, n));
    if ((function->marks & (FUNCTION_LAZY_AND | FUNCTION_LAZY_OR)) != 0)
        return eval_lazy(run, function, operands, dot, final, ret);
    values = nd_arena_new_array(run->arena, n + 1, const struct nd_value *);
    n = 0;
    for (const struct template_operand *o = operands; o != NULL; o = o->next, n++) {
        ND_TRY(eval_operand(run, o, dot, &values[n]));
        at_operand(run, o);
        ND_TRY(check_argument(function, n, o, values[n]));
    }
    at(run, operand->start, command != NULL ? command->source : operand->source);
    if (final != NULL) {
        ND_TRY(check_argument(function, n, NULL, final));
        values[n++] = final;
    }
    return call(run, function, (struct template_arguments){values, n}, ret);
}

/* A field or variable called with arguments: only methods may be. */
static struct nd_error *
eval_method(struct template_run *run, const struct template_operand *operand,
            const struct nd_value *dot, const struct nd_value *final, const struct nd_value **ret)
{
    const struct nd_value *argument = final;
    const struct nd_value *base = &missing;
    size_t n = final != NULL;

    for (const struct template_operand *o = operand->next; o != NULL; o = o->next)
        n++;
    if (n > 1 && operand->n_names > 0)
        return nd_error_new(ND_INVALID, "wrong number of args for %.*s: want 1 got %zu",
                            ND_STR_ARG(operand->names[operand->n_names - 1]), n);
    if (operand->next != NULL)
        ND_TRY(eval_operand(run, operand->next, dot, &argument));
    at_operand(run, operand);
    if (operand->kind == OPERAND_FIELD)
        return eval_names(operand, dot, argument, ret);
    if (operand->kind == OPERAND_VARIABLE && operand->n_names > 0)
        return eval_variable(run, operand, argument, ret);
    if (operand->kind == OPERAND_CHAIN) {
        ND_TRY(eval_operand(run, operand->base, dot, &base));
        at_operand(run, operand);
        return eval_names(operand, base, argument, ret);
    }
    return nd_error_new(ND_INVALID, "can't give argument to non-function %.*s",
                        ND_STR_ARG(operand->source));
}

static struct nd_error *
eval_command(struct template_run *run, const struct template_command *command,
             const struct nd_value *dot, const struct nd_value *final, const struct nd_value **ret)
{
    const struct template_operand *first = command->operands;

    ND_TRY(template_work(run, 0));
    at_operand(run, first);
    if (first->kind == OPERAND_FUNCTION)
        return eval_function(run, first, command, dot, final, ret);
    if (first->next != NULL || final != NULL)
        return eval_method(run, first, dot, final, ret);
    if (first->kind == OPERAND_NIL)
        return nd_error_new(ND_INVALID, "nil is not a command");
    return eval_operand(run, first, dot, ret);
}

static struct nd_error *
eval_pipe(struct template_run *run, const struct template_pipe *pipe, const struct nd_value *dot,
          const struct nd_value **ret)
{
    const struct nd_value *value = NULL;

    ND_TRY(deeper(run));
    at(run, pipe->pos, pipe->source);
    for (const struct template_command *c = pipe->commands; c != NULL; c = c->next)
        ND_TRY(eval_command(run, c, dot, value, &value));
    run->depth--;
    ND_INVARIANT(value != NULL); /* a pipe has at least one command */
    *ret = value;
    return NULL;
}

/* ":=" declares in the scope that is open now, "=" changes what an outer one declared. */
static struct nd_error *
set_variable(struct template_run *run, struct nd_str name, bool assigns,
             const struct nd_value *value)
{
    struct template_variable *v;

    if (!assigns) {
        v = nd_arena_new_object(run->arena, struct template_variable);
        *v = (struct template_variable){name, value, run->variables};
        run->variables = v;
        return NULL;
    }
    v = find_variable(run, name);
    if (v == NULL)
        return nd_error_new(ND_INVALID, "undefined variable: %.*s", ND_STR_ARG(name));
    v->value = value;
    return NULL;
}

/* Evaluate, and set the variables in front when the pipe is not that of a range. */
static struct nd_error *
eval_statement(struct template_run *run, const struct template_pipe *pipe,
               const struct nd_value *dot, const struct nd_value **ret)
{
    ND_TRY(eval_pipe(run, pipe, dot, ret));
    for (size_t i = 0; i < pipe->n_variables; i++)
        ND_TRY(set_variable(run, pipe->variables[i], pipe->assigns, *ret));
    return NULL;
}

static struct nd_error *
walk_action(struct template_run *run, const struct template_node *node, const struct nd_value *dot)
{
    const struct nd_value *value = &missing;
    size_t before = run->out->len;

    ND_TRY(eval_statement(run, node->pipe, dot, &value));
    if (node->pipe->n_variables > 0)
        return NULL;
    ND_TRY(nd_value_print(run->out, value));
    return template_work(run, run->out->len - before);
}

static struct nd_error *
walk_branch(struct template_run *run, const struct template_node *node, const struct nd_value *dot,
            enum flow *flow)
{
    struct template_variable *outer = run->variables;
    const struct nd_value *value = &missing;
    struct nd_error *err;

    ND_TRY(eval_statement(run, node->pipe, dot, &value));
    if (nd_value_is_empty(value))
        err = walk_list(run, node->otherwise, dot, flow);
    else
        err = walk_list(run, node->body, node->kind == NODE_WITH ? value : dot, flow);
    run->variables = outer;
    return err;
}

/* One turn of a range; *flow tells whether it goes on. */
static struct nd_error *
walk_element(struct template_run *run, const struct template_node *node, const struct nd_value *key,
             const struct nd_value *element, enum flow *flow)
{
    const struct template_pipe *pipe = node->pipe;
    struct template_variable *outer = run->variables;

    ND_TRY(template_work(run, 0));
    if (pipe->n_variables > 1)
        ND_TRY(set_variable(run, pipe->variables[0], pipe->assigns, key));
    if (pipe->n_variables > 0)
        ND_TRY(set_variable(run, pipe->variables[pipe->n_variables - 1], pipe->assigns, element));
    ND_TRY(walk_list(run, node->body, element, flow));
    run->variables = outer;
    if (*flow == FLOW_CONTINUE)
        *flow = FLOW_ON;
    return NULL;
}

static struct nd_error *
walk_items(struct template_run *run, const struct template_node *node, const struct nd_value *value,
           enum flow *flow)
{
    for (size_t i = 0; i < value->n_items && *flow == FLOW_ON; i++) {
        const struct nd_value *key = value->kind == ND_VALUE_LIST
                                         ? nd_value_int(run->arena, (int64_t)i)
                                         : nd_value_text(run->arena, value->items[i].name);

        ND_TRY(walk_element(run, node, key, value->items[i].value, flow));
    }
    return NULL;
}

static struct nd_error *
walk_count(struct template_run *run, const struct template_node *node, int64_t n, enum flow *flow)
{
    for (int64_t i = 0; i < n && *flow == FLOW_ON; i++) {
        const struct nd_value *element = nd_value_int(run->arena, i);

        ND_TRY(walk_element(run, node, element, element, flow));
    }
    return NULL;
}

static struct nd_error *
cannot_iterate(const struct nd_value *value)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_TEMPLATE_MAX_BYTES);
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_value_print(&text, value);

    return nd_error_new(ND_INVALID, "range can't iterate over %s",
                        text.ptr != NULL ? text.ptr : "");
}

static struct nd_error *
walk_range(struct template_run *run, const struct template_node *node, const struct nd_value *dot)
{
    struct template_variable *outer = run->variables;
    const struct nd_value *value = &missing;
    enum flow flow = FLOW_ON;
    struct nd_error *err;

    ND_TRY(eval_pipe(run, node->pipe, dot, &value));
    if (value->kind == ND_VALUE_INT && node->pipe->n_variables > 1)
        err = nd_error_new(ND_INVALID, "can't use %lld to iterate over more than one variable",
                           (long long)value->i64);
    else if (value->kind == ND_VALUE_INT && value->i64 > 0)
        err = walk_count(run, node, value->i64, &flow);
    else if ((value->kind == ND_VALUE_LIST || value->kind == ND_VALUE_MAP ||
              (value->kind == ND_VALUE_OBJECT && value->document)) &&
             value->n_items > 0)
        err = walk_items(run, node, value, &flow);
    else if (value->kind == ND_VALUE_INT || value->kind == ND_VALUE_LIST ||
             value->kind == ND_VALUE_MAP || value->kind == ND_VALUE_NULL ||
             value->kind == ND_VALUE_MISSING)
        err = walk_list(run, node->otherwise, dot, &flow);
    else
        err = cannot_iterate(value);
    run->variables = outer;
    return err;
}

static const struct template_definition *
find_definition(const struct nd_template *t, struct nd_str name)
{
    const struct template_definition *d = t->definitions;

    while (d != NULL && !nd_str_eq(d->name, name))
        d = d->next;
    return d;
}

/* {{template}}: the other body runs with its own "$" and sees none of our variables. */
static struct nd_error *
walk_call(struct template_run *run, const struct template_node *node, const struct nd_value *dot)
{
    const struct template_definition *d = find_definition(run->template, node->text);
    struct template_variable *variables = run->variables;
    const struct nd_value *dollar = run->dollar;
    const struct nd_value *value = &null;
    enum flow flow = FLOW_ON;
    struct nd_error *err;

    at(run, node->pos, node->source);
    if (d == NULL)
        return nd_error_new(ND_INVALID, "template \"%.*s\" not defined", ND_STR_ARG(node->text));
    if (node->pipe != NULL)
        ND_TRY(eval_statement(run, node->pipe, dot, &value));
    run->variables = NULL;
    run->dollar = value;
    err = walk_list(run, d->body, value, &flow);
    run->dollar = dollar;
    run->variables = variables;
    return err;
}

static struct nd_error *
walk_node(struct template_run *run, const struct template_node *node, const struct nd_value *dot,
          enum flow *flow)
{
    ND_TRY(template_work(run, 0));
    switch (node->kind) {
    case NODE_TEXT:
        ND_TRY(template_work(run, node->text.len));
        return nd_buf_add(run->out, node->text);
    case NODE_ACTION:
        return walk_action(run, node, dot);
    case NODE_IF:
    case NODE_WITH:
        return walk_branch(run, node, dot, flow);
    case NODE_RANGE:
        return walk_range(run, node, dot);
    case NODE_BREAK:
        *flow = FLOW_BREAK;
        return NULL;
    case NODE_CONTINUE:
        *flow = FLOW_CONTINUE;
        return NULL;
    case NODE_CALL:
        return walk_call(run, node, dot);
    }
    return NULL;
}

static struct nd_error *
walk_list(struct template_run *run, const struct template_node *list, const struct nd_value *dot,
          enum flow *flow)
{
    ND_TRY(deeper(run));
    for (; list != NULL && *flow == FLOW_ON; list = list->next)
        ND_TRY(walk_node(run, list, dot, flow));
    run->depth--;
    return NULL;
}

/* "template: :LINE:COLUMN: executing "" at <PART>: reason" */
static struct nd_error *
say_where(const struct template_run *run, struct nd_error *err)
{
    const char *text = run->template->text.ptr;
    unsigned line = 1, column = 0;

    for (size_t i = 0; i < run->pos; i++) {
        column++;
        if (text[i] == '\n') {
            line++;
            column = 0;
        }
    }
    return nd_error_wrap(err, "template: :%u:%u: executing \"\" at <%.*s>", line, column,
                         ND_STR_ARG(run->source));
}

static struct nd_error *
run_template(const struct nd_template *t, struct nd_arena *arena, const struct nd_value *dot,
             struct nd_buf *out, bool heading)
{
    struct template_run run = {
        .template = t, .arena = arena, .out = out, .heading = heading, .dollar = dot};
    enum flow flow = FLOW_ON;
    struct nd_error *err = walk_list(&run, t->body, dot, &flow);

    return err == NULL ? NULL : say_where(&run, err);
}

struct nd_error *
nd_template_run(const struct nd_template *t, struct nd_arena *arena, const struct nd_value *dot,
                struct nd_buf *out)
{
    return run_template(t, arena, dot, out, false);
}

struct nd_error *
nd_template_run_heading(const struct nd_template *t, struct nd_arena *arena,
                        const struct nd_value *headings, struct nd_buf *out)
{
    return run_template(t, arena, headings, out, true);
}
