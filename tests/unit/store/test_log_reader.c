/* The reader over files that stand still: order, tails, times, streams, broken files. */

#include <errno.h>
#include <inttypes.h>

#include "base/random.h"
#include "fiber/in_loop.h"
#include "store/limits.h"
#include "store/log_reader.h"
#include "wire/loss.h"

#include "temp_dir.h"

/*
 * A record whose text is "<number>\n" or longer; odd ones are stderr, its time is `number` seconds.
 */
static void
put_record(struct nd_buf *buf, uint64_t number, size_t padding)
{
    char time[ND_RFC3339_SIZE];

    nd_wall_format((struct nd_wall){.sec = (int64_t)(1700000000 + number), .nsec = 5}, time);
    nd_buf_printf(buf, "{\"log\":\"%" PRIu64 " ", number);
    for (size_t i = 0; i < padding; i++)
        nd_buf_putc(buf, 'x');
    nd_buf_printf(buf, "\\n\",\"stream\":\"%s\",\"time\":\"%s\"}\n",
                  number % 2 ? "stderr" : "stdout", time);
}

static void
put_records(const char *path, uint64_t from, uint64_t to, size_t max_padding)
{
    struct nd_buf buf = ND_BUF_INIT(64u << 20);

    for (uint64_t i = from; i < to; i++)
        put_record(&buf, i, max_padding > 0 ? nd_random_u64() % max_padding : 0);
    put_file(path, nd_buf_str(&buf));
    nd_buf_fini(&buf);
}

static uint64_t
number_in(struct nd_str bytes)
{
    uint64_t n;

    assert_null(nd_parse_u64(nd_str_sub(bytes, 0, nd_str_find(bytes, ' ')), UINT64_MAX, &n));
    return n;
}

static struct nd_log_reader_options
all_of(const char *path)
{
    return (struct nd_log_reader_options){.path = path, .tail = ND_LOG_TAIL_ALL};
}

/*
 * Everything that the reader gives: the numbers must be from, from + step, ... up to before `to`.
 */
static struct nd_error *
expect_numbers(const struct nd_log_reader_options *options, uint64_t from, uint64_t to,
               uint64_t step)
{
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;
    bool drained = false;

    ND_TRY(nd_log_reader_open(options, &r));
    for (;;) {
        size_t payload = 0;

        ND_TRY(nd_log_reader_next(r, &batch));
        assert_int_equal(batch.skipped_bytes, 0);
        assert_false(batch.gap);
        if (batch.n == 0)
            break;
        assert_false(drained && step == 1);
        for (size_t i = 0; i < batch.n; i++, from += step) {
            assert_int_equal(number_in(batch.entries[i].bytes), from);
            payload += batch.entries[i].bytes.len;
        }
        assert_int_equal(payload, batch.payload);
        drained = batch.drained;
    }
    assert_true(batch.drained);
    assert_true(from >= to && from < to + step);
    return NULL;
}

IN_REAL_LOOP(everything_is_read_in_order_from_the_oldest_file_on)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));

    put_records(in_dir(&dir, "c-json.log.2"), 0, 3000, 300);
    put_records(in_dir(&dir, "c-json.log.9"), 3000, 3001, 300);
    put_records(in_dir(&dir, "c-json.log.10"), 3001, 9000, 30);
    put_records(in_dir(&dir, "c-json.log"), 9000, 20000, 100);
    put_records(in_dir(&dir, "c-json.log.x"), 70000, 70001, 0);
    put_records(in_dir(&dir, "c-json.log.01"), 70000, 70001, 0);
    put_records(in_dir(&dir, "c-json.log.11a"), 70000, 70001, 0);
    put_records(in_dir(&dir, "d-json.log.1"), 70000, 70001, 0);
    assert_int_equal(mkdir(in_dir(&dir, "c-json.log.12"), 0700), 0);
    return expect_numbers(&options, 0, 20000, 1);
}

