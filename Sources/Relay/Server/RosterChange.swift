// A loop of the server gets another roster: whoever is here is asked once whether that may go on.
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

extension ServerShared {
    /// From now on `settings` hold. They must not differ in what needs another start. Every loop is told by letter, and
    /// calls `done` when it has taken the new roster; returns how many of them will.
    @discardableResult
    func apply(_ settings: ServerSettings, to loops: Loops<ServerRole>, done: @escaping @Sendable () -> Void = {})
        -> Int
    {
        let roster = next(settings)
        admission.limit(to: settings.admission)
        for budget in roster.budgets.values { budget.limit(to: settings.deviceLimits) }
        return loops.doors.count { door in
            door.send { role in
                role.adopt(roster)
                done()
            }
        }
    }
}

extension ServerRole {
    /// `roster` holds from now on, unless a later one does already.
    func adopt(_ roster: Roster) {
        let former = self.roster
        guard replaceRoster(by: roster) else { return }
        for (key, device) in former.devices where !roster.knows(key) {
            // Each loop does so: what one of them may have stored since another did goes with its own turn.
            let ended = shared.vault.removeAll(of: key)
            if ended > 0 { shard.emit(.conversationEnded("device \(device.name) was taken out of the configuration")) }
        }
        for carrier in everyCarrier { review(carrier) }
    }

    /// Ends what the device of `carrier` may not have any more.
    func review(_ carrier: Carrier) {
        guard carrier.phase != .closed else { return }
        guard roster.knows(carrier.peer.device) else {
            return carrier.hasStream ? carrier.abort(.deviceRevoked) : carrier.end(.orderly)
        }
        if let sharing = carrier.sharing {
            for stream in Array(sharing.streams.values) where !mayUse(stream.service, carrier) {
                guard !stream.awaitsTarget else {
                    stream.refuse(.serviceNotAllowed)
                    continue
                }
                stream.abort(.serviceWithdrawn)
            }
        } else if !carrierMayGoOn(carrier) {
            guard !carrier.awaitsTarget else { return carrier.refuse(.serviceNotAllowed) }
            carrier.abort(.serviceWithdrawn)
        }
    }

    private func mayUse(_ service: ServiceID, _ carrier: Carrier) -> Bool {
        roster.route(service, for: carrier.peer.device) != nil
    }

    /// Whether the carrier may go on with what it does. One without a stream of its own has none of a service.
    func carrierMayGoOn(_ carrier: Carrier) -> Bool {
        guard carrier.phase == .dialing || carrier.phase == .streaming, let service = carrier.service else {
            return roster.knows(carrier.peer.device)
        }
        return mayUse(service, carrier)
    }
}
