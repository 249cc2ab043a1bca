"""OperationService: a long call seen, followed and cancelled from other connections."""

import grpc
import pytest

import archives
import host
import stubs

UNKNOWN_ID = "0123456789abcdef" * 2


@pytest.fixture
def other(api_modules, box):
    """Another connection."""
    connection = stubs.Api(api_modules, box.daemon.target)
    yield connection
    connection.close()


def get(ns, operation_id):
    request = ns.m.operation.OperationServiceGetRequest(id=operation_id)
    return ns.call(ns.api.operation.Get, request).operation


def list_all(ns, **fields):
    return ns.call(ns.api.operation.List, ns.m.operation.OperationServiceListRequest(**fields))


class HalfLoad:
    """A load whose client has sent the first half of the archive and waits."""

    def __init__(self, ns, data):
        self.ns = ns
        request = ns.m.image.ImageServiceLoadRequest
        self.rest = data[len(data) // 2:]
        self.requests = stubs.Requests(
            request(options=ns.m.image.LoadOptions(total_bytes=len(data))))
        first = data[:len(data) // 2]
        for start in range(0, len(first), stubs.CHUNK):
            self.requests.put(request(chunk=first[start:start + stubs.CHUNK]))
        self.replies = ns.call(ns.api.image.Load, self.requests)
        self.id = dict(self.replies.initial_metadata())["nerdctl-operation-id"]

    def finish(self):
        request = self.ns.m.image.ImageServiceLoadRequest
        for start in range(0, len(self.rest), stubs.CHUNK):
            self.requests.put(request(chunk=self.rest[start:start + stubs.CHUNK]))
        self.requests.close()
        return list(self.replies)


@pytest.fixture(scope="module")
def archive(images):
    """Large enough for a report of progress from its first half."""
    return archives.docker(archives.Image(images.layer, archives.tar(("big", bytes(24 << 20)))),
                           "operation:1")


@pytest.fixture
def developer(ns, box):
    """The same namespace for somebody else."""
    pki = {name: (box.pki / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")}
    credentials = grpc.ssl_channel_credentials(pki["ca.pem"], pki["client.key"], pki["client.pem"])
    over_tls = stubs.Api(ns.m, f"tcp://localhost:{box.port}", credentials)
    yield over_tls.namespace(ns.name)
    over_tls.close()


def test_the_owner_is_the_name_in_the_certificate(ns, developer, archive):
    load = HalfLoad(developer, archive)
    load.finish()
    assert get(ns, load.id).owner == "cn:developer"


def test_a_session_is_shown_to_its_owner_alone(ready, developer):
    """Whoever knows it can take the client's place."""
    def seen(ns):
        operation = list_all(ns).operations[0]
        watch = ns.m.operation.OperationServiceWatchRequest(id=operation.id)
        ways = [operation, get(ns, operation.id),
                *(r.operation for r in ns.call(ns.api.operation.Watch, watch))]
        results = [ns.m.container.RunResult() for _ in ways]
        assert all(way.response.Unpack(result) for way, result in zip(ways, results))
        return [(r.container_id, list(r.warnings), r.exit.code, r.session_id) for r in results]
    request = developer.run_request("sh", "-c", "exit 3")
    request.options.request_id = f"{ready.name}-1"
    done = developer.collect(developer.call(developer.api.container.Run, iter([request])))
    *rest, session = seen(developer)[0]
    assert rest == [done.id, [], 3] and len(session) == 32
    assert seen(developer) == [(*rest, session)] * 3
    assert seen(ready) == [(*rest, "")] * 3


def test_id_comes_first_and_the_result_stays(ns, archive):
    load = HalfLoad(ns, archive)
    load.finish()
    done = get(ns, load.id)
    assert done.method == "/nerdctl.v1.ImageService/Load"
    assert done.state == ns.m.operation.OPERATION_STATE_SUCCEEDED
    assert done.containerd_namespace == ns.name
    assert done.owner == "uid:0"
    assert done.end_time.ToNanoseconds() >= done.create_time.ToNanoseconds() > 0
    result = ns.m.operation.LoadResult()
    assert done.response.Unpack(result)
    assert list(result.names) == ["docker.io/library/operation:1"]


def test_watched_from_another_connection(ns, other, archive):
    load = HalfLoad(ns, archive)
    watch = other.operation.Watch(ns.m.operation.OperationServiceWatchRequest(id=load.id), timeout=60)
    for reply in watch:
        assert reply.operation.state == ns.m.operation.OPERATION_STATE_RUNNING
        if any(p.id == "archive" and p.current > 0 for p in reply.operation.progress):
            break
    load.finish()
    states = [reply.operation.state for reply in watch]
    assert states[-1] == ns.m.operation.OPERATION_STATE_SUCCEEDED
    assert set(states[:-1]) <= {ns.m.operation.OPERATION_STATE_RUNNING}
    again = list(other.operation.Watch(ns.m.operation.OperationServiceWatchRequest(id=load.id),
                                       timeout=60))
    assert [reply.operation.state for reply in again] == [states[-1]]


def test_cancelled_from_another_connection_leaves_nothing(ns, other, archive):
    load = HalfLoad(ns, archive)
    cancel = ns.m.operation.OperationServiceCancelRequest(id=load.id)
    other.operation.Cancel(cancel, timeout=10)
    failure = other.failure(lambda: list(load.replies))
    assert failure.code == grpc.StatusCode.CANCELLED
    assert failure.reason == "OPERATION_CANCELLED"
    load.requests.close()
    ended = get(ns, load.id)
    assert ended.state == ns.m.operation.OPERATION_STATE_FAILED
    assert ended.error.code == grpc.StatusCode.CANCELLED.value[0]
    assert ended.error.reason == "OPERATION_CANCELLED"
    assert ns.images() == []
    failure = other.failure(lambda: other.operation.Cancel(cancel, timeout=10))
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "OPERATION_ENDED"


def test_client_that_vanishes_ends_its_load(ns, archive):
    load = HalfLoad(ns, archive)
    load.replies.cancel()
    load.requests.close()
    ended = host.wait_until(
        lambda: (lambda o: o if o.state == ns.m.operation.OPERATION_STATE_FAILED else None)(
            get(ns, load.id)), 10, "noticed")
    assert ended.error.code == grpc.StatusCode.CANCELLED.value[0]


def test_failed_load_is_told_as_its_status_was(ns):
    requests = iter([ns.m.image.ImageServiceLoadRequest(options=ns.m.image.LoadOptions()),
                     ns.m.image.ImageServiceLoadRequest(chunk=b"no archive" * 100)])
    replies = ns.call(ns.api.image.Load, requests)
    operation_id = dict(replies.initial_metadata())["nerdctl-operation-id"]
    failure = ns.api.failure(lambda: list(replies))
    ended = get(ns, operation_id)
    assert ended.error.code == failure.code.value[0]
    assert ended.error.reason == failure.reason
    assert ended.error.message == failure.message


def test_pages_of_a_list(ns, images):
    for _ in range(5):
        ns.load(images.busybox)
    whole = [o.id for o in list_all(ns).operations]
    assert len(whole) == 5
    paged, token = [], ""
    while True:
        reply = list_all(ns, page_size=2, page_token=token)
        paged += [o.id for o in reply.operations]
        token = reply.next_page_token
        if not token:
            break
    assert paged == whole
    times = [o.create_time.ToNanoseconds() for o in list_all(ns).operations]
    assert times == sorted(times, reverse=True)
    everywhere = [o.id for o in list_all(ns, all_namespaces=True, page_size=1000).operations]
    assert set(whole) <= set(everywhere)


def test_deleted_when_it_has_ended(ns, archive):
    load = HalfLoad(ns, archive)
    delete = ns.m.operation.OperationServiceDeleteRequest(id=load.id)
    failure = ns.failure(ns.api.operation.Delete, delete)
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "OPERATION_RUNNING"
    load.finish()
    ns.call(ns.api.operation.Delete, delete)
    failure = ns.failure(ns.api.operation.Get, ns.m.operation.OperationServiceGetRequest(id=load.id))
    assert failure.code == grpc.StatusCode.NOT_FOUND
    assert failure.reason == "OPERATION_NOT_FOUND"


METHODS = ("Get", "Watch", "Cancel", "Delete")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrong", ["", "x", "a" * 33, "A" * 32, "../../etc/passwd", "a" * 100000, "ä"])
def test_wrong_id(ns, method, wrong):
    request = getattr(ns.m.operation, f"OperationService{method}Request")(id=wrong)
    failure = ns.failure(getattr(ns.api.operation, method), request)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["id"]


@pytest.mark.parametrize("method", METHODS)
def test_unknown_id(ns, method):
    request = getattr(ns.m.operation, f"OperationService{method}Request")(id=UNKNOWN_ID)
    failure = ns.failure(getattr(ns.api.operation, method), request)
    assert failure.code == grpc.StatusCode.NOT_FOUND
    assert failure.reason == "OPERATION_NOT_FOUND"


@pytest.mark.parametrize("field,fields", [
    ("page_size", {"page_size": -1}), ("page_size", {"page_size": 1001}),
    ("page_token", {"page_token": "x"}), ("page_token", {"page_token": "1-x"}),
    ("page_token", {"page_token": f"-1-{UNKNOWN_ID}"}),
    ("page_token", {"page_token": f"99999999999999999999999-{UNKNOWN_ID}"}),
    ("page_token", {"page_token": "-" * 1000})])
def test_wrong_page(ns, field, fields):
    failure = ns.failure(ns.api.operation.List,
                         ns.m.operation.OperationServiceListRequest(**fields))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == [field]


def test_crash_aborts_it_and_it_is_not_lost_from_sight(api_modules, archive):
    machine = host.Host(host.BUILD, prefix="ndo")
    machine.start()
    api = stubs.Api(api_modules, machine.daemon.target)
    try:
        view = api.namespace("crashed")
        load = HalfLoad(view, archive)
        host.wait_until(lambda: get(view, load.id).progress, 10, "under way")
        machine.daemon.kill()
        load.requests.close()
        machine.daemon.start()
        ended = host.wait_until(lambda: try_get(view, load.id), 10, "connected again")
        assert ended.state == view.m.operation.OPERATION_STATE_FAILED
        assert ended.error.code == grpc.StatusCode.ABORTED.value[0]
        assert ended.error.reason == "DAEMON_ENDED"
    finally:
        api.close()
        left = machine.close()
    assert not left, "; ".join(left)


def try_get(ns, operation_id):
    try:
        return get(ns, operation_id)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return None
