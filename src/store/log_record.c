/*
 * Records of the json-file log, in place.
 *
 * A log of a gigabyte is read on the loop that serves everybody, so this is written for speed:
 * about as fast as memory for plain text. The idea is that nearly every record has one shape,
 *
 *     {"log":"...\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z"}
 *              ^ scan for '"', '\' and control bytes, 16 at a time; the text stays where it is
 *
 * so each part is compared with what is expected there. Whatever differs (other keys, other order,
 * white space) is read from that point on by a plain JSON walk; what is no JSON either is skipped
 * to the end of its line.
 *
 * A record of bytes that are not UTF-8 has them behind the time, in base64; this, too, is decoded
 * where it stands, when the whole record has been seen (log_raw.c).
 *
 * A decoded text is never longer than its JSON form: it is written over it, and most texts do not
 * even move, as their only escape is the newline at the end. Timestamps of one second share their
 * first 19 bytes, which are parsed once.
 *
 * Every scan stops at '\n', which no JSON text holds, and the region that is looked at ends with
 * one: no other bound is checked, but up to ND_LOG_DECODE_PAD bytes behind it may be loaded.
 */

#include "store/log_record.h"

#include <string.h>

#include "log_raw_priv.h"

#if defined(__SSE2__) && !defined(ND_LOG_NO_SIMD)
#    include <emmintrin.h>
#endif

#define HEAD         "{\"log\":\""
#define HEAD_LEN     (sizeof(HEAD) - 1)
#define SECOND_LEN   19u /* "2024-01-02T03:04:05" */
#define TIME_MAX_LEN 40u
#define NEST_MAX     64u /* of a value that is not ours */

/* One record on its way. Positions run through the text; `at` is the next byte to look at. */
struct record {
    char *at;
    struct nd_log_entry entry;
    struct nd_str raw; /* the value of "raw", not decoded */
    bool seen;         /* it had at least one of our keys */
};

/* What was parsed last: the seconds of records that follow one another are mostly the same. */
struct second_cache {
    char text[SECOND_LEN];
    int64_t sec;
};

/* --- scanning ------------------------------------------------------------------------------- */

/* The first byte from `p` on that ends a plain stretch of a JSON text: '"', '\' or below 0x20. */
#if defined(__SSE2__) && !defined(ND_LOG_NO_SIMD)
static char *
scan_plain(char *p)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);

    for (;; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash));
        unsigned mask;

        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
}
#else
static char *
scan_plain(char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;

    /* A byte is zero where (x - 1) borrows and x had no high bit; may report a byte too early, never
     * too late: the plain loop then looks at each of the eight. */
    for (;; p += 8) {
        uint64_t v, q, b;

        memcpy(&v, p, sizeof(v));
        q = v ^ (ones * '"');
        b = v ^ (ones * '\\');
        if ((((q - ones) & ~q) | ((b - ones) & ~b) | ((v - ones * 0x20) & ~v)) & highs)
            break;
    }
    while (*p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}
#endif

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at `p`, or -1. */
static int32_t
parse_hex4(const char *p)
{
    int32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);

        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

static char *
put_utf8(char *dst, uint32_t c)
{
    if (c < 0x80) {
        *dst++ = (char)c;
    } else if (c < 0x800) {
        *dst++ = (char)(0xc0 | c >> 6);
        *dst++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *dst++ = (char)(0xe0 | c >> 12);
        *dst++ = (char)(0x80 | (c >> 6 & 0x3f));
        *dst++ = (char)(0x80 | (c & 0x3f));
    } else {
        *dst++ = (char)(0xf0 | c >> 18);
        *dst++ = (char)(0x80 | (c >> 12 & 0x3f));
        *dst++ = (char)(0x80 | (c >> 6 & 0x3f));
        *dst++ = (char)(0x80 | (c & 0x3f));
    }
    return dst;
}

/* "uXXXX" at *src, perhaps the first half of a pair. A half alone becomes U+FFFD, as in Go. */
static bool
unescape_u(char **src, char **dst)
{
    char *p = *src;
    int32_t c = parse_hex4(p + 1);

    if (c < 0)
        return false;
    p += 5;
    if (c >= 0xd800 && c <= 0xdbff && p[0] == '\\' && p[1] == 'u') {
        int32_t low = parse_hex4(p + 2);

        if (low >= 0xdc00 && low <= 0xdfff) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
    }
    if (c >= 0xd800 && c <= 0xdfff)
        c = 0xfffd;
    *dst = put_utf8(*dst, (uint32_t)c);
    *src = p;
    return true;
}

/* What an escape character stands for; 0: nothing, or 'u'. */
static const char unescaped[256] = {
    ['n'] = '\n', ['"'] = '"',  ['\\'] = '\\', ['t'] = '\t',
    ['r'] = '\r', ['b'] = '\b', ['f'] = '\f',  ['/'] = '/',
};

/* One escape at *src, its meaning to *dst. On failure *src is the byte that cannot be. */
static bool
unescape(char **src, char **dst)
{
    char c = unescaped[(unsigned char)(*src)[1]];

    if (c != 0) {
        *(*dst)++ = c;
        *src += 2;
        return true;
    }
    ++*src;
    return **src == 'u' && unescape_u(src, dst);
}

/*
 * A JSON text whose first byte is *at; written over itself. On success *at stands behind the
 * closing quote, on failure at the byte that cannot be.
 */
static bool
decode_text(char **at, struct nd_str *ret)
{
    char *const start = *at;
    char *src = scan_plain(start), *dst = src;
    bool good = true;

    while (good && *src == '\\') {
        char *next;

        good = unescape(&src, &dst);
        next = scan_plain(src);
        if (good && next != src) {
            memmove(dst, src, (size_t)(next - src));
            dst += next - src;
            src = next;
        }
    }
    *at = src;
    if (!good || *src != '"')
        return false;
    *at = src + 1;
    *ret = nd_str_n(start, (size_t)(dst - start));
    return true;
}

/* --- time ----------------------------------------------------------------------------------- */

static int64_t
parse_second_text(const char *p)
{
    struct nd_wall at;
    char text[SECOND_LEN + 1];
    struct nd_error *err;

    memcpy(text, p, SECOND_LEN);
    text[SECOND_LEN] = 'Z';
    err = nd_wall_parse(nd_str_n(text, sizeof(text)), &at);
    if (err != NULL) {
        nd_error_free(err);
        return INT64_MIN;
    }
    return at.sec;
}

/* The common form, in UTC, at *at. On failure nothing has moved. */
static bool
parse_time_utc(char **at, struct second_cache *cache, struct nd_wall *ret)
{
    const char *p = *at;
    int32_t nsec = 0, unit = 100000000;

    if (memcmp(p, cache->text, SECOND_LEN) != 0) {
        int64_t sec = parse_second_text(p);

        if (sec == INT64_MIN)
            return false;
        memcpy(cache->text, p, SECOND_LEN);
        cache->sec = sec;
    }
    p += SECOND_LEN;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && unit > 0; p++, unit /= 10)
            nsec += (*p - '0') * unit;
    }
    if (p[0] != 'Z' || p[1] != '"')
        return false;
    *at += p + 2 - *at;
    *ret = (struct nd_wall){cache->sec, nsec};
    return true;
}

