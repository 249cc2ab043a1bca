"""Rename: everything that knows the name has the new one, the old one is free, and nothing else changed."""

import concurrent.futures
import fcntl
import json
import os

import grpc
import pytest

import host
from test_contract import FOREVER, Made


def named(ready, container):
    """All places that know a container's name."""
    made = Made(ready, container)
    meta = json.loads((made.store / "etchosts" / ready.name / container / "meta.json").read_text())
    files = [p.name for p in (made.store / "names" / ready.name).iterdir()
             if p.read_text() == container]
    return {"label": made.labels["nerdctl/name"],
            "annotation": made.spec["annotations"]["nerdctl/name"],
            "hosts": meta["Name"],
            "files": files,
            "shown": [c.name for c in ready.list(all=True) if c.id == container]}


def everywhere(name):
    return {"label": name, "annotation": name, "hosts": name, "files": [name], "shown": [name]}


@pytest.mark.parametrize("state", ["created", "running", "ended"])
def test_every_place_has_the_new_name(ready, state):
    container = ready.create(*(FOREVER if state == "running" else ("true",)), name="before")
    if state != "created":
        ready.start(container, attach=state == "ended")
    before = Made(ready, container)
    was = ready.state(container)
    assert ready.rename("before", "after").container_id == container
    assert named(ready, container) == everywhere("after")
    assert ready.state("after") == was
    after = Made(ready, container)
    del before.spec["annotations"]["nerdctl/name"], after.spec["annotations"]["nerdctl/name"]
    del before.labels["nerdctl/name"], after.labels["nerdctl/name"]
    assert after.spec == before.spec and after.labels == before.labels
    assert ready.create("true", name="before") != container


def test_hosts_file_on_the_hosts_network_stays_readable(ready):
    container = ready.create("cat", "/etc/hosts", name="before", networks=["host"])
    ready.rename(container, "after")
    assert b"localhost" in ready.start("after", attach=True).stdout


def test_goes_on_to_work_after_it(ready):
    done = ready.run("sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.05; done", detach=True,
                     name="before")
    ready.rename("before", "after")
    ready.stop("after")
    assert ready.inspect("after").container.exit.code == 4
    ready.start("after")
    ready.rename(done.id, "again")
    ready.remove("again", force=True)
    assert ready.list(all=True) == []


def assert_in_use(failure, owner):
    assert failure.code == grpc.StatusCode.ALREADY_EXISTS
    assert failure.reason == "NAME_IN_USE" and failure.suggestions
    assert owner in failure.message


def rename_failure(ready, container, new_name):
    request = ready.m.container.ContainerServiceRenameRequest(container=container, new_name=new_name)
    return ready.failure(ready.api.container.Rename, request)


def test_name_of_another_container(ready):
    container, other = ready.create("true", name="before"), ready.create("true", name="taken")
    assert_in_use(rename_failure(ready, "before", "taken"), other)
    assert named(ready, container) == everywhere("before")
    assert named(ready, other) == everywhere("taken")


def test_name_that_another_program_reserved(ready):
    container = ready.create("true", name="before")
    path = Made(ready, container).store / "names" / ready.name / "taken"
    path.write_text("somebody")
    assert_in_use(rename_failure(ready, "before", "taken"), "somebody")
    assert named(ready, container) == everywhere("before")
    assert path.read_text() == "somebody"
    path.unlink()


def test_name_whose_reservation_has_gone(ready):
    """As the hooks of nerdctl leave it when the task was deleted."""
    container = ready.create("true", name="before")
    (Made(ready, container).store / "names" / ready.name / "before").unlink()
    ready.rename("before", "after")
    assert named(ready, container) == everywhere("after")


def test_one_name_for_many_at_once(ready):
    containers = [ready.create("true", name=f"c{i}") for i in range(8)]

    def try_rename(container):
        try:
            ready.rename(container, "wanted")
            return True
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ALREADY_EXISTS
            return False
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        won = [c for c, ok in zip(containers, pool.map(try_rename, containers)) if ok]
    assert len(won) == 1
    assert named(ready, won[0]) == everywhere("wanted")
    for i, container in enumerate(containers):
        if container not in won:
            assert named(ready, container) == everywhere(f"c{i}")


def test_many_names_for_one_at_once(ready):
    container = ready.create("true", name="first")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: ready.rename(container, f"name{i}"), range(8)))
    name = ready.list(all=True)[0].name
    assert named(ready, container) == everywhere(name)


def test_a_name_that_has_gone_meanwhile_is_nobodys(ready):
    """Many take the same name away at once: the others find nobody with it, and change nothing."""
    container = ready.create("true", name="first")
    names = os.open(Made(ready, container).store / "names" / ready.name, os.O_RDONLY)
    fcntl.flock(names, fcntl.LOCK_EX)  # so that all have looked before one can go on
    calls = [ready.api.container.Rename.future(
        ready.m.container.ContainerServiceRenameRequest(container="first", new_name=f"name{i}"),
        metadata=ready.metadata, timeout=60) for i in range(8)]
    for _ in range(3):
        assert len(ready.list(all=True)) == 1
    os.close(names)
    codes = [call.code() for call in calls]
    assert sorted(c.name for c in codes) == ["NOT_FOUND"] * 7 + ["OK"]
    assert named(ready, container) == everywhere(f"name{codes.index(grpc.StatusCode.OK)}")


def test_waits_for_nerdctls_removal(ready):
    """Which holds this lock, and gives back the name that it read."""
    container = ready.create("true", name="before")
    held = Made(ready, container).state / "oplock"
    held.mkdir(mode=0o700)
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    request = ready.m.container.ContainerServiceRenameRequest(container="before", new_name="after")
    call = ready.api.container.Rename.future(request, metadata=ready.metadata, timeout=60)
    with pytest.raises(grpc.FutureTimeoutError):
        call.result(0.3)
    assert named(ready, container) == everywhere("before")
    os.close(lock)
    assert call.result(60).container_id == container
    assert named(ready, container) == everywhere("after")


def test_one_of_another_program_gets_no_state_folder(ready):
    ready.box.containerd.ctr("containers", "create", "docker.io/library/busybox:latest", "foreign",
                             namespace=ready.name)
    ready.rename("foreign", "after")
    assert [c.name for c in ready.list(all=True)] == ["after"]
    assert not Made(ready, "foreign").state.exists()


def test_renamed_again_before_the_first_time_is_finished(ready):
    """A name that cannot be given back at the moment is later; none stays reserved."""
    container = ready.create("true", name="first")
    reservation = Made(ready, container).store / "names" / ready.name / "first"
    reservation.write_text("x" * 10000)
    for name in ("second", "third"):
        ready.rename(container, name)
    reservation.write_text(container)
    host.wait_until(lambda: named(ready, container) == everywhere("third"), 30, "finished")
    for name in ("first", "second"):
        assert ready.create("true", name=name) != container


def test_sent_again_it_is_done_once(ready):
    container = ready.create("true", name="before")
    ids = {ready.rename("before", "after", request_id=f"{ready.name}-1").container_id for _ in range(3)}
    assert ids == {container}
    ready.rename("after", "before")
    ready.rename("before", "after", request_id=f"{ready.name}-1")
    assert named(ready, container) == everywhere("before")
