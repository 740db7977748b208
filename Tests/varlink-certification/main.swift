// A server and a client for org.varlink.certification, so that independent implementations can
// judge ours.
//   varlink-certification --varlink=unix:/tmp/socket
//   varlink-certification --client --varlink=unix:/tmp/socket
// or with listening sockets handed over by systemd (LISTEN_FDS).
import Glibc
import Platform
import Varlink

func fail(_ text: String) -> Never {
  let line = Array("varlink-certification: \(text)\n".utf8)
  _ = write(2, line, line.count)
  exit(1)
}

func variable(_ name: String) -> Int32? {
  getenv(name).flatMap { Int32(String(cString: $0)) }
}

if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--client",
  let endpoint = Endpoint(varlinkAddress: String(CommandLine.arguments[2].dropFirst(10)))
{
  do throws(VarlinkClientError) {
    try certify(against: endpoint)
    print("Certification passed")
    exit(0)
  } catch {
    let line = Array("varlink-certification: \(error)\n".utf8)
    _ = write(2, line, line.count)
    if case .permissionDenied = error { exit(4) }
    exit(1)
  }
}

do {
  let service = VarlinkService(
    vendor: "syncd", product: "Certification", version: "1", url: "https://varlink.org",
    interfaces: [try CertificationService().makeInterface()])
  let server = VarlinkServer(service: service) { event in
    let line = Array("\(event)\n".utf8)
    _ = write(2, line, line.count)
  }
  var isListening = false
  if variable("LISTEN_PID") == getpid(), let count = variable("LISTEN_FDS") {
    for descriptor in 3..<(3 + count) {
      server.listen(on: ListeningSocket(adopting: descriptor), label: "activated")
      isListening = true
    }
  } else {
    for argument in CommandLine.arguments.dropFirst() {
      guard argument.hasPrefix("--varlink="),
        let endpoint = Endpoint(varlinkAddress: String(argument.dropFirst(10)))
      else { fail("unexpected argument \(argument)") }
      server.listen(on: try ListeningSocket(on: endpoint), label: "control")
      isListening = true
    }
  }
  guard isListening else { fail("neither --varlink=ADDRESS nor LISTEN_FDS") }
  print("listening")
  fflush(nil)
  while true { pause() }
} catch {
  fail("\(error)")
}
