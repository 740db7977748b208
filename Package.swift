// swift-tools-version: 6.2
import PackageDescription

// No package dependencies, by promise: the whole supply chain is the Swift toolchain
// and two Debian libraries, libcurl and libsqlite3.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
  name: "syncd",
  products: [
    .library(name: "SyncCore", targets: ["SyncCore"]),
    .executable(name: "syncd", targets: ["syncd"]),
    .executable(name: "syncctl", targets: ["syncctl"]),
  ],
  targets: [
    // System libraries, and what Glibc hides from Swift.
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(
      name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "CLinux"),

    // Parts that know nothing of radiology collaboration.
    .target(name: "Platform", dependencies: ["CLinux"], swiftSettings: strict),
    .target(name: "JSON", swiftSettings: strict),
    .target(name: "SQLite", dependencies: ["CSQLite"], swiftSettings: strict),
    .target(name: "TOML", swiftSettings: strict),
    .target(name: "DICOM", dependencies: ["Platform"], swiftSettings: strict),
    .target(name: "TLS", dependencies: ["Platform", "CCurl"], swiftSettings: strict),
    .target(
      name: "HTTP", dependencies: ["Platform", "JSON", "TLS", "CCurl"], swiftSettings: strict),
    .target(
      name: "DICOMweb", dependencies: ["DICOM", "HTTP", "JSON", "Platform"],
      swiftSettings: strict),
    .target(name: "HL7", dependencies: ["Platform"], swiftSettings: strict),
    .target(name: "Varlink", dependencies: ["Platform", "JSON"], swiftSettings: strict),

    // The product.
    .target(
      name: "SyncCore",
      dependencies: [
        "Platform", "CLinux", "JSON", "SQLite", "TOML", "DICOM", "DICOMweb", "HL7", "TLS", "HTTP",
        "Varlink",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "syncd",
      dependencies: ["SyncCore", "Platform", "CLinux", "DICOM", "HL7", "HTTP", "TLS", "Varlink"],
      swiftSettings: strict),
    .executableTarget(
      name: "syncctl", dependencies: ["SyncCore", "Varlink", "JSON", "Platform"],
      swiftSettings: strict),

    // The simulated surroundings: for the demonstration and the tests, never installed.
    .target(
      name: "Training", dependencies: ["DICOM", "HL7", "Platform"], swiftSettings: strict),
    .executableTarget(
      name: "syncd-demo", dependencies: ["Training", "SyncCore", "JSON", "Platform", "DICOM"],
      swiftSettings: strict),

    // What the benchmarks send and ask with.
    .executableTarget(
      name: "dicom-load", dependencies: ["DICOM", "Platform", "TLS"], path: "Benchmarks/dicom-load",
      swiftSettings: strict),

    // Tests and the programs they need.
    .target(
      name: "TestSupport", dependencies: ["Platform", "HTTP", "JSON"], path: "Tests/Support",
      exclude: ["install-peers", "requirements.txt", "run-tests"], swiftSettings: strict),
    .executableTarget(
      name: "toml-decoder", dependencies: ["TOML"], path: "Tests/toml-decoder",
      swiftSettings: strict),
    .executableTarget(
      name: "hl7-roundtrip", dependencies: ["HL7"], path: "Tests/hl7-roundtrip",
      swiftSettings: strict),
    .executableTarget(
      name: "varlink-certification", dependencies: ["Varlink", "JSON", "Platform"],
      path: "Tests/varlink-certification", swiftSettings: strict),
    .testTarget(
      name: "PlatformTests", dependencies: ["Platform", "TestSupport", "CCurl", "CSQLite"],
      swiftSettings: strict),
    .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: strict),
    .testTarget(
      name: "SQLiteTests", dependencies: ["SQLite", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TOMLTests", dependencies: ["TOML", "TestSupport"], exclude: ["toml-test"],
      swiftSettings: strict),
    .testTarget(
      name: "DICOMTests", dependencies: ["DICOM", "Training", "TestSupport", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "HTTPTests", dependencies: ["HTTP", "TLS", "JSON", "TestSupport", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "DICOMwebTests",
      dependencies: ["DICOMweb", "DICOM", "HTTP", "JSON", "TLS", "TestSupport", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "HL7Tests", dependencies: ["HL7", "TLS", "TestSupport", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "VarlinkTests",
      dependencies: ["Varlink", "JSON", "TestSupport", "Platform", "varlink-certification"],
      exclude: ["asyncvarlink_client.py"], swiftSettings: strict),
    .testTarget(
      name: "SyncCoreTests",
      dependencies: [
        "SyncCore", "TestSupport", "Training", "SQLite", "DICOM", "DICOMweb", "HL7", "HTTP", "TLS",
        "Platform", "JSON", "TOML", "Varlink",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "SyncctlTests",
      dependencies: ["syncctl", "SyncCore", "Varlink", "JSON", "Platform", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "IntegrationTests",
      dependencies: [
        "SyncCore", "DICOM", "DICOMweb", "HL7", "HTTP", "TLS", "Varlink", "JSON", "Platform",
        "Training", "TestSupport",
      ],
      swiftSettings: strict),
  ]
)
