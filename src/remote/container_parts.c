/*
 * -v, --mount, --tmpfs, --device, --ulimit.
 *
 * What is checked here is the syntax; whether a path exists and what an option does is known to the
 * daemon, whose host it is. One thing differs from a local CLI on purpose: a relative source has no
 * meaning, because our folder is not the daemon's, and is refused instead of guessed.
 */

#include "remote/container_parts.h"

#include "remote/units.h"

#define MAX_PIECES 4u

static Pb__Mount *
new_mount(struct nd_arena *arena)
{
    Pb__Mount *mount = nd_arena_new_object(arena, Pb__Mount);

    pb__mount__init(mount);
    return mount;
}

/* Cut at `separator` into at most `max` pieces; more give false. */
static bool
split(struct nd_str text, char separator, struct nd_str *pieces, size_t max, size_t *ret)
{
    size_t n = 0;

    for (;;) {
        size_t at = nd_str_find(text, separator);

        if (n == max)
            return false;
        pieces[n++] = nd_str_sub(text, 0, at);
        if (at == SIZE_MAX)
            break;
        text = nd_str_from(text, at + 1);
    }
    *ret = n;
    return true;
}

static bool
is_absolute(struct nd_str path)
{
    return path.len > 0 && path.ptr[0] == '/';
}

static void
add_option(struct nd_arena *arena, Pb__Mount *mount, struct nd_str option)
{
    char **options = nd_arena_new_array(arena, mount->n_options + 1, char *);

    if (mount->n_options > 0)
        memcpy(options, mount->options, mount->n_options * sizeof(*options));
    options[mount->n_options++] = nd_arena_str(arena, option);
    mount->options = options;
}

/* Comma-separated; "ro" and "rw" are a field of their own. */
static void
add_options(struct nd_arena *arena, Pb__Mount *mount, struct nd_str options)
{
    struct nd_str option;

    while (nd_str_next(&options, ',', &option)) {
        if (nd_str_eqz(option, "ro") || nd_str_eqz(option, "readonly"))
            mount->read_only = true;
        else if (option.len > 0 && !nd_str_eqz(option, "rw"))
            add_option(arena, mount, option);
    }
}

static struct nd_error *
set_source(struct nd_arena *arena, Pb__Mount *mount, struct nd_str source, struct nd_str text)
{
    bool looks_like_path =
        nd_str_find(source, '/') != SIZE_MAX || nd_str_eqz(source, ".") || nd_str_eqz(source, "..");

    if (!is_absolute(source) && (looks_like_path || nd_str_starts(source, ND_STR("~"))))
        return nd_error_hint(
            nd_error_new(ND_INVALID,
                         "invalid volume \"%.*s\": the source is neither an absolute path nor a "
                         "volume's name",
                         ND_STR_ARG(text)),
            "paths are those of the host that the daemon runs on, not of this machine");
    mount->type = (char *)(is_absolute(source) ? "bind" : "volume");
    mount->source = nd_arena_str(arena, source);
    mount->create_source = is_absolute(source);
    return NULL;
}

struct nd_error *
nd_volume_parse(struct nd_arena *arena, struct nd_str text, Pb__Mount **ret)
{
    struct nd_str pieces[MAX_PIECES - 1], target;
    Pb__Mount *mount = new_mount(arena);
    size_t n;

    if (!split(text, ':', pieces, ND_LEN(pieces), &n))
        return nd_error_new(ND_INVALID, "invalid volume \"%.*s\": too many colons",
                            ND_STR_ARG(text));
    target = n == 1 ? pieces[0] : pieces[1];
    if (!is_absolute(target))
        return nd_error_new(ND_INVALID,
                            "invalid volume \"%.*s\": the path in the container is not absolute",
                            ND_STR_ARG(text));
    mount->target = nd_arena_str(arena, target);
    mount->type = (char *)"volume";
    if (n > 1 && pieces[0].len == 0)
        return nd_error_new(ND_INVALID, "invalid volume \"%.*s\": the source is empty",
                            ND_STR_ARG(text));
    if (n > 1)
        ND_TRY(set_source(arena, mount, pieces[0], text));
    if (n > 2)
        add_options(arena, mount, pieces[2]);
    *ret = mount;
    return NULL;
}

struct mount_part {
    struct nd_str key, value;
    bool has_value;
};

typedef struct nd_error *set_part_fn(struct nd_arena *arena, Pb__Mount *mount,
                                     const struct mount_part *part);

static struct nd_error *
set_type(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    mount->type = nd_arena_str(arena, part->value);
    return NULL;
}

static struct nd_error *
set_mount_source(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    mount->source = nd_arena_str(arena, part->value);
    return NULL;
}

