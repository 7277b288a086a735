#!/usr/bin/env python3
"""The counting behind scripts/count-instructions, which says what for:

    python3 scripts/count_instructions.py BIN_PATH [--update]

Each mode of `ladder count` runs under callgrind twice, with a smaller and a larger N. What the two runs differ by,
divided by the difference of the Ns, is what one frame or message executes: start-up cancels out. Functions are sorted
by the object they lie in, and BoringSSL's, which is linked into the executable, by its symbols.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "Tests/Ladder/instructions.txt"

# What is counted: a name, the ladder's arguments, the two Ns, and the mode that is part of it and is taken off.
MODES = [
    ("drbg", ["drbg"], 100, 600, None),
    ("encode-16", ["encode", "16"], 100, 600, None),
    ("encode-1024", ["encode", "1024"], 100, 600, None),
    ("encode-65536", ["encode", "65536"], 4, 24, None),
    ("decode-16", ["decode", "16"], 100, 600, "encode-16"),
    ("pipe", ["pipe"], 200, 1200, None),
]
PARTS = ["ours", "crypto", "swift", "libc", "other"]
CALLS = {
    "retain+release": re.compile(r"swift_\w*([Rr]etain|[Rr]elease)\w*$"),
    "once": re.compile(r"swift_once$"),
    "beginAccess": re.compile(r"swift_beginAccess$"),
    "malloc": re.compile(r"(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc)$"),
}
# What must not grow by more than a tenth.
GUARDED = ["encode-16 ours", "pipe ours"]


def run(binary, arguments, count, directory):
    """One run under callgrind; its profile."""
    out = pathlib.Path(directory) / f"{'-'.join(arguments)}-{count}.out"
    # Symbols are bound at start and hashes are not seeded, so that nothing but N differs between two runs.
    environment = dict(os.environ, LD_BIND_NOW="1", SWIFT_DETERMINISTIC_HASHING="1")
    command = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={out}", binary, "count"]
    done = subprocess.run(
        [*command, *arguments, str(count)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=300)
    if done.returncode != 0:
        sys.exit(f"ladder count {' '.join(arguments)} {count} under valgrind failed:\n{done.stderr}")
    return profile(out, binary, BORING)


def profile(path, binary, boring):
    """Instructions by part of the program, and calls by caller and callee, of a callgrind.out file."""
    names = {"ob": {}, "fn": {}}
    here = {"ob": "", "fn": ""}
    callee = {"ob": None, "fn": ""}
    cost, calls = Counter(), Counter()
    inclusive = False

    def name(kind, text):
        number, _, rest = text.partition(")")
        if rest:
            names[kind][number] = rest.strip()
        return names[kind][number]

    with open(path) as lines:
        for line in lines:
            key, equals, value = line.rstrip("\n").partition("=")
            if key in ("ob", "fn") and equals:
                here[key] = name(key, value)
            elif key in ("cob", "cfn") and equals:
                callee[key[1:]] = name(key[1:], value)
            elif key == "calls" and equals:
                calls[here["fn"], callee["fn"]] += int(value.split()[0])
                callee["ob"] = None
                inclusive = True
            elif line[:1] in "0123456789+-*" and line.strip():
                if not inclusive:
                    cost[part(here["ob"], here["fn"], binary, boring)] += int(line.split()[1])
                inclusive = False
    return cost, calls


def part(path, function, binary, boring):
    """Whose instructions these are."""
    library = os.path.basename(path)
    if os.path.basename(binary) == library:
        return "crypto" if function.split("'")[0] in boring or "BoringSSL" in function else "ours"
    if library.startswith("libcrypto"):
        return "crypto"
    if library.startswith(("libswift", "libFoundation")):
        return "swift"
    return "libc" if library.startswith(("libc.", "libm.", "ld-linux")) else "other"


def boring_symbols(directory):
    """The functions of the BoringSSL that swift-crypto brings."""
    objects = [str(path) for path in pathlib.Path(directory, "CCryptoBoringSSL.build").rglob("*.o")]
    if not objects:
        return frozenset()
    listed = subprocess.run(["nm", "--defined-only", *objects], capture_output=True, text=True, check=True).stdout
    return frozenset(fields[2] for fields in map(str.split, listed.splitlines()) if len(fields) == 3)


def measure(binary):
    """For every mode: instructions by part, and calls by caller and callee, for one frame or message."""
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            (name, count): pool.submit(run, binary, arguments, count, directory)
            for name, arguments, few, many, _ in MODES for count in (few, many)
        }
        results = {}
        for name, _, few, many, contained in MODES:
            less, more = runs[name, few].result(), runs[name, many].result()
            each = []
            for before, after in zip(less, more):
                each.append({key: (after[key] - before[key]) / (many - few) for key in after | before})
                if contained:
                    base = results[contained][len(each) - 1]
                    each[-1] = {key: each[-1].get(key, 0) - base.get(key, 0) for key in each[-1] | base}
            results[name] = each
    return results


def figures(results):
    """The numbers of the file: name to count."""
    rows = {}
    for name, (cost, calls) in results.items():
        rows[f"{name} all"] = sum(cost.values())
        for key in PARTS:
            rows[f"{name} {key}"] = cost.get(key, 0)
        for key, pattern in CALLS.items():
            rows[f"{name} {key} calls"] = callers(calls, pattern).total()
    return rows


def callers(calls, pattern):
    """How often each function calls one that the pattern names."""
    found = Counter()
    for (caller, callee), count in calls.items():
        # swift_retain calls its own inner forms; a call counts where it comes in.
        if pattern.match(callee.split("'")[0]) and not pattern.match(caller.split("'")[0]) and abs(count) > 1e-9:
            found[caller, callee] += count
    return found


def demangled(text):
    done = subprocess.run(
        ["swift", "demangle", "--compact", "--simplified"], input=text, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else text


def report(rows, expected, results):
    print("instructions in user space; valgrind has no AVX-512, VAES or SHA-NI, so that libraries take their AVX2 and")
    print("AES-NI paths here. encode and decode: one frame. pipe: one 64-byte message through both carriers.\n")
    print(f"{'':36} {'expected':>12} {'measured':>12}")
    for name, count in rows.items():
        print(f"{name:36} {text(expected.get(name)):>12} {text(count):>12}")
    lines = []
    for mode, (_, calls) in results.items():
        for kind, pattern in CALLS.items():
            for (caller, callee), count in callers(calls, pattern).most_common():
                lines.append(f"{mode}: {count:8.2f} {callee} from {caller}")
    if lines:
        print("\ncalls that were counted, by caller:")
        print(demangled("\n".join(lines)))


def text(count):
    if count is None:
        return "-"
    return str(round(count)) if abs(count - round(count)) < 0.005 else f"{count:.2f}"


def complaints(rows, expected):
    for name in GUARDED:
        if name in rows and name in expected and rows[name] > expected[name] * 1.1:
            yield f"{name}: {text(rows[name])} instructions, more than a tenth above {text(expected[name])}"
    for name, count in rows.items():
        if name == "pipe malloc calls" and count > 0.001:
            yield f"{name}: a message allocates"
        if name == "pipe retain+release calls" and name in expected and count > expected[name] + 0.01:
            yield f"{name}: {text(count)}, and {text(expected[name])} were expected"


def main():
    global BORING
    directory, update = sys.argv[1], "--update" in sys.argv[2:]
    BORING = boring_symbols(directory)
    with tempfile.TemporaryDirectory() as temporary:
        # valgrind 3.19 gives up on the debug information that clang writes.
        binary = os.path.join(temporary, "ladder")
        subprocess.run(["strip", "--strip-debug", "-o", binary, os.path.join(directory, "ladder")], check=True)
        results = measure(binary)
    rows = figures(results)
    expected = {}
    if FILE.exists():
        for line in FILE.read_text().splitlines():
            name, _, count = line.rpartition(" ")
            if name and not line.startswith("#"):
                expected[name.strip()] = float(count)
    report(rows, expected, results)
    if update:
        head = "# Written by scripts/count-instructions --update: instructions or calls for one frame or message.\n"
        FILE.write_text(head + "".join(f"{name:36} {text(count):>12}\n" for name, count in rows.items()))
        return 0
    wrong = list(complaints(rows, expected))
    for line in wrong:
        print(f"count-instructions: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
