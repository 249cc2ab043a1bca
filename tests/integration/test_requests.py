"""Request ids: the same request sent again has one effect and one answer."""

import concurrent.futures

import grpc
import pytest

import host
import stubs


def create(ns, request_id, *args, **fields):
    request = ns.create_request(*(args or ("true",)), **fields)
    request.request_id = request_id
    return list(ns.call(ns.api.container.Create, request))[-1]


def create_failure(ns, request_id, *args, **fields):
    request = ns.create_request(*(args or ("true",)), **fields)
    request.request_id = request_id
    return ns.failure(ns.api.container.Create, request)


def test_create_sent_three_times_is_one_container(ready):
    replies = [create(ready, f"{ready.name}-1", name="once", labels={"a": "b"}) for _ in range(3)]
    assert len({reply.container_id for reply in replies}) == 1
    assert [reply.SerializeToString() for reply in replies].count(
        replies[0].SerializeToString()) == 3
    assert len(ready.list(all=True)) == 1


def test_create_sent_at_once_is_one_container(ready):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = {f.result().container_id for f in
               [pool.submit(create, ready, f"{ready.name}-1") for _ in range(8)]}
    assert len(ids) == 1
    assert [c.id for c in ready.list(all=True)] == list(ids)


def test_without_an_id_each_is_one(ready):
    assert create(ready, "").container_id != create(ready, "").container_id


def test_id_used_for_something_else_is_refused(ready):
    create(ready, f"{ready.name}-1", name="one")
    failure = create_failure(ready, f"{ready.name}-1", name="two")
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["request_id"]
    assert failure.info.reason == "REQUEST_ID_REUSED"
    request = ready.m.container.ContainerServiceRemoveRequest(container="one",
                                                              request_id=f"{ready.name}-1")
    failure = ready.failure(ready.api.container.Remove, request)
    assert list(failure.fields) == ["request_id"]
    assert len(ready.list(all=True)) == 1


def test_failure_is_not_remembered(ns, images):
    assert create_failure(ns, f"{ns.name}-1").code == grpc.StatusCode.NOT_FOUND
    ns.load(images.busybox)
    assert create(ns, f"{ns.name}-1").container_id


def test_removal_sent_again_has_the_same_answer(ready):
    container = ready.create("true", name="gone")
    request = ready.m.container.ContainerServiceRemoveRequest(container="gone",
                                                              request_id=f"{ready.name}-1")
    replies = [ready.call(ready.api.container.Remove, request) for _ in range(3)]
    assert [reply.container_id for reply in replies] == [container] * 3
    ready.create("true", name="gone")
    ready.call(ready.api.container.Remove, request)
    assert [c.name for c in ready.list(all=True)] == ["gone"]


@pytest.mark.parametrize("wrong", ["with space", "new\nline", "ä", "a" * 129])
def test_wrong_ids(ready, wrong):
    failure = create_failure(ready, wrong)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["request_id"]
    assert ready.list(all=True) == []


def test_longest_id(ready):
    assert create(ready, "~" * 128).container_id


def test_answer_survives_the_daemon(api_modules, images):
    machine = host.Host(host.BUILD, prefix="ndi")
    machine.start()
    api = stubs.Api(api_modules, machine.daemon.target)
    try:
        view = api.namespace("again")
        view.load(images.busybox)
        first = create(view, "r-1", name="once").container_id
        machine.daemon.kill()
        machine.daemon.start()
        again = host.wait_until(lambda: try_create(view, "r-1", name="once"), 10, "connected again")
        assert again.container_id == first
        view.clear()
    finally:
        api.close()
        left = machine.close()
    assert not left, "; ".join(left)


def try_create(ns, request_id, **fields):
    try:
        return create(ns, request_id, **fields)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return None