/* Any other form. A time that cannot be read is no reason to lose the text. */
static void
parse_time_any(struct nd_str text, struct nd_wall *ret)
{
    struct nd_error *err = text.len <= TIME_MAX_LEN ? nd_wall_parse(text, ret) : NULL;

    nd_error_free(err);
}

/* --- records -------------------------------------------------------------------------------- */

static void
skip_space(char **at)
{
    while (**at == ' ' || **at == '\t' || **at == '\r')
        ++*at;
}

/* One byte of a value that is no text, and what it does to the depth. False: it cannot be here. */
static bool
skip_byte(char c, unsigned *depth, bool *at_end)
{
    *at_end = false;
    if (c == '{' || c == '[')
        return ++*depth <= NEST_MAX;
    if (c == '}' || c == ']' || c == ',') {
        *at_end = *depth == 0;
        if (c != ',' && !*at_end)
            --*depth;
    }
    return c != '\n';
}

/*
 * A value of somebody else's key: texts, numbers, words, lists and objects, checked only roughly.
 */
static bool
skip_value(char **at)
{
    unsigned depth = 0;
    bool at_end = false;

    while (!at_end) {
        struct nd_str ignored;

        if (**at == '"') {
            ++*at;
            if (!decode_text(at, &ignored))
                return false;
        } else if (!skip_byte(**at, &depth, &at_end)) {
            return false;
        } else if (!at_end) {
            ++*at;
        }
    }
    return true;
}

static void
take_member(struct record *r, struct nd_str key, struct nd_str value)
{
    if (nd_str_eqz(key, "log")) {
        r->entry.bytes = value;
    } else if (nd_str_eqz(key, "stream")) {
        r->entry.stream = nd_str_eqz(value, "stderr") ? ND_LOG_STDERR : ND_LOG_STDOUT;
    } else if (nd_str_eqz(key, "time")) {
        parse_time_any(value, &r->entry.at);
    } else if (nd_str_eqz(key, "raw")) {
        r->raw = value;
        return; /* alone it is nothing */
    } else {
        return;
    }
    r->seen = true;
}

/* One `"key":value`; `at` stands at the quote. */
static bool
parse_member(struct record *r)
{
    struct nd_str key, value;

    if (*r->at != '"')
        return false;
    r->at++;
    if (!decode_text(&r->at, &key))
        return false;
    skip_space(&r->at);
    if (*r->at != ':')
        return false;
    r->at++;
    skip_space(&r->at);
    if (*r->at != '"')
        return skip_value(&r->at);
    r->at++;
    if (!decode_text(&r->at, &value))
        return false;
    take_member(r, key, value);
    return true;
}

/*
 * The record is whole: its "raw" counts, if it can be what the helper wrote for such a text. Each
 * byte is at least one in "log", and at most the three of U+FFFD.
 */
