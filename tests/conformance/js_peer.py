"""grpc-js, which shares no code with the other implementations, in both directions."""

import interop
import peers
import tools

PROGRAM = tools.HOME / "js/interop.js"
PROTO = tools.ROOT / "tests/interop/interop.proto"

# grpc-js knows nothing of load reports, its handlers do not see how a request came, nor can they
# choose how an answer goes.
NOT_THERE = ("orca_per_rpc", "client_compressed_unary", "server_compressed_unary",
             "client_compressed_streaming", "server_compressed_streaming")


def command(mode, *words):
    return [tools.need("node"), PROGRAM, PROTO, mode, *words]


def js_server(where, pki):
    socket = where / "js.sock"
    return peers.Server("grpc-js", command(
        "server", "--cert", pki / "server.pem", "--key", pki / "server.key", "tcp:127.0.0.1:0",
        "tls:127.0.0.1:0", f"unix:{socket}"), where, socket_path=socket)


def js_client_target(server, transport, pki):
    if transport == "unix":
        return [f"unix:{server.socket}"]
    if transport == "h2c":
        return [f"tcp:127.0.0.1:{server.ports[transport]}"]
    return ["--ca", pki / "ca.pem", f"tls:127.0.0.1:{server.ports[transport]}"]


def js_client(target, names):
    """All cases in one process, which takes longer to start than the cases; what was said of each."""
    output = tools.run(*command("client", *target, *names), good=(0, 1))
    lines = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)

    def error(name):
        verdict = lines.get(name, f"nothing was said: {output}")
        return "" if verdict == "pass" else verdict
    return error


def run(report, build, pki):
    tools.install_js()
    names = tools.run(*command("list")).split()
    with peers.folder() as where:
        with peers.running(peers.ours(build, where, pki), graceful=True) as server:
            for transport in peers.TRANSPORTS:
                target = js_client_target(server, transport, pki)
                said = js_client(target, names)
                for name in names:
                    report.case(name, transport, "grpc-js -> ours", said(name))
        with peers.running(js_server(where, pki), graceful=True) as server:
            interop.our_client(report, build, server, pki, but=NOT_THERE)
