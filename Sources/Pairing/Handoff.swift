// One value, from one thread to another.

/// Carries a value that cannot be copied through closures and queues that copy their captures. One thread puts it in,
/// the first `take()` gets it; what nobody takes is destroyed, and so wiped, with the box.
package final class Handoff<Value: ~Copyable & Sendable>: Sendable {
    private let value: Guarded<Value?>

    package init(_ value: consuming Value) {
        self.value = Guarded(value)
    }

    /// The value, the first time; nil from then on.
    package func take() -> Value? {
        value.withLock { $0.take() }
    }
}
