/*
 * Names of images.
 *
 *     localhost:5000/team/app:1.2@sha256:4e07...
 *     └── domain ──┘ └─ path ─┘ │   └─ digest ─┘
 *                              tag
 *
 * Two steps. What a person typed is completed first: which part is the domain is decided by the
 * text before the first slash ("a.b/c" has one, "a/b" has none and means docker.io). Then each part
 * is held against its grammar, from the outside in. The order of the checks is the one that others
 * use, so that the same inputs are refused.
 */

#include "oci/reference.h"

#include "codec/digest.h"
#include "oci/limits.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN  "index.docker.io"
#define OFFICIAL       "library/"

#define SHOWN 128 /* bytes of a bad name that an error shows */

/* The parts as slices of what was typed. */
struct parts {
    struct nd_str domain;
    bool official; /* "library/" belongs in front of the path */
    struct nd_str path;
    struct nd_str tag;
    struct nd_str digest;
};

static struct nd_error *
refuse(struct nd_str text, const char *why)
{
    return nd_error_new(ND_INVALID, "invalid reference format: \"%.*s\" %s",
                        ND_STR_ARG(nd_str_sub(text, 0, SHOWN)), why);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool
is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool
is_alnum(char c)
{
    return is_digit(c) || is_lower(c) || is_upper(c);
}

static bool
has_upper(struct nd_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_upper(s.ptr[i]))
            return true;
    }
    return false;
}

/* The text before the first slash: is it a domain, or the beginning of a path? */
static bool
looks_like_domain(struct nd_str s)
{
    return nd_str_eqz(s, "localhost") || nd_str_find(s, '.') != SIZE_MAX ||
           nd_str_find(s, ':') != SIZE_MAX || has_upper(s);
}

/* Take the domain off the front, or choose it. */
static struct nd_str
split_domain(struct nd_str text, struct parts *parts)
{
    size_t slash = nd_str_find(text, '/');
    struct nd_str first = nd_str_sub(text, 0, slash);
    struct nd_str rest = text;

    parts->domain = ND_STR(DEFAULT_DOMAIN);
    if (slash != SIZE_MAX && looks_like_domain(first)) {
        rest = nd_str_from(text, slash + 1);
        if (!nd_str_eqz(first, LEGACY_DOMAIN))
            parts->domain = first;
    }
    return rest;
}

