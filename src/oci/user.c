/*
 * Users and groups of an image, looked up in the text of its own /etc/passwd and /etc/group. The
 * files come from the image and are hostile input: lines that do not parse are skipped, the work is
 * bounded by the size of the text, and nothing in them is trusted but numbers.
 *
 * A text of digits alone is a number first: "1000" is uid 1000, whether or not it has an entry.
 */

#include "oci/user.h"

#include "base/alloc.h"

struct passwd_entry {
    struct nd_str name;
    uint32_t uid, gid;
    struct nd_str home;
};

struct group_entry {
    struct nd_str name;
    uint32_t gid;
    struct nd_str members; /* "a,b,c" */
};

static bool
parse_id(struct nd_str text, uint32_t *ret)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    uint64_t n;

    /* (uid_t)-1 means "no change" to the kernel, so it is nobody's number. */
    err = nd_parse_u64(text, UINT32_MAX - 1, &n);
    if (err != NULL)
        return false;
    *ret = (uint32_t)n;
    return true;
}

static bool
is_number(struct nd_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len > 0;
}

/* name:password:uid:gid:comment:home:shell */
static bool
parse_passwd(struct nd_str line, struct passwd_entry *ret)
{
    struct nd_str field[7] = {{0}};
    struct nd_str rest = line;
    size_t n = 0;

    while (n < ND_LEN(field) && nd_str_next(&rest, ':', &field[n]))
        n++;
    if (n < 4 || field[0].len == 0)
        return false;
    *ret = (struct passwd_entry){.name = field[0], .home = field[5]};
    return parse_id(field[2], &ret->uid) && parse_id(field[3], &ret->gid);
}

/* name:password:gid:members */
static bool
parse_group(struct nd_str line, struct group_entry *ret)
{
    struct nd_str field[4] = {{0}};
    struct nd_str rest = line;
    size_t n = 0;

    while (n < ND_LEN(field) && nd_str_next(&rest, ':', &field[n]))
        n++;
    if (n < 3 || field[0].len == 0)
        return false;
    *ret = (struct group_entry){.name = field[0], .members = field[3]};
    return parse_id(field[2], &ret->gid);
}

/* The first entry with this name (or, when `name` is empty, this uid). */
static bool
find_passwd(struct nd_str passwd, struct nd_str name, uint32_t uid, struct passwd_entry *ret)
{
    struct nd_str line;

    while (nd_str_next(&passwd, '\n', &line)) {
        struct passwd_entry e;

        if (!parse_passwd(line, &e))
            continue;
        if (name.len > 0 ? nd_str_eq(e.name, name) : e.uid == uid) {
            *ret = e;
            return true;
        }
    }
    return false;
}

static bool
find_group(struct nd_str group, struct nd_str name, uint32_t *ret_gid)
{
    struct nd_str line;

    while (nd_str_next(&group, '\n', &line)) {
        struct group_entry e;

        if (parse_group(line, &e) && nd_str_eq(e.name, name)) {
            *ret_gid = e.gid;
            return true;
        }
    }
    return false;
}

static bool
is_member(struct nd_str members, struct nd_str name)
{
    struct nd_str member = ND_STR_NONE;

    while (nd_str_next(&members, ',', &member)) {
        if (nd_str_eq(nd_str_trim(member), name))
            return true;
    }
    return false;
}

static struct nd_error *
add_gid(struct nd_user *user, uint32_t gid)
{
    for (size_t i = 0; i < user->n_gids; i++) {
        if (user->gids[i] == gid)
            return NULL;
    }
    if (user->n_gids == ND_USER_MAX_GROUPS)
        return nd_error_new(ND_EXHAUSTED, "the user is in more than %d groups", ND_USER_MAX_GROUPS);
    user->gids[user->n_gids++] = gid;
    return NULL;
}

/* The groups that list the user as a member, behind the primary one. */
static struct nd_error *
add_memberships(struct nd_user *user, struct nd_str group, struct nd_str name)
{
    struct nd_str line;

    ND_TRY(add_gid(user, user->gid));
    while (nd_str_next(&group, '\n', &line)) {
        struct group_entry e;

        if (parse_group(line, &e) && is_member(e.members, name))
            ND_TRY(add_gid(user, e.gid));
    }
    return NULL;
}

static struct nd_error *
resolve_group(struct nd_str text, struct nd_str group, uint32_t *ret)
{
    if (text.len == 0)
        return nd_error_new(ND_INVALID, "the group is empty");
    if (is_number(text)) {
        if (!parse_id(text, ret))
            return nd_error_new(ND_INVALID, "group %.*s is out of range", ND_STR_ARG(text));
        return NULL;
    }
    if (!find_group(group, text, ret))
        return nd_error_new(ND_NOT_FOUND, "the image has no group \"%.*s\"", ND_STR_ARG(text));
    return NULL;
}

/* The part in front of the colon. *ret_name is the user's name, empty when there is no entry. */
static struct nd_error *
resolve_name(struct nd_str text, struct nd_str passwd, struct nd_user *user,
             struct passwd_entry *ret)
{
    struct passwd_entry entry = {0};

    if (is_number(text)) {
        if (!parse_id(text, &user->uid))
            return nd_error_new(ND_INVALID, "user %.*s is out of range", ND_STR_ARG(text));
        if (find_passwd(passwd, ND_STR_NONE, user->uid, &entry))
            user->gid = entry.gid;
    } else {
        if (!find_passwd(passwd, text, 0, &entry))
            return nd_error_new(ND_NOT_FOUND, "the image has no user \"%.*s\"", ND_STR_ARG(text));
        user->uid = entry.uid;
        user->gid = entry.gid;
    }
    *ret = entry;
    return NULL;
}

/* What was asked for on top, by name or number. */
static struct nd_error *
add_groups(struct nd_user *user, struct nd_str group, const char *const *group_add,
           size_t n_group_add)
{
    for (size_t i = 0; i < n_group_add; i++) {
        uint32_t gid = 0;

        ND_TRY(resolve_group(nd_str(group_add[i]), group, &gid));
        ND_TRY(add_gid(user, gid));
    }
    return NULL;
}

/* The groups: one that was named, else those that the user is a member of. */
static struct nd_error *
resolve_groups(struct nd_str text, size_t colon, struct nd_str group, struct nd_str name,
               struct nd_user *user)
{
    if (colon == SIZE_MAX)
        return add_memberships(user, group, name);
    /* With an explicit group the memberships of the user do not count, as in docker. */
    ND_TRY(resolve_group(nd_str_from(text, colon + 1), group, &user->gid));
    return add_gid(user, user->gid);
}

struct nd_error *
nd_user_resolve(const struct nd_user_query *query, struct nd_arena *arena, struct nd_user *ret)
{
    struct nd_str text = query->text;
    size_t colon = nd_str_find(text, ':');
    struct nd_str name = nd_str_sub(text, 0, ND_MIN(colon, text.len));
    struct passwd_entry entry = {0};
    struct nd_user user = {0};

    if (text.len == 0)
        name = ND_STR("0");
    else if (name.len == 0)
        return nd_error_new(ND_INVALID, "\"%.*s\" names no user", ND_STR_ARG(text));
    user.gids = nd_arena_new_array(arena, ND_USER_MAX_GROUPS, uint32_t);
    ND_TRY(resolve_name(name, query->passwd, &user, &entry));
    ND_TRY(resolve_groups(text, colon, query->group, entry.name, &user));
    ND_TRY(add_groups(&user, query->group, query->group_add, query->n_group_add));
    user.home = nd_arena_str(arena, entry.home);
    *ret = user;
    return NULL;
}
