import Testing

@testable import SyncCore

@Suite("The configuration of sending")
struct SendingConfigurationTests {
  /// Every key of sending with a value that is not its default.
  static let changed = """
    [sending]
    transfer_retry = "2x1s, 1x90s"
    watchdog = "12h"
    keep_messages = "7d"
    refresh_timeout = "46s"
    primary_statuses = ["completed"]
    second_reading_statuses = ["signed"]
    referral_move_statuses = ["arrived"]
    unflag_on_recall = ["SECTRA", "OTHER"]
    [inbound]
    enabled = true
    listen = "0.0.0.0"
    port = 2576
    allow_from = ["10.1.3.0/24"]
    max_connections = 34
    idle_timeout = "12m"
    [[server]]
    name = "portal"
    url = "https://portal.example.org"
    token = "credential:token"
    [orders]
    server = "portal"
    interval = "16s"
    [[hl7]]
    name = "ris"
    host = "10.1.3.4"
    port = 2577
    budget = 4
    profile = "omi-2.5.1"
    encoding = "UNICODE UTF-8"
    sending_application = "Å"
    sending_facility = "SE2321000131-E000000000003"
    receiving_application = "RIS"
    receiving_facility = "SE2321000131-E000000000004"
    retry = "3x10m"
    connect_timeout = "12s"
    acknowledgement_timeout = "31s"
    application_timeout = "61s"
    release_status = "SC"
    activity_field = "ZUP-3.1"
    primary_activity = "P"
    second_reading_activity = "D"
    [hl7.tls]
    authorities = "/etc/ca.pem"
    certificate = "/etc/syncd.pem"
    key = "/etc/syncd.key"
    [[hl7]]
    name = "open"
    host = "localhost"
    retry = ""
    [[hl7]]
    name = "system"
    host = "hl7.example.org"
    tls = true
    [[destination]]
    name = "reviewer"
    ae_title = "REVIEWER"
    host = "10.1.3.5"
    port = 11113
    calling_ae_title = "OURSELVES"
    tls = true
    authorities = "/d/authorities"
    certificate = "/d/certificate"
    key = "/d/key"
    key_password = "credential:password"
    transfer = "move"
    mover = "sectra"
    budget = 5
    connect_timeout = "13s"
    association_timeout = "32s"
    response_timeout = "62s"
    operations = 8
    verify_by_query = true
    storage_commitment = true
    commitment_timeout = "2m"
    user = "syncd"
    passcode = "/etc/syncd/passcode"
    hl7 = "ris"
    window = "20:00-06:00"
    [[destination]]
    name = "images"
    ae_title = "IMAGES"
    host = "10.1.3.6"
    [[origin]]
    system = "SECTRA"
    hl7 = "open"
    [[recipient]]
    id = "neuro"
    parent = "company"
    [[recipient]]
    id = "company"
    label = "Bolaget AB"
    destination = "reviewer"
    kinds = ["referral_move"]
    systems = ["SECTRA", "AGFA"]
    hsa_id = "SE5560000000-E000000000001"
    [[recipient]]
    id = "research"
    label = "Forskning"
    parent = "neuro"
    destination = "images"
    kinds = ["review"]
    systems = ["AGFA"]
    """

  private func read(_ text: String) throws -> Configuration {
    try Configuration.parse(Array(text.utf8), file: "c")
  }

