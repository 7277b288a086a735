// A build that does not encrypt, so that the ladder can tell what encryption costs. Only the environment of the build
// can ask for it (Package.swift, scripts/ladder), no configuration can.

/// Whether this is such a build. It prints a warning at every start, and uses addresses of this host alone.
package enum PlaintextLadder {
    #if ONCEWIRE_PLAINTEXT_LADDER
        package static var isOn: Bool { true }
    #else
        package static var isOn: Bool { false }
    #endif

    /// What such a build prints on standard error before it does anything; nil in any other.
    package static var warning: String? {
        guard isOn else { return nil }
        return "oncewire: WARNING: THIS BUILD DOES NOT ENCRYPT. It is for measuring (scripts/ladder), and it "
            + "refuses every address but loopback.\n"
    }
}
