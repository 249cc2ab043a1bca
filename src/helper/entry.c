/*
 * From a container's output to entries of the json-file log, as Go's encoder writes them: besides
 * what JSON asks for, '<', '>', '&', U+2028 and U+2029 are escaped, and each byte that is not UTF-8
 * becomes the escape of U+FFFD. As that loses bytes, such an entry has them all once more, in
 * base64, behind what every reader knows.
 *
 * One pass: sixteen bytes at a time are copied and looked at, so that plain text costs little more
 * than its copy; the newline that ends the entry is found on the way. The tail of an entry (stream
 * and time) is made once per batch and copied as a block of constant size.
 *
 * An unescaped newline stands at the end of an entry and nowhere else: that is how the writer finds
 * the last whole entry after a short write, and how entries are counted.
 */

#include "helper/entry.h"

#include <string.h>
#if defined(__SSE2__) && !defined(ND_ENTRY_NO_SIMD)
#    include <emmintrin.h>
#endif

#define HEAD_LEN (sizeof(ND_ENTRY_HEAD) - 1)
#define TAIL_END "}\n"

/* What stands for a byte below 0x80; the empty text: the byte itself. */
struct escape {
    char text[7];
    uint8_t len;
};

/* clang-format off */
#define U(digits)  {"\\u00" digits, 6}
#define C(letter)  {"\\" letter, 2}
static const struct escape escapes[128] = {
    U("00"), U("01"), U("02"), U("03"), U("04"), U("05"), U("06"), U("07"),
    C("b"),  C("t"),  C("n"),  U("0b"), C("f"),  C("r"),  U("0e"), U("0f"),
    U("10"), U("11"), U("12"), U("13"), U("14"), U("15"), U("16"), U("17"),
    U("18"), U("19"), U("1a"), U("1b"), U("1c"), U("1d"), U("1e"), U("1f"),
    ['"'] = C("\""), ['\\'] = C("\\"), ['<'] = U("3c"), ['>'] = U("3e"), ['&'] = U("26"),
};
#undef U
#undef C
/* clang-format on */

void
nd_entry_tail_init(struct nd_entry_tail *tail, const char *stream, struct nd_wall at)
{
    static const char before[] = "\",\"stream\":\"", between[] = "\",\"time\":\"",
                      after[] = "\"" TAIL_END;
    char *p = tail->text;
    char time[ND_RFC3339_SIZE];
    size_t time_len = nd_wall_format(at, time);

    memset(tail->text, 0, sizeof(tail->text));
    p = mempcpy(p, before, sizeof(before) - 1);
    p = mempcpy(p, stream, strlen(stream));
    p = mempcpy(p, between, sizeof(between) - 1);
    p = mempcpy(p, time, time_len);
    p = mempcpy(p, after, sizeof(after) - 1);
    tail->len = (size_t)(p - tail->text);
}

/*
 * The length of the UTF-8 sequence at the front of [p, end), 0 when there is none. `*cut` says that
 * the bytes could still become one with more behind them.
 */
static size_t
sequence_length(const unsigned char *p, const unsigned char *end, bool *cut)
{
    size_t have = (size_t)(end - p), want;
    unsigned char low = 0x80, high = 0xbf;

    *cut = false;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    /* The second byte tells overlong forms, surrogates and what lies above U+10FFFF. */
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;

    for (size_t i = 1; i < want; i++, low = 0x80, high = 0xbf) {
        if (i == have) {
            *cut = true;
            return 0;
        }
        if (p[i] < low || p[i] > high)
            return 0;
    }
    return want;
}

/* Copy what is not ASCII, from `p` on. `*broken` becomes true where it is no UTF-8 either. */
static const unsigned char *
encode_high(const unsigned char *p, const unsigned char *end, char **dst, bool *broken)
{
    char *d = *dst;
    bool cut;

    while (p < end && *p >= 0x80) {
        size_t n = sequence_length(p, end, &cut);

        if (n == 0) {
            d = mempcpy(d, "\\ufffd", 6);
            p++;
            *broken = true;
        } else if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] | 1) == 0xa9) {
            d = mempcpy(d, p[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
            p += 3;
        } else {
            memcpy(d, p, n); /* at most 4 */
            d += n;
            p += n;
        }
    }
    *dst = d;
    return p;
}

/*
 * Copy plain bytes from `p` until one that is not, or `end`. May read ND_ENTRY_PAD bytes behind
 * `end` and write as many behind what it copied.
 */
