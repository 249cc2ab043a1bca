"""The daemon fails or dies at each of its steps: what is there afterwards?

Builds with ND_FAULTS have named fault points before and after whatever changes the world. One run of an
operation is traced; then it is repeated with each point of the trace armed, once to fail and once to kill
the daemon, which is started again. What makes something must then be as if it had not been asked for, what
removes something must be done, and once the operation's own leavings are cleared the host is as before.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import sqlite3
import subprocess

import grpc

import host
import leaks
import stubs

KEY = "nerdctl-fault"
SETTLE_SECONDS = 15
HOLD_SECONDS = 2  # of the sessions of clients that are cut off
FOREVER = ("sleep", "100000")
COUNTER = itertools.count(1)


class Armed(stubs.Namespace):
    """A namespace whose next call carries a fault, and which keeps the trailers of its calls."""

    def __init__(self, api, name):
        super().__init__(api, name)
        self.fault = None
        self.trailers = {}
        self.box = None

    def store(self):
        """nerdctl's files."""
        address = os.path.realpath(self.box.containerd.address)
        return self.box.daemon.data_root / hashlib.sha256(address.encode()).hexdigest()[:8]

    def names_known(self, container):
        """The names that a container has on disk: reserved, and in its hosts file."""
        reserved = {p.name for p in (self.store() / "names" / self.name).iterdir()
                    if p.name.startswith(".tmp-") or p.read_text() == container}
        meta = self.store() / "etchosts" / self.name / container / "meta.json"
        return reserved | {json.loads(meta.read_text())["Name"]}

    def commands_left(self, container):
        """Folders of commands, and commands that containerd knows, beside the container itself."""
        folders = [str(p) for p in
                   (self.store() / "containers" / self.name / container).glob("exec/*")]
        listed = self.box.containerd.ctr("tasks", "ps", container, namespace=self.name).stdout
        return folders + listed.splitlines()[2:]

    def exec(self, container, *args, **options):
        """(standard output, exit code) of a command."""
        options = self.m.container.ExecOptions(container=container, args=args, **options)
        request = self.m.container.ContainerServiceExecRequest(options=options)
        output, code = b"", None
        for reply in self.call(self.api.container.Exec, iter([request])):
            if reply.WhichOneof("response") == "output":
                output += reply.output.data
            elif reply.WhichOneof("response") == "exit":
                code = reply.exit.code
        return output, code

    def call(self, method, request, **options):
        fault, self.fault = self.fault, None
        if fault is None:
            return super().call(method, request, **options)
        options.setdefault("timeout", stubs.CALL_SECONDS)
        metadata = (*self.metadata, (KEY, fault))
        self.trailers = {}
        if not hasattr(method, "with_call"):
            return self.watch(method(request, metadata=metadata, **options))
        try:
            reply, call = method.with_call(request, metadata=metadata, **options)
        except grpc.RpcError as error:
            self.trailers = dict(error.trailing_metadata() or ())
            raise
        self.trailers = dict(call.trailing_metadata() or ())
        return reply

    def watch(self, replies):
        try:
            yield from replies
        finally:
            self.trailers = dict(replies.trailing_metadata() or ())


@dataclasses.dataclass
class Case:
    """What came of one step: the daemon's answer, and whether the point was reached."""
    operation: str
    point: str
    action: str
    error: str = ""  # of the client; "" when it was answered
    fired: bool = False
    wrong: str = ""

    def __str__(self):
        return f"{self.operation} {self.point}={self.action}: {self.wrong or 'good'}"


class Operation:
    """One mutation. `prepare` makes what it works on, `go` is the call with the fault."""

    name = ""

    def prepare(self, ns):
        """Returns what `go` gets."""

    def go(self, ns, subject):
        raise NotImplementedError

    def check(self, ns, case, settled):
        """What must be true before anything is cleared; `settled`: the point lies behind the point of no
        return. A sentence when it is not."""
        return ""

    def clear(self, ns):
        for container in ns.list(all=True):
            try:
                ns.remove(container.id, force=True, volumes=True)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise


class Making(Operation):
    """What fails, and what is cut off, has not been."""

    may_stay = ()  # points at which a failure leaves a container that could not be started, as with docker

    def check(self, ns, case, settled):
        there = ns.list(all=True)
        if case.error and there and not settled and not self.stays(case):
            return f"failed with {case.error} and left {[c.state for c in there]}"
        return ""

    def stays(self, case):
        return case.action == "fail" and any(p in case.point for p in self.may_stay)


