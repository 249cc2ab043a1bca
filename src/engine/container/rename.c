/*
 * `rename`: another name for a container, whatever it does.
 *
 *   lock ─▶ intent ─▶ new name reserved ─▶ record ─▶ hosts files ─▶ old name given back
 *                                          decides
 *
 * Four places know a name: its reservation, the label, the hosts files of the namespace, and an
 * annotation of the spec, from which nerdctl's hooks take it. Label and annotation change in one
 * call; whose name the record says is then no question, so it decides: what failed before is taken
 * back, and what fails or dies behind it is finished, by this daemon or the next. The old name
 * stays reserved until the end, so nobody can have it who would lose it again.
 *
 * The lock is the one under which nerdctl removes a container: it must not give back one name and
 * leave the other.
 *
 * The container's log keeps its name, which is made of the id. A running task's own spec stays as
 * it is.
 */

#include "base/log.h"
#include "container/lifecycle.h"
#include "store/hosts.h"
#include "store/names.h"
#include "store/state.h"

#include "changes_priv.h"
#include "labels_priv.h"
#include "naming_priv.h"
#include "rename_priv.h"

#define SPEC_GROWTH 4096u /* bytes: the name, and how differently JSON may be written */

struct renaming {
    struct nd_containers *cs;
    const char *ns;
    struct nd_arena *arena;
    const record *rec;
    struct names names;
};

static struct nd_error *
free_new_name(void *arg)
{
    const struct renaming *r = arg;
    struct nd_store *store;

    ND_TRY(nd_containers_store(r->cs, &store));
    return nd_naming_give_back(store, r->ns, r->names.new_name, r->rec->id);
}

static struct nd_error *
take_new_name(struct renaming *r)
{
    struct nd_store *store;

    ND_TRY(nd_containers_store(r->cs, &store));
    return nd_naming_take(store, r->ns, r->names.new_name, r->rec->id);
}

static void
free_text(void *text)
{
    nd_buf_fini(text);
}

/* The spec with the new name in its annotations; `*ret` has no bytes when they do not tell one. */
static struct nd_error *
make_spec(struct renaming *r, struct nd_str *ret)
{
    const struct nd_json *spec, *annotations;
    ND_AUTO(nd_json_freep) struct nd_json *changed = NULL;
    struct nd_json *renamed;
    struct nd_buf *buf;

    *ret = ND_STR_NONE;
    ND_TRY(nd_container_record_spec(r->rec, r->arena, &spec));
    annotations = nd_json_find(spec, "annotations");
    if (nd_json_type(nd_json_find(annotations, LABEL_NAME)) != ND_JSON_STR)
        return NULL;
    buf = nd_arena_new_object(r->arena, struct nd_buf);
    *buf = ND_BUF_INIT(2 * r->rec->spec->value.len + SPEC_GROWTH);
    nd_arena_defer(r->arena, free_text, buf);
    renamed = nd_json_copy(annotations);
    nd_json_set_text(renamed, LABEL_NAME, r->names.new_name);
    changed = nd_json_copy(spec);
    nd_json_set_value(changed, "annotations", renamed);
    ND_TRY(nd_json_write(changed, ND_JSON_GO, buf));
    *ret = nd_buf_str(buf);
    return NULL;
}

static struct nd_error *
write_record(struct renaming *r, struct nd_str spec)
{
    const char *paths[] = {"labels." LABEL_NAME, "spec"};
    CtContainers__Container__LabelsEntry entry = CT_CONTAINERS__CONTAINER__LABELS_ENTRY__INIT;
    CtContainers__Container__LabelsEntry *entries[] = {&entry};
    record rec = CT_CONTAINERS__CONTAINER__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

    entry.key = (char *)LABEL_NAME;
    entry.value = (char *)r->names.new_name;
    rec.id = r->rec->id;
    rec.n_labels = 1;
    rec.labels = entries;
    any.type_url = r->rec->spec->type_url;
    any.value.data = (uint8_t *)spec.ptr;
    any.value.len = spec.len;
    rec.spec = spec.len > 0 ? &any : NULL;
    return nd_container_record_update(r->cs, r->ns, &rec, (char **)paths, spec.len > 0 ? 2 : 1);
}

/*
 * The record says which name it is; a call that failed may have happened. Takes `err`, that call's.
 */
