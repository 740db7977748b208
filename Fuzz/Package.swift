// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "syncd-fuzz",
  dependencies: [.package(name: "syncd", path: "..")],
  targets: [
    .executableTarget(
      name: "fuzz",
      dependencies: [.product(name: "SyncCore", package: "syncd")],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .unsafeFlags(["-parse-as-library", "-package-name", "syncd"]),
      ])
  ]
)
