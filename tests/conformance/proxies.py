"""HAProxy and nginx with HTTP/2 on both sides, in front of a server of ours.

    client --cleartext--> proxy --cleartext--> ours
    client --TLS--------> proxy --TLS--------> ours
    client --Unix-------> proxy --Unix-------> ours
"""

import subprocess

import peers
import tools

HAPROXY = """
global
    maxconn 2000
    log stderr format raw local0 err

defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option http-keep-alive

frontend h2c
    bind 127.0.0.1:{h2c} proto h2
    default_backend h2c
frontend tls
    bind 127.0.0.1:{tls} ssl crt {where}/both.pem alpn h2
    default_backend tls
frontend unix
    bind unix@{where}/front.sock proto h2
    default_backend unix

backend h2c
    server ours 127.0.0.1:{ours_h2c} proto h2
backend tls
    server ours 127.0.0.1:{ours_tls} ssl verify required ca-file {pki}/ca.pem verifyhost localhost sni str(localhost) alpn h2
backend unix
    server ours unix@{ours_unix} proto h2
"""

NGINX = """
daemon off;
master_process off;
pid {where}/nginx.pid;
error_log stderr crit;
events {{
    worker_connections 8192;
}}
http {{
    access_log off;
    client_body_temp_path {where}/body;
    proxy_temp_path {where}/proxy;
    fastcgi_temp_path {where}/fastcgi;
    uwsgi_temp_path {where}/uwsgi;
    scgi_temp_path {where}/scgi;

    client_max_body_size 0;
    keepalive_requests 1000000;
    grpc_read_timeout 1h;
    grpc_send_timeout 1h;
    ssl_certificate {where}/both.pem;
    ssl_certificate_key {where}/both.pem;
    grpc_ssl_trusted_certificate {pki}/ca.pem;
    grpc_ssl_verify on;
    grpc_ssl_name localhost;
    grpc_ssl_server_name on;

    upstream ours {{
        server 127.0.0.1:{ours_h2c};
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{h2c} http2;
        location / {{ grpc_pass grpc://ours; }}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl http2;
        location / {{ grpc_pass grpcs://127.0.0.1:{ours_tls}; }}
    }}
    server {{
        listen unix:{where}/front.sock http2;
        location / {{ grpc_pass grpc://unix:{ours_unix}; }}
    }}
}}
"""


class Proxy:
    """A running proxy; like peers.Server, it has ports and a socket."""

    def __init__(self, where, pki, server):
        self.ports = {"h2c": peers.free_port(), "tls": peers.free_port()}
        self.socket = where / "front.sock"
        both = (pki / "server.pem").read_bytes() + (pki / "server.key").read_bytes()
        (where / "both.pem").write_bytes(both)
        config = where / f"{self.name}.conf"
        config.write_text(self.config.format(
            where=where, pki=pki, **self.ports, ours_unix=server.socket,
            ours_h2c=server.ports["h2c"], ours_tls=server.ports["tls"]))
        self.log = open(where / f"{self.name}.log", "w+b")
        self.process = subprocess.Popen([str(word) for word in self.command(config)],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        peers.wait_until(self.answers, f"{self.name} listens")

    def answers(self):
        if self.process.poll() is not None:
            raise peers.Failure(f"{self.name} has ended: {peers.read_log(self.log)}")
        return all(peers.accepts(port) for port in self.ports.values()) and self.socket.exists()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class HAProxy(Proxy):
    name, config = "HAProxy", HAPROXY

    # A thousand large messages both ways at once bring HAProxy 2.6 to a stand whatever is at its ends
    # (grpc-go at both, for example): it stops reading either side while it waits for the other's credit.
    cannot = ("concurrent_large_unary",)

    def command(self, config):
        return [tools.need("haproxy"), "-db", "-f", config]


class Nginx(Proxy):
    name, config, cannot = "nginx", NGINX, ()

    def command(self, config):
        return [tools.nginx(), "-c", config, "-e", "stderr"]
