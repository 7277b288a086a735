// The process's own copy of libcrypto.

import COpenSSL

/// What concerns libcrypto as a whole.
package enum Libcrypto {
    /// Keeps libcrypto usable until the process is gone; to be called before anything else of it is used.
    ///
    /// Without this it takes itself down in exit(3), while other threads may still be freeing contexts or ending.
    /// libcrypto does not survive that: a daemon that has drained in order would now and then die by a signal.
    package static func stayUntilTheEnd() {
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    }
}
