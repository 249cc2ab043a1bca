/* -v, --mount, --tmpfs, --device, --ulimit: every form, and what is refused. */

#include "remote/container_parts.h"

#include "check.h"

/* "type source>target ro create [options]", or the error's message in angles. */
static const char *
mount_text(struct nd_arena *a, struct nd_error *err, const Pb__Mount *m)
{
    const char *text;

    if (err != NULL) {
        text = nd_arena_printf(a, "<%s>", nd_error_message(err));
        nd_error_free(err);
        return text;
    }
    text = nd_arena_printf(a, "%s %s>%s%s%s", m->type, m->source, m->target,
                           m->read_only ? " ro" : "", m->create_source ? " create" : "");
    for (size_t i = 0; i < m->n_options; i++)
        text = nd_arena_printf(a, "%s [%s]", text, m->options[i]);
    return text;
}

struct mount_case {
    const char *flag, *mount; /* or a part of the message, after '<' */
};

static void
check_mounts(const struct mount_case *cases, size_t n,
             struct nd_error *(*parse)(struct nd_arena *a, struct nd_str text, Pb__Mount **ret))
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    for (size_t i = 0; i < n; i++) {
        Pb__Mount *m = NULL;
        struct nd_error *err = parse(a, nd_str(cases[i].flag), &m);
        const char *text = mount_text(a, err, m);

        if (cases[i].mount[0] == '<')
            assert_true(text[0] == '<' && strstr(text, cases[i].mount + 1) != NULL);
        else
            assert_string_equal(text, cases[i].mount);
    }
}

static void
volumes_have_one_to_three_parts(void **state)
{
    static const struct mount_case cases[] = {
        {"/data", "volume >/data"},
        {"/a:/b", "bind /a>/b create"},
        {"/a:/b:ro", "bind /a>/b ro create"},
        {"/a:/b:rw", "bind /a>/b create"},
        {"/a:/b:", "bind /a>/b create"},
        {"/a:/b:ro,rslave,noexec", "bind /a>/b ro create [rslave] [noexec]"},
        {"/a:/b:z", "bind /a>/b create [z]"},
        {"cache:/b:ro", "volume cache>/b ro"},
        {"c-1_x.y:/b", "volume c-1_x.y>/b"},
        {"", "<not absolute"},
        {"data", "<not absolute"},
        {"/a:b", "<not absolute"},
        {":/b", "<source is empty"},
        {"/a:", "<not absolute"},
        {"./a:/b", "<neither an absolute path nor a volume's name"},
        {"a/b:/c", "<neither an absolute path nor a volume's name"},
        {"..:/c", "<neither an absolute path nor a volume's name"},
        {"~/x:/c", "<neither an absolute path nor a volume's name"},
        {"/a:/b:ro:x", "<too many colons"},
        {":::", "<too many colons"},
    };

    (void)state;
    check_mounts(cases, ND_LEN(cases), nd_volume_parse);
}

static void
mounts_are_key_value_lists(void **state)
{
    static const struct mount_case cases[] = {
        {"type=bind,source=/a,target=/b", "bind /a>/b"},
        {"type=bind,src=/a,dst=/b,readonly", "bind /a>/b ro"},
        {"type=bind,src=/a,destination=/b,ro=false", "bind /a>/b"},
        {"type=bind,src=/a,dst=/b,readonly=1", "bind /a>/b ro"},
        {"src=cache,dst=/b", "volume cache>/b"},
        {"type=volume,dst=/b", "volume >/b"},
        {"type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777",
         "tmpfs >/t [size=67108864] [mode=1777]"},
        {"TYPE=bind,Source=/a,target=/b", "bind /a>/b"},
        {"type=bind,src=/a,dst=/b,bind-propagation=rshared,bind-nonrecursive",
         "bind /a>/b [rshared] [bind]"},
        {"\"type=bind\",\"src=/a,b\",dst=/c", "bind /a,b>/c"},
        {"type=bind,src=/a,dst=/b,consistency=cached", "bind /a>/b"},
        {"", "<unexpected key ''"},
        {"type", "<must be a key=value pair"},
        {"type=bind,src=/a", "<target is required"},
        {"type=bind,dst=/b", "<must be an absolute path"},
        {"type=bind,src=a,dst=/b", "<must be an absolute path"},
        {"type=npipe,src=/a,dst=/b", "<type must be bind, volume or tmpfs"},
        {"type=,dst=/b", "<type must be bind"},
        {"type=bind,src=/a,dst=/b,color=red", "<unexpected key 'color' in 'color=red'"},
        {"type=bind,src=/a,dst=/b,ro=maybe", "<invalid value for ro"},
        {"type=tmpfs,dst=/t,tmpfs-size=big", "<invalid value for tmpfs-size"},
        {"type=tmpfs,dst=/t,tmpfs-mode=9", "<invalid value for tmpfs-mode"},
        {"type=tmpfs,dst=/t,tmpfs-mode=77777", "<invalid value for tmpfs-mode"},
        {"a\"b", "<bare"},
    };

    (void)state;
    check_mounts(cases, ND_LEN(cases), nd_mount_parse);
}

