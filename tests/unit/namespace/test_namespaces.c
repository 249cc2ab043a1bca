/* The list of namespaces against a containerd of its own. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "namespace/namespaces.h"
#include "store/root.h"

#include "host_world.h"

static void
make_dir(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Two volumes, and two things beside them that are none. */
static void
make_volumes(struct host_world *hw, const char *ns)
{
    struct nd_store *store;
    char path[512];
    size_t len;

    expect_ok(nd_host_store(hw->host, &store));
    len = (size_t)snprintf(path, sizeof(path), "%s/volumes", nd_store_path(store));
    (void)mkdir(path, 0700);
    len += (size_t)snprintf(path + len, sizeof(path) - len, "/%s", ns);
    make_dir(path);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path + len, sizeof(path) - len, "/volume%d", i);
        make_dir(path);
    }
    (void)snprintf(path + len, sizeof(path) - len, "/.hidden");
    make_dir(path);
    (void)snprintf(path + len, sizeof(path) - len, "/volumes.lock");
    fclose(fopen(path, "we"));
}

static const Pb__Namespace *
find(const Pb__NamespaceServiceListResponse *rsp, const char *name)
{
    for (size_t i = 0; i < rsp->n_namespaces; i++)
        if (strcmp(rsp->namespaces[i]->name, name) == 0)
            return rsp->namespaces[i];
    fail_msg("no namespace %s", name);
    return NULL;
}

IN_REAL_LOOP(namespaces_are_counted_each_for_itself)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    const Pb__NamespaceServiceListRequest req = PB__NAMESPACE_SERVICE_LIST_REQUEST__INIT;
    Pb__NamespaceServiceListResponse rsp = PB__NAMESPACE_SERVICE_LIST_RESPONSE__INIT;
    const Pb__Namespace *ns;
    char name[32];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        make_container(hw, "full", name, name, "x");
    }
    make_image(hw, "full", "docker.io/library/a:1", "x");
    make_image(hw, "full", "docker.io/library/a:2", "x");
    make_volumes(hw, "full");
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof(name), "one-%d", i);
        make_container(hw, name, "c", "c", "x");
    }

    expect_ok(nd_namespaces_list(hw->host, &req, hw->arena, &rsp));
    ns = find(&rsp, "full");
    assert_int_equal(ns->containers, 3);
    assert_int_equal(ns->images, 2);
    assert_int_equal(ns->volumes, 2);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof(name), "one-%d", i);
        ns = find(&rsp, name);
        assert_int_equal(ns->containers, 1);
        assert_int_equal(ns->images, 0);
        assert_int_equal(ns->volumes, 0);
    }
    return NULL;
}

IN_REAL_LOOP(without_containerd_the_list_is_unavailable)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    const Pb__NamespaceServiceListRequest req = PB__NAMESPACE_SERVICE_LIST_REQUEST__INIT;
    Pb__NamespaceServiceListResponse rsp = PB__NAMESPACE_SERVICE_LIST_RESPONSE__INIT;

    containerd_kill();
    world_until(hw->world, false);
    expect_code(nd_namespaces_list(hw->host, &req, hw->arena, &rsp), ND_UNAVAILABLE);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespaces_are_counted_each_for_itself),
        cmocka_unit_test(without_containerd_the_list_is_unavailable),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
