#!/usr/bin/python3
"""Calls that come to nothing, very many of them: the daemon, containerd and the shims must not grow.

    failed_calls.py --build build -n 100000 --seed 1

Commands that cannot be executed, that are refused, that are cut at once; `logs -f` and `attach` whose clients go
away, at once or after the first reply. What each call is, the seed tells. Each must end as its kind does; then
memory, descriptors, threads and fiber stacks of the daemon, and descriptors and threads of containerd and of
the shim, are where they were after the first tenth, and no command, folder or helper of one is left. Prints a
line of figures now and then, and at the end the slope of the daemon's memory over the second half.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import random
import signal
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
import stubs  # noqa: E402

NAMESPACE = f"failed{os.getpid()}"  # no other run's: cgroups are named after it
CLIENTS = 4
GROWTH_KIB = 2048  # the allocator's ups and downs; a leak of 40 bytes a call is more
SAMPLES = 50
SETTLE_SECONDS = 60  # sessions of clients that vanished are kept for 30
# kind: how often. A command that runc is asked for takes a hundred times as long as the others.
KINDS = {"missing": 10, "cut exec": 5, "refused": 385, "follow": 300, "attach": 300}
LOCAL = (("grpc.use_local_subchannel_pool", 1),)


class Calls:
    """One client; each method is one call, and returns how it ended when that is not as it should be."""

    def __init__(self, modules, box, chance):
        self.api = stubs.Api(modules, box.daemon.target, options=LOCAL)
        self.ns = self.api.namespace(NAMESPACE)
        self.m = modules.container
        self.chance = chance

    def make(self, kind):
        return getattr(self, kind.replace(" ", "_"))()

    def expect(self, call, *reasons):
        """The call must be refused with one of the reasons."""
        try:
            list(call)
        except grpc.RpcError as error:
            failure = self.api.read_failure(error)
            if failure.reason in reasons or (failure.fields and "fields" in reasons):
                return None
            return f"{failure.code.name} {failure.reason} {failure.message}"
        return "it succeeded"

    def abandon(self, call):
        """Leave at once, or when something has come."""
        try:
            if self.chance.random() < 0.7:
                next(call)
            call.cancel()
            list(call)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                failure = self.api.read_failure(error)
                return f"{failure.code.name} {failure.reason} {failure.message}"
        return None

    def execute(self, container, *args, **fields):
        options = self.m.ExecOptions(container=container, args=args, **fields)
        request = self.m.ContainerServiceExecRequest(options=options)
        return self.ns.call(self.api.container.Exec, iter([request]))

    def missing(self):
        return self.expect(self.execute("busy", "/no/such/program"), "CONTAINER_COMMAND_NOT_FOUND")

    def cut_exec(self):
        return self.abandon(self.execute("busy", "true"))

    def refused(self):
        call = self.chance.choice([
            lambda: self.execute("idle", "true"), lambda: self.execute("nobody", "true"),
            lambda: self.execute("busy", "true", user="no-such-user"), lambda: self.execute("busy")])
        return self.expect(call(), "CONTAINER_NOT_RUNNING", "CONTAINER_NOT_FOUND", "fields")

    def follow(self):
        return self.abandon(self.ns.call(self.api.container.Logs, self.ns.logs_request("busy", follow=True)))

    def attach(self):
        options = self.m.AttachOptions(container="busy")
        request = self.m.ContainerServiceAttachRequest(options=options)
        requests = stubs.Requests(request)
        try:
            return self.abandon(self.ns.call(self.api.container.Attach, requests))
        finally:
            requests.close()


@dataclasses.dataclass
class Sample:
    """What the processes have at a moment. `mappings`: each stack of a fiber is one."""
    done: int
    rss: int
    fds: int
    threads: int
    mappings: int
    containerd: tuple  # descriptors, threads
    shims: tuple  # how many, descriptors, threads
    helpers: int

    def __str__(self):
        return (f"{self.done:7} calls: daemon {self.rss} KiB, {self.fds} descriptors, {self.threads} threads, "
                f"{self.mappings} mappings; containerd {self.containerd}; shims {self.shims}; "
                f"{self.helpers} helpers")


def n_threads(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))


def take_sample(box, done):
    daemon, containerd = box.daemon.process.pid, box.containerd.process.pid
    processes = host.processes_of(box.folder)
    shims = [pid for pid, words in processes.items() if "containerd-shim" in words and " start" not in words]
    helpers = [pid for pid, words in processes.items() if "nerdctl-grpc-helper" in words]
    return Sample(done, leaks.rss_kib(daemon), len(leaks.descriptors(daemon)), n_threads(daemon),
                  len(pathlib.Path(f"/proc/{daemon}/maps").read_text().splitlines()),
                  (len(leaks.descriptors(containerd)), n_threads(containerd)),
                  (len(shims), sum(len(leaks.descriptors(p)) for p in shims), sum(map(n_threads, shims))),
                  len(helpers))


class Work:
    """The calls of all clients, shared out as they come."""

    def __init__(self, modules, box, seed, n, weights):
        self.kinds = random.Random(seed).choices(list(weights), list(weights.values()), k=n)
        self.lock = threading.Lock()
        self.next = 0
        self.done = collections.Counter()
        self.wrong = []
        self.threads = [threading.Thread(target=self.work, daemon=True,
                                         args=(Calls(modules, box, random.Random(f"{seed}-{i}")),))
                        for i in range(CLIENTS)]

    def take(self):
        with self.lock:
            if self.next == len(self.kinds) or len(self.wrong) > 10:
                return None
            self.next += 1
            return self.next - 1

    def work(self, calls):
        while (number := self.take()) is not None:
            kind = self.kinds[number]
            try:
                wrong = calls.make(kind)
            except grpc.RpcError as error:
                wrong = f"{error.code().name} {error.details()}"
            with self.lock:
                self.done[kind] += 1
                if wrong:
                    self.wrong.append(f"call {number}, {kind}: {wrong}")
        calls.api.close()

    def is_over(self):
        return not any(thread.is_alive() for thread in self.threads)


def slope(samples):
    """KiB of the daemon for each 1,000 calls, by least squares."""
    n = len(samples)
    if n < 2:
        return 0.0
    x, y = [s.done / 1000 for s in samples], [s.rss for s in samples]
    mean_x, mean_y = sum(x) / n, sum(y) / n
    below = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / below if below else 0.0


def watch(box, work, n, tell):
    """Samples while the work goes on."""
    samples = []
    for thread in work.threads:
        thread.start()
    for number in range(1, min(SAMPLES, n // 100) + 1):
        while work.next < n * number // min(SAMPLES, n // 100) and not work.is_over():
            work.threads[0].join(0.05)
        samples.append(take_sample(box, work.next))
        tell(str(samples[-1]))
    samples.append(take_sample(box, work.next))
    for thread in work.threads:
        thread.join()
    return samples


def judge(box, ns, before, samples):
    """What is not as it was, once everything had its time."""
    def differences():
        now = take_sample(box, 0)
        found = [f"{what}: {old} before, {new} now" for what, old, new in
                 [("descriptors", before.fds, now.fds), ("helpers", before.helpers, now.helpers),
                  ("shims", before.shims[:2], now.shims[:2]),
                  ("descriptors of containerd", before.containerd[0], now.containerd[0])] if new > old]
        folders = list(box.daemon.data_root.glob("*/containers/*/*/exec/*"))
        return found + [f"folder {folder}" for folder in folders]
    wrong = []

    def same():
        wrong[:] = differences()
        return not wrong
    try:
        host.wait_until(same, SETTLE_SECONDS, "as before")
    except host.HostError:
        pass
    early = samples[len(samples) // 2:][0]
    if samples[-1].rss > early.rss + GROWTH_KIB:
        wrong.append(f"the daemon grew from {early.rss} to {samples[-1].rss} KiB in the second half")
    if samples[-1].threads > early.threads:
        wrong.append(f"threads: {early.threads}, then {samples[-1].threads}")
    return wrong


def run(modules, build, made, seed, n, tell=lambda text: None, without=()):
    """What is wrong, as texts. `without`: kinds that are left out."""
    weights = {kind: often for kind, often in KINDS.items() if kind not in without}
    tell(f"seed {seed}")
    box = host.Host(build, prefix="ndl")
    wrong = []
    try:
        box.start()
        api = stubs.Api(modules, box.daemon.target)
        ns = api.namespace(NAMESPACE)
        ns.load(made.busybox)
        ns.run("sh", "-c", "while :; do echo tick; sleep 1; done", detach=True, name="busy")
        ns.create("true", name="idle")
        warm = Work(modules, box, f"{seed}-warm", max(50, n // 100), weights)
        watch(box, warm, len(warm.kinds), lambda text: None)
        before = settle(box)
        begin = time.monotonic()
        work = Work(modules, box, seed, n, weights)
        samples = watch(box, work, n, tell)
        tell(f"{sum(work.done.values())} calls in {time.monotonic() - begin:.0f} s: {dict(work.done)}; "
             f"{slope(samples[len(samples) // 2:]):+.2f} KiB for each 1,000 calls in the second half")
        wrong = warm.wrong + work.wrong + judge(box, ns, before, samples)
        ns.clear()
        wrong += leaks.of_namespace(box, ns.name)
        api.close()
    finally:
        left = box.close()
    return wrong + [f"left at the end: {word}" for word in left]


def settle(box):
    """A sample once two that follow each other are the same."""
    seen = [take_sample(box, 0)]

    def still():
        seen.append(take_sample(box, 0))
        return (seen[-1].fds, seen[-1].helpers, seen[-1].shims) == (seen[-2].fds, seen[-2].helpers,
                                                                    seen[-2].shims)
    host.wait_until(still, SETTLE_SECONDS, "settled")
    return seen[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("-n", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="nd-failed-") as scratch:
        wrong = run(stubs.generate(ROOT, scratch), args.build.resolve(), archives.Archives(scratch),
                    args.seed, args.n, lambda text: print(text, flush=True))
    for text in wrong:
        print(text)
    if wrong:
        sys.exit(f"failed_calls: seed {args.seed}: {len(wrong)} things are wrong")
    print(f"failed_calls: seed {args.seed}: {args.n} calls came to nothing, and nothing grew")


if __name__ == "__main__":
    main()