class Create(Making):
    name = "create"

    def go(self, ns, subject):
        return ns.create("true", name=f"c{next(COUNTER)}", ipc_mode="shareable")


class RunDetached(Making):
    name = "run -d --rm"

    def go(self, ns, subject):
        return ns.run(*FOREVER, detach=True, auto_remove=True, name=f"c{next(COUNTER)}",
                      ipc_mode="shareable").id


class RunAttached(Making):
    name = "run"
    may_stay = ("Tasks/", "change.settle", "containers.v1.Containers/Update", "file.", "Snapshots/Mounts")

    def go(self, ns, subject):
        return ns.run("echo", "hello").id


class RunAndRemove(Operation):
    """At the end nothing is there, whatever happened, and nobody but the daemon removed it: one whose client
    may come back goes when its session is not held any longer."""
    name = "run --rm"

    def go(self, ns, subject):
        return ns.run("true", auto_remove=True).id

    def clear(self, ns):
        host.wait_until(lambda: not ns.list(all=True), HOLD_SECONDS + SETTLE_SECONDS, "removed by itself")


class Start(Operation):
    name = "start"

    def prepare(self, ns):
        return ns.create(*FOREVER, name=f"c{next(COUNTER)}", ipc_mode="shareable")

    def go(self, ns, subject):
        ns.start(subject)

    def check(self, ns, case, settled):
        states = [c.state for c in ns.list(all=True)]
        wanted = {ns.m.container.CONTAINER_STATE_CREATED, ns.m.container.CONTAINER_STATE_RUNNING}
        if len(states) != 1 or states[0] not in wanted:
            return f"left {states}"
        if not case.error and states[0] != ns.m.container.CONTAINER_STATE_RUNNING:
            return "answered, and does not run"
        return self.check_startable(ns) if case.error else ""

    def check_startable(self, ns):
        """What was cut off can be done again."""
        container = ns.list(all=True)[0]
        if container.state == ns.m.container.CONTAINER_STATE_CREATED:
            ns.start(container.id)
        return ""


class StartAgain(Start):
    """The task that has ended makes way. A failure before that leaves it."""
    name = "start again"

    def prepare(self, ns):
        container = ns.run(*FOREVER, detach=True, name=f"c{next(COUNTER)}", ipc_mode="shareable").id
        ns.kill(container)
        ns.wait(container)
        return container

    def check(self, ns, case, settled):
        if case.error and ns.list(all=True)[0].state == ns.m.container.CONTAINER_STATE_EXITED:
            return "" if not self.begun(case.point) or case.action == "fail" else "left the old task"
        return super().check(ns, case, settled)


class Stop(Operation):
    """A stop that was answered is done; one that was not can be asked for again."""
    name = "stop"

    def prepare(self, ns):
        return ns.run("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done", detach=True,
                      name=f"c{next(COUNTER)}").id

    def go(self, ns, subject):
        ns.stop(subject, timeout=5)

    def check(self, ns, case, settled):
        container = ns.list(all=True)[0]
        if case.error:
            ns.stop(container.id, timeout=5)
        state = ns.state(container.id)
        return "" if state == ns.m.container.CONTAINER_STATE_EXITED else f"left in state {state}"


class Kill(Operation):
    """As a stop."""
    name = "kill"

    def prepare(self, ns):
        return ns.run(*FOREVER, detach=True, name=f"c{next(COUNTER)}").id

    def go(self, ns, subject):
        ns.kill(subject)

    def check(self, ns, case, settled):
        container = ns.list(all=True)[0]
        if case.error and not self.begun(case.point):
            return ""
        exited = ns.m.container.CONTAINER_STATE_EXITED
        host.wait_until(lambda: ns.state(container.id) == exited, SETTLE_SECONDS, "killed in the end")
        return ""


class StopOnce(Stop):
    """One that was begun is finished, whether or not it is asked for again."""
    name = "stop, not repeated"

    def check(self, ns, case, settled):
        container = ns.list(all=True)[0]
        if case.error and not self.begun(case.point):
            return ""
        exited = ns.m.container.CONTAINER_STATE_EXITED
        host.wait_until(lambda: ns.state(container.id) == exited, SETTLE_SECONDS, "stopped in the end")
        return ""


class Exec(Operation):
    """Whatever becomes of the command, its container goes on."""
    name = "exec"

    def prepare(self, ns):
        return ns.run(*FOREVER, detach=True, name=f"c{next(COUNTER)}").id

    def go(self, ns, subject):
        assert ns.exec(subject, "echo", "hello") == (b"hello\n", 0)

    def check(self, ns, case, settled):
        state = ns.list(all=True)[0].state
        running = ns.m.container.CONTAINER_STATE_RUNNING
        return "" if state == running else f"left the container in state {state}"


