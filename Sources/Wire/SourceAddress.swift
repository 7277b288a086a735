// Where the application's connection came from, as OPEN tells the server. Informative only: nothing is decided by it.

/// The address of the application that connected to the client daemon. Addresses are in the order people write
/// them: 127.0.0.1 is 0x7F000001, and ::1 is 1.
package enum SourceAddress: Equatable, Sendable {
    /// A unix socket, or not known.
    case none
    /// IPv4 address and TCP port.
    case v4(UInt32, port: UInt16)
    /// IPv6 address and TCP port.
    case v6(UInt128, port: UInt16)

    /// family u8, port u16, address 16 (an IPv4 address in the first 4).
    static let size = 19

    /// Reads ``size`` bytes from `offset` on; what the family does not use must be zero.
    init(parsing bytes: UnsafeRawBufferPointer, at offset: Int) throws(WireError) {
        let family = bytes[offset]
        let port: UInt16 = bytes.bigEndian(at: offset + 1)
        let address: UInt128 = bytes.bigEndian(at: offset + 3)
        switch family {
        case 0:
            guard port == 0, address == 0 else { throw .reservedNotZero }
            self = .none
        case 4:
            guard address & (UInt128.max >> 32) == 0 else { throw .reservedNotZero }
            self = .v4(UInt32(truncatingIfNeeded: address >> 96), port: port)
        case 6:
            self = .v6(address, port: port)
        default:
            throw .unknownAddressFamily(family)
        }
    }

    /// Writes ``size`` bytes.
    func write(to destination: UnsafeMutableRawPointer) {
        let (family, port, address): (UInt8, UInt16, UInt128) =
            switch self {
            case .none: (0, 0, 0)
            case .v4(let address, let port): (4, port, UInt128(address) << 96)
            case .v6(let address, let port): (6, port, address)
            }
        destination.storeBigEndian(family, at: 0)
        destination.storeBigEndian(port, at: 1)
        destination.storeBigEndian(address, at: 3)
    }
}
