/* The log writer and its limits: rotation, a full disk, memory. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/loss.h"

#include "logger_run.h"

static void
rotation_keeps_so_many_files_and_no_entry_is_torn(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX), kept = ND_BUF_INIT(LOG_MAX);
    char path[192];
    uint64_t newest = 0;
    struct stat st;

    (void)state;
    for (size_t i = 0; text.len < 300000; i++)
        nd_buf_printf(&text, "%zu is the number of this line\n", i);
    make_container(&r);
    configure(&r, "\"max-size\":\"64k\",\"max-file\":\"3\"");
    for (size_t round = 0; round < 2; round++) {
        start_logger(&r, RLIM_INFINITY);
        wait_ready(&r);
        send_all(r.out,
                 nd_str_sub(nd_buf_str(&text), round * 150000, round == 0 ? 150000 : SIZE_MAX));
        finish_logger(&r);
    }

    for (uint64_t n = 1; n < 100; n++) {
        snprintf(path, sizeof(path), "%s.%" PRIu64, r.log, n);
        if (stat(path, &st) == 0) {
            assert_true(st.st_size <= 64000);
            assert_int_equal(st.st_mode & 07777, 0600);
            read_log(path, ND_LOG_STDOUT, &kept);
            newest = n;
        } else {
            assert_true(newest == 0 || newest + 1 == n || n > newest);
        }
    }
    assert_true(newest >= 5);
    snprintf(path, sizeof(path), "%s.%" PRIu64, r.log, newest - 2);
    assert_int_equal(stat(path, &st), -1); /* the current one and two more */
    read_log(r.log, ND_LOG_STDOUT, &kept);
    assert_true(nd_str_ends(nd_buf_str(&text), nd_buf_str(&kept)));
    assert_true(kept.len > 2 * 64000 / 5);
    nd_buf_fini(&text);
    nd_buf_fini(&kept);
    clean_container(&r);
}

static void
one_file_means_one_file(void **state)
{
    struct run r;
    char path[192];
    struct stat st;

    (void)state;
    begin_logger(&r, "\"max-size\":\"10k\",\"max-file\":\"1\"");
    for (size_t i = 0; i < 3000; i++)
        send_all(r.out, ND_STR("the same line again and again\n"));
    finish_logger(&r);
    assert_int_equal(stat(r.log, &st), 0);
    assert_true(st.st_size <= 10000);
    for (uint64_t n = 1; n < 60; n++) {
        snprintf(path, sizeof(path), "%s.%" PRIu64, r.log, n);
        assert_int_equal(stat(path, &st), -1);
    }
    clean_container(&r);
}

static void
an_entry_larger_than_a_file_is_written_whole(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);

    (void)state;
    for (size_t i = 0; i < 9000; i++)
        nd_buf_putc(&text, 'x');
    nd_buf_putc(&text, '\n');
    begin_logger(&r, "\"max-size\":\"1k\",\"max-file\":\"2\"");
    send_all(r.out, ND_STR("small\n"));
    send_all(r.out, nd_buf_str(&text));
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    nd_buf_fini(&text);
    clean_container(&r);
}

/* Entries and bytes that the notices in a log tell of. */
static void
count_notices(const struct run *r, struct nd_buf *rest, uint64_t *ret_entries, uint64_t *ret_bytes)
{
    struct nd_buf all = ND_BUF_INIT(LOG_MAX);
    struct nd_str left, line;

    *ret_entries = *ret_bytes = 0;
    read_log(r->log, ND_LOG_STDERR, &all);
    left = nd_buf_str(&all);
    while (nd_str_next(&left, '\n', &line)) {
        struct nd_str word, words = nd_str_from(line, sizeof("[nerdctl-grpc: ") - 1);
        uint64_t n;

        if (!nd_str_starts(line, ND_STR("[nerdctl-grpc: "))) {
            nd_buf_put(rest, line);
            continue;
        }
        assert_true(nd_str_next(&words, ' ', &word));
        assert_null(nd_parse_u64(word, UINT64_MAX, &n));
        *ret_entries += n;
        assert_true(nd_str_next(&words, '(', &word) && nd_str_next(&words, ' ', &word));
        assert_null(nd_parse_u64(word, UINT64_MAX, &n));
        *ret_bytes += n;
    }
    nd_buf_fini(&all);
}

static void
a_full_disk_stops_nobody_and_the_loss_is_told_exactly(void **state)
{
    struct run r;
    struct nd_buf got = ND_BUF_INIT(LOG_MAX), rest = ND_BUF_INIT(LOG_MAX);
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    uint64_t entries, bytes;
    const size_t lines = 200000;

    (void)state;
    make_container(&r);
    start_logger(&r, 1000000);
    wait_ready(&r);
    for (size_t i = 0; i < lines; i++)
        send_all(r.out, ND_STR("thirty-two bytes with newline..\n"));
    assert_int_equal(prlimit(r.pid, RLIMIT_FSIZE, &unlimited, NULL), 0);
    wait_log_has(&r, "were dropped: File too large");
    send_all(r.out, ND_STR("after\n"));
    finish_logger(&r);

    read_log(r.log, ND_LOG_STDOUT, &got);
    count_notices(&r, &rest, &entries, &bytes);
    assert_int_equal(rest.len, 0);
    assert_int_equal(got.len + bytes, lines * 32 + 6);
    assert_int_equal((got.len - 6) / 32 + entries, lines);
    assert_true(nd_str_ends(nd_buf_str(&got), ND_STR("after\n")));
    nd_buf_fini(&got);
    nd_buf_fini(&rest);
    clean_container(&r);
}

