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


def test_order_of_maps_does_not_count(ready):
    """Go's protobuf writes the entries of a map in another order each time."""
    labels = [(f"key{i}", f"value{i}") for i in range(8)]
    request = ready.create_request("true", name="once")
    request.request_id = f"{ready.name}-1"
    create_bytes = ready.api.channel.unary_stream("/nerdctl.v1.ContainerService/Create")
    replies = set()
    for order in (labels, labels[::-1], labels[3:] + labels[:3]):
        pieces = [request.SerializeToString()]
        for key, value in order:
            config = ready.m.container.ContainerConfig(labels={key: value})
            piece = ready.m.container.ContainerServiceCreateRequest(config=config)
            pieces.append(piece.SerializeToString())
        replies |= set(ready.call(create_bytes, b"".join(pieces)))
    assert len(replies) == 1


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


# --- calls that change something, each sent three times --------------------------------------------


def test_stop_sent_again_does_not_stop_what_was_started_since(ready):
    done = ready.run("sleep", "100000", detach=True, name="web")
    for _ in range(3):
        ready.stop("web", timeout=0, request_id=f"{ready.name}-1")
    ready.start("web")
    ready.stop("web", timeout=0, request_id=f"{ready.name}-1")
    assert ready.state(done.id) == ready.m.container.CONTAINER_STATE_RUNNING
    request = ready.m.container.ContainerServiceStopRequest(container="web", timeout=1,
                                                            request_id=f"{ready.name}-1")
    failure = ready.failure(ready.api.container.Stop, request)
    assert failure.reason == "REQUEST_ID_REUSED"


def test_kill_sent_again_is_one_signal(ready):
    done = ready.run("sh", "-c", "trap 'echo got' HUP; echo up; while :; do sleep 0.02; done",
                     detach=True)
    host.wait_until(lambda: ready.logs(done.id)[0], 10, "up")
    request = ready.m.container.ContainerServiceKillRequest(container=done.id, signal="HUP",
                                                            request_id=f"{ready.name}-1")
    for _ in range(3):
        ready.call(ready.api.container.Kill, request)
    request.request_id = f"{ready.name}-2"
    host.wait_until(lambda: ready.logs(done.id)[0].count(b"got") == 1, 10, "the signal")
    ready.call(ready.api.container.Kill, request)
    host.wait_until(lambda: ready.logs(done.id)[0].count(b"got") == 2, 10, "the other signal")


def test_images_tagged_and_removed_again(ready):
    m, api = ready.m.image, ready.api.image
    tag = m.ImageServiceTagRequest(source="busybox", target="other:1", request_id=f"{ready.name}-1")
    replies = [ready.call(api.Tag, tag).image.name for _ in range(3)]
    assert replies == ["docker.io/library/other:1"] * 3
    remove = m.ImageServiceRemoveRequest(image="other:1", request_id=f"{ready.name}-2")
    gone = [list(ready.call(api.Remove, remove).untagged) for _ in range(3)]
    assert gone == [["docker.io/library/other:1"]] * 3
    ready.tag("busybox", "other:1")
    ready.call(api.Remove, remove)
    assert {i.name for i in ready.images()} == {"docker.io/library/busybox:latest",
                                               "docker.io/library/other:1"}


def start(ns, request_id, container, attach=False):
    request = ns.start_request(container, attach)
    request.options.request_id = request_id
    return ns.collect(ns.call(ns.api.container.Start, iter([request])))


def test_start_sent_again_does_not_start_what_was_stopped_since(ready):
    container = ready.create("sleep", "100000")
    assert {start(ready, f"{ready.name}-1", container).id for _ in range(3)} == {container}
    ready.stop(container, timeout=0)
    assert start(ready, f"{ready.name}-1", container).id == container
    assert ready.state(container) == ready.m.container.CONTAINER_STATE_EXITED


def test_start_attached_sent_again_gives_the_exit_code(ready):
    container = ready.create("sh", "-c", "echo hello; exit 7")
    first = start(ready, f"{ready.name}-1", container, attach=True)
    assert (first.code, first.stdout) == (7, b"hello\n")
    again = start(ready, f"{ready.name}-1", container, attach=True)
    assert (again.id, again.code) == (container, 7)
    assert ready.logs(container)[0] == b"hello\n"


def run_request(ns, request_id, *args, **fields):
    request = ns.run_request(*args, **fields)
    request.options.request_id = request_id
    return request


def run(ns, request_id, *args, **fields):
    return ns.collect(ns.call(ns.api.container.Run,
                              iter([run_request(ns, request_id, *args, **fields)])))


