// Properties of encoders and decoders.

import Testing

@testable import Codec

@Suite("Encoder and decoder")
struct FrameTests {
    @Test(
        "A frame of any size decodes to its plaintext, and nothing beyond the frame is written",
        arguments: [0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 1023, 1024, 4095, 16384, 65535, 65536])
    func roundTrip(size: Int) throws {
        let direction = Direction()
        var encoders = direction.encoders()
        var decoders = direction.decoders()
        let cipher = FrameCipher()
        for nonce in 0..<3 as Range<UInt64> {
            let plaintext = RandomBytes.bytes(size)
            let buffer = FrameBuffer(nonce: nonce, plaintext: plaintext)
            let header = buffer.header
            try encoders.makeEncoder().encode(frame: buffer.start, count: size, with: cipher)
            #expect(buffer.header == header)
            if size >= 16 { #expect(buffer.body != plaintext) }
            try decoders.makeDecoder(nonce: nonce).decode(frame: buffer.start, count: size, with: cipher)
            #expect(buffer.body == plaintext)
            #expect(buffer.marginsAreIntact)
        }
    }

    @Test("A frame with any single bit flipped is refused, and its body is wiped", arguments: [1, 21])
    func flippedBits(size: Int) throws {
        let direction = Direction()
        let frame = try direction.frame(RandomBytes.bytes(size), nonce: 5)
        let cipher = FrameCipher()
        for bit in 0..<frame.count * 8 {
            var forged = frame
            forged[bit / 8] ^= 1 << UInt8(bit % 8)
            let buffer = FrameBuffer(frame: forged)
            var decoders = direction.decoders(from: 5)
            #expect(throws: CodecError.notAuthentic, "bit \(bit)") {
                try decoders.makeDecoder(nonce: 5).decode(frame: buffer.start, count: size, with: cipher)
            }
            #expect(buffer.body.allSatisfy { $0 == 0 }, "bit \(bit)")
            #expect(buffer.marginsAreIntact, "bit \(bit)")
        }
    }

