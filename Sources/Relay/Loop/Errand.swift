// What blocks is an errand: it leaves a loop for another thread, and its answer comes back to that loop by letter.

/// The way back to the loop that an errand left. Goes to the other thread.
///
/// Unchecked: only the loop's own thread looks at who asked.
final class Errand<Asker: AnyObject, Answer: Sendable>: @unchecked Sendable {
    private weak var asker: Asker?
    private let mailbox: Mailbox
    private let completion: @Sendable (Asker, Answer) -> Void

    /// `completion` runs on the loop of `mailbox`, which is `asker`'s own. It may be let go of on any thread.
    init(
        for asker: Asker, on mailbox: Mailbox, then completion: @escaping @Sendable (Asker, Answer) -> Void
    ) {
        self.asker = asker
        self.mailbox = mailbox
        self.completion = completion
    }

    /// Brings `answer` back, from any thread. Dropped if the asker has gone by then, or its loop has ended.
    func bring(_ answer: Answer) {
        mailbox.post { [self] in
            if let asker { completion(asker, answer) }
        }
    }
}

extension Workers {
    /// Runs `work` on a worker, and `completion` with its answer on the loop of `mailbox`, which is `asker`'s; not at
    /// all if the asker has gone by then. False, and nothing run, if too many jobs wait already.
    func ask<Asker: AnyObject, Answer: Sendable>(
        for asker: Asker, on mailbox: Mailbox, _ work: @escaping @Sendable () -> Answer,
        then completion: @escaping @Sendable (Asker, Answer) -> Void
    ) -> Bool {
        let errand = Errand(for: asker, on: mailbox, then: completion)
        return run { errand.bring(work()) }
    }
}
