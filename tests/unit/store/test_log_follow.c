/* The reader as a follower: nothing missed, nothing twice, and it knows the end. */

#include <inttypes.h>
#include <sys/file.h>

#include "base/random.h"
#include "fiber/group.h"
#include "fiber/in_loop.h"
#include "store/limits.h"
#include "store/log_reader.h"

#include "temp_dir.h"

/* One container, its log, and somebody who follows it. */
struct scene {
    struct temp_dir dir;
    const char *log, *lock;
    struct nd_dir_watcher *watcher;
    bool running;
    unsigned asked; /* how often the follower asked whether it is */
    uint64_t next;  /* number that the follower waits for */
    bool ended;
    bool gaps_allowed;
    unsigned gaps;
};

static bool
is_running(void *arg)
{
    struct scene *s = arg;

    s->asked++;
    return s->running;
}

static struct nd_error *
scene_init(struct scene *s)
{
    *s = (struct scene){.dir = temp_dir_make(), .running = true};
    s->log = in_dir(&s->dir, "c-json.log");
    s->lock = in_dir(&s->dir, "logger-lock");
    put_file(s->log, ND_STR(""));
    put_file(s->lock, ND_STR(""));
    return nd_dir_watcher_open(&s->watcher);
}

static void
scene_fini(struct scene *s)
{
    nd_dir_watcher_close(s->watcher);
    temp_dir_remove(&s->dir);
}

static struct nd_log_reader_options
follow_of(struct scene *s)
{
    return (struct nd_log_reader_options){.path = s->log,
                                          .tail = ND_LOG_TAIL_ALL,
                                          .follow = true,
                                          .watcher = s->watcher,
                                          .is_running = is_running,
                                          .arg = s,
                                          .logger_lock = s->lock};
}

static size_t
format_record(char *dst, size_t size, uint64_t number)
{
    return (size_t)snprintf(dst, size,
                            "{\"log\":\"%" PRIu64 " text\\n\",\"stream\":\"stdout\","
                            "\"time\":\"2024-01-02T03:04:05Z\"}\n",
                            number);
}

static void
write_record(const char *path, uint64_t number)
{
    char text[128];

    append_file(path, nd_str_n(text, format_record(text, sizeof(text), number)));
}

/* Follow to the end; the numbers must come in order, each once. */
static struct nd_error *
follow_to_end(struct scene *s)
{
    const struct nd_log_reader_options options = follow_of(s);
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    ND_TRY(nd_log_reader_open(&options, &r));
    do {
        ND_TRY(nd_log_reader_next(r, &batch));
        s->gaps += batch.gap;
        assert_true(s->gaps_allowed || !batch.gap);
        for (size_t i = 0; i < batch.n; i++) {
            struct nd_str text = batch.entries[i].bytes;
            uint64_t n;

            assert_null(nd_parse_u64(nd_str_sub(text, 0, nd_str_find(text, ' ')), UINT64_MAX, &n));
            if (s->gaps_allowed)
                assert_true(n >= s->next);
            else
                assert_int_equal(n, s->next);
            s->next = n + 1;
        }
    } while (batch.n > 0);
    return NULL;
}

static struct nd_error *
follow(void *arg)
{
    struct scene *s = arg;
    struct nd_error *err = follow_to_end(s);

    if (err != NULL && nd_error_code(err) != ND_CANCELLED)
        print_error("follower: %s\n", nd_error_message(err));
    s->ended = true;
    return err;
}

/* Let the follower come to where it waits for `number`. */
static struct nd_error *
until_next_is(const struct scene *s, uint64_t number)
{
    while (s->next < number) {
        if (s->ended)
            return nd_error_new(ND_INTERNAL, "the follower ended before %" PRIu64, number);
        ND_TRY(nd_fiber_sleep(ND_MILLISECOND / 2));
    }
    return NULL;
}

