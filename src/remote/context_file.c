/*
 * The file of contexts: daemons that the user gave names.
 *
 *     {
 *         "current": "prod",
 *         "contexts": [
 *             {"name": "prod", "host": "tcp://10.0.0.5:9090", "tls": {"ca": "/..."}}
 *         ]
 *     }
 *
 * It holds paths of keys, no keys. It is replaced as a whole by renaming a new one over it, so a
 * reader never sees half of it. Members that we do not know are dropped when we write.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/json.h"
#include "codec/json_writer.h"
#include "remote/limits.h"
#include "remote/target.h"

#define MAX_CONTEXTS 1000u
#define FILE_NAME    "nerdctl-remote/contexts.json"

const char *
nd_contexts_path(struct nd_arena *arena)
{
    const char *config = secure_getenv("XDG_CONFIG_HOME");
    const char *home = secure_getenv("HOME");

    if (config != NULL && config[0] == '/')
        return nd_arena_printf(arena, "%s/" FILE_NAME, config);
    if (home != NULL && home[0] == '/')
        return nd_arena_printf(arena, "%s/.config/" FILE_NAME, home);
    return NULL;
}

struct text_member {
    const char *key;
    const char **ret;
};

static struct nd_error *
get_texts(struct nd_arena *arena, const struct nd_json *object, const struct text_member *members,
          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct nd_str text = ND_STR_NONE;

        ND_TRY(nd_json_get_str(object, members[i].key, &text));
        *members[i].ret = nd_arena_str(arena, text);
    }
    return NULL;
}

static struct nd_error *
read_context(struct nd_arena *arena, const struct nd_json *json, struct nd_context *context)
{
    const struct text_member members[] = {
        {"name", &context->name},
        {"description", &context->description},
        {"host", &context->host},
        {"namespace", &context->namespace},
    };
    const struct text_member tls_members[] = {
        {"ca", &context->ca}, {"cert", &context->cert}, {"key", &context->key}};
    const struct nd_json *tls = NULL;

    ND_TRY(get_texts(arena, json, members, ND_LEN(members)));
    ND_TRY(nd_json_get_object(json, "tls", &tls));
    ND_TRY(get_texts(arena, tls, tls_members, ND_LEN(tls_members)));
    ND_TRY(nd_json_get_bool(tls, "skipVerify", &context->skip_verify));
    context->tls = tls != NULL;
    if (context->name[0] == '\0' || context->host[0] == '\0')
        return nd_error_new(ND_INVALID, "a context has no name or no host");
    return NULL;
}

static struct nd_error *
read_contexts(struct nd_arena *arena, struct nd_str text, struct nd_contexts *ret)
{
    const struct text_member current = {"current", &ret->current};
    ND_AUTO(nd_json_freep) struct nd_json *json = NULL;
    const struct nd_json *list = NULL;

    ND_TRY(nd_json_parse(text, NULL, &json));
    if (nd_json_type(json) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "not a JSON object");
    ND_TRY(get_texts(arena, json, &current, 1));
    ND_TRY(nd_json_get_array(json, "contexts", &list));
    if (nd_json_count(list) > MAX_CONTEXTS)
        return nd_error_new(ND_INVALID, "more than %u contexts", MAX_CONTEXTS);
    ret->items = nd_arena_new_array(arena, nd_json_count(list) + 1, struct nd_context);
    for (; ret->n < nd_json_count(list); ret->n++)
        ND_TRY(read_context(arena, nd_json_at(list, ret->n), &ret->items[ret->n]));
    return NULL;
}

struct nd_error *
nd_contexts_load(struct nd_arena *arena, struct nd_contexts *ret)
{
    const char *path = nd_contexts_path(arena);
    struct nd_contexts contexts = {.current = ""};
    struct nd_error *err;
    struct nd_str text;

    contexts.items = nd_arena_new_array(arena, 1, struct nd_context);
    if (path != NULL && access(path, F_OK) == 0) {
        ND_TRY(nd_file_read(arena, path, &text));
        err = read_contexts(arena, text, &contexts);
        if (err != NULL)
            return nd_error_hint(nd_error_wrap(err, "%s", path),
                                 "mend the file or remove it; --host works without it");
    }
    *ret = contexts;
    return NULL;
}

static void
write_context(struct nd_json_writer *w, const struct nd_context *context)
{
    nd_json_begin_object(w);
    nd_json_put_text(w, "name", context->name);
    nd_json_put_text(w, "description", context->description);
    nd_json_put_text(w, "host", context->host);
    nd_json_put_text(w, "namespace", context->namespace);
    if (context->tls) {
        nd_json_key(w, "tls");
        nd_json_begin_object(w);
        nd_json_put_text(w, "ca", context->ca);
        nd_json_put_text(w, "cert", context->cert);
        nd_json_put_text(w, "key", context->key);
        nd_json_put_bool(w, "skipVerify", context->skip_verify);
        nd_json_end_object(w);
    }
    nd_json_end_object(w);
}

static struct nd_error *
write_file(const char *path, struct nd_str text)
{
    ND_AUTO(nd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return nd_error_errno(errno, "create %s", path);
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno != EINTR)
            return nd_error_errno(errno, "write %s", path);
        text = nd_str_from(text, n < 0 ? 0 : (size_t)n);
    }
    if (fsync(fd) < 0)
        return nd_error_errno(errno, "write %s", path);
    return NULL;
}

/*
 * Every folder on the way to a file. Those that exist, or cannot be made, show when it is opened.
 */
static void
make_folders(struct nd_arena *arena, const char *path)
{
    char *copy = nd_arena_strdup(arena, path);

    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0700);
        *slash = '/';
    }
}

struct nd_error *
nd_contexts_save(struct nd_arena *arena, const struct nd_contexts *contexts)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_REMOTE_MAX_FILE_BYTES);
    struct nd_json_writer w = ND_JSON_WRITER(&text);
    const char *path = nd_contexts_path(arena);
    const char *fresh;

    if (path == NULL)
        return nd_error_new(ND_PRECONDITION, "there is no home directory to keep contexts in");
    fresh = nd_arena_printf(arena, "%s.%ld", path, (long)getpid());
    nd_json_begin_object(&w);
    nd_json_put_text(&w, "current", contexts->current);
    nd_json_key(&w, "contexts");
    nd_json_begin_array(&w);
    for (size_t i = 0; i < contexts->n; i++)
        write_context(&w, &contexts->items[i]);
    nd_json_end_array(&w);
    nd_json_end_object(&w);
    nd_buf_putz(&text, "\n");
    make_folders(arena, path);
    ND_TRY(write_file(fresh, nd_buf_str(&text)));
    if (rename(fresh, path) < 0) {
        struct nd_error *err = nd_error_errno(errno, "replace %s", path);

        (void)unlink(fresh);
        return err;
    }
    return NULL;
}

const struct nd_context *
nd_contexts_find(const struct nd_contexts *contexts, const char *name)
{
    for (size_t i = 0; i < contexts->n; i++) {
        if (nd_str_eqz(nd_str(contexts->items[i].name), name))
            return &contexts->items[i];
    }
    return NULL;
}
