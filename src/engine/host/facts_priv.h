#ifndef HOST_FACTS_PRIV_H
#define HOST_FACTS_PRIV_H

#include "host/host.h"

/* Look at kernel and machine. Reads small files of /proc and /sys. Context: any. */
void nd_host_find_facts(struct nd_host_facts *ret);

#endif
