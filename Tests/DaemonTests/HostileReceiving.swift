// Receiving to whatever end comes, told apart exactly: which end an application sees is what the hostile
// tests are about.

import Glibc

/// How the receiving side of a connection ended.
enum ReceivedEnd: Sendable, Hashable {
    /// EOF: the other side closed in order.
    case orderly
    /// ECONNRESET and the like.
    case reset
    /// Nothing for longer than the socket's time-out.
    case silence
    /// The asked-for count arrived; the end has not been looked at.
    case enough
}

/// What one end received, and how that ended.
struct Received: Sendable, Hashable {
    let bytes: [UInt8]
    let end: ReceivedEnd

    /// What is wrong with this, if `sent` is what the other end sent: nothing may arrive but a prefix of it, and an
    /// orderly end only when it is whole.
    func fault(against sent: [UInt8]) -> String? {
        if !sent.starts(with: bytes) { return "\(bytes.count) bytes are no prefix of the \(sent.count) sent" }
        if end == .orderly && bytes.count < sent.count {
            return "orderly end after \(bytes.count) of \(sent.count) bytes"
        }
        return nil
    }

    func isWhole(_ sent: [UInt8]) -> Bool { bytes == sent && end == .orderly }
}

/// For the threads of a test, which are not the test: throws to it what `#expect` would say.
func demand(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw TunnelError(description: what()) }
}

extension Socket {
    /// Receives until some end, or until `count` bytes are there.
    func receiveToEnd(atMost count: Int) -> Received {
        var bytes: [UInt8] = []
        do {
            while bytes.count < count {
                let more = try receive(upTo: min(65536, count - bytes.count))
                if more.isEmpty { return Received(bytes: bytes, end: .orderly) }
                bytes += more
            }
            return Received(bytes: bytes, end: .enough)
        } catch let error as SocketError where error.isTimeout {
            return Received(bytes: bytes, end: .silence)
        } catch {
            return Received(bytes: bytes, end: .reset)
        }
    }

    /// Receives until whichever end comes.
    func received() -> Received { receiveToEnd(atMost: .max) }
}

extension Socket {
    /// Waits for `count` bytes and leaves them where they are.
    func peek(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(fd, &bytes, count, Int32(MSG_PEEK) | Int32(MSG_WAITALL))
        guard got >= 0 else { throw SocketError(call: "recv", code: errno) }
        return Array(bytes.prefix(got))
    }
}