static struct nd_wire_loss
noted_loss(const struct run *r)
{
    struct nd_wire_loss loss = {0};
    char note[ND_WIRE_LOSS];
    int fd = open(r->lock, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, note, sizeof(note)), (ssize_t)sizeof(note));
    (void)nd_wire_get_loss(nd_str_n(note, sizeof(note)), &loss);
    close(fd);
    return loss;
}

static void
a_loss_that_the_log_cannot_tell_of_is_noted_and_told_by_the_next_logger(void **state)
{
    struct run r;
    struct nd_buf got = ND_BUF_INIT(LOG_MAX), rest = ND_BUF_INIT(LOG_MAX);
    struct nd_wire_loss noted;
    uint64_t entries, bytes;
    const size_t lines = 50000;

    (void)state;
    make_container(&r);
    start_logger(&r, 1000000);
    wait_ready(&r);
    assert_int_equal(noted_loss(&r).entries, 0);
    for (size_t i = 0; i < lines; i++)
        send_all(r.out, ND_STR("thirty-two bytes with newline..\n"));
    finish_logger(&r);
    noted = noted_loss(&r);
    assert_int_equal(noted.why, EFBIG);

    start_logger(&r, RLIM_INFINITY);
    wait_ready(&r);
    send_all(r.out, ND_STR("after\n"));
    finish_logger(&r);
    assert_int_equal(noted_loss(&r).entries, 0);
    read_log(r.log, ND_LOG_STDOUT, &got);
    count_notices(&r, &rest, &entries, &bytes);
    assert_int_equal(rest.len, 0);
    assert_int_equal(entries, noted.entries);
    assert_int_equal(bytes, noted.bytes);
    assert_int_equal(got.len + bytes, lines * 32 + 6);
    assert_int_equal((got.len - 6) / 32 + entries, lines);
    nd_buf_fini(&got);
    nd_buf_fini(&rest);
    clean_container(&r);
}

static void
a_log_that_cannot_be_opened_stops_nobody(void **state)
{
    struct run r;

    (void)state;
    make_container(&r);
    assert_int_equal(mkdir(r.log, 0700), 0);
    start_logger(&r, RLIM_INFINITY);
    wait_ready(&r);
    for (size_t i = 0; i < 100000; i++)
        send_all(r.out, ND_STR("thirty-two bytes with newline..\n"));
    finish_logger(&r);
    clean_container(&r);
}

#ifdef __SANITIZE_ADDRESS__
#    define MEMORY_IS_OURS 0
#else
#    define MEMORY_IS_OURS 1
#endif

/*
 * What each helper adds: anonymous memory. The pages of the program itself are shared by all
 * helpers of the host, but count as private while there is one.
 */
static void
a_logger_adds_less_than_one_mib(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX), rollup = ND_BUF_INIT(1 << 20);
    char path[64];
    struct nd_str left, line;
    uint64_t kib = 0;

    (void)state;
    if (!MEMORY_IS_OURS)
        skip();
    random_output(&text, 8u << 20);
    begin_logger(&r, "\"max-size\":\"1m\",\"max-file\":\"2\"");
    send_all(r.out, nd_buf_str(&text));
    send_all(r.err, nd_buf_str(&text));
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)r.pid);
    read_whole(path, &rollup);
    left = nd_buf_str(&rollup);
    while (nd_str_next(&left, '\n', &line)) {
        struct nd_str value = nd_str_trim(nd_str_from(line, nd_str_find(line, ':') + 1));

        if (!nd_str_starts(line, ND_STR("Anonymous:")) || !nd_str_ends(value, ND_STR(" kB")))
            continue;
        value.len -= 3;
        assert_null(nd_parse_u64(value, UINT64_MAX, &kib));
    }
    print_message("anonymous memory after a burst: %" PRIu64 " KiB\n", kib);
    assert_in_range(kib, 1, 1024);
    finish_logger(&r);
    nd_buf_fini(&text);
    nd_buf_fini(&rollup);
    clean_container(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotation_keeps_so_many_files_and_no_entry_is_torn),
        cmocka_unit_test(one_file_means_one_file),
        cmocka_unit_test(an_entry_larger_than_a_file_is_written_whole),
        cmocka_unit_test(a_full_disk_stops_nobody_and_the_loss_is_told_exactly),
        cmocka_unit_test(a_loss_that_the_log_cannot_tell_of_is_noted_and_told_by_the_next_logger),
        cmocka_unit_test(a_log_that_cannot_be_opened_stops_nobody),
        cmocka_unit_test(a_logger_adds_less_than_one_mib),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
