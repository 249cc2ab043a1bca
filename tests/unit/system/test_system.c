/* Version, info and ping against a containerd of its own. */

#include <stdio.h>
#include <stdlib.h>

#include "system/system.h"

#include "host_world.h"

static struct nd_error *
ask_version(struct host_world *hw, Pb__SystemServiceVersionResponse *rsp)
{
    pb__system_service_version_response__init(rsp);
    return nd_system_version(hw->host, "1.2.3", "abc", hw->arena, rsp);
}

static const Pb__Component *
find_component(const Pb__SystemServiceVersionResponse *rsp, const char *name)
{
    for (size_t i = 0; i < rsp->n_components; i++)
        if (strcmp(rsp->components[i]->name, name) == 0)
            return rsp->components[i];
    return NULL;
}

IN_REAL_LOOP(version_tells_containerd_and_runc)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    Pb__SystemServiceVersionResponse rsp;
    struct nd_ctrd_version version;

    expect_ok(ask_version(hw, &rsp));
    assert_string_equal(rsp.version, "1.2.3");
    assert_string_equal(rsp.git_commit, "abc");
    assert_string_equal(rsp.api_version, "v1");
    assert_string_equal(rsp.os, "linux");
    assert_non_null(find_component(&rsp, "containerd"));
    expect_ok(nd_ctrd_version(nd_host_ctrd(hw->host), &version));
    assert_string_equal(find_component(&rsp, "containerd")->version, version.text);
    if (find_component(&rsp, "runc") != NULL)
        assert_string_not_equal(find_component(&rsp, "runc")->version, "");
    return NULL;
}

IN_REAL_LOOP(info_counts_the_namespace)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    Pb__SystemServiceInfoResponse rsp = PB__SYSTEM_SERVICE_INFO_RESPONSE__INIT;
    bool native = false;

    make_container(hw, "counted", "c1", "one", "x");
    make_container(hw, "counted", "c2", "two", "x");
    make_image(hw, "counted", "docker.io/library/i:1", "x");
    make_container(hw, "elsewhere", "c3", "three", "x");
    expect_ok(nd_system_info(hw->containers, "counted", "1.2.3", hw->arena, &rsp));
    assert_int_equal(rsp.containers, 2);
    assert_int_equal(rsp.containers_running, 0);
    assert_int_equal(rsp.containers_stopped, 2);
    assert_int_equal(rsp.images, 1);
    assert_string_equal(rsp.namespace_, "counted");
    assert_string_equal(rsp.driver, "native");
    assert_string_equal(rsp.containerd_address, containerd_socket());
    assert_string_not_equal(rsp.id, "");
    assert_string_not_equal(rsp.server_version, "");
    assert_true(rsp.ncpu > 0 && rsp.mem_total > 0);
    for (size_t i = 0; i < rsp.n_storage_drivers; i++)
        native = native || strcmp(rsp.storage_drivers[i], "native") == 0;
    assert_true(native);
    return NULL;
}

/* The daemon can be asked for its version even then. */
IN_REAL_LOOP(without_containerd_only_the_version_is_told)
{
    ND_AUTO(host_world_endp) struct host_world *hw = host_world_begin();
    Pb__SystemServicePingResponse ping = PB__SYSTEM_SERVICE_PING_RESPONSE__INIT;
    Pb__SystemServiceInfoResponse info = PB__SYSTEM_SERVICE_INFO_RESPONSE__INIT;
    Pb__SystemServiceVersionResponse version;

    expect_ok(nd_system_ping(hw->host, hw->arena, &ping));
    assert_true(ping.time->seconds > 0);
    containerd_kill();
    world_until(hw->world, false);
    expect_code(nd_system_ping(hw->host, hw->arena, &ping), ND_UNAVAILABLE);
    expect_code(nd_system_info(hw->containers, "default", "1", hw->arena, &info), ND_UNAVAILABLE);
    expect_ok(ask_version(hw, &version));
    assert_null(find_component(&version, "containerd"));
    containerd_start();
    world_until(hw->world, true);
    expect_ok(nd_system_ping(hw->host, hw->arena, &ping));
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_tells_containerd_and_runc),
        cmocka_unit_test(info_counts_the_namespace),
        cmocka_unit_test(without_containerd_only_the_version_is_told),
    };

    if (!containerd_is_usable())
        return EXIT_SKIPPED;
    return cmocka_run_group_tests(tests, containerd_setup, containerd_teardown);
}
