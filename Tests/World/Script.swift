// What the two parties of an exchange do, made from the exchange's number and nothing else, so that both know it.
import CWorld

/// SplitMix64.
struct Chance: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return mixed(state)
    }

    mutating func below(_ limit: Int) -> Int { limit > 0 ? Int(next() % UInt64(limit)) : 0 }
    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }
    mutating func one(in count: Int) -> Bool { below(count) == 0 }
    /// Mostly small, sometimes up to `most`.
    mutating func skewed(_ most: Int) -> Int { below(1 + most >> below(12)) }
    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}

func mixed(_ number: UInt64) -> UInt64 {
    var z = number
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
}

/// The bytes that a party sends: every eighth word says that this is plaintext, the second one whose it is, and every
/// other one follows from that and its place.
enum Payload {
    static let magic: UInt64 = 0x454E_4F50_4C41_494E
    static let header = 16

    static func word(_ party: UInt64, _ index: Int) -> UInt64 {
        if index & 7 == 0 { return magic }
        if index == 1 { return party }
        return mixed(party &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index))
    }

    /// Fills `bytes` with what `party` sends from `offset` on.
    static func fill(_ bytes: UnsafeMutableRawBufferPointer, _ party: UInt64, from offset: Int) {
        var done = 0
        while done < bytes.count {
            let at = offset + done
            if at & 7 == 0, bytes.count - done >= 8 {
                bytes.storeBytes(of: word(party, at >> 3), toByteOffset: done, as: UInt64.self)
                done += 8
            } else {
                bytes[done] = UInt8(truncatingIfNeeded: word(party, at >> 3) >> (UInt64(at & 7) * 8))
                done += 1
            }
        }
    }

    /// Whether `bytes` are what `party` sends from `offset` on.
    static func matches(_ bytes: UnsafeRawBufferPointer, _ party: UInt64, from offset: Int) -> Bool {
        var done = 0
        while done < bytes.count {
            let at = offset + done
            if at & 7 == 0, bytes.count - done >= 8 {
                let found = bytes.loadUnaligned(fromByteOffset: done, as: UInt64.self)
                guard found == word(party, at >> 3) else { return false }
                done += 8
            } else {
                guard bytes[done] == UInt8(truncatingIfNeeded: word(party, at >> 3) >> (UInt64(at & 7) * 8)) else {
                    return false
                }
                done += 1
            }
        }
        return true
    }
}

/// One thing that a party does after the other. It reads all the while, unless it is deaf.
enum Step {
    /// Sends so many bytes, in pieces of at most so many.
    case send(Int, pieces: Int)
    /// Waits until so many bytes have come in all.
    case expect(Int)
    /// Waits so long, in nanoseconds.
    case pause(UInt64)
    /// Reads nothing from now on; or again.
    case deafness(Bool)
    /// Closes its sending side.
    case finish
    /// Waits for the other one's end.
    case awaitEnd
    /// Resets the connection.
    case reset
}

/// What both parties of one exchange do.
struct Script {
    var app: [Step] = []
    var target: [Step] = []
    /// Neither resets the connection: without any fault both get everything.
    var isOrderly = true
    /// It does not take long by itself.
    var isShort = true

    enum Kind {
        case usual
        /// Enough to have a loop busy for long.
        case torrent
        /// Enough to want a carrier of its own.
        case heavy
        /// Enough to want a loop for heavy streams.
        case bulk
    }