def test_run_detached_sent_again_is_one_container(ready):
    ids = {run(ready, f"{ready.name}-1", "sleep", "100000", detach=True).id for _ in range(3)}
    assert len(ids) == 1
    assert [c.id for c in ready.list(all=True)] == list(ids)


def test_run_sent_at_once_is_one_container(ready):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        ids = {f.result().id for f in
               [pool.submit(run, ready, f"{ready.name}-1", "sleep", "100000", detach=True)
                for _ in range(6)]}
    assert len(ids) == 1
    assert [c.id for c in ready.list(all=True)] == list(ids)


@pytest.mark.parametrize("auto_remove", [False, True])
def test_run_attached_sent_again_gives_the_exit_code(ready, auto_remove):
    first = run(ready, f"{ready.name}-1", "sh", "-c", "exit 7", auto_remove=auto_remove)
    again = run(ready, f"{ready.name}-1", "sh", "-c", "exit 7", auto_remove=auto_remove)
    assert (first.id, first.code) == (again.id, again.code) == (first.id, 7)
    assert len(ready.list(all=True)) == (0 if auto_remove else 1)


def cut_off_at_its_output(ns, method, request):
    """The client goes away when the first bytes have come."""
    requests = stubs.Requests(request)
    call = ns.call(method, requests)
    for reply in call:
        if reply.WhichOneof("response") == "output":
            break
    call.cancel()
    requests.close()


def test_run_cut_off_and_sent_again_goes_on_in_its_session(ready):
    """The second call gets every byte, those that the first one was sent and did not acknowledge as well."""
    request = run_request(ready, f"{ready.name}-1", "sh", "-c", "echo one; read x; echo $x; exit 3",
                          interactive=True)
    request.options.stream.acknowledge = True
    cut_off_at_its_output(ready, ready.api.container.Run, request)
    second = stubs.Requests(request)
    control = ready.m.container.StreamControl
    second.put(ready.m.container.ContainerServiceRunRequest(
        control=control(input=ready.m.container.Input(data=b"two\n"))))
    output, code = b"", None
    for reply in ready.call(ready.api.container.Run, second):
        kind = reply.WhichOneof("response")
        if kind == "output":
            output += reply.output.data
            acknowledgement = ready.m.container.Acknowledgement(
                stream=reply.output.stream, offset=reply.output.offset + len(reply.output.data))
            second.put(ready.m.container.ContainerServiceRunRequest(
                control=control(acknowledgement=acknowledgement)))
        elif kind == "exit":
            code = reply.exit.code
    second.close()
    assert (output, code) == (b"one\ntwo\n", 3)
    assert len(ready.list(all=True)) == 1


def exec_request(ns, request_id, container, *args, **fields):
    options = ns.m.container.ExecOptions(container=container, args=args, request_id=request_id, **fields)
    return ns.m.container.ContainerServiceExecRequest(options=options)


def told(replies):
    """(id, output, exit code) of a command."""
    exec_id, output, code = "", b"", None
    for reply in replies:
        kind = reply.WhichOneof("response")
        if kind == "exec_id":
            exec_id = reply.exec_id
        elif kind == "output":
            output += reply.output.data
        elif kind == "exit":
            code = reply.exit.code
    return exec_id, output, code


def exec_again(ns, request_id, container, *args, **fields):
    request = exec_request(ns, request_id, container, *args, **fields)
    return told(ns.call(ns.api.container.Exec, iter([request])))


def test_exec_sent_again_runs_once(ready):
    container = ready.run("sleep", "100000", detach=True).id
    script = ("sh", "-c", "echo ran >>/ran; echo hello; exit 7")
    first = exec_again(ready, f"{ready.name}-1", container, *script)
    again = exec_again(ready, f"{ready.name}-1", container, *script)
    assert first[1:] == (b"hello\n", 7)
    assert (again[0], again[2]) == (first[0], 7)
    assert exec_again(ready, f"{ready.name}-2", container, "cat", "/ran")[1] == b"ran\n"


def test_exec_detached_sent_again_runs_once(ready):
    container = ready.run("sleep", "100000", detach=True).id
    script = ("sh", "-c", "echo ran >>/ran; exec sleep 100000")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        ids = {f.result()[0] for f in
               [pool.submit(exec_again, ready, f"{ready.name}-1", container, *script, detach=True)
                for _ in range(6)]}
    assert len(ids) == 1 and "" not in ids
    assert exec_again(ready, f"{ready.name}-2", container, "cat", "/ran")[1] == b"ran\n"


