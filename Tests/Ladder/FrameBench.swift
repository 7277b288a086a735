// One direction of a carrier without a carrier: frames encoded and decoded where they lie.
import Codec
import Wire

/// Both ends of one direction, and memory for some frames: as much as two rounds of a stream take, so that frames are
/// as warm as they are between a read and a send.
struct FrameBench: ~Copyable {
    private var source: EncoderSource
    private var sink: DecoderSource
    private let cipher = FrameCipher()
    private let memory: UnsafeMutableRawPointer
    private let size: Int
    private let stride: Int
    /// Frames that have a place.
    let places: Int

    /// For frames of `size` plaintext bytes, at most 65536.
    init(size: Int) {
        let inputs = DirectionInputs()
        source = EncoderSource(
            entropy: inputs.entropy(), personalization: inputs.personalization, prefix: inputs.prefix)
        sink = DecoderSource(entropy: inputs.entropy(), personalization: inputs.personalization, prefix: inputs.prefix)
        self.size = size
        stride = FrameHeader.size + size + FrameHeader.tagSize
        places = min(1024, 8 * FrameHeader.maxFrame / stride)
        memory = .allocate(byteCount: places * stride, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x5a, count: places * stride)
    }

    deinit { memory.deallocate() }

    /// Encodes the next frame at `place`, as a carrier does: encoder, header, body.
    mutating func encode(at place: Int) throws(CodecError) {
        let frame = memory + place * stride
        let encoder = try source.makeEncoder()
        FrameHeader(type: .data, length: size, nonce: encoder.nonce).write(to: frame)
        encoder.encode(frame: frame, count: size, with: cipher)
    }

    /// Decodes the frame at `place`, as a carrier does: header, decoder, body.
    mutating func decode(at place: Int) throws {
        let frame = memory + place * stride
        let header = try FrameHeader(parsing: frame)
        let decoder = try sink.makeDecoder(nonce: header.nonce)
        try decoder.decode(frame: frame, count: header.length, with: cipher)
    }

    /// Encodes `count` frames.
    mutating func encode(_ count: Int) throws(CodecError) {
        var place = 0
        for _ in 0..<count {
            try encode(at: place)
            place += 1
            if place == places { place = 0 }
        }
    }

    /// Encodes and decodes `count` frames, some at a time; the nanoseconds that decoding took.
    mutating func decode(_ count: Int) throws -> UInt64 {
        var time: UInt64 = 0
        var left = count
        while left > 0 {
            let now = min(left, places)
            for place in 0..<now { try encode(at: place) }
            let start = Stopwatch.threadTime
            for place in 0..<now { try decode(at: place) }
            time += Stopwatch.threadTime - start
            left -= now
        }
        return time
    }

    /// What a shard does before it sleeps.
    func scrub() { cipher.scrub() }
}

/// Inputs of a direction: random, made once, so that both ends can have the same.
struct DirectionInputs {
    let personalization = RandomBytes.bytes(32)
    let prefix = RandomBytes.bytes(14)
    private let bytes = RandomBytes.bytes(32)

    func entropy() -> Secret {
        let secret = Secret(count: bytes.count)
        secret.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
        return secret
    }
}
