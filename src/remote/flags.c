/*
 * Parsing flags and answering for their values.
 *
 * A set holds one slot per flag of its table: how often it was given, the last value as text, the
 * numbers it stands for, and for lists all values. A value is checked when it is read, so that what
 * asks for it later cannot fail. A flag may be another name of a flag in its own table ("net" of
 * "network"); the other one's slot then gets the value.
 *
 * Which errors there are and how they read is pflag's, because scripts and people know them.
 */

#include "remote/flags.h"

#include <stdlib.h>

#include "base/clock.h"
#include "remote/limits.h"

struct slot {
    size_t given;
    struct nd_str text;
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double f64;
    };
    struct nd_texts list;
};

struct nd_flags {
    struct nd_arena *arena;
    struct nd_flag_table table;
    struct slot *slots;
    bool below_root;
};

struct target {
    struct nd_flags *set;
    const struct nd_flag *flag;
};

static const struct nd_flag *
find_flag(struct nd_flag_table table, struct nd_str name)
{
    for (size_t i = 0; i < table.n; i++) {
        if (nd_str_eqz(name, table.flags[i].name))
            return &table.flags[i];
    }
    return NULL;
}

static struct slot *
slot_of(const struct nd_flags *set, const struct nd_flag *flag)
{
    if (flag->same_as != NULL)
        flag = find_flag(set->table, nd_str(flag->same_as));
    ND_INVARIANT(flag != NULL);
    return &set->slots[flag - set->table.flags];
}

static struct nd_error *
bad_syntax(const char *function, struct nd_str value)
{
    return nd_error_new(ND_INVALID, "strconv.%s: parsing \"%.*s\": invalid syntax", function,
                        ND_STR_ARG(value));
}

/* A base function failed: its message gives way to what people know from Go. */
static struct nd_error *
or_bad_syntax(struct nd_error *err, const char *function, struct nd_str value)
{
    if (err == NULL)
        return NULL;
    nd_error_free(err);
    return bad_syntax(function, value);
}

static struct nd_error *
parse_float(struct nd_str value, double *ret)
{
    bool negative = value.len > 0 && value.ptr[0] == '-';

    ND_TRY(or_bad_syntax(nd_decimal_parse(nd_str_from(value, negative), ret), "ParseFloat", value));
    if (negative)
        *ret = -*ret;
    return NULL;
}

static struct nd_error *
set_list(struct nd_flags *set, struct slot *slot, const struct nd_flag *flag, struct nd_str value)
{
    if (slot->list.n >= ND_REMOTE_MAX_LIST_VALUES)
        return nd_error_new(ND_INVALID, "more than %u values", ND_REMOTE_MAX_LIST_VALUES);
    if (flag->type == ND_FLAG_SLICE && value.len > 0)
        return nd_csv_parse(set->arena, value, &slot->list);
    if (flag->type == ND_FLAG_ARRAY)
        nd_texts_push(set->arena, &slot->list, value);
    return NULL;
}

static struct nd_error *
set_value(struct nd_flags *set, struct slot *slot, const struct nd_flag *flag, struct nd_str value)
{
    slot->text = value;
    switch (flag->type) {
    case ND_FLAG_BOOL:
        return or_bad_syntax(nd_parse_bool(value, &slot->boolean), "ParseBool", value);
    case ND_FLAG_STRING:
        return NULL;
    case ND_FLAG_INT:
        return or_bad_syntax(nd_parse_i64(value, INT32_MIN, INT32_MAX, &slot->i64), "ParseInt",
                             value);
    case ND_FLAG_INT64:
        return or_bad_syntax(nd_parse_i64(value, INT64_MIN, INT64_MAX, &slot->i64), "ParseInt",
                             value);
    case ND_FLAG_UINT16:
        return or_bad_syntax(nd_parse_u64(value, UINT16_MAX, &slot->u64), "ParseUint", value);
    case ND_FLAG_UINT64:
        return or_bad_syntax(nd_parse_u64(value, UINT64_MAX, &slot->u64), "ParseUint", value);
    case ND_FLAG_FLOAT:
        return parse_float(value, &slot->f64);
    case ND_FLAG_DURATION:
        return nd_duration_parse(value, &slot->i64);
    case ND_FLAG_SLICE:
    case ND_FLAG_ARRAY:
        return set_list(set, slot, flag, value);
    }
    return NULL;
}

