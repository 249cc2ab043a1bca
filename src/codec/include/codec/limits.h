#ifndef CODEC_LIMITS_H
#define CODEC_LIMITS_H

/*
 * Limits of the codecs. Everything that comes from outside is held against one of these, and the
 * error that refuses it says which.
 */

/* protobuf */
#define ND_PB_MAX_DEPTH   64                  /* messages inside messages, the outermost counted */
#define ND_PB_MAX_DECODED ((size_t)256 << 20) /* bytes that one message may take in memory */
#define ND_PB_MAX_GROWTH  ((size_t)32)        /* and no more than so many per byte on the wire, */
#define ND_PB_GROWTH_FREE ((size_t)4 << 20)   /* beyond the first ones */

#define ND_PB_MAX_UNKNOWN ((size_t)16384) /* fields of a message and all in it */
#define ND_PB_PAUSE_ITEMS ((size_t)512)   /* fields from one pause to the next */

/* JSON */
#define ND_JSON_MAX_BYTES  ((size_t)16 << 20) /* of one text */
#define ND_JSON_MAX_DEPTH  64                 /* arrays and objects inside each other */
#define ND_JSON_MAX_VALUES ((size_t)1 << 20)  /* of any kind in one text */

/* Archives */
#define ND_ARCHIVE_MAX_ENTRIES ((uint64_t)4 << 20)
#define ND_ARCHIVE_MAX_NAME    ((size_t)4096)      /* bytes of a name or link target */
#define ND_ARCHIVE_MAX_XATTRS  ((size_t)256)       /* of one entry */
#define ND_ARCHIVE_MAX_XATTR   ((size_t)64 << 10)  /* bytes of one value, as the kernel has it */
#define ND_ARCHIVE_MAX_SMALL   ((uint64_t)8 << 20) /* bytes of an entry read whole into memory */
#define ND_ARCHIVE_MAX_BYTES   ((uint64_t)1 << 40) /* of all contents together */
#define ND_ARCHIVE_MAX_RATIO   ((uint64_t)1100)    /* bytes out per byte in: gzip cannot do more */
#define ND_ARCHIVE_MAX_HEADER \
    ((uint64_t)4 << 20) /* bytes of all headers of one entry, maps of holes included */
#define ND_ARCHIVE_RATIO_FREE ((uint64_t)64 << 20) /* bytes out before the ratio is looked at */

#endif