def test_exec_cut_off_and_sent_again_goes_on_in_its_session(ready):
    container = ready.run("sleep", "100000", detach=True).id
    request = exec_request(ready, f"{ready.name}-1", container, "sh", "-c",
                           "echo one; read x; echo $x; exit 3", interactive=True)
    request.options.stream.acknowledge = True
    cut_off_at_its_output(ready, ready.api.container.Exec, request)
    message, control = ready.m.container.ContainerServiceExecRequest, ready.m.container.StreamControl
    second = stubs.Requests(request)
    second.put(message(control=control(input=ready.m.container.Input(data=b"two\n"))))

    def acknowledged():
        for reply in ready.call(ready.api.container.Exec, second):
            if reply.WhichOneof("response") == "output":
                second.put(message(control=control(acknowledgement=ready.m.container.Acknowledgement(
                    stream=reply.output.stream, offset=reply.output.offset + len(reply.output.data)))))
            yield reply
    assert told(acknowledged())[1:] == (b"one\ntwo\n", 3)
    second.close()


def test_exec_with_the_id_of_another_is_refused(ready):
    container = ready.run("sleep", "100000", detach=True).id
    exec_again(ready, f"{ready.name}-1", container, "true")
    failure = ready.api.failure(lambda: exec_again(ready, f"{ready.name}-1", container, "false"))
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


def test_exec_that_failed_may_be_tried_again(ready):
    container = ready.run("sleep", "100000", detach=True).id
    for _ in range(2):
        failure = ready.api.failure(
            lambda: exec_again(ready, f"{ready.name}-1", container, "/no/such/program"))
        assert failure.reason == "CONTAINER_COMMAND_NOT_FOUND"


def test_run_that_failed_and_left_a_container_fails_again(ready):
    """As with docker the container stays; there is no second one."""
    request = run_request(ready, f"{ready.name}-1", "/no/such/program", name="broken")
    failures = [ready.api.failure(lambda: list(ready.call(ready.api.container.Run, iter([request]))))
                for _ in range(3)]
    assert {(f.code, f.reason, f.message) for f in failures} == {
        (grpc.StatusCode.FAILED_PRECONDITION, "CONTAINER_COMMAND_NOT_FOUND", failures[0].message)}
    assert [c.name for c in ready.list(all=True)] == ["broken"]


def test_run_with_the_id_of_another_is_refused(ready):
    run(ready, f"{ready.name}-1", "true", detach=True)
    request = run_request(ready, f"{ready.name}-1", "false", detach=True)
    failure = ready.api.failure(lambda: list(ready.call(ready.api.container.Run, iter([request]))))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.reason == "REQUEST_ID_REUSED"
    assert len(ready.list(all=True)) == 1


def test_load_sent_again_is_not_read_again(ns, images):
    first = [i.name for i in ns.load(images.busybox, request_id=f"{ns.name}-1")]
    again = ns.load(b"no archive at all", request_id=f"{ns.name}-1")
    assert [i.name for i in again] == first
    assert again[0].digest == ns.images()[0].digest
    failure = ns.api.failure(lambda: ns.load(images.busybox, request_id=f"{ns.name}-1",
                                             all_platforms=True))
    assert failure.reason == "REQUEST_ID_REUSED"
    for name in first:
        ns.remove_image(name)
    assert [i.name for i in ns.load(images.busybox, request_id=f"{ns.name}-1")] == first
    assert ns.images() == []


def test_load_sent_again_is_the_same_operation(ns, images):
    ids = []
    for _ in range(2):
        replies = ns.call(ns.api.image.Load, ns.load_requests(images.busybox,
                                                              request_id=f"{ns.name}-1"))
        ids.append(dict(replies.initial_metadata())["nerdctl-operation-id"])
        list(replies)
    assert ids[0] == ids[1]
    listed = ns.call(ns.api.operation.List, ns.m.operation.OperationServiceListRequest()).operations
    assert [o.id for o in listed] == ids[:1]


@pytest.mark.parametrize("wrong", ["with space", "new\nline", "ä", "a" * 129])
def test_wrong_ids(ready, wrong):
    failure = create_failure(ready, wrong)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["request_id"]
    assert ready.list(all=True) == []


@pytest.mark.parametrize("method", ["Run", "Start", "Load"])
def test_wrong_id_is_named_where_it_lies(ready, images, method):
    m, wrong = ready.m, "with space"
    start = m.container.StartOptions(container="nosuch", request_id=wrong)
    message = {"Run": run_request(ready, wrong, "true"),
               "Start": m.container.ContainerServiceStartRequest(options=start),
               "Load": m.image.ImageServiceLoadRequest(options=m.image.LoadOptions(request_id=wrong))}
    service = ready.api.image if method == "Load" else ready.api.container
    failure = ready.api.failure(
        lambda: list(ready.call(getattr(service, method), iter([message[method]]))))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert list(failure.fields) == ["options.request_id"]


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