class ExecDetached(Exec):
    """A command that was not answered is not there, or ran when the daemon died: in the end there is nothing."""
    name = "exec -d"

    def go(self, ns, subject):
        ns.exec(subject, "true", detach=True)

    def check(self, ns, case, settled):
        container = ns.list(all=True)[0].id
        try:
            host.wait_until(lambda: not ns.commands_left(container), SETTLE_SECONDS, "forgotten")
        except host.HostError:
            return f"left {ns.commands_left(container)}"
        return super().check(ns, case, settled)


class Rename(Operation):
    """Every place agrees on one name: the new one when that was answered."""
    name = "rename"

    def prepare(self, ns):
        self.number = next(COUNTER)
        return ns.create(*FOREVER, name=f"before{self.number}")

    def go(self, ns, subject):
        ns.rename(subject, f"after{self.number}")

    def check(self, ns, case, settled):
        container = ns.list(all=True)[0]
        old, new = f"before{self.number}", f"after{self.number}"
        if not case.error and container.name != new:
            return "answered, and not renamed"
        if container.name not in (old, new):
            return f"is named {container.name}"
        try:
            host.wait_until(lambda: ns.names_known(container.id) == {container.name}, SETTLE_SECONDS,
                            "one name")
        except host.HostError:
            return f"is named {container.name}, and known as {ns.names_known(container.id)}"
        return ""


class Removing(Operation):
    """Once begun, it is done in the end: by the daemon that failed, or by the next."""

    def check(self, ns, case, settled):
        if not case.error and ns.list(all=True):
            return "answered, and still there"
        if case.error and not self.has_begun(case):
            return ""
        host.wait_until(lambda: not ns.list(all=True), SETTLE_SECONDS, "removed in the end")
        return ""

    def has_begun(self, case):
        return self.begun(case.point)

    def go(self, ns, subject):
        ns.remove(subject, force=True)


class RemoveStopped(Removing):
    name = "rm"

    def prepare(self, ns):
        return ns.run("true", name=f"c{next(COUNTER)}", ipc_mode="shareable").id


class RemoveRunning(Removing):
    name = "rm -f"

    def prepare(self, ns):
        return ns.run(*FOREVER, detach=True, name=f"c{next(COUNTER)}", ipc_mode="shareable").id


class Load(Operation):
    """A load that failed leaves nothing, but for names that were complete."""
    name = "load"

    def __init__(self, archive):
        self.archive = archive

    def go(self, ns, subject):
        ns.load(self.archive)

    def check(self, ns, case, settled):
        names = [i.name for i in ns.images() if "crash" in i.name]
        if not case.error and not names:
            return "answered, and not there"
        if names:
            ns.inspect_image(names[0])
        return ""

    def clear(self, ns):
        for image in ns.images():
            if "crash" in image.name:
                ns.remove_image(image.name, force=True)


# A daemon with fault points, for tests that run with another one.
FAULT_BUILD = pathlib.Path(os.environ.get("ND_FAULT_BUILD", host.ROOT / "build-asan"))


def has_faults(ns):
    """Whether they are compiled into the daemon of an Armed namespace."""
    ns.fault = "trace"
    ns.list(all=True)
    ns.fault = ""
    return "nerdctl-fault-trace" in ns.trailers


def operations(archive):
    return [Load(archive), Create(), RunDetached(), RunAttached(), RunAndRemove(), Start(), StartAgain(),
            Exec(), ExecDetached(), Stop(), StopOnce(), Kill(), RemoveStopped(), RemoveRunning(), Rename()]


