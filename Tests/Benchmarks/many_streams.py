"""Throughput and CPU time of a number of streams at once through a pair, with streams.py as both ends."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from load import Failed
from measure import CPU
from pairs import Route
from processes import free_port, start, stop

STREAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "streams.py")


PATIENCE = 20


def many_streams(pair, count, seconds):
    """GB/s at the receiver, CPU seconds for each GB, and how the streams shared it, once all have come through.

    All applications connect, then all send as much as they can, at once. `all_through_s` is how long it took from then
    until the service had seen every stream; after PATIENCE seconds those that have come through have to do, and
    `arrived` says how many. `moving` of these received anything in the time measured.
    """
    folder, started = tempfile.mkdtemp(prefix="oncewire-benchmark."), []
    try:
        target, link = free_port(), free_port()
        route = Route(free_port(), link, link, target)
        counter = os.path.join(folder, "received")
        sink = start([sys.executable, STREAMS, "sink", str(target), counter], folder, [target], stdout=subprocess.PIPE)
        started.append(sink)
        proxies = [start(command, folder, ports) for command, ports in pair(folder, [route])]
        started[:0] = proxies[::-1]
        time.sleep(0.5)  # oncewire pairs
        entry = route.entry if proxies else target
        source = start([sys.executable, STREAMS, "source", str(entry), str(count)], folder, stdout=subprocess.PIPE)
        started.insert(0, source)
        if source.stdout.readline() != b"open\n":
            raise Failed(f"{count} streams: not all could be opened")

        def received():
            with open(counter, "rb") as file:
                return struct.unpack("<QQ", file.read(16))

        connected = time.monotonic()
        while received()[1] < count and time.monotonic() < connected + PATIENCE:
            time.sleep(0.02)
        all_through = time.monotonic() - connected if received()[1] >= count else None
        time.sleep(0.5)
        sink.send_signal(signal.SIGUSR1)
        with CPU([process.pid for process in proxies]) as cpu:
            before, began = received()[0], time.monotonic()
            time.sleep(seconds)
            moved, took = received()[0] - before, time.monotonic() - began
        sink.terminate()
        each = json.loads(sink.stdout.readline() or "[]")
        if not moved or not any(each):
            raise Failed(f"{count} streams: nothing arrived")
        return {
            "GBps": moved / took / 1e9,
            "cpu_s_per_GB": cpu.ns / moved if proxies else None,
            "all_through_s": all_through,
            "arrived": len(each),
            "moving": sum(bool(moved) for moved in each),
            "slowest_of_mean": min(each) * len(each) / sum(each),
        }
    finally:
        stop(started)
        shutil.rmtree(folder, ignore_errors=True)
