// Every way in which a carrier or a stream can end out of order. A closed list: its cases are what logs say, what the
// peer is told, and what can be counted.
package import Codec
internal import Glibc
package import Wire

/// Why a carrier ended out of order. It names the guilty party.
package enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer broke a rule of the protocol.
    case peer(PeerFault)
    /// The connection broke, or the peer or the way to it is gone.
    case link(LinkFault)
    /// This end could not go on.
    case local(LocalFault)

    /// In words, for logs.
    package var description: String {
        switch self {
        case .peer(let fault): "protocol: \(fault)"
        case .link(let fault): fault.description
        case .local(let fault): fault.description
        }
    }
}

/// What a peer must not send.
package enum PeerFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// Bytes that are no message.
    case malformed(WireError)
    /// A frame that is not authentic, or not the next one.
    case unauthentic(CodecError)
    /// REKEY offered while no stream is open.
    case rekeyOnIdle
    /// A REKEY whose key gives no secret.
    case rekey(CodecError)
    /// A frame before CONFIRM or CONFIRMED.
    case unconfirmed(FrameType)
    /// A frame that is not legal in this state of the carrier (``FrameRules``).
    case outOfPlace(FrameType)
    /// A record that is not legal in this state of its stream.
    case recordOutOfPlace(RecordKind)
    /// An OPEN whose number is not higher than that of every OPEN before.
    case numberDoesNotRise
    /// An OPEN record whose message names another stream.
    case openOfTwoStreams
    /// A record of a stream that was never opened.
    case neverOpened
    /// DATA after FIN.
    case dataAfterFin
    /// DATA beyond the window that CREDIT gave.
    case beyondWindow
    /// More DATA on a shared carrier than MOVE or MOVED counted.
    case moreThanCounted
    /// FIN with another total than the DATA that came.
    case total(said: UInt64, came: UInt64)
    /// CREDIT that brings nothing, or for more than was sent.
    case credit(said: UInt64, sent: UInt64, known: UInt64)
    /// MOVED that names another stream than MOVE.
    case movedAnother
    /// WITHDRAWN that names a stream that was not asked about.
    case unaskedStream
    /// So many questions that their answers pile up unread.
    case doesNotListen

    /// In words, for logs.
    package var description: String {
        switch self {
        case .malformed(let error): error.description
        case .unauthentic(let error): error.description
        case .rekeyOnIdle: "REKEY offered on an idle carrier"
        case .rekey(let error): "REKEY: \(error)"
        case .unconfirmed(let type): "\(type) before the carrier was confirmed"
        case .outOfPlace(let type): "\(type) out of place"
        case .recordOutOfPlace(let kind): "\(kind) out of place"
        case .numberDoesNotRise: "OPEN of a number that does not rise"
        case .openOfTwoStreams: "OPEN of two streams"
        case .neverOpened: "a record of a stream that was never opened"
        case .dataAfterFin: "DATA after FIN"
        case .beyondWindow: "DATA beyond its window"
        case .moreThanCounted: "more came than MOVE counted"
        case .total(let said, let came): "FIN says \(said) bytes, \(came) came"
        case .credit(let said, let sent, let known): "CREDIT says \(said) bytes of \(sent), after \(known)"
        case .movedAnother: "MOVED names another stream"
        case .unaskedStream: "WITHDRAWN names a stream that was not asked about"
        case .doesNotListen: "it asks and does not listen"
        }
    }
}

/// What can happen to a link. Times are in nanoseconds.
package enum LinkFault: Equatable, Sendable, CustomStringConvertible {
    /// The peer closed the connection.
    case closed
    /// The connection broke, with this errno.
    case failed(Int32)
    /// It broke, and what had come before is not taken by anybody.
    case restAfterBreak
    /// Nothing was heard for so long.
    case silent(UInt64)
    /// The same, and the peer did not answer when asked.
    case unanswered(UInt64)
    /// The peer's kernel acknowledges nothing.
    case hostGone

    /// In words, for logs.
    package var description: String {
        switch self {
        case .closed: "the peer closed the carrier"
        case .failed(let error): errorText(error)
        case .restAfterBreak: "the link broke, and nobody takes what came"
        case .silent(let time): "nothing heard for \(inWords(.nanoseconds(time)))"
        case .unanswered(let time): "nothing heard for \(inWords(.nanoseconds(time))), and no answer when asked"
        case .hostGone: "the peer's host does not answer"
        }
    }
}

