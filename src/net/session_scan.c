/*
 * A look at the heads of frames, before nghttp2 gets them.
 *
 *     length 3 | type 1 | flags 1 | stream 4        then `length` bytes, which are not looked at
 *
 * Three things are seen here that nghttp2 does not show. Frames that carry nothing cost their
 * sender little and us more: they are counted, also those that nghttp2 would ignore. And a peer
 * that goes on with a stream which it has ended itself breaks the protocol (RFC 9113, 5.1). nghttp2
 * could tell that from frames for a stream that we have reset, which were on their way and are
 * ignored, but only by keeping up to 256 closed streams, 64 KiB of them, in every connection. The
 * ids of the streams that the peer has ended last serve as well; an older one is ignored. And
 * whether a block of headers is complete: nothing may come in between, so that a peer which keeps
 * us waiting for the rest of one holds its connection, and shall not hold it for long.
 *
 * One kind of frame is kept from nghttp2: the reset of a stream that was never opened. gRPC's C
 * core sends it for a call that is cancelled before its headers have left, and then never opens
 * that stream. The letter of the protocol makes it an error of the connection (RFC 9113, 5.1),
 * which would end all the other calls of an honest client; other servers ignore it. So do we, but
 * count it, and on a connection that has carried a request already: who begins like that is no such
 * client.
 *
 * To keep a frame back its head must be known first: bytes of an incomplete head wait here.
 */

#include "session_priv.h"

#define HEAD_BYTES     9u
#define PREFACE_BYTES  24u
#define RESET_BYTES    4u
#define STREAM_ID_MASK 0x7fffffffu
#define PADDED_MOST    256u /* a frame of padding alone is no longer */

void
nd_session_init_scan(struct nd_session *session)
{
    session->scan.skip = session->role == ND_SESSION_SERVER ? PREFACE_BYTES : 0;
}

/* Mostly it is the latest stream, and newer than any that has ended. */
static bool
has_ended(const struct nd_frame_scan *scan, uint32_t id)
{
    if (id > scan->ended_most)
        return false;
    for (size_t i = 0; i < ND_LEN(scan->ended); i++) {
        if (scan->ended[i] == id)
            return true;
    }
    return false;
}

static void
note_ended(struct nd_frame_scan *scan, uint32_t id)
{
    if (has_ended(scan, id))
        return;
    scan->ended_most = ND_MAX(scan->ended_most, id);
    scan->ended[scan->ended_pos] = id;
    scan->ended_pos = (scan->ended_pos + 1) % ND_LEN(scan->ended);
}

/* server: the reset of a stream that the client has never opened. */
static bool
is_reset_of_nothing(const struct nd_frame_scan *scan, unsigned type, uint32_t id)
{
    return type == NGHTTP2_RST_STREAM && id % 2 == 1 && id > scan->last_id && scan->last_id != 0;
}

/* server: whether the client may send this on that stream. */
static void
check_order(struct nd_session *session, unsigned type, unsigned flags, uint32_t id)
{
    struct nd_frame_scan *scan = &session->scan;
    bool carries = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS;

    if (id == 0)
        return;
    if (carries && has_ended(scan, id))
        nd_session_terminate(session, ND_H2_STREAM_CLOSED, "a frame on a closed stream");
    if (type == NGHTTP2_RST_STREAM || (carries && (flags & NGHTTP2_FLAG_END_STREAM) != 0))
        note_ended(scan, id);
    if (type == NGHTTP2_HEADERS)
        scan->last_id = ND_MAX(scan->last_id, id);
}

/* Requests and their ends have meters of their own. */
static bool
is_idle_frame(unsigned type, unsigned flags, size_t len)
{
    switch (type) {
    case NGHTTP2_DATA:
        if ((flags & NGHTTP2_FLAG_END_STREAM) != 0)
            return false;
        return len == 0 || (len <= PADDED_MOST && (flags & NGHTTP2_FLAG_PADDED) != 0);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_GOAWAY:
        return false;
    default:
        return true;
    }
}

static void
look_at(struct nd_session *session, const uint8_t h[HEAD_BYTES])
{
    size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
    uint32_t id =
        ((uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8]) & STREAM_ID_MASK;

    session->scan.skip = len;
    session->scan.drop = session->role == ND_SESSION_SERVER && len == RESET_BYTES &&
                         is_reset_of_nothing(&session->scan, h[3], id);
    session->scan.in_headers = h[3] == NGHTTP2_HEADERS || h[3] == NGHTTP2_CONTINUATION;
    session->scan.more_headers = (h[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
    if (session->role == ND_SESSION_SERVER && !session->scan.drop)
        check_order(session, h[3], h[4], id);
    if ((session->scan.drop || is_idle_frame(h[3], h[4], len)) &&
        !nd_meter_take(&session->idle_meter, ND_NET_IDLE_FRAMES))
        nd_session_terminate(session, ND_H2_ENHANCE_YOUR_CALM, "too many frames without content");
}

/* A part of a head, or all of it. */
static void
take_head(struct nd_session *session, struct nd_str *bytes)
{
    struct nd_frame_scan *scan = &session->scan;
    size_t n = ND_MIN(bytes->len, HEAD_BYTES - scan->have);

    memcpy(scan->head + scan->have, bytes->ptr, n);
    *bytes = nd_str_from(*bytes, n);
    scan->have += n;
    if (scan->have < HEAD_BYTES)
        return;
    scan->have = 0;
    look_at(session, scan->head);
}

static void
take_payload(struct nd_frame_scan *scan, struct nd_str *bytes)
{
    size_t n = ND_MIN(bytes->len, scan->skip);

    *bytes = nd_str_from(*bytes, n);
    scan->skip -= n;
}

/* The rest of a head that began in an earlier part. */
static struct nd_str
complete_head(struct nd_session *session, struct nd_str *bytes)
{
    struct nd_frame_scan *scan = &session->scan;

    take_head(session, bytes);
    return scan->have != 0 || scan->drop ? ND_STR_NONE : nd_str_n(scan->head, HEAD_BYTES);
}

struct nd_str
nd_session_scan(struct nd_session *session, struct nd_str *bytes)
{
    struct nd_frame_scan *scan = &session->scan;
    struct nd_str part;

    if (scan->have != 0)
        return complete_head(session, bytes);
    if (scan->drop) {
        take_payload(scan, bytes);
        scan->drop = scan->skip != 0;
        return ND_STR_NONE;
    }
    part = *bytes;
    do {
        take_payload(scan, bytes);
        part.len = (size_t)(bytes->ptr - part.ptr);
        if (bytes->len != 0)
            take_head(session, bytes);
        if (scan->have == 0 && !scan->drop)
            part.len = (size_t)(bytes->ptr - part.ptr);
    } while (bytes->len != 0 && !scan->drop);
    return part;
}

bool
nd_session_in_block(const struct nd_session *session)
{
    const struct nd_frame_scan *scan = &session->scan;

    return scan->in_headers && (scan->more_headers || scan->skip != 0);
}
