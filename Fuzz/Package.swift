// swift-tools-version: 6.2
import PackageDescription

// Apart from the product's package, so that nothing here is ever built or installed with it.
// Built by `Fuzz/run`, which adds the sanitizers for every module.
let package = Package(
  name: "syncd-fuzz",
  dependencies: [.package(name: "syncd", path: "..")],
  targets: [
    .executableTarget(
      name: "fuzz",
      dependencies: [.product(name: "SyncCore", package: "syncd")],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .unsafeFlags(["-parse-as-library"]),
      ])
  ]
)
