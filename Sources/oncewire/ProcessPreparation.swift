// What a process of this program does before it touches a key: signals, permissions, dumps, limits.
import CLinux
import Codec
import Glibc

/// Makes the process fit to hold secrets. Called first by every command.
func prepareProcess() {
    openStandardDescriptors()
    if let warning = PlaintextLadder.warning { writeAll(warning, to: STDERR_FILENO) }
    // A peer that went away is an error of write(2), not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    // What is created is for this user and group: a unix socket of a service is usable by members of the
    // group. Key files narrow this to the user alone.
    umask(0o007)
    refuseDumps()
    Libcrypto.stayUntilTheEnd()
}

/// For daemons: signals that others send to every kind of daemon do not end this one. SIGHUP, from a log rotation or
/// a terminal that closes, is answered once the daemon runs; SIGUSR1 and SIGUSR2 mean nothing here.
func ignoreStraySignals() {
    for number in [SIGHUP, SIGUSR1, SIGUSR2] { signal(number, SIG_IGN) }
}

/// Makes sure that descriptors 0, 1 and 2 are open, so that no socket gets a number that something prints to.
private func openStandardDescriptors() {
    while true {
        let descriptor = open("/dev/null", O_RDWR)
        guard (0...2).contains(descriptor) else {
            if descriptor > 2 { close(descriptor) }
            return
        }
    }
}

/// No core file, and no other process of this user that reads or traces this one. Debug builds stay open to
/// debuggers, and to tests that look for secrets in their memory.
private func refuseDumps() {
    #if !DEBUG
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        ow_refuse_dumps()
    #endif
}

/// Raises the soft limits of a daemon to the hard ones: every application connection takes two descriptors, every
/// carrier some locked memory for its secrets.
func raiseLimits() {
    for resource in [RLIMIT_NOFILE, __RLIMIT_MEMLOCK] {
        var limit = rlimit()
        let number = __rlimit_resource_t(resource.rawValue)
        guard getrlimit(number, &limit) == 0, limit.rlim_cur < limit.rlim_max else { continue }
        limit.rlim_cur = limit.rlim_max
        setrlimit(number, &limit)
    }
}
