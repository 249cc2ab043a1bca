"""A client of the standard streams: what it says, and what it was told, with offsets checked."""

import queue
import threading

import grpc

WINDOW = 256 * 1024
PIECE = 32 * 1024


class Streams:
    """A Run, Start, Attach or Exec that is going on; replies are read by a thread."""

    def __init__(self, namespace, method, request_type, first, acknowledges=False, timeout=60):
        self.m = namespace.m.container
        self.request_type = request_type
        self.requests = queue.Queue()
        self.requests.put(first)
        self.call = method(iter(self.requests.get, None), metadata=namespace.metadata,
                           timeout=timeout)
        self.acknowledges = acknowledges
        self.id = ""
        self.session = None
        self.out = {self.m.OUTPUT_STREAM_STDOUT: b"", self.m.OUTPUT_STREAM_STDERR: b""}
        self.at = {}
        self.gaps = []
        self.taken = 0
        self.input_closed = False
        self.exit = None
        self.heartbeats = 0
        self.over = False
        self.error = None
        self.changed = threading.Condition()
        self.paused = threading.Event()
        self.paused.set()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    @property
    def stdout(self):
        return self.out[self.m.OUTPUT_STREAM_STDOUT]

    @property
    def stderr(self):
        return self.out[self.m.OUTPUT_STREAM_STDERR]

    @property
    def code(self):
        return self.exit.code if self.exit is not None else None

    def read(self):
        try:
            for reply in self.call:
                self.paused.wait()
                with self.changed:
                    self.take(reply)
                    self.changed.notify_all()
        except (grpc.RpcError, AssertionError) as error:
            self.error = error
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def take(self, reply):
        assert self.exit is None, "something comes behind the exit code"
        kind = reply.WhichOneof("response")
        if kind in ("container_id", "exec_id"):
            self.id = getattr(reply, kind)
        elif kind == "output":
            self.take_output(reply.output)
        elif kind == "exit":
            self.exit = reply.exit
        elif kind == "event":
            self.take_event(reply.event)

    def take_output(self, output):
        if self.session is not None and self.session.id:
            assert output.offset == self.at[output.stream], "bytes are left out, or come twice"
            self.at[output.stream] += len(output.data)
        self.out[output.stream] += output.data
        if self.acknowledges:
            ack = self.m.Acknowledgement(stream=output.stream, offset=self.at[output.stream])
            self.control(acknowledgement=ack)

    def take_event(self, event):
        kind = event.WhichOneof("event")
        if kind == "session":
            self.session = event.session
            self.at = {self.m.OUTPUT_STREAM_STDOUT: event.session.stdout_offset,
                       self.m.OUTPUT_STREAM_STDERR: event.session.stderr_offset}
            self.taken = event.session.stdin_offset
        elif kind == "gap":
            self.gaps.append(event.gap)
            self.at[event.gap.stream] = event.gap.offset
        elif kind == "input_taken":
            self.taken = event.input_taken.offset
            self.input_closed = self.input_closed or event.input_taken.closed
        elif kind == "heartbeat":
            self.heartbeats += 1

    def until(self, condition, seconds=30):
        """Wait for what was told to fulfil a condition."""
        with self.changed:
            good = self.changed.wait_for(lambda: condition(self) or self.over, seconds)
            assert good, f"nothing came: {self.stdout[-200:]!r} {self.stderr[-200:]!r}"
            assert condition(self), f"it ended: {self.error} {self.stdout[-200:]!r}"
        return self

    def end(self, seconds=60):
        with self.changed:
            assert self.changed.wait_for(lambda: self.over, seconds), "it does not end"
        if self.error is not None:
            raise self.error
        return self

    def control(self, **fields):
        self.requests.put(self.request_type(control=self.m.StreamControl(**fields)))

    def signal(self, name):
        self.requests.put(self.request_type(signal=name))

    def send(self, data, offset=0, end=False):
        """Input, as the window allows."""
        done = 0
        while done < len(data):
            piece = data[done:done + PIECE]
            last = offset + done + len(piece)
            self.until(lambda s: last - s.taken <= WINDOW or s.input_closed)
            self.control(input=self.m.Input(offset=offset + done, data=piece))
            done += len(piece)
        if end:
            self.control(input=self.m.Input(offset=offset + len(data), end=True))
        return self

    def resize(self, width, height):
        self.control(resize=self.m.TerminalSize(width=width, height=height))

    def detach(self):
        self.control(detach=self.m.Detach())

    def cut(self):
        """As a client that dies: the call is torn down."""
        self.call.cancel()
        with self.changed:
            self.changed.wait_for(lambda: self.over, 30)
        self.requests.put(None)


def stream_options(namespace, **fields):
    m = namespace.m.container
    size = fields.pop("size", None)
    if size is not None:
        fields["terminal_size"] = m.TerminalSize(width=size[0], height=size[1])
    return m.StreamOptions(**fields)


def run(ns, *args, stream=None, detach=False, timeout=60, **config):
    m = ns.m.container
    options = m.RunOptions(config=ns.config(*args, **config), detach=detach,
                           stream=stream_options(ns, **(stream or {})))
    return Streams(ns, ns.api.container.Run, m.ContainerServiceRunRequest,
                   m.ContainerServiceRunRequest(options=options),
                   (stream or {}).get("acknowledge", False), timeout)


def start(ns, container, stream=None):
    m = ns.m.container
    options = m.StartOptions(container=container, attach=True,
                             stream=stream_options(ns, **(stream or {})))
    return Streams(ns, ns.api.container.Start, m.ContainerServiceStartRequest,
                   m.ContainerServiceStartRequest(options=options),
                   (stream or {}).get("acknowledge", False))


def attach(ns, container, stream=None):
    m = ns.m.container
    options = m.AttachOptions(container=container, stream=stream_options(ns, **(stream or {})))
    return Streams(ns, ns.api.container.Attach, m.ContainerServiceAttachRequest,
                   m.ContainerServiceAttachRequest(options=options),
                   (stream or {}).get("acknowledge", False))


def execute(ns, container, *args, stream=None, timeout=60, **fields):
    m = ns.m.container
    options = m.ExecOptions(container=container, args=args,
                            stream=stream_options(ns, **(stream or {})), **fields)
    return Streams(ns, ns.api.container.Exec, m.ContainerServiceExecRequest,
                   m.ContainerServiceExecRequest(options=options),
                   (stream or {}).get("acknowledge", False), timeout)
