#ifndef REMOTE_CONTAINER_PARTS_H
#define REMOTE_CONTAINER_PARTS_H

/*
 * Values of `run` and `create` flags that have a syntax of their own, as parts of a
 * ContainerConfig. Results and their texts are in the arena. Everything fails with ND_INVALID,
 * quoting the value. Context of everything here: any.
 */

#include "base/arena.h"
#include "base/str.h"
#include "nerdctl/v1/container.pb-c.h"

/* -v: "target", "source:target", "source:target:options". Paths are the daemon's host's. */
struct nd_error *nd_volume_parse(struct nd_arena *arena, struct nd_str text,
                                 Pb__Mount **ret) ND_CHECK_RESULT;

/* --mount: "type=bind,source=/a,target=/b,readonly,...". */
struct nd_error *nd_mount_parse(struct nd_arena *arena, struct nd_str text,
                                Pb__Mount **ret) ND_CHECK_RESULT;

/* --tmpfs: "target" or "target:options". */
struct nd_error *nd_tmpfs_parse(struct nd_arena *arena, struct nd_str text,
                                Pb__Mount **ret) ND_CHECK_RESULT;

/* --device: "host", "host:container", "host:rwm", "host:container:rwm". */
struct nd_error *nd_device_parse(struct nd_arena *arena, struct nd_str text,
                                 Pb__Device **ret) ND_CHECK_RESULT;

/* --ulimit: "name=soft" or "name=soft:hard"; -1 is unlimited. */
struct nd_error *nd_ulimit_parse(struct nd_arena *arena, struct nd_str text,
                                 Pb__Ulimit **ret) ND_CHECK_RESULT;

#endif
