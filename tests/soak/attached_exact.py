#!/usr/bin/python3
"""Processes that write half a megabyte and end at once, with somebody attached: every byte must arrive.

    attached_exact.py --build build -n 10000 --seed 1 [--jobs 2] [--only NAME] [--state FILE]

Each run is of one of the kinds below, by turns: attached runs and commands in a container, through the API
and with nerdctl-remote, undisturbed and with the connection cut at a random moment, as often as chance
has it, and gone on with by the session; or with a client that leaves on purpose and comes back. What is
written follows from the seed and the number, so a failure can be repeated alone. Progress is kept in the
state file (default .run/attached_exact-<seed>): the same call goes on where it was stopped.
Ends with 1 at the first wrong byte, exit code or missing answer and says which run it was.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import random
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import grpc  # noqa: E402
import host  # noqa: E402
import soak  # noqa: E402
import streams  # noqa: E402

import logs_exact  # noqa: E402

BATCH = 50
PATIENCE_SECONDS = 120
MARK = "runs-for-exec"
ACKNOWLEDGES = {"acknowledge": True}


class Wrong(Exception):
    """What was not as it must be."""


def compare(what, got, want):
    if got == want:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    raise Wrong(f"{what}: {len(got)} bytes of {len(want)}, different from byte {at}: "
                f"{got[at:at + 300]!r} for {want[at:at + 40]!r}")


class Run:
    """One run of a number: what it writes, where to, and how it ends."""

    def __init__(self, ns, seed, number):
        self.ns = ns
        self.dice = random.Random(f"{seed}-{number}")
        self.want = logs_exact.expected(seed, number)
        self.on_stderr = self.dice.random() < 0.25
        self.code = self.dice.randrange(1, 100)
        script = logs_exact.script(seed, number)
        self.args = ("sh", "-c", f"{{ {script}; }}{' >&2' if self.on_stderr else ''}; exit {self.code}")
        self.name = f"run{number}"

    def check(self, out, err, code):
        if self.on_stderr:
            out, err = err, out
        compare("output", out, self.want)
        compare("the other output", err, b"")
        if code != self.code:
            raise Wrong(f"exit code {code}, not {self.code}")

    def output(self, going):
        return going.stderr if self.on_stderr else going.stdout

    def api_run(self):
        going = streams.run(self.ns, *self.args, auto_remove=True, timeout=PATIENCE_SECONDS).end(PATIENCE_SECONDS)
        self.check(going.stdout, going.stderr, going.code)

    def cli(self, *words):
        done = host.subprocess.run([self.ns.box.daemon.remote, "-H", self.ns.box.daemon.target, "--namespace",
                                    self.ns.name, *words, *self.args], stdin=host.subprocess.DEVNULL,
                                   capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        self.check(done.stdout, done.stderr, done.returncode)

    def cli_run(self):
        self.cli("run", "--rm", "--network", "none", "busybox")

    def api_exec(self):
        going = streams.execute(self.ns, MARK, *self.args).end(PATIENCE_SECONDS)
        self.check(going.stdout, going.stderr, going.code)

    def cli_exec(self):
        self.cli("exec", MARK)

    # Cut and resumed

    def cut_sometimes(self, going, resume):
        """Follow to the end, cutting now and then; (stdout, stderr, exit code)."""
        got = [b"", b""]
        left = self.dice.randrange(1, 5)
        name = None
        while True:
            # One that goes on may be told of the end at once.
            going.until(lambda s: (s.session is not None and s.id) or (s.over and s.exit), PATIENCE_SECONDS)
            name = name or going.session.id
            if left > 0:
                self.wait_for_a_moment(going)
                going.cut()
            else:
                with going.changed:
                    going.changed.wait_for(lambda g=going: g.over, PATIENCE_SECONDS)
            got = [got[0] + going.stdout, got[1] + going.stderr]
            if going.gaps:
                raise Wrong(f"gaps: {going.gaps}")
            if going.over and going.error is None:
                return got[0], got[1], going.code
            if left == 0:
                raise Wrong(f"it ended: {going.error}")
            left -= 1
            going = resume(going, {"acknowledge": True, "session_id": name,
                                   "stdout_offset": len(got[0]), "stderr_offset": len(got[1])})

    def wait_for_a_moment(self, going):
        """By bytes, by time, or close to the end, where the exit code is on its way."""
        kind = self.dice.randrange(3)
        size = self.dice.randrange(len(self.want)) if kind == 0 else len(self.want)
        with going.changed:
            if kind != 1:
                going.changed.wait_for(lambda: going.over or len(self.output(going)) >= size, 5)
            pause = self.dice.random() * (0.1 if kind == 1 else 0.004)
            going.changed.wait_for(lambda: going.over, pause)

    def run_cut(self):
        going = streams.run(self.ns, *self.args, name=self.name, auto_remove=True, stream=dict(ACKNOWLEDGES),
                            timeout=PATIENCE_SECONDS)
        self.check(*self.cut_sometimes(
            going, lambda last, stream: streams.attach(self.ns, last.id, stream=stream)))

    def exec_cut(self):
        going = streams.execute(self.ns, MARK, *self.args, stream=dict(ACKNOWLEDGES))
        self.check(*self.cut_sometimes(
            going, lambda last, stream: streams.execute(self.ns, MARK, exec_id=last.id, stream=stream)))

    # Left on purpose

    def run_left(self):
        """What came before, what comes after the return, and the log, which has all of it."""
        size = self.dice.randrange(len(self.want))
        going = streams.run(self.ns, *self.args, name=self.name, stream=dict(ACKNOWLEDGES),
                            timeout=PATIENCE_SECONDS)
        going.until(lambda s: s.session is not None and len(self.output(s)) >= size, PATIENCE_SECONDS)
        going.detach()
        going.end(PATIENCE_SECONDS)
        compare("before leaving", self.output(going), self.want[:len(self.output(going))])
        again = self.come_back()
        if again is not None:
            compare("after coming back", self.output(again), self.want[self.begin_of(again):])
            if again.code != self.code:
                raise Wrong(f"exit code {again.code}, not {self.code}")
        code = self.ns.wait(self.name)[0].exit.code
        self.check(*self.ns.logs(self.name, follow=True), code)
        self.ns.remove(self.name)

    def begin_of(self, again):
        """The offset from which on output comes: its end when the helper has gone, and only the log is left."""
        if again.session.source == self.ns.m.container.OUTPUT_SOURCE_LOG:
            return len(self.want)
        return again.session.stderr_offset if self.on_stderr else again.session.stdout_offset

    def come_back(self):
        """None when it has ended meanwhile."""
        again = streams.attach(self.ns, self.name)
        try:
            return again.end(PATIENCE_SECONDS)
        except grpc.RpcError as error:
            if self.ns.api.read_failure(error).reason != "CONTAINER_NOT_RUNNING":
                raise
            return None


# How often each is had in one turn.
KINDS = [Run.api_run, Run.cli_run, Run.api_exec, Run.cli_exec, Run.run_cut, Run.exec_cut, Run.api_run, Run.cli_run,
         Run.cli_exec, Run.run_left]
NAMES = {kind.__name__: kind for kind in KINDS}


def prepare(ns):
    """The container in which commands run."""
    ns.run("sleep", "1000000", detach=True, name=MARK)


def one_run(ns, seed, number, only=None):
    """(name of the kind, None or what is wrong)."""
    kind = NAMES[only] if only else KINDS[number % len(KINDS)]
    try:
        kind(Run(ns, seed, number))
        return kind.__name__, None
    except (Wrong, AssertionError, grpc.RpcError, host.subprocess.SubprocessError) as error:
        return kind.__name__, f"run {number} of seed {seed}, {kind.__name__}: {error}"


def batch(pool, ns, args, numbers, counts):
    """The first thing that is wrong."""
    for name, problem in pool.map(lambda n: one_run(ns, args.seed, n, args.only), numbers):
        counts[name] += 1
        if problem:
            return problem
    return None


def run_all(ns, args, first, state):
    counts = collections.Counter()
    begin = time.monotonic()
    prepare(ns)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for start in range(first, args.n, BATCH):
            end = min(start + BATCH, args.n)
            problem = batch(pool, ns, args, range(start, end), counts)
            if problem:
                return problem, counts
            state.write_text(str(end))
            print(f"{end} of {args.n}, {time.monotonic() - begin:.0f} s", flush=True)
    ns.clear()
    return None, counts


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("-n", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--state", type=pathlib.Path)
    args = parser.parse_args()
    state = args.state or ROOT / f".run/attached_exact-{args.seed}{'-' + args.only if args.only else ''}"
    state.parent.mkdir(exist_ok=True)

    with soak.namespace(args.build) as ns:
        problem, counts = run_all(ns, args, logs_exact.read_state(state), state)
        for name, count in sorted(counts.items()):
            print(f"  {name}: {count}")
        if problem:
            sys.exit(problem)
    state.unlink(missing_ok=True)
    print(f"{args.n} runs of seed {args.seed}: every byte arrived, and every exit code")


if __name__ == "__main__":
    main()
