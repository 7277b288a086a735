"""One pair at work: services behind it, its programs, proof that bytes go through. Gone after the `with` block."""

import os
import shutil
import socket
import sys
import tempfile
import time

from pairs import Route
from processes import CannotStart, free_port, start, stop


class Tunnel:
    """Runs a pair of pairs.py with two services: iperf3 behind `bulk` and redis behind `ask` (ports of 127.0.0.1).

    With `rtt_ms` a relay that delays like a link of that round-trip time stands between client side and server side;
    without programs (direct) it stands between application and service.
    """

    def __init__(self, pair, rtt_ms=None):
        self.pair, self.rtt_ms, self.processes, self.proxies = pair, rtt_ms, [], []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="oncewire-benchmark.")
        try:
            self.start()
        except BaseException as problem:
            self.__exit__()
            if isinstance(problem, OSError):
                raise CannotStart(f"{self.pair.__name__}: {problem}") from problem
            raise
        return self

    def start(self):
        iperf, redis = free_port(), free_port()
        quiet = ["--save", "", "--appendonly", "no", "--tcp-backlog", "1024", "--maxclients", "20000"]
        self.run(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--dir", self.folder, *quiet], [redis])
        self.run(["iperf3", "-s", "-B", "127.0.0.1", "-p", str(iperf)], [iperf])
        routes = [self.route(iperf), self.route(redis)]
        programs = self.pair(self.folder, routes)
        if programs:
            self.bulk, self.ask = routes[0].entry, routes[1].entry
        elif self.rtt_ms is None:
            self.bulk, self.ask = iperf, redis
        else:
            self.bulk, self.ask = self.relay(routes[0].dial, iperf), self.relay(routes[1].dial, redis)
        if programs and self.rtt_ms is not None:
            for dial, link in {(route.dial, route.link) for route in routes}:
                self.relay(dial, link)
        for command, ports in programs:
            if not shutil.which(command[0]):
                raise CannotStart(f"{command[0]} is not installed")
            self.proxies.append(self.run(command, ports))
        self.wait_for_answer()

    def route(self, target):
        link = free_port()
        return Route(free_port(), link if self.rtt_ms is None else free_port(), link, target)

    def relay(self, port, to):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay.py")
        self.run([sys.executable, script, str(port), str(to), str(self.rtt_ms)], [port])
        return port

    def run(self, command, ports):
        process = start(command, self.folder, ports)
        self.processes.insert(0, process)
        return process

    def wait_for_answer(self):
        deadline, problem = time.monotonic() + 15, None
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.ask), 5) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(16) == b"+PONG\r\n":
                        time.sleep(0.3)  # what a new pair does after its first connection is not measured
                        return
            except OSError as error:
                problem = error
            time.sleep(0.1)
        why = problem or "closed without an answer"
        raise CannotStart(f"{self.pair.__name__} carried no request within 15 s: {why}")

    @property
    def pids(self):
        return [process.pid for process in self.proxies]

    def __exit__(self, *_):
        for process in list(self.processes):  # the client's side first
            stop([process])
        shutil.rmtree(self.folder, ignore_errors=True)