    init(_ number: UInt64, _ kind: Kind, heavies: Bool) {
        var chance = Chance(number &* 0xD134_2543_DE82_EF95)
        // The one for whoever only wants to know whether he is served.
        guard number != 0 else {
            app = [.send(100, pieces: 100), .expect(100), .finish, .awaitEnd]
            target = [.expect(100), .send(100, pieces: 100), .awaitEnd, .finish]
            return
        }
        switch kind {
        case .usual: break
        case .torrent:
            // Light until a daemon drains.
            app = [
                .send(Payload.header, pieces: 16), .expect(Payload.header), .pause(300_000_000),
                .send(250_000_000, pieces: 1 << 20), .finish, .awaitEnd,
            ]
            target = [.send(Payload.header, pieces: 16), .awaitEnd, .finish]
            return
        case .heavy, .bulk:
            let count = kind == .heavy ? 300_000 + chance.below(600_000) : 30_000_000 + chance.below(50_000_000)
            let speaking: [Step] = [.send(count, pieces: 300_000), .finish, .awaitEnd]
            let listening: [Step] = [.send(Payload.header, pieces: 16), .awaitEnd, .finish]
            (app, target) = chance.one(in: 3) ? (listening, speaking) : (speaking, listening)
            return
        }
        let pieces = chance.pick([100, 1460, 16_384, 70_000, 300_000])
        func bytes(_ chance: inout Chance) -> Int {
            let most = heavies && chance.one(in: 3) ? 1_500_000 : 20_000
            return Payload.header + chance.skewed(most)
        }
        let there = bytes(&chance)
        let back = bytes(&chance)
        switch chance.below(16) {
        case 0...4:
            // Requests and answers.
            var sent = 0
            var answered = 0
            for _ in 0...chance.below(6) {
                let request = Payload.header + chance.skewed(3000)
                let answer = Payload.header + chance.skewed(heavies ? 60_000 : 6000)
                sent += request
                answered += answer
                app += [.send(request, pieces: pieces), .expect(answered)]
                target += [.expect(sent), .send(answer, pieces: pieces)]
                if chance.one(in: 3) { app.append(.pause(UInt64(chance.skewed(3_000_000_000)))) }
            }
            app += [.finish, .awaitEnd]
            target += [.awaitEnd, .finish]
        case 5, 6:
            // Both at once, each ends when it likes.
            app = [.send(there, pieces: pieces), .finish, .awaitEnd]
            target = [.send(back, pieces: pieces), .finish, .awaitEnd]
        case 7:
            // The application has nothing to say but its name.
            app = [.send(Payload.header, pieces: 16), .finish, .awaitEnd]
            target = [.send(back, pieces: pieces), .finish]
        case 8:
            // The target ends first.
            app = [.send(there, pieces: pieces), .awaitEnd, .send(40, pieces: 7), .finish]
            target = [.send(back, pieces: pieces), .finish, .awaitEnd]
        case 9:
            // Long silence.
            isShort = false
            app = [
                .send(there, pieces: pieces), .pause(UInt64(chance.below(30_000)) * 1_000_000),
                .send(back, pieces: pieces), .finish, .awaitEnd,
            ]
            target = [.expect(there + back), .send(there, pieces: pieces), .awaitEnd, .finish]
        case 10:
            // A slow reader on either side.
            let deaf: [Step] = [
                .deafness(true), .pause(UInt64(chance.below(4000)) * 1_000_000), .deafness(false), .awaitEnd, .finish,
            ]
            let speaking: [Step] = [.send(there + back, pieces: pieces), .finish, .awaitEnd]
            app = [.send(Payload.header, pieces: 16)] + (chance.one(in: 2) ? deaf : speaking)
            target = app.count == 6 ? speaking : [.send(Payload.header, pieces: 16)] + deaf
        case 11:
            // One that reads nothing at all, and breaks off in the end.
            isOrderly = false
            let deaf: [Step] = [.deafness(true), .pause(UInt64(chance.below(4000)) * 1_000_000), .reset]
            let speaking: [Step] = [.send(heavies ? 4_000_000 : 400_000, pieces: pieces), .finish, .awaitEnd]
            let isAppDeaf = chance.one(in: 2)
            app = [.send(Payload.header, pieces: 16)] + (isAppDeaf ? deaf : speaking)
            target = isAppDeaf ? speaking : deaf
        case 12, 13:
            // One breaks off in the middle.
            isOrderly = false
            let part = chance.below(there)
            let isApp = chance.one(in: 2)
            app = [.send(isApp ? max(part, Payload.header) : there, pieces: pieces)]
            if isApp { app += [.expect(chance.below(back)), .reset] } else { app += [.finish, .awaitEnd] }
            target = [.expect(isApp ? 0 : part), .send(back, pieces: pieces)]
            target += isApp ? [.finish, .awaitEnd] : [.reset]
        default:
            // Small, in small pieces, there and back.
            app = [
                .send(Payload.header + 4, pieces: 5), .pause(UInt64(chance.below(50_000_000))),
                .send(chance.below(3000), pieces: 200), .finish, .awaitEnd,
            ]
            target = [.expect(Payload.header + 4), .send(back, pieces: pieces), .finish, .awaitEnd]
        }
    }
}
