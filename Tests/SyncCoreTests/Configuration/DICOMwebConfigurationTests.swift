import Testing

@testable import SyncCore

@Suite("Peers and destinations over DICOMweb, as configured")
struct DICOMwebConfigurationTests {
  private static let server = "[[server]]\nname = \"s\"\nurl = \"https://h/dicom-web\"\n"
  private static let web = server + "[[peer]]\nname = \"w\"\nkind = \"dicomweb\"\nserver = \"s\"\n"
  private static let both =
    web + "[[peer]]\nname = \"d\"\nae_title = \"D\"\nhost = \"h\"\n"

  private func faults(_ text: String) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try Configuration.parse(Array(text.utf8), file: "c")
      return []
    } catch {
      return error.errors.map(\.description)
    }
  }

  @Test("a peer is a server's, a destination a peer's, and what is rendered reads back")
  func right() throws {
    let text =
      Self.both + """
        budget = 5
        [[peer]]
        name = "w2"
        kind = "dicomweb"
        server = "s"
        budget = 7
        retrieve_level = "series"
        response_timeout = "11s"
        move_idle_timeout = "12m"
        [[destination]]
        name = "x"
        peer = "w2"
        budget = 3
        verify_by_query = true
        window = "06:00-22:00"
        [[destination]]
        name = "y"
        ae_title = "Y"
        host = "y"
        [[list]]
        id = "l"
        flag = "samverkan"
        peer = "w"
        """
    let found = try Configuration.parse(Array(text.utf8), file: "c")
    var peer = Configuration.Peer(name: "w2", server: "s")
    peer.budget = 7
    peer.retrieveLevel = .series
    peer.responseTimeout = .seconds(11)
    peer.moveIdleTimeout = .seconds(720)
    #expect(found.peers[2] == peer)
    #expect(found.destinations[0].peer == "w2" && found.destinations[0].budget == 3)
    #expect(found.address(of: found.destinations[0]) == "https://h/dicom-web")
    #expect(found.address(of: found.destinations[1]) == "Y@y:104")
    #expect(try Configuration.parse(Array(found.rendered().utf8), file: "r") == found)
  }

  private typealias Fault = (text: String, message: String)

  /// Typed one by one: a literal of them all takes the compiler too long.
  private static let faulty: [Fault] = {
    var all: [Fault] = []
    all.append(
      (
        "[[peer]]\nname = \"w\"\nkind = \"web\"\nae_title = \"D\"\nhost = \"h\"",
        "3:8: peer[1].kind: found \"web\", expected one of \"dimse\", \"dicomweb\""
      ))
    all.append(
      (
        "[[peer]]\nname = \"w\"\nkind = \"dicomweb\"",
        "1:1: peer[1].server: missing: the name of the [[server]] whose url is where its DICOMweb "
          + "paths begin"
      ))
    all.append(
      (
        "[[peer]]\nname = \"w\"\nkind = \"dicomweb\"\nserver = \"q\"",
        "4:10: peer[1].server: found \"q\", expected the name of a [[server]]"
      ))
    all.append(
      (
        web + "host = \"h\"",
        "8:8: peer[1].host: is for kind = \"dimse\" only: with \"dicomweb\" the [[server]] has it"
      ))
    all.append(
      (
        server + "[[peer]]\nname = \"d\"\nae_title = \"D\"\nhost = \"h\"\nserver = \"s\"",
        "8:10: peer[1].server: is for kind = \"dicomweb\" only: a DIMSE peer has host and port"
      ))
    all.append(
      (
        web + "[[list]]\nid = \"l\"\nflag = \"samverkan\"\nsource = "
          + "{ kind = \"worklist\", peer = \"w\", station = \"T\" }",
        "11:38: list[1].source.peer: the peer w is of kind \"dicomweb\": worklists are asked for over "
          + "DIMSE only"
      ))
    all.append(
      (
        both + "[[destination]]\nname = \"x\"\nae_title = \"X\"\nhost = \"x\"\n"
          + "transfer = \"move\"\nmover = \"w\"",
        "17:9: destination[1].mover: the peer w is of kind \"dicomweb\": it cannot be asked to send to "
          + "somebody else (C-MOVE)"
      ))
    all.append(
      (
        both + "[[destination]]\nname = \"x\"\npeer = \"d\"",
        "14:8: destination[1].peer: the peer d is of kind \"dimse\": give its ae_title, host and port "
          + "here"
      ))
    all.append(
      (
        both + "[[destination]]\nname = \"x\"\npeer = \"q\"",
        "14:8: destination[1].peer: found \"q\", expected the name of a [[peer]]: w"
      ))
    all.append(
      (
        both + "[[destination]]\nname = \"x\"\npeer = \"w\"\nport = 104",
        "15:8: destination[1].port: stands beside peer: the [[peer]] tells how it is reached"
      ))
    all.append(
      (
        both + "[[destination]]\nname = \"x\"\npeer = \"w\"\nstorage_commitment = true",
        "15:22: destination[1].storage_commitment: stands beside peer: the [[peer]] tells how it is "
          + "reached"
      ))
    all.append(
      (
        web + "retrieve = \"get\"",
        "8:12: peer[1].retrieve: is for kind = \"dimse\" only: with \"dicomweb\" the [[server]] has it"
      ))
    return all
  }()

  @Test("a fault says what, where and what to do instead", arguments: faulty)
  func wrong(text: String, message: String) {
    #expect(faults(text) == ["c:" + message])
  }

  @Test(
    "what is for associations does not stand beside a destination's peer",
    arguments: ["storage_commitment = true", "commitment_timeout = \"1m\"", "user = \"u\""])
  func associationKeys(line: String) {
    let found = faults(Self.both + "[[destination]]\nname = \"x\"\npeer = \"w\"\n" + line)
    let key = line.prefix { $0 != " " }
    #expect(found.count == 1)
    #expect(found.first?.contains("destination[1].\(key): stands beside peer") == true)
  }

  private static let archive =
    "[archive]\nkind = \"peer\"\npeer = \"d\"\n"

  @Test("the archive can be a peer, which others are asked to send to")
  func peerArchive() throws {
    let text =
      Self.archive + Self.both + """
        [[peer]]
        name = "sectra"
        ae_title = "PACS"
        host = "p"
        [[list]]
        id = "l"
        flag = "samverkan"
        peer = "sectra"
        [[destination]]
        name = "x"
        ae_title = "X"
        host = "x"
        transfer = "move"
        mover = "d"
        """
    let found = try Configuration.parse(Array(text.utf8), file: "c")
    #expect(found.archive.kind == .peer && found.archive.peer == "d")
    #expect(found.archiveTitle == "D")
    #expect(try Configuration.parse(Array(found.rendered().utf8), file: "r") == found)
    var other = found
    #expect(found.hasSameArchive(as: other))
    other.peers[1].port = 105
    #expect(!found.hasSameArchive(as: other))
    // Over DICOMweb its AE title is told.
    let web = try Configuration.parse(
      Array(text.replacing("peer = \"d\"\n", with: "peer = \"w\"\nae_title = \"BFR\"\n").utf8),
      file: "c")
    #expect(web.archiveTitle == "BFR")
    #expect(web.hasSameArchive(as: web))
  }

  @Test(
    "what does not go with an archive that is a peer is a fault",
    arguments: [
      ("[archive]\npeer = \"d\"\n", "", "2:8: archive.peer: is for kind = \"peer\" only"),
      (
        "[archive]\nkind = \"peer\"\n", "",
        "1:1: archive.peer: missing: with kind = \"peer\" the [[peer]] that is the archive"
      ),
      (
        "[archive]\nkind = \"peer\"\npeer = \"q\"\n", "",
        "3:8: archive.peer: found \"q\", expected the name of a [[peer]]: w, d"
      ),
      (
        archive, "[[list]]\nid = \"l\"\nflag = \"samverkan\"\npeer = \"d\"\n",
        "18:8: list[1].peer: is the archive itself: an examination cannot be fetched from there"
      ),
      (
        archive, "[[list]]\nid = \"l\"\nflag = \"samverkan\"\npeer = \"w\"\n",
        "18:8: list[1].peer: is of kind \"dicomweb\": only a DIMSE peer can send to an archive that is "
          + "a peer (C-MOVE); or set prefetch = false"
      ),
      (
        archive, "[[destination]]\nname = \"x\"\nae_title = \"X\"\nhost = \"x\"\n",
        "16:8: destination[1].name: is sent to from here, but the archive is the peer d: let that one "
          + "send, by transfer = \"move\" and mover"
      ),
    ])
  func wrongArchive(archive: String, rest: String, message: String) {
    #expect(faults(archive + Self.both + rest) == ["c:" + message])
  }
}
