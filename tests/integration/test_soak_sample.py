"""A hundredth of the soak tests, in every run of the tests."""

import sys

import pytest

import host

sys.path.insert(0, str(host.ROOT / "tests/soak"))

import logs_exact  # noqa: E402
import transport_flat  # noqa: E402


@pytest.mark.parametrize("number", range(10))
def test_logs_are_exact(ready, number):
    assert logs_exact.one_run(ready, 4711, number) is None


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
def test_the_transport_does_not_grow(tls):
    assert transport_flat.run(host.BUILD, 5, 4711, tls) is None
