"""A door between a daemon and its containerd at which calls can be held.

Two clients of the daemon, or a client and somebody else, meet in a moment that is too short to be hit: a call that
is held makes that moment as long as a test wants.

    with gate.hold("Tasks/Delete") as held:
        call = ns.api.container.Start.future(...)
        held.wait()         # the daemon has asked; containerd has not heard of it
        ...
    call.result()           # at the end of the block it goes on
"""

import concurrent.futures
import contextlib
import threading

import grpc

THREADS = 64
PATIENCE_SECONDS = 30
FOREVER_SECONDS = 1e9  # grpcio's word for a call without a deadline is more than that
# What grpcio sets by itself.
OWN_METADATA = ("user-agent", "te", "content-type", "grpc-")


def until_cut(requests):
    """The requests of somebody who may go."""
    with contextlib.suppress(grpc.RpcError):
        yield from requests


class Held:
    """The calls of one method that are held: before containerd hears of them, or when it has answered."""

    def __init__(self, method, answered, most):
        self.method, self.answered, self.most = method, answered, most
        self.changed = threading.Condition()
        self.came = 0
        self.released = threading.Event()

    def pause(self, method, answered):
        if not method.endswith(self.method) or answered != self.answered:
            return
        with self.changed:
            if self.came == self.most:
                return
            self.came += 1
            self.changed.notify_all()
        self.released.wait(PATIENCE_SECONDS)

    def wait(self, number=1):
        """Until so many have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.came >= number, PATIENCE_SECONDS), \
                f"{self.came} of {number} calls of {self.method}"


class Gate(grpc.GenericRpcHandler):
    """Serves everything that containerd does, by asking it; `address` is as of host.Containerd."""

    def __init__(self, folder, containerd):
        self.address = f"{folder}/gate.sock"
        self.holds = []
        self.seen = []  # the methods of all calls
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.is_closed = False
        self.calls = set()  # those under way
        self.channel = grpc.insecure_channel(f"unix:{containerd.address}", options=unlimited)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS), options=unlimited)
        self.server.add_generic_rpc_handlers([self])
        self.server.add_insecure_port(f"unix:{self.address}")
        self.server.start()

    @contextlib.contextmanager
    def closed(self):
        """As if containerd were away: all calls are cut, and none gets through until the end of the block."""
        self.is_closed = True
        for call in list(self.calls):
            call.cancel()
        try:
            yield
        finally:
            self.is_closed = False

    def close(self):
        self.server.stop(0)
        self.channel.close()

    @contextlib.contextmanager
    def hold(self, method, answered=False, most=1000):
        """Until the end of the block, but no more calls than `most`."""
        held = Held(method, answered, most)
        self.holds.append(held)
        try:
            yield held
        finally:
            self.holds.remove(held)
            held.released.set()

    def pause(self, method, answered):
        for held in list(self.holds):
            held.pause(method, answered)

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: self.forward(details, requests, context))

    def forward(self, details, requests, context):
        self.seen.append(details.method)
        self.pause(details.method, False)
        left = context.time_remaining()
        metadata = [(key, value) for key, value in details.invocation_metadata
                    if not key.startswith(OWN_METADATA)]
        call = self.channel.stream_stream(details.method)(until_cut(requests), metadata=metadata,
                                                          timeout=left if left < FOREVER_SECONDS else None)
        context.add_callback(call.cancel)
        self.calls.add(call)
        try:
            if not self.is_closed:
                yield from self.replies(details.method, call)
        except grpc.RpcError as error:
            if self.is_closed:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the gate is closed")
            context.set_trailing_metadata(error.trailing_metadata() or ())
            context.abort(error.code(), error.details())
        finally:
            self.calls.remove(call)
        if self.is_closed:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the gate is closed")

    def replies(self, method, call):
        for reply in call:
            self.pause(method, True)
            yield reply
