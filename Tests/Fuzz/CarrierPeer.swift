// The carrier target's peer, which holds the far ends of links, and its applications.
import Glibc
import Pairing
import Wire

@testable import Relay

/// What a peer has sent of one stream: bytes that can be told from their places, so that nobody has to keep them.
final class Outgoing {
    var sent: UInt64 = 0
    /// Its DATA no longer comes from one place alone, or from whatever an input has.
    var isUnknown = false

    /// What comes again after so many bytes: a prime, which no buffer or window has for a size.
    private static let period = 65521
    private static let most = 65536
    private static let pattern = (0..<period + most).map { place in
        let place = place % period
        return UInt8(truncatingIfNeeded: place * 7 + (place >> 8))
    }

    /// The bytes from `place` on, 65536 at most.
    static func bytes(at place: UInt64, _ count: Int) -> ArraySlice<UInt8> {
        let start = Int(place % UInt64(period))
        return pattern[start..<start + count]
    }

    func next(_ count: Int) -> [UInt8] {
        defer { sent &+= UInt64(count) }
        return [UInt8](Self.bytes(at: sent, count))
    }
}

/// Where everything is received; a new buffer each time would take longer than all the rest.
nonisolated(unsafe) private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)

/// The peer's end of one carrier.
struct Lane {
    let carrier: Carrier
    private var link: Int32
    private var nonce: UInt64 = 0
    private var heard: UInt64 = 0
    private var waiting: [UInt8] = []
    private var records: [UInt8] = []
    private var unparsed: [UInt8] = []
    private var shared: [UInt64: Outgoing] = [:]
    private var isAnyUnknown = false
    /// Of every OPEN that was sent in a frame.
    private(set) var openings: [Outgoing] = []
    /// Of the stream that has this carrier for itself.
    private(set) var own = Outgoing()

    init(carrier: Carrier, link: Int32) {
        self.carrier = carrier
        self.link = link
    }

    /// Another stream begins on this carrier.
    mutating func begin() {
        own = Outgoing()
        own.isUnknown = isAnyUnknown
        openings.append(own)
    }
    /// A stream of the other carrier goes on here.
    mutating func continues(_ stream: Outgoing) {
        stream.isUnknown = true
        own = Outgoing()
        own.isUnknown = true
    }

    mutating func stream(_ number: UInt64) -> Outgoing {
        if let stream = shared[number] { return stream }
        let stream = Outgoing()
        stream.isUnknown = isAnyUnknown
        shared[number] = stream
        return stream
    }
    mutating func sent(_ number: UInt64) -> UInt64 { stream(number).sent }

    // MARK: Sending

    /// A frame with the nonce that is due. A raw bundle has bytes of streams that nobody can foretell.
    mutating func send(_ type: FrameType, _ plaintext: [UInt8], isRaw: Bool = false) {
        if isRaw { becomeUnknown() }
        if type == .open, carrier.side == .server { begin() }
        waiting += [type.rawValue, 0, 0, 0] + bigEndian(UInt32(plaintext.count)) + bigEndian(nonce) + plaintext
        waiting += [UInt8](repeating: 0, count: FrameHeader.tagSize)
        nonce += 1
    }

    mutating func sendData(_ count: Int) { send(.data, own.next(count)) }

    mutating func add(_ kind: RecordKind, _ number: UInt64, _ payload: [UInt8]) {
        let record = [kind.rawValue, 0] + bigEndian(UInt16(payload.count)) + bigEndian(number) + payload
        if records.count + record.count > FrameHeader.maxPlaintext { sendBundle() }
        records += record
    }

    mutating func addData(_ number: UInt64, _ count: Int) { add(.data, number, stream(number).next(count)) }

    mutating func sendBundle() {
        guard !records.isEmpty else { return }
        send(.bundle, records)
        records = []
    }

    mutating func put(_ bytes: [UInt8]) {
        becomeUnknown()
        waiting += bytes
    }

    private mutating func becomeUnknown() {
        isAnyUnknown = true
        own.isUnknown = true
        for stream in shared.values { stream.isUnknown = true }
    }

    /// As much as the link takes goes over it.
    mutating func deliver() {
        guard link >= 0, !waiting.isEmpty else { return }
        let count = Glibc.send(link, waiting, waiting.count, Int32(MSG_NOSIGNAL))
        if count > 0 { waiting.removeFirst(count) }
    }

    func shutdownWrite() { if link >= 0 { shutdown(link, Int32(SHUT_WR)) } }

    mutating func hangUp() {
        guard link >= 0 else { return }
        close(link)
        link = -1
    }

    // MARK: Listening

    /// Reads what the carrier has sent: frames that are well-formed and follow each other.
    mutating func listen() {
        guard link >= 0 else { return }
        let count = recv(link, scratch.baseAddress, scratch.count, 0)
        guard count > 0 else { return }
        unparsed += scratch[..<count]
        var start = 0
        while unparsed.count - start >= FrameHeader.size {
            let header = unparsed.withUnsafeBytes { try? FrameHeader(parsing: $0.baseAddress! + start) }
            guard let header else { return must(false, "a carrier sends what is no frame") }
            guard unparsed.count - start >= header.frameSize else { break }
            must(header.nonce == heard, "frame \(header.nonce) where \(heard) is due")
            heard += 1
            start += header.frameSize
        }
        unparsed.removeFirst(start)
    }
}

/// An application, or a target: the far end of a stream.
struct App {
    let number: UInt64
    private let source: Outgoing
    private var fd: Int32
    private(set) var taken: UInt64 = 0

    init(_ number: UInt64, _ fd: Int32, _ source: Outgoing) {
        self.number = number
        self.fd = fd
        self.source = source
    }

    func write(_ count: Int) {
        guard fd >= 0 else { return }
        _ = send(fd, scratch.baseAddress, count, Int32(MSG_NOSIGNAL))
    }

    /// Reads what has come: a prefix of what the peer sent.
    mutating func read(_ most: Int = 1 << 16) {
        guard fd >= 0 else { return }
        let count = recv(fd, scratch.baseAddress, min(most, 1 << 16), 0)
        guard count > 0 else { return }
        if !source.isUnknown {
            let came = UnsafeRawBufferPointer(rebasing: scratch[..<count])
            let isRight = Outgoing.bytes(at: taken, count).withUnsafeBytes {
                memcmp($0.baseAddress!, came.baseAddress!, count) == 0
            }
            must(isRight, "other bytes than were sent, after \(taken)")
            must(taken &+ UInt64(count) <= source.sent, "more comes out than went in")
        }
        taken &+= UInt64(count)
    }

    func shutdownWrite() { if fd >= 0 { shutdown(fd, Int32(SHUT_WR)) } }

    mutating func close() {
        guard fd >= 0 else { return }
        _ = Glibc.close(fd)
        fd = -1
    }
}
