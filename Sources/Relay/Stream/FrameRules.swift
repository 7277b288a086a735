// Which frame is legal in which state of a carrier: the table of docs/PROTOCOL.md, "Which frame in which state". A frame
// that is not legal ends its carrier before anybody is asked about it.
internal import Wire

/// What a carrier works at.
enum WorkKind: CaseIterable {
    /// Only CONFIRM (server) or CONFIRMED (client) may come.
    case confirming
    /// No stream.
    case idle
    /// OPEN came; the target is not connected yet (server only).
    case dialing
    /// A stream is open, in at least one direction.
    case streaming
    /// A stream is about to come here from a shared carrier.
    case moving
    /// Carries many streams, and nothing else until it ends.
    case shared
    /// The stream was given up here. What its application had sent, and the last word after it, still leave.
    case departing
    /// No stream, and none will come: this end has sent its FIN on the link and waits for the peer's, or until
    /// everything has arrived there. Closing earlier could destroy bytes that are still on their way.
    case leaving
    /// Both directions have ended here; the server has not sent CLOSED yet (client only).
    case finishing
    /// It has ended. Nothing may be called any more.
    case closed
}

/// Whether a frame is legal.
enum FrameRule: Equatable {
    case never
    case always
    case when(FrameCondition)
}

/// What else must hold where a frame is legal at certain times only. The raw value stands in the protocol's table.
enum FrameCondition: String {
    /// FIN has not come for this stream.
    case untilFin = "before FIN"
    /// FIN has come and was sent.
    case bothEnded = "FIN both ways"
    /// CLOSED and STAYS, if they were due, have been sent.
    case afterClosed = "after CLOSED"
    /// At most once on a carrier.
    case once
    /// A question of this end is open.
    case asked
    /// The last question has been answered.
    case oneAtATime = "one at a time"
    /// MOVED has not come.
    case instead = "one of them"
    /// Every stream here has ended in both directions.
    case everyStreamEnded = "all have ended"
    /// What `RekeyState` says.
    case rekeyIsDue = "due"
}

/// The rules. Pure.
enum FrameRules {
    /// Whether a frame of `type` may be received at `side` by a carrier that works at `kind`.
    static func rule(_ type: FrameType, at side: Side, in kind: WorkKind) -> FrameRule {
        switch kind {
        // Nothing is decoded there.
        case .departing, .leaving, .closed: return .never
        case .confirming: return type == (side == .server ? .confirm : .confirmed) ? .always : .never
        case .dialing where side == .client, .finishing where side == .server: return .never
        // What comes meanwhile is looked at when the target is connected.
        case .dialing: return rule(type, at: side, in: .streaming)
        default: break
        }
        switch type {
        case .ping, .pong: return .always
        case .rekey: return .when(.rekeyIsDue)
        // At an idle server it has crossed CLOSED.
        case .abort: return kind == .idle && side == .client ? .never : .always
        case .data, .fin: return kind == .streaming ? .when(.untilFin) : .never
        case .bundle:
            if kind == .shared { return .always }
            return side == .server && kind == .idle ? .when(.afterClosed) : .never
        default: return side == .server ? serverRule(type, kind) : clientRule(type, kind)
        }
    }

    private static func serverRule(_ type: FrameType, _ kind: WorkKind) -> FrameRule {
        switch type {
        case .open, .move: kind == .idle ? .when(.afterClosed) : .never
        case .bye:
            switch kind {
            case .idle: .always
            case .shared: .when(.everyStreamEnded)
            default: .never
            }
        case .withdraw: kind == .moving ? .never : .when(.oneAtATime)
        default: .never
        }
    }

    /// Whether a record of this kind may be received at `side` for a stream that was opened before.
    static func allows(_ kind: RecordKind, at side: Side) -> Bool {
        switch kind {
        case .open: false
        case .data, .fin, .abort, .credit: true
        case .refused, .heavy: side == .client
        }
    }

    private static func clientRule(_ type: FrameType, _ kind: WorkKind) -> FrameRule {
        switch (type, kind) {
        case (.closed, .streaming): .when(.bothEnded)
        case (.closed, .finishing): .always
        case (.refused, .streaming): .always
        case (.moved, .moving), (.stays, .moving): .when(.instead)
        case (.leaving, _): .when(.once)
        case (.withdrawn, _): .when(.asked)
        default: .never
        }
    }
}
