/*
 * Regular expressions for filters, which come from strangers: the time of a match must not depend
 * on how cunning one is, and neither compiling nor matching may recurse deeply on a fiber's small
 * stack.
 *
 * The text is compiled to a program of a few instructions, which is run over the subject with the
 * set of all places where it could be (Thompson's construction): each byte of the subject visits
 * each instruction at most once.
 *
 *     a(b|c)*  ─▶  0 CHAR a   1 SPLIT 2,6   2 SPLIT 3,5 ...
 *
 * Compiling is by recursive descent, over groups alone, whose nesting has a limit.
 */

#include "pattern_priv.h"

#define PATTERN_MAX_INSTRUCTIONS 1024u
#define PATTERN_MAX_DEPTH        16u
#define PATTERN_MAX_BYTES        512u

enum op { OP_CLASS, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_END, OP_MATCH };

struct instruction {
    uint8_t op;
    uint16_t to, other; /* OP_JUMP: to; OP_SPLIT: both */
    uint16_t class;     /* OP_CLASS: which */
};

struct byte_set {
    uint64_t bits[4];
};

struct nd_pattern {
    size_t n;
    struct instruction program[PATTERN_MAX_INSTRUCTIONS];
    size_t n_classes;
    struct byte_set *classes; /* one for each OP_CLASS at most */
};

struct compiler {
    struct nd_pattern *p;
    struct nd_str rest;
    unsigned depth;
    bool failed;
};

static void
set_add(struct byte_set *s, unsigned c)
{
    s->bits[c / 64] |= UINT64_C(1) << (c % 64);
}

static bool
set_has(const struct byte_set *s, unsigned char c)
{
    return (s->bits[c / 64] >> (c % 64) & 1) != 0;
}

static void
set_invert(struct byte_set *s)
{
    for (size_t i = 0; i < ND_LEN(s->bits); i++)
        s->bits[i] = ~s->bits[i];
}

static size_t
emit(struct compiler *c, struct instruction i)
{
    if (c->p->n == PATTERN_MAX_INSTRUCTIONS) {
        c->failed = true;
        return 0;
    }
    c->p->program[c->p->n] = i;
    return c->p->n++;
}

static void
emit_class(struct compiler *c, const struct byte_set *set)
{
    (void)emit(c, (struct instruction){.op = OP_CLASS, .class = (uint16_t)c->p->n_classes});
    if (!c->failed)
        c->p->classes[c->p->n_classes++] = *set;
}

/* Make room for one instruction at `at`: what follows moves, and so do jumps into it. */
static void
insert(struct compiler *c, size_t at, struct instruction i)
{
    struct instruction *program = c->p->program;

    if (c->p->n == PATTERN_MAX_INSTRUCTIONS) {
        c->failed = true;
        return;
    }
    memmove(program + at + 1, program + at, (c->p->n - at) * sizeof(program[0]));
    c->p->n++;
    for (size_t k = at + 1; k < c->p->n; k++) {
        if (program[k].op == OP_JUMP || program[k].op == OP_SPLIT) {
            program[k].to = (uint16_t)(program[k].to + (program[k].to >= at));
            program[k].other = (uint16_t)(program[k].other + (program[k].other >= at));
        }
    }
    program[at] = i;
}

static int
peek(const struct compiler *c)
{
    return c->rest.len > 0 ? (unsigned char)c->rest.ptr[0] : -1;
}

static int
take(struct compiler *c)
{
    int byte = peek(c);

    c->rest = nd_str_from(c->rest, 1);
    return byte;
}

static void
add_range(struct byte_set *s, unsigned from, unsigned to)
{
    for (unsigned b = from; b <= to; b++)
        set_add(s, b);
}

/* What stands behind a backslash. */
static void
add_escape(struct compiler *c, struct byte_set *s)
{
    int byte = take(c);

    switch (byte) {
    case 'd':
        add_range(s, '0', '9');
        return;
    case 'w':
        add_range(s, '0', '9');
        add_range(s, 'a', 'z');
        add_range(s, 'A', 'Z');
        set_add(s, '_');
        return;
    case 's':
        set_add(s, ' ');
        add_range(s, '\t', '\r');
        return;
    default:
        break;
    }
    /* Letters and digits have meanings elsewhere that are not known here. */
    if (byte < 0 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
        (byte >= 'A' && byte <= 'Z'))
        c->failed = true;
    else
        set_add(s, (unsigned)byte);
}

/* Behind "[". */
static void
parse_class(struct compiler *c)
{
    struct byte_set set = {{0}};
    bool inverted = peek(c) == '^', first = true;

    if (inverted)
        (void)take(c);
    for (;; first = false) {
        int from = take(c), to = from;

        if (from < 0 || c->failed) {
            c->failed = true;
            return;
        }
        if (from == ']' && !first)
            break;
        if (from == '\\') {
            add_escape(c, &set);
            continue;
        }
        if (peek(c) == '-' && c->rest.len > 1 && c->rest.ptr[1] != ']') {
            (void)take(c);
            to = take(c);
        }
        if (to < from || to == '\\') {
            c->failed = true;
            return;
        }
        add_range(&set, (unsigned)from, (unsigned)to);
    }
    if (inverted)
        set_invert(&set);
    emit_class(c, &set);
}

static void parse_choice(struct compiler *c);

static void
parse_group(struct compiler *c)
{
    if (++c->depth > PATTERN_MAX_DEPTH) {
        c->failed = true;
        return;
    }
    if (nd_str_starts(c->rest, ND_STR("?:")))
        c->rest = nd_str_from(c->rest, 2);
    parse_choice(c);
    if (take(c) != ')')
        c->failed = true;
    c->depth--;
}

