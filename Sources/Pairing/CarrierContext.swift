// From derived entropy to the two frame sources of a carrier, turned the right way round for each end.

internal import Codec

/// Which end of the tunnel this is.
enum Endpoint: Sendable {
    case device, server
}

/// What both ends know of a new carrier besides its entropy. All of it is public.
struct CarrierContext {
    let phase: KeySchedule.Phase
    /// h or t, 32 bytes.
    let transcript: [UInt8]
    /// First 14 bytes of every frame nonce.
    let prefix: [UInt8]
    let device: PublicKey
    let server: PublicKey
    let epoch: UInt32

    /// Takes the first 64 bytes of `entropy`: client to server, then server to client.
    func keys(_ entropy: borrowing Secret, for end: Endpoint) -> CarrierKeys {
        let (sending, receiving): (KeySchedule.Direction, KeySchedule.Direction) =
            switch end {
            case .device: (.clientToServer, .serverToClient)
            case .server: (.serverToClient, .clientToServer)
            }
        return CarrierKeys(
            sending: EncoderSource(
                entropy: Self.part(sending, of: entropy), personalization: personalization(sending), prefix: prefix),
            receiving: DecoderSource(
                entropy: Self.part(receiving, of: entropy), personalization: personalization(receiving), prefix: prefix)
        )
    }

    private func personalization(_ direction: KeySchedule.Direction) -> [UInt8] {
        KeySchedule.personalization(
            direction, phase, transcript: transcript, device: device, server: server, epoch: epoch)
    }

    private static func part(_ direction: KeySchedule.Direction, of entropy: borrowing Secret) -> Secret {
        let start = 32 * Int(direction.rawValue)
        return entropy.slice(start..<start + 32)
    }
}
