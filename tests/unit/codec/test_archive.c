/* Archives of strangers: kinds of entries, compressions, and every way to be refused. */

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include "base/alloc.h"
#include "codec/archive.h"
#include "codec/limits.h"

#include "check.h"

/* The bytes of an archive, given out in pieces of `step` bytes. */
struct feed {
    struct nd_buf bytes;
    size_t at;
    size_t step;
    size_t fail_at; /* the source fails there, 0: never */
};

static struct nd_error *
give(void *arg, struct nd_str *ret_bytes)
{
    struct feed *feed = arg;

    if (feed->fail_at > 0 && feed->at >= feed->fail_at)
        return nd_error_new(ND_UNAVAILABLE, "the client went away");
    *ret_bytes = nd_str_sub(nd_buf_str(&feed->bytes), feed->at, feed->step);
    feed->at += ret_bytes->len;
    return NULL;
}

static struct feed
new_feed(void)
{
    return (struct feed){.bytes = ND_BUF_INIT(64 << 20), .step = 1000};
}

static void
feed_fini(struct feed *feed)
{
    nd_buf_fini(&feed->bytes);
}

/* Put a header into the archive, exactly as told. `name` may be anything of up to 100 bytes. */
static void
put_header(struct feed *feed, struct nd_str name, char type, const char *link, uint64_t size)
{
    static const char magic[8] = {'u', 's', 't', 'a', 'r', '\0', '0', '0'};
    unsigned char block[512] = {0};
    unsigned sum = 0;

    memcpy(block, name.ptr, ND_MIN(name.len, (size_t)100));
    (void)snprintf((char *)block + 100, 8, "%07o", 0644);
    (void)snprintf((char *)block + 108, 8, "%07o", 1000);
    (void)snprintf((char *)block + 116, 8, "%07o", 1001);
    (void)snprintf((char *)block + 124, 12, "%011llo", (unsigned long long)size);
    (void)snprintf((char *)block + 136, 12, "%011o", 1234567890);
    memset(block + 148, ' ', 8);
    block[156] = (unsigned char)type;
    (void)snprintf((char *)block + 157, 100, "%s", link != NULL ? link : "");
    memcpy(block + 257, magic, sizeof(magic));
    for (size_t i = 0; i < sizeof(block); i++)
        sum += block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", sum);
    nd_buf_put(&feed->bytes, nd_str_n(block, sizeof(block)));
}

static void
put_content(struct feed *feed, struct nd_str content)
{
    static const char zeros[512];

    nd_buf_put(&feed->bytes, content);
    nd_buf_put(&feed->bytes, nd_str_n(zeros, (512 - content.len % 512) % 512));
}

static void
put_file(struct feed *feed, const char *name, const char *content)
{
    put_header(feed, nd_str(name), '0', NULL, strlen(content));
    put_content(feed, nd_str(content));
}

static void
put_end(struct feed *feed)
{
    static const char zeros[1024];

    nd_buf_put(&feed->bytes, nd_str_n(zeros, sizeof(zeros)));
}

static struct nd_archive *
open_feed(struct feed *feed, const struct nd_archive_limits *limits)
{
    struct nd_archive *a = NULL;

    check_ok(nd_archive_open(give, feed, limits, &a));
    return a;
}

static const struct nd_archive_entry *
next(struct nd_archive *a)
{
    const struct nd_archive_entry *entry = NULL;

    check_ok(nd_archive_next(a, &entry));
    return entry;
}

static void
check_content(struct nd_archive *a, const char *want)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);

    check_ok(nd_archive_read_all(a, &buf));
    assert_true(nd_str_eqz(nd_buf_str(&buf), want));
}

