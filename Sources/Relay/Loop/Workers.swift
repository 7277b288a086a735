// Threads for what would block a loop: name look-ups and the public-key work of a pairing. The queue
// is bounded, so that a flood of strangers costs neither memory nor the shards' time.
internal import CLinux
internal import Glibc
internal import Pairing
internal import Synchronization

/// A few threads and a bounded queue of jobs.
final class Workers: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isClosed = false
    }
    private let queue = Guarded(Queue())
    private let wakeups: Wakeups
    private let capacity: Int

    /// Starts `threads` threads; at most `capacity` jobs wait for them.
    init(_ name: String, threads: Int, capacity: Int) {
        self.capacity = capacity
        let wakeups = Wakeups()
        self.wakeups = wakeups
        for _ in 0..<threads {
            startThread(name) { [weak self] in
                while wakeups.wait() {
                    guard let self else { return }
                    guard let job = self.nextJob() else { return }
                    job()
                    // Libraries leave what they computed with in dead stack frames.
                    ow_burn_stack()
                }
            }
        }
    }

    deinit { wakeups.close() }

    /// Queues `job`; false if the queue is full.
    func run(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isQueued = queue.withLock { queue in
            guard queue.jobs.count < capacity, !queue.isClosed else { return false }
            queue.jobs.append(job)
            return true
        }
        if isQueued { wakeups.signal() }
        return isQueued
    }

    private func nextJob() -> (@Sendable () -> Void)? {
        queue.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
    }

    /// A latch that can be closed for good.
    private final class Wakeups: Sendable {
        private let latch = Latch()
        private let isClosed = Atomic(false)

        func signal() { latch.open() }

        /// Waits for a signal; false when closed.
        func wait() -> Bool {
            latch.wait()
            guard isClosed.load(ordering: .acquiring) else { return true }
            latch.open()
            return false
        }

        func close() {
            isClosed.store(true, ordering: .releasing)
            latch.open()
        }
    }
}

/// Runs `body` on a new detached thread with all signals blocked: signals are the main program's. `name`
/// (15 bytes at most) is what tools like top show.
package func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let error = tryToStartThread(name, body)
    precondition(error == 0, "cannot start a thread: \(errorText(error))")
}

/// The same where a thread may fail to start; returns 0, or the errno.
func tryToStartThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
    final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let named = Body {
        ow_name_thread(name)
        body()
    }
    let context = Unmanaged.passRetained(named)
    let result = pthread_create(
        &thread, nil,
        { context in
            Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
            return nil
        }, context.toOpaque())
    if result == 0 { pthread_detach(thread) } else { context.release() }
    return result
}
