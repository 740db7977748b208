import DICOM
import Glibc

private typealias Run = @convention(c) (UnsafePointer<UInt8>, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argc: UnsafeMutablePointer<CInt>,
  _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ run: Run
) -> CInt

@_cdecl("fuzz_main")
func fuzzMain(_ argc: CInt, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
  var argc = argc
  var argv = argv
  return runDriver(&argc, &argv) { data, count in
  let b = UnsafeBufferPointer(start: data, count: count)
  if count > 3, b[0] == 65, b[1] == 66, b[2] == 67 { fatalError("found") }
  return 0
  }
}
