/*
 * What stands in a hosts file:
 *
 *     <what the user put there>
 *     # <nerdctl>
 *     127.0.0.1	localhost localhost.localdomain
 *     ::1		localhost localhost.localdomain
 *     10.0.0.5        db                                        extra hosts of the owner
 *     10.4.0.2        3f2a90c1d4e5 web                          every container on a network
 *     10.4.1.7        9ab0c1d2e3f4 9ab0c1d2e3f4.n api api.n     that the owner is on, itself included
 *     # </nerdctl>
 *
 * The user's lines are kept, but tidied as nerdctl does: comments and empty lines go, and so do
 * lines for 127.0.0.1 and ::1, which the block has.
 *
 * The metas were written by several programs: a text that would break a line is left out.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "store/limits.h"

#include "hosts_block_priv.h"

#define BLOCK_BEGIN "# <nerdctl>"
#define BLOCK_END   "# </nerdctl>"
#define LOCALHOSTS \
    "127.0.0.1\tlocalhost localhost.localdomain\n::1\t\tlocalhost localhost.localdomain\n"
#define PLAIN_NETWORK  "bridge" /* names without suffix only */
#define ADDRESS_MAX    64u
#define NAME_BYTES_MAX 1024u /* bytes of any one name that is believed */

void
nd_hosts_peers_add(struct nd_hosts_peers *peers, const char *id, struct nd_json *meta)
{
    peers->peers = nd_realloc(peers->peers, peers->n + 1, sizeof(*peers->peers));
    peers->peers[peers->n++] = (struct nd_hosts_peer){nd_strdup(id), meta};
}

static int
compare_peers(const void *a, const void *b)
{
    return strcmp(((const struct nd_hosts_peer *)a)->id, ((const struct nd_hosts_peer *)b)->id);
}

void
nd_hosts_peers_sort(struct nd_hosts_peers *peers)
{
    if (peers->n > 1)
        qsort(peers->peers, peers->n, sizeof(*peers->peers), compare_peers);
}

void
nd_hosts_peers_fini(struct nd_hosts_peers *peers)
{
    for (size_t i = 0; i < peers->n; i++) {
        nd_free(peers->peers[i].id);
        nd_json_free(peers->peers[i].meta);
    }
    nd_free(peers->peers);
    *peers = (struct nd_hosts_peers){0};
}

/* --- the user's lines ----------------------------------------------------------------------- */

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct nd_str
next_field(struct nd_str *rest)
{
    size_t start = 0, end;

    while (start < rest->len && is_space(rest->ptr[start]))
        start++;
    end = start;
    while (end < rest->len && !is_space(rest->ptr[end]))
        end++;
    struct nd_str field = nd_str_sub(*rest, start, end - start);
    *rest = nd_str_from(*rest, end);
    return field;
}

static bool
is_kept(struct nd_str line)
{
    struct nd_str field = next_field(&line);

    if (field.len == 0 || field.ptr[0] == '#' || field.ptr[0] == ';' ||
        nd_str_eqz(field, "127.0.0.1") || nd_str_eqz(field, "::1"))
        return false;
    while ((field = next_field(&line)).len > 0) {
        if (field.ptr[0] == '#')
            return false;
    }
    return true;
}

/* A line of the user's, with blanks for tabs. */
static struct nd_error *
put_user_line(struct nd_str line, struct nd_buf *out)
{
    size_t start = out->len;

    ND_TRY(nd_buf_add(out, line));
    for (size_t i = start; i < out->len; i++) {
        if (out->ptr[i] == '\t')
            out->ptr[i] = ' ';
    }
    return nd_buf_add(out, ND_STR("\n"));
}

static struct nd_error *
put_user_lines(struct nd_str current, struct nd_buf *out)
{
    struct nd_str line;
    bool in_block = false;

    while (nd_str_next(&current, '\n', &line)) {
        line = nd_str_trim(line);
        if (nd_str_eqz(line, BLOCK_BEGIN))
            in_block = true;
        else if (nd_str_eqz(line, BLOCK_END))
            in_block = false;
        else if (!in_block && is_kept(line))
            ND_TRY(put_user_line(line, out));
    }
    return NULL;
}

/* --- the block ------------------------------------------------------------------------------ */

/* Whether a text can stand as one name in a line. */
static bool
is_name(struct nd_str text)
{
    if (text.len == 0 || text.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || text.ptr[i] == '#')
            return false;
    }
    return true;
}

/* The address in "10.4.0.2/24", NUL behind; false for what is none, loopback or unspecified. */
static bool
usable_address(struct nd_str cidr, char ret[ADDRESS_MAX])
{
    struct nd_str address = nd_str_sub(cidr, 0, nd_str_find(cidr, '/'));
    struct in_addr v4;
    struct in6_addr v6;

    if (address.len == 0 || address.len >= ADDRESS_MAX)
        return false;
    memcpy(ret, address.ptr, address.len);
    ret[address.len] = '\0';
    if (inet_pton(AF_INET, ret, &v4) == 1)
        return v4.s_addr != htonl(INADDR_ANY) && ntohl(v4.s_addr) >> 24 != 127;
    return inet_pton(AF_INET6, ret, &v6) == 1 && !IN6_IS_ADDR_LOOPBACK(&v6) &&
           !IN6_IS_ADDR_UNSPECIFIED(&v6);
}

