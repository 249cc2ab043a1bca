"""The calls of the model test: what is asked, and what an answer says about the names in it.

Everything that a client does is drawn from the seed before it begins: the calls, their names, and whether the
client cancels or has no time. What came of a call is kept as an Answer; only when all is over explain() turns
answers into operations for linear.py, because only then is it known what was disturbed by a kill.
"""

import dataclasses
import random
import threading
import time

import grpc

import archives
import linear
import stubs

NAMES = [f"m-{n:02d}" for n in range(40)]
IMAGES = [f"docker.io/library/img-{n}:latest" for n in range(4)]
BASE = "docker.io/library/busybox:latest"
VARIANTS = 3
OWNER = "owner"  # the label of a container that names the operation that made it
HANG_SECONDS = 60
EXITS = {0, 7, 137}  # never ran; asked to end; killed
CUT_START = 1  # runc's, when containerd dies before the program runs
CUT = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)

# kind: how often
CALLS = {"create": 14, "run": 14, "start": 9, "stop": 7, "kill": 6, "rm": 8, "rm -f": 11, "rename": 6, "exec": 9, "wait": 4,
         "inspect": 9, "list": 5, "logs": 6, "load": 1, "tag": 3, "rmi": 3, "images": 2}
READS = {"exec", "wait", "inspect", "list", "logs", "images"}


@dataclasses.dataclass
class Call:
    """What a client will do, and how it will leave: after `cancel` seconds, or with `deadline` seconds."""
    owner: str
    kind: str
    name: str
    image: str
    force: bool
    auto_remove: bool
    shared: bool
    variant: int  # of what is loaded
    cancel: float = None
    deadline: float = None


def partner(name):
    """Names come in pairs, between which containers are renamed."""
    return NAMES[NAMES.index(name) ^ 1]


