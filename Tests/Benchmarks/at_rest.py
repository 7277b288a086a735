"""Daemons that have nothing to do: how fast they are ready, what memory they hold, how often they wake."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time

from load import percentile
from measure import CPU, context_switches, memory_kib, woken
from oncewire import Oncewire
from pairs import Route
from processes import CannotStart, free_port, stop


class Daemons:
    """A server and a client of this binary that have paired, in a folder of their own. No stream was ever opened."""

    def __init__(self, binary):
        self.binary, self.started = binary, []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="oncewire-benchmark.")
        try:
            link = free_port()
            self.both = Oncewire(self.binary, self.folder, [Route(free_port(), link, link, free_port())])
            self.server, self.server_ms = self.start("server", self.both.server_config)
            self.client, self.client_ms = self.start("client", self.both.client_configs[0])
            self.both.wait_for_log("paired with", 2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, role, config):
        process, took = self.both.start_until_ready(role, config)
        self.started.insert(0, process)
        return process, took

    def __exit__(self, *_):
        stop(self.started)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_to_ready(binary, times):
    """Milliseconds from starting the program to its ready line; what starting any program costs is given beside it."""
    server, client, nothing = [], [], []
    for _ in range(times):
        with Daemons(binary) as daemons:
            server.append(daemons.server_ms)
            client.append(daemons.client_ms)
        began = time.perf_counter_ns()
        with subprocess.Popen(["true"], stdout=subprocess.PIPE, start_new_session=True) as program:
            program.stdout.read()
            nothing.append((time.perf_counter_ns() - began) / 1e6)
    series = {"server": server, "client": client, "the program `true`": nothing}
    return {name: {"median_ms": statistics.median(ms), "p90_ms": percentile(ms, 90)} for name, ms in series.items()}


def memory(binary):
    """Memory of both daemons, KiB, paired and idle for two seconds."""
    with Daemons(binary) as daemons:
        time.sleep(2)
        return {"server": memory_kib([daemons.server.pid]), "client": memory_kib([daemons.client.pid])}


def wake_ups(binary, seconds):
    """How often threads of each daemon wake, and its CPU time, while paired and idle."""
    figures = {}
    with Daemons(binary) as daemons:
        time.sleep(2)
        both = {"server": daemons.server.pid, "client": daemons.client.pid}
        before = {role: context_switches(pid) for role, pid in both.items()}
        with CPU([both["server"]]) as server, CPU([both["client"]]) as client:
            time.sleep(seconds)
        for (role, pid), cpu in zip(both.items(), (server, client)):
            count = woken(before[role], context_switches(pid))
            figures[role] = {
                "wake_ups": count,
                "per_second": count / seconds,
                "cpu_us_per_second": cpu.ns / 1000 / seconds,
            }
    return {"seconds": seconds, **figures}


def static_binary(root, build):
    """Path of the stripped binary with Swift's libraries linked in, in a new folder; builds it unless told not to."""
    command = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--product", "oncewire"]
    command += ["--scratch-path", os.path.join(root, ".build-static")]
    if build:
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    where = subprocess.run(command + ["--show-bin-path"], cwd=root, check=True, capture_output=True, text=True)
    built = os.path.join(where.stdout.strip(), "oncewire")
    if not os.path.exists(built):
        raise CannotStart("there is no statically linked binary yet")
    folder = tempfile.mkdtemp(prefix="oncewire-benchmark.")
    subprocess.run(["strip", "-o", os.path.join(folder, "oncewire"), built], check=True)
    return os.path.join(folder, "oncewire")
