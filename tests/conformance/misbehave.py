"""Our client with servers that misbehave below gRPC."""

import interop
import peers
import tools


def run(report, build, pki):
    client = build / "tests/interop/interop_client"
    names = tools.run(client, "--list-http2").split()
    with peers.folder() as where:
        command = ["/usr/bin/python3", tools.HERE / "misbehaving_server.py", tools.HOME / "stubs",
                   *names]
        server = peers.Server("misbehaving", command, where, names)
        with peers.running(server, graceful=True):
            for name in names:
                report.case(name, "h2c", "ours -> misbehaving",
                            interop.attempt([client, f"tcp://127.0.0.1:{server.ports[name]}", name]))
            complaints = peers.read_log(server.log)
    report.case("nothing to complain about", "h2c", "ours -> misbehaving", complaints)
