"""A client of the API that shares no code with it: stubs from protoc, and shorter ways to call them."""

import dataclasses
import importlib
import importlib.util
import queue
import subprocess
import sys

import grpc

CALL_SECONDS = 60
CHUNK = 256 * 1024

PROTOS = ("nerdctl/v1/common", "nerdctl/v1/container", "nerdctl/v1/error", "nerdctl/v1/image",
          "nerdctl/v1/namespace", "nerdctl/v1/operation", "nerdctl/v1/system", "google/rpc/status",
          "google/rpc/error_details")
# Of the standard services; by path, because "grpc" is somebody else's Python package.
STANDARD = ("grpc/health/v1/health", "grpc/reflection/v1/reflection")


def generate(root, out):
    """Run protoc; returns an object with one module per proto: .container, .container_grpc, ..."""
    protoc = ["/usr/bin/protoc", f"-I{root}/proto", f"-I{root}/src/grpc/proto", "-I/usr/include",
              f"--python_out={out}"]
    subprocess.run([*protoc, f"--grpc_out={out}",
                    "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
                    *(f"{name}.proto" for name in PROTOS)], check=True)
    subprocess.run([*protoc, *(f"{name}.proto" for name in STANDARD)], check=True)
    sys.path.insert(0, str(out))

    class Modules:
        pass

    modules = Modules()
    for name in PROTOS:
        dotted = name.replace("/", ".")
        short = name.rsplit("/", 1)[-1]
        setattr(modules, short, importlib.import_module(f"{dotted}_pb2"))
        setattr(modules, f"{short}_grpc", importlib.import_module(f"{dotted}_pb2_grpc"))
    for name in STANDARD:
        short = name.rsplit("/", 1)[-1]
        spec = importlib.util.spec_from_file_location(f"nd_{short}_pb2", f"{out}/{name}_pb2.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(modules, short, module)
    return modules


def generate_echo(root, out):
    """The module of the transport's test service (tests/interop/echo.proto), its stub within."""
    subprocess.run(["/usr/bin/protoc", f"-I{root}/tests/interop", f"--python_out={out}",
                    f"--grpc_python_out={out}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", "echo.proto"], check=True)
    sys.path.insert(0, str(out))
    try:
        module = importlib.import_module("echo_pb2")
        module.Stub = importlib.import_module("echo_pb2_grpc").EchoServiceStub
    finally:
        sys.path.remove(str(out))
    return module


class Health:
    """The standard health service, as much of it as the tests call."""

    def __init__(self, pb, channel):
        path = "/grpc.health.v1.Health/"
        coders = (pb.HealthCheckRequest.SerializeToString, pb.HealthCheckResponse.FromString)
        self.Check = channel.unary_unary(path + "Check", *coders)
        self.Watch = channel.unary_stream(path + "Watch", *coders)


@dataclasses.dataclass
class Failure:
    """A failed call: code and message, and what the details say."""
    code: grpc.StatusCode
    message: str
    detail: object = None  # nerdctl.v1.ErrorDetail
    fields: dict = dataclasses.field(default_factory=dict)  # field: message
    info: object = None  # google.rpc.ErrorInfo

    @property
    def reason(self):
        return self.detail.error_code if self.detail is not None else None

    @property
    def suggestions(self):
        return list(self.detail.suggestions) if self.detail is not None else []


@dataclasses.dataclass
class Ran:
    """What a Run or an attached Start sent."""
    id: str = ""
    stdout: bytes = b""
    stderr: bytes = b""
    exit: object = None  # ExitStatus
    warnings: list = dataclasses.field(default_factory=list)

    @property
    def code(self):
        return self.exit.code if self.exit is not None else None


class Api:
    """A channel and the stubs of every service on it."""

    def __init__(self, modules, target, credentials=None, options=()):
        options = [("grpc.max_receive_message_length", 16 << 20),
                   ("grpc.enable_http_proxy", 0), *options]
        target = target.removeprefix("tcp://")
        if target.startswith("unix://"):
            target = "unix:" + target.removeprefix("unix://")
        self.m = modules
        self.channel = (grpc.secure_channel(target, credentials, options) if credentials
                        else grpc.insecure_channel(target, options))
        self.container = modules.container_grpc.ContainerServiceStub(self.channel)
        self.image = modules.image_grpc.ImageServiceStub(self.channel)
        self.namespaces = modules.namespace_grpc.NamespaceServiceStub(self.channel)
        self.operation = modules.operation_grpc.OperationServiceStub(self.channel)
        self.system = modules.system_grpc.SystemServiceStub(self.channel)
        self.health = Health(modules.health, self.channel)

    def close(self):
        self.channel.close()

    def namespace(self, name):
        return Namespace(self, name)

    def failure(self, call):
        """Run `call`, which must fail; returns the Failure."""
        try:
            call()
        except grpc.RpcError as error:
            return self.read_failure(error)
        raise AssertionError("the call succeeded")

    def read_failure(self, error):
        failure = Failure(error.code(), error.details())
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            status = self.m.status.Status.FromString(value)
            assert status.code == error.code().value[0]
            for packed in status.details:
                self.unpack(packed, failure)
        return failure

    def unpack(self, packed, failure):
        detail = self.m.error.ErrorDetail()
        validation = self.m.error.ValidationError()
        info = self.m.error_details.ErrorInfo()
        if packed.Unpack(detail):
            failure.detail = detail
        elif packed.Unpack(validation):
            failure.fields = {e.field: e.message for e in validation.field_errors}
        elif packed.Unpack(info):
            failure.info = info


class Requests:
    """The request side of a bidi call: what is put goes out, close() half-closes."""

    END = object()

    def __init__(self, *first):
        self.queue = queue.Queue()
        for message in first:
            self.put(message)

    def put(self, message):
        self.queue.put(message)

    def close(self):
        self.queue.put(self.END)

    def __iter__(self):
        return self

    def __next__(self):
        message = self.queue.get()
        if message is self.END:
            raise StopIteration
        return message


class Namespace:
    """The API in one containerd namespace."""

    def __init__(self, api, name):
        self.api = api
        self.m = api.m
        self.name = name
        self.metadata = (("containerd-namespace", name),)

    def call(self, method, request, **options):
        options.setdefault("timeout", CALL_SECONDS)
        return method(request, metadata=self.metadata, **options)

    def failure(self, method, request):
        """The Failure of a call that must fail, whatever its shape."""
        def go():
            reply = self.call(method, request)
            if hasattr(reply, "__next__"):
                list(reply)
        return self.api.failure(go)

    # Images

    def load_requests(self, data, **options):
        request = self.m.image.ImageServiceLoadRequest
        yield request(options=self.m.image.LoadOptions(**options))
        for start in range(0, len(data), CHUNK):
            yield request(chunk=data[start:start + CHUNK])

    def load(self, data, **options):
        """Load an archive; the images that came."""
        replies = self.call(self.api.image.Load, self.load_requests(data, **options))
        return [r.image for r in replies if r.WhichOneof("response") == "image"]

    def images(self, **options):
        request = self.m.image.ImageServiceListRequest(**options)
        return list(self.call(self.api.image.List, request).images)

    def inspect_image(self, image, **options):
        request = self.m.image.ImageServiceInspectRequest(image=image, **options)
        return self.call(self.api.image.Inspect, request)

    def tag(self, source, target):
        request = self.m.image.ImageServiceTagRequest(source=source, target=target)
        return self.call(self.api.image.Tag, request).image

    def remove_image(self, image, **options):
        request = self.m.image.ImageServiceRemoveRequest(image=image, **options)
        return self.call(self.api.image.Remove, request)

    # Containers

    def config(self, *args, **fields):
        fields.setdefault("image", "busybox:latest")
        fields.setdefault("networks", ["none"])
        if args:
            fields["args"] = list(args)
        return self.m.container.ContainerConfig(**fields)

    def create_request(self, *args, **fields):
        return self.m.container.ContainerServiceCreateRequest(config=self.config(*args, **fields))

    def create(self, *args, **fields):
        """Create a container; its id."""
        replies = list(self.call(self.api.container.Create, self.create_request(*args, **fields)))
        return replies[-1].container_id

    def run_request(self, *args, detach=False, **fields):
        options = self.m.container.RunOptions(config=self.config(*args, **fields), detach=detach)
        return self.m.container.ContainerServiceRunRequest(options=options)

    def run(self, *args, **fields):
        """Run a container and wait for its end, unless detach=True."""
        replies = self.call(self.api.container.Run, iter([self.run_request(*args, **fields)]))
        return self.collect(replies)

    def start_request(self, container, attach=False):
        options = self.m.container.StartOptions(container=container, attach=attach)
        return self.m.container.ContainerServiceStartRequest(options=options)

    def start(self, container, attach=False):
        replies = self.call(self.api.container.Start, iter([self.start_request(container, attach)]))
        return self.collect(replies)

    def collect(self, replies):
        ran = Ran()
        for reply in replies:
            ran.warnings += list(getattr(reply, "warnings", ()))
            kind = reply.WhichOneof("response")
            if kind == "container_id":
                ran.id = reply.container_id
            elif kind == "output" and reply.output.stream == self.m.container.OUTPUT_STREAM_STDERR:
                ran.stderr += reply.output.data
            elif kind == "output":
                ran.stdout += reply.output.data
            elif kind == "exit":
                ran.exit = reply.exit
        return ran

    def list(self, **options):
        request = self.m.container.ContainerServiceListRequest(**options)
        return list(self.call(self.api.container.List, request).containers)

    def inspect(self, container, **options):
        request = self.m.container.ContainerServiceInspectRequest(container=container, **options)
        return self.call(self.api.container.Inspect, request)

    def state(self, container):
        return self.inspect(container).container.state

    def logs_request(self, container, **options):
        return self.m.container.ContainerServiceLogsRequest(container=container, **options)

    def logs(self, container, **options):
        """(standard output, standard error) of a container's log."""
        outputs = {self.m.container.OUTPUT_STREAM_STDOUT: b"",
                   self.m.container.OUTPUT_STREAM_STDERR: b""}
        replies = self.call(self.api.container.Logs, self.logs_request(container, **options))
        for reply in replies:
            outputs[reply.stream] += reply.data
        return tuple(outputs.values())

    def wait(self, *containers, timeout=CALL_SECONDS):
        request = self.m.container.ContainerServiceWaitRequest(containers=containers)
        return list(self.call(self.api.container.Wait, request, timeout=timeout))

    def stop(self, container, **options):
        request = self.m.container.ContainerServiceStopRequest(container=container, **options)
        return self.call(self.api.container.Stop, request)

    def kill(self, container, signal=""):
        request = self.m.container.ContainerServiceKillRequest(container=container, signal=signal)
        return self.call(self.api.container.Kill, request)

    def rename(self, container, new_name, **options):
        request = self.m.container.ContainerServiceRenameRequest(container=container,
                                                                 new_name=new_name, **options)
        return self.call(self.api.container.Rename, request)

    def remove(self, container, **options):
        request = self.m.container.ContainerServiceRemoveRequest(container=container, **options)
        return self.call(self.api.container.Remove, request)

    def clear(self):
        """Remove all containers and images of the namespace."""
        for container in self.list(all=True):
            try:
                self.remove(container.id, force=True, volumes=True)
            except grpc.RpcError as error:
                # One with auto_remove may have gone by itself meanwhile.
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
        for image in self.images():
            self.remove_image(image.name, force=True)