static void
entries_are_read_with_their_attributes(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();
    ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
    const struct nd_archive_entry *e;

    (void)state;
    put_header(&feed, ND_STR("./"), '5', NULL, 0);
    put_header(&feed, ND_STR("./dir//sub/"), '5', NULL, 0);
    put_file(&feed, "./dir/index.json", "{}");
    put_header(&feed, ND_STR("link"), '2', "../../etc/passwd", 0);
    put_header(&feed, ND_STR("hard"), '1', "./dir/index.json", 0);
    put_header(&feed, ND_STR("fifo"), '6', NULL, 0);
    put_file(&feed, "skipped", "nobody reads this");
    put_file(&feed, "last", "end");
    put_end(&feed);
    a = open_feed(&feed, NULL);

    e = next(a);
    assert_int_equal(e->type, ND_ARCHIVE_DIR);
    assert_string_equal(e->name, ".");
    assert_string_equal(next(a)->name, "dir/sub");
    e = next(a);
    assert_string_equal(e->name, "dir/index.json");
    assert_int_equal(e->type, ND_ARCHIVE_FILE);
    assert_int_equal(e->size, 2);
    assert_int_equal(e->mode, 0644);
    assert_int_equal(e->uid, 1000);
    assert_int_equal(e->gid, 1001);
    assert_int_equal(e->mtime.sec, 1234567890);
    check_content(a, "{}");
    check_content(a, "");
    e = next(a);
    assert_int_equal(e->type, ND_ARCHIVE_SYMLINK);
    assert_string_equal(e->link, "../../etc/passwd"); /* as it is: whoever follows it must care */
    e = next(a);
    assert_int_equal(e->type, ND_ARCHIVE_HARDLINK);
    assert_string_equal(e->link, "dir/index.json");
    assert_int_equal(e->size, 0);
    assert_int_equal(next(a)->type, ND_ARCHIVE_FIFO);
    assert_string_equal(next(a)->name, "skipped");
    assert_string_equal(next(a)->name, "last");
    check_content(a, "end");
    assert_null(next(a));
    assert_null(next(a));
}

/* One file, written by libarchive with a filter. */
static void
write_compressed(struct feed *feed, int (*filter)(struct archive *), const char *name,
                 const void *content, size_t len)
{
    ND_AUTO(nd_freep) char *memory = nd_new_array(len + (1 << 20), char);
    struct archive *w = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before;
    size_t used = 0;

    before = uselocale(utf8); /* the writer needs it; the reader must not */
    archive_write_set_format_pax(w);
    filter(w);
    assert_int_equal(archive_write_open_memory(w, memory, len + (1 << 20), &used), ARCHIVE_OK);
    archive_entry_set_pathname_utf8(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 04755);
    archive_entry_set_size(e, (la_int64_t)len);
    archive_entry_set_mtime(e, 5, 123456789);
    archive_entry_xattr_add_entry(e, "user.a", "v\0w", 3);
    assert_int_equal(archive_write_header(w, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(w, content, len), len);
    archive_entry_free(e);
    assert_int_equal(archive_write_close(w), ARCHIVE_OK);
    archive_write_free(w);
    uselocale(before);
    freelocale(utf8);
    nd_buf_put(&feed->bytes, nd_str_n(memory, used));
}

static void
plain_gzip_and_zstd_are_read(void **state)
{
    static int (*const filters[])(struct archive *) = {
        archive_write_add_filter_none,
        archive_write_add_filter_gzip,
        archive_write_add_filter_zstd,
    };
    static const size_t steps[] = {1, 7, 1000000};

    (void)state;
    for (size_t i = 0; i < ND_LEN(filters) * ND_LEN(steps); i++) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();
        ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
        const struct nd_archive_entry *e;

        feed.step = steps[i / ND_LEN(filters)];
        write_compressed(&feed, filters[i % ND_LEN(filters)], "etc/\xc3\xa4", "hello", 5);
        a = open_feed(&feed, NULL);
        e = next(a);
        assert_string_equal(e->name, "etc/\xc3\xa4");
        assert_int_equal(e->mode, 04755);
        assert_int_equal(e->mtime.nsec, 123456789);
        assert_int_equal(e->n_xattrs, 1);
        assert_string_equal(e->xattrs[0].name, "user.a");
        assert_true(nd_str_eq(e->xattrs[0].value, nd_str_n("v\0w", 3)));
        check_content(a, "hello");
        assert_null(next(a));
    }
}

