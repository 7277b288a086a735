// The address of something that lives on another loop. Letters are opened there, by the one they are written to: no
// other thread ever holds it.

/// Letters to an `R` that lives, or lived, on the loop of `mailbox`.
///
/// Unchecked: only the loop's own thread opens, closes or looks at what is at this address.
final class Door<R: AnyObject>: @unchecked Sendable {
    /// That of the loop; the doors of one loop share it.
    let mailbox: Mailbox
    private var resident: R?

    init(_ mailbox: Mailbox) { self.mailbox = mailbox }

    /// Runs `letter` with whatever is behind this door, on its loop, in the next turn. False if the loop has ended and
    /// nobody will read it: whoever waits for an answer must not wait for this one.
    @discardableResult func send(_ letter: @escaping @Sendable (R) -> Void) -> Bool {
        mailbox.post { [self] in
            if let resident { letter(resident) }
        }
    }

    /// Letters reach `resident` from now on. For its own loop alone.
    func open(to resident: R) { self.resident = resident }

    /// `resident` has ended and takes no further letter. For its own loop alone.
    func close() { resident = nil }
}