IN_REAL_LOOP(an_empty_log_is_the_end_at_once)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));

    put_file(options.path, ND_STR(""));
    return expect_numbers(&options, 0, 0, 1);
}

IN_REAL_LOOP(a_tail_is_the_last_records_whichever_file_they_are_in)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));
    static const uint64_t tails[] = {0,    1,    2,    999,  1000, 1001, 1002, 1009,
                                     1010, 1011, 1500, 2009, 2010, 2011, 2500, 999999};
    const uint64_t total = 2010;

    put_records(in_dir(&dir, "c-json.log.1"), 0, 1000, 400);
    put_records(in_dir(&dir, "c-json.log.2"), 1000, 1010, 400);
    put_records(in_dir(&dir, "c-json.log"), 1010, total, 400);
    for (size_t i = 0; i < ND_LEN(tails); i++) {
        options.tail = tails[i];
        ND_TRY_DOING(expect_numbers(&options, total - ND_MIN(tails[i], total), total, 1),
                     "tail %" PRIu64, tails[i]);
    }
    return NULL;
}

IN_REAL_LOOP(between_two_current_files_the_rotated_ones_are_the_log)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));

    put_records(in_dir(&dir, "c-json.log.1"), 0, 10, 40);
    put_records(in_dir(&dir, "c-json.log.2"), 10, 20, 40);
    ND_TRY(expect_numbers(&options, 0, 20, 1));
    options.tail = 15;
    return expect_numbers(&options, 5, 20, 1);
}

IN_REAL_LOOP(a_line_that_is_being_written_does_not_count_in_a_tail)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    put_records(options.path, 0, 10, 0);
    append_file(options.path, ND_STR("{\"log\":\"10 torn"));
    options.tail = 2;
    ND_TRY(nd_log_reader_open(&options, &r));
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 2);
    assert_int_equal(number_in(batch.entries[0].bytes), 8);
    return NULL;
}

IN_REAL_LOOP(streams_are_told_apart)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));

    put_records(options.path, 0, 5000, 50);
    options.streams = ND_LOG_STDOUT;
    ND_TRY(expect_numbers(&options, 0, 5000, 2));
    options.streams = ND_LOG_STDERR;
    ND_TRY(expect_numbers(&options, 1, 5000, 2));
    options.streams = ND_LOG_STDERR | ND_LOG_STDOUT;
    return expect_numbers(&options, 0, 5000, 1);
}

IN_REAL_LOOP(times_bound_what_is_read)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));

    put_records(in_dir(&dir, "c-json.log.1"), 0, 1000, 50);
    put_records(options.path, 1000, 5000, 50);
    options.since = (struct nd_wall){.sec = 1700000400, .nsec = 6};
    ND_TRY_DOING(expect_numbers(&options, 401, 5000, 1), "since");
    options.until = (struct nd_wall){.sec = 1700003000, .nsec = 5};
    ND_TRY_DOING(expect_numbers(&options, 401, 3001, 1), "since and until");
    options.since = (struct nd_wall){0};
    ND_TRY_DOING(expect_numbers(&options, 0, 3001, 1), "until");
    options.since = (struct nd_wall){.sec = 1800000000};
    options.until = (struct nd_wall){0};
    return expect_numbers(&options, 0, 0, 1);
}

IN_REAL_LOOP(files_finished_before_the_time_are_not_even_opened)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));
    const struct timespec long_ago[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};

    /* Their records would match: that they are missing shows that the file was passed over. */
    put_records(in_dir(&dir, "c-json.log.1"), 90, 95, 0);
    assert_int_equal(utimensat(AT_FDCWD, in_dir(&dir, "c-json.log.1"), long_ago, 0), 0);
    put_records(in_dir(&dir, "c-json.log.2"), 100, 120, 0);
    put_records(options.path, 120, 150, 0);
    options.since = (struct nd_wall){.sec = 1700000000};
    return expect_numbers(&options, 100, 150, 1);
}

