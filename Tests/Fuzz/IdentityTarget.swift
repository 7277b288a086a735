// The identity file, and the text of public keys. What is read must be written back as the same line.
import Codec
import Glibc

@testable import Pairing

/// Any bytes as an identity file.
final class IdentityTarget: FuzzTarget {
    private let file: Int32
    private let path: String

    init() throws {
        var template = Array("/dev/shm/oncewire-fuzz-XXXXXX".utf8CString)
        file = mkstemp(&template)
        guard file >= 0 else { throw Failure(what: "no file in /dev/shm") }
        unlink(template)
        path = "/proc/self/fd/\(file)"
    }

    func run(_ input: [UInt8]) {
        checkPublicKeys(input)
        ftruncate(file, 0)
        must(pwrite(file, input, input.count, 0) == input.count, "the file cannot be written")
        do throws(IdentityFileError) {
            let identity = try Identity.load(path: path)
            let line = IdentityFile.content(identity.privateKey, publicKey: identity.publicKey).withUnsafeBytes {
                $0.split(separator: UInt8(ascii: "\n")).last.map { [UInt8]($0) } ?? []
            }
            let lines = input.split(separator: UInt8(ascii: "\n")).map { Self.trimmed($0) }
            must(lines.count { $0 == line } == 1, "the key that was read is written as another line")
        } catch {
            must(error.description.contains(path), "an error without its file: \(error)")
            switch error {
            case .malformed(_, .unknownLine(let number)):
                let count = input.count { $0 == UInt8(ascii: "\n") } + 1
                must(1...count ~= number, "line \(number) of \(count)")
            case .malformed, .wrongChecksum: break
            case .tooLarge: must(input.count > IdentityFile.maxSize, "too large at \(input.count) bytes")
            default: must(false, "not about the bytes of the file: \(error)")
            }
        }
    }

    private func checkPublicKeys(_ input: [UInt8]) {
        let text = String(decoding: input.prefix(100), as: UTF8.self)
        do throws(KeyTextError) {
            let key = try PublicKey(text: text)
            must(key.text == text, "a public key that is written otherwise")
        } catch { must(!error.description.isEmpty, "an error without words") }
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> [UInt8] {
        let end = line.lastIndex { ![UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains($0) }
        return [UInt8](line[..<(end.map { $0 + 1 } ?? line.startIndex)])
    }

    // MARK: Seeds

    static var seeds: [(name: String, bytes: [UInt8])] {
        let secret = Secret(count: 32)
        secret.withUnsafeMutableBytes { $0.copyBytes(from: [UInt8](repeating: 3, count: 32)) }
        let identity = Identity(privateKey: X25519.PrivateKey(secret))
        let file = IdentityFile.content(identity.privateKey, publicKey: identity.publicKey).withUnsafeBytes {
            [UInt8]($0)
        }
        let line = file.split(separator: UInt8(ascii: "\n")).last.map { [UInt8]($0) } ?? []
        return [
            ("file", file), ("line", line), ("twice", line + [10] + line), ("windows", line + [32, 9, 13, 10]),
            ("short", [UInt8](line.dropLast())), ("public", [UInt8](identity.publicKey.text.utf8)), ("empty", []),
            ("comment", [UInt8]("# nothing\n".utf8)), ("text", [UInt8]("hello\n".utf8)),
        ]
    }
}
