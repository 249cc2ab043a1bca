/* The client against a containerd of its own. */

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "containerd/containers.pb-c.h"
#include "containerd/leases.pb-c.h"
#include "containerd/namespaces.pb-c.h"

#include "private_containerd.h"

static struct nd_error *
list_namespaces(struct world *w, CtNamespaces__ListResponse **ret)
{
    CtNamespaces__ListRequest req = CT_NAMESPACES__LIST_REQUEST__INIT;

    return nd_ctrd_call(w->ctrd, (struct nd_ctrd_scope){0}, CT_NAMESPACES_LIST, &req, w->arena,
                        ret);
}

static void
create_namespace(struct world *w, const char *name)
{
    CtNamespaces__CreateRequest req = CT_NAMESPACES__CREATE_REQUEST__INIT;
    CtNamespaces__Namespace ns = CT_NAMESPACES__NAMESPACE__INIT;
    CtNamespaces__CreateResponse *rsp;

    ns.name = (char *)(uintptr_t)name;
    req.namespace_ = &ns;
    expect_ok(nd_ctrd_call(w->ctrd, (struct nd_ctrd_scope){.ns = name}, CT_NAMESPACES_CREATE, &req,
                           w->arena, &rsp));
}

IN_REAL_LOOP(version_is_asked_once_per_connection)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_ctrd_version first, second;

    expect_ok(nd_ctrd_version(w->ctrd, &first));
    assert_true(first.major >= 1);
    assert_true(first.major > 1 || first.minor >= 6);
    expect_ok(nd_ctrd_version(w->ctrd, &second));
    assert_ptr_equal(first.text, second.text);
    assert_true(nd_ctrd_is_up(w->ctrd));
    return NULL;
}

IN_REAL_LOOP(calls_carry_the_namespace)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    CtNamespaces__ListResponse *rsp;
    bool found = false;

    create_namespace(w, "carried");
    expect_ok(list_namespaces(w, &rsp));
    for (size_t i = 0; i < rsp->n_namespaces; i++)
        found = found || strcmp(rsp->namespaces[i]->name, "carried") == 0;
    assert_true(found);
    return NULL;
}

IN_REAL_LOOP(failures_are_containerds)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    CtContainers__GetRequest req = CT_CONTAINERS__GET_REQUEST__INIT;
    CtContainers__GetResponse *rsp;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    req.id = (char *)(uintptr_t) "absent";
    err = nd_ctrd_call(w->ctrd, NS, CT_CONTAINERS_GET, &req, w->arena, &rsp);
    assert_int_equal(nd_error_code(err), ND_NOT_FOUND);
    assert_string_equal(nd_error_get_component(err), "containerd");
    assert_null(nd_error_get_reason(err));
    expect_code(
        nd_ctrd_call(w->ctrd, (struct nd_ctrd_scope){0}, CT_CONTAINERS_GET, &req, w->arena, &rsp),
        ND_PRECONDITION);
    return NULL;
}

static size_t
count_leases(struct world *w, const char *id)
{
    CtLeases__ListRequest req = CT_LEASES__LIST_REQUEST__INIT;
    CtLeases__ListResponse *rsp;
    size_t n = 0;

    expect_ok(nd_ctrd_call(w->ctrd, NS, CT_LEASES_LIST, &req, w->arena, &rsp));
    for (size_t i = 0; i < rsp->n_leases; i++) {
        if (strcmp(rsp->leases[i]->id, id) != 0)
            continue;
        n++;
        assert_true(rsp->leases[i]->n_labels >= 1);
    }
    return n;
}

static struct nd_lease
make_lease(struct world *w)
{
    struct nd_lease lease = {0};

    nd_random_hex(lease.id, ND_LEASE_ID_BYTES);
    expect_ok(nd_lease_create(w->ctrd, "test", &lease));
    return lease;
}

IN_REAL_LOOP(leases_expire_and_can_be_deleted_twice)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    struct nd_lease lease = make_lease(w);

    assert_int_equal(count_leases(w, lease.id), 1);
    expect_ok(nd_lease_delete(w->ctrd, "test", &lease, true));
    assert_int_equal(count_leases(w, lease.id), 0);
    expect_ok(nd_lease_delete(w->ctrd, "test", &lease, false));
    return NULL;
}

IN_REAL_LOOP(comes_back_by_itself_after_containerd_was_killed)
{
    ND_AUTO(world_endp) struct world *w = world_begin();
    CtNamespaces__ListResponse *rsp;
    struct nd_ctrd_version version;
    struct nd_error *err;

    containerd_kill();
    world_until(w, false);
    assert_false(nd_ctrd_is_up(w->ctrd));
    err = list_namespaces(w, &rsp);
    assert_int_equal(nd_error_code(err), ND_UNAVAILABLE);
    assert_string_equal(nd_error_get_component(err), "containerd");
    assert_string_equal(nd_error_get_reason(err), "CONTAINERD_UNAVAILABLE");
    assert_int_equal(nd_error_n_hints(err), 1);
    assert_non_null(strstr(nd_error_get_hint(err, 0), containerd_socket()));
    assert_true(nd_error_get_retry_ms(err) > 0);
    nd_error_free(err);

    containerd_start();
    world_until(w, true);
    expect_ok(list_namespaces(w, &rsp));
    expect_ok(nd_ctrd_version(w->ctrd, &version));
    assert_int_equal(w->downs, 1);
    assert_int_equal(w->ups, 2);
    return NULL;
}

IN_LOOP(an_absent_socket_is_unavailable_at_once)
{
    ND_AUTO(nd_ctrd_freep) struct nd_ctrd *ctrd = NULL;
    const struct nd_ctrd_options options = {.address = "unix:///nonexistent/c.sock"};
    struct nd_ctrd_version version;

    expect_ok(nd_ctrd_new(&options, &ctrd));
    assert_string_equal(nd_ctrd_address(ctrd), "/nonexistent/c.sock");
    for (int i = 0; i < 3; i++) {
        ND_AUTO(nd_error_freep) struct nd_error *err = nd_ctrd_version(ctrd, &version);

        assert_int_equal(nd_error_code(err), ND_UNAVAILABLE);
        assert_string_equal(nd_error_get_reason(err), "CONTAINERD_UNAVAILABLE");
    }
    return NULL;
}

IN_LOOP(addresses_are_unix_sockets)
{
    struct nd_ctrd *ctrd;

    expect_code(nd_ctrd_new(&(struct nd_ctrd_options){.address = "tcp://127.0.0.1:1"}, &ctrd),
                ND_INVALID);
    expect_code(nd_ctrd_new(&(struct nd_ctrd_options){.address = ""}, &ctrd), ND_INVALID);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_unix_sockets),
        cmocka_unit_test(an_absent_socket_is_unavailable_at_once),
        cmocka_unit_test(version_is_asked_once_per_connection),
        cmocka_unit_test(calls_carry_the_namespace),
        cmocka_unit_test(failures_are_containerds),
        cmocka_unit_test(leases_expire_and_can_be_deleted_twice),
        cmocka_unit_test(comes_back_by_itself_after_containerd_was_killed),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
