#ifndef GRPC_COMPRESSION_H
#define GRPC_COMPRESSION_H

/* How messages that are sent may be compressed. Received ones are read as they come. */
enum nd_compression {
    ND_COMPRESSION_DEFAULT, /* what the channel says; else none */
    ND_COMPRESSION_NONE,
    ND_COMPRESSION_GZIP,
};

#endif
