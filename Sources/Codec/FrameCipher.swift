// The machinery that encoders and decoders of one thread share: working memory, which is zero whenever no
// frame is being worked on.

import CLinux
import CSwiftCrypto

/// AES-256-GCM under a key that is derived for every frame. One per thread, not Sendable. Encoding and
/// decoding allocate nothing; key, key schedule and everything they came from are wiped before a frame is
/// handed back.
package final class FrameCipher {
    private let memory: Secret
    private let derivation: FrameDerivation
    /// Where the cipher keeps its key schedule.
    private let schedule: UnsafeMutableRawPointer
    /// Whether frames were worked on since `scrub`. In memory of its own, so that a frame pays for no check
    /// of exclusive access.
    private let wasUsed: UnsafeMutablePointer<Bool>

    package init() {
        memory = Secret(count: FrameDerivation.scratchSize + ow_frame_cipher_size())
        derivation = FrameDerivation(scratch: memory.address)
        schedule = memory.address + FrameDerivation.scratchSize
        wasUsed = .allocate(capacity: 1)
        wasUsed.initialize(to: false)
        rehearse()
    }

    deinit { wasUsed.deallocate() }

    /// Seals and opens one empty frame of no conversation. The dynamic linker binds a function when it is first
    /// called, and saves all registers on the stack for it, deeper than `scrub` reaches. So the first calls are made
    /// while the registers hold no key.
    private func rehearse() {
        let inputs = Secret(count: FrameInputs.size)
        let frame = Secret(count: Frame.headerSize + Frame.tagSize)
        seal(frame: frame.address, count: 0, inputs: inputs.address, counter: 0)
        _ = open(frame: frame.address, count: 0, inputs: inputs.address, counter: 0)
        scrub()
    }

    /// Overwrites the stack that hash and cipher used for frames since the last call: they keep the hash's
    /// message schedule and the authentication key there. The owner of the thread calls it before it sleeps.
    package func scrub() {
        guard wasUsed.pointee else { return }
        wasUsed.pointee = false
        ow_burn_stack_of_frames()
    }

    /// The working memory, for the test that looks for remains.
    var scratch: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory.address, count: memory.count)
    }

    /// Encrypts `count` bytes at `frame` + 16 in place and writes the tag after them. The 16 bytes at `frame` are
    /// authenticated.
    func seal(frame: UnsafeMutableRawPointer, count: Int, inputs: UnsafeRawPointer, counter: UInt64) {
        if PlaintextLadder.isOn { return }
        wasUsed.pointee = true
        let body = frame + Frame.headerSize
        derivation.derive(from: inputs, counter: counter)
        let isSealed = ow_frame_seal(
            schedule, derivation.key, derivation.iv, frame, Frame.headerSize, body, count, body + count)
        derivation.wipe()
        guard isSealed else { fatalError("the cipher failed to encrypt a frame") }
    }

    /// Decrypts `count` bytes at `frame` + 16 in place. False, and those bytes wiped, if the tag behind
    /// them does not verify.
    func open(frame: UnsafeMutableRawPointer, count: Int, inputs: UnsafeRawPointer, counter: UInt64) -> Bool {
        if PlaintextLadder.isOn { return true }
        wasUsed.pointee = true
        let body = frame + Frame.headerSize
        derivation.derive(from: inputs, counter: counter)
        let isAuthentic = ow_frame_open(
            schedule, derivation.key, derivation.iv, frame, Frame.headerSize, body, count, body + count)
        derivation.wipe()
        return isAuthentic
    }
}

/// The sizes of a frame that encoder and decoder work with.
enum Frame {
    static let headerSize = 16
    static let tagSize = 16
    static let longestPlaintext = 65536
    /// Where the header has the frame's counter (u64, big endian).
    static let nonce = 8
}