IN_REAL_LOOP(each_record_arrives_once_and_the_end_after_the_loggers_last_byte)
{
    struct scene s;
    int lock;

    ND_TRY(scene_init(&s));
    lock = open(s.lock, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);

        ND_TRY(nd_group_spawn(g, follow, &s));
        for (uint64_t i = 0; i < 200; i++) {
            write_record(s.log, i);
            if (i % 10 == 0)
                ND_TRY(until_next_is(&s, i + 1));
        }
        s.running = false;
        write_record(s.log, 200);
        ND_TRY(until_next_is(&s, 201));
        /*
         * It has read everything and knows that the container has ended, but the logger is not
         * done.
         */
        while (s.asked == 0)
            ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
        ND_TRY(nd_fiber_sleep(5 * ND_MILLISECOND));
        assert_false(s.ended);
        write_record(s.log, 201);
        close(lock);
        ND_TRY(nd_group_wait(g));
    }
    assert_true(s.ended);
    assert_int_equal(s.next, 202);
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(a_record_written_in_pieces_arrives_whole)
{
    struct scene s;
    char text[128];
    size_t len;

    ND_TRY(scene_init(&s));
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);

        ND_TRY(nd_group_spawn(g, follow, &s));
        for (uint64_t i = 0; i < 20; i++) {
            len = format_record(text, sizeof(text), i);
            append_file(s.log, nd_str_n(text, 1 + i));
            ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
            append_file(s.log, nd_str_n(text + 1 + i, len - 1 - i));
            ND_TRY(until_next_is(&s, i + 1));
        }
        s.running = false;
        append_file(s.log, ND_STR("\n"));
        ND_TRY(nd_group_wait(g));
    }
    assert_int_equal(s.next, 20);
    scene_fini(&s);
    return NULL;
}

static struct nd_error *
hold(void *reader)
{
    return nd_log_reader_hold(reader);
}

/* A logger that keeps `keep` rotated files: rotate once. */
static void
rotate_keeping(const struct scene *s, uint64_t number, uint64_t keep)
{
    char name[600];

    snprintf(name, sizeof(name), "%s.%" PRIu64, s->log, number);
    assert_int_equal(rename(s->log, name), 0);
    put_file(s->log, ND_STR(""));
    if (number > keep) {
        snprintf(name, sizeof(name), "%s.%" PRIu64, s->log, number - keep);
        assert_int_equal(unlink(name), 0);
    }
}

/* Read until `next` records have come; how many files were lost on the way. */
static struct nd_error *
read_up_to(struct nd_log_reader *r, uint64_t *next, uint64_t end, uint64_t *lost)
{
    while (*next < end) {
        struct nd_log_batch batch;

        ND_TRY(nd_log_reader_next(r, &batch));
        assert_true(batch.n > 0);
        assert_int_equal(batch.gap, batch.lost_files > 0);
        *lost += batch.lost_files;
        for (size_t i = 0; i < batch.n; i++) {
            uint64_t n;

            assert_null(nd_parse_u64(
                nd_str_sub(batch.entries[i].bytes, 0, nd_str_find(batch.entries[i].bytes, ' ')),
                UINT64_MAX, &n));
            assert_true(batch.lost_files > 0 ? n >= *next : n == *next);
            *next = n + 1;
        }
    }
    return NULL;
}

IN_REAL_LOOP(files_that_go_while_the_reader_lags_are_read_when_they_are_held)
{
    for (uint64_t keep = 0; keep < 3; keep++) {
        struct scene s;
        struct nd_log_reader_options options;
        ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
        ND_AUTO(nd_group_endp) struct nd_group *g = NULL;
        uint64_t next = 0, lost = 0;

        ND_TRY(scene_init(&s));
        options = follow_of(&s);
        write_record(s.log, 0);
        ND_TRY(nd_log_reader_open(&options, &r));
        g = nd_group_begin("holder", 0);
        ND_TRY(nd_group_spawn(g, hold, r));
        ND_TRY(read_up_to(r, &next, 1, &lost));
        for (uint64_t i = 1; i <= 40; i++) {
            rotate_keeping(&s, i, keep);
            write_record(s.log, i);
            while (nd_log_reader_ahead(r) < i) /* nobody reads */
                ND_TRY(nd_fiber_sleep(ND_MILLISECOND / 4));
        }
        ND_TRY(read_up_to(r, &next, 41, &lost));
        assert_int_equal(lost, 0);
        nd_group_end(ND_TAKE(g));
        nd_log_reader_close(ND_TAKE(r));
        scene_fini(&s);
    }
    return NULL;
}

