// Which RESUMEs of a conversation were answered already. A recorded one would cost the server three key agreements each
// time it is played back; with this it costs a look-up.
internal import Wire

/// Remembers authentic RESUMEs by the first bytes of their commits, for as long as their epochs may be resumed in.
/// Bounded: a device that resumes more often in one epoch is trusted with its oldest ones.
struct AnsweredResumes {
    /// The most that are remembered of one epoch, 8 bytes each.
    static let perEpoch = 4096

    private struct Epoch {
        var marks: [UInt64] = []
        /// Where the next one goes once there is no more room.
        var next = 0

        mutating func add(_ mark: UInt64) {
            guard marks.count == AnsweredResumes.perEpoch else { return marks.append(mark) }
            marks[next] = mark
            next = (next + 1) % marks.count
        }
    }
    private var epochs: [UInt32: Epoch] = [:]

    /// Whether this one was added.
    func contains(_ message: ResumeMessage) -> Bool {
        epochs[message.epoch]?.marks.contains(Self.mark(message)) ?? false
    }

    /// Remembers an authentic RESUME: nobody but the device can make the list longer.
    mutating func add(_ message: ResumeMessage) {
        let mark = Self.mark(message)
        epochs[message.epoch, default: Epoch()].add(mark)
    }

    /// Epochs before `epoch` are refused anyway.
    mutating func forget(before epoch: UInt32) {
        guard epochs.keys.contains(where: { $0 < epoch }) else { return }
        epochs = epochs.filter { $0.key >= epoch }
    }

    private static func mark(_ message: ResumeMessage) -> UInt64 {
        message.commit.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
