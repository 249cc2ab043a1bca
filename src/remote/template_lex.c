/*
 * Words inside of {{ and }}.
 *
 * The lexer has no state: a token is what stands at a position, so the parser can look ahead by
 * asking twice. Blanks are tokens, because ".A .B" and ".A.B" differ and because " -}}" closes an
 * action where "-}}" does not.
 *
 * Messages are those of Go, without the place, which the parser puts in front.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "template_priv.h"

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Letters of other scripts are taken byte by byte: whatever is not ASCII counts as a letter. */
static bool
is_word(char c)
{
    return c == '_' || isalnum((unsigned char)c) != 0 || (unsigned char)c >= 0x80;
}

static char
at(struct nd_str text, size_t pos)
{
    if (pos >= text.len)
        return '\0';
    return text.ptr[pos];
}

static bool
closes_trimmed(struct nd_str text, size_t pos)
{
    return is_space(at(text, pos)) && nd_str_starts(nd_str_from(text, pos + 1), ND_STR("-}}"));
}

/* What may follow a word, a field or a variable. */
static bool
ends_word(struct nd_str text, size_t pos)
{
    char c = at(text, pos);

    if (c == '\0')
        return pos >= text.len;
    if (is_space(c) || strchr(".,|:()", c) != NULL)
        return true;
    return nd_str_starts(nd_str_from(text, pos), ND_STR("}}"));
}

static struct nd_error *
bad_character(struct nd_str text, size_t pos, const char *what)
{
    unsigned c = (unsigned char)at(text, pos);

    if (c >= 0x20 && c < 0x7f)
        return nd_error_new(ND_INVALID, "%s U+%04X '%c'", what, c, (int)c);
    return nd_error_new(ND_INVALID, "%s U+%04X", what, c);
}

static struct nd_error *
lex_word(struct nd_str text, size_t start, struct template_token *token)
{
    size_t pos = start + 1;

    while (is_word(at(text, pos)) && pos < text.len)
        pos++;
    if (!ends_word(text, pos))
        return bad_character(text, pos, "bad character");
    token->text = nd_str_sub(text, start, pos - start);
    return NULL;
}

static struct nd_error *
lex_quoted(struct nd_str text, size_t start, struct template_token *token)
{
    char quote = text.ptr[start];
    size_t pos = start + 1;

    for (;; pos++) {
        char c = at(text, pos);

        if (pos >= text.len || (c == '\n' && quote != '`')) {
            return nd_error_new(ND_INVALID, "unterminated %s",
                                quote == '`'   ? "raw quoted string"
                                : quote == '"' ? "quoted string"
                                               : "character constant");
        }
        if (c == '\\' && quote != '`' && pos + 1 < text.len && text.ptr[pos + 1] != '\n')
            pos++;
        else if (c == quote)
            break;
    }
    token->text = nd_str_sub(text, start, pos + 1 - start);
    return NULL;
}

static size_t
skip_set(struct nd_str text, size_t pos, const char *set)
{
    while (pos < text.len && strchr(set, text.ptr[pos]) != NULL && text.ptr[pos] != '\0')
        pos++;
    return pos;
}

static struct nd_error *
lex_number(struct nd_str text, size_t start, struct template_token *token)
{
    const char *digits = "0123456789_";
    size_t pos = start;
    bool decimal = true;

    if (at(text, pos) == '+' || at(text, pos) == '-')
        pos++;
    if (at(text, pos) == '0' && strchr("xXoObB", at(text, pos + 1)) != NULL && pos + 1 < text.len) {
        char base = (char)tolower((unsigned char)at(text, pos + 1));

        digits = base == 'x' ? "0123456789abcdefABCDEF_" : base == 'o' ? "01234567_" : "01_";
        decimal = false;
        pos += 2;
    }
    pos = skip_set(text, pos, digits);
    if (decimal && at(text, pos) == '.')
        pos = skip_set(text, pos + 1, digits);
    if (decimal && (at(text, pos) == 'e' || at(text, pos) == 'E')) {
        pos++;
        if (at(text, pos) == '+' || at(text, pos) == '-')
            pos++;
        pos = skip_set(text, pos, "0123456789_");
    }
    if (pos < text.len && is_word(text.ptr[pos])) {
        struct nd_str bad = nd_str_sub(text, start, pos + 1 - start);

        return nd_error_new(ND_INVALID, "bad number syntax: \"%.*s\"", ND_STR_ARG(bad));
    }
    token->text = nd_str_sub(text, start, pos - start);
    return NULL;
}

