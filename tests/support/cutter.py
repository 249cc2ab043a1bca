"""Between client and daemon: passes on what comes, and cuts all connections when it is asked to."""

import contextlib
import socket
import threading

PIECE = 1 << 18


def make_socket(address):
    """A socket and what to bind or connect it to: a path, or a port of this host."""
    if isinstance(address, int):
        return socket.socket(socket.AF_INET), ("127.0.0.1", address)
    return socket.socket(socket.AF_UNIX), str(address)


class Cutter:
    """Listens at an address (a path; or 0: a free port, which `port` tells) for who talks to `target`."""

    def __init__(self, address, target):
        self.target = target
        self.listener, bound = make_socket(address)
        self.listener.bind(bound)
        self.listener.listen()
        self.port = self.listener.getsockname()[1] if isinstance(address, int) else None
        self.lock = threading.Lock()
        self.pairs = []
        self.cuts = 0  # those that cut something
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.join(self.listener.accept()[0])

    def join(self, client):
        daemon, address = make_socket(self.target)
        try:
            daemon.connect(address)
        except OSError:
            client.close()
            return
        pair = (client, daemon)
        with self.lock:
            self.pairs.append(pair)
        for one, other in (pair, pair[::-1]):
            threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    def copy(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(PIECE):
                other.sendall(data)
        self.close((one, other))

    def close(self, pair):
        with self.lock:
            if pair not in self.pairs and pair[::-1] not in self.pairs:
                return
            self.pairs = [p for p in self.pairs if p not in (pair, pair[::-1])]
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self.close(pair)
        self.cuts += bool(pairs)

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
