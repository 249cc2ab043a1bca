/* A file of an image from its layers, as an overlay would show it. Needs root, for whiteouts. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"

#include "check.h"
#include "layers_priv.h"

/* Three layers, the uppermost first. */
struct layers {
    char dir[32];
    char path[3][48];
    const char *list[3];
};

static void
begin(struct layers *l)
{
    memcpy(l->dir, "/tmp/nd-layers-XXXXXX", 22);
    assert_non_null(mkdtemp(l->dir));
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(l->path[i], sizeof(l->path[i]), "%s/%zu", l->dir, i);
        assert_int_equal(mkdir(l->path[i], 0755), 0);
        l->list[i] = l->path[i];
    }
}

static void
end(struct layers *l)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", l->dir, NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

static const char *
at(const struct layers *l, size_t layer, const char *path)
{
    static char whole[2][256];
    static unsigned turn;
    char *text = whole[turn++ % 2];

    (void)snprintf(text, sizeof(whole[0]), "%s/%s", l->path[layer], path);
    return text;
}

static void
put_dir(const struct layers *l, size_t layer, const char *path)
{
    assert_true(mkdir(at(l, layer, path), 0755) == 0 || errno == EEXIST);
}

static void
put_file(const struct layers *l, size_t layer, const char *path, const char *text)
{
    int fd = open(at(l, layer, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
put_link(const struct layers *l, size_t layer, const char *path, const char *target)
{
    assert_int_equal(symlink(target, at(l, layer, path)), 0);
}

static void
put_whiteout(const struct layers *l, size_t layer, const char *path)
{
    if (mknod(at(l, layer, path), S_IFCHR | 0600, makedev(0, 0)) < 0)
        skip();
}

static void
expect(const struct layers *l, const char *path, int errnum, const char *text)
{
    char *got = NULL;
    size_t len = 0;
    int result = nd_layers_read(l->list, 3, path, 4096, &got, &len);

    if (result != errnum)
        print_error("%s: errno %d, not %d\n", path, result, errnum);
    assert_int_equal(result, errnum);
    if (errnum == 0) {
        assert_string_equal(got, text);
        assert_int_equal(len, strlen(text));
    }
    nd_free(got);
}

static void
uppermost_file_counts(void **state)
{
    struct layers l;

    (void)state;
    begin(&l);
    put_dir(&l, 2, "etc");
    put_file(&l, 2, "etc/passwd", "bottom");
    expect(&l, "etc/passwd", 0, "bottom");
    put_dir(&l, 1, "etc");
    expect(&l, "etc/passwd", 0, "bottom");
    put_file(&l, 1, "etc/passwd", "middle");
    expect(&l, "etc/passwd", 0, "middle");
    expect(&l, "/etc//./passwd", 0, "middle");
    expect(&l, "etc/group", ENOENT, NULL);
    expect(&l, "etc", EISDIR, NULL);
    expect(&l, "", EISDIR, NULL);
    expect(&l, "etc/passwd/x", ENOTDIR, NULL);
    end(&l);
}

static void
whiteouts_and_opaque_folders_hide_what_is_below(void **state)
{
    struct layers l;

    (void)state;
    begin(&l);
    put_dir(&l, 2, "etc");
    put_file(&l, 2, "etc/passwd", "bottom");
    put_file(&l, 2, "etc/group", "bottom");
    put_dir(&l, 0, "etc");
    put_whiteout(&l, 0, "etc/passwd");
    expect(&l, "etc/passwd", ENOENT, NULL);
    expect(&l, "etc/group", 0, "bottom");
    put_whiteout(&l, 1, "etc"); /* between: what is below is another folder's past */
    expect(&l, "etc/group", ENOENT, NULL);
    end(&l);

    begin(&l);
    put_dir(&l, 2, "etc");
    put_file(&l, 2, "etc/group", "bottom");
    put_dir(&l, 1, "etc");
    put_file(&l, 1, "etc/passwd", "middle");
    if (setxattr(at(&l, 1, "etc"), "trusted.overlay.opaque", "y", 1, 0) == 0) {
        expect(&l, "etc/passwd", 0, "middle");
        expect(&l, "etc/group", ENOENT, NULL);
    }
    end(&l);
}

static void
a_file_hides_a_folder_below(void **state)
{
    struct layers l;

    (void)state;
    begin(&l);
    put_dir(&l, 2, "etc");
    put_file(&l, 2, "etc/passwd", "bottom");
    put_file(&l, 1, "etc", "no folder");
    expect(&l, "etc/passwd", ENOTDIR, NULL);
    put_dir(&l, 0, "etc");
    expect(&l, "etc/passwd", ENOENT, NULL);
    end(&l);
}

static void
links_are_followed_across_layers(void **state)
{
    struct layers l;

    (void)state;
    begin(&l);
    put_dir(&l, 0, "etc");
    put_link(&l, 0, "etc/passwd", "../real/names");
    put_link(&l, 0, "etc/group", "/real/names");
    put_link(&l, 1, "other", "etc");
    put_dir(&l, 2, "real");
    put_file(&l, 2, "real/names", "far away");
    expect(&l, "etc/passwd", 0, "far away");
    expect(&l, "etc/group", 0, "far away");
    expect(&l, "other/passwd", 0, "far away");
    expect(&l, "other/../etc/passwd", 0, "far away");
    end(&l);
}

/* A link to the host's own files, by any spelling, ends in the image's root. */
static void
links_never_leave_the_image(void **state)
{
    static const char *const targets[] = {
        "/etc/hostname",
        "../../../../../../../../etc/hostname",
        "/../../../../etc/hostname",
        "/proc/self/root/etc/hostname",
        "/proc/1/cwd/etc/hostname",
    };
    struct layers l;

    (void)state;
    for (size_t i = 0; i < ND_LEN(targets); i++) {
        begin(&l);
        put_dir(&l, 0, "etc");
        put_link(&l, 0, "etc/passwd", targets[i]);
        expect(&l, "etc/passwd", ENOENT, NULL);
        put_file(&l, 0, "etc/hostname", "of the image");
        expect(&l, "etc/passwd", i < 3 ? 0 : ENOENT, "of the image");
        end(&l);
    }
}

static void
loops_and_odd_files_are_refused(void **state)
{
    struct layers l;

    (void)state;
    begin(&l);
    put_dir(&l, 0, "etc");
    put_link(&l, 0, "etc/passwd", "group");
    put_link(&l, 0, "etc/group", "passwd");
    put_link(&l, 0, "etc/self", "self/x");
    expect(&l, "etc/passwd", ELOOP, NULL);
    expect(&l, "etc/self", ELOOP, NULL);
    assert_int_equal(mkfifo(at(&l, 0, "etc/fifo"), 0600), 0);
    expect(&l, "etc/fifo", ENOTSUP, NULL); /* and is not waited for */
    end(&l);
}

static void
size_has_a_limit(void **state)
{
    char text[4098];
    struct layers l;

    (void)state;
    begin(&l);
    memset(text, 'x', sizeof(text));
    text[4096] = '\0';
    put_file(&l, 0, "full", text);
    expect(&l, "full", 0, text);
    text[4096] = 'x';
    text[4097] = '\0';
    put_file(&l, 0, "over", text);
    expect(&l, "over", EFBIG, NULL);
    end(&l);
}

static void
a_missing_layer_is_an_error(void **state)
{
    const char *const list[] = {"/no/such/layer"};
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(nd_layers_read(list, 1, "etc/passwd", 100, &text, &len), ENOENT);
    assert_int_equal(nd_layers_read(NULL, 0, "etc/passwd", 100, &text, &len), ENOENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uppermost_file_counts),
        cmocka_unit_test(whiteouts_and_opaque_folders_hide_what_is_below),
        cmocka_unit_test(a_file_hides_a_folder_below),
        cmocka_unit_test(links_are_followed_across_layers),
        cmocka_unit_test(links_never_leave_the_image),
        cmocka_unit_test(loops_and_odd_files_are_refused),
        cmocka_unit_test(size_has_a_limit),
        cmocka_unit_test(a_missing_layer_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
