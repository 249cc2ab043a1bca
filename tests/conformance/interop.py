"""The interoperability cases: grpc-go's client with our server, our client with grpc-go's server."""

import subprocess

import peers
import tools

CASE_SECONDS = 90
REPORTS = ('--service_config_json={"loadBalancingConfig":'
           '[{"test_backend_metrics_load_balancer":{}}]}',)
SOAK = ("--soak_per_iteration_max_acceptable_latency_ms=10000", "--soak_overall_timeout_seconds=60")

# What grpc-go's client is told besides the name of the case.
GO_CLIENT_CASES = {
    "empty_unary": (),
    "large_unary": (),
    "client_streaming": (),
    "server_streaming": (),
    "ping_pong": (),
    "empty_stream": (),
    "timeout_on_sleeping_server": (),
    "cancel_after_begin": (),
    "cancel_after_first_response": (),
    "status_code_and_message": (),
    "special_status_message": (),
    "custom_metadata": (),
    "unimplemented_method": (),
    "unimplemented_service": (),
    "pick_first_unary": (),
    "rpc_soak": (*SOAK, "--soak_iterations=500"),
    "channel_soak": (*SOAK, "--soak_iterations=50"),
    "orca_per_rpc": REPORTS,
    "orca_oob": REPORTS,
}

# grpc-go's test service does not look at how requests come, nor compress when told.
NOT_IN_GO = ("client_compressed_unary", "server_compressed_unary", "client_compressed_streaming",
             "server_compressed_streaming")


def attempt(command):
    """Empty when the program succeeds, else what it said."""
    try:
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=CASE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {CASE_SECONDS} s"
    return "" if done.returncode == 0 else done.stdout or f"exit code {done.returncode}"


def go_client_target(server, transport, pki):
    if transport == "unix":
        return ["--server_port=0", f"--server_host=unix://{server.socket}"]
    target = ["--server_host=127.0.0.1", f"--server_port={server.ports[transport]}"]
    if transport == "tls":
        target += ["--use_tls", "--use_test_ca", f"--ca_file={pki / 'ca.pem'}",
                   "--server_host_override=localhost"]
    return target


def our_client_target(server, transport, pki):
    if transport == "unix":
        return [f"unix://{server.socket}"]
    target = [f"tcp://127.0.0.1:{server.ports[transport]}"]
    if transport == "tls":
        target = ["--ca", pki / "ca.pem", "--authority", "localhost", *target]
    return target


def go_client(report, server, pki, direction="grpc-go -> ours"):
    for transport in peers.TRANSPORTS:
        target = go_client_target(server, transport, pki)
        for name, options in GO_CLIENT_CASES.items():
            report.case(name, transport, direction, attempt(
                [tools.BIN / "go-interop-client", *target, *options, f"--test_case={name}"]))


def our_client(report, build, server, pki, but=(), direction=None):
    """Every case of our client with somebody's server, but those that this server cannot have."""
    client = build / "tests/interop/interop_client"
    names = [name for name in tools.run(client, "--list").split() if name not in but]
    for transport in peers.TRANSPORTS:
        target = our_client_target(server, transport, pki)
        for name in names:
            report.case(name, transport, direction or f"ours -> {server.name}",
                        attempt([client, *target, name]))


def run(report, build, pki):
    with peers.folder() as where:
        with peers.running(peers.ours(build, where, pki), graceful=True) as server:
            go_client(report, server, pki)
            our_client(report, build, server, pki)
        with peers.running(peers.grpc_go(where, pki), graceful=False) as server:
            our_client(report, build, server, pki, but=NOT_IN_GO)
