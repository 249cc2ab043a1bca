"""Moments at which a test interferes with the making of a container, told by what appears on disk.

Whoever waits for a time cuts somewhere else on each machine. What a create and a start leave behind on their
way, in this order, is the same everywhere.
"""

import time

PATTERNS = {
    "folder": "data/*/containers/{ns}/*",
    "hosts": "data/*/etchosts/{ns}/*/meta.json",
    "bundle": "state/io.containerd.runtime.v2.task/{ns}/*",
    "process": "state/io.containerd.runtime.v2.task/{ns}/*/init.pid",
    "started": "data/*/containers/{ns}/*/lifecycle.json",
    "ingest": "root/io.containerd.content.v1.content/ingest/*",
    "blob": "root/io.containerd.content.v1.content/blobs/sha256/*",
    "snapshot": "root/io.containerd.snapshotter.v1.*/snapshots/*",
}
# Everything that a run passes; None: at once.
OF_A_RUN = (None, "folder", "hosts", "bundle", "process", "started")
OF_A_CREATE = (None, "folder", "hosts")
OF_A_LOAD = (None, "ingest", "blob", "snapshot")
PATIENCE_SECONDS = 20


class Moments:
    """Those of one namespace of a host."""

    def __init__(self, box, name):
        self.folder = box.folder
        self.name = name

    def seen(self, moment):
        return set(self.folder.glob(PATTERNS[moment].format(ns=self.name)))

    def reach(self, moment, act, is_over=lambda: False):
        """Call act(), return its result once the moment has come, or it is over before."""
        before = self.seen(moment) if moment else set()
        result = act()
        end = time.monotonic() + PATIENCE_SECONDS
        while moment and not is_over() and time.monotonic() < end:
            try:
                if self.seen(moment) - before:
                    break
            except FileNotFoundError:  # a folder went while it was looked through
                pass
            time.sleep(0.0005)
        return result
