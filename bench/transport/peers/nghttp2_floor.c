/*
 * What nghttp2 alone can send: any request is answered with `bytes` bytes in one stream, from one
 * buffer, by a bare loop around one connection. The floor of the streaming benchmark; no gRPC.
 *
 *     nghttp2_floor BYTES [CERT KEY]
 *
 * Prints its port; serves one connection after the other until killed.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#define BATCH (256u << 10)

static uint8_t chunk[16384];

struct floor_conn {
    int fd;
    SSL *ssl; /* NULL: cleartext */
    uint64_t left;
    uint64_t total;
    uint8_t batch[BATCH];
};

static ssize_t
read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
          nghttp2_data_source *source, void *user)
{
    struct floor_conn *conn = source->ptr;
    size_t n = len < sizeof(chunk) ? len : sizeof(chunk);
    const nghttp2_nv trailer = {(uint8_t *)"grpc-status", (uint8_t *)"0", 11, 1, 0};

    (void)user;
    if (n > conn->left)
        n = (size_t)conn->left;
    memcpy(buf, chunk, n);
    conn->left -= n;
    if (conn->left == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, &trailer, 1);
    }
    return (ssize_t)n;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct floor_conn *conn = user;
    const nghttp2_nv headers[] = {
        {(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0},
        {(uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16, 0},
    };
    const nghttp2_data_provider body = {.source = {.ptr = conn}, .read_callback = read_body};

    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || frame->hd.stream_id == 0)
        return 0;
    conn->left = conn->total;
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &body);
}

static ssize_t
get(struct floor_conn *conn, void *buf, size_t n)
{
    return conn->ssl != NULL ? SSL_read(conn->ssl, buf, (int)n) : read(conn->fd, buf, n);
}

static bool
put(struct floor_conn *conn, const uint8_t *buf, size_t n)
{
    while (n > 0) {
        ssize_t done =
            conn->ssl != NULL ? SSL_write(conn->ssl, buf, (int)n) : write(conn->fd, buf, n);

        if (done <= 0)
            return false;
        buf += done;
        n -= (size_t)done;
    }
    return true;
}

/* Everything that may be sent now, in large writes. */
static bool
flush(struct floor_conn *conn, nghttp2_session *session)
{
    size_t used = 0;

    for (;;) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(session, &bytes);

        if (n < 0)
            return false;
        if (n == 0)
            break;
        if (used + (size_t)n > BATCH) {
            if (!put(conn, conn->batch, used))
                return false;
            used = 0;
        }
        memcpy(conn->batch + used, bytes, (size_t)n);
        used += (size_t)n;
    }
    return put(conn, conn->batch, used);
}

static void
serve(struct floor_conn *conn)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100}};
    static uint8_t in[65536];
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    ssize_t n;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_server_new(&session, callbacks, conn);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, 0, settings, 1);
    do {
        if (!flush(conn, session))
            break;
        n = get(conn, in, sizeof(in));
    } while (n > 0 && nghttp2_session_mem_recv(session, in, (size_t)n) == n);
    nghttp2_session_del(session);
}

static int
choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
          unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    return nghttp2_select_next_protocol((unsigned char **)out, out_len, in, in_len) == 1
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *
tls_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        exit(1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
    return ctx;
}

int
main(int argc, char **argv)
{
    static struct floor_conn conn;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL_CTX *ctx = argc == 4 ? tls_context(argv[2], argv[3]) : NULL;

    for (const char *digit = argv[1]; *digit != '\0'; digit++)
        conn.total = conn.total * 10 + (uint64_t)(*digit - '0');
    if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
        return 1;
    printf("%u\n", ntohs(addr.sin_port));
    fflush(stdout);
    while ((conn.fd = accept(listener, NULL, NULL)) >= 0) {
        conn.ssl = NULL;
        if (ctx != NULL) {
            conn.ssl = SSL_new(ctx);
            SSL_set_fd(conn.ssl, conn.fd);
        }
        if (conn.ssl == NULL || SSL_accept(conn.ssl) == 1)
            serve(&conn);
        SSL_free(conn.ssl);
        close(conn.fd);
    }
    return 1;
}