def plan(seed, client, size):
    """The calls of one client."""
    chance = random.Random(f"{seed}-{client}")
    kinds = chance.choices(list(CALLS), list(CALLS.values()), k=size.calls // size.clients)
    return [draw(chance, f"{client}-{number}", kind, NAMES[:size.names]) for number, kind in enumerate(kinds)]


def draw(chance, owner, kind, names):
    fate = chance.random()
    call = Call(owner, kind, name=chance.choice(names), force=chance.random() < 0.5,
                image=chance.choice(IMAGES) if kind in ("load", "tag", "rmi") or chance.random() < 0.15
                else BASE,
                auto_remove=chance.random() < 0.15, shared=chance.random() < 0.2,
                variant=chance.randrange(VARIANTS))
    moment = chance.random() ** 2
    if fate < 0.12:
        call.cancel = moment * 0.4
    elif fate < 0.18:
        call.deadline = 0.002 + moment * 0.3
    elif kind == "wait":
        call.deadline = 0.5
    return call


@dataclasses.dataclass
class Answer:
    call: Call
    begin: float
    end: float = 0
    value: object = None
    error: object = None  # stubs.Failure
    left: bool = False  # the client wanted to be left without an answer

    def is_nobody_there(self):
        return self.error is not None and self.error.code == grpc.StatusCode.UNAVAILABLE

    def __str__(self):
        said = f"{self.error.code.name} {self.error.reason} {self.error.message}" if self.error else "ok"
        return f"{self.begin:.3f} {self.end:.3f} {self.call.owner} {self.call.kind} {self.call.name}: {said}"


def script(owner):
    """Runs until it is asked to end; its log says whose it is."""
    return ("sh", "-c", f"trap 'exit 7' TERM; echo {owner}; sleep 100000 & wait")


class Images:
    """What the image names may stand for: the base image, and VARIANTS others; (archive, digest) of each."""

    def __init__(self, layer):
        self.layer = layer
        self.base = None  # digest
        self.made = {}

    def of(self, name, variant):
        if (name, variant) not in self.made:
            layout = archives.Oci()
            image = archives.Image(self.layer, archives.tar((f"variant-{variant}", b"x" * 1000)),
                                   config={"Cmd": ["sh"], "Env": ["PATH=/bin"]})
            digest = layout.add(image, name)["digest"]
            self.made[name, variant] = (layout.pack(), digest)
        return self.made[name, variant]

    def digest(self, call):
        """Of what a load or a tag gives a name."""
        return self.of(call.image, call.variant)[1] if call.kind == "load" else self.base


class Asker:
    """One client's connection."""

    def __init__(self, ns, images):
        self.ns = ns
        self.images = images

    def ask(self, call):
        answer = Answer(call, time.monotonic())
        try:
            answer.value = self.finish(call, *self.begin(call))
        except grpc.RpcError as error:
            answer.left = error.code() in CUT and (call.cancel, call.deadline) != (None, None)
            # With a local cancel the details may be those of an answer that came too late.
            answer.error = (stubs.Failure(error.code(), error.details()) if answer.left
                            else self.ns.api.read_failure(error))
        except grpc.FutureCancelledError:
            answer.error = stubs.Failure(grpc.StatusCode.CANCELLED, "by the client")
            answer.left = True
        answer.end = time.monotonic()
        return answer

    def finish(self, call, going, is_unary):
        timer = None
        if call.cancel is not None:
            timer = threading.Timer(call.cancel, going.cancel)
            timer.start()
        try:
            return going.result() if is_unary else list(going)
        finally:
            if timer is not None:
                timer.cancel()

    def begin(self, call):
        method, request = getattr(self, "to_" + call.kind.split()[0])(call)
        options = {"metadata": self.ns.metadata, "timeout": call.deadline or HANG_SECONDS,
                   "wait_for_ready": True}
        is_unary = hasattr(method, "future")
        return (method.future if is_unary else method)(request, **options), is_unary

    def config(self, call):
        return {"name": call.name, "image": call.image, "auto_remove": call.auto_remove,
                "labels": {OWNER: call.owner}, "ipc_mode": "shareable" if call.shared else ""}

    def to_create(self, call):
        return self.ns.api.container.Create, self.ns.create_request(*script(call.owner), **self.config(call))

    def to_run(self, call):
        request = self.ns.run_request(*script(call.owner), detach=True, **self.config(call))
        return self.ns.api.container.Run, iter([request])

    def to_start(self, call):
        return self.ns.api.container.Start, iter([self.ns.start_request(call.name)])

    def to_stop(self, call):
        request = self.ns.m.container.ContainerServiceStopRequest(container=call.name, timeout=1)
        return self.ns.api.container.Stop, request

    def to_kill(self, call):
        return self.ns.api.container.Kill, self.ns.m.container.ContainerServiceKillRequest(container=call.name)

    def to_rm(self, call):
        request = self.ns.m.container.ContainerServiceRemoveRequest(container=call.name,
                                                                    force=call.kind == "rm -f")
        return self.ns.api.container.Remove, request

    def to_rename(self, call):
        request = self.ns.m.container.ContainerServiceRenameRequest(container=call.name,
                                                                    new_name=partner(call.name))
        return self.ns.api.container.Rename, request

    def to_exec(self, call):
        m = self.ns.m.container
        options = m.ExecOptions(container=call.name, args=["echo", call.owner])
        return self.ns.api.container.Exec, iter([m.ContainerServiceExecRequest(options=options)])

    def to_wait(self, call):
        request = self.ns.m.container.ContainerServiceWaitRequest(containers=[call.name])
        return self.ns.api.container.Wait, request

    def to_inspect(self, call):
        request = self.ns.m.container.ContainerServiceInspectRequest(container=call.name)
        return self.ns.api.container.Inspect, request

    def to_list(self, call):
        return self.ns.api.container.List, self.ns.m.container.ContainerServiceListRequest(all=True)

    def to_logs(self, call):
        return self.ns.api.container.Logs, self.ns.logs_request(call.name)

    def to_load(self, call):
        return self.ns.api.image.Load, self.ns.load_requests(self.images.of(call.image, call.variant)[0])

    def to_tag(self, call):
        request = self.ns.m.image.ImageServiceTagRequest(source=BASE, target=call.image)
        return self.ns.api.image.Tag, request

    def to_rmi(self, call):
        request = self.ns.m.image.ImageServiceRemoveRequest(image=call.image, force=call.force)
        return self.ns.api.image.Remove, request

    def to_images(self, call):
        return self.ns.api.image.List, self.ns.m.image.ImageServiceListRequest()


# What a refusal says: (kinds, reason) to what was seen, of the container's name or of the image's.
REFUSALS = (
    (("start", "stop", "kill", "rm", "rm -f", "rename", "exec", "wait", "inspect", "logs"), "CONTAINER_NOT_FOUND",
     "not found"),
    (("create", "run", "rename"), "NAME_IN_USE", "name in use"),
    (("create", "run", "rmi"), "IMAGE_NOT_FOUND", "no image"),
    (("rmi",), "IMAGE_IN_USE", "image"),
    (("rm",), "CONTAINER_RUNNING", "runs"),
    (("kill", "exec"), "CONTAINER_NOT_RUNNING", "runs not"),
)
OF_IMAGES = ("no image", "image")
STATES = {"CREATED": "created", "RUNNING": "running", "EXITED": "exited", "UNSPECIFIED": "any"}


class Explainer:
    """From answers to the history of each name; `wrong` collects what no history is needed for."""

    def __init__(self, modules, images, killer):
        self.m = modules
        self.images = images
        self.killer = killer
        self.histories = {name: [] for name in [*NAMES[::2], *IMAGES]}
        self.vanishing = set()
        self.ids = {}  # owner: id
        self.answers = []
        self.wrong = []
        self.exits = []  # (answer, name, exit code)
        self.cut_starts = []  # (name, begin) of starts during which containerd died
        self.counts = {"ok": 0, "refused": 0, "unknown": 0}
        self.sizes = []  # facts in each part of the history that was checked by itself
        self.most = 0  # configurations of a part at one time
        self.undecided = 0

    def complain(self, answer, what):
        self.wrong.append(f"{what}: {answer}")

    def explain(self, answer):
        call = answer.call
        self.answers.append(answer)
        if call.auto_remove:
            self.vanishing.add(call.owner)
        if answer.error is None:
            self.counts["ok"] += 1
            getattr(self, "ok_" + call.kind.split()[0], self.ok)(answer)
        elif self.refused(answer):
            self.counts["refused"] += 1
        else:
            self.counts["unknown"] += 1
            self.unknown(answer)
            if not answer.left and not self.killer.is_trouble(answer.begin, answer.end):
                self.complain(answer, "an answer that should not be")

    def add(self, answer, kind, name=None, owner=None, shown="", end=None, known=True):
        name = name or answer.call.name
        slot = 0 if name in self.histories else 1
        self.histories[partner(name) if slot else name].append(
            linear.Op(kind, answer.begin, end or answer.end, known, owner, shown,
                      f"{answer.call.kind} {answer.call.owner}: {name}", slot, 1 - slot if kind == "rename" else slot))

    def refused(self, answer):
        call = answer.call
        if answer.error.reason == "IMAGE_REMOVED" and call.kind in ("create", "run"):
            # It had begun, may have been seen, and was taken back.
            self.add(answer, call.kind, owner=call.owner, known=False)
            return True
        for kinds, reason, seen in REFUSALS:
            if call.kind in kinds and answer.error.reason == reason:
                if not (seen in OF_IMAGES and call.image == BASE):
                    self.add(answer, seen, self.subject(call, seen))
                    return True
        return False

    @staticmethod
    def subject(call, seen):
        """The name that a refusal is about."""
        if seen in OF_IMAGES:
            return call.image
        return partner(call.name) if (call.kind, seen) == ("rename", "name in use") else call.name

    def unknown(self, answer):
        call = answer.call
        if call.kind in READS:
            return
        if call.kind in ("run", "start") and self.killer.is_outage(answer.begin, answer.end):
            self.cut_starts.append((call.name, answer.begin))
        kind = {"load": "put", "tag": "put", "rmi": "drop"}.get(call.kind, call.kind)
        name = call.image if kind in ("put", "drop") else call.name
        owner = {"put": self.images.digest(call), "create": call.owner, "run": call.owner}.get(kind)
        self.add(answer, kind, name, owner, end=self.killer.aftermath(answer.end), known=False)

    def ok(self, answer):
        """start, stop, kill, rename"""
        self.add(answer, answer.call.kind)

    def ok_create(self, answer):
        self.note_id(answer, answer.call.owner, answer.value[-1].container_id)
        self.add(answer, answer.call.kind, owner=answer.call.owner)
        if answer.call.image != BASE:
            self.add(answer, "image", answer.call.image)

    ok_run = ok_create

    def ok_rm(self, answer):
        self.add(answer, answer.call.kind)
        if answer.value.warnings and not self.killer.is_trouble(answer.begin, answer.end):
            self.complain(answer, f"not all was removed: {list(answer.value.warnings)}")

    def ok_exec(self, answer):
        exits = [r.exit.code for r in answer.value if r.WhichOneof("response") == "exit"]
        said = b"".join(r.output.data for r in answer.value if r.WhichOneof("response") == "output")
        self.add(answer, "runs")
        if exits not in ([0], [137]):
            self.complain(answer, f"exit codes {exits}")
        elif exits == [0] and said != f"{answer.call.owner}\n".encode():
            self.complain(answer, f"a command wrote {said!r}")

    def ok_wait(self, answer):
        self.add(answer, "ended")
        self.exits.append((answer, answer.call.name, answer.value[0].exit.code))

    def ok_inspect(self, answer):
        self.look(answer, answer.value.container)

    def look(self, answer, shown):
        owner = shown.labels[OWNER]
        state = self.m.container.ContainerState.Name(shown.state).removeprefix("CONTAINER_STATE_")
        self.note_id(answer, owner, shown.id)
        if state not in STATES:
            self.complain(answer, f"{shown.name} is {state}")
        else:
            self.add(answer, "look", shown.name, owner, STATES[state])
            if state == "EXITED":
                self.exits.append((answer, shown.name, shown.exit.code))

    def note_id(self, answer, owner, container_id):
        if self.ids.setdefault(owner, container_id) != container_id:
            self.complain(answer, f"{owner} was {self.ids[owner]} and is {container_id}")

    def ok_list(self, answer):
        names = [c.name for c in answer.value.containers]
        owners = [c.labels[OWNER] for c in answer.value.containers]
        if len(set(names)) < len(names):
            self.complain(answer, f"two owners of a name: {sorted(names)}")
        elif len(set(owners)) < len(owners):
            self.complain(answer, f"two names of a container: {sorted(zip(owners, names))}")
        for shown in answer.value.containers:
            self.look(answer, shown)
        for name in set(NAMES) - set(names):
            self.add(answer, "not found", name)

    def ok_logs(self, answer):
        """One line for each start, all of the same container; a start may not have come to its line. On standard
        error runc tells of starts that were cut off."""
        said = b"".join(r.data for r in answer.value if r.stream == self.m.container.OUTPUT_STREAM_STDOUT)
        owners = set(said.decode().split())
        if len(owners) > 1:
            self.complain(answer, f"the log of several: {owners}")
        for owner in owners:
            self.add(answer, "owned", owner=owner)

    def ok_load(self, answer):
        self.put(answer, answer.value[-1].image)

    def ok_tag(self, answer):
        self.put(answer, answer.value.image)

    def put(self, answer, image):
        digest = self.images.digest(answer.call)
        self.add(answer, "put", answer.call.image, digest)
        if image.digest != digest:
            self.complain(answer, f"{image.digest} instead of {digest}")

    def ok_rmi(self, answer):
        self.add(answer, "drop", answer.call.image)

    def ok_images(self, answer):
        shown = {image.name: image.digest for image in answer.value.images}
        for name in IMAGES:
            if name in shown:
                self.add(answer, "shows", name, shown[name])
            else:
                self.add(answer, "no image", name)

    def is_possible(self, answer, name, code):
        """Whether a container with that name may have had that exit code then."""
        return code in EXITS or (code == CUT_START and any(
            began <= answer.end for other, began in self.cut_starts if other in (name, partner(name))))

    def check(self):
        """Everything that is wrong, as texts; a part that cannot be decided is."""
        for answer, name, code in self.exits:
            if not self.is_possible(answer, name, code):
                self.complain(answer, f"exit code {code} of {name}")
        found = list(self.wrong)
        for name, history in self.histories.items():
            for part in linear.parts(history):
                found += self.check_part(name, part)
        return found

    def check_part(self, name, part):
        self.sizes.append(len(part))
        try:
            violation, most = linear.check_part(part, self.vanishing)
        except linear.Undecided as error:
            self.undecided += 1
            return [f"{name}: not decided: {error}"]
        self.most = max(self.most, most)
        return [] if violation is None else [f"{name}: {violation}"]