static void
parse_atom(struct compiler *c)
{
    struct byte_set set = {{0}};
    int byte = take(c);

    switch (byte) {
    case '(':
        parse_group(c);
        return;
    case '[':
        parse_class(c);
        return;
    case '^':
        (void)emit(c, (struct instruction){.op = OP_BEGIN});
        return;
    case '$':
        (void)emit(c, (struct instruction){.op = OP_END});
        return;
    case '.':
        set_invert(&set);
        break;
    case '\\':
        add_escape(c, &set);
        break;
    case '*':
    case '+':
    case '?':
    case '{':
        c->failed = true; /* nothing to repeat; counted repetition is not known here */
        return;
    default:
        set_add(&set, (unsigned)byte);
        break;
    }
    emit_class(c, &set);
}

static void
parse_repeated(struct compiler *c)
{
    size_t start = c->p->n, end;

    parse_atom(c);
    while (!c->failed && (peek(c) == '*' || peek(c) == '+' || peek(c) == '?')) {
        int repeat = take(c);

        if (repeat != '+')
            insert(c, start, (struct instruction){.op = OP_SPLIT, .to = (uint16_t)(start + 1)});
        if (repeat != '?')
            (void)emit(c, (struct instruction){.op = OP_SPLIT,
                                               .to = (uint16_t)(repeat == '+' ? start : start + 1),
                                               .other = (uint16_t)(c->p->n + 1)});
        end = c->p->n;
        if (repeat != '+' && !c->failed)
            c->p->program[start].other = (uint16_t)end;
    }
    if (!c->failed && peek(c) == '{')
        c->failed = true;
}

static void
parse_choice(struct compiler *c)
{
    size_t start = c->p->n, jump;

    while (!c->failed && peek(c) >= 0 && peek(c) != '|' && peek(c) != ')')
        parse_repeated(c);
    while (!c->failed && peek(c) == '|') {
        size_t branch;

        (void)take(c);
        insert(c, start, (struct instruction){.op = OP_SPLIT, .to = (uint16_t)(start + 1)});
        jump = emit(c, (struct instruction){.op = OP_JUMP});
        branch = c->p->n;
        while (!c->failed && peek(c) >= 0 && peek(c) != '|' && peek(c) != ')')
            parse_repeated(c);
        if (c->failed)
            return;
        c->p->program[start].other = (uint16_t)branch;
        c->p->program[jump].to = (uint16_t)c->p->n;
    }
}

struct nd_error *
nd_pattern_compile(struct nd_str text, struct nd_arena *arena, struct nd_pattern **ret)
{
    struct compiler c = {.p = nd_arena_new_object(arena, struct nd_pattern), .rest = text};

    if (text.len > PATTERN_MAX_BYTES)
        return nd_error_new(ND_INVALID, "the expression is over %u bytes", PATTERN_MAX_BYTES);
    c.p->classes = nd_arena_new_array(arena, text.len + 1, struct byte_set);
    parse_choice(&c);
    (void)emit(&c, (struct instruction){.op = OP_MATCH});
    if (c.failed || c.rest.len > 0)
        return nd_error_new(ND_INVALID, "\"%.*s\" is no regular expression that is understood here",
                            ND_STR_ARG(nd_str_sub(text, 0, 100)));
    *ret = c.p;
    return NULL;
}

/* Where the program could be: instructions that consume a byte, each once. */
struct places {
    uint16_t at[PATTERN_MAX_INSTRUCTIONS];
    size_t n;
    uint64_t seen[PATTERN_MAX_INSTRUCTIONS / 64];
    bool matched;
};

/* Add `pc` and all that is reached from it without a byte. */
static void
add_place(const struct nd_pattern *p, struct places *places, size_t pc, bool at_begin, bool at_end)
{
    /* Each instruction is seen once and leaves one more behind at most. */
    uint16_t todo[PATTERN_MAX_INSTRUCTIONS + 2];
    size_t n = 0;

    todo[n++] = (uint16_t)pc;
    while (n > 0) {
        size_t at = todo[--n];
        const struct instruction *i = &p->program[at];

        if ((places->seen[at / 64] >> (at % 64) & 1) != 0)
            continue;
        places->seen[at / 64] |= UINT64_C(1) << (at % 64);
        if (i->op == OP_CLASS) {
            places->at[places->n++] = (uint16_t)at;
            continue;
        }
        places->matched |= i->op == OP_MATCH;
        if (i->op == OP_SPLIT)
            todo[n++] = i->other;
        if (i->op == OP_SPLIT || i->op == OP_JUMP)
            todo[n++] = i->to;
        if ((i->op == OP_BEGIN && at_begin) || (i->op == OP_END && at_end))
            todo[n++] = (uint16_t)(at + 1);
    }
}

bool
nd_pattern_matches(const struct nd_pattern *pattern, struct nd_str text)
{
    struct places a, b, *now = &a, *next = &b;

    *now = (struct places){.n = 0};
    add_place(pattern, now, 0, true, text.len == 0);
    for (size_t i = 0; i < text.len && !now->matched; i++) {
        struct places *spare = now;

        next->n = 0;
        next->matched = false;
        memset(next->seen, 0, sizeof(next->seen));
        for (size_t k = 0; k < now->n; k++) {
            const struct instruction *in = &pattern->program[now->at[k]];

            if (set_has(&pattern->classes[in->class], (unsigned char)text.ptr[i]))
                add_place(pattern, next, now->at[k] + 1u, false, i + 1 == text.len);
        }
        add_place(pattern, next, 0, false, i + 1 == text.len); /* a match may begin here */
        now = next;
        next = spare;
    }
    return now->matched;
}