static void
other_compressions_are_refused(void **state)
{
    static int (*const filters[])(struct archive *) = {
        archive_write_add_filter_xz,
        archive_write_add_filter_bzip2,
        archive_write_add_filter_lz4,
        archive_write_add_filter_compress,
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(filters); i++) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();
        ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
        const struct nd_archive_entry *e;

        write_compressed(&feed, filters[i], "a", "hello", 5);
        err = nd_archive_open(give, &feed, NULL, &a);
        if (err == NULL)
            err = nd_archive_next(a, &e);
        assert_int_equal(nd_error_code(err), ND_INVALID);
    }
}

/* The first error while everything is read. */
static struct nd_error *
read_through(struct feed *feed, const struct nd_archive_limits *limits)
{
    ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
    const struct nd_archive_entry *e;

    ND_TRY(nd_archive_open(give, feed, limits, &a));
    do {
        ND_TRY(nd_archive_next(a, &e));
    } while (e != NULL);
    return NULL;
}

static void
names_that_lead_out_are_refused(void **state)
{
    static const struct {
        const char *name, *says;
    } rows[] = {
        {"/etc/passwd", "is absolute"}, {"//x", "is absolute"},     {"..", "leads out"},
        {"../x", "leads out"},          {"a/../../x", "leads out"}, {"a/..", "leads out"},
        {"./../x", "leads out"},        {"a/b/../c", "leads out"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();

        put_file(&feed, rows[i].name, "x");
        put_end(&feed);
        check_message(read_through(&feed, NULL), ND_INVALID, rows[i].says);
    }
}

static void
hard_links_that_lead_out_are_refused(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();

    (void)state;
    put_header(&feed, ND_STR("a"), '1', "../../etc/shadow", 0);
    put_end(&feed);
    check_message(read_through(&feed, NULL), ND_INVALID,
                  "a: hard link: archive entry \"../../etc/shadow\" leads out");
}

static void
names_become_clean(void **state)
{
    static const struct {
        struct nd_str in;
        const char *out; /* NULL: refused */
    } rows[] = {
        {{"a", 1}, "a"},     {{"./a", 3}, "a"},  {{"a//b/./c/", 9}, "a/b/c"},
        {{".", 1}, "."},     {{"./", 2}, "."},   {{"..a/b..", 7}, "..a/b.."},
        {{"...", 3}, "..."}, {{" ", 1}, " "},    {{"\xff", 1}, "\xff"},
        {{"", 0}, NULL},     {{NULL, 0}, NULL},  {{"a\0b", 3}, NULL},
        {{"/", 1}, NULL},    {{"/..", 3}, NULL}, {{"a/../..", 7}, NULL},
    };
    ND_AUTO(nd_buf_fini) struct nd_buf clean = ND_BUF_INIT(ND_ARCHIVE_MAX_NAME);

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        check_row(i, rows[i].in.ptr, nd_archive_clean_name(rows[i].in, &clean),
                  rows[i].out != NULL ? ND_OK : ND_INVALID);
        if (rows[i].out != NULL)
            assert_string_equal(clean.ptr, rows[i].out);
    }
}

static void
the_name_limit_is_exact(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf clean = ND_BUF_INIT(ND_ARCHIVE_MAX_NAME);
    ND_AUTO(nd_freep) char *name = nd_new_array(ND_ARCHIVE_MAX_NAME + 1, char);

    (void)state;
    memset(name, 'a', ND_ARCHIVE_MAX_NAME + 1);
    check_ok(nd_archive_clean_name(nd_str_n(name, ND_ARCHIVE_MAX_NAME), &clean));
    check_code(nd_archive_clean_name(nd_str_n(name, ND_ARCHIVE_MAX_NAME + 1), &clean), ND_INVALID);
}