IN_REAL_LOOP(who_does_not_follow_ends_with_the_file_that_was_current)
{
    struct scene s;
    struct nd_log_reader_options options;
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;
    uint64_t next = 0, lost = 0;

    ND_TRY(scene_init(&s));
    options = follow_of(&s);
    options.follow = false;
    write_record(s.log, 0);
    ND_TRY(nd_log_reader_open(&options, &r));
    ND_TRY(read_up_to(r, &next, 1, &lost));
    write_record(s.log, 1);
    rotate_keeping(&s, 1, 0);
    write_record(s.log, 2);
    rotate_keeping(&s, 2, 0);
    write_record(s.log, 3);
    ND_TRY(read_up_to(r, &next, 2, &lost));
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 0);
    assert_false(batch.gap);
    nd_log_reader_close(ND_TAKE(r));
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(who_lags_behind_the_limit_is_told_what_is_lost)
{
    const uint64_t last = ND_LOG_AHEAD_FILES + 20;
    struct scene s;
    struct nd_log_reader_options options;
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *g = NULL;
    uint64_t next = 0, lost = 0;

    ND_TRY(scene_init(&s));
    options = follow_of(&s);
    write_record(s.log, 0);
    ND_TRY(nd_log_reader_open(&options, &r));
    g = nd_group_begin("holder", 0);
    ND_TRY(nd_group_spawn(g, hold, r));
    ND_TRY(read_up_to(r, &next, 1, &lost));
    for (uint64_t i = 1; i <= last; i++) {
        rotate_keeping(&s, i, 0);
        write_record(s.log, i);
        while (nd_log_reader_ahead(r) < ND_MIN(i, (uint64_t)ND_LOG_AHEAD_FILES))
            ND_TRY(nd_fiber_sleep(ND_MILLISECOND / 4));
    }
    ND_TRY(read_up_to(r, &next, ND_LOG_AHEAD_FILES + 1, &lost));
    assert_int_equal(lost, 0);
    ND_TRY(read_up_to(r, &next, last + 1, &lost));
    assert_int_equal(lost, 19);
    nd_group_end(ND_TAKE(g));
    nd_log_reader_close(ND_TAKE(r));
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(lost_files_are_counted_exactly_by_who_does_not_hold)
{
    /* keep, rotations while nobody looks, files that are gone by then */
    static const uint64_t cases[][3] = {{0, 1, 0}, {0, 2, 1}, {0, 7, 6}, {1, 1, 0}, {1, 2, 0},
                                        {1, 3, 1}, {1, 9, 7}, {3, 4, 0}, {3, 5, 1}, {5, 20, 14}};

    for (size_t c = 0; c < ND_LEN(cases); c++) {
        uint64_t keep = cases[c][0], next = 0, lost = 0, number = 0;
        struct nd_log_reader_options options;
        ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
        struct scene s;

        ND_TRY(scene_init(&s));
        options = follow_of(&s);
        write_record(s.log, 0);
        ND_TRY(nd_log_reader_open(&options, &r));
        ND_TRY(read_up_to(r, &next, 1, &lost));
        for (unsigned again = 0; again < 2; again++) {
            uint64_t end = next + cases[c][1];

            lost = 0;
            for (uint64_t i = next; i < end; i++) {
                rotate_keeping(&s, ++number, keep);
                write_record(s.log, i);
            }
            ND_TRY(read_up_to(r, &next, end, &lost));
            assert_int_equal(lost, cases[c][2]);
        }
        nd_log_reader_close(ND_TAKE(r));
        scene_fini(&s);
    }
    return NULL;
}

/* What a logger does that is started again and again and rotates all the time. */
static void
write_and_rotate(const struct scene *s, uint64_t files, uint64_t records_each)
{
    uint64_t number = 0;

    for (uint64_t f = 1; f <= files; f++) {
        int lock = open(s->lock, O_RDONLY | O_CLOEXEC);
        struct nd_buf records = ND_BUF_INIT(1 << 20);
        char name[600];

        flock(lock, LOCK_EX);
        for (uint64_t i = 0; i < records_each; i++) {
            char text[128];

            nd_buf_put(&records, nd_str_n(text, format_record(text, sizeof(text), number++)));
            if (i % 7 == 0 || i + 1 == records_each) {
                append_file(s->log, nd_buf_str(&records));
                nd_buf_clear(&records);
            }
        }
        nd_buf_fini(&records);
        snprintf(name, sizeof(name), "%s.%" PRIu64, s->log, f);
        if (rename(s->log, name) < 0)
            _exit(1);
        put_file(s->log, ND_STR(""));
        close(lock);
    }
    _exit(0);
}

IN_REAL_LOOP(a_follower_survives_a_hundred_rotations)
{
    struct scene s;
    pid_t writer;
    int status;

    ND_TRY(scene_init(&s));
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);

        ND_TRY(nd_group_spawn(g, follow, &s));
        ND_TRY(nd_fiber_yield());
        writer = fork();
        assert_true(writer >= 0);
        if (writer == 0)
            write_and_rotate(&s, 100, 300);
        ND_TRY(until_next_is(&s, 100 * 300));
        assert_int_equal(waitpid(writer, &status, 0), writer);
        assert_int_equal(status, 0);
        s.running = false;
        append_file(s.log, ND_STR("\n"));
        ND_TRY(nd_group_wait(g));
    }
    assert_int_equal(s.next, 100 * 300);
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(older_files_of_a_logger_that_counts_from_one_again_are_not_repeated)
{
    struct scene s;
    const struct timespec long_ago[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};

    ND_TRY(scene_init(&s));
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);
        const char *first = in_dir(&s.dir, "c-json.log.1"),
                   *second = in_dir(&s.dir, "c-json.log.2");

        write_record(s.log, 0);
        ND_TRY(nd_group_spawn(g, follow, &s));
        ND_TRY(until_next_is(&s, 1));
        write_record(second, 77);
        assert_int_equal(utimensat(AT_FDCWD, second, long_ago, 0), 0);
        assert_int_equal(rename(s.log, first), 0);
        write_record(s.log, 1);
        ND_TRY(until_next_is(&s, 2));
        s.running = false;
        append_file(s.log, ND_STR("\n"));
        ND_TRY(nd_group_wait(g));
    }
    assert_int_equal(s.next, 2);
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(what_was_removed_unread_is_told_as_a_gap)
{
    struct scene s;
    struct nd_log_reader_options options;
    struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    ND_TRY(scene_init(&s));
    options = follow_of(&s);
    write_record(s.log, 0);
    ND_TRY(nd_log_reader_open(&options, &r));
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    assert_false(batch.gap);

    /* Two rotations with only one file kept: record 1 is gone before anybody saw it. */
    assert_int_equal(unlink(s.log), 0);
    write_record(s.log, 1);
    assert_int_equal(unlink(s.log), 0);
    write_record(s.log, 2);
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    assert_true(batch.gap);
    assert_int_equal(batch.lost_files, 1);

    /* Cut to nothing and written again. */
    put_file(s.log, ND_STR(""));
    append_file(s.log, ND_STR("{\"log\":\"3 \"}\n"));
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    assert_true(batch.gap);
    assert_int_equal(batch.lost_files, 0);
    nd_log_reader_close(r);
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(a_removed_container_ends_its_followers)
{
    struct scene s;

    ND_TRY(scene_init(&s));
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);

        write_record(s.log, 0);
        ND_TRY(nd_group_spawn(g, follow, &s));
        ND_TRY(until_next_is(&s, 1));
        s.running = false;
        temp_dir_remove(&s.dir);
        ND_TRY(nd_group_wait(g));
    }
    assert_true(s.ended);
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(a_tail_can_be_followed_from_nothing)
{
    struct scene s;
    struct nd_log_reader_options options;
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    ND_TRY(scene_init(&s));
    options = follow_of(&s);
    options.tail = 0;
    for (uint64_t i = 0; i < 100; i++)
        write_record(s.log, i);
    ND_TRY(nd_log_reader_open(&options, &r));
    write_record(s.log, 100);
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    assert_true(nd_str_starts(batch.entries[0].bytes, ND_STR("100 ")));
    assert_true(batch.drained);
    nd_log_reader_close(ND_TAKE(r));
    scene_fini(&s);
    return NULL;
}