/* One batch after another until the end; how many entries and skipped bytes. */
static struct nd_error *
count_all(const char *path, size_t *ret_n, uint64_t *ret_skipped)
{
    const struct nd_log_reader_options options = all_of(path);
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    *ret_n = 0;
    *ret_skipped = 0;
    ND_TRY(nd_log_reader_open(&options, &r));
    do {
        ND_TRY(nd_log_reader_next(r, &batch));
        *ret_n += batch.n;
        *ret_skipped += batch.skipped_bytes;
    } while (batch.n > 0);
    return NULL;
}

IN_REAL_LOOP(a_last_line_without_newline_counts_when_it_is_whole)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const char *path = in_dir(&dir, "c-json.log");
    size_t n;
    uint64_t skipped;

    put_file(path, ND_STR("{\"log\":\"a\\n\",\"stream\":\"stdout\"}\n{\"log\":\"b\\n\"}"));
    ND_TRY(count_all(path, &n, &skipped));
    assert_int_equal(n, 2);
    assert_int_equal(skipped, 0);

    put_file(path, ND_STR("{\"log\":\"a\\n\",\"stream\":\"stdout\"}\n{\"log\":\"b\\n\","));
    ND_TRY(count_all(path, &n, &skipped));
    assert_int_equal(n, 1);
    assert_true(skipped > 0);

    /* A rotated file with a torn end does not swallow the first line of the next. */
    put_file(in_dir(&dir, "c-json.log.1"), ND_STR("{\"log\":\"a\\n\"}\n{\"log\":\"torn"));
    ND_TRY(count_all(path, &n, &skipped));
    assert_int_equal(n, 2);
    return NULL;
}

/* A record of exactly `size` bytes, its newline included. */
static void
put_record_of_size(struct nd_buf *buf, size_t size)
{
    static const char before[] = "{\"log\":\"", after[] = "\"}\n";

    nd_buf_putz(buf, before);
    for (size_t i = sizeof(before) + sizeof(after) - 2; i < size; i++)
        nd_buf_putc(buf, 'y');
    nd_buf_putz(buf, after);
}

IN_REAL_LOOP(a_record_of_the_maximum_is_read_and_a_longer_one_skipped)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const char *path = in_dir(&dir, "c-json.log");
    static const size_t sizes[] = {ND_LOG_RECORD_MAX - 1, ND_LOG_RECORD_MAX, ND_LOG_RECORD_MAX + 1,
                                   2 * ND_LOG_RECORD_MAX, 5 * ND_LOG_RECORD_MAX + 17};

    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        struct nd_buf buf = ND_BUF_INIT(64u << 20);
        const bool fits = sizes[i] <= ND_LOG_RECORD_MAX;
        size_t n;
        uint64_t skipped;

        put_record(&buf, 1, 0);
        put_record_of_size(&buf, sizes[i]);
        put_record(&buf, 2, 0);
        put_file(path, nd_buf_str(&buf));
        nd_buf_fini(&buf);
        ND_TRY(count_all(path, &n, &skipped));
        if (n != (fits ? 3 : 2))
            print_error("case %zu\n", i);
        assert_int_equal(n, fits ? 3 : 2);
        assert_int_equal(skipped, fits ? 0 : sizes[i]);
    }
    return NULL;
}

IN_REAL_LOOP(random_bytes_are_survived_and_accounted_for)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const char *path = in_dir(&dir, "c-json.log");

    for (size_t i = 0; i < 50; i++) {
        const size_t size = 1 + nd_random_u64() % 700000;
        char *bytes = nd_calloc(1, size);
        size_t n;
        uint64_t skipped;

        nd_random(bytes, size);
        for (size_t k = 0; i % 2 && k < size; k++)
            bytes[k] = "{}\":,log\\u0\n"[(unsigned char)bytes[k] % 12];
        put_file(path, nd_str_n(bytes, size));
        nd_free(bytes);
        ND_TRY(count_all(path, &n, &skipped));
        assert_true(skipped <= size + 1);
        if (i % 2 == 0)
            assert_true(skipped >= size);
    }
    return NULL;
}