static void
use_raw(struct record *r)
{
    char *raw = r->at - (r->at - r->raw.ptr); /* the same place, and writable */
    size_t len = log_raw_len(r->raw), text_len = r->entry.bytes.len;

    if (len == 0 || len > text_len || text_len > 3 * len)
        return;
    if (log_raw_decode(raw, r->raw.len))
        r->entry.bytes = nd_str_n(raw, len);
}

/* The rest of an object, from behind a member on. */
static bool
parse_rest(struct record *r)
{
    for (;;) {
        skip_space(&r->at);
        if (*r->at == '}') {
            r->at++;
            if (r->raw.len > 0)
                use_raw(r);
            return r->seen;
        }
        if (*r->at != ',')
            return false;
        r->at++;
        skip_space(&r->at);
        if (!parse_member(r))
            return false;
    }
}

static bool
parse_object(struct record *r)
{
    skip_space(&r->at);
    if (*r->at != '{')
        return false;
    r->at++;
    skip_space(&r->at);
    if (*r->at == '}')
        return false;
    return parse_member(r) && parse_rest(r);
}

/* What follows the text in the common form. Moves on as far as it is so. */
static void
parse_usual_tail(struct record *r, struct second_cache *cache)
{
    static const char stream[] = ",\"stream\":\"std", time[] = "\",\"time\":\"";
    const size_t stream_len = sizeof(stream) - 1, time_len = sizeof(time) - 1;
    char *p = r->at, *after;

    if (memcmp(p, stream, stream_len) != 0)
        return;
    p += stream_len;
    if (memcmp(p, "out", 3) == 0)
        r->entry.stream = ND_LOG_STDOUT;
    else if (memcmp(p, "err", 3) == 0)
        r->entry.stream = ND_LOG_STDERR;
    else
        return;
    p += 3;
    if (memcmp(p, time, time_len) != 0) {
        if (*p == '"')
            r->at = p + 1;
        return;
    }
    after = p + time_len;
    if (parse_time_utc(&after, cache, &r->entry.at))
        r->at = after;
    else
        r->at = p + 1; /* `,"time":...` in another form is left to the plain walk */
}

/* One record at `r->at`. On failure `r->at` is the byte that could not be, or one before it. */
static bool
parse_record(struct record *r, struct second_cache *cache)
{
    if (memcmp(r->at, HEAD, HEAD_LEN) != 0)
        return parse_object(r);
    r->at += HEAD_LEN;
    if (!decode_text(&r->at, &r->entry.bytes))
        return false;
    r->seen = true;
    parse_usual_tail(r, cache);
    if (*r->at == '}') {
        r->at++;
        return true;
    }
    return parse_rest(r);
}

/*
 * The last place in [from, line_end) where a record begins, or NULL. Inside a text the quotes would
 * be escaped, so what looks like a beginning is one: a logger was killed in mid-record and the next
 * one went on behind it.
 */
static char *
find_last_head(char *from, char *line_end)
{
    char *found = NULL, *p = from;

    while ((p = memmem(p, (size_t)(line_end - p), HEAD, HEAD_LEN)) != NULL) {
        found = p;
        p += HEAD_LEN;
    }
    return found;
}

/*
 * The line at `line` could not be read up to r->at. Keep the whole record at its end, if there is
 * one. Its beginning can be as early as two bytes before: its first quote looked like the end of
 * the torn text. From there on the bytes are as they were read, as a text is only ever moved
 * towards the front. Otherwise r->at is left at the newline. `*skipped` grows by what is given up.
 */
static bool
recover(struct record *r, const char *line, struct second_cache *cache, size_t *skipped)
{
    char *from = r->at > line + 1 ? r->at - 2 : r->at;
    char *line_end = rawmemchr(from, '\n');
    char *head = find_last_head(from, line_end);

    if (head != NULL) {
        *r = (struct record){.at = head, .entry = {.stream = ND_LOG_STDOUT}};
        if (parse_record(r, cache)) {
            *skipped += (size_t)(head - line);
            return true;
        }
    }
    r->at = line_end;
    *skipped += (size_t)(line_end + 1 - line);
    return false;
}

void
nd_log_decode(char *text, size_t len, struct nd_log_entry *entries, size_t max, size_t max_payload,
              struct nd_log_decoded *ret)
{
    const char *last = len > 0 ? memrchr(text, '\n', len) : NULL;
    const char *end = last != NULL ? last + 1 : text;
    struct second_cache cache = {.text = {0}};
    struct nd_log_decoded d = {0};
    char *p = text;

    while (p < end && d.n < max && d.payload < max_payload) {
        struct record r = {.at = p, .entry = {.stream = ND_LOG_STDOUT}};
        bool got = parse_record(&r, &cache) || recover(&r, p, &cache, &d.skipped);

        skip_space(&r.at);
        p = *r.at == '\n' ? r.at + 1 : r.at;
        if (got) {
            entries[d.n++] = r.entry;
            d.payload += r.entry.bytes.len;
        }
    }
    d.consumed = (size_t)(p - text);
    *ret = d;
}
