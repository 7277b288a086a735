// A carrier past the tag: in a build that neither encrypts nor authenticates, a peer sends whatever frames it likes,
// while applications, targets and the clock do what they do. An input is a list of acts (CarrierRig.swift has them).
import Codec
import Glibc

@testable import Relay

/// Any acts around two carriers of one conversation.
struct CarrierTarget: FuzzTarget {
    init() throws {
        guard PlaintextLadder.isOn else { throw Failure(what: "this target needs a build that does not encrypt") }
    }

    func run(_ input: [UInt8]) {
        let lowest = dup(0)
        close(lowest)
        do {
            var bytes = Bytes(input)
            let rig = CarrierRig(bytes.byte() & 1 == 0 ? .server : .client)
            while !bytes.isEmpty, rig.isAlive { rig.act(&bytes) }
            rig.finish()
        }
        let next = dup(0)
        close(next)
        must(next == lowest, "a descriptor is left open")
    }

    // MARK: Seeds

    static var seeds: [(name: String, bytes: [UInt8])] {
        typealias Act = CarrierRig.Act
        func frame(_ type: UInt8, _ payload: [UInt8] = []) -> [UInt8] { [type] + count(payload.count) + payload }
        func count(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
        func open(_ number: UInt8) -> [UInt8] { CarrierRig.openPlaintext(UInt64(number)) }
        func record(_ kind: UInt8, _ stream: UInt8, _ more: [UInt8] = []) -> [UInt8] {
            [Act.record.rawValue, kind, stream] + more
        }
        let (server, client): ([UInt8], [UInt8]) = ([0], [1])
        let turn = [Act.turn.rawValue]
        let both = turn + [Act.read.rawValue, 0, 255] + turn
        let confirm = server + frame(11)
        let answer = [Act.answer.rawValue, 0]
        let shared = confirm + record(1, 1) + [Act.bundle.rawValue] + turn + answer + turn
        let ours = client + [Act.share.rawValue, Act.openShared.rawValue] + turn
        let fin = [Act.fin.rawValue]
        let talk = record(2, 1, count(300)) + record(3, 1, [0]) + record(6, 1, [1]) + [Act.bundle.rawValue] + turn
        let application = [Act.write.rawValue, 0] + count(900) + turn + [Act.end.rawValue, 0] + turn
        let offer = frame(9, [1] + [UInt8](repeating: 9, count: 32)) + turn + frame(9, [3]) + turn
        return [
            (
                "server-own",
                confirm + frame(1, open(1)) + turn + answer + frame(2, [0]) + turn + application + fin + both
            ),
            (
                "server-refuses",
                confirm + frame(1, open(1)) + turn + [Act.answer.rawValue, 3] + both + frame(1, open(2)) + both
            ),
            ("server-shared", shared + talk + application + both),
            ("server-credit", shared + application + record(6, 1, [0]) + [Act.bundle.rawValue] + both),
            (
                "server-heavy",
                shared
                    + Array(repeating: record(2, 1, count(16384)) + [Act.bundle.rawValue] + both, count: 9).flatMap(
                        \.self)
            ),
            (
                "server-move",
                shared + [Act.other.rawValue] + frame(11) + [Act.move.rawValue, 1] + turn + application + both
            ),
            ("server-withdraw", shared + frame(18, bigEndian(UInt64(1)) + bigEndian(UInt64(2))) + both),
            ("server-bye", confirm + frame(10) + both), ("server-ping", confirm + frame(7) + both + frame(8) + both),
            ("server-rekey", confirm + offer + both), ("server-late", shared + [Act.wait.rawValue, 200] + both),
            ("server-leaves", shared + [Act.retire.rawValue] + both + [Act.hangUp.rawValue] + both),
            (
                "server-backlog",
                shared
                    + Array(
                        repeating: record(2, 1, count(9000)) + [Act.bundle.rawValue] + turn
                            + [Act.read.rawValue, 0, 9] + turn, count: 12
                    ).flatMap(\.self)
            ),
            (
                "client-own",
                client + [Act.open.rawValue] + application + frame(2, [0]) + turn + fin + both + frame(4) + both
            ),
            ("client-refused", client + [Act.open.rawValue] + turn + frame(5, [2]) + both),
            ("client-abort", client + [Act.open.rawValue] + turn + frame(6, [6]) + both),
            ("client-shared", ours + talk + application + both),
            ("client-shared-refused", ours + record(5, 1, [2]) + [Act.bundle.rawValue] + both),
            (
                "client-heavy",
                ours + talk + record(8, 1) + [Act.bundle.rawValue] + turn + [Act.other.rawValue, Act.move.rawValue, 1]
                    + both
            ),
            (
                "client-stays",
                ours + talk + record(8, 1) + [Act.bundle.rawValue] + turn + [Act.other.rawValue] + frame(16) + both
            ),
            ("client-leaving", ours + frame(17) + both), ("client-bye", ours + [Act.bye.rawValue] + both),
            ("client-withdraws", client + [Act.withdraw.rawValue, 2] + turn + frame(19, bigEndian(UInt64(1))) + both),
        ]
    }
}
