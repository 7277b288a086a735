// The one way into a loop from other threads: closures that the loop runs at the start of a turn. Whom a letter is for
// is its own affair (Door.swift).
internal import CLinux
internal import Glibc
internal import Pairing

/// Letters to a shard. Posting wakes the shard if it sleeps. A shard that has ended takes no letter.
final class Mailbox: Sendable {
    typealias Letter = @Sendable () -> Void

    /// Readable when there are letters; the shard's poller watches it.
    let eventFD: Int32
    private struct Contents {
        var letters: [Letter] = []
        var signalled = false
        var isClosed = false
    }
    private let contents = Guarded(Contents())

    init() throws(RelayError) {
        eventFD = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard eventFD >= 0 else { throw .system("eventfd", errno) }
    }

    deinit { close(eventFD) }

    /// Queues `letter` for the shard's next turn. False, and the letter dropped, if the shard has ended: whoever
    /// waits for an answer must not wait for this one.
    @discardableResult func post(_ letter: @escaping Letter) -> Bool {
        let (isTaken, mustSignal) = contents.withLock { contents in
            guard !contents.isClosed else { return (false, false) }
            contents.letters.append(letter)
            defer { contents.signalled = true }
            return (true, !contents.signalled)
        }
        if mustSignal {
            var one: UInt64 = 1
            _ = write(eventFD, &one, 8)
        }
        return isTaken
    }

    /// Takes no letter from now on. False, and nothing changed, if there are letters that nobody has read.
    func closeIfEmpty() -> Bool {
        contents.withLock { contents in
            if contents.letters.isEmpty { contents.isClosed = true }
            return contents.isClosed
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
