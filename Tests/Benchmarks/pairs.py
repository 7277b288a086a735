"""The pairs of proxies that are compared, and how each is configured.

A function here gets a folder for files and the routes to carry, and returns programs in the order to start them, each
with the ports that it will listen on: the server's side first. All encrypt with AES-256-GCM, where it can be chosen,
and prove both ends, where they can; all use every core, where they can.
"""

import getpass
import json
import os
import subprocess
from typing import NamedTuple


class Route(NamedTuple):
    """Ports of one service: application -> `entry`, client side -> `dial`, server side listens on `link` -> `target`.
    `dial` and `link` differ only if a delaying relay stands between them."""

    entry: int
    dial: int
    link: int
    target: int


CORES = os.cpu_count()
TLS_DAYS = "30"
SUITE = "TLS_AES_256_GCM_SHA384"


def direct(folder, routes):
    return []


def socat(folder, routes):
    def one(port, to):
        options = "bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=512"
        return ["socat", f"TCP-LISTEN:{port},{options}", f"TCP:127.0.0.1:{to},nodelay"]

    return [(one(r.link, r.target), [r.link]) for r in routes] + [(one(r.entry, r.dial), [r.entry]) for r in routes]


def haproxy(folder, routes, tuning="", to_server="", at_server=""):
    head = f"global\n nbthread {CORES}\n maxconn 8000\n{tuning}"
    head += "defaults\n mode tcp\n timeout connect 5s\n timeout client 10m\n timeout server 10m\n"

    def listen(name, port, to, bind, server):
        return f"listen {name}{port}\n bind 127.0.0.1:{port} {bind}\n server s 127.0.0.1:{to} {server}\n"

    at_link = "".join(listen("b", r.link, r.target, at_server, "") for r in routes)
    at_entry = "".join(listen("a", r.entry, r.dial, "", to_server) for r in routes)
    server = write(folder, "haproxy-server.cfg", head + at_link)
    client = write(folder, "haproxy-client.cfg", head + at_entry)
    return [
        (["haproxy", "-db", "-f", server], [r.link for r in routes]),
        (["haproxy", "-db", "-f", client], [r.entry for r in routes]),
    ]


def haproxy_plain(folder, routes):
    return haproxy(folder, routes)


def haproxy_tls(folder, routes):
    certificates(folder)
    tuning = f" ssl-default-bind-ciphersuites {SUITE}\n ssl-default-server-ciphersuites {SUITE}\n"
    both = f"ca-file {folder}/ca.pem verify required ssl-min-ver TLSv1.3"
    return haproxy(
        folder, routes, tuning,
        to_server=f"ssl {both} crt {folder}/client.pem sni str(server)",
        at_server=f"ssl {both} crt {folder}/server.pem",
    )


def stunnel(folder, routes):
    certificates(folder)

    def config(side, services):
        head = "foreground = yes\npid =\nsyslog = no\ndebug = 3\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        head += f"sslVersionMin = TLSv1.3\nciphersuites = {SUITE}\n"
        tail = f"cert = {folder}/{side}.pem\nCAfile = {folder}/ca.pem\nverifyChain = yes\n"
        tail += "client = yes\n" if side == "client" else ""
        parts = (f"[s{port}]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{to}\n{tail}" for port, to in services)
        return write(folder, f"stunnel-{side}.conf", head + "".join(parts))

    return [
        (["stunnel", config("server", [(r.link, r.target) for r in routes])], [r.link for r in routes]),
        (["stunnel", config("client", [(r.entry, r.dial) for r in routes])], [r.entry for r in routes]),
    ]