struct nd_flags *
nd_flags_new(struct nd_arena *arena, struct nd_flag_table table)
{
    struct nd_flags *set = nd_arena_new_object(arena, struct nd_flags);

    set->arena = arena;
    set->table = table;
    set->slots = nd_arena_new_array(arena, table.n + 1, struct slot);
    for (size_t i = 0; i < table.n; i++) {
        const struct nd_flag *flag = &table.flags[i];
        struct nd_error *err = NULL;

        if (flag->same_as == NULL && flag->fallback[0] != '\0')
            err = set_value(set, &set->slots[i], flag, nd_str(flag->fallback));
        ND_INVARIANT(err == NULL); /* a table of ours with a default that does not parse */
    }
    return set;
}

static struct nd_error *
take_value(const struct target *target, struct nd_str value)
{
    const struct nd_flag *flag = target->flag;
    struct slot *slot = slot_of(target->set, flag);
    struct nd_error *err;

    if (slot->given == 0)
        slot->list = (struct nd_texts){.n = 0}; /* the first value replaces the default */
    slot->given++;
    err = set_value(target->set, slot, flag, value);
    if (err == NULL)
        return NULL;
    if (flag->shorthand != '\0')
        return nd_error_wrap(err, "invalid argument \"%.*s\" for \"-%c, --%s\" flag",
                             ND_STR_ARG(value), flag->shorthand, flag->name);
    return nd_error_wrap(err, "invalid argument \"%.*s\" for \"--%s\" flag", ND_STR_ARG(value),
                         flag->name);
}

static bool
is_visible(const struct nd_flags *set, const struct nd_flag *flag)
{
    return flag != NULL && !(set->below_root && (flag->marks & ND_FLAG_ROOT_ONLY) != 0);
}

static bool
has_shorthand(const struct nd_flags *set, const struct nd_flag *flag)
{
    return is_visible(set, flag) && !(set->below_root && (flag->marks & ND_FLAG_ROOT_SHORT) != 0);
}

void
nd_flags_leave_root(struct nd_flags *flags)
{
    flags->below_root = true;
}

static bool
find_long(struct nd_flags *const *sets, size_t n_sets, struct nd_str name, struct target *ret)
{
    for (size_t i = 0; i < n_sets; i++) {
        ret->set = sets[i];
        ret->flag = find_flag(sets[i]->table, name);
        if (is_visible(sets[i], ret->flag))
            return true;
    }
    return false;
}

static bool
find_short(struct nd_flags *const *sets, size_t n_sets, char c, struct target *ret)
{
    for (size_t i = 0; i < n_sets; i++) {
        for (size_t k = 0; k < sets[i]->table.n; k++) {
            *ret = (struct target){sets[i], &sets[i]->table.flags[k]};
            if (ret->flag->shorthand == c && has_shorthand(sets[i], ret->flag))
                return true;
        }
    }
    return false;
}

struct reader {
    struct nd_flags *const *sets;
    size_t n_sets;
    struct nd_flag_words *words;
    size_t at; /* the next word */
};

/* "--name", "--name=value" or "--name" and the next word. */
static struct nd_error *
read_long(struct reader *r, struct nd_str word)
{
    struct nd_str body = nd_str_from(word, 2);
    size_t equals = nd_str_find(body, '=');
    struct nd_str name = nd_str_sub(body, 0, equals);
    struct target target;

    if (name.len == 0 || name.ptr[0] == '-')
        return nd_error_new(ND_INVALID, "bad flag syntax: %.*s", ND_STR_ARG(word));
    if (!find_long(r->sets, r->n_sets, name, &target)) {
        if (!nd_str_eqz(name, "help"))
            return nd_error_new(ND_INVALID, "unknown flag: --%.*s", ND_STR_ARG(name));
        r->words->help = true;
        return NULL;
    }
    if (equals != SIZE_MAX)
        return take_value(&target, nd_str_from(body, equals + 1));
    if (target.flag->type == ND_FLAG_BOOL)
        return take_value(&target, ND_STR("true"));
    if (r->at >= r->words->n)
        return nd_error_new(ND_INVALID, "flag needs an argument: --%.*s", ND_STR_ARG(name));
    return take_value(&target, r->words->words[r->at++]);
}

/* One letter of "-abc"; cuts it, and its value, off the front of `*letters`. */
static struct nd_error *
read_letter(struct reader *r, struct nd_str word, struct nd_str *letters)
{
    char c = letters->ptr[0];
    struct nd_str rest = nd_str_from(*letters, 1);
    struct target target;

    *letters = rest;
    if (!find_short(r->sets, r->n_sets, c, &target)) {
        if (c != 'h')
            return nd_error_new(ND_INVALID, "unknown shorthand flag: '%c' in %.*s", c,
                                ND_STR_ARG(word));
        r->words->help = true;
        return NULL;
    }
    if (rest.len > 1 && rest.ptr[0] == '=') {
        *letters = ND_STR_NONE;
        return take_value(&target, nd_str_from(rest, 1));
    }
    if (target.flag->type == ND_FLAG_BOOL)
        return take_value(&target, ND_STR("true"));
    *letters = ND_STR_NONE;
    if (rest.len > 0)
        return take_value(&target, rest);
    if (r->at >= r->words->n)
        return nd_error_new(ND_INVALID, "flag needs an argument: '%c' in %.*s", c,
                            ND_STR_ARG(word));
    return take_value(&target, r->words->words[r->at++]);
}