#if defined(__SSE2__) && !defined(ND_ENTRY_NO_SIMD)
static const unsigned char *
copy_plain(const unsigned char *p, const unsigned char *end, char **dst)
{
    const __m128i space = _mm_set1_epi8(0x20); /* signed: bytes from 0x80 on are below it, too */
    char *d = *dst;

    for (;; p += 16, d += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i hit = _mm_cmplt_epi8(v, space);
        size_t n = (size_t)(end - p);
        unsigned mask;

        _mm_storeu_si128((__m128i *)d, v);
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
        /* '<' is 0x3c and '>' 0x3e: equal without that bit. */
        hit = _mm_or_si128(
            hit, _mm_cmpeq_epi8(_mm_andnot_si128(_mm_set1_epi8(2), v), _mm_set1_epi8('<')));
        mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0 || n <= 16) {
            size_t k = mask != 0 ? (size_t)__builtin_ctz(mask) : 16;

            k = k < n ? k : n;
            *dst = d + k;
            return p + k;
        }
    }
}
#else
static const unsigned char *
copy_plain(const unsigned char *p, const unsigned char *end, char **dst)
{
    char *d = *dst;

    while (p < end && *p < 0x80 && escapes[*p].len == 0)
        *d++ = (char)*p++;
    *dst = d;
    return p;
}
#endif

static char *
put_base64(char *d, const unsigned char *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (; len > 0; d += 4) {
        uint32_t v = (uint32_t)p[0] << 16;
        size_t n = len < 3 ? len : 3;

        if (n > 1)
            v |= (uint32_t)p[1] << 8;
        if (n > 2)
            v |= p[2];
        d[0] = digits[v >> 18];
        d[1] = digits[v >> 12 & 63];
        d[2] = digits[v >> 6 & 63];
        d[3] = digits[v & 63];
        memset(d + 1 + n, '=', 3 - n);
        p += n;
        len -= n;
    }
    return d;
}

/* One more member for the whole entry that ends at `d`: the bytes of the text as they came. */
static char *
append_raw(char *d, const unsigned char *p, size_t len)
{
    static const char raw[] = ",\"raw\":\"", after[] = "\"" TAIL_END;

    d = mempcpy(d - (sizeof(TAIL_END) - 1), raw, sizeof(raw) - 1);
    d = put_base64(d, p, len);
    return mempcpy(d, after, sizeof(after) - 1);
}

size_t
nd_entry_encode(struct nd_str src, const struct nd_entry_tail *tail, char **dst)
{
    const unsigned char *const start = (const unsigned char *)src.ptr;
    const unsigned char *const end = start + src.len;
    const unsigned char *p = start;
    char *d = *dst;
    bool broken = false;

    memcpy(d, ND_ENTRY_HEAD, HEAD_LEN);
    d += HEAD_LEN;
    for (;;) {
        p = copy_plain(p, end, &d);
        if (p == end)
            break;
        if (*p >= 0x80) {
            p = encode_high(p, end, &d, &broken);
            continue;
        }
        memcpy(d, escapes[*p].text, sizeof(escapes[*p].text));
        d += escapes[*p].len;
        if (*p++ == '\n')
            break;
    }
    memcpy(d, tail->text, sizeof(tail->text));
    d += tail->len;
    if (broken)
        d = append_raw(d, start, (size_t)(p - start));
    *dst = d;
    return (size_t)(p - start);
}

size_t
nd_entry_cut_off(struct nd_str text)
{
    const unsigned char *end = (const unsigned char *)text.ptr + text.len;

    for (size_t n = 1; n <= 3 && n <= text.len; n++) {
        bool cut;

        if (end[-(ptrdiff_t)n] < 0x80)
            break;
        if (sequence_length(end - n, end, &cut) == 0 && cut)
            return n;
    }
    return 0;
}

/* How many bytes of text the one escape at `p` stands for, and how long it is. */
static size_t
escape_meaning(const char *p, size_t *ret_len)
{
    *ret_len = p[1] == 'u' ? 6 : 2;
    return p[1] == 'u' && p[2] == '2' ? 3 : 1; /* U+2028 and U+2029 alone are no single byte */
}

void
nd_entry_count(struct nd_str encoded, uint64_t *ret_entries, uint64_t *ret_bytes)
{
    const char *p = encoded.ptr, *end = encoded.ptr + encoded.len;

    *ret_entries = 0;
    *ret_bytes = 0;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));

        if (line_end == NULL)
            break;
        for (p += HEAD_LEN; *p != '"';) {
            size_t len = 1;

            *ret_bytes += *p == '\\' ? escape_meaning(p, &len) : 1;
            p += len;
        }
        ++*ret_entries;
        p = line_end + 1;
    }
}
