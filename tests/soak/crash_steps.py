#!/usr/bin/python3
"""Fail and kill the daemon at each step of each operation; see tests/support/crash.py.

  crash_steps.py --build build-asan [--every 1] [--seed 1] [--only rm]

Prints the steps of each operation and what was wrong; exits with 1 when something was. `--every 10` tries
a tenth of the cases, chosen by the seed.
"""

import argparse
import pathlib
import random
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import archives  # noqa: E402
import crash  # noqa: E402
import stubs  # noqa: E402


def cases_of(points, every, chance):
    cases = [(point, action) for point in dict.fromkeys(points) for action in ("fail", "kill")]
    return chance.sample(cases, max(1, len(cases) // every)) if every > 1 else cases


def try_operation(bench, operation, every, chance):
    """The wrong cases of one operation."""
    before = bench.look()
    begin = time.monotonic()
    points = bench.trace(operation)
    bench.settle(before)
    cases = cases_of(points, every, chance)
    tried = []
    for point, action in cases:
        tried.append(bench.try_step(operation, points, point, action, before))
        if tried[-1].wrong:
            before = bench.look()  # what is wrong once is told once
    wrong = [case for case in tried if case.wrong]
    print(f"{operation.name}: {len(dict.fromkeys(points))} steps, {len(cases)} cases, "
          f"{sum(case.fired for case in tried)} reached, {len(wrong)} wrong, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    for case in wrong:
        print(f"  {str(case)[:300]} (client: {case.error or 'answered'})", flush=True)
    return wrong


def chance_of(seed):
    print(f"seed {seed}")
    return random.Random(seed)


def archive_of(made):
    """An image that shares a layer with the one that is there."""
    return archives.docker(archives.Image(made.layer, archives.tar(("crash", b"x" * 1000))), "crash:1")


def run(bench, made, every=1, seed=1, only=None):
    chance = chance_of(seed)
    wrong = []
    for operation in crash.operations(archive_of(made)):
        if only is None or operation.name == only:
            wrong += try_operation(bench, operation, every, chance)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="build folder of a daemon with fault points")
    parser.add_argument("--helper", type=lambda path: pathlib.Path(path).resolve(),
                        help="nerdctl-grpc-helper, unless it is that build's")
    parser.add_argument("--every", type=int, default=1, help="try one case in so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="name of an operation")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "stubs").mkdir()
        (folder / "images").mkdir()
        made = archives.Archives(folder / "images")
        bench = crash.Bench(stubs.generate(ROOT, folder / "stubs"), args.build, made.busybox,
                            args.helper)
        try:
            if not bench.has_faults():
                sys.exit(f"{args.build} has no fault points: build the preset debug or asan")
            wrong = run(bench, made, args.every, args.seed, args.only)
        finally:
            left = bench.close()
    for word in left:
        print(f"left at the end: {word}")
    sys.exit(1 if wrong or left else 0)


if __name__ == "__main__":
    main()