static void
limits_on_entries_and_bytes_are_exact(void **state)
{
    struct nd_archive_limits limits = {.max_entries = 3, .max_bytes = 1 << 20};

    (void)state;
    for (int n = 3; n <= 4; n++) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();

        for (int i = 0; i < n; i++)
            put_file(&feed, "a", "content");
        put_end(&feed);
        check_code(read_through(&feed, &limits), n == 3 ? ND_OK : ND_EXHAUSTED);
    }
    limits.max_entries = 0;
    for (size_t len = 4000; len < 10000; len += 4000) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();
        ND_AUTO(nd_freep) char *content = nd_new_array(len, char);

        limits.max_bytes = 7000;
        put_header(&feed, ND_STR("a"), '0', NULL, len);
        put_content(&feed, nd_str_n(content, len));
        put_end(&feed);
        check_code(read_through(&feed, &limits), len == 4000 ? ND_OK : ND_EXHAUSTED);
    }
}

static void
a_bomb_is_refused_even_when_nobody_reads_it(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();
    size_t len = (size_t)96 << 20;
    ND_AUTO(nd_freep) char *zeros = nd_new_array(len, char);
    const struct nd_archive_limits limits = {.max_bytes = 70 << 20};

    (void)state;
    write_compressed(&feed, archive_write_add_filter_zstd, "zeros", zeros, len);
    assert_true(feed.bytes.len < len / 2000);
    check_message(read_through(&feed, NULL), ND_EXHAUSTED, "grows more than 1100 times");
    feed.at = 0;
    check_message(read_through(&feed, &limits), ND_EXHAUSTED, "longer than 73400320 bytes");
}

/*
 * A sparse file as GNU tar writes it: `len` bytes of content at `offset`, the rest of `size` is a
 * hole.
 */
static void
put_sparse(struct feed *feed, const char *name, uint64_t size, uint64_t offset, size_t len)
{
    size_t header = feed->bytes.len;
    unsigned char *block;
    unsigned sum = 0;

    put_header(feed, nd_str(name), 'S', NULL, len);
    block = (unsigned char *)feed->bytes.ptr + header;
    memcpy(block + 257, "ustar  ", 8);
    (void)snprintf((char *)block + 386, 12, "%011llo", (unsigned long long)offset);
    (void)snprintf((char *)block + 398, 12, "%011llo", (unsigned long long)len);
    (void)snprintf((char *)block + 483, 12, "%011llo", (unsigned long long)size);
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", sum);
    put_content(feed, nd_str_n("0123456789", len));
}

static void
holes_count_as_what_they_become(void **state)
{
    static const struct {
        uint64_t size, offset;
        size_t len;
        enum nd_code code;
    } rows[] = {
        {UINT64_C(7) << 30, 0, 10, ND_EXHAUSTED},                        /* behind */
        {UINT64_C(7) << 30, (UINT64_C(7) << 30) - 10, 10, ND_EXHAUSTED}, /* before */
        {UINT64_C(60) << 20, 0, 10, ND_OK},                              /* below what is free */
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();

        put_sparse(&feed, "hole", rows[i].size, rows[i].offset, rows[i].len);
        put_end(&feed);
        check_row(i, "hole", read_through(&feed, NULL), rows[i].code);
    }
}

static void
content_is_passed_over_in_steps(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();
    ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
    static const char zeros[1 << 20];
    unsigned steps = 0;
    bool at_end = false;

    (void)state;
    put_header(&feed, ND_STR("a"), '0', NULL, sizeof(zeros));
    put_content(&feed, nd_str_n(zeros, sizeof(zeros)));
    put_file(&feed, "b", "content");
    put_end(&feed);
    a = open_feed(&feed, NULL);
    next(a);
    for (; !at_end; steps++) {
        uint64_t left = 100000;

        check_ok(nd_archive_skip(a, &left, &at_end));
        assert_true(at_end || left == 0);
    }
    assert_true(steps > 5);
    assert_string_equal(next(a)->name, "b");
    check_content(a, "content");
}