IN_REAL_LOOP(a_time_in_the_past_ends_a_follower)
{
    struct scene s;
    struct nd_log_reader_options options;
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    ND_TRY(scene_init(&s));
    options = follow_of(&s);
    options.until = (struct nd_wall){.sec = 1704164700};
    write_record(s.log, 0);
    ND_TRY(nd_log_reader_open(&options, &r));
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 0);
    nd_log_reader_close(ND_TAKE(r));
    scene_fini(&s);
    return NULL;
}

static struct nd_error *
follow_until_cancelled(void *arg)
{
    struct nd_error *err = follow(arg);

    assert_int_equal(nd_error_code(err), ND_CANCELLED);
    nd_error_free(err);
    return NULL;
}

IN_REAL_LOOP(a_wait_ends_with_cancelling_and_deadline_and_can_go_on)
{
    struct scene s;
    struct nd_log_reader_options options;
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;
    struct nd_log_batch batch;

    ND_TRY(scene_init(&s));
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("follower", 0);

        ND_TRY(nd_group_spawn(g, follow_until_cancelled, &s));
        while (s.asked == 0)
            ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
        nd_group_cancel(g);
        nd_group_end(ND_TAKE(g));
    }
    options = follow_of(&s);
    ND_TRY(nd_log_reader_open(&options, &r));
    {
        ND_DEADLINE_IN(30 * ND_MILLISECOND);
        expect_code(nd_log_reader_next(r, &batch), ND_DEADLINE);
    }
    write_record(s.log, 0);
    ND_TRY(nd_log_reader_next(r, &batch));
    assert_int_equal(batch.n, 1);
    nd_log_reader_close(ND_TAKE(r));
    scene_fini(&s);
    return NULL;
}

