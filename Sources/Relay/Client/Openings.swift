// Streams of which a client does not know whether the server has begun them, and who is asked about which.
internal import DequeModule
internal import Pairing
internal import Wire

/// A stream in doubt.
enum Opening {
    /// It is on this carrier, which is suspect.
    case on(Carrier)
    /// Its carrier has ended, and its application waits.
    case held(Application)
}

/// Those of one loop: all of one conversation. Not thread-safe.
struct Openings {
    /// By stream number.
    private(set) var all: [UInt64: Opening] = [:]
    private(set) var conversation: ConversationID?
    /// Those that are not asked about yet.
    private(set) var unasked: Set<UInt64> = []
    /// Those that are on each suspect carrier.
    private var numbers: [Ticket: [UInt64]] = [:]
    /// Application connections that wait without a carrier.
    private(set) var heldCount = 0
    /// Until when they wait.
    private var deadlines: Deque<(number: UInt64, at: Nanoseconds)> = []
    /// What each carrier asks about.
    private var asked: [Ticket: [UInt64]] = [:]
    /// Some were added since somebody last looked for a carrier to ask on.
    var hasNew = false

    var isEmpty: Bool { all.isEmpty }

    /// When the first application has waited long enough.
    var nextDeadline: Nanoseconds? { deadlines.first?.at }

    /// The stream `number` on `carrier` may not have begun.
    mutating func note(_ number: UInt64, on carrier: Carrier) {
        guard all[number] == nil else { return }
        conversation = carrier.peer.conversation
        all[number] = .on(carrier)
        numbers[carrier.ticket, default: []].append(number)
        unasked.insert(number)
        hasNew = true
    }

    /// The carrier of the stream `number` has ended, and `application` waits until `deadline`.
    mutating func hold(
        _ number: UInt64, _ application: Application, of conversation: ConversationID, until deadline: Nanoseconds
    ) {
        self.conversation = conversation
        // One that is being asked about is not asked about again.
        if all.updateValue(.held(application), forKey: number) == nil { unasked.insert(number) }
        heldCount += 1
        deadlines.append((number, deadline))
        hasNew = true
    }

    /// Nothing is in doubt about the stream `number` any more.
    mutating func settle(_ number: UInt64) -> Opening? {
        unasked.remove(number)
        let opening = all.removeValue(forKey: number)
        if case .held = opening {
            heldCount -= 1
            if heldCount == 0 { deadlines.removeAll() }
        }
        return opening
    }

    /// The streams on `carrier` that are in doubt.
    mutating func numbers(on carrier: Carrier) -> [UInt64] {
        let present = (numbers[carrier.ticket] ?? []).filter {
            if case .on(let other) = all[$0] { other === carrier } else { false }
        }
        numbers[carrier.ticket] = present.isEmpty ? nil : present
        return present
    }

    /// The carrier is gone: those that were on it are its owner's affair by now.
    mutating func forget(_ carrier: Carrier) {
        askElsewhere(than: carrier)
        for number in numbers(on: carrier) { _ = settle(number) }
        numbers[carrier.ticket] = nil
    }

    /// Whether the stream `number` is still to be asked about.
    func isUnasked(_ number: UInt64) -> Bool { unasked.contains(number) }

    /// An application whose time is over.
    mutating func nextOverdue(now: Nanoseconds) -> Application? {
        while let first = deadlines.first, first.at <= now {
            deadlines.removeFirst()
            guard case .held = all[first.number], case .held(let application) = settle(first.number) else { continue }
            return application
        }
        return nil
    }

    // MARK: Asking

    /// Up to a message's worth of streams to ask about on `carrier`.
    mutating func ask(on carrier: Carrier) -> [UInt64] {
        guard carrier.belongs(to: conversation) else { return [] }
        let chosen = unasked.prefix(StreamNumbersMessage.most).sorted()
        guard !chosen.isEmpty else { return [] }
        unasked.subtract(chosen)
        asked[carrier.ticket] = chosen
        return chosen
    }

    /// `carrier` has answered.
    mutating func answered(on carrier: Carrier) { asked[carrier.ticket] = nil }

    /// `carrier` will not answer, or nobody waits for it: what it asks about is asked elsewhere.
    mutating func askElsewhere(than carrier: Carrier) {
        guard let numbers = asked.removeValue(forKey: carrier.ticket) else { return }
        for number in numbers where all[number] != nil { unasked.insert(number) }
        hasNew = true
    }
}