def nginx_tls(folder, routes):
    certificates(folder)

    def config(side, servers):
        head = f"daemon off; worker_processes {CORES}; error_log stderr error; pid {folder}/nginx-{side}.pid;\n"
        head += "load_module /usr/lib/nginx/modules/ngx_stream_module.so; events { worker_connections 20000; }\n"
        return write(folder, f"nginx-{side}.conf", head + "stream {\n" + "".join(servers) + "}\n")

    def at_client(r):
        return (
            f"server {{ listen 127.0.0.1:{r.entry}; tcp_nodelay on; proxy_pass 127.0.0.1:{r.dial}; proxy_ssl on; "
            "proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_name server; proxy_ssl_session_reuse on; "
            f"proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_certificate {folder}/client.crt; "
            f"proxy_ssl_certificate_key {folder}/client.key; }}\n"
        )

    def at_server(r):
        return (
            f"server {{ listen 127.0.0.1:{r.link} ssl; tcp_nodelay on; proxy_pass 127.0.0.1:{r.target}; "
            f"ssl_protocols TLSv1.3; ssl_verify_client on; ssl_certificate {folder}/server.crt; "
            f"ssl_certificate_key {folder}/server.key; "
            f"ssl_client_certificate {folder}/ca.pem; ssl_session_cache shared:s:1m; }}\n"
        )

    def command(path):
        return ["nginx", "-p", folder, "-e", "stderr", "-c", path]

    return [
        (command(config("server", [at_server(r) for r in routes])), [r.link for r in routes]),
        (command(config("client", [at_client(r) for r in routes])), [r.entry for r in routes]),
    ]


def spiped(folder, routes):
    key = os.path.join(folder, "spiped.key")
    with open(key, "wb") as file:
        file.write(os.urandom(32))

    def one(mode, port, to):
        return ["spiped", "-F", mode, "-s", f"[127.0.0.1]:{port}", "-t", f"[127.0.0.1]:{to}", "-k", key, "-n", "0"]

    at_link = [(one("-d", r.link, r.target), [r.link]) for r in routes]
    return at_link + [(one("-e", r.entry, r.dial), [r.entry]) for r in routes]


def shadowsocks(folder, routes):
    link, dial = routes[0].link, routes[0].dial
    common = {"server": "127.0.0.1", "password": "benchmark-only", "method": "aes-256-gcm"}
    common |= {"timeout": 600, "no_delay": True}
    server = write(folder, "ss-server.json", json.dumps({**common, "server_port": link}))
    programs = [(["ss-server", "-c", server], [link])]
    for r in routes:
        local = {"local_address": "127.0.0.1", "local_port": r.entry, "tunnel_address": f"127.0.0.1:{r.target}"}
        client = write(folder, f"ss-tunnel-{r.entry}.json", json.dumps({**common, **local, "server_port": dial}))
        programs.append((["ss-tunnel", "-c", client], [r.entry]))
    return programs


def ssh(folder, routes):
    link, dial = routes[0].link, routes[0].dial
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    server = write(
        folder, "sshd.conf",
        f"Port {link}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n",
    )
    client = ["ssh", "-N", "-F", "/dev/null", "-c", "aes256-gcm@openssh.com", "-o", "StrictHostKeyChecking=no"]
    client += ["-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-i", f"{folder}/user", "-p", str(dial)]
    for r in routes:
        client += ["-L", f"127.0.0.1:{r.entry}:127.0.0.1:{r.target}"]
    return [
        (["/usr/sbin/sshd", "-D", "-f", server], [link]),
        (client + [f"{getpass.getuser()}@127.0.0.1"], [r.entry for r in routes]),
    ]


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    return path


def certificates(folder):
    """A certificate authority and one certificate for each side, on P-256."""
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    lines = [f"openssl req -x509 {new} -days {TLS_DAYS} -subj /CN=ca -keyout ca.key -out ca.pem"]
    for side in ("server", "client"):
        lines += [
            f"openssl req {new} -subj /CN={side} -keyout {side}.key -out {side}.csr",
            f"echo subjectAltName=DNS:{side},IP:127.0.0.1 > {side}.ext",
            f"openssl x509 -req -in {side}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {TLS_DAYS} "
            f"-extfile {side}.ext -out {side}.crt",
            f"cat {side}.crt {side}.key > {side}.pem",
        ]
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=folder, check=True, capture_output=True)
