// What the demo shows: one screen.
import Relay
import Wire

/// The numbers of one run, all of them checked before.
struct DemoReport {
    let pairing: Duration
    /// The client's counters at the end.
    let counters: Counters
    /// How long the connections after the first took together.
    let elapsed: Duration
    let capture: DemoCapture

    /// The screen, at most 80 columns wide.
    var text: String {
        """
        oncewire \(oncewireVersion): a tunnel on loopback

          application --> client ==> (eavesdropper) ==> server --> service

          paired        in \(decimal(pairing / .milliseconds(1))) ms (X25519 and ML-KEM-768; each side has proved its key)
          connections   \(counters.streams), over \(counters.pairings + counters.resumes) carriers (\(counters.resumes) of them resumed without pairing again)
          there         \(mebibytes(counters.bytesOut)) MiB, SHA-256 equal at both ends
          and back      \(mebibytes(counters.bytesIn)) MiB, SHA-256 equal at both ends
          frames        \(counters.framesOut + counters.framesIn), each with an encoder of its own, wiped after it
          speed         \(decimal(speed)) MiB/s, with client, server, service, applications and
                        eavesdropper all on this machine

          the application sent   "\(DemoRun.greeting)"
        \(hex([UInt8](DemoRun.greeting.utf8)[...]))
          the eavesdropper saw   header: \(capture.header.type), \(capture.header.length) bytes, nonce \(capture.header.nonce)
        \(hex(capture.bytes.prefix(FrameHeader.size)))
                                 body, encrypted
        \(hex(capture.bytes.dropFirst(FrameHeader.size).dropLast(FrameHeader.tagSize)))
                                 tag
        \(hex(capture.bytes.suffix(FrameHeader.tagSize)))

        Every byte arrived in both directions. Next: oncewire --help

        """
    }

    /// Application bytes of the connections after the first, both ways, per second.
    private var speed: Double {
        let mebibytes = Double(2 * DemoRun.connections * DemoRun.bytesEach) / Double(1 << 20)
        return mebibytes / (elapsed / .seconds(1))
    }

    private func mebibytes(_ bytes: UInt64) -> String { decimal(Double(bytes) / Double(1 << 20)) }

    /// A number with one decimal.
    private func decimal(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Sixteen bytes a line, indented.
    private func hex(_ bytes: ArraySlice<UInt8>) -> String {
        stride(from: bytes.startIndex, to: bytes.endIndex, by: 16).map { start in
            let line = bytes[start..<min(start + 16, bytes.endIndex)]
            return String(repeating: " ", count: 25)
                + line.map { byte in
                    (byte < 16 ? "0" : "") + String(byte, radix: 16)
                }.joined(separator: " ")
        }.joined(separator: "\n")
    }
}
