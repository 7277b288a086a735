// The one lock of this project: a value that one thread at a time may touch. In an ordinary build it is
// Synchronization.Mutex and nothing more. ThreadSanitizer does not see that lock and reports races inside it, so a
// build for a sanitizer (Package.swift, `scripts/test --sanitize=…`) has a pthread mutex in its place.

#if ONCEWIRE_SANITIZER
    internal import Glibc

    /// A value behind a lock. The lock is not recursive, and nothing that waits may happen while it is held.
    package struct Guarded<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private nonisolated(unsafe) let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)

        /// Guards `value`.
        package init(_ value: consuming sending Value) {
            self.value.initialize(to: value)
            mutex.initialize(to: pthread_mutex_t())
            pthread_mutex_init(mutex, nil)
        }

        deinit {
            pthread_mutex_destroy(mutex)
            mutex.deallocate()
            value.deinitialize(count: 1)
            value.deallocate()
        }

        /// Runs `body` with the value, while no other thread has it.
        package borrowing func withLock<Result: ~Copyable, E: Error>(
            _ body: (inout sending Value) throws(E) -> sending Result
        ) throws(E) -> sending Result {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return try body(&value.pointee)
        }
    }
#else
    public import Synchronization

    // Public, as nothing else is: the compiler (6.3) does not specialise generic code of another module that is `package`,
    // and a lock would cost two more calls.

    /// A value behind a lock. The lock is not recursive, and nothing that waits may happen while it is held.
    public struct Guarded<Value: ~Copyable>: ~Copyable, Sendable {
        @usableFromInline let mutex: Mutex<Value>

        /// Guards `value`.
        @inlinable @inline(__always) public init(_ value: consuming sending Value) { mutex = Mutex(value) }

        /// Runs `body` with the value, while no other thread has it.
        @inlinable @inline(__always) public borrowing func withLock<Result: ~Copyable, E: Error>(
            _ body: (inout sending Value) throws(E) -> sending Result
        ) throws(E) -> sending Result {
            try mutex.withLock(body)
        }
    }
#endif
