#!/usr/bin/python3
"""Many clients, few names, and a daemon that is killed: does an order of the operations explain it all?

    model.py --build build -n 5000 --clients 16 --kills 30 --containerd-kills 3 --seed 1

Each client makes calls that its number and the seed determine: containers are created, run, started, stopped,
killed, removed, looked at, commands run in them; images are loaded, tagged, removed. Some calls are cancelled or
have too short a deadline. Meanwhile the daemon is killed with SIGKILL and started again, at moments that the
seed tells in calls, and so is containerd.

What is checked:
  - each pair of names between which containers are renamed, and each image, by itself, as tests/support/linear.py
    has it: there is an order of the calls about them, each between its beginning and its answer, in which every
    answer is right. So no answered change is lost, no name has two owners, and no reader sees what never was. What a client did not learn may have happened or not, or have been
    begun and taken back, until AFTERMATH_SECONDS after it left;
  - in each list: no name twice, no container under two names; logs and commands have the output of their
    own container and nobody else's; exit codes are possible ones; a container keeps its id;
  - without a kill beside it, each call is answered as the API says: nothing internal, nothing that hangs;
  - the daemon does not end by itself and is ready again after each start;
  - in the end everything is removed through the API, and then nothing is left of it: see audit().

What is not checked: the order of calls about different pairs, and whether a list is of one instant for all names
together; progress and warnings; when a call that failed could have been served. A history that cannot be decided is
a failure.

Ends with 1 when something was wrong. The calls of a seed are always the same; how they interleave is not, so a
failure is repeated by running its seed several times.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import archives  # noqa: E402
import host  # noqa: E402
import leaks  # noqa: E402
import model_calls  # noqa: E402
import stubs  # noqa: E402

NAMESPACE = f"model{os.getpid()}"  # no other run's: cgroups are named after it
RECOVERY_SECONDS = 20
# Of what a kill breaks: calls that began before it, and those that come while containerd finds itself.
TROUBLE_SECONDS = 3
# How long a call whose outcome is not known may still change things: its undo steps, what containerd was told.
# When the daemon dies meanwhile, what the next one finishes is finished soon after that is ready.
AFTERMATH_SECONDS = 10
RECOVERED_SECONDS = 5
CHANNEL = (("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50),
           ("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))


@dataclasses.dataclass
class Size:
    """Of a run."""
    calls: int
    names: int
    clients: int
    kills: int
    containerd_kills: int


class Progress:
    """How many calls have been answered, for those who wait for a number of them."""

    def __init__(self):
        self.changed = threading.Condition()
        self.done = 0
        self.over = False

    def count(self):
        with self.changed:
            self.done += 1
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def reach(self, number):
        """Whether it came to that."""
        with self.changed:
            self.changed.wait_for(lambda: self.done >= number or self.over)
            return self.done >= number


class Killer(threading.Thread):
    """Kills the daemon and containerd after numbers of calls that the seed tells."""

    def __init__(self, box, ns, progress, schedule):
        super().__init__(daemon=True)
        self.box, self.ns, self.progress, self.schedule = box, ns, progress, schedule
        self.peace = threading.Event()  # nobody is being killed
        self.peace.set()
        self.ready = []  # (killed, ready) of the daemon
        self.outages = []  # (killed, all is well again) of containerd
        self.wrong = []
        self.last_start = 0  # offset of the daemon's log

    def run(self):
        for number, victim in self.schedule:
            if not self.progress.reach(number):
                return
            begin = time.monotonic()
            self.peace.clear()
            try:
                self.kill(victim)
                host.wait_until(self.answers, RECOVERY_SECONDS, f"answers after a kill of {victim}")
            except (host.HostError, OSError) as error:
                self.wrong.append(f"at call {number}: {error}")
                self.help_up()
            self.note(victim, begin, time.monotonic())
            self.peace.set()

    def note(self, victim, begin, end):
        if victim == "daemon":
            self.ready.append((begin, end))
        else:
            self.outages.append((begin, end + TROUBLE_SECONDS))

    def kill(self, victim):
        daemon = self.box.daemon
        if victim == "containerd":
            self.box.containerd.kill()
            self.box.containerd.start()
            return
        if daemon.process.poll() is not None:
            self.wrong.append(f"the daemon ended by itself with {daemon.process.returncode}")
        daemon.kill()
        self.last_start = daemon.start()

    def help_up(self):
        """A daemon that did not come up is started once more: else each call of the rest waits for its time."""
        daemon = self.box.daemon
        if daemon.process is None or daemon.process.poll() is not None:
            with contextlib.suppress(host.HostError, OSError):
                self.last_start = daemon.start()

    def answers(self):
        try:
            self.ns.call(self.ns.api.system.Ping, self.ns.m.system.SystemServicePingRequest(), timeout=5)
            return True
        except grpc.RpcError:
            return False

    def is_trouble(self, begin, end):
        return any(begin <= until and end >= since for since, until in self.ready + self.outages)

    def is_outage(self, begin, end):
        """Of containerd."""
        return any(begin <= until and end >= since for since, until in self.outages)

    def aftermath(self, moment):
        """Until when a call may change things whose client left at that moment."""
        end = moment + AFTERMATH_SECONDS
        for killed, ready in self.ready:
            if ready > moment and killed < end:
                outage = [until for since, until in self.outages if since <= ready <= until]
                return max([ready, *outage]) + RECOVERED_SECONDS
        return end


def schedule(seed, size):
    """[(after how many calls, who)], in order."""
    chance = random.Random(f"{seed}-kills")
    numbers = chance.sample(range(size.calls // 20, size.calls), size.kills + size.containerd_kills)
    victims = ["daemon"] * size.kills + ["containerd"] * size.containerd_kills
    return sorted(zip(numbers, victims))


class Client(threading.Thread):
    """Asks what its plan says and keeps the answers. It waits for better times when nobody is there: else most
    of what it asks would come to nothing."""

    def __init__(self, api, plan, images, progress, peace):
        super().__init__(daemon=True)
        self.api = api
        self.peace = peace
        self.asker = model_calls.Asker(api.namespace(NAMESPACE), images)
        self.plan = plan
        self.progress = progress
        self.answers = []

    def run(self):
        for call in self.plan:
            self.answers.append(self.asker.ask(call))
            if self.answers[-1].is_nobody_there():
                self.peace.wait(RECOVERY_SECONDS)
            self.progress.count()
        self.api.close()


class World:
    """One run: host, clients, killer."""

    def __init__(self, modules, build, made, seed, helper=None):
        self.modules, self.seed = modules, seed
        self.images = model_calls.Images(made.layer)
        extra = ["--helper", str(helper)] if helper else []
        self.box = host.Host(build, prefix="ndm", daemon_options=extra)
        self.box.start()
        self.api = stubs.Api(modules, self.box.daemon.target, options=CHANNEL)
        self.ns = self.api.namespace(NAMESPACE)
        self.files = set(files_of(self.box))
        self.images.base = self.ns.load(made.busybox)[0].digest
        self.ns.list(all=True)
        self.held = leaks.Holdings(self.box.daemon.process.pid)

    def play(self, size):
        """Returns (what is wrong, the explainer, seconds)."""
        progress = Progress()
        self.killer = killer = Killer(self.box, self.ns, progress, schedule(self.seed, size))
        everybody = [Client(stubs.Api(self.modules, self.box.daemon.target, options=CHANNEL),
                            model_calls.plan(self.seed, number, size), self.images, progress,
                            killer.peace)
                     for number in range(size.clients)]
        begin = time.monotonic()
        for thread in [*everybody, killer]:
            thread.start()
        for client in everybody:
            client.join()
            assert len(client.answers) == len(client.plan), "a client of the test has failed"
        progress.end()
        killer.join()
        self.last_start = killer.last_start
        seconds = time.monotonic() - begin
        explainer = model_calls.Explainer(self.modules, self.images, killer)
        for answer in [a for client in everybody for a in client.answers] + [self.last_look()]:
            explainer.explain(answer)
        return killer.wrong + explainer.check(), explainer, seconds

    def last_look(self):
        call = model_calls.Call("end", "list", name="", image=model_calls.BASE, force=False,
                                auto_remove=False, shared=False, variant=0)
        return model_calls.Asker(self.ns, self.images).ask(call)

    def keep_logs(self, explainer):
        """The logs of daemon and containerd, which go with the host, and what was answered when."""
        folder = ROOT / f".run/model-{self.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        for log in (self.box.daemon.log, self.box.containerd.log):
            shutil.copy(log, folder)
        now = time.time() - time.monotonic()
        (folder / "answers.txt").write_text("".join(
            f"{time.strftime('%H:%M:%S', time.gmtime(now + answer.begin))} {answer}\n"
            for answer in sorted(explainer.answers, key=lambda answer: answer.begin)))
        return folder

    def close(self):
        self.api.close()
        return self.box.close()


def files_of(box):
    """Everything on disk that is the daemon's or a task's; not containerd's own stores."""
    for folder in (box.daemon.data_root, box.daemon.state_dir, box.folder / "state"):
        yield from (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def is_half_deleted(path):
    """Of a task's folder that containerd had given another name, to delete it, when it was killed. It never looks for
    such folders again."""
    return any(re.fullmatch(r"\.[0-9a-f]{64}", part) for part in path.parts)


def is_recovered(world):
    """Whether the last daemon has done with everything that those before it left."""
    records = world.box.daemon.records(world.last_start)
    found = sum(r["intents"] for r in records if r["msg"].startswith("an earlier daemon ended"))
    return sum(r["msg"] == "recovered" for r in records) >= found


def open_intents(box):
    """Mutations that the ledger has as begun and not over. The daemon has it to itself while it runs."""
    with contextlib.closing(sqlite3.connect(box.daemon.state_dir / "state.db")) as ledger:
        rows = ledger.execute("SELECT kind, object FROM intents").fetchall()
    return [f"open intent {kind} of {name}" for kind, name in rows]


def audit(world):
    """Remove everything; what is left then, as texts: records of containerd, files, mounts, FIFOs, sockets,
    processes, open intents, and what the daemon holds that the first one did not."""
    box, ns = world.box, world.ns
    host.wait_until(lambda: is_recovered(world), RECOVERY_SECONDS, "the end of the recovery")
    ns.clear()
    left = leaks.of_namespace(box, ns.name)
    host.remove_namespace_cgroups(ns.name)
    ns.list(all=True)
    world.held.pid = box.daemon.process.pid
    try:
        world.held.assert_same()
    except AssertionError as error:
        left.append(str(error))
    code = box.daemon.stop()
    if code != 0:
        left.append(f"the daemon ended with {code}")
    new = set(files_of(box)) - world.files
    if world.killer.outages:
        new = {path for path in new if not is_half_deleted(path)}
    return left + open_intents(box) + [f"file {path.relative_to(box.folder)}" for path in sorted(new)]


def run(modules, build, made, size, seed, tell=lambda text: None, helper=None):
    """What is wrong, as texts."""
    tell(f"seed {seed}")
    world = World(modules, build, made, seed, helper)
    try:
        wrong, explainer, seconds = world.play(size)
        tell(f"{size} in {seconds:.0f} s: {explainer.counts}")
        tell(f"{sum(explainer.sizes)} facts in {len(explainer.sizes)} parts, {max(explainer.sizes)} in the largest, "
             f"at most {explainer.most} configurations, {explainer.undecided} not decided")
        wrong += audit(world)
        if wrong:
            tell(f"logs and answers: {world.keep_logs(explainer)}")
    finally:
        left = world.close()
    return wrong + [f"left at the end: {word}" for word in left]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--helper", help="nerdctl-grpc-helper, unless it is that build's")
    parser.add_argument("-n", type=int, default=5000, help="calls of all clients together")
    parser.add_argument("--names", type=int, default=40, help="of containers, an even number")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--kills", type=int, default=30, help="of the daemon")
    parser.add_argument("--containerd-kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="nd-model-") as scratch:
        size = Size(args.n, args.names, args.clients, args.kills, args.containerd_kills)
        wrong = run(stubs.generate(ROOT, scratch), args.build.resolve(), archives.Archives(scratch), size,
                    args.seed, lambda text: print(text, flush=True), args.helper)
    for text in wrong:
        print(text)
    if wrong:
        sys.exit(f"model: seed {args.seed}: {len(wrong)} things are wrong")
    print(f"model: seed {args.seed}: an order explains every answer, and nothing is left")


if __name__ == "__main__":
    main()