static struct nd_error *
look_at_record(struct renaming *r, struct nd_change *change, struct nd_error *err)
{
    ND_AUTO(nd_error_freep) struct nd_error *blind = NULL;
    record *rec = NULL;

    blind = nd_container_record_get(r->cs, r->ns, r->rec->id, r->arena, &rec);
    if (blind != NULL && nd_error_code(blind) != ND_NOT_FOUND)
        nd_change_decide(change); /* the recovery will see */
    if (blind != NULL || strcmp(nd_container_record_name(rec), r->names.new_name) != 0)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
decide(struct renaming *r, struct nd_change *change)
{
    struct nd_str spec;
    struct nd_error *err;

    ND_TRY(make_spec(r, &spec));
    err = write_record(r, spec);
    if (err != NULL)
        ND_TRY(look_at_record(r, change, err));
    nd_change_decide(change);
    return NULL;
}

struct nd_error *
nd_rename_lock(struct nd_containers *cs, const char *ns, const char *id, struct nd_store_lock **ret)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_store *store;

    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, id, &state));
    return nd_state_lock_operation(state, ret);
}

struct nd_error *
nd_rename_finish(struct nd_containers *cs, const char *ns, const char *id,
                 const struct names *names)
{
    struct nd_store *store;
    struct nd_error *err;

    ND_TRY(nd_containers_store(cs, &store));
    err = nd_hosts_rename(store, ns, id, names->new_name);
    if (nd_error_code(err) != ND_NOT_FOUND)
        ND_TRY(err);
    nd_error_free(err);
    if (names->old_name[0] == '\0')
        return NULL;
    return nd_naming_give_back(store, ns, names->old_name, id);
}

/* Behind the decision the container has its new name, whatever else fails. */
static void
finish(struct renaming *r, struct nd_change *change)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_rename_finish(r->cs, r->ns, r->rec->id, &r->names);

    if (err == NULL)
        nd_change_settle(change);
    else
        nd_warn("container is renamed, but not everywhere yet",
                ND_KV("container", (const char *)r->rec->id), ND_KV("error", err));
}

static struct nd_error *
check_new_name(struct renaming *r)
{
    const char *new_name = r->names.new_name;
    struct nd_error *err = nd_name_check(nd_str(new_name));

    if (err != NULL) {
        nd_error_free(err);
        return nd_error_field("new_name",
                              "must have 2 to 255 characters, letters, digits, '_', '.' and '-', "
                              "and begin with a letter or digit");
    }
    if (strcmp(new_name, r->names.old_name) == 0)
        return nd_error_field("new_name", "is the container's name already");
    return nd_naming_check_free(r->cs, r->ns, new_name, r->arena);
}

/* New name first: it has no newline, the old one of a foreign container may have. */
static struct nd_error *
begin(struct renaming *r, struct nd_change *change)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_RENAME,
        .ns = r->ns,
        .object = r->rec->id,
        .payload =
            nd_str(nd_arena_printf(r->arena, "%s\n%s", r->names.new_name, r->names.old_name)),
    };

    return nd_change_begin(r->cs->host, &spec, change);
}

static struct nd_error *
rename_locked(struct renaming *r)
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct nd_undo_step step = {.fn = free_new_name, .arg = r, .what = "free the new name"};

    nd_doing("rename container");
    ND_TRY(check_new_name(r));
    ND_TRY(nd_rename_lock(r->cs, r->ns, r->rec->id, &lock));
    ND_TRY(begin(r, &change));
    ND_TRY(nd_change_ready(&change));
    nd_change_undo(&change, &step);
    ND_TRY(nd_ctx_check());
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    ND_TRY(take_new_name(r));
    ND_TRY(decide(r, &change));
    finish(r, &change);
    return NULL;
}

struct nd_error *
nd_container_rename(struct nd_containers *cs, const char *ns,
                    const Pb__ContainerServiceRenameRequest *req, struct nd_arena *arena,
                    Pb__ContainerServiceRenameResponse *rsp)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct renaming r = {.cs = cs, .ns = ns, .arena = arena};
    record *rec;

    ND_TRY(nd_container_find_locked(cs, ns, req->container, arena, &rec, &hold));
    r.rec = rec;
    r.names = (struct names){.old_name = nd_container_record_name(rec), .new_name = req->new_name};
    ND_TRY(rename_locked(&r));
    nd_info("container renamed", ND_KV("container", (const char *)rec->id),
            ND_KV("from", r.names.old_name), ND_KV("to", r.names.new_name));
    rsp->container_id = rec->id;
    return NULL;
}
