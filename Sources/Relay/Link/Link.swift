// The link of a carrier: one connection, the keys of its two directions, what is encoded and not sent, what is received and
// not decoded. It sends and decodes frames and knows nothing of what they mean. It never calls out while it is being
// changed: it returns, and the carrier acts.
internal import CLinux
internal import Codec
internal import Glibc
internal import Wire

/// Control frames that wait for room in the region.
struct DueFrames: OptionSet {
    let rawValue: UInt8
    static let confirm = DueFrames(rawValue: 1)
    static let confirmed = DueFrames(rawValue: 2)
    static let ping = DueFrames(rawValue: 4)
    static let pong = DueFrames(rawValue: 8)
    static let closed = DueFrames(rawValue: 16)
    static let stays = DueFrames(rawValue: 32)
    static let bye = DueFrames(rawValue: 64)
    static let leaving = DueFrames(rawValue: 128)
}

/// One end of a carrier's connection. Not thread-safe.
struct Link: ~Copyable {
    let endpoint: Endpoint
    /// Nil once the carrier has ended or has been packed: then nothing can be encoded or decoded any more.
    var keys: CarrierKeys?
    /// The exchange that renews the keys.
    var rekey = RekeyState()

    // Sending. `out` holds encoded frames that were not sent, from `outStart` to `outEnd`.
    var out: UnsafeMutableRawPointer?
    var outStart = 0
    var outEnd = 0
    var due: DueFrames = []

    // Receiving. `inbound` holds received bytes: before `parsed` they are decoded, from there to `filled` they are not.
    var inbound: UnsafeMutableRawPointer?
    var parsed = 0
    var filled = 0

    // Health.
    /// When the last frame was verified. Bytes that never become a frame are no sign of life.
    var lastHeard: Nanoseconds
    /// How many frames had been sent at the last heartbeat.
    var sentAtHeartbeat: UInt64 = 0

    /// Takes over `endpoint`, whose handshake is done.
    init(_ endpoint: Endpoint, _ keys: consuming CarrierKeys, now: Nanoseconds) {
        self.endpoint = endpoint
        self.keys = consume keys
        lastHeard = now
    }

    // MARK: Sending

    /// Everything that was encoded has been sent.
    var isEmpty: Bool { outStart == outEnd }

    /// The place of the next frame's plaintext.
    var payloadPlace: UnsafeMutableRawPointer { out! + outEnd + FrameHeader.size }

    /// Encodes one frame whose `length` plaintext bytes are in their place after `outEnd`, with an encoder that exists for
    /// this frame only.
    @inline(__always)
    mutating func encode(_ type: FrameType, _ length: Int, with cipher: FrameCipher) throws(CodecError) {
        let frame = out! + outEnd
        let encoder = try keys!.sending.makeEncoder()
        FrameHeader(type: type, length: length, nonce: encoder.nonce).write(to: frame)
        encoder.encode(frame: frame, count: length, with: cipher)
        outEnd += FrameHeader.size + length + FrameHeader.tagSize
    }

    /// Sends from the region, as much as the kernel takes. `endpoint` is the link's, from where it is a constant.
    @inline(__always)
    mutating func send(by endpoint: Endpoint) -> Transfer {
        let result = endpoint.send(out! + outStart, outEnd - outStart)
        if case .moved(let count) = result { outStart += count }
        return result
    }

    /// Makes the region empty, once everything in it has been sent.
    mutating func rewind() {
        outStart = 0
        outEnd = 0
    }

    /// Makes sure that there is a region to encode into. False without memory.
    @inline(__always)
    mutating func ensureOut(_ regions: RegionPool) -> Bool {
        if out == nil { out = regions.take() }
        return out != nil
    }

    @inline(__always)
    mutating func releaseOut(_ regions: RegionPool) {
        guard let region = out else { return }
        out = nil
        rewind()
        regions.put(region)
    }

    // MARK: Receiving