/* One label of a name in the DNS. */
static bool
is_label(struct nd_str s)
{
    if (s.len == 0 || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool
is_host(struct nd_str host)
{
    size_t dot;

    if (nd_str_starts(host, ND_STR("["))) {
        for (size_t i = 1; i + 1 < host.len; i++) {
            char c = host.ptr[i];

            if (!is_digit(c) && c != ':' && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
                return false;
        }
        return host.len > 2 && nd_str_ends(host, ND_STR("]"));
    }
    while ((dot = nd_str_find(host, '.')) != SIZE_MAX) {
        if (!is_label(nd_str_sub(host, 0, dot)))
            return false;
        host = nd_str_from(host, dot + 1);
    }
    return is_label(host);
}

static bool
is_domain(struct nd_str domain)
{
    size_t colon = nd_str_rfind(domain, ':');
    struct nd_str port;

    if (colon == SIZE_MAX || nd_str_ends(domain, ND_STR("]")))
        return is_host(domain);
    port = nd_str_from(domain, colon + 1);
    for (size_t i = 0; i < port.len; i++) {
        if (!is_digit(port.ptr[i]))
            return false;
    }
    return port.len > 0 && is_host(nd_str_sub(domain, 0, colon));
}

/*
 * Length of a separator inside a component at the front of `s`: ".", "_", "__" or dashes; 0: none.
 */
static size_t
separator_len(struct nd_str s)
{
    size_t n = 0;

    if (nd_str_starts(s, ND_STR("__")))
        return 2;
    if (nd_str_starts(s, ND_STR(".")) || nd_str_starts(s, ND_STR("_")))
        return 1;
    while (n < s.len && s.ptr[n] == '-')
        n++;
    return n;
}

static bool
is_component(struct nd_str s)
{
    size_t i = 0;

    for (;;) {
        size_t start = i, len;

        while (i < s.len && (is_lower(s.ptr[i]) || is_digit(s.ptr[i])))
            i++;
        if (i == start)
            return false;
        if (i == s.len)
            return true;
        len = separator_len(nd_str_from(s, i));
        if (len == 0)
            return false;
        i += len;
    }
}

static bool
is_path(struct nd_str path)
{
    size_t slash;

    while ((slash = nd_str_find(path, '/')) != SIZE_MAX) {
        if (!is_component(nd_str_sub(path, 0, slash)))
            return false;
        path = nd_str_from(path, slash + 1);
    }
    return is_component(path);
}

static bool
is_tag(struct nd_str tag)
{
    if (tag.len == 0 || tag.len > ND_REFERENCE_MAX_TAG)
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.ptr[i];

        if (!is_alnum(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
            return false;
    }
    return true;
}

static struct nd_error *
check_digest(struct nd_str text, struct nd_str digest)
{
    struct nd_digest parsed;
    struct nd_error *err = nd_digest_parse(digest, &parsed);

    if (err == NULL)
        return NULL;
    nd_error_free(err);
    return refuse(text, "has an unusable digest");
}

/* Take digest and tag off the end. */
static struct nd_error *
split_end(struct nd_str text, struct nd_str rest, struct parts *parts)
{
    size_t at = nd_str_find(rest, '@');
    size_t colon;

    if (at != SIZE_MAX) {
        parts->digest = nd_str_from(rest, at + 1);
        ND_TRY(check_digest(text, parts->digest));
        rest = nd_str_sub(rest, 0, at);
    }
    colon = nd_str_find(rest, ':');
    if (colon != SIZE_MAX) {
        parts->tag = nd_str_from(rest, colon + 1);
        if (!is_tag(parts->tag))
            return refuse(text, "has an unusable tag");
        rest = nd_str_sub(rest, 0, colon);
    } else if (at == SIZE_MAX) {
        parts->tag = ND_STR("latest");
    }
    parts->path = rest;
    return NULL;
}

static bool
is_image_id(struct nd_str text)
{
    return text.len == 64 && nd_str_is_hex(text);
}

static struct nd_error *
split(struct nd_str text, struct parts *parts)
{
    struct nd_str rest;

    if (text.len == 0)
        return nd_error_new(ND_INVALID, "invalid reference format: it is empty");
    if (nd_str_starts(text, ND_STR("ipfs://")) || nd_str_starts(text, ND_STR("ipns://")))
        return refuse(text, "is an address of ipfs, which is not supported");
    if (is_image_id(text))
        return refuse(text, "is an image id, not a name");

    rest = split_domain(text, parts);
    if (has_upper(nd_str_sub(rest, 0, nd_str_find(rest, ':'))))
        return refuse(text, "must be lower case: repository name must be lowercase");
    parts->official =
        nd_str_eqz(parts->domain, DEFAULT_DOMAIN) && nd_str_find(rest, '/') == SIZE_MAX;
    ND_TRY(split_end(text, rest, parts));
    if (!is_domain(parts->domain))
        return refuse(text, "has an unusable host name");
    if (!is_path(parts->path))
        return refuse(text, "has an unusable repository name");
    return NULL;
}

struct nd_error *
nd_reference_parse(struct nd_str text, struct nd_arena *arena, struct nd_reference *ret)
{
    struct parts parts = {0};
    struct nd_reference ref;

    ND_TRY(split(text, &parts));
    if (parts.domain.len + 1 + (parts.official ? strlen(OFFICIAL) : 0) + parts.path.len >
        ND_REFERENCE_MAX_NAME)
        return refuse(text, "is too long: repository name must not be longer than 255 characters");

    ref.domain = nd_arena_str(arena, parts.domain);
    ref.path =
        nd_arena_printf(arena, "%s%.*s", parts.official ? OFFICIAL : "", ND_STR_ARG(parts.path));
    ref.repository = nd_arena_printf(arena, "%s/%s", ref.domain, ref.path);
    ref.tag = nd_arena_str(arena, parts.tag);
    ref.digest = nd_arena_str(arena, parts.digest);
    ref.name = nd_arena_printf(arena, "%s%s%s%s%s", ref.repository, parts.tag.len > 0 ? ":" : "",
                               ref.tag, parts.digest.len > 0 ? "@" : "", ref.digest);
    *ret = ref;
    return NULL;
}

/* What people leave off at the front of a full name: nothing where the rest would begin with what reads
 * as a domain. */
static size_t
implied_len(const struct nd_reference *ref)
{
    struct nd_str repository = nd_str(ref->repository);
    struct nd_str rest;
    size_t slash;

    if (!nd_str_eqz(nd_str(ref->domain), DEFAULT_DOMAIN))
        return 0;
    rest = nd_str_from(repository, strlen(DEFAULT_DOMAIN) + 1);
    slash = nd_str_find(rest, '/');
    if (slash != SIZE_MAX && looks_like_domain(nd_str_sub(rest, 0, slash)))
        return 0;
    if (nd_str_starts(rest, ND_STR(OFFICIAL)) &&
        nd_str_find(nd_str_from(rest, strlen(OFFICIAL)), '/') == SIZE_MAX)
        return strlen(DEFAULT_DOMAIN) + 1 + strlen(OFFICIAL);
    return strlen(DEFAULT_DOMAIN) + 1;
}

const char *
nd_reference_familiar(const struct nd_reference *ref, struct nd_arena *arena)
{
    return nd_arena_strdup(arena, ref->name + implied_len(ref));
}

const char *
nd_reference_familiar_repository(const struct nd_reference *ref)
{
    return ref->repository + implied_len(ref);
}

const char *
nd_reference_registry(const struct nd_reference *ref)
{
    return nd_str_eqz(nd_str(ref->domain), DEFAULT_DOMAIN) ? "registry-1.docker.io" : ref->domain;
}