  private func faults(_ text: String) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try Configuration.parse(Array(text.utf8), file: "c")
      return []
    } catch {
      return error.errors.map(\.description)
    }
  }

  private static let peer = """
    [[peer]]
    name = "sectra"
    ae_title = "PACS"
    host = "h"

    """

  @Test("every value arrives where it belongs")
  func values() throws {
    let configuration = try read(Self.peer + Self.changed)
    #expect(configuration.sending.transferRetry == RetryLadder("2x1s,1x90s"))
    #expect(configuration.sending.primaryStatuses == [.completed])
    #expect(configuration.sending.secondReadingStatuses == [.signed])
    #expect(configuration.sending.referralMoveStatuses == [.arrived])
    #expect(configuration.inbound.isEnabled)
    let hl7 = try #require(configuration.hl7Interfaces.first)
    #expect(hl7.profile == .omi)
    #expect(hl7.encoding == .utf8)
    #expect(hl7.sendingFacility == "SE2321000131-E000000000003")
    #expect(hl7.receivingFacility == "SE2321000131-E000000000004")
    #expect(hl7.connectTimeout == .seconds(12))
    #expect(hl7.acknowledgementTimeout == .seconds(31))
    #expect(hl7.applicationTimeout == .seconds(61))
    #expect(hl7.tls?.authorities == "/etc/ca.pem")
    #expect(configuration.hl7Interfaces[1].tls == nil)
    #expect(configuration.hl7Interfaces[1].retry.attempts == 1)
    #expect(configuration.hl7Interfaces[2].tls == Configuration.TLS())
    let destination = try #require(configuration.destinations.first)
    #expect(destination.transfer == .move)
    #expect(destination.mover == "sectra")
    #expect(destination.window?.start == 20 * 60)
    #expect(configuration.destinations[1].window == nil)
    #expect(configuration.origins == [Configuration.Origin(system: "SECTRA", hl7: "open")])
    #expect(configuration.recipients.map(\.label) == ["neuro", "Bolaget AB", "Forskning"])
  }

  @Test("a recipient has from the nearest one above it what it does not say itself")
  func inheritance() throws {
    let configuration = try read(Self.peer + Self.changed)
    let neuro = try #require(configuration.resolvedRecipient("neuro"))
    #expect(neuro.path == ["Bolaget AB", "neuro"])
    #expect(neuro.destination == "reviewer")
    #expect(neuro.kinds == [.referralMove])
    #expect(neuro.systems == ["SECTRA", "AGFA"])
    #expect(neuro.hsaID == "SE5560000000-E000000000001")
    let research = try #require(configuration.resolvedRecipient("research"))
    #expect(research.path == ["Bolaget AB", "neuro", "Forskning"])
    #expect(research.destination == "images")
    #expect(research.kinds == [.review])
    #expect(research.systems == ["AGFA"])
    #expect(research.hsaID == "SE5560000000-E000000000001")
    #expect(configuration.resolvedRecipient("nobody") == nil)
  }

  @Test("at the top of the tree everything is taken, and a branch has no destination")
  func branch() throws {
    let configuration = try read(
      """
      [[destination]]
      name = "d"
      ae_title = "D"
      host = "h"
      [[recipient]]
      id = "region"
      [[recipient]]
      id = "unit"
      parent = "region"
      destination = "d"
      """)
    let region = try #require(configuration.resolvedRecipient("region"))
    #expect(region.destination == nil)
    #expect(region.kinds == AssignmentKind.allCases)
    #expect(region.systems == nil)
    #expect(region.hsaID == nil)
    #expect(configuration.resolvedRecipient("unit")?.destination == "d")
  }

  @Test("parents in a circle, set past the reader, do not make a lookup run for ever")
  func circle() {
    var configuration = Configuration()
    for (id, parent) in [("a", "b"), ("b", "c"), ("c", "b")] {
      var recipient = Configuration.Recipient(id: id, label: id)
      recipient.parent = parent
      configuration.recipients.append(recipient)
    }
    #expect(configuration.resolvedRecipient("a")?.path == ["c", "b", "a"])
  }

  @Test("what is inherited is shown as a comment")
  func rendering() throws {
    let rendered = try read(Self.peer + Self.changed).rendered()
    #expect(
      rendered.contains(
        """
        id = "neuro"
        label = "neuro"
        parent = "company"
        # destination = "reviewer"
        # kinds = ["referral_move"]
        # systems = ["SECTRA", "AGFA"]
        # hsa_id = "SE5560000000-E000000000001"
        """))
    #expect(rendered.contains("\ntls = true\n"))
    #expect(rendered.contains("\ntls = false\n"))
    #expect(rendered.contains("\n# calling_ae_title = \"VGRSECTEMP\"\n"))
  }

  private static let ladder =
    "expected a retry ladder such as 1x5m,1x30m,1x3h (tries x pause before each)"
  private static let hsaID =
    "expected an HSA-id of at most 31 characters, such as SE2321000131-E000000000001"
  private static let free =
    "expected a field that has no other use: of OBR, but not 1, 2, 3, 18, 19 or 25, or of a segment of the receiver's own such as ZUP"
  private static let field =
    "expected a segment and a field, such as OBR-20, or a component of it, as in OBR-20.2"

  @Test(
    "a wrong value is named with its place, what was found and what is allowed",
    arguments: [
      ("sending.transfer_retry = \"5m\"", "1:26: sending.transfer_retry: found \"5m\", \(ladder)"),
      ("sending.transfer_retry = 5", "1:26: sending.transfer_retry: found 5, \(ladder)"),
      (
        "sending.transfer_retry = \"1x10s,2x4h\"",
        "1:26: sending.transfer_retry: waits for 4h between two tries, which must be less than sending.watchdog, 4h"
      ),
      (
        "sending.watchdog = \"1m\"",
        "1:1: sending.transfer_retry: waits for 2m between two tries, which must be less than sending.watchdog, 1m"
      ),
      (
        "sending.primary_statuses = [\"klar\"]",
        "1:29: sending.primary_statuses[1]: found \"klar\", expected one of requested, scheduled, arrived, started, ended, completed, preliminary, signed, definitively_signed, on_hold, cancelled, unknown"
      ),
      (
        "inbound.port = 70000",
        "1:16: inbound.port: found 70000, expected a whole number from 0 to 65535"
      ),
      (
        "inbound.enabled = 1", "1:19: inbound.enabled: found 1, expected true or false"
      ),
      (
        "inbound.enabled = true\ninbound.port = 11112",
        "2:16: inbound.port: is the same as archive.port at the same address"
      ),
      (
        "access_log.keep = \"1d\"",
        "1:19: access_log.keep: found \"1d\", expected a time such as \"90s\", \"10m\", \"1h30m\" or \"2d\", from 31d to 36500d"
      ),
      ("inbound.prot = 1", "1:9: inbound.prot: unknown key; did you mean `port`?"),
    ])
  func wrongValue(_ text: String, _ message: String) {
    #expect(faults(text) == ["c:" + message])
  }

  @Test(
    "a wrong value of an HL7 interface is named",
    arguments: [
      ("retry = \"x\"", "3:9: hl7[1].retry: found \"x\", \(ladder)"),
      (
        "retry = \"1x5h\"",
        "3:9: hl7[1].retry: waits for 5h between two tries, which must be less than sending.watchdog, 4h"
      ),
      (
        "sending_facility = \"SE2321000131-E0000000000000000001\"",
        "3:20: hl7[1].sending_facility: found \"SE2321000131-E0000000000000000001\", \(hsaID)"
      ),
      (
        "receiving_facility = \"SE1^X\"",
        "3:22: hl7[1].receiving_facility: found \"SE1^X\", \(hsaID)"
      ),
      (
        "receiving_application = \"A|B\"",
        "3:25: hl7[1].receiving_application: found \"A|B\", expected the name of an application: at most 180 characters, none of them | ^ ~ \\ &"
      ),
      ("activity_field = \"OBR20\"", "3:18: hl7[1].activity_field: found \"OBR20\", \(field)"),
      ("activity_field = \"OBR-0\"", "3:18: hl7[1].activity_field: found \"OBR-0\", \(field)"),
      ("activity_field = \"OBR-\"", "3:18: hl7[1].activity_field: found \"OBR-\", \(field)"),
      ("activity_field = \"OBR-20.\"", "3:18: hl7[1].activity_field: found \"OBR-20.\", \(field)"),
      (
        "activity_field = \"OBR-99999999999999999999\"",
        "3:18: hl7[1].activity_field: found \"OBR-99999999999999999999\", \(field)"
      ),
      (
        "activity_field = \"OBR-20.1.1\"",
        "3:18: hl7[1].activity_field: found \"OBR-20.1.1\", \(field)"
      ),
      ("activity_field = \"obr-20\"", "3:18: hl7[1].activity_field: found \"obr-20\", \(field)"),
      ("activity_field = \"OBR-18\"", "3:18: hl7[1].activity_field: found \"OBR-18\", \(free)"),
      ("activity_field = \"MSH-10\"", "3:18: hl7[1].activity_field: found \"MSH-10\", \(free)"),
      (
        "release_status = \"COMPLETED\"",
        "3:18: hl7[1].release_status: found \"COMPLETED\", expected an order status of one or two capital letters or digits, such as CM"
      ),
      (
        "profile = \"orm\"",
        "3:11: hl7[1].profile: found \"orm\", expected one of \"orm-2.3.1\", \"omi-2.5.1\""
      ),
      ("tls = \"yes\"", "3:7: hl7[1].tls: found \"yes\", expected true, false or a table"),
      (
        "tls.certificate = \"/c\"", "3:19: hl7[1].tls.certificate: needs its key as well"
      ),
      ("tls.key = \"/k\"", "3:11: hl7[1].tls.key: needs its certificate as well"),
      (
        "tls.authorities = \"ca.pem\"",
        "3:19: hl7[1].tls.authorities: found \"ca.pem\", expected an absolute path, beginning with '/'"
      ),
      ("tls.ca = \"/c\"", "3:5: hl7[1].tls.ca: unknown key"),
    ])
  func wrongInterface(_ text: String, _ message: String) {
    #expect(faults("[[hl7]]\nname = \"a\"\n\(text)\nhost = \"h\"") == ["c:" + message])
  }

  @Test(
    "a wrong value of a destination is named",
    arguments: [
      (
        "ae_title = \"A\\\\B\"",
        "8:12: destination[1].ae_title: found \"A\\\\B\", expected an AE title: 1 to 16 ASCII characters, no backslash, no space at either end"
      ),
      (
        "ae_title = \"D\"\ntransfer = \"move\"",
        "5:1: destination[1].mover: missing: with transfer = \"move\" the [[peer]] that sends"
      ),
      (
        "ae_title = \"D\"\ntransfer = \"move\"\nmover = \"sectr\"",
        "10:9: destination[1].mover: found \"sectr\", expected the name of a [[peer]]: sectra"
      ),
      (
        "ae_title = \"D\"\nmover = \"sectra\"",
        "9:9: destination[1].mover: is only for transfer = \"move\""
      ),
      (
        "ae_title = \"D\"\nhl7 = \"b\"",
        "9:7: destination[1].hl7: found \"b\", expected the name of a [[hl7]]; there is none"
      ),
      (
        "ae_title = \"D\"\nwindow = \"6-22\"",
        "9:10: destination[1].window: found \"6-22\", expected two different times of the day such as 06:00-22:00 or 20:00-06:00"
      ),
      (
        "ae_title = \"D\"\nstorage_commitment = true\ncommitment_timeout = \"4h\"",
        "10:22: destination[1].commitment_timeout: is 4h, which must be less than sending.watchdog, 4h"
      ),
      (
        "ae_title = \"VGRSECTEMP\"\nport = 11112",
        "7:8: destination[1].host: is the archive itself: nothing is sent there"
      ),
    ])
  func wrongDestination(_ text: String, _ message: String) {
    let found = faults(
      Self.peer + "[[destination]]\nname = \"a\"\nhost = \"127.0.0.1\"\n" + text)
    #expect(found == ["c:" + message])
  }

  private static let destination = """
    [[destination]]
    name = "d"
    ae_title = "D"
    host = "h"

    """

  @Test(
    "what does not go together is a fault",
    arguments: [
      (
        "[[hl7]]\nname = \"a\"\nhost = \"h\"\n[[hl7]]\nname = \"a\"\nhost = \"h\"",
        "9:8: hl7[2].name: the HL7 interface a is defined twice"
      ),
      (
        "[inbound]\nenabled = true\n[[hl7]]\nname = \"a\"\nhost = \"127.0.0.1\"",
        "9:8: hl7[1].host: is the daemon itself: [inbound] listens there"
      ),
      (
        "[[destination]]\nname = \"d\"\nae_title = \"D\"\nhost = \"h\"",
        "6:8: destination[2].name: the destination d is defined twice"
      ),
      (
        "[[origin]]\nhl7 = \"a\"\nsystem = \"S\"",
        "6:7: origin[1].hl7: found \"a\", expected the name of a [[hl7]]; there is none"
      ),
      (
        "[[origin]]\nsystem = \"S\"",
        "5:1: origin[1].hl7: missing: the [[hl7]] interface of the system"
      ),
      (
        "[[hl7]]\nname = \"a\"\nhost = \"h\"\n[[origin]]\nsystem = \"S\"\nhl7 = \"a\"\n[[origin]]\nsystem = \"S\"\nhl7 = \"a\"",
        "12:10: origin[2].system: the origin S is defined twice"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"e\"",
        "7:15: recipient[1].destination: found \"e\", expected the name of a [[destination]]: d"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\n[[recipient]]\nid = \"r\"\ndestination = \"d\"",
        "9:6: recipient[2].id: the recipient r is defined twice"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\n[[recipient]]\nid = \"s\"\nparent = \"q\"",
        "10:10: recipient[2].parent: found \"q\", expected the id of a [[recipient]]: r"
      ),
      (
        "[[recipient]]\nid = \"r\"\nparent = \"r\"",
        "7:10: recipient[1].parent: leads back to the recipient itself: r > r"
      ),
      (
        "[[recipient]]\nid = \"x\"\nparent = \"r\"\n[[recipient]]\nid = \"r\"\nparent = \"s\"\n[[recipient]]\nid = \"s\"\nparent = \"r\"",
        "10:10: recipient[2].parent: leads back to the recipient itself: r > s > r"
      ),
      (
        "[[recipient]]\nid = \"r\"",
        "5:1: recipient[1].destination: missing: neither it nor a parent names a [[destination]]"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\nkinds = [\"referral_move\"]",
        "8:9: recipient[1].kinds: has referral_move, which is messages only, but the destination d has no hl7"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\nkinds = []",
        "8:9: recipient[1].kinds: is empty; expected some of review, referral_move"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\nkinds = [\"move\"]",
        "8:10: recipient[1].kinds[1]: found \"move\", expected one of review, referral_move"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\nsystems = []",
        "8:11: recipient[1].systems: is empty; without the key it takes examinations of any system"
      ),
      (
        "[[recipient]]\nid = \"r\"\ndestination = \"d\"\nhsa_id = \"SE2321000131-E0000000000000000001\"",
        "8:10: recipient[1].hsa_id: found \"SE2321000131-E0000000000000000001\", \(hsaID)"
      ),
      (
        "[[recipient]]\ndestination = \"d\"",
        "5:1: recipient[1].id: missing: the recipient's id"
      ),
    ])
  func crossChecks(_ text: String, _ message: String) {
    #expect(faults(Self.destination + text) == ["c:" + message])
  }
}
