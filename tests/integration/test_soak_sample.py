"""A hundredth of the soak tests, in every run of the tests."""

import os
import sys

import pytest

import host

sys.path.insert(0, str(host.ROOT / "tests/soak"))

import attached_exact  # noqa: E402
import cut_stream  # noqa: E402
import exec_pipe  # noqa: E402
import failed_calls  # noqa: E402
import kill_daemon  # noqa: E402
import logs_exact  # noqa: E402
import long_running  # noqa: E402
import model  # noqa: E402
import transport_flat  # noqa: E402

MIB = 1 << 20


@pytest.mark.parametrize("number", range(10))
def test_logs_are_exact(ready, number):
    assert logs_exact.one_run(ready, 4711, number) is None


def test_attached_output_is_exact(ready):
    attached_exact.prepare(ready)
    for number in range(2 * len(attached_exact.KINDS)):
        _, problem = attached_exact.one_run(ready, 4711, number)
        assert problem is None


def test_much_through_a_command(ready):
    assert exec_pipe.run(ready, 100, 4711, stopped_seconds=0.5) is None


def test_a_stream_that_is_cut_regularly(ready, box):
    assert cut_stream.run(ready, box.pki, box.port, 48 * MIB, 0.15, 4711) is None


def test_the_ends_of_long_running_processes(ready):
    assert long_running.run(ready, 1) is None


def test_a_daemon_that_is_killed_under_busy_containers(own, tmp_path):
    _, problem = kill_daemon.run(own, tmp_path, 3, 4, 4711)
    assert problem is None


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
def test_the_transport_does_not_grow(tls):
    assert transport_flat.run(host.BUILD, 5, 4711, tls) is None


def test_an_order_explains_what_many_clients_saw(api_modules, images):
    """Another seed in each run: its number is in what is printed."""
    wrong = model.run(api_modules, host.BUILD, images, model.Size(200, names=10, clients=8, kills=2,
                      containerd_kills=0), os.getpid(), print)
    assert not wrong, "\n".join(wrong)


def test_calls_that_come_to_nothing_leave_nothing(api_modules, images):
    """The streams of a command whose client vanished are kept for half a minute: that is for the long run."""
    wrong = failed_calls.run(api_modules, host.BUILD, images, os.getpid(), 500, print, without=["cut exec"])
    assert not wrong, "\n".join(wrong)
