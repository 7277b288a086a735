// How much of the stack is overwritten before a thread sleeps. What it has to cover was measured on release builds
// (Sources/CLinux/wipe.c has the numbers); that it covers it is tested on one (FrameKeyTests, in DaemonTests).

import CHarness
import CLinux
import Testing

@Suite("Burning the stack")
struct StackBurnTests {
    /// How far down below this function's frame `burn` overwrites what is there.
    @inline(never)
    private func reach(of burn: () -> Void) -> Int {
        let size = 160 * 1024
        let lowest = ch_fill_stack(size, 0xA5)
        burn()
        return size - ch_count_pattern(lowest, size, 0xA5)
    }

    @Test("After frames 8 KiB are overwritten: frames were seen to use 2,248 bytes, and the dynamic linker 4,200")
    func frames() {
        #expect(reach { ow_burn_stack_of_frames() } >= 8 * 1024 - 64)
    }

    @Test("After public-key work 64 KiB are overwritten: ML-KEM works on some 20 KiB")
    func publicKeys() {
        #expect(reach { ow_burn_stack() } >= 64 * 1024 - 64)
    }

    @Test("What nobody overwrites stays: the two tests above can see it")
    func control() {
        #expect(reach {} < 8 * 1024)
    }
}