/* A line has at most six names, each of which was looked at by is_name(). */
#define LINE_INIT ND_BUF_INIT((size_t)16 * NAME_BYTES_MAX)

static void
put_address(struct nd_buf *line, const char *address)
{
    nd_buf_printf(line, "%-15s", address); /* the widest IPv4 address */
}

/* " name" and, on a network with a suffix, " name.network". */
static void
put_name(struct nd_buf *line, struct nd_str name, struct nd_str network)
{
    if (!is_name(name))
        return;
    nd_buf_printf(line, " %.*s", ND_STR_ARG(name));
    if (!nd_str_eqz(network, PLAIN_NETWORK) && is_name(network))
        nd_buf_printf(line, " %.*s.%.*s", ND_STR_ARG(name), ND_STR_ARG(network));
}

static struct nd_str
text_of(const struct nd_json *object, const char *key)
{
    return nd_json_string(nd_json_find(object, key));
}

/* One line: a peer's address on a network. */
static struct nd_error *
put_peer_line(struct nd_buf *out, const struct nd_json *meta, struct nd_str network,
              const char *address)
{
    ND_AUTO(nd_buf_fini) struct nd_buf line = LINE_INIT;
    struct nd_str hostname = text_of(meta, "Hostname"), domain = text_of(meta, "Domainname");
    struct nd_str name = text_of(meta, "Name");

    if (!is_name(hostname) && !is_name(name))
        return NULL;
    put_address(&line, address);
    if (is_name(hostname) && is_name(domain))
        nd_buf_printf(&line, " %.*s.%.*s", ND_STR_ARG(hostname), ND_STR_ARG(domain));
    put_name(&line, hostname, network);
    put_name(&line, name, network);
    nd_buf_putc(&line, '\n');
    return nd_buf_add(out, nd_buf_str(&line));
}

static bool
has_member(const struct nd_json *object, struct nd_str wanted)
{
    const struct nd_json *value;
    struct nd_str key;

    for (void *pos = NULL; nd_json_next(object, &pos, &key, &value);) {
        if (nd_str_eq(key, wanted))
            return true;
    }
    return false;
}

/* A peer's lines for one network. */
static struct nd_error *
put_peer_on(struct nd_buf *out, const struct nd_json *meta, struct nd_str network,
            const struct nd_json *result)
{
    const struct nd_json *ips = nd_json_find(result, "ips");
    char address[ADDRESS_MAX];

    for (size_t i = 0; i < nd_json_count(ips); i++) {
        if (usable_address(text_of(nd_json_at(ips, i), "address"), address))
            ND_TRY(put_peer_line(out, meta, network, address));
    }
    return NULL;
}

/* All lines of one peer, for a file whose owner is on the networks `shared`. */
static struct nd_error *
put_peer(struct nd_buf *out, const struct nd_json *meta, const struct nd_json *shared)
{
    const struct nd_json *networks = nd_json_find(meta, "Networks"), *result;
    struct nd_str network;

    for (void *pos = NULL; nd_json_next(networks, &pos, &network, &result);) {
        if (has_member(shared, network))
            ND_TRY(put_peer_on(out, meta, network, result));
    }
    return NULL;
}

static struct nd_error *
put_extra_hosts(struct nd_buf *out, const struct nd_json *meta)
{
    const struct nd_json *hosts = nd_json_find(meta, "ExtraHosts"), *value;
    struct nd_str host;

    for (void *pos = NULL; nd_json_next(hosts, &pos, &host, &value);) {
        ND_AUTO(nd_buf_fini) struct nd_buf line = LINE_INIT;
        struct nd_str ip = nd_json_string(value);

        if (!is_name(host) || !is_name(ip))
            continue;
        put_address(&line, ip.ptr); /* NUL stands behind it */
        nd_buf_printf(&line, " %.*s\n", ND_STR_ARG(host));
        ND_TRY(nd_buf_add(out, nd_buf_str(&line)));
    }
    return NULL;
}

struct nd_error *
nd_hosts_file_make(const struct nd_hosts_peers *peers, const struct nd_hosts_peer *owner,
                   struct nd_str current, struct nd_buf *out)
{
    const struct nd_json *shared = nd_json_find(owner->meta, "Networks");

    ND_TRY(put_user_lines(current, out));
    ND_TRY(nd_buf_add(out, ND_STR(BLOCK_BEGIN "\n" LOCALHOSTS)));
    ND_TRY(put_extra_hosts(out, owner->meta));
    for (size_t i = 0; i < peers->n; i++)
        ND_TRY(put_peer(out, peers->peers[i].meta, shared));
    return nd_buf_add(out, ND_STR(BLOCK_END "\n"));
}
