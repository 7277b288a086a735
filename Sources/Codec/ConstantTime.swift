// Comparing without telling by the time it takes where the first difference is.

import COpenSSL

/// Whether both hold the same bytes. The time depends on the lengths only, which are public.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { b in constantTimeEqual(a, b) } }
}

/// Whether both hold the same bytes. The time depends on the lengths only, which are public.
package func constantTimeEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let first = a.baseAddress, let second = b.baseAddress else { return true }
    return CRYPTO_memcmp(first, second, a.count) == 0
}
