"""What a soak of containers needs around its own part: a host of its own, and a namespace with the image.

    with soak.namespace(args.build) as ns:
        problem = run(ns, ...)
        if problem:
            sys.exit(problem)
"""

import contextlib
import pathlib
import sys
import tempfile

import archives
import host
import stubs

ROOT = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def namespace(build, **options):
    """A stubs.Namespace with its `box`; `options` are those of host.Host. What is left at the end ends the program."""
    box = host.Host(build.resolve(), prefix="nd-soak", **options)
    try:
        box.start()
        with tempfile.TemporaryDirectory() as scratch:
            api = stubs.Api(stubs.generate(ROOT, scratch), box.daemon.target)
            ns = api.namespace("soak")
            ns.box = box
            ns.load(archives.Archives(scratch).busybox)
            yield ns
            ns.clear()
            api.close()
    finally:
        left = box.close()
    if left:
        sys.exit("; ".join(left))
