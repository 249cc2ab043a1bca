"""Python's grpcio in both directions."""

import sys

import interop
import peers
import tools

# grpcio knows nothing of load reports, and a handler cannot see how a request came.
NOT_THERE = ("orca_per_rpc", "client_compressed_unary", "client_compressed_streaming")


def python_server(where, pki):
    socket = where / "python.sock"
    command = ["/usr/bin/python3", tools.HERE / "python_server.py", tools.HOME / "stubs", "--cert",
               pki / "server.pem", "--key", pki / "server.key", "tcp:127.0.0.1:0",
               "tls:127.0.0.1:0", f"unix:{socket}"]
    return peers.Server("grpcio", command, where, socket_path=socket)


def run(report, build, pki):
    sys.path.insert(0, str(tools.HOME / "stubs"))
    import python_client  # its stubs are made by the tools part

    with peers.folder() as where:
        with peers.running(peers.ours(build, where, pki), graceful=True) as server:
            for transport in peers.TRANSPORTS:
                for case in python_client.CASES:
                    report.case(case.__name__, transport, "grpcio -> ours",
                                python_client.attempt(case, server, transport, pki))
        with peers.running(python_server(where, pki), graceful=True) as server:
            interop.our_client(report, build, server, pki, but=NOT_THERE)