    @Test("A frame cut short, and its bytes read as a longer one, are refused")
    func wrongLength() throws {
        let direction = Direction()
        let frame = try direction.frame(RandomBytes.bytes(40))
        for count in [0, 1, 39] {
            let buffer = FrameBuffer(frame: frame)
            var decoders = direction.decoders()
            #expect(throws: CodecError.notAuthentic) {
                try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: count, with: FrameCipher())
            }
        }
        for count in [-1, 65537, .max, .min] {
            let buffer = FrameBuffer(frame: frame)
            var decoders = direction.decoders()
            #expect(throws: CodecError.lengthOutOfRange) {
                try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: count, with: FrameCipher())
            }
            #expect(buffer.frame == frame)
        }
    }

    @Test("Only exactly the next nonce is accepted; another one changes nothing")
    func wrongNonce() throws {
        let direction = Direction()
        var decoders = direction.decoders(from: 7)
        for nonce in [0, 6, 8, 7 << 8, .max] as [UInt64] {
            #expect(throws: CodecError.wrongNonce(expected: 7, received: nonce)) {
                _ = try decoders.makeDecoder(nonce: nonce).decode(
                    frame: FrameBuffer(nonce: nonce, plaintext: []).start, count: 0, with: FrameCipher())
            }
            #expect(decoders.next == 7)
        }
        let buffer = try FrameBuffer(frame: direction.frame([1, 2, 3], nonce: 7))
        try decoders.makeDecoder(nonce: 7).decode(frame: buffer.start, count: 3, with: FrameCipher())
        #expect(buffer.body == [1, 2, 3])
        #expect(decoders.next == 8)
    }

    @Test("A frame that was accepted is not accepted again, nor is the one a forgery was sent for")
    func replay() throws {
        let direction = Direction()
        let cipher = FrameCipher()
        let genuine = try direction.frame([1, 2, 3])
        var decoders = direction.decoders()
        let buffer = FrameBuffer(frame: genuine)
        try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: 3, with: cipher)
        #expect(throws: CodecError.wrongNonce(expected: 1, received: 0)) {
            let again = FrameBuffer(frame: genuine)
            try decoders.makeDecoder(nonce: 0).decode(frame: again.start, count: 3, with: cipher)
        }
        #expect(throws: CodecError.notAuthentic) {
            let forged = FrameBuffer(frame: genuine)
            try decoders.makeDecoder(nonce: 1).decode(frame: forged.start, count: 3, with: cipher)
        }
        #expect(decoders.next == 2)
    }

    @Test("Entropy, personalization and prefix each decide: with one bit of any of them changed a frame is refused")
    func everyInputCounts() throws {
        let direction = Direction()
        let frame = try direction.frame(Array("plaintext".utf8))
        func isRefused(_ other: Direction) -> Bool {
            let buffer = FrameBuffer(frame: frame)
            var decoders = other.decoders()
            do throws(CodecError) {
                try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: buffer.count, with: FrameCipher())
                return false
            } catch {
                return error == .notAuthentic
            }
        }
        #expect(!isRefused(direction))
        for index in 0..<32 {
            var other = direction
            other.entropy[index] ^= 0x80
            #expect(isRefused(other), "entropy \(index)")
            other = direction
            other.personalization[index] ^= 1
            #expect(isRefused(other), "personalization \(index)")
        }
        for index in 0..<14 {
            var other = direction
            other.prefix[index] ^= 1
            #expect(isRefused(other), "prefix \(index)")
        }
    }

    @Test("Two encoders never share a nonce, also across a REKEY, and an unused one's nonce stays spent")
    func noncesAreUnique() throws {
        var encoders = Direction().encoders()
        var seen: Set<UInt64> = []
        for round in 0..<100 {
            let encoder = try encoders.makeEncoder()
            #expect(seen.insert(encoder.nonce).inserted)
            if round % 3 == 0 {
                let buffer = FrameBuffer(nonce: encoder.nonce, plaintext: [])
                encoder.encode(frame: buffer.start, count: 0, with: FrameCipher())
            }
            if round % 10 == 0 { encoders.mix(Secret.random(count: 32)) }
        }
        #expect(encoders.next == 100)
    }

    @Test("The same plaintext encoded twice has nothing in common but its header")
    func framesDiffer() throws {
        let direction = Direction()
        let first = try direction.frame(Array(repeating: 0, count: 64), nonce: 0)
        let second = try direction.frame(Array(repeating: 0, count: 64), nonce: 1)
        for start in stride(from: 16, to: first.count, by: 16) {
            #expect(first[start..<start + 16] != second[start..<start + 16])
        }
    }

    @Test("The last nonce is never used, on either side")
    func exhaustion() throws {
        let direction = Direction()
        let buffer = FrameBuffer(nonce: .max - 1, plaintext: [9])
        var encoders = direction.encoders(from: .max - 1)
        var decoders = direction.decoders(from: .max - 1)
        try encoders.makeEncoder().encode(frame: buffer.start, count: 1, with: FrameCipher())
        try decoders.makeDecoder(nonce: .max - 1).decode(frame: buffer.start, count: 1, with: FrameCipher())
        #expect(buffer.body == [9])
        for _ in 0..<2 {
            #expect(throws: CodecError.nonceExhausted) { _ = try encoders.makeEncoder().nonce }
            #expect(throws: CodecError.nonceExhausted) {
                try decoders.makeDecoder(nonce: .max).decode(frame: buffer.start, count: 1, with: FrameCipher())
            }
            #expect(encoders.next == .max && decoders.next == .max)
        }
    }

    @Test("After a REKEY on one side only, frames are refused")
    func oneSidedRekey() throws {
        let direction = Direction()
        var encoders = direction.encoders()
        encoders.mix(Secret.random(count: 32))
        let buffer = FrameBuffer(nonce: 0, plaintext: [1])
        try encoders.makeEncoder().encode(frame: buffer.start, count: 1, with: FrameCipher())
        var decoders = direction.decoders()
        #expect(throws: CodecError.notAuthentic) {
            try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: 1, with: FrameCipher())
        }
    }

    @Test("Encoding and decoding interleave on one cipher, and scrubbing between frames changes nothing")
    func sharedCipher() throws {
        let cipher = FrameCipher()
        let there = Direction()
        let back = Direction()
        var keys = CarrierKeys(sending: there.encoders(), receiving: back.decoders())
        var peer = CarrierKeys(sending: back.encoders(), receiving: there.decoders())
        for nonce in 0..<20 as Range<UInt64> {
            let question = FrameBuffer(nonce: nonce, plaintext: RandomBytes.bytes(Int(nonce) * 7))
            let answer = FrameBuffer(nonce: nonce, plaintext: RandomBytes.bytes(100))
            let expected = (question.body, answer.body)
            let encoder = try keys.sending.makeEncoder()
            #expect(encoder.nonce == nonce)
            encoder.encode(frame: question.start, count: question.count, with: cipher)
            try peer.sending.makeEncoder().encode(frame: answer.start, count: answer.count, with: cipher)
            if nonce % 4 == 0 { cipher.scrub() }
            try keys.receiving.makeDecoder(nonce: nonce).decode(
                frame: answer.start, count: answer.count, with: cipher)
            try peer.receiving.makeDecoder(nonce: nonce).decode(
                frame: question.start, count: question.count, with: cipher)
            if nonce % 3 == 0 { cipher.scrub() }
            #expect(question.body == expected.0 && answer.body == expected.1)
        }
    }

    @Test("An encoder that is used after its source was mixed stops the process")
    func encoderOfMixedSource() async throws {
        let result = await #expect(processExitsWith: .failure) {
            var encoders = Direction().encoders()
            let encoder = try encoders.makeEncoder()
            encoders.mix(Secret.random(count: 32))
            let buffer = FrameBuffer(nonce: 0, plaintext: [1])
            encoder.encode(frame: buffer.start, count: 1, with: FrameCipher())
        }
        #expect(isTrap(try #require(result).exitStatus))
    }

    @Test("A decoder that is used after its source has ended stops the process")
    func decoderOfEndedSource() async throws {
        let result = await #expect(processExitsWith: .failure) {
            func orphan() throws -> Decoder {
                var decoders = Direction().decoders()
                return try decoders.makeDecoder(nonce: 0)
            }
            let decoder = try orphan()
            let buffer = FrameBuffer(nonce: 0, plaintext: [1])
            try decoder.decode(frame: buffer.start, count: 1, with: FrameCipher())
        }
        #expect(isTrap(try #require(result).exitStatus))
    }

    /// Whether the process was stopped, and did not end by an error that it caught.
    private func isTrap(_ status: ExitStatus) -> Bool {
        if case .signal = status { true } else { false }
    }
}
