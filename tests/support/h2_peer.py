"""A peer that speaks HTTP/2 by hand, as rightly or wrongly as it is told: frames of bytes over a socket.

It shares no code with any HTTP/2 library, so nothing keeps it from what no library would do.
"""

import select
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 5, 7, 8, 11
SECONDS = 30


def frame(kind, flags=0, stream=0, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)


def number(prefix_bits, value, first=0):
    """An integer of HPACK."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def varint(value):
    """An integer of protocol buffers."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(name, value):
    """A field that is never indexed, in plain letters."""
    return b"\x10" + number(7, len(name)) + name + number(7, len(value)) + value


def block(path, extra=()):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"),
              (b"te", b"trailers"), (b"content-type", b"application/grpc"), *extra]
    return b"".join(field(*pair) for pair in fields)


def request(stream, path, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block(path))


def message(data):
    """A message of gRPC."""
    return b"\0" + len(data).to_bytes(4, "big") + data


class Peer:
    """One connection. What it has received is counted by kind; of GOAWAY code and text are kept."""

    def __init__(self, address, tls=None):
        self.socket = socket.create_connection(address, timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.rest = b""
        self.counts = {}
        self.ended = set()  # streams that the server has finished or reset
        self.resets = {}    # stream: code
        self.data_bytes = 0
        self.window = 65535  # of the connection, for sending
        self.window_at_begin = 65535  # of a stream
        self.windows = {}  # stream: what was added to that and what was spent of it
        self.goaway = None  # code, text
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hello(self, settings=b""):
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))
        return self

    def send(self, data):
        """All of it; False when the server has closed."""
        try:
            self.socket.sendall(data)
            return True
        except ConnectionError:
            return False

    def take(self, data):
        self.rest += data
        while len(self.rest) >= 9:
            length = int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < 9 + length:
                return
            kind, flags = self.rest[3], self.rest[4]
            stream = int.from_bytes(self.rest[5:9], "big") & 0x7FFFFFFF
            self.look(kind, flags, stream, self.rest[9:9 + length])
            self.rest = self.rest[9 + length:]

    def look(self, kind, flags, stream, payload):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == GOAWAY:
            self.goaway = struct.unpack(">I", payload[4:8])[0], payload[8:].decode(errors="replace")
        elif kind == RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
            self.ended.add(stream)
        elif kind == WINDOW_UPDATE:
            by = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += by
            else:
                self.windows[stream] = self.windows.get(stream, 0) + by
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                self.window_at_begin = value if name == 4 else self.window_at_begin
        elif kind in (DATA, HEADERS):
            self.data_bytes += len(payload) if kind == DATA else 0
            if flags & END_STREAM:
                self.ended.add(stream)

    def read_once(self):
        """What is there, or the next that comes; False at the end."""
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self.take(data)
        self.closed = self.closed or not data
        return not self.closed

    def read_until(self, condition):
        while not condition(self):
            if not self.read_once():
                return False
        return True

    def finish(self):
        """Read until the server closes."""
        self.read_until(lambda _: False)
        return self

    def ping(self):
        """A round trip."""
        before = self.counts.get(PING, 0)
        self.send(frame(PING, 0, 0, b"roundtrp"))
        return self.read_until(lambda _: self.counts.get(PING, 0) > before)

    def credit(self, stream):
        """How many bytes of DATA may be sent."""
        return min(self.window, self.window_at_begin + self.windows.get(stream, 0))

    def spend(self, stream, number_of_bytes):
        self.window -= number_of_bytes
        self.windows[stream] = self.windows.get(stream, 0) - number_of_bytes

    def pour(self, chunks):
        """Send as long as the server lets us, reading what it answers meanwhile."""
        for chunk in chunks:
            left = memoryview(chunk)
            while left and not self.closed:
                readable, writable, _ = select.select([self.socket], [self.socket], [], SECONDS)
                assert readable or writable, "the server neither reads nor writes"
                if readable:
                    self.read_once()
                elif writable:
                    try:
                        left = left[self.socket.send(left):]
                    except ConnectionError:
                        self.finish()
            if self.closed:
                break
        return self
