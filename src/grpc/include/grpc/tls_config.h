#ifndef GRPC_TLS_CONFIG_H
#define GRPC_TLS_CONFIG_H

/* TLS settings of a listener or a channel are those of the room below. */

#include "net/tls_config.h"

#endif