static struct nd_error *
set_target(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    mount->target = nd_arena_str(arena, part->value);
    return NULL;
}

static struct nd_error *
set_read_only(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    bool value = true;

    (void)arena;
    if (part->has_value)
        ND_TRY(nd_parse_bool(part->value, &value));
    mount->read_only = value;
    return NULL;
}

static struct nd_error *
set_option(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    add_option(arena, mount, part->value);
    return NULL;
}

static struct nd_error *
set_non_recursive(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    bool value = true;

    if (part->has_value)
        ND_TRY(nd_parse_bool(part->value, &value));
    if (value)
        add_option(arena, mount, ND_STR("bind"));
    return NULL;
}

static struct nd_error *
set_tmpfs_size(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    int64_t bytes;

    ND_TRY(nd_size_parse(part->value, &bytes));
    add_option(arena, mount, nd_str(nd_arena_printf(arena, "size=%lld", (long long)bytes)));
    return NULL;
}

static struct nd_error *
set_tmpfs_mode(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    uint64_t mode;

    ND_TRY(nd_parse_octal(part->value, 07777, &mode));
    add_option(arena, mount, nd_str(nd_arena_printf(arena, "mode=%llo", (unsigned long long)mode)));
    return NULL;
}

static struct nd_error *
ignore_part(struct nd_arena *arena, Pb__Mount *mount, const struct mount_part *part)
{
    (void)arena;
    (void)mount;
    (void)part;
    return NULL;
}

/* clang-format off */
static const struct {
    const char *key;
    bool needs_value;
    set_part_fn *set;
} mount_keys[] = {
    {"type",              true,  set_type},
    {"source",            true,  set_mount_source},
    {"src",               true,  set_mount_source},
    {"target",            true,  set_target},
    {"dst",               true,  set_target},
    {"destination",       true,  set_target},
    {"readonly",          false, set_read_only},
    {"ro",                false, set_read_only},
    {"bind-propagation",  true,  set_option},
    {"bind-nonrecursive", false, set_non_recursive},
    {"tmpfs-size",        true,  set_tmpfs_size},
    {"tmpfs-mode",        true,  set_tmpfs_mode},
    {"consistency",       true,  ignore_part}, /* of Docker Desktop; nothing to do on Linux */
};
/* clang-format on */

static struct nd_error *
set_mount_part(struct nd_arena *arena, Pb__Mount *mount, struct nd_str text)
{
    size_t equals = nd_str_find(text, '=');
    struct mount_part part = {
        .key = nd_str_sub(text, 0, equals),
        .value = equals == SIZE_MAX ? ND_STR_NONE : nd_str_from(text, equals + 1),
        .has_value = equals != SIZE_MAX,
    };

    for (size_t i = 0; i < ND_LEN(mount_keys); i++) {
        if (!nd_str_eq_nocase(part.key, nd_str(mount_keys[i].key)))
            continue;
        if (mount_keys[i].needs_value && !part.has_value)
            return nd_error_new(ND_INVALID, "invalid field '%.*s' must be a key=value pair",
                                ND_STR_ARG(text));
        ND_TRY_DOING(mount_keys[i].set(arena, mount, &part), "invalid value for %s",
                     mount_keys[i].key);
        return NULL;
    }
    return nd_error_new(ND_INVALID, "unexpected key '%.*s' in '%.*s'", ND_STR_ARG(part.key),
                        ND_STR_ARG(text));
}

static struct nd_error *
check_mount(const Pb__Mount *mount)
{
    static const char *const types[] = {"bind", "volume", "tmpfs"};
    bool known = false;

    for (size_t i = 0; i < ND_LEN(types); i++)
        known = known || strcmp(mount->type, types[i]) == 0;
    if (!known)
        return nd_error_new(ND_INVALID, "type must be bind, volume or tmpfs, not \"%s\"",
                            mount->type);
    if (mount->target[0] == '\0')
        return nd_error_new(ND_INVALID, "target is required");
    if (strcmp(mount->type, "bind") == 0 && mount->source[0] != '/')
        return nd_error_hint(
            nd_error_new(ND_INVALID, "the source of a bind mount must be an absolute path"),
            "paths are those of the host that the daemon runs on, not of this machine");
    return NULL;
}

struct nd_error *
nd_mount_parse(struct nd_arena *arena, struct nd_str text, Pb__Mount **ret)
{
    struct nd_texts parts = {.n = 0};
    Pb__Mount *mount = new_mount(arena);

    mount->type = (char *)"volume";
    ND_TRY_DOING(nd_csv_parse(arena, text, &parts), "invalid mount \"%.*s\"", ND_STR_ARG(text));
    for (size_t i = 0; i < parts.n; i++)
        ND_TRY_DOING(set_mount_part(arena, mount, parts.items[i]), "invalid mount \"%.*s\"",
                     ND_STR_ARG(text));
    ND_TRY_DOING(check_mount(mount), "invalid mount \"%.*s\"", ND_STR_ARG(text));
    *ret = mount;
    return NULL;
}

