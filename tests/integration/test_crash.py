"""A sample of the steps at which the daemon may fail or die; tests/soak/crash_steps.py tries them all.

The daemon is that of the asan build, whose fault points are compiled in; without one there is nothing to
try. ND_FAULT_BUILD names another build folder.
"""

import os
import pathlib
import sys

import pytest

import crash
import host

sys.path.insert(0, str(host.ROOT / "tests/soak"))

import crash_steps  # noqa: E402

BUILD = pathlib.Path(os.environ.get("ND_FAULT_BUILD", host.ROOT / "build-asan"))
EVERY = 8


@pytest.fixture(scope="module")
def bench(api_modules, images):
    if not (BUILD / "nerdctl-grpcd").exists():
        pytest.skip(f"no daemon with fault points in {BUILD}")
    made = crash.Bench(api_modules, BUILD, images.busybox, host.BUILD / "nerdctl-grpc-helper")
    if not made.has_faults():
        made.close()
        pytest.skip(f"{BUILD} has no fault points")
    yield made
    left = made.close()
    assert not left, "; ".join(left)


@pytest.mark.parametrize("number", range(len(crash.operations(b""))),
                         ids=[o.name for o in crash.operations(b"")])
def test_no_step_leaves_anything(bench, images, number):
    operation = crash.operations(crash_steps.archive_of(images))[number]
    wrong = crash_steps.try_operation(bench, operation, EVERY, crash_steps.chance_of(os.getpid()))
    assert not wrong, "\n".join(str(case) for case in wrong)
