// The one door into a shard from other threads: closures that the shard runs at the start of a turn.
internal import CLinux
internal import Glibc
internal import Synchronization

/// Letters to a shard. Posting wakes the shard if it sleeps; posting to a shard that has ended drops
/// the letter.
final class Mailbox: Sendable {
    typealias Letter = @Sendable (Shard) -> Void

    /// Readable when there are letters; the shard's poller watches it.
    let eventFD: Int32
    private struct Contents {
        var letters: [Letter] = []
        var signalled = false
    }
    private let contents = Mutex(Contents())

    init() throws(RelayError) {
        eventFD = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard eventFD >= 0 else { throw .system("eventfd", errno) }
    }

    deinit { close(eventFD) }

    /// Queues `letter` for the shard's next turn.
    func post(_ letter: @escaping Letter) {
        let mustSignal = contents.withLock { contents in
            contents.letters.append(letter)
            defer { contents.signalled = true }
            return !contents.signalled
        }
        if mustSignal {
            var one: UInt64 = 1
            _ = write(eventFD, &one, 8)
        }
    }

    /// All letters so far; the shard calls this after the event descriptor became readable.
    func takeAll() -> [Letter] {
        var count: UInt64 = 0
        _ = read(eventFD, &count, 8)
        return contents.withLock { contents in
            contents.signalled = false
            defer { contents.letters = [] }
            return contents.letters
        }
    }
}