static void
lex_spaces(struct nd_str text, size_t start, struct template_token *token)
{
    size_t pos = start;

    while (pos < text.len && is_space(text.ptr[pos]) && !closes_trimmed(text, pos))
        pos++;
    token->kind = TOKEN_SPACE;
    token->text = nd_str_sub(text, start, pos - start);
}

struct symbol {
    char c;
    enum template_token_kind kind;
};
static const struct symbol symbols[] = {
    {'|', TOKEN_PIPE},   {'(', TOKEN_OPEN_PAREN}, {')', TOKEN_CLOSE_PAREN},
    {'=', TOKEN_ASSIGN}, {',', TOKEN_COMMA},
};

static struct nd_error *
lex_symbol(struct nd_str text, size_t pos, struct template_token *token)
{
    char c = text.ptr[pos];

    token->text = nd_str_sub(text, pos, 1);
    for (size_t i = 0; i < ND_LEN(symbols); i++) {
        if (symbols[i].c == c) {
            token->kind = symbols[i].kind;
            return NULL;
        }
    }
    if (c == ':') {
        if (at(text, pos + 1) != '=')
            return nd_error_new(ND_INVALID, "expected :=");
        token->kind = TOKEN_DECLARE;
        token->text = nd_str_sub(text, pos, 2);
        return NULL;
    }
    if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
        return bad_character(text, pos, "unrecognized character in action:");
    token->kind = TOKEN_OTHER;
    return NULL;
}

static struct nd_error *
lex_other(struct nd_str text, size_t pos, struct template_token *token)
{
    char c = text.ptr[pos];
    bool digit_follows = isdigit((unsigned char)at(text, pos + 1)) != 0;

    if (c == '"' || c == '`' || c == '\'') {
        token->kind = c == '"' ? TOKEN_TEXT : c == '`' ? TOKEN_RAW_TEXT : TOKEN_CHARACTER;
        return lex_quoted(text, pos, token);
    }
    if (c == '+' || c == '-' || isdigit((unsigned char)c) != 0 || (c == '.' && digit_follows)) {
        token->kind = TOKEN_NUMBER;
        return lex_number(text, pos, token);
    }
    if (c == '.' && !is_word(at(text, pos + 1))) {
        token->kind = TOKEN_DOT;
        token->text = nd_str_sub(text, pos, 1);
        return ends_word(text, pos + 1) ? NULL : bad_character(text, pos + 1, "bad character");
    }
    if (c == '.' || c == '$' || is_word(c)) {
        token->kind = c == '.' ? TOKEN_FIELD : c == '$' ? TOKEN_VARIABLE : TOKEN_WORD;
        return lex_word(text, pos, token);
    }
    return lex_symbol(text, pos, token);
}

struct nd_error *
template_next_token(struct nd_str text, size_t *pos, struct template_token *ret)
{
    struct template_token token = {.kind = TOKEN_END_OF_TEXT, .pos = *pos};
    struct nd_str rest = nd_str_from(text, *pos);

    if (rest.len == 0) {
        *ret = token;
        return NULL;
    }
    if (nd_str_starts(rest, ND_STR("}}"))) {
        token.kind = TOKEN_CLOSE;
        token.text = nd_str_sub(rest, 0, 2);
    } else if (closes_trimmed(text, *pos)) {
        token.kind = TOKEN_CLOSE;
        token.trim = true;
        token.text = nd_str_sub(rest, 0, 4);
    } else if (is_space(rest.ptr[0])) {
        lex_spaces(text, *pos, &token);
    } else {
        ND_TRY(lex_other(text, *pos, &token));
    }
    *pos += token.text.len;
    *ret = token;
    return NULL;
}
