/*
 * resolv.conf of a container.
 *
 * Each of the three parts (search domains, name servers, options) is what the user gave, else what
 * the host has. A loopback address of the host is of no use in a container with a network of its
 * own; if nothing else is left, public servers take the place:
 *
 *   CNI    the host's IPv4 servers; if only IPv6 ones are left, none at all
 *   none   the host's servers of both families
 *   host   the host's servers, loopback included
 *
 * These are nerdctl's rules, its treatment of IPv6 included.
 */

#include <arpa/inet.h>
#include <string.h>

#include "store/limits.h"

#include "resolv_conf_priv.h"

#define STUB        "127.0.0.53"
#define ADDRESS_MAX 64u /* "fe80::...%zone" */

static const char *const public_v4[] = {"8.8.8.8", "8.8.4.4"};
static const char *const public_v6[] = {"2001:4860:4860::8888", "2001:4860:4860::8844"};

/* Cut the next word off the front; false at the end of the line. */
static bool
next_word(struct nd_str *rest, struct nd_str *ret)
{
    size_t n = 0;

    *rest = nd_str_trim(*rest);
    while (n < rest->len && strchr(" \t\r\v\f", rest->ptr[n]) == NULL)
        n++;
    *ret = nd_str_sub(*rest, 0, n);
    *rest = nd_str_from(*rest, n);
    return n > 0;
}

/* The next line that begins with `keyword`, without it and without a comment. */
static bool
next_line(struct nd_str *rest, const char *keyword, struct nd_str *ret)
{
    struct nd_str line, word;

    while (nd_str_next(rest, '\n', &line)) {
        size_t comment = nd_str_find(line, '#');

        line = nd_str_sub(line, 0, comment);
        if (next_word(&line, &word) && nd_str_eqz(word, keyword)) {
            *ret = nd_str_trim(line);
            return true;
        }
    }
    return false;
}

static bool
is_v4(struct nd_str address)
{
    char text[ADDRESS_MAX];
    struct in_addr ignored;
    struct nd_error *err = nd_str_copy(text, sizeof(text), address, "address");
    bool good = err == NULL && inet_pton(AF_INET, text, &ignored) == 1;

    nd_error_free(err);
    return good;
}

/* A scope ("%eth0") may follow. */
static bool
is_v6(struct nd_str address)
{
    char text[ADDRESS_MAX];
    struct in6_addr ignored;
    struct nd_error *err = nd_str_copy(
        text, sizeof(text), nd_str_sub(address, 0, nd_str_find(address, '%')), "address");
    bool good = err == NULL && inet_pton(AF_INET6, text, &ignored) == 1;

    nd_error_free(err);
    return good;
}

static bool
is_loopback(struct nd_str address)
{
    return nd_str_starts(address, ND_STR("127.")) || nd_str_eqz(address, "::1");
}

bool
nd_resolv_conf_is_stub(struct nd_str host)
{
    struct nd_str line, address;
    size_t n = 0;

    for (; next_line(&host, "nameserver", &line); n++) {
        if (!next_word(&line, &address) || !nd_str_eqz(address, STUB))
            return false;
    }
    return n == 1;
}

static struct nd_error *
check_words(const char *const *words, size_t n, const char *field)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += strlen(words[i]) + 1;
        if (bytes > ND_STORE_DNS_MAX)
            return nd_error_field(field, "has more than %zu bytes", ND_STORE_DNS_MAX);
        if (words[i][0] == '\0')
            return nd_error_field(field, "has an empty text");
        for (const char *p = words[i]; *p != '\0'; p++) {
            if ((unsigned char)*p <= ' ' || *p == 0x7f)
                return nd_error_field(field, "has a text with white space");
        }
    }
    return NULL;
}

struct nd_error *
nd_dns_check(const struct nd_dns *dns)
{
    ND_TRY(check_words(dns->servers, dns->n_servers, "dns"));
    ND_TRY(check_words(dns->searches, dns->n_searches, "dns_search"));
    return check_words(dns->options, dns->n_options, "dns_opts");
}

/* One line of words: those given, else those of the host's last such line. */
static void
put_words(struct nd_buf *buf, const char *keyword, const char *const *given, size_t n,
          struct nd_str host)
{
    struct nd_str line, words = ND_STR_NONE, word;
    size_t start = buf->len;

    nd_buf_putz(buf, keyword);
    for (size_t i = 0; i < n; i++)
        nd_buf_printf(buf, " %s", given[i]);
    while (n == 0 && next_line(&host, keyword, &line))
        words = line;
    while (next_word(&words, &word))
        nd_buf_printf(buf, " %.*s", ND_STR_ARG(word));
    nd_buf_putc(buf, '\n');

    line = nd_str_from(nd_buf_str(buf), start + strlen(keyword));
    if (line.len == 1 || nd_str_eqz(line, " .\n"))
        buf->ptr[buf->len = start] = '\0';
}

static void
put_servers(struct nd_buf *buf, const char *const *servers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        nd_buf_printf(buf, "nameserver %s\n", servers[i]);
}

/* The host's servers, as far as the mode takes them. */
static void
put_host_servers(struct nd_buf *buf, struct nd_str host, enum nd_net_mode mode)
{
    struct nd_str line, address;
    bool usable = false;

    while (next_line(&host, "nameserver", &line)) {
        if (!next_word(&line, &address) || (!is_v4(address) && !is_v6(address)) ||
            (mode != ND_NET_HOST && is_loopback(address)))
            continue;
        usable = true;
        if (mode != ND_NET_CNI || is_v4(address))
            nd_buf_printf(buf, "nameserver %.*s\n", ND_STR_ARG(address));
    }
    if (usable || mode == ND_NET_HOST)
        return;
    put_servers(buf, public_v4, ND_LEN(public_v4));
    if (mode == ND_NET_NONE)
        put_servers(buf, public_v6, ND_LEN(public_v6));
}

void
nd_resolv_conf_make(struct nd_str host, enum nd_net_mode mode, const struct nd_dns *dns,
                    struct nd_buf *buf)
{
    put_words(buf, "search", dns->searches, dns->n_searches, host);
    if (dns->n_servers > 0)
        put_servers(buf, dns->servers, dns->n_servers);
    else
        put_host_servers(buf, host, mode);
    put_words(buf, "options", dns->options, dns->n_options, host);
}