class Bench:
    """A host whose daemon has fault points, and a namespace with an image."""

    def __init__(self, modules, build, image, helper=None):
        extra = ["--session-hold", f"{HOLD_SECONDS}s"] + (["--helper", str(helper)] if helper else [])
        self.box = host.Host(build, prefix="ndx", daemon_options=extra)
        self.box.start()
        self.api = stubs.Api(modules, self.box.daemon.target)
        self.ns = Armed(self.api, f"crash{os.getpid():x}")  # cgroups are of the whole machine
        self.ns.box = self.box
        self.ns.load(image)

    def has_faults(self):
        return has_faults(self.ns)

    def close(self):
        if self.box.daemon.process is None:
            self.box.daemon.start()
        self.ns.clear()
        self.api.close()
        return self.box.close()

    def look(self):
        name = self.ns.name
        return set(leaks.records_left(self.box.containerd, name)
                   + leaks.files_left(self.box.folder, name)
                   + leaks.runtime_left(self.box.folder, name))

    def settle(self, before):
        """The host is as it was; what differs, when it does not come to that."""
        seen = [before]

        def same():
            seen[0] = self.look()
            return seen[0] == before
        try:
            host.wait_until(same, SETTLE_SECONDS, "as before")
        except host.HostError:
            return "; ".join([f"left {word}" for word in sorted(seen[0] - before)]
                             + [f"gone {word}" for word in sorted(before - seen[0])])
        return ""

    def trace(self, operation):
        """The points that an operation reaches, in order; a point that others share has a number."""
        subject = operation.prepare(self.ns)
        self.ns.fault = "trace"
        operation.go(self.ns, subject)
        points = self.ns.trailers["nerdctl-fault-trace"].split(",")
        operation.clear(self.ns)
        return points

    def try_step(self, operation, points, point, action, before):
        """One case, from making its subject to a host as before."""
        case = Case(operation.name, point, action)
        operation.begun = lambda p: "change.ready#1" in points and \
            points.index(p) > points.index("change.ready#1")
        try:
            subject = operation.prepare(self.ns)
            self.ns.fault = f"{point}={action}"
            self.go(operation, subject, case)
            settled = "change.settle#1" in points and \
                points.index(point) >= points.index("change.settle#1")
            case.wrong = operation.check(self.ns, case, settled)
            operation.clear(self.ns)
            case.wrong = case.wrong or self.settle(before)
        except (grpc.RpcError, host.HostError) as error:
            case.wrong = f"afterwards: {error}"
        return case

    def go(self, operation, subject, case):
        try:
            operation.go(self.ns, subject)
        except grpc.RpcError as error:
            case.error = f"{error.code().name} {error.details()}"
        case.fired = self.ns.trailers.get("nerdctl-fault-fired") == "yes"
        # One that was not reached by the call may be reached by what goes on behind it, until it is disarmed.
        if self.is_dead(case) or not self.disarm():
            case.fired = True
            self.restart()

    def is_dead(self, case):
        if case.action != "kill":
            return False
        try:
            self.box.daemon.process.wait(5 if case.error else 0)
            return True
        except host.subprocess.TimeoutExpired:
            return False

    def restart(self):
        """After it was killed, until the connection to it works again."""
        self.box.daemon.process.wait(10)
        self.box.daemon.process = None
        self.box.daemon.start()
        host.wait_until(self.answers, 10, "connected again")

    def restart_after_a_power_cut(self, *containers):
        """As restart(), and for the ledger the kernel has started since; the tasks have gone with it."""
        self.box.daemon.process.wait(10)
        with contextlib.closing(sqlite3.connect(self.box.daemon.state_dir / "state.db")) as ledger, ledger:
            assert ledger.execute("UPDATE intents SET boot = 'an earlier one'").rowcount > 0
        for container in containers:
            self.box.containerd.ctr("tasks", "rm", "-f", container, namespace=self.ns.name)
        self.restart()

    def restart_and_die(self, point):
        """Its recovery is killed as well; whether it came to that point."""
        os.environ["ND_FAULT"] = f"{point}=kill"
        try:
            self.box.daemon.process.wait(10)
            self.box.daemon.process = None
            self.box.daemon.start()
            self.box.daemon.process.wait(5)
            return True
        except host.subprocess.TimeoutExpired:
            self.box.daemon.kill()
            return False
        except host.HostError:
            return True
        finally:
            del os.environ["ND_FAULT"]

    def die_under(self, point, words):
        """A command of nerdctl-remote, under which the daemon dies at that point and is started again."""
        os.environ["ND_FAULT"] = f"{point}=kill"
        try:
            self.box.daemon.stop()
            self.box.daemon.start()
        finally:
            del os.environ["ND_FAULT"]
        host.wait_until(self.answers, 10, "connected again")
        child = subprocess.Popen([self.box.daemon.remote, "-H", self.box.daemon.target, "--namespace",
                                  self.ns.name, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        self.restart()
        return child

    def answers(self):
        try:
            self.ns.list()
            return True
        except grpc.RpcError:
            return False

    def disarm(self):
        """Whether the daemon was there to hear it."""
        self.ns.fault = ""
        try:
            self.ns.call(self.api.system.Ping, self.ns.m.system.SystemServicePingRequest())
            return True
        except grpc.RpcError as error:
            try:
                self.box.daemon.process.wait(5)  # its connections end first
            except host.subprocess.TimeoutExpired:
                raise error
            return False
