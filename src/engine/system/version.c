/* SystemService.Version and Ping: who is there, and in which version. */

#include "base/log.h"
#include "containerd/version.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "oci/platform.h"
#include "system/system.h"

#define MAX_COMPONENTS 2

static char *
text(const char *borrowed)
{
    return (char *)borrowed;
}

/* Texts are borrowed; an empty commit is left out. */
static void
add_component(Pb__SystemServiceVersionResponse *rsp, const char *name, const char *version,
              const char *commit, struct nd_arena *arena)
{
    Pb__Component *c = nd_arena_new_object(arena, Pb__Component);

    pb__component__init(c);
    c->name = text(name);
    c->version = text(version);
    if (commit[0] != '\0') {
        c->details = nd_arena_new_array(arena, 1, Pb__Component__DetailsEntry *);
        c->details[0] = nd_arena_new_object(arena, Pb__Component__DetailsEntry);
        pb__component__details_entry__init(c->details[0]);
        c->details[0]->key = text("GitCommit");
        c->details[0]->value = text(commit);
        c->n_details = 1;
    }
    rsp->components[rsp->n_components++] = c;
}

/* A component that does not tell is left out; our own end is told. */
static struct nd_error *
leave_out(struct nd_error *err, const char *name)
{
    ND_AUTO(nd_error_freep) struct nd_error *why = err;

    ND_TRY(nd_ctx_check());
    nd_debug("no version of a component", ND_KV("component", name), ND_KV("error", why));
    return NULL;
}

static struct nd_error *
add_containerd(struct nd_host *host, Pb__SystemServiceVersionResponse *rsp, struct nd_arena *arena)
{
    struct nd_ctrd_version version;
    struct nd_error *err = nd_ctrd_version(nd_host_ctrd(host), &version);

    if (err != NULL)
        return leave_out(err, "containerd");
    add_component(rsp, "containerd", nd_arena_strdup(arena, version.text),
                  nd_arena_strdup(arena, version.revision), arena);
    return NULL;
}

static struct nd_error *
add_runtime(struct nd_host *host, Pb__SystemServiceVersionResponse *rsp, struct nd_arena *arena)
{
    struct nd_host_runtime version;
    struct nd_error *err = nd_host_runtime(host, arena, &version);

    if (err != NULL)
        return leave_out(err, "runc");
    add_component(rsp, "runc", version.version, version.commit, arena);
    return NULL;
}

struct nd_error *
nd_system_version(struct nd_host *host, const char *daemon_version, const char *git_commit,
                  struct nd_arena *arena, Pb__SystemServiceVersionResponse *rsp)
{
    struct nd_platform platform;

    nd_platform_host(&platform);
    rsp->version = text(daemon_version);
    rsp->git_commit = text(git_commit);
    rsp->api_version = text("v1");
    rsp->os = nd_arena_strdup(arena, platform.os);
    rsp->arch = nd_arena_strdup(arena, platform.architecture);
    rsp->components = nd_arena_new_array(arena, MAX_COMPONENTS, Pb__Component *);
    ND_TRY(add_containerd(host, rsp, arena));
    return add_runtime(host, rsp, arena);
}

struct nd_error *
nd_system_ping(struct nd_host *host, struct nd_arena *arena, Pb__SystemServicePingResponse *rsp)
{
    Google__Protobuf__Empty req = GOOGLE__PROTOBUF__EMPTY__INIT;
    const struct nd_ctrd_scope scope = {NULL, NULL};
    CtVersion__VersionResponse *version;
    struct nd_wall now;

    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), scope, CT_VERSION_VERSION, &req, arena, &version));
    now = nd_wall_now();
    rsp->time = nd_arena_new_object(arena, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(rsp->time);
    rsp->time->seconds = now.sec;
    rsp->time->nanos = now.nsec;
    return NULL;
}
