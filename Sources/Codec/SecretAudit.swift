// A door for tests only: what a debug build shows of its secrets. With it a test can search core files, logs,
// captures and stores for them. Release builds do not contain it.

#if DEBUG
    /// Called where a long-lived secret comes to be, with a label and the bytes, for the length of the
    /// call. Set it before the first secret is made and leave it: it is not synchronised.
    package enum SecretAudit {
        nonisolated(unsafe) package static var reveal: (@Sendable (_ label: String, UnsafeRawBufferPointer) -> Void)?
    }
#endif