IN_REAL_LOOP(what_is_no_log_is_an_error)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));
    struct nd_log_reader *r = NULL;

    expect_code(nd_log_reader_open(&options, &r), ND_NOT_FOUND);
    options.tail = 10;
    expect_code(nd_log_reader_open(&options, &r), ND_NOT_FOUND);
    options.path = in_dir(&dir, "no/such/dir/x.log");
    expect_code(nd_log_reader_open(&options, &r), ND_NOT_FOUND);
    options.path = dir.path;
    expect_code(nd_log_reader_open(&options, &r), ND_INVALID);
    options.path = "relative.log";
    expect_code(nd_log_reader_open(&options, &r), ND_INVALID);
    assert_int_equal(mkfifo(in_dir(&dir, "c-json.log"), 0600), 0);
    options.path = in_dir(&dir, "c-json.log");
    expect_code(nd_log_reader_open(&options, &r), ND_INVALID);
    assert_null(r);
    return NULL;
}

/*
 * Behind the last entry, for whoever reads that far; another program's lock file tells of nothing.
 */
IN_REAL_LOOP(what_the_logger_could_not_write_is_told_at_the_end)
{
    const struct nd_wire_loss loss = {.entries = 3, .bytes = 77, .why = ENOSPC};
    struct temp_dir dir = temp_dir_make();
    struct nd_log_reader_options options = all_of(in_dir(&dir, "c-json.log"));
    char note[ND_WIRE_LOSS];
    struct nd_log_batch batch;

    nd_wire_put_loss(note, &loss);
    options.logger_lock = in_dir(&dir, "logger-lock");
    put_records(options.path, 0, 5, 0);
    put_file(options.logger_lock, ND_STR("4711\n"));
    ND_TRY(expect_numbers(&options, 0, 5, 1));
    put_file(options.logger_lock, nd_str_n(note, sizeof(note)));
    options.streams = ND_LOG_STDOUT;
    ND_TRY(expect_numbers(&options, 0, 5, 2));
    options.streams = 0;
    for (uint64_t tail = 0; tail < 3; tail++) {
        ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;

        options.tail = tail;
        ND_TRY(nd_log_reader_open(&options, &r));
        if (tail > 0) {
            ND_TRY(nd_log_reader_next(r, &batch));
            assert_int_equal(batch.n, tail);
        }
        ND_TRY(nd_log_reader_next(r, &batch));
        assert_int_equal(batch.n, 1);
        assert_int_equal(batch.entries[0].stream, ND_LOG_STDERR);
        assert_true(
            nd_str_eqz(batch.entries[0].bytes,
                       "[nerdctl-grpc: 3 entries (77 bytes) of output were dropped: No space "
                       "left on device]\n"));
        ND_TRY(nd_log_reader_next(r, &batch));
        assert_int_equal(batch.n, 0);
    }
    temp_dir_remove(&dir);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read_in_order_from_the_oldest_file_on),
        cmocka_unit_test(an_empty_log_is_the_end_at_once),
        cmocka_unit_test(a_tail_is_the_last_records_whichever_file_they_are_in),
        cmocka_unit_test(between_two_current_files_the_rotated_ones_are_the_log),
        cmocka_unit_test(a_line_that_is_being_written_does_not_count_in_a_tail),
        cmocka_unit_test(streams_are_told_apart),
        cmocka_unit_test(times_bound_what_is_read),
        cmocka_unit_test(files_finished_before_the_time_are_not_even_opened),
        cmocka_unit_test(a_last_line_without_newline_counts_when_it_is_whole),
        cmocka_unit_test(a_record_of_the_maximum_is_read_and_a_longer_one_skipped),
        cmocka_unit_test(random_bytes_are_survived_and_accounted_for),
        cmocka_unit_test(what_is_no_log_is_an_error),
        cmocka_unit_test(what_the_logger_could_not_write_is_told_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
