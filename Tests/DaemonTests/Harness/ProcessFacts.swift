// What /proc says about a process.

import Foundation
import Glibc

struct ProcessFacts: Sendable {
    let pid: pid_t

    /// Resident memory in bytes.
    var residentBytes: Int { (number("status", after: "VmRSS:") ?? 0) * 1024 }

    var threads: Int { number("status", after: "Threads:") ?? 0 }

    var openDescriptors: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }

    /// User and system time so far.
    var cpuTime: Duration {
        // The command's name, in parentheses, may hold anything: the fields start after the last one.
        guard let rest = text("stat").split(separator: ")").last else { return .zero }
        let fields = rest.split(separator: " ")
        guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else { return .zero }
        return .seconds(Double(user + system) / Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    /// The kernel's one-letter state: R, S, T (stopped), Z and so on.
    var state: Character? {
        text("stat").split(separator: ")").last?.first { $0 != " " }
    }

    private func number(_ file: String, after label: String) -> Int? {
        for line in text(file).split(separator: "\n") where line.hasPrefix(label) {
            return line.dropFirst(label.count).split { $0 == " " || $0 == "\t" }.first.flatMap { Int($0) }
        }
        return nil
    }

    private func text(_ file: String) -> String {
        (try? String(contentsOfFile: "/proc/\(pid)/\(file)", encoding: .utf8)) ?? ""
    }
}

extension Child {
    var facts: ProcessFacts { ProcessFacts(pid: pid) }
}

/// Lets the test process hold as many descriptors as it may; done once, by whoever asks first.
let descriptorLimit: Int = {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(limit.rlim_cur)
}()
