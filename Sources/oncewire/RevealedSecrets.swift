// For tests of debug builds: the secrets a daemon makes, written to a file. A test looks for them in the daemon's
// memory afterwards. Release builds have nothing of this.
#if DEBUG
    import CLinux
    import Codec
    import Glibc

    /// If ONCEWIRE_TEST_REVEAL names a file, appends a line "label hex" to it for every secret made.
    func revealSecretsIfAsked() {
        guard let path = getenv("ONCEWIRE_TEST_REVEAL") else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        precondition(descriptor >= 0, "ONCEWIRE_TEST_REVEAL names a file that cannot be written")
        SecretAudit.reveal = { label, secret in append(label, secret, to: descriptor) }
    }

    /// One write(2) per line from memory that is wiped at once: the test must find the daemon's copies, not
    /// this one's.
    private func append(_ label: String, _ secret: UnsafeRawBufferPointer, to descriptor: Int32) {
        let size = label.utf8.count + 1 + 2 * secret.count + 1
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 1) { line in
            var end = 0
            func put(_ byte: UInt8) {
                line[end] = byte
                end += 1
            }
            func put(nibble: UInt8) { put(nibble < 10 ? 0x30 + nibble : 0x57 + nibble) }

            for byte in label.utf8 { put(byte) }
            put(UInt8(ascii: " "))
            for byte in secret {
                put(nibble: byte >> 4)
                put(nibble: byte & 15)
            }
            put(UInt8(ascii: "\n"))
            precondition(write(descriptor, line.baseAddress, end) == end)
            ow_wipe(line.baseAddress, line.count)
        }
    }
#else
    /// Nothing: release builds reveal no secrets.
    func revealSecretsIfAsked() {}
#endif