#define CROWD 300u

IN_REAL_LOOP(a_crowd_of_followers_shares_one_descriptor)
{
    struct scene *all = nd_new_array(CROWD, struct scene);

    ND_TRY(scene_init(&all[0]));
    for (size_t i = 1; i < CROWD; i++)
        all[i] = all[0];
    {
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("followers", 0);

        for (size_t i = 0; i < CROWD; i++)
            ND_TRY(nd_group_spawn(g, follow, &all[i]));
        for (uint64_t n = 0; n < 5; n++) {
            write_record(all[0].log, n);
            for (size_t i = 0; i < CROWD; i++)
                ND_TRY(until_next_is(&all[i], n + 1));
        }
        for (size_t i = 0; i < CROWD; i++)
            all[i].running = false;
        append_file(all[0].log, ND_STR("\n"));
        ND_TRY(nd_group_wait(g));
    }
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(all[i].next, 5);
    scene_fini(&all[0]);
    nd_free(all);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_record_arrives_once_and_the_end_after_the_loggers_last_byte),
        cmocka_unit_test(a_record_written_in_pieces_arrives_whole),
        cmocka_unit_test(a_follower_survives_a_hundred_rotations),
        cmocka_unit_test(older_files_of_a_logger_that_counts_from_one_again_are_not_repeated),
        cmocka_unit_test(files_that_go_while_the_reader_lags_are_read_when_they_are_held),
        cmocka_unit_test(who_does_not_follow_ends_with_the_file_that_was_current),
        cmocka_unit_test(who_lags_behind_the_limit_is_told_what_is_lost),
        cmocka_unit_test(lost_files_are_counted_exactly_by_who_does_not_hold),
        cmocka_unit_test(what_was_removed_unread_is_told_as_a_gap),
        cmocka_unit_test(a_removed_container_ends_its_followers),
        cmocka_unit_test(a_tail_can_be_followed_from_nothing),
        cmocka_unit_test(a_time_in_the_past_ends_a_follower),
        cmocka_unit_test(a_wait_ends_with_cancelling_and_deadline_and_can_go_on),
        cmocka_unit_test(a_crowd_of_followers_shares_one_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
