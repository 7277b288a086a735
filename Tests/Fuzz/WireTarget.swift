// Frames as they come, one after the other: header, plaintext, and the records of bundles. What is read must be written
// back as the same bytes.
import Wire

/// Any bytes, read as frames without tags.
struct WireTarget: FuzzTarget {
    func run(_ input: [UInt8]) {
        input.withUnsafeBytes { input in
            var offset = 0
            while input.count - offset >= FrameHeader.size {
                let place = UnsafeRawBufferPointer(rebasing: input[offset..<offset + FrameHeader.size])
                guard let header = reading({ () throws(WireError) in try FrameHeader(parsing: place.baseAddress!) })
                else {
                    return
                }
                compare(place, "a frame header") { header.write(to: $0) }
                offset += FrameHeader.size
                guard input.count - offset >= header.length else { return }
                let plaintext = UnsafeRawBufferPointer(rebasing: input[offset..<offset + header.length])
                check(header.type, plaintext)
                offset += header.length
            }
        }
    }

    private func check(_ type: FrameType, _ plaintext: UnsafeRawBufferPointer) {
        must(type.allows(length: plaintext.count), "a header with a length that its type cannot have")
        switch type {
        case .open: check(OpenMessage.self, plaintext)
        case .fin: check(FinMessage.self, plaintext)
        case .refused, .abort: check(ReasonMessage.self, plaintext)
        case .rekey: check(RekeyMessage.self, plaintext)
        case .move: check(MoveMessage.self, plaintext)
        case .moved: check(MovedMessage.self, plaintext)
        case .withdraw, .withdrawn: check(StreamNumbersMessage.self, plaintext)
        case .bundle: checkRecords(plaintext)
        case .data: break
        case .closed, .ping, .pong, .bye, .confirm, .confirmed, .stays, .leaving:
            must(plaintext.isEmpty, "a \(type) frame with a plaintext")
        }
    }

    private func checkRecords(_ bundle: UnsafeRawBufferPointer) {
        var offset = 0
        while offset < bundle.count {
            guard let header = reading({ () throws(WireError) in try RecordHeader(parsing: bundle, at: offset) }) else {
                return
            }
            let start = offset + RecordHeader.size
            must(start + header.length <= bundle.count, "a record that leaves its bundle")
            compare(UnsafeRawBufferPointer(rebasing: bundle[offset..<start]), "a record header") {
                header.write(to: $0)
            }
            let payload = UnsafeRawBufferPointer(rebasing: bundle[start..<start + header.length])
            switch header.kind {
            case .open: check(OpenMessage.self, payload)
            case .fin: check(FinMessage.self, payload)
            case .refused, .abort: check(ReasonMessage.self, payload)
            case .credit: check(CreditMessage.self, payload)
            case .data: must(!payload.isEmpty, "a DATA record of nothing")
            case .heavy: must(payload.isEmpty, "a HEAVY record with a payload")
            }
            offset = start + header.length
        }
    }

    private func check<M: Message>(_ type: M.Type, _ bytes: UnsafeRawBufferPointer) {
        guard let message = reading({ () throws(WireError) in try M(parsing: bytes) }) else { return }
        must(message.encodedCount == bytes.count, "\(type): read \(bytes.count) bytes, would write another count")
        compare(bytes, "\(type)") { message.write(to: $0) }
    }

    private func compare(_ bytes: UnsafeRawBufferPointer, _ what: String, _ write: (UnsafeMutableRawPointer) -> Void) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        defer { copy.deallocate() }
        write(copy.baseAddress!)
        must(copy[..<bytes.count].elementsEqual(bytes), "\(what) is written back as other bytes")
    }

    private func reading<Value>(_ body: () throws(WireError) -> Value) -> Value? {
        do throws(WireError) {
            return try body()
        } catch {
            must(!error.description.isEmpty, "an error without words")
            return nil
        }
    }

    // MARK: Seeds

    static var seeds: [(name: String, bytes: [UInt8])] {
        let open = bytes(
            OpenMessage(streamNumber: 1, source: .v4(0x7F00_0001, port: 4711), service: ServiceID("echo")!))
        let progress = StreamProgress(total: 1 << 40, hasEnded: true)
        let bundle =
            record(.open, 1, open) + record(.data, 2, [1, 2, 3]) + record(.fin, 2, bytes(FinMessage(total: 3)))
            + record(.refused, 3, [2]) + record(.abort, 4, [5]) + record(.credit, 2, bytes(CreditMessage(total: 3)))
            + record(.heavy, 5, [])
        let frames: [(FrameType, [UInt8])] = [
            (.open, open), (.open, bytes(OpenMessage(streamNumber: 9, source: .none, service: ServiceID("a")!))),
            (.data, [1, 2, 3]), (.fin, bytes(FinMessage(total: 3))), (.refused, [2]), (.abort, [5]), (.ping, []),
            (.rekey, [1] + [UInt8](repeating: 9, count: 32)), (.rekey, [3]), (.bundle, bundle),
            (.move, bytes(MoveMessage(stream: 1, progress: progress))),
            (.moved, bytes(MovedMessage(stream: 1, progress: progress))),
            (.withdraw, bytes(StreamNumbersMessage([1, 2]))), (.withdrawn, []),
        ]
        let whole = frames.map { frame($0.0, $0.1) }
        return zip(frames, whole).enumerated().map { ("\($0)-\($1.0.0)", $1.1) } + [("all", whole.flatMap(\.self))]
    }

    static func frame(_ type: FrameType, _ payload: [UInt8]) -> [UInt8] {
        [type.rawValue, 0, 0, 0] + bigEndian(UInt32(payload.count)) + bigEndian(UInt64(0)) + payload
    }

    static func record(_ kind: RecordKind, _ stream: UInt64, _ payload: [UInt8]) -> [UInt8] {
        [kind.rawValue, 0] + bigEndian(UInt16(payload.count)) + bigEndian(stream) + payload
    }

    private static func bytes(_ message: some Message) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: message.encodedCount)
        bytes.withUnsafeMutableBytes { message.write(to: $0.baseAddress!) }
        return bytes
    }
}

/// What the messages have in common.
private protocol Message {
    init(parsing bytes: UnsafeRawBufferPointer) throws(WireError)
    var encodedCount: Int { get }
    func write(to destination: UnsafeMutableRawPointer)
}

extension OpenMessage: Message {}
extension FinMessage: Message {}
extension ReasonMessage: Message {}
extension CreditMessage: Message {}
extension RekeyMessage: Message {}
extension MoveMessage: Message {}
extension MovedMessage: Message {}
extension StreamNumbersMessage: Message {}
