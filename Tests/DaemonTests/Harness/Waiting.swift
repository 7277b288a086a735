// Waiting without sleeping through it: conditions with a deadline, blocking calls on threads of
// their own, and an inbox through which such threads hand over what they saw.

import Foundation
import Glibc
import Synchronization

/// A condition did not come true in time.
struct TimedOut: Error, CustomStringConvertible {
    let waitingFor: String
    let limit: Duration
    var description: String { "waited \(limit) in vain: \(waitingFor)" }
}

/// How long a test waits for something that normally takes milliseconds. Generous, because the
/// machine may be busy with other tests; a passing test never waits this long.
let patience = Duration.seconds(30)

/// Returns as soon as `condition` holds; throws `TimedOut` when it has not within `limit`.
func eventually(
    _ what: String, within limit: Duration = patience, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(waitingFor: what, limit: limit) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Returns as soon as `value` gives one; throws `TimedOut` when it has not within `limit`.
func eventually<Value>(
    _ what: String, within limit: Duration = patience, _ value: () async throws -> Value?
) async throws -> Value {
    var found: Value?
    try await eventually(what, within: limit) {
        found = try await value()
        return found != nil
    }
    return found!
}

/// Runs blocking work on a thread of its own, so that the few threads of Swift's cooperative pool
/// stay free. When the test is cancelled (its time limit passed), the caller goes on at once and the
/// thread is left to the time-outs of its sockets.
func onThread<Value: Sendable>(
    _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
    let answer = Answer<Value>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            answer.await(continuation)
            startThread { answer.resolve(Result { try work() }) }
        }
    } onCancel: {
        answer.resolve(.failure(CancellationError()))
    }
}

/// Starts a thread with a small stack: tests start thousands of them.
@discardableResult
func startThread(_ work: @escaping @Sendable () -> Void) -> StartedThread {
    let started = StartedThread()
    let thread = Thread {
        work()
        started.finish()
    }
    thread.stackSize = 256 * 1024
    thread.start()
    return started
}

/// A thread that another thread may wait for.
final class StartedThread: Sendable {
    private let finished = DispatchSemaphore(value: 0)

    fileprivate func finish() { finished.signal() }

    /// Waits until its work is done; once, and never on the cooperative pool.
    func join() { finished.wait() }
}

/// The first result wins, whether it comes before or after somebody waits for it.
private final class Answer<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Value, any Error>)
        case resolved(Result<Value, any Error>)
        case over
    }

    private let state = Mutex(State.open)

    func await(_ continuation: CheckedContinuation<Value, any Error>) {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .resolved(let result) = state {
                state = .over
                return result
            }
            state = .awaited(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
    }

    func resolve(_ result: Result<Value, any Error>) {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .open:
                state = .resolved(result)
                return nil
            case .awaited(let continuation):
                state = .over
                return continuation
            case .resolved, .over:
                return nil
            }
        }
        waiting?.resume(with: result)
    }
}

/// What threads put in, in order; a test takes it out.
final class Inbox<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    func put(_ element: Element) { elements.withLock { $0.append(element) } }

    var count: Int { elements.withLock { $0.count } }

    func takeAll() -> [Element] {
        elements.withLock { elements in
            defer { elements = [] }
            return elements
        }
    }

    /// Takes the oldest element, waiting for one.
    func next(_ what: String = "an element in the inbox", within limit: Duration = patience) async throws -> Element {
        try await eventually(what, within: limit) {
            elements.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        }
    }
}
