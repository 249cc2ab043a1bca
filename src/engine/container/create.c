/*
 * Making a container: first look, then change. The intent goes to disk while we look.
 *
 *   look     image and its unpacked layers, users, name, sources, devices; labels and spec are made
 *   change   state folder ─▶ name ─┬─▶ log files, resolv.conf, hostname, hosts, ports ─┬─▶ done
 *                                  └─▶ record ─▶ snapshot ────────────────────────────┘
 *
 * The record comes before the snapshot: it names the snapshot's key, so from its first instant the
 * snapshot has an owner, and no garbage collection can take it; a lease is not needed. Each step
 * puts on the undo list what takes it back before it is begun, because a call that was cut short
 * may have happened. Steps that change something run to their end even when the client is gone;
 * whether to go on is asked between them.
 */

#include "base/log.h"
#include "base/random.h"
#include "container/lifecycle.h"
#include "store/hosts.h"

#include "creation_priv.h"
#include "naming_priv.h"

#define UNDO_STEPS 8u

/* A creation while it changes things. */
struct changing {
    struct creation *c;
    struct nd_undo_step steps[UNDO_STEPS];
    size_t n_steps;
};

static void
will_undo(struct changing *ch, struct nd_error *(*fn)(void *), const char *what)
{
    struct nd_undo_step *step = &ch->steps[ch->n_steps++];

    ND_INVARIANT(ch->n_steps <= UNDO_STEPS);
    *step = (struct nd_undo_step){.fn = fn, .arg = ch->c, .what = what};
    nd_change_undo(ch->c->change, step);
}

static struct nd_error *
undo_state(void *arg)
{
    struct creation *c = arg;

    return nd_state_remove(c->state);
}

/* When it is somebody else's, that is why nothing came of this creation. */
static struct nd_error *
undo_name(void *arg)
{
    struct creation *c = arg;

    return nd_naming_give_back(c->store, c->ns, c->name, c->id);
}

static struct nd_error *
undo_hosts(void *arg)
{
    struct creation *c = arg;

    return nd_hosts_remove(c->store, c->ns, c->id);
}

static struct nd_error *
undo_record(void *arg)
{
    struct creation *c = arg;
    struct nd_error *err = nd_snapshot_remove(c->cs, c->ns, c->image.snapshotter, c->id);

    nd_error_free(err); /* without its record it is the garbage collector's */
    return nd_container_record_delete(c->cs, c->ns, c->id);
}

static struct nd_error *
take_name(struct changing *ch)
{
    struct creation *c = ch->c;

    will_undo(ch, undo_name, "release the name");
    return nd_naming_take(c->store, c->ns, c->name, c->id);
}

/* The folder by which the container exists for nerdctl, and the name. */
static struct nd_error *
take_place(struct changing *ch)
{
    will_undo(ch, undo_state, "remove the state folder");
    ND_TRY(nd_state_create(ch->c->state));
    return take_name(ch);
}

/*
 * A name that we made has five digits of the id in it: nobody else has it, so nothing waits for it.
 */
static bool
has_own_name(const struct creation *c)
{
    return c->plan->config->name[0] == '\0';
}

/* One fiber: nerdctl's files. */
static struct nd_error *
write_files(void *arg)
{
    struct changing *ch = arg;
    struct creation *c = ch->c;
    const struct plan *plan = c->plan;
    const struct nd_hosts_network network = {.name = plan->network};
    const struct nd_hosts_meta meta = {
        .id = c->id,
        .name = c->name,
        .hostname = c->hostname,
        .extra_hosts = plan->extra_hosts,
        .n_extra_hosts = plan->n_extra_hosts,
        .networks = &network,
        .n_networks = 1,
    };
    const struct nd_ports no_ports = {NULL, 0};
    const struct nd_state_files files = {
        .log = plan->log_none ? NULL : &plan->log,
        .hostname = c->hostname,
        .dns = &plan->dns,
        .mode = plan->net_mode,
        .ports = &no_ports,
    };

    if (has_own_name(c))
        ND_TRY(take_place(ch));
    ND_TRY(nd_state_write(c->state, &files));
    will_undo(ch, undo_hosts, "remove the hosts file");
    return nd_hosts_add(c->store, c->ns, plan->net_mode, &meta);
}

/* The other fiber: containerd's objects. */
static struct nd_error *
make_record(void *arg)
{
    struct changing *ch = arg;
    struct creation *c = ch->c;
    const struct snapshot_name name = {c->image.snapshotter, c->id, c->image.chain_id};

    will_undo(ch, undo_record, "delete record and snapshot");
    {
        ND_SHIELDED(ND_SHIELD_GRACE_NS);
        ND_TRY_DOING(nd_creation_record(c), "make the record");
    }
    ND_TRY(nd_ctx_check());
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    return nd_unless_image_removed(nd_snapshot_prepare(c->cs, c->ns, &name, c->arena, &c->mounts));
}

