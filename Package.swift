// swift-tools-version: 6.2
import PackageDescription

// A build of the fuzz targets (scripts/fuzz): our modules are compiled to tell libFuzzer where an input leads.
let isFuzzed = Context.environment["ONCEWIRE_FUZZ"] == "1"
let fuzzed: [SwiftSetting] = isFuzzed ? [.unsafeFlags(["-sanitize=fuzzer", "-enable-testing"])] : []

// One place for the settings every Swift target shares. Warnings are errors: a warning that stays is
// a warning nobody reads.
let house: [SwiftSetting] =
    fuzzed + [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),  // SE-0335
        .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
        .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
        .enableExperimentalFeature("Lifetimes"),  // borrowed spans returned from functions
    ]

// A build that does not encrypt, for scripts/ladder alone: it says so at every start and stays on loopback.
let plaintext: [SwiftSetting] =
    Context.environment["ONCEWIRE_PLAINTEXT_LADDER"] == "1" ? [.define("ONCEWIRE_PLAINTEXT_LADDER")] : []

// A build for a sanitizer (scripts/test --sanitize=…): a lock that ThreadSanitizer understands, in module Pairing.
let isSanitized = Context.environment["ONCEWIRE_SANITIZER"] == "1"
let sanitizer: [SwiftSetting] = isSanitized ? [.define("ONCEWIRE_SANITIZER")] : []

// Our C is compiled with the checks that a distribution's packages have. Fortified calls need an optimiser.
let hardenedC: [CSetting] = [
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-fstack-protector-strong"]),
    .unsafeFlags(["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], .when(configuration: .release)),
]

// Every symbol is bound at start, and what the dynamic linker wrote is read-only from then on (full RELRO).
let hardenedLink: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now"])
]

let package = Package(
    name: "oncewire",
    products: [
        .executable(name: "oncewire", targets: ["oncewire"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        // Up to the next minor version only: CSwiftCrypto calls its C library, whose names are no promise.
        .package(url: "https://github.com/apple/swift-crypto", .upToNextMinor(from: "4.5.0")),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        // In the order of the arrows: what is further down may import what is further up, never the
        // other way round.
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CLinux", cSettings: hardenedC),
        .target(
            name: "CSwiftCrypto", dependencies: [.product(name: "Crypto", package: "swift-crypto")],
            cSettings: [.define("_GNU_SOURCE")] + hardenedC),
        // Replaces free() for the whole process, so only the executable links it.
        .target(name: "CWipingHeap", cSettings: hardenedC),

        .target(
            name: "Codec", dependencies: ["COpenSSL", "CSwiftCrypto", "CLinux"], swiftSettings: house + plaintext),
        .target(name: "Wire", swiftSettings: house),
        .target(
            name: "Pairing",
            dependencies: ["Codec", "Wire", "CLinux", "CSwiftCrypto"], swiftSettings: house + sanitizer),
        .target(name: "Vault", dependencies: ["Pairing", "Codec"], swiftSettings: house),
        .target(name: "Settings", dependencies: ["CYAML", "Pairing", "Wire"], swiftSettings: house),
        .target(
            name: "Relay",
            dependencies: [
                "Wire", "Pairing", "Codec", "Vault", "Settings", "CLinux",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: house),
        .target(
            name: "Admin",
            dependencies: ["Relay", "Settings", "Pairing", "Wire", .product(name: "Logging", package: "swift-log")],
            swiftSettings: house),
        .executableTarget(
            name: "oncewire",
            dependencies: [
                "Admin", "Relay", "Settings", "Vault", "Pairing", "Codec", "Wire", "CLinux", "CWipingHeap",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: house, linkerSettings: hardenedLink),

        // What the process-level tests need of the kernel; no part of the product.
        .target(name: "CHarness", path: "Tests/CHarness"),
        // What each layer costs; scripts/ladder and scripts/count-instructions run it. No part of the product.
        .executableTarget(
            name: "ladder",
            dependencies: ["Relay", "Settings", "Pairing", "Codec", "Wire", "CHarness", "CWipingHeap"],
            path: "Tests/Ladder", exclude: ["instructions.txt"], swiftSettings: house, linkerSettings: hardenedLink),
        // Randomised days of whole daemons on a kernel in memory; scripts/world runs it. No part of the product.
        .target(name: "CWorld", path: "Tests/CWorld", cSettings: [.treatAllWarnings(as: .error)]),
        .executableTarget(
            name: "world", dependencies: ["Relay", "Settings", "Pairing", "Codec", "Wire", "CWorld"],
            path: "Tests/World", swiftSettings: house),
        .testTarget(name: "WipingHeapTests", dependencies: ["CWipingHeap"], swiftSettings: house),
        .testTarget(
            name: "CodecTests", dependencies: ["Codec", "COpenSSL", "CLinux", "CHarness"],
            swiftSettings: house + sanitizer),
        .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: house),
        .testTarget(
            name: "PairingTests", dependencies: ["Pairing", "Codec", "Wire", "CHarness"], exclude: ["Vectors"],
            swiftSettings: house + sanitizer),
        .testTarget(name: "VaultTests", dependencies: ["Vault", "Pairing", "Codec"], swiftSettings: house),
        .testTarget(name: "SettingsTests", dependencies: ["Settings", "Pairing", "Wire"], swiftSettings: house),
        .testTarget(
            name: "RelayTests",
            dependencies: ["Relay", "Settings", "Vault", "Pairing", "Wire", "Codec", "CLinux", "CHarness"],
            swiftSettings: house + sanitizer),
        .testTarget(
            name: "AdminTests",
            dependencies: [
                "Admin", "Relay", "Settings", "Pairing", "Codec", "Wire", "Vault",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "DaemonTests",
            dependencies: ["oncewire", "Pairing", "Codec", "Wire", "CLinux", "COpenSSL", "CHarness"],
            swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)

if isFuzzed {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/CLibFuzzer"),
        .executableTarget(
            name: "fuzz", dependencies: ["Relay", "Settings", "Pairing", "Codec", "Wire", "CLibFuzzer"],
            path: "Tests/Fuzz", exclude: ["Seeds", "settings.dict"], swiftSettings: house,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ]
}

// Processes that search each other's memory are nothing for a sanitizer, and it has a heap of its own.
if isSanitized { package.targets.removeAll { ["DaemonTests", "WipingHeapTests"].contains($0.name) } }