static void
a_large_entry_is_not_read_whole(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();
    ND_AUTO(nd_archive_freep) struct nd_archive *a = NULL;
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(16 << 20);
    ND_AUTO(nd_freep) char *content = nd_new_array(ND_ARCHIVE_MAX_SMALL + 1, char);

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        put_header(&feed, ND_STR("a"), '0', NULL, ND_ARCHIVE_MAX_SMALL + more);
        put_content(&feed, nd_str_n(content, ND_ARCHIVE_MAX_SMALL + more));
    }
    put_end(&feed);
    a = open_feed(&feed, NULL);
    next(a);
    check_ok(nd_archive_read_all(a, &buf));
    assert_int_equal(buf.len, ND_ARCHIVE_MAX_SMALL);
    nd_buf_clear(&buf);
    next(a);
    check_message(nd_archive_read_all(a, &buf), ND_EXHAUSTED, "a is longer than");
}

static void
check_cut(struct feed *cut, size_t len)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = read_through(cut, NULL);

    if (nd_error_code(err) != ND_DATA_LOSS && nd_error_code(err) != ND_INVALID)
        fail_msg("cut at %zu: %s", len, nd_error_message(err));
}

static void
truncation_is_noticed_anywhere(void **state)
{
    ND_AUTO(feed_fini) struct feed whole = new_feed();
    static const char zeros[700];
    size_t content_end;

    (void)state;
    put_file(&whole, "first", "content of the first file");
    put_header(&whole, ND_STR("second"), '0', NULL, 700);
    put_content(&whole, nd_str_n(zeros, 700));
    content_end = 1024 + 512 + 700;
    put_end(&whole);
    for (size_t len = 1; len < content_end; len += 13) {
        ND_AUTO(feed_fini) struct feed cut = new_feed();

        if (len % 512 == 0 && len != 512 && len != 1536)
            continue; /* between entries: an archive without an end mark, which many write */
        nd_buf_put(&cut.bytes, nd_str_sub(nd_buf_str(&whole.bytes), 0, len));
        check_cut(&cut, len);
    }
}

static void
garbage_is_refused(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();
    uint32_t seed = 7;

    (void)state;
    check_code(read_through(&feed, NULL), ND_INVALID);
    for (int i = 0; i < 5000; i++) {
        seed = seed * 1664525u + 1013904223u;
        nd_buf_putc(&feed.bytes, (char)(seed >> 24));
    }
    feed.at = 0;
    check_code(read_through(&feed, NULL), ND_INVALID);
}

static void
a_failing_source_is_the_error(void **state)
{
    (void)state;
    for (size_t at = 1; at < 3000; at += 999) {
        ND_AUTO(feed_fini) struct feed feed = new_feed();

        for (int i = 0; i < 20; i++)
            put_file(&feed, "a", "content");
        put_end(&feed);
        feed.fail_at = at;
        check_message(read_through(&feed, NULL), ND_UNAVAILABLE, "the client went away");
    }
}

static void
owners_out_of_range_are_refused(void **state)
{
    ND_AUTO(feed_fini) struct feed feed = new_feed();

    (void)state;
    put_header(&feed, ND_STR("pax"), 'x', NULL, 22);
    put_content(&feed, ND_STR("22 uid=99999999999999\n"));
    put_file(&feed, "a", "x");
    put_end(&feed);
    check_message(read_through(&feed, NULL), ND_INVALID, "out of range");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_read_with_their_attributes),
        cmocka_unit_test(plain_gzip_and_zstd_are_read),
        cmocka_unit_test(other_compressions_are_refused),
        cmocka_unit_test(names_that_lead_out_are_refused),
        cmocka_unit_test(hard_links_that_lead_out_are_refused),
        cmocka_unit_test(names_become_clean),
        cmocka_unit_test(the_name_limit_is_exact),
        cmocka_unit_test(limits_on_entries_and_bytes_are_exact),
        cmocka_unit_test(a_bomb_is_refused_even_when_nobody_reads_it),
        cmocka_unit_test(holes_count_as_what_they_become),
        cmocka_unit_test(content_is_passed_over_in_steps),
        cmocka_unit_test(a_large_entry_is_not_read_whole),
        cmocka_unit_test(truncation_is_noticed_anywhere),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_failing_source_is_the_error),
        cmocka_unit_test(owners_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
