/*
 * Which container is meant: its name, its id, or the beginning of its id.
 *
 * containerd answers both questions in one call, by filters that are alternatives. A whole id is
 * the common case of programs and costs less: the record itself is fetched. A name that is also the
 * beginning of another container's id is ambiguous, as it is for nerdctl.
 */

#include "base/buf.h"

#include "containers_priv.h"
#include "labels_priv.h"

#define ID_DIGITS      64u
#define REFERENCE_MAX  255u
#define FILTER_MAX     (4 * REFERENCE_MAX)
#define CANDIDATES_MAX 8u /* named in an ambiguity */

static struct nd_error *
not_found(const char *text)
{
    struct nd_error *err = nd_error_new(ND_NOT_FOUND, "no such container: %s", text);

    err = nd_error_meta(nd_error_reason(err, "CONTAINER_NOT_FOUND"), "container", text);
    return nd_error_hint(err, "list all containers of this namespace to see what there is");
}

static struct nd_error *
ambiguous(const char *text, record *const *found, size_t n)
{
    struct nd_error *err =
        nd_error_new(ND_INVALID, "multiple IDs found with provided prefix: %s", text);

    err = nd_error_reason(err, "CONTAINER_ID_AMBIGUOUS");
    for (size_t i = 0; i < n && i < CANDIDATES_MAX; i++)
        err = nd_error_meta(err, "candidate", found[i]->id);
    return nd_error_hint(err, "use more digits of the id, or the name");
}

/*
 * Characters that names and ids have: nothing else can match, and none of them is special in a
 * filter.
 */
static bool
can_be_reference(struct nd_str text)
{
    if (text.len == 0 || text.len > REFERENCE_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

static struct nd_error *
find_exact(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena,
           record **ret)
{
    struct nd_error *err = nd_container_record_get(cs, ns, id, arena, ret);

    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return not_found(id);
}

/* id~="^a1b2": of the characters that may be in it only the dot means something in a pattern. */
static void
put_prefix_filter(struct nd_buf *buf, struct nd_str prefix)
{
    nd_buf_putz(buf, "id~=\"^");
    for (size_t i = 0; i < prefix.len; i++) {
        if (prefix.ptr[i] == '.')
            nd_buf_putz(buf, "[.]");
        else
            nd_buf_putc(buf, prefix.ptr[i]);
    }
    nd_buf_putc(buf, '"');
}

struct nd_error *
nd_container_find(struct nd_containers *cs, const char *ns, const char *text,
                  struct nd_arena *arena, record **ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf by_name = ND_BUF_INIT(FILTER_MAX);
    ND_AUTO(nd_buf_fini) struct nd_buf by_id = ND_BUF_INIT(FILTER_MAX);
    const char *filters[3] = {NULL};
    record **found;
    size_t n;

    if (text[0] == '\0')
        return nd_error_field("container", "is empty");
    if (!can_be_reference(nd_str(text)))
        return not_found(text);
    if (strlen(text) == ID_DIGITS && nd_str_is_hex(nd_str(text))) {
        struct nd_error *err = nd_container_record_get(cs, ns, text, arena, ret);

        if (nd_error_code(err) != ND_NOT_FOUND)
            return err;
        nd_error_free(err); /* a name may look like an id */
    }
    nd_ctrd_filter_eq(&by_name, "labels.\"" LABEL_NAME "\"", nd_str(text));
    put_prefix_filter(&by_id, nd_str(text));
    filters[0] = by_name.ptr;
    filters[1] = by_id.ptr;
    ND_TRY(nd_container_record_list(cs, ns, filters, arena, &found, &n));
    if (n == 0)
        return not_found(text);
    if (n > 1)
        return ambiguous(text, found, n);
    *ret = found[0];
    return NULL;
}

static bool
is_meant_by(const char *text, const record *rec)
{
    return strcmp(nd_container_record_name(rec), text) == 0 ||
           nd_str_starts(nd_str(rec->id), nd_str(text));
}

/*
 * Once. `*ret_hold` stays NULL when it got another name meanwhile: then it is not the one that is
 * meant.
 */
static struct nd_error *
find_and_lock(struct nd_containers *cs, const char *ns, const char *text, struct nd_arena *arena,
              record **ret, struct hold **ret_hold)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    uint64_t before = cs->changes;
    record *rec = NULL;

    ND_TRY(nd_container_find(cs, ns, text, arena, &rec));
    ND_INVARIANT(rec != NULL);
    ND_TRY(nd_hold_lock(cs, ns, rec->id, &hold));
    /* Somebody may have changed or removed it while containerd or the lock was waited for. */
    if (cs->changes != before)
        ND_TRY(find_exact(cs, ns, rec->id, arena, &rec));
    if (!is_meant_by(text, rec))
        return NULL;
    *ret = rec;
    *ret_hold = ND_TAKE(hold);
    return NULL;
}

struct nd_error *
nd_container_find_locked(struct nd_containers *cs, const char *ns, const char *text,
                         struct nd_arena *arena, record **ret, struct hold **ret_hold)
{
    *ret_hold = NULL;
    while (*ret_hold == NULL)
        ND_TRY(find_and_lock(cs, ns, text, arena, ret, ret_hold));
    return NULL;
}

struct nd_error *
nd_container_still_there(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    record *rec;

    ND_TRY(nd_hold_lock(cs, ns, id, &hold));
    return find_exact(cs, ns, id, arena, &rec);
}

struct nd_error *
nd_container_name_owner(struct nd_containers *cs, const char *ns, const char *name,
                        struct nd_arena *arena, char **ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf by_name = ND_BUF_INIT(FILTER_MAX);
    const char *filters[2] = {NULL};
    record **found;
    size_t n;

    nd_ctrd_filter_eq(&by_name, "labels.\"" LABEL_NAME "\"", nd_str(name));
    filters[0] = by_name.ptr;
    ND_TRY(nd_container_record_list(cs, ns, filters, arena, &found, &n));
    *ret = n > 0 ? found[0]->id : NULL;
    return NULL;
}
