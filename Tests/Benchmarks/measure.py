"""What the kernel knows about processes and about this machine: CPU time, memory, wake-ups, stolen time."""

import os
import platform
import re
import time

from processes import descendants, stat_fields

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def cpu_ns(pids):
    """CPU time, user and system, in nanoseconds, of these processes and all below them.

    Every process has a clock for that (clock_getcpuclockid(3); the id is computed as the kernel does), exact to the
    nanosecond, which counts threads that have ended too. Time of child processes that have ended and were waited for
    comes from /proc/PID/stat, in ticks of 10 ms: only programs that fork for every connection have any.
    """
    total = 0
    for pid in descendants(pids):
        fields = stat_fields(pid)
        if fields is None:
            continue
        total += (int(fields[13]) + int(fields[14])) * TICK
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)
        except OSError:
            total += (int(fields[11]) + int(fields[12])) * TICK
    return total


def threads_cpu_ns(pids, name):
    """CPU time in nanoseconds of the threads of this name that these processes have now (proc_pid_schedstat(5))."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm") as comm, open(f"/proc/{pid}/task/{task}/schedstat") as spent:
                if comm.read().strip() == name:
                    total += int(spent.read().split()[0])
    return total


class CPU:
    """CPU time of processes over a `with` block: `.ns` afterwards."""

    def __init__(self, pids):
        self.pids = pids

    def __enter__(self):
        self.before = cpu_ns(self.pids)
        return self

    def __exit__(self, *_):
        self.ns = cpu_ns(self.pids) - self.before


def memory_kib(pids):
    """Rss, Pss and Private memory in KiB, summed over these processes and all below them.

    Pss shares a page between the processes that have it; Private is what would be freed if the process ended. A release
    build of oncewire lets only root read these two: they are None without the right.
    """
    total = {"Rss": 0, "Pss": 0, "Private": 0}
    for pid in descendants(pids):
        try:
            with open(f"/proc/{pid}/status") as status:
                total["Rss"] += int((re.search(r"VmRSS:\s+(\d+)", status.read()) or [0, 0])[1])
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                text = rollup.read()
            total["Pss"] += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
            total["Private"] += sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))
        except PermissionError:
            return {"Rss": total["Rss"], "Pss": None, "Private": None}
        except OSError:
            continue
    return total


def pss_kib(pids):
    return memory_kib(pids)["Pss"]


def context_switches(pid):
    """How often each thread of a process has gone to sleep, by thread id; each of them is a wake-up later."""
    counts = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as status:
            counts[task] = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])
    return counts


def woken(before, after):
    """Wake-ups between two results of context_switches. Threads that ended meanwhile are not in it."""
    return sum(count - before.get(task, 0) for task, count in after.items())


class Machine:
    """The machine in general terms, and how much of its time others took since this object was made."""

    def __init__(self):
        self.start = self.times()

    @staticmethod
    def times():
        with open("/proc/stat") as stat:
            return [int(field) for field in stat.readline().split()[1:9]]

    def steal_percent(self):
        spent = [after - before for before, after in zip(self.start, self.times())]
        return 100 * spent[7] / max(1, sum(spent))

    def describe(self):
        with open("/proc/cpuinfo") as info:
            text = info.read()
        model = (re.search(r"^model name\s*: (.*)", text, re.M) or ["", platform.machine()])[1]
        flags = (re.search(r"^(?:flags|Features)\s*: (.*)", text, re.M) or ["", ""])[1].split()
        known = [flag for flag in ("aes", "vaes", "sha_ni") if flag in flags]
        virtual = ", virtual" if "hypervisor" in flags else ""
        return {
            "cores": os.cpu_count(),
            "cpu": model + virtual,
            "flags": known,
            "kernel": ".".join(platform.release().split(".")[:2]),
            "steal_percent": round(self.steal_percent(), 2),
        }

    def line(self):
        known = self.describe()
        return (
            f"{known['cores']} cores ({known['cpu']}; {' '.join(known['flags']) or 'none of aes, vaes, sha_ni'}), "
            f"Linux {known['kernel']}, {known['steal_percent']:.1f} % of its time stolen by neighbours meanwhile"
        )