    /// Reads once from the connection, at most `most` bytes, after what is there. `endpoint` is the link's.
    @inline(__always)
    mutating func receive(_ most: Int, by endpoint: Endpoint) -> Transfer {
        if parsed > 0 {
            memmove(inbound!, inbound! + parsed, filled - parsed)
            filled -= parsed
            parsed = 0
        }
        let result = endpoint.read(inbound! + filled, min(RegionSize.receive - filled, most))
        if case .moved(let count) = result { filled += count }
        return result
    }

    /// The header of the next frame; nil if not all of the frame has come.
    @inline(__always)
    func nextHeader() throws(PeerFault) -> FrameHeader? {
        guard filled - parsed >= FrameHeader.size else { return nil }
        let header: FrameHeader
        do throws(WireError) {
            header = try FrameHeader(parsing: inbound! + parsed)
        } catch {
            throw .malformed(error)
        }
        return filled - parsed >= header.frameSize ? header : nil
    }

    /// Decodes the next frame, whose header this is, in place, by a decoder that exists for this frame only. Returns where
    /// its plaintext begins. No plaintext leaves before its tag was verified.
    @inline(__always)
    mutating func decode(
        _ header: FrameHeader, with cipher: FrameCipher, now: Nanoseconds
    ) throws(PeerFault) -> UnsafeMutableRawPointer {
        let frame = inbound! + parsed
        do throws(CodecError) {
            let decoder = try keys!.receiving.makeDecoder(nonce: header.nonce)
            try decoder.decode(frame: frame, count: header.length, with: cipher)
        } catch {
            throw .unauthentic(error)
        }
        parsed += header.frameSize
        lastHeard = now
        return frame + FrameHeader.size
    }

    /// Forgets that bytes were received, once all of them are decoded.
    mutating func forgetDecoded() {
        guard parsed == filled else { return }
        parsed = 0
        filled = 0
    }

    /// Makes sure that there is a region to receive into. False without memory.
    @inline(__always)
    mutating func ensureInbound(_ regions: RegionPool) -> Bool {
        if inbound == nil { inbound = regions.take() }
        return inbound != nil
    }

    /// Gives the receiving region back, with whatever is in it.
    @inline(__always)
    mutating func releaseInbound(_ regions: RegionPool) {
        guard let region = inbound else { return }
        inbound = nil
        parsed = 0
        filled = 0
        regions.put(region)
    }

    // MARK: Keys

    /// Frames so far, both ways.
    var framesSoFar: UInt64 {
        switch keys {
        case .some(let keys): keys.sending.next &+ keys.receiving.next
        case .none: 0
        }
    }

    /// Frames that were sent so far.
    var framesSent: UInt64 {
        switch keys {
        case .some(let keys): keys.sending.next
        case .none: 0
        }
    }

    /// REKEY came. What is to be done about it.
    mutating func receive(_ message: RekeyMessage, at side: Side) throws(PeerFault) -> RekeyState.Step {
        try rekey.receive(message, at: side, mixing: &keys!.receiving)
    }

    /// Encodes the REKEY frame that is due, and mixes the sending side after it. `isOffered`: an offer is still wanted.
    mutating func encodeRekey(isOffered: Bool, with cipher: FrameCipher) throws(CodecError) -> Bool {
        guard let message = rekey.frameDue.take() else { return false }
        if case .offer = message, !isOffered {
            // Its stream has ended meanwhile.
            rekey.offered = nil
            return false
        }
        message.write(to: payloadPlace)
        try encode(.rekey, message.encodedCount, with: cipher)
        if let shared = rekey.mixAfterFrame.take() { keys!.sending.mix(shared) }
        return true
    }

    // MARK: Health

    /// The peer has closed its sending side, or the connection broke.
    var hungUp: Bool { endpoint.hungUp }
    /// The connection reports an error; what came before is still to be read.
    var failed: Bool { endpoint.failed }
    /// The peer has closed it or it broke, asked of the kernel now.
    var isGone: Bool { endpoint.isGone }
    /// What TCP_INFO says.
    var silence: ow_tcp_silence? { endpoint.silence }
    /// Whether there are keys to encode and decode with.
    var hasKeys: Bool { keys != nil }

    /// Whether nothing was sent since the last heartbeat.
    var hasSentNothing: Bool { framesSent == sentAtHeartbeat }