/* The two halves at once; both have ended when this returns. */
static struct nd_error *
make_both(struct changing *ch)
{
    ND_AUTO(nd_group_endp) struct nd_group *both = nd_group_begin("create container", 0);

    ND_TRY(nd_group_spawn(both, make_record, ch));
    ND_TRY(nd_group_spawn(both, write_files, ch));
    return nd_group_wait(both);
}

static struct nd_error *
change(struct creation *c)
{
    struct changing *ch = nd_arena_new_object(c->arena, struct changing);

    ch->c = c;
    nd_doing("make container");
    ND_TRY(nd_change_ready(c->change));
    if (!has_own_name(c))
        ND_TRY(take_place(ch));
    ND_TRY(nd_creation_sources(c));
    return make_both(ch);
}

static struct nd_error *
resolve_image(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    struct nd_error *err;

    nd_doing("resolve image");
    err = nd_image_resolve(c->cs->host, c->ns, nd_str(config->image), nd_str(config->platform),
                           c->arena, &c->image);
    if (nd_error_code(err) == ND_NOT_FOUND)
        return nd_error_hint(err, "load the image first: registries are not part of this version");
    if (nd_error_code(err) == ND_INVALID && nd_error_get_field(err) == NULL)
        return nd_error_in_field(err,
                                 config->platform[0] != '\0' ? "config.platform" : "config.image");
    ND_TRY(err);
    for (size_t i = 0; i < c->image.config->n_volumes; i++)
        nd_plan_warn(c->plan,
                     "the image declares a volume at %.200s: volumes are not part of this version, "
                     "what is written there stays in the container",
                     c->image.config->volumes[i]);
    return NULL;
}

static struct nd_error *
check_name_is_free(struct creation *c)
{
    const char *name = c->plan->config->name;

    return name[0] != '\0' ? nd_naming_check_free(c->cs, c->ns, name, c->arena) : NULL;
}

static struct nd_error *
resolve_user(struct creation *c)
{
    const Pb__ContainerConfig *config = c->plan->config;
    struct account_query query = {.ns = c->ns,
                                  .snapshotter = c->image.snapshotter,
                                  .chain_id = c->image.chain_id,
                                  .group_add = config->group_add,
                                  .n_group_add = config->n_group_add};
    struct nd_error *err;

    c->user_text = config->user[0] != '\0' ? config->user : c->image.config->user;
    query.user = c->user_text;
    nd_doing("resolve user");
    err = nd_accounts_resolve(c->cs, &query, c->arena, &c->user);
    if (nd_error_code(err) == ND_NOT_FOUND || nd_error_code(err) == ND_INVALID) {
        err = nd_error_recode(err, ND_INVALID);
        if (nd_error_get_field(err) == NULL)
            return nd_error_in_field(err, "config.user");
        return nd_error_in_field(err, "config");
    }
    return err;
}

static struct nd_error *
look_around(struct creation *c)
{
    ND_TRY(nd_containers_store(c->cs, &c->store));
    ND_TRY(resolve_image(c));
    ND_TRY(check_name_is_free(c));
    ND_TRY(nd_creation_names(c));
    ND_TRY(resolve_user(c));
    ND_TRY(nd_creation_host_files(c));
    ND_TRY(nd_creation_process(c));
    ND_TRY(nd_creation_labels(c));
    return nd_creation_spec(c);
}

static void
free_spec(void *spec)
{
    nd_buf_fini(spec);
}

/* The id is chosen first: it is what the intent is about. */
static struct nd_error *
begin(struct creation *c)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_CREATE,
        .ns = c->ns,
        .object = c->id,
        .payload = nd_str(nd_host_settings(c->cs->host)->snapshotter),
    };

    nd_random_hex(c->id, (sizeof(c->id) - 1) / 2);
    return nd_change_begin(c->cs->host, &spec, c->change);
}

struct nd_error *
nd_creation_run(struct creation *c, struct hold **hold)
{
    nd_arena_defer(c->arena, free_spec, &c->spec);
    ND_TRY(begin(c));
    ND_TRY(look_around(c));
    ND_TRY(nd_hold_lock(c->cs, c->ns, c->id, hold));
    return change(c);
}

struct nd_error *
nd_container_create(struct nd_containers *cs, const char *ns, const Pb__ContainerConfig *config,
                    struct nd_arena *arena, struct nd_container_created *ret)
{
    struct creation *c = nd_arena_new_object(arena, struct creation);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    c->cs = cs;
    c->change = &change;
    c->ns = ns;
    c->arena = arena;
    ND_TRY(
        nd_plan_make(config, nd_host_facts(cs->host), nd_host_settings(cs->host), arena, &c->plan));
    ND_TRY(nd_creation_run(c, &hold));
    ND_TRY(nd_change_done(&change));
    nd_info("container made", ND_KV("container", (const char *)c->id), ND_KV("name", c->name));
    *ret = (struct nd_container_created){
        .id = c->id,
        .warnings = c->plan->warnings,
        .n_warnings = c->plan->n_warnings,
    };
    return NULL;
}
