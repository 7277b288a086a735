// Which tests may run beside each other.

import Testing

/// Tests that load the machine, or whose time-outs are short, one after another: nested in it, in their
/// own files.
@Suite("Two daemons, one test at a time", .serialized, .timeLimit(.minutes(5)))
enum OneAtATime {}
