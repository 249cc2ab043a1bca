"""gRPC-Web by Connect's client for Node, which speaks it over HTTP/2 as browsers do."""

import js_peer
import peers
import tools

TRANSPORTS = ("h2c", "tls")


def said(target):
    """All cases in one process; what was said of each."""
    descriptors = tools.HOME / "interop.binpb"
    tools.run("protoc", f"-I{tools.ROOT / 'tests/interop'}", "--include_imports",
              f"--descriptor_set_out={descriptors}", "interop.proto")
    output = tools.run(tools.need("node"), tools.HOME / "js/web.mjs", descriptors, *target, good=(0, 1))
    lines = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    if not lines:
        raise tools.Missing(f"web.mjs said nothing: {output}")
    return lines


def run(report, build, pki):
    tools.install_js()
    with peers.folder() as where, peers.running(peers.ours(build, where, pki), graceful=True) as server:
        for transport in TRANSPORTS:
            for name, verdict in said(js_peer.js_client_target(server, transport, pki)).items():
                report.case(name, transport, "connect-node (web) -> ours", "" if verdict == "pass" else verdict)
