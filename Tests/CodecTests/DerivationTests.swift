// The one-shot path against the general HMAC-DRBG, and the limits of the latter.

import Testing

@testable import Codec

@Suite("Frame derivation")
struct DerivationTests {
    @Test("The one-shot path gives what the general HMAC-DRBG gives, for random inputs and any counter")
    func oneShotIsTheGeneralOne() throws {
        for round in 0..<300 {
            let direction = Direction()
            let counter =
                round < 4
                ? [0, 1, UInt64(UInt32.max), .max][round] : UInt64.random(in: 0...(.max)) >> UInt64(round % 64)
            let inputs = FrameInputs(
                entropy: secret(direction.entropy), personalization: direction.personalization,
                prefix: direction.prefix)
            var drbg = HMACDRBG(
                entropy: direction.entropy, nonce: direction.prefix + bigEndian(counter),
                personalization: direction.personalization)
            #expect(try oneShot(inputs, counter: counter) == drbg.generate(44), "counter \(counter)")
        }
    }

    @Test("Deriving leaves the prepared inputs as they are")
    func inputsAreConstant() {
        let direction = Direction()
        let inputs = FrameInputs(
            entropy: secret(direction.entropy), personalization: direction.personalization, prefix: direction.prefix)
        let before = Array(UnsafeRawBufferPointer(start: inputs.address, count: FrameInputs.size))
        let first = oneShot(inputs, counter: 1)
        #expect(oneShot(inputs, counter: 2) != first)
        #expect(oneShot(inputs, counter: 1) == first)
        #expect(Array(UnsafeRawBufferPointer(start: inputs.address, count: FrameInputs.size)) == before)
    }

    @Test("A request of 65536 bytes is served and one byte more is refused")
    func longestRequest() throws {
        var drbg = HMACDRBG(entropy: [1], nonce: [2], personalization: [3])
        let all = try drbg.generate(65536)
        #expect(Set(all).count == 256)
        let key = drbg.key
        #expect(throws: CodecError.lengthOutOfRange) { try drbg.generate(65537) }
        #expect(drbg.key == key)
    }

    @Test("The three inputs are joined without separators")
    func joinedInputs() {
        let one = HMACDRBG(entropy: [1, 2], nonce: [3], personalization: [4])
        let other = HMACDRBG(entropy: [1], nonce: [2, 3, 4], personalization: [])
        #expect(one.key == other.key && one.v == other.v)
    }

    private func bigEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