struct nd_error *
nd_tmpfs_parse(struct nd_arena *arena, struct nd_str text, Pb__Mount **ret)
{
    Pb__Mount *mount = new_mount(arena);
    size_t colon = nd_str_find(text, ':');
    struct nd_str target = nd_str_sub(text, 0, colon);

    if (!is_absolute(target))
        return nd_error_new(ND_INVALID, "invalid tmpfs \"%.*s\": the path is not absolute",
                            ND_STR_ARG(text));
    mount->type = (char *)"tmpfs";
    mount->target = nd_arena_str(arena, target);
    if (colon != SIZE_MAX)
        add_options(arena, mount, nd_str_from(text, colon + 1));
    *ret = mount;
    return NULL;
}

/* One to three different letters of "rwm". */
static bool
are_permissions(struct nd_str text)
{
    static const char letters[] = "rwm";
    unsigned seen = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *letter = memchr(letters, text.ptr[i], sizeof(letters) - 1);
        unsigned bit = letter != NULL ? 1u << (letter - letters) : 0;

        if (bit == 0 || (seen & bit) != 0)
            return false;
        seen |= bit;
    }
    return text.len > 0;
}

struct nd_error *
nd_device_parse(struct nd_arena *arena, struct nd_str text, Pb__Device **ret)
{
    Pb__Device *device = nd_arena_new_object(arena, Pb__Device);
    struct nd_str pieces[3];
    size_t n;

    pb__device__init(device);
    if (!is_absolute(text) && nd_str_find(text, '=') != SIZE_MAX)
        return nd_error_new(ND_UNIMPLEMENTED,
                            "device \"%.*s\": CDI devices are not supported by this version of the "
                            "daemon's API yet",
                            ND_STR_ARG(text));
    if (!split(text, ':', pieces, ND_LEN(pieces), &n) || !is_absolute(pieces[0]))
        return nd_error_new(ND_INVALID, "invalid device specification: %.*s", ND_STR_ARG(text));
    device->host_path = nd_arena_str(arena, pieces[0]);
    if (n == 2 && are_permissions(pieces[1])) {
        device->permissions = nd_arena_str(arena, pieces[1]);
    } else if (n > 1) {
        if (!is_absolute(pieces[1]))
            return nd_error_new(ND_INVALID, "invalid device specification: %.*s", ND_STR_ARG(text));
        device->container_path = nd_arena_str(arena, pieces[1]);
    }
    if (n == 3) {
        if (!are_permissions(pieces[2]))
            return nd_error_new(ND_INVALID, "invalid device mode: %.*s", ND_STR_ARG(pieces[2]));
        device->permissions = nd_arena_str(arena, pieces[2]);
    }
    *ret = device;
    return NULL;
}

struct nd_error *
nd_ulimit_parse(struct nd_arena *arena, struct nd_str text, Pb__Ulimit **ret)
{
    Pb__Ulimit *ulimit = nd_arena_new_object(arena, Pb__Ulimit);
    size_t equals = nd_str_find(text, '=');
    struct nd_str pieces[2];
    size_t n;

    pb__ulimit__init(ulimit);
    if (equals == SIZE_MAX || equals == 0 ||
        !split(nd_str_from(text, equals + 1), ':', pieces, ND_LEN(pieces), &n))
        return nd_error_new(ND_INVALID, "invalid ulimit argument: %.*s", ND_STR_ARG(text));
    ulimit->name = nd_arena_str(arena, nd_str_sub(text, 0, equals));
    ND_TRY_DOING(nd_parse_i64(pieces[0], -1, INT64_MAX, &ulimit->soft),
                 "invalid ulimit argument: %.*s", ND_STR_ARG(text));
    ulimit->hard = ulimit->soft;
    if (n == 2)
        ND_TRY_DOING(nd_parse_i64(pieces[1], -1, INT64_MAX, &ulimit->hard),
                     "invalid ulimit argument: %.*s", ND_STR_ARG(text));
    if (ulimit->hard != -1 && (ulimit->soft == -1 || ulimit->soft > ulimit->hard))
        return nd_error_new(ND_INVALID,
                            "ulimit soft limit must be less than or equal to hard limit: %.*s",
                            ND_STR_ARG(text));
    *ret = ulimit;
    return NULL;
}
