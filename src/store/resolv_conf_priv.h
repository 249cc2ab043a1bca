#ifndef STORE_RESOLV_CONF_PRIV_H
#define STORE_RESOLV_CONF_PRIV_H

/* The content of a container's resolv.conf, from that of the host. Context: any. */

#include "base/buf.h"
#include "store/state.h"

/* Whether the only name server is that of systemd-resolved, which containers cannot reach. */
bool nd_resolv_conf_is_stub(struct nd_str host);

/* Texts with white space or control characters would become other lines. Fails: ND_INVALID. */
struct nd_error *nd_dns_check(const struct nd_dns *dns) ND_CHECK_RESULT;

/* `host` is the host's file; appended to `buf`. */
void nd_resolv_conf_make(struct nd_str host, enum nd_net_mode mode, const struct nd_dns *dns,
                         struct nd_buf *buf);

#endif
