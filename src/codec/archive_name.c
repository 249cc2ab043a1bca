/*
 * Names in archives of strangers.
 *
 * A name is either relative and stays below where it starts, or the archive is refused: mending
 * "../../etc/passwd" into something harmless would hide that somebody tried. Spellings that mean
 * the same ("./a", "a//b", "a/") become one, so that looking for "index.json" finds it.
 */

#include "codec/archive.h"
#include "codec/limits.h"

static struct nd_error *
refuse(struct nd_str name, const char *why)
{
    return nd_error_new(ND_INVALID, "archive entry \"%.*s\" %s",
                        ND_STR_ARG(nd_str_sub(name, 0, 256)), why);
}

struct nd_error *
nd_archive_clean_name(struct nd_str name, struct nd_buf *ret)
{
    struct nd_str rest = name;
    struct nd_str part;

    nd_buf_clear(ret);
    if (name.len == 0)
        return refuse(name, "has no name");
    if (name.len > ND_ARCHIVE_MAX_NAME)
        return refuse(name, "has too long a name");
    if (nd_str_find(name, '\0') != SIZE_MAX)
        return refuse(name, "has a NUL in its name");
    if (name.ptr[0] == '/')
        return refuse(name, "is absolute");
    while (nd_str_next(&rest, '/', &part)) {
        if (part.len == 0 || nd_str_eqz(part, "."))
            continue;
        if (nd_str_eqz(part, ".."))
            return refuse(name, "leads out of the archive");
        if (ret->len > 0)
            ND_TRY(nd_buf_add(ret, ND_STR("/")));
        ND_TRY(nd_buf_add(ret, part));
    }
    return ret->len > 0 ? NULL : nd_buf_add(ret, ND_STR("."));
}
