"""Much data through a program: written by one thread, read by another, neither kept."""

import hashlib
import random
import threading

PIECE = 1 << 20


class Source:
    """Bytes that follow from a seed, no two pieces alike; hashed on their way."""

    def __init__(self, seed, size):
        self.block = random.Random(seed).randbytes(PIECE)
        self.size = size
        self.sha256 = hashlib.sha256()

    def pieces(self):
        for number in range((self.size + PIECE - 1) // PIECE):
            piece = number.to_bytes(8, "little") + self.block[8:]
            piece = piece[:min(PIECE, self.size - number * PIECE)]
            self.sha256.update(piece)
            yield piece


class Through:
    """A program with pipes: `source` goes in, what comes out is counted and hashed."""

    def __init__(self, process, source):
        self.process = process
        self.source = source
        self.sha256 = hashlib.sha256()
        self.received = 0
        self.errors = b""
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.feed, self.drain, self.listen)]
        for thread in self.threads:
            thread.start()

    def feed(self):
        try:
            for piece in self.source.pieces():
                self.process.stdin.write(piece)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # its exit code tells

    def drain(self):
        while piece := self.process.stdout.read1(PIECE):
            self.sha256.update(piece)
            self.received += len(piece)

    def listen(self):
        self.errors = self.process.stderr.read()

    def problem(self):
        """Wait for the end: None, or what is wrong."""
        code = self.process.wait()
        for thread in self.threads:
            thread.join()
        if code != 0:
            return (f"exit code {code} after {self.received} bytes: "
                    f"{self.errors.decode(errors='replace')[-300:]}")
        if self.received != self.source.size:
            return f"{self.received} bytes came of {self.source.size}"
        if self.sha256.digest() != self.source.sha256.digest():
            return "the sums differ"
        return None