/// Why this end could not go on with a carrier. Times are in nanoseconds.
package enum LocalFault: Equatable, Sendable, CustomStringConvertible {
    /// There is no memory for a buffer.
    case outOfMemory
    /// A frame cannot be encoded.
    case encoding(CodecError)
    /// The device did not send CONFIRM in time.
    case notConfirmed
    /// The server did not send CONFIRMED within this time.
    case notConfirmedBack(UInt64)
    /// The vault takes no further conversation.
    case vaultIsFull
    /// MOVE was answered, and the stream did not come.
    case streamDidNotCome
    /// WITHDRAW was not answered.
    case noAnswer

    /// In words, for logs.
    package var description: String {
        switch self {
        case .outOfMemory: "out of memory"
        case .encoding(let error): error.description
        case .notConfirmed: "not confirmed in time"
        case .notConfirmedBack(let limit):
            "the server did not confirm within \(inWords(.nanoseconds(limit)))"
        case .vaultIsFull: "no room for another conversation"
        case .streamDidNotCome: "the stream that should have come here did not"
        case .noAnswer: "no answer to WITHDRAW"
        }
    }
}

/// Why a stream was broken.
package enum StreamFault: Equatable, Sendable, CustomStringConvertible {
    /// The application's connection broke, with this errno (client).
    case application(Int32)
    /// The target's connection broke, with this errno (server).
    case target(Int32)
    /// The other end gave the stream up.
    case given(CloseReason)
    /// This end refused the stream (server).
    case refused(CloseReason)
    /// The carrier ended under it.
    case carrier(Fault)
    /// The carrier was closed while the stream was open.
    case carrierClosed
    /// The link to the server broke, and the stream cannot begin anew (client).
    case linkBroke
    /// The same; what was sent has begun at the server (client).
    case linkBrokeAfterBeginning
    /// The conversation with the server has ended (client).
    case conversationOver
    /// The server did not answer in time what had become of the stream (client).
    case noAnswer
    /// Time for draining is over.
    case drainTimeout
    /// What the carrier does is not permitted any more (at REKEY).
    case authorisationWithdrawn
    /// The device was taken out of the configuration.
    case deviceRevoked
    /// The device may no longer use the service.
    case serviceWithdrawn
    /// The stream ended while it moved to a carrier of its own.
    case endedInMove
    /// The carrier that it was moving to broke.
    case moveBroke
    /// A stream came that belongs to somebody else.
    case foreignStream
    /// The kernel watches no further socket.
    case unwatched
    /// There is no memory for what waits.
    case outOfMemory
    /// The device has used up what may wait for targets.
    case backlogIsFull

    /// What the other end is told.
    package var reason: CloseReason {
        switch self {
        case .application: .applicationReset
        case .target: .targetReset
        case .given(let reason), .refused(let reason): reason
        case .drainTimeout, .conversationOver: .draining
        case .authorisationWithdrawn, .deviceRevoked, .serviceWithdrawn: .authorisationWithdrawn
        case .endedInMove: .applicationReset
        case .unwatched, .outOfMemory, .backlogIsFull: .resourceExhausted
        case .carrier, .carrierClosed, .linkBroke, .linkBrokeAfterBeginning, .noAnswer, .moveBroke, .foreignStream:
            .internalError
        }
    }

    /// In words, for logs.
    package var description: String {
        switch self {
        case .application(let error): "application: \(errorText(error))"
        case .target(let error): "target: \(errorText(error))"
        case .given(let reason): "the other side says: \(reason)"
        case .refused(let reason): "refused: \(reason)"
        case .carrier(let fault): fault.description
        case .carrierClosed: "its carrier was closed"
        case .linkBroke: "the link to the server broke"
        case .linkBrokeAfterBeginning: "the link to the server broke after what was sent"
        case .conversationOver: "the conversation with the server has ended"
        case .noAnswer: "the server did not answer in time"
        case .drainTimeout: "drain time-out"
        case .authorisationWithdrawn: "authorisation withdrawn"
        case .deviceRevoked: "the device was taken out of the configuration"
        case .serviceWithdrawn: "the device may not use the service any more"
        case .endedInMove: "ended while it moved"
        case .moveBroke: "the carrier it was moving to broke"
        case .foreignStream: "somebody else's stream"
        case .unwatched: "the kernel watches no further socket"
        case .outOfMemory: "out of memory"
        case .backlogIsFull: "limits.backlog-per-device is reached"
        }
    }
}
