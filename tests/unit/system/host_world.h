#ifndef TESTS_UNIT_SYSTEM_HOST_WORLD_H
#define TESTS_UNIT_SYSTEM_HOST_WORLD_H

/* A host object on the private containerd, and objects to look at: records only, nothing runs. */

#include "container/containers.h"
#include "host/host.h"

#include "private_containerd.h"

struct host_world {
    struct nd_host *host;
    struct nd_containers *containers;
    struct world *world;
    struct nd_arena *arena;
};

struct host_world *host_world_begin(void);
void host_world_endp(struct host_world **hw);

/* Containers with the labels "nerdctl/name" and "app"; images; events of topic "/test/note". */
void make_container(struct host_world *hw, const char *ns, const char *id, const char *name,
                    const char *app);
void rename_container(struct host_world *hw, const char *ns, const char *id, const char *name);
void delete_container(struct host_world *hw, const char *ns, const char *id);
void make_image(struct host_world *hw, const char *ns, const char *name, const char *app);
void publish_note(struct host_world *hw, const char *ns);

#endif
