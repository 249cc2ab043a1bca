/*
 * Platforms: many spellings become one, and a machine has a list of what it can run.
 *
 *     linux/arm64  runs  arm64, then arm/v8, arm/v7, arm/v6, arm/v5
 *     linux/amd64  runs  amd64, then 386
 *     linux/amd64/v3     amd64/v3, amd64/v2, amd64, then 386
 *
 * The order of that list is the order of preference. Choosing an image means to find each
 * candidate's place in the machine's list.
 */

#include "oci/platform.h"

#include <stdio.h>

#define MAX_LIST 16 /* platforms that one machine runs */

struct list {
    struct nd_platform at[MAX_LIST];
    size_t n;
};

/* clang-format off */
#if defined(__x86_64__)
#    define HOST_ARCH    "amd64"
#    define HOST_VARIANT ""
#elif defined(__aarch64__)
#    define HOST_ARCH    "arm64"
#    define HOST_VARIANT ""
#elif defined(__arm__)
#    define HOST_ARCH    "arm"
#    define HOST_VARIANT "v7"
#elif defined(__i386__)
#    define HOST_ARCH    "386"
#    define HOST_VARIANT ""
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#    define HOST_ARCH    "ppc64le"
#    define HOST_VARIANT ""
#elif defined(__s390x__)
#    define HOST_ARCH    "s390x"
#    define HOST_VARIANT ""
#elif defined(__riscv) && __riscv_xlen == 64
#    define HOST_ARCH    "riscv64"
#    define HOST_VARIANT ""
#else
#    error "no name for this architecture"
#endif
/* clang-format on */

static const char *const known_os[] = {
    "aix",   "android", "darwin",  "dragonfly", "freebsd", "illumos", "ios",     "js",
    "linux", "netbsd",  "openbsd", "plan9",     "solaris", "wasip1",  "windows",
};

static const char *const known_arch[] = {
    "386",      "amd64",  "arm",   "arm64",   "loong64", "mips",  "mips64",
    "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
};

/* Spellings of an architecture, or of one with a variant. NULL in a column: whatever it was. */
static const struct {
    const char *arch, *variant; /* as given */
    const char *new_arch, *new_variant;
} spellings[] = {
    {"i386", NULL, "386", ""},       {"x86_64", NULL, "amd64", NULL},
    {"x86-64", NULL, "amd64", NULL}, {"aarch64", NULL, "arm64", NULL},
    {"armhf", NULL, "arm", "v7"},    {"armel", NULL, "arm", "v6"},
    {"386", NULL, "386", ""},        {"amd64", "v1", "amd64", ""},
    {"arm64", "8", "arm64", ""},     {"arm64", "v8", "arm64", ""},
    {"arm", "", "arm", "v7"},        {"arm", "5", "arm", "v5"},
    {"arm", "6", "arm", "v6"},       {"arm", "7", "arm", "v7"},
    {"arm", "8", "arm", "v8"},
};

/* Older variants that a machine of a variant runs too, in the order of preference. */
static const struct {
    const char *arch, *variant;
    const char *runs[6][2];
} runs_too[] = {
    {"amd64", "", {{"386", ""}}},
    {"amd64", "v2", {{"amd64", ""}, {"386", ""}}},
    {"amd64", "v3", {{"amd64", "v2"}, {"amd64", ""}, {"386", ""}}},
    {"amd64", "v4", {{"amd64", "v3"}, {"amd64", "v2"}, {"amd64", ""}, {"386", ""}}},
    {"arm64", "", {{"arm", "v8"}, {"arm", "v7"}, {"arm", "v6"}, {"arm", "v5"}}},
    {"arm64", "v9", {{"arm64", ""}, {"arm", "v8"}, {"arm", "v7"}, {"arm", "v6"}, {"arm", "v5"}}},
    {"arm", "v8", {{"arm", "v7"}, {"arm", "v6"}, {"arm", "v5"}}},
    {"arm", "v7", {{"arm", "v6"}, {"arm", "v5"}}},
    {"arm", "v6", {{"arm", "v5"}}},
};

