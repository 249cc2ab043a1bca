/*
 * What a new container is called: name, host name, and the paths and the URI that follow from the
 * id.
 *
 * Without a name of the user's it is the last word of the image's repository and five digits of the
 * id.
 */

#include <unistd.h>

#include "creation_priv.h"

#define SHORT_ID       12u
#define NAME_ID        5u /* digits at the end of a default name */
#define SHORT_NAME_MAX 200u

const char *
nd_image_short_name(const char *image_name, struct nd_arena *arena)
{
    struct nd_str name = nd_str(image_name);
    size_t at = nd_str_find(name, '@'), slash, colon;

    name = nd_str_sub(name, 0, at);
    slash = nd_str_rfind(name, '/');
    if (slash != SIZE_MAX)
        name = nd_str_from(name, slash + 1);
    colon = nd_str_find(name, ':');
    name = nd_str_sub(name, 0, ND_MIN(colon, (size_t)SHORT_NAME_MAX));
    if (name.len == 0 || at == 0 || nd_str_eqz(name, "sha256"))
        return "untitled";
    return nd_arena_str(arena, name);
}

/*
 * In the host's UTS namespace there is no name of its own; on the host's network it is the host's.
 */
static const char *
host_name(const struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    char own[256];

    if (config->hostname[0] != '\0' || c->plan->uts_host)
        return config->hostname;
    if (c->plan->net_mode == ND_NET_HOST && gethostname(own, sizeof(own) - 1) == 0) {
        own[sizeof(own) - 1] = '\0';
        return nd_arena_strdup(c->arena, own);
    }
    return nd_arena_printf(c->arena, "%.*s", (int)SHORT_ID, c->id);
}

static void
free_state(void *state)
{
    nd_state_free(state);
}

struct nd_error *
nd_creation_names(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    const char *helper = nd_host_settings(c->cs->host)->helper_path;

    c->name = config->name;
    if (c->name[0] == '\0')
        c->name = nd_arena_printf(c->arena, "%s-%.*s", nd_image_short_name(c->image.name, c->arena),
                                  (int)NAME_ID, c->id);
    c->hostname = host_name(c);
    ND_TRY(nd_state_new(c->store, c->ns, c->id, &c->state));
    nd_arena_defer(c->arena, free_state, c->state);
    c->hosts_path = nd_hosts_path(c->store, c->ns, c->id, c->arena);
    c->log_uri = c->plan->log_none ? "none" : nd_store_log_uri(c->store, helper, c->arena);
    return NULL;
}
