import Platform
import Testing

@Suite("Network ranges")
struct NetworkRangeTests {
  @Test(
    "An address lies in its network",
    arguments: [
      ("10.1.2.3", "10.1.2.3"), ("10.1.2.0/24", "10.1.2.255"), ("10.1.2.77/24", "10.1.2.1"),
      ("10.0.0.0/9", "10.127.255.255"), ("0.0.0.0/0", "203.0.113.9"), ("fd00::/8", "fdff::1"),
      ("2001:db8::/33", "2001:db8:7fff::1"), ("10.1.2.0/24", "::ffff:10.1.2.3"),
      ("::ffff:10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.0/120", "10.1.2.9"),
      ("fe80::/10", "fe80::1%eth0"), ("10.1.2.4/31", "10.1.2.5"),
    ])
  func inside(range: String, address: String) throws {
    #expect(try #require(NetworkRange(range)).contains(address))
  }

  @Test(
    "An address outside, of the other family, or that is none, does not",
    arguments: [
      ("10.1.2.3", "10.1.2.4"), ("10.1.2.0/24", "10.1.3.0"), ("10.0.0.0/9", "10.128.0.0"),
      ("10.1.2.4/31", "10.1.2.6"), ("fd00::/8", "fe00::1"), ("::/0", "10.1.2.3"),
      ("0.0.0.0/0", "::1"), ("2001:db8::/33", "2001:db8:8000::1"), ("10.1.2.0/24", "here"),
      ("::ffff:10.1.2.0/120", "10.1.3.9"), ("10.1.2.0/24", ""),
    ])
  func outside(range: String, address: String) throws {
    #expect(try !#require(NetworkRange(range)).contains(address))
  }

  @Test(
    "What is neither an address nor a network is refused",
    arguments: [
      "", "/", "/8", "10.1.2", "10.1.2.0/", "10.1.2.0/33", "10.1.2.0/-1", "10.1.2.0/+8",
      "10.1.2.0/8/8", "10.1.2.256", "fd00::/129", "localhost", "10.1.2.0/ 8", "::ffff:10.0.0.0/24",
    ])
  func refused(text: String) {
    #expect(NetworkRange(text) == nil)
  }
}