    /// How long nothing was heard.
    func quiet(_ now: Nanoseconds) -> Nanoseconds { now &- min(lastHeard, now) }

    /// Whether something was sent (data, PING, or the kernel's window probes) and repeated, and no acknowledgement came for
    /// `deadAfter`.
    func kernelMissesPeer(for deadAfter: Nanoseconds) -> Bool {
        guard let silence = endpoint.silence else { return false }
        return silence.unanswered >= 2 && UInt64(silence.last_ack_ms) * 1_000_000 >= deadAfter
    }

    // MARK: Ending

    /// Nothing can be encoded or decoded from now on.
    mutating func forgetKeys() {
        rekey = RekeyState()
        keys = nil
    }

    /// A link that ends out of order while the peer does not read (its window is shut) must end with a reset. FIN and the
    /// last words would wait after what nobody reads, and so would the far application.
    func close(inOrder: Bool) {
        inOrder || (isEmpty && !endpoint.hasUnsent) ? endpoint.close() : endpoint.reset()
    }

    /// Closes the connection in order and gives the regions back.
    consuming func drop(_ regions: RegionPool) {
        releaseOut(regions)
        releaseInbound(regions)
        endpoint.close()
    }

    // MARK: To another loop

    /// Takes everything out. What is left can do nothing any more.
    mutating func pack(_ regions: RegionPool) -> PackedLink {
        for region in [out, inbound] where region != nil { regions.givenAway() }
        defer {
            out = nil
            inbound = nil
        }
        var packed = PackedLink(
            socket: endpoint.detach(resetting: false), keys: keys.take(), out: out, outStart: outStart, outEnd: outEnd,
            due: due, inbound: inbound, parsed: parsed, filled: filled, lastHeard: lastHeard,
            sentAtHeartbeat: sentAtHeartbeat)
        swap(&packed.rekey, &rekey)
        return packed
    }
}

/// A link between two loops. Dropping it closes its connection in order.
struct PackedLink: ~Copyable {
    fileprivate var socket: DetachedSocket?
    fileprivate var keys: CarrierKeys?
    fileprivate var rekey = RekeyState()
    fileprivate var out: UnsafeMutableRawPointer?
    fileprivate let outStart, outEnd: Int
    fileprivate let due: DueFrames
    fileprivate var inbound: UnsafeMutableRawPointer?
    fileprivate let parsed, filled: Int
    fileprivate let lastHeard: Nanoseconds
    fileprivate let sentAtHeartbeat: UInt64

    fileprivate init(
        socket: consuming DetachedSocket, keys: consuming CarrierKeys?, out: UnsafeMutableRawPointer?, outStart: Int,
        outEnd: Int, due: DueFrames, inbound: UnsafeMutableRawPointer?, parsed: Int, filled: Int,
        lastHeard: Nanoseconds, sentAtHeartbeat: UInt64
    ) {
        self.socket = consume socket
        self.keys = consume keys
        self.out = out
        self.outStart = outStart
        self.outEnd = outEnd
        self.due = due
        self.inbound = inbound
        self.parsed = parsed
        self.filled = filled
        self.lastHeard = lastHeard
        self.sentAtHeartbeat = sentAtHeartbeat
    }

    deinit {
        if let out { RegionPool.discard(out) }
        if let inbound { RegionPool.discard(inbound) }
    }

    /// The link on another loop; nil, and the connection closed, if the kernel refuses to watch it.
    mutating func unpack(on poller: Poller, _ regions: RegionPool) -> Link? {
        guard let keys = keys.take(), let endpoint = socket.take()?.adopt(on: poller) else { return nil }
        var link = Link(endpoint, keys, now: lastHeard)
        for region in [out, inbound] where region != nil { regions.received() }
        link.out = out.take()
        link.outStart = outStart
        link.outEnd = outEnd
        link.due = due
        link.inbound = inbound.take()
        link.parsed = parsed
        link.filled = filled
        link.sentAtHeartbeat = sentAtHeartbeat
        swap(&link.rekey, &rekey)
        return link
    }
}
