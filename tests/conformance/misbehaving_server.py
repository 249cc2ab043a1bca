#!/usr/bin/python3
"""HTTP/2 servers that misbehave below gRPC, one for each case of our client, on the h2 library.

  misbehaving_server.py STUBS CASE...

For each case "listening CASE:127.0.0.1:PORT" is printed. Every call is answered like the large unary
call. A client that does what it must not loses its connection, and with it the case. SIGTERM ends it.
"""

import signal
import socket
import struct
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

sys.path.insert(0, sys.argv[1])

import interop_pb2 as pb  # noqa: E402

REPLY = pb.SimpleResponse(payload=pb.Payload(body=bytes(314159))).SerializeToString()
MESSAGE = b"\0" + struct.pack(">I", len(REPLY)) + REPLY
HEADERS = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)
PINGS = 3


class Connection:
    """A well-behaved server; the subclasses below are not."""

    chunk, padding = 16384, None
    settings = {}

    def __init__(self, sock):
        self.sock = sock
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        self.unsent = {}  # stream: what is left of its answer
        self.acks = 0

    def run(self):
        self.h2.initiate_connection()
        self.h2.update_settings(self.settings)
        self.flush()
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.pump()
            self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def handle(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.answer(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.acks += 1
        elif isinstance(event, h2.events.StreamReset):
            self.unsent.pop(event.stream_id, None)

    def answer(self, stream):
        self.h2.send_headers(stream, HEADERS)
        self.unsent[stream] = MESSAGE

    def pump(self):
        """What the windows take; the end of each answer that is out."""
        extra = 0 if self.padding is None else self.padding + 1
        for stream, rest in list(self.unsent.items()):
            while rest:
                size = min(self.chunk, self.h2.local_flow_control_window(stream) - extra, len(rest))
                if size <= 0:
                    break
                self.h2.send_data(stream, rest[:size], pad_length=self.padding)
                rest = rest[size:]
            self.unsent[stream] = rest
            if not rest and self.may_finish():
                del self.unsent[stream]
                self.finish(stream)

    def may_finish(self):
        return True

    def finish(self, stream):
        self.h2.send_headers(stream, TRAILERS, end_stream=True)


class GoAway(Connection):
    """Sends the connection away after its first call; another call on it is a protocol error."""

    answered = False

    def finish(self, stream):
        super().finish(stream)
        if not self.answered:
            self.h2.close_connection(last_stream_id=stream)
        self.answered = True


class ResetAfterHeader(Connection):
    def answer(self, stream):
        self.h2.send_headers(stream, HEADERS)
        self.h2.reset_stream(stream)


class ResetDuringData(Connection):
    def answer(self, stream):
        self.h2.send_headers(stream, HEADERS)
        self.h2.send_data(stream, MESSAGE[:10000])
        self.h2.reset_stream(stream)


class ResetAfterData(Connection):
    def finish(self, stream):
        self.h2.reset_stream(stream)


class Ping(Connection):
    """PINGs at every turn, and no end without all the answers."""

    def answer(self, stream):
        self.h2.ping(b"\0" * 8)
        super().answer(stream)
        for i in range(1, PINGS):
            self.h2.ping(bytes([i]) * 8)

    def may_finish(self):
        return self.acks >= PINGS


class MaxStreams(Connection):
    """The library takes one stream too many for a connection error."""

    settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}


class DataFramePadding(Connection):
    chunk, padding = 5, 255


class NoDataFramePadding(Connection):
    chunk = 5


CASES = {
    "goaway": GoAway,
    "rst_after_header": ResetAfterHeader,
    "rst_during_data": ResetDuringData,
    "rst_after_data": ResetAfterData,
    "ping": Ping,
    "max_streams": MaxStreams,
    "data_frame_padding": DataFramePadding,
    "no_df_padding": NoDataFramePadding,
}


def serve_connection(kind, sock):
    with sock:
        try:
            kind(sock).run()
        except (OSError, h2.exceptions.ProtocolError) as error:
            print(f"{kind.__name__}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def serve(kind, listener):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(kind, sock), daemon=True).start()


def main():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    for name in sys.argv[2:]:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(CASES[name], listener), daemon=True).start()
        print(f"listening {name}:127.0.0.1:{listener.getsockname()[1]}", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
