// What devices may cost a loop in one turn is counted for each device, over all its carriers there.
internal import Pairing

/// The allowances of the devices that have carriers on one loop.
struct Allowances {
    private var byDevice: [PublicKey: (allowance: Allowance, carriers: Int)] = [:]

    /// Devices that have carriers here.
    var count: Int { byDevice.count }

    /// That of the device's carriers here, or a new one if it has none.
    func allowance(of device: PublicKey) -> Allowance { byDevice[device]?.allowance ?? Allowance() }

    /// `carrier` is one more of its device.
    mutating func add(_ carrier: Carrier) {
        byDevice[carrier.peer.device, default: (carrier.allowance, 0)].carriers += 1
    }

    /// `carrier` is one less.
    mutating func remove(_ carrier: Carrier) {
        let device = carrier.peer.device
        byDevice[device]?.carriers -= 1
        if byDevice[device]?.carriers == 0 { byDevice[device] = nil }
    }
}
