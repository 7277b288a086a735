// Lets a thread wait until others have said so many times that they are there. Never waited for on a shard.
internal import CLinux
internal import Glibc

/// A counting semaphore.
package final class Latch: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    package init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Lets one waiter go on.
    package func open() { sem_post(semaphore) }

    /// Waits until `open` was called once for this call.
    package func wait() { while sem_wait(semaphore) != 0 {} }

    /// Waits at most `seconds`; false if nobody opened.
    func wait(seconds: Int) -> Bool {
        var limit = timespec()
        clock_gettime(CLOCK_MONOTONIC, &limit)
        limit.tv_sec += seconds
        while true {
            if ow_wait_for_semaphore(semaphore, &limit) == 0 { return true }
            if errno != EINTR { return false }
        }
    }
}