static void
tmpfs_is_a_path_and_options(void **state)
{
    static const struct mount_case cases[] = {
        {"/run", "tmpfs >/run"},
        {"/run:size=64m,mode=1777,ro", "tmpfs >/run ro [size=64m] [mode=1777]"},
        {"/run:", "tmpfs >/run"},
        {"run", "<not absolute"},
        {"", "<not absolute"},
    };

    (void)state;
    check_mounts(cases, ND_LEN(cases), nd_tmpfs_parse);
}

static void
devices_have_paths_and_permissions(void **state)
{
    static const struct {
        const char *flag;
        enum nd_code code;
        const char *host, *container, *permissions;
    } cases[] = {
        {"/dev/fuse", ND_OK, "/dev/fuse", "", ""},
        {"/dev/a:/dev/b", ND_OK, "/dev/a", "/dev/b", ""},
        {"/dev/a:rw", ND_OK, "/dev/a", "", "rw"},
        {"/dev/a:/dev/b:m", ND_OK, "/dev/a", "/dev/b", "m"},
        {"vendor.com/gpu=0", ND_UNIMPLEMENTED, NULL, NULL, NULL},
        {"dev", ND_INVALID, NULL, NULL, NULL},
        {"", ND_INVALID, NULL, NULL, NULL},
        {"/dev/a:", ND_INVALID, NULL, NULL, NULL},
        {"/dev/a:rr", ND_INVALID, NULL, NULL, NULL},
        {"/dev/a:/dev/b:x", ND_INVALID, NULL, NULL, NULL},
        {"/dev/a:/dev/b:", ND_INVALID, NULL, NULL, NULL},
        {"/dev/a:/dev/b:r:w", ND_INVALID, NULL, NULL, NULL},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        Pb__Device *d;

        check_row(i, cases[i].flag, nd_device_parse(a, nd_str(cases[i].flag), &d), cases[i].code);
        if (cases[i].code != ND_OK)
            continue;
        assert_string_equal(d->host_path, cases[i].host);
        assert_string_equal(d->container_path, cases[i].container);
        assert_string_equal(d->permissions, cases[i].permissions);
    }
}

static void
ulimits_have_a_soft_and_a_hard_side(void **state)
{
    static const struct {
        const char *flag;
        enum nd_code code;
        int64_t soft, hard;
    } cases[] = {
        {"nofile=1024", ND_OK, 1024, 1024},
        {"nofile=1024:2048", ND_OK, 1024, 2048},
        {"core=-1", ND_OK, -1, -1},
        {"core=0:-1", ND_OK, 0, -1},
        {"nofile=2048:1024", ND_INVALID, 0, 0},
        {"nofile=-1:1024", ND_INVALID, 0, 0},
        {"nofile", ND_INVALID, 0, 0},
        {"=1", ND_INVALID, 0, 0},
        {"nofile=", ND_INVALID, 0, 0},
        {"nofile=x", ND_INVALID, 0, 0},
        {"nofile=-2", ND_INVALID, 0, 0},
        {"nofile=1:2:3", ND_INVALID, 0, 0},
        {"nofile=1:", ND_INVALID, 0, 0},
        {"nofile=9223372036854775808", ND_INVALID, 0, 0},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        Pb__Ulimit *u;

        check_row(i, cases[i].flag, nd_ulimit_parse(a, nd_str(cases[i].flag), &u), cases[i].code);
        if (cases[i].code != ND_OK)
            continue;
        assert_int_equal(u->soft, cases[i].soft);
        assert_int_equal(u->hard, cases[i].hard);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_have_one_to_three_parts),
        cmocka_unit_test(mounts_are_key_value_lists),
        cmocka_unit_test(tmpfs_is_a_path_and_options),
        cmocka_unit_test(devices_have_paths_and_permissions),
        cmocka_unit_test(ulimits_have_a_soft_and_a_hard_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
