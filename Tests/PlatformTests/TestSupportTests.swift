import Glibc
import Platform
import TestSupport
import Testing

@Suite("The tests' own support")
struct TestSupportTests {
  @Test("A child's output, status and input are its own")
  func childBasics() throws {
    let result = try ChildProcess.run(
      "sh", ["-c", "cat; echo $WORD >&2; pwd; exit 3"], environment: ["WORD": "hej", "PATH2": nil],
      workingDirectory: "/usr", standardInput: Array("in\n".utf8))
    #expect(result.standardOutput == "in\n/usr\n")
    #expect(result.standardError == "hej\n")
    #expect(result.exit == .exited(3))
  }

  @Test("A conversation over standard input")
  func conversation() throws {
    let child = try ChildProcess("cat", keepInputOpen: true)
    child.write(Array("hello".utf8))
    #expect(child.waitForOutput("hello"))
    #expect(!child.waitForOutput("never", deadline: .after(.milliseconds(20))))
    child.closeInput()
    #expect(child.wait() == .exited(0))
  }

  @Test("A child is killed when its object goes away")
  func killedOnDeinit() throws {
    var child: ChildProcess? = try ChildProcess("sleep", ["100"])
    let pid = try #require(child?.pid)
    #expect(kill(pid, 0) == 0)
    child = nil
    #expect(waitUntil { kill(pid, 0) != 0 })
  }

  @Test("A child past its deadline is killed, and the error says what ran")
  func deadline() {
    #expect(throws: ChildProcess.SpawnError.self) {
      try ChildProcess.run("sleep", ["100"], deadline: .after(.milliseconds(50)))
    }
    #expect(throws: ChildProcess.SpawnError.self) { try ChildProcess("no-such-program") }
  }

  @Test("stop() ends a child by SIGTERM, and by SIGKILL one that ignores it")
  func stop() throws {
    let polite = try ChildProcess("sleep", ["100"])
    #expect(polite.stop() == .signalled(SIGTERM))
    let deaf = try ChildProcess("sh", ["-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    #expect(deaf.waitForOutput("up"))
    #expect(deaf.stop(deadline: .after(.milliseconds(100))) == .signalled(SIGKILL))
  }

  @Test("A temporary directory and everything in it goes away with its object")
  func temporaryDirectory() throws {
    var directory: TemporaryDirectory? = try TemporaryDirectory()
    let path = try #require(directory?.path)
    try directory?.makeDirectory("a")
    try directory?.write("text", to: "a/b")
    #expect(try directory?.read("a/b") == Array("text".utf8))
    directory = nil
    #expect(access(path, F_OK) != 0)
  }

  @Test("A free port can be listened on")
  func port() throws {
    let port = try freePort()
    #expect(port > 0)
    let socket = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: port))
    #expect(socket.port == port)
  }
}
