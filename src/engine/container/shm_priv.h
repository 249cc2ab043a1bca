#ifndef CONTAINER_SHM_PRIV_H
#define CONTAINER_SHM_PRIV_H

/* The /dev/shm of a container with shareable IPC: a tmpfs of the host below its state folder. */

#include "base/error.h"

#define ND_SHM_DEFAULT_BYTES (64 * 1024 * 1024)

/* `<state>/shm`, made and mounted; one that is mounted stays. Context: fiber. */
struct nd_error *nd_shm_mount(const char *state_path, int64_t size_bytes) ND_CHECK_RESULT;

/* Not mounted is fine. Context: fiber. */
struct nd_error *nd_shm_unmount(const char *state_path) ND_CHECK_RESULT;

#endif
