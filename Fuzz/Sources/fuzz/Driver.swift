import Glibc

/// One parser under test. It may refuse its input as it likes; a trap, a hang, memory without
/// bounds or a broken promise is a finding.
typealias FuzzTarget = (UnsafeRawBufferPointer) -> Void

/// libFuzzer as a library: one program holds every target, chosen by its first argument.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argc: UnsafeMutablePointer<CInt>,
  _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

nonisolated(unsafe) private var chosen: FuzzTarget = { _ in }

/// The program's entry, under the name that SwiftPM has the linker look for.
@_cdecl("fuzz_main")
func fuzzMain(
  _ argc: CInt, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  let all = targets.merging(dicomTargets) { $1 }
  let name = argc > 1 ? String(cString: argv[1]!) : ""
  if name == "--list" {
    for name in all.keys.sorted() { print(name) }
    return 0
  }
  guard let target = all[name] else {
    print("usage: fuzz --list | fuzz TARGET [libFuzzer arguments]")
    return 2
  }
  chosen = target
  // libFuzzer sees the program's name and its own arguments. It starts argv[0] again for some
  // modes, without the target: the script uses none of those.
  argv[1] = argv[0]
  var count = argc - 1
  var arguments = argv + 1
  return runDriver(&count, &arguments) { data, count in
    chosen(UnsafeRawBufferPointer(start: data, count: count))
    return 0
  }
}

/// A promise that input must not be able to break.
func promise(_ kept: Bool, _ what: @autoclosure () -> String) {
  if !kept { fatalError(what()) }
}
