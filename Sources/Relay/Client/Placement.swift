// Which stream goes on which carrier: a new one on the shared carrier or on one that is ready, one that has waited on the
// next carrier that comes, a heavy one on a carrier of its own.
internal import Wire

/// Brings the streams and the carriers of one loop together. Not thread-safe.
final class Placement {
    private let shared: ClientShared
    private let shard: Shard
    private let carriers: UpstreamCarriers
    private let doubts: Doubts
    private let dials: CarrierDials
    private unowned let role: any UpstreamOwner
    private var heavy = HeavyQueue()

    init(
        _ shared: ClientShared, on shard: Shard, _ carriers: UpstreamCarriers, _ doubts: Doubts, _ dials: CarrierDials,
        for role: any UpstreamOwner
    ) {
        self.shared = shared
        self.shard = shard
        self.carriers = carriers
        self.doubts = doubts
        self.dials = dials
        self.role = role
    }

    // MARK: Streams that begin

    /// Opens the stream of `application` on a carrier that is ready. False if there is none.
    func takes(_ application: Application) -> Bool {
        doubts.noticeSleep()
        // A carrier is as good as its conversation: the server serves none whose time is over.
        guard shared.touch(at: shard.moment) != nil else { return false }
        if application.shares, shareTrunk(with: application) { return true }
        guard let carrier = takeIdle() else { return false }
        open(application, on: carrier)
        return true
    }

    /// A carrier that is ready. The server may have gone a moment ago: better to see it now than to lose what the
    /// application sends.
    private func takeIdle() -> Carrier? {
        while let carrier = carriers.pool.take() {
            guard carrier.link.isGone else { return carrier }
            carrier.end(.orderly)
        }
        return nil
    }

    private func open(_ application: Application, on carrier: Carrier) {
        doubts.expectWord(of: carrier)
        let message = opening(application)
        carrier.open(message, for: application.endpoint, beginning: application.first)
        refillPool()
    }

    private func opening(_ application: Application) -> OpenMessage {
        let number = shared.nextStreamNumber()
        application.first?.begin(as: number, now: shard.now)
        return OpenMessage(streamNumber: number, source: application.source, service: application.service)
    }

    /// Opens a stream on the shared carrier, which an idle carrier becomes if there is none. False if none is ready.
    private func shareTrunk(with application: Application) -> Bool {
        if let trunk = carriers.trunk, !trunk.takesStreams || trunk.link.isGone { carriers.retireTrunk() }
        while carriers.trunk == nil {
            guard let carrier = takeIdle() else { return false }
            carriers.share(carrier)
            refillPool()
        }
        openShared(application)
        return true
    }

    private func openShared(_ application: Application) {
        guard let trunk = carriers.trunk else { return }
        doubts.expectWord(of: trunk)
        trunk.openShared(opening(application), for: application.endpoint, beginning: application.first)
    }

    private func refillPool() {
        if carriers.pool.count < carriers.pool.floor { dials.refill() }
    }

    // MARK: Carriers that are ready

    /// Gives `carrier`, which is new or whose stream is over, to somebody who waits for it, or keeps it.
    func give(_ carrier: Carrier) {
        // Who hears it gives it, once.
        guard !carrier.trust.isSuspect || carrier.link.hungUp || carrier.isRetiring else { return }
        doubts.askAbout(carrier)
        guard carrier.phase == .idle else { return }
        if !carrier.link.hungUp, !carrier.isRetiring {
            // Once streams share it, it is for those that may.
            while carrier.phase != .closed, let application = role.nextWaiting(sharing: carrier.phase == .shared) {
                guard application.shares else { return open(application, on: carrier) }
                if carriers.trunk?.takesStreams != true { carriers.share(carrier) }
                openShared(application)
            }
            guard carrier.phase == .idle else { return dials.refill() }
            if let stream = heavy.next() {
                doubts.expectWord(of: carrier)
                return carrier.move(stream)
            }
        }
        // One that asks waits for its answer.
        guard carrier.withdrawing == nil || carrier.link.hungUp else { return }
        let isWanted = !role.ending.isDraining || carriers.pool.count == 0
        guard !carrier.link.hungUp, !carrier.isRetiring, isWanted, carriers.pool.put(carrier) else {
            return carrier.end(.orderly)
        }
        role.leaveIfDone()
    }

    /// `carrier`, which streams shared before it was set aside, has been heard: new ones share it again, unless another
    /// has taken its place.
    func shareAgain(_ carrier: Carrier) {
        guard !role.ending.hasLeft, carrier.belongs(to: shared.conversation), carriers.shareAgain(carrier) else {
            return carrier.retire()
        }
        while carriers.trunk === carrier, carrier.takesStreams, let application = role.nextWaiting(sharing: true) {
            openShared(application)
        }
    }

    // MARK: Heavy streams

    /// Carriers that heavy streams wait for.
    var carriersWaitedFor: Int { heavy.count }

    /// `stream` should have a carrier of its own.
    func move(_ stream: SharedStream) {
        guard stream.mayMove, !stream.isQueued, !role.ending.hasLeft else { return }
        while let carrier = carriers.pool.take() {
            guard !carrier.link.isGone, carrier.peer.conversation == stream.carrier.peer.conversation else {
                carrier.end(.orderly)
                continue
            }
            // Who has been quiet is asked first: a stream that moves cannot come back.
            guard Silence.isShort(of: carrier, now: shard.now) else {
                heavy.enter(stream)
                return doubts.suspect(carrier)
            }
            doubts.expectWord(of: carrier)
            carrier.move(stream)
            return refillPool()
        }
        heavy.enter(stream)
        dials.refill()
    }

    /// Heavy streams that want no carrier of their own any more are not waited for.
    func forgetTheRest() { heavy.forgetTheRest() }

    /// The client has logged off: no heavy stream is waited for.
    func forgetHeavy() { heavy.removeAll() }
}