static bool
is_among(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

static void
set(char dst[ND_PLATFORM_PART_SIZE], const char *text)
{
    (void)snprintf(dst, ND_PLATFORM_PART_SIZE, "%s", text);
}

/* Copy one part in lower case. */
static struct nd_error *
take_part(struct nd_str part, char dst[ND_PLATFORM_PART_SIZE])
{
    char lower[ND_PLATFORM_PART_SIZE] = "";

    if (part.len >= ND_PLATFORM_PART_SIZE)
        return nd_error_new(ND_INVALID, "\"%.*s...\" is too long for a part of a platform",
                            ND_STR_ARG(nd_str_sub(part, 0, ND_PLATFORM_PART_SIZE)));
    for (size_t i = 0; part.ptr != NULL && i < part.len; i++) {
        char c = part.ptr[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return nd_error_new(ND_INVALID, "\"%.*s\" cannot be a part of a platform",
                                ND_STR_ARG(part));
        lower[i] = c;
    }
    set(dst, lower);
    return NULL;
}

static void
normalise(struct nd_platform *p)
{
    if (strcmp(p->os, "macos") == 0)
        set(p->os, "darwin");
    for (size_t i = 0; i < ND_LEN(spellings); i++) {
        if (strcmp(p->architecture, spellings[i].arch) != 0 ||
            (spellings[i].variant != NULL && strcmp(p->variant, spellings[i].variant) != 0))
            continue;
        set(p->architecture, spellings[i].new_arch);
        if (spellings[i].new_variant != NULL)
            set(p->variant, spellings[i].new_variant);
    }
}

struct nd_error *
nd_platform_make(struct nd_str os, struct nd_str architecture, struct nd_str variant,
                 struct nd_platform *ret)
{
    struct nd_platform p;

    ND_TRY(take_part(os, p.os));
    ND_TRY(take_part(architecture, p.architecture));
    ND_TRY(take_part(variant, p.variant));
    normalise(&p);
    *ret = p;
    return NULL;
}

void
nd_platform_host(struct nd_platform *ret)
{
    set(ret->os, "linux");
    set(ret->architecture, HOST_ARCH);
    set(ret->variant, HOST_VARIANT);
}

/* One part alone: an operating system or an architecture. */
static struct nd_error *
parse_alone(struct nd_str text, struct nd_platform *ret)
{
    struct nd_platform host, os, arch;

    nd_platform_host(&host);
    ND_TRY(nd_platform_make(text, nd_str(host.architecture), nd_str(host.variant), &os));
    ND_TRY(nd_platform_make(nd_str(host.os), text, ND_STR_NONE, &arch));
    if (is_among(os.os, known_os, ND_LEN(known_os)))
        *ret = os;
    else if (is_among(arch.architecture, known_arch, ND_LEN(known_arch)))
        *ret = arch;
    else
        return nd_error_new(ND_INVALID,
                            "\"%.*s\" is neither an operating system nor an architecture",
                            ND_STR_ARG(text));
    return NULL;
}

struct nd_error *
nd_platform_parse(struct nd_str text, struct nd_platform *ret)
{
    struct nd_str parts[3] = {{0}};
    struct nd_str rest = text;
    size_t n = 0;

    while (n < ND_LEN(parts) && nd_str_next(&rest, '/', &parts[n])) {
        if (parts[n].len == 0)
            break;
        n++;
    }
    if (n == 0 || rest.len > 0 || nd_str_ends(text, ND_STR("/")) ||
        (n < ND_LEN(parts) && parts[n].ptr != NULL))
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a platform such as linux/arm64",
                            ND_STR_ARG(nd_str_sub(text, 0, ND_PLATFORM_TEXT_SIZE)));
    if (n == 1)
        return parse_alone(parts[0], ret);
    return nd_platform_make(parts[0], parts[1], parts[2], ret);
}

void
nd_platform_format(const struct nd_platform *platform, char ret[ND_PLATFORM_TEXT_SIZE])
{
    (void)snprintf(ret, ND_PLATFORM_TEXT_SIZE, "%s%s%s%s%s", platform->os,
                   platform->architecture[0] != '\0' ? "/" : "", platform->architecture,
                   platform->variant[0] != '\0' ? "/" : "", platform->variant);
}

bool
nd_platform_eq(const struct nd_platform *a, const struct nd_platform *b)
{
    return strcmp(a->os, b->os) == 0 && strcmp(a->architecture, b->architecture) == 0 &&
           strcmp(a->variant, b->variant) == 0;
}

static void
list_add(struct list *list, const char *os, const char *arch, const char *variant)
{
    struct nd_platform *p = &list->at[list->n++];

    set(p->os, os);
    set(p->architecture, arch);
    set(p->variant, variant);
}

/* What a machine runs, best first. */
static void
list_of(const struct nd_platform *machine, struct list *list)
{
    list->n = 0;
    list_add(list, machine->os, machine->architecture, machine->variant);
    for (size_t i = 0; i < ND_LEN(runs_too); i++) {
        if (strcmp(machine->architecture, runs_too[i].arch) != 0 ||
            strcmp(machine->variant, runs_too[i].variant) != 0)
            continue;
        for (size_t k = 0; k < ND_LEN(runs_too[i].runs) && runs_too[i].runs[k][0] != NULL; k++)
            list_add(list, machine->os, runs_too[i].runs[k][0], runs_too[i].runs[k][1]);
    }
}

/* The place in the machine's list; SIZE_MAX when it does not run. */
static size_t
rank(const struct nd_platform *machine, const struct nd_platform *image)
{
    struct list list;

    list_of(machine, &list);
    for (size_t i = 0; i < list.n; i++) {
        if (nd_platform_eq(&list.at[i], image))
            return i;
    }
    return SIZE_MAX;
}

bool
nd_platform_runs(const struct nd_platform *machine, const struct nd_platform *image)
{
    return rank(machine, image) != SIZE_MAX;
}

bool
nd_platform_better(const struct nd_platform *machine, const struct nd_platform *a,
                   const struct nd_platform *b)
{
    return rank(machine, a) < rank(machine, b);
}