static struct nd_error *
read_short(struct reader *r, struct nd_str word)
{
    struct nd_str letters = nd_str_from(word, 1);

    while (letters.len > 0 && !r->words->help)
        ND_TRY(read_letter(r, word, &letters));
    return NULL;
}

static void
rest_is_arguments(struct nd_arena *arena, struct reader *r)
{
    while (r->at < r->words->n)
        nd_texts_push(arena, &r->words->args, r->words->words[r->at++]);
}

/* The next word, and what belongs to it. */
static struct nd_error *
read_word(struct nd_arena *arena, struct reader *r)
{
    struct nd_flag_words *words = r->words;
    struct nd_str word = words->words[r->at++];

    if (nd_str_eqz(word, "--")) {
        rest_is_arguments(arena, r);
        return NULL;
    }
    if (word.len >= 2 && word.ptr[0] == '-')
        return word.ptr[1] == '-' ? read_long(r, word) : read_short(r, word);
    nd_texts_push(arena, &words->args, word);
    if (!words->mixed)
        rest_is_arguments(arena, r);
    return NULL;
}

struct nd_error *
nd_flags_parse(struct nd_arena *arena, struct nd_flags *const *sets, size_t n_sets,
               struct nd_flag_words *words)
{
    struct reader r = {.sets = sets, .n_sets = n_sets, .words = words};

    while (r.at < words->n && !words->help)
        ND_TRY(read_word(arena, &r));
    return NULL;
}

static struct nd_error *
refuse_host_flag(const struct nd_flag *flag)
{
    struct nd_error *err =
        nd_error_new(ND_UNIMPLEMENTED,
                     "flag --%s is a setting of the host, which the daemon decides", flag->name);

    err = nd_error_hint(err, "it belongs into the configuration of nerdctl-grpcd "
                             "(/etc/nerdctl-grpc/config.yaml)");
    return nd_error_hint(err, "to choose the daemon use --host or --context");
}

struct nd_error *
nd_flags_check_supported(const struct nd_flags *flags)
{
    for (size_t i = 0; i < flags->table.n; i++) {
        const struct nd_flag *flag = &flags->table.flags[i];
        const struct slot *slot = slot_of(flags, flag);

        if ((flag->marks & (ND_FLAG_UNSUPPORTED | ND_FLAG_HOST_ONLY)) == 0 || slot->given == 0)
            continue;
        if (slot->list.n == 0 && nd_str_eqz(slot->text, flag->fallback))
            continue; /* asks for what happens anyway */
        if (flag->type == ND_FLAG_BOOL && !slot->boolean && flag->fallback[0] == '\0')
            continue;
        if ((flag->marks & ND_FLAG_HOST_ONLY) != 0)
            return refuse_host_flag(flag);
        return nd_error_new(ND_UNIMPLEMENTED,
                            "flag --%s is not supported by this version of the daemon's API yet",
                            flag->name);
    }
    return NULL;
}

static const struct slot *
find_slot(const struct nd_flags *set, const char *name)
{
    const struct nd_flag *flag = find_flag(set->table, nd_str(name));

    ND_INVARIANT(flag != NULL);
    return slot_of(set, flag);
}

bool
nd_flags_has(const struct nd_flags *flags, const char *name)
{
    return find_flag(flags->table, nd_str(name)) != NULL;
}

bool
nd_flag_given(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->given != 0;
}

bool
nd_flag_bool(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->boolean;
}

struct nd_str
nd_flag_text(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->text;
}

const char *
nd_flag_textz(const struct nd_flags *flags, const char *name)
{
    return nd_arena_str(flags->arena, find_slot(flags, name)->text);
}

int64_t
nd_flag_int(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->i64;
}

uint64_t
nd_flag_uint(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->u64;
}

double
nd_flag_float(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->f64;
}

int64_t
nd_flag_duration(const struct nd_flags *flags, const char *name)
{
    return find_slot(flags, name)->i64;
}

const struct nd_texts *
nd_flag_list(const struct nd_flags *flags, const char *name)
{
    return &find_slot(flags, name)->list;
}
