import DICOM
import HTTP
import JSON
import Platform

/// A server of DICOMweb (PS3.18), asked over an ``HTTPService`` whose base is where its paths begin:
/// `https://host/dicom-web`. Nothing but UIDs and examination numbers ever stands in a URL.
///
/// Every call blocks, ends soon once `stop` opens, and may come from several threads at once.
public struct DICOMwebClient: Sendable {
  public struct Options: Hashable, Sendable {
    /// How long a query may take, page by page.
    public var responseTimeout: Duration = .seconds(60)
    /// How long nothing may move while objects come or go.
    public var idleTimeout: Duration = .seconds(600)
    /// Matches asked for at a time.
    public var pageSize = 1000
    /// Objects and bytes sent in one request; a single object may have more.
    public var mostInstances = 50
    public var mostBytes = 128 << 20

    public init() {}
  }

  public let service: HTTPService
  public let options: Options

  public init(_ service: HTTPService, _ options: Options = Options()) {
    self.service = service
    self.options = options
  }

  /// Results of one search; no study has more objects.
  static let mostMatches = 250_000
  static let json = "application/dicom+json, application/json;q=0.9"

  // MARK: - QIDO-RS

  /// QIDO-RS (PS3.18 section 10.6): every match, to a proven end.
  ///
  /// Pages are asked for until one is empty: a page that is shorter than asked proves nothing, since
  /// servers have limits of their own. Matches that come again on a later page, beside new ones, mean
  /// that something has come or gone meanwhile, so that another one may have been left out: it is
  /// read anew. A page that only repeats the first one is that of a server which does not know
  /// `offset`: what it gave is everything only where it is not as much as was asked for and it warned
  /// of no more (section 8.3.4.4).
  /// - Parameters:
  ///   - path: below the base, such as `/studies`.
  ///   - parameters: names and values; values are percent-encoded here.
  ///   - key: what tells one match from another.
  ///   - begin: called before each reading of everything.
  ///   - take: each match once.
  func search(
    _ path: String, _ parameters: [(String, String)], stop: Gate, key: Tag,
    begin: () -> Void, take: (DICOMJSON, UID) throws(DICOMwebError) -> Void
  ) throws(DICOMwebError) {
    for attempt in 1... {
      begin()
      if try searchOnce(path, parameters, stop, key, take) { return }
      if attempt == 3 { break }
    }
    throw DICOMwebError(
      .unproven,
      "\(service.base.origin): its matches changed while they were read, three times in a row")
  }

  /// False where it changed meanwhile.
  private func searchOnce(
    _ path: String, _ parameters: [(String, String)], _ stop: Gate, _ key: Tag,
    _ take: (DICOMJSON, UID) throws(DICOMwebError) -> Void
  ) throws(DICOMwebError) -> Bool {
    var seen: Set<UID> = []
    var first: Page?
    var offset = 0
    while true {
      var fresh: Set<UID> = []
      var repeated = 0
      let page = try self.page(path, parameters, offset, stop, key) {
        (match, uid) throws(DICOMwebError) in
        if seen.contains(uid) {
          repeated += 1
        } else if fresh.insert(uid).inserted {
          guard seen.count + fresh.count <= Self.mostMatches else {
            throw DICOMwebError(
              .malformed, "\(service.base.origin): more than \(Self.mostMatches) matches")
          }
          try take(match, uid)
        }
      }
      seen.formUnion(fresh)
      if page.count == 0 { break }
      if repeated > 0 {
        guard fresh.isEmpty, let first else { return false }
        // Fewer than asked for, or more, where it knows neither limit nor offset.
        guard first.count != options.pageSize, !first.warnsOfMore else {
          throw DICOMwebError(
            .unproven,
            "\(service.base.origin): it answers every page with the first \(first.count) matches: "
              + "what it has beyond them cannot be asked for")
        }
        break
      }
      if first == nil { first = page }
      offset += page.count
    }
    if let total = first?.total, total != seen.count {
      throw DICOMwebError(
        .unproven,
        "\(service.base.origin): it announced \(total) matches and gave \(seen.count)")
    }
    return true
  }

  private struct Page {
    var count = 0
    /// Warning 299: there are more results than these.
    var warnsOfMore = false
    /// X-Total-Count, where a server tells.
    var total: Int?
  }

  private func page(
    _ path: String, _ parameters: [(String, String)], _ offset: Int, _ stop: Gate, _ key: Tag,
    _ take: (DICOMJSON, UID) throws(DICOMwebError) -> Void
  ) throws(DICOMwebError) -> Page {
    let query = (parameters + [("limit", "\(options.pageSize)"), ("offset", "\(offset)")])
      .map { "\($0.0)=\(HTTPURL.escaped($0.1))" }.joined(separator: "&")
    let (head, exchange) = try ask(
      "\(path)?\(query)", accept: Self.json, idle: options.responseTimeout, stop: stop)
    defer { exchange.cancel() }
    if head.status == 204 {
      exchange.discard()
      return Page()
    }
    guard head.status == 200 || head.status == 206 else { throw refusal(head, exchange) }
    let type = try mediaType(head)
    guard type.name == "application/dicom+json" || type.name == "application/json" else {
      throw unusable(type, "JSON")
    }
    var page = Page()
    page.warnsOfMore =
      head.headers.contains { $0.name == "warning" && $0.value.hasPrefix("299") }
      || head.status == 206
    page.total = head["x-total-count"].flatMap { Int($0) }
    let deadline = Deadline.after(options.responseTimeout * 10)
    var reader = JSONItemReader(array: nil)
    var problem: DICOMwebError?
    var piece: [UInt8] = []
    while try read(exchange, &piece) {
      do throws(JSONError) {
        try piece.borrowed { (bytes) throws(JSONError) in
          try reader.feed(bytes) { item in
            guard problem == nil else { return }
            page.count += 1
            do throws(DICOMwebError) {
              guard let match = DICOMJSON(item), let uid = match.uid(key) else {
                throw DICOMwebError(
                  .malformed,
                  "\(service.base.origin): match \(offset + page.count) has no \(DICOMJSON.key(key))"
                )
              }
              try take(match, uid)
            } catch {
              problem = error
            }
          }
        }
      } catch {
        throw unreadable(error)
      }
      if let problem { throw problem }
      if deadline.isPast {
        throw DICOMwebError(
          .failed(.timeout), "\(service.base.origin): no whole answer in time")
      }
    }
    do throws(JSONError) { _ = try reader.finish() } catch { throw unreadable(error) }
    return page
  }

  // MARK: - Asking

  func ask(
    _ path: String, accept: String, idle: Duration, stop: Gate
  ) throws(DICOMwebError) -> (HTTPResponse, HTTPExchange) {
    do throws(HTTPFailure) {
      return try service.exchange(
        "GET", path, headers: [("Accept", accept)], idle: idle, stop: stop)
    } catch {
      throw DICOMwebError(error)
    }
  }

  func read(_ exchange: HTTPExchange, _ piece: inout [UInt8]) throws(DICOMwebError) -> Bool {
    do throws(HTTPFailure) { return try exchange.read(into: &piece) } catch {
      throw DICOMwebError(error)
    }
  }

  func mediaType(_ head: HTTPResponse) throws(DICOMwebError) -> MediaType {
    guard let type = head["content-type"].flatMap({ MediaType($0) }) else {
      throw DICOMwebError(
        .malformed, "\(service.base.origin): its answer is of no type, so that it means nothing")
    }
    return type
  }

  func unusable(_ type: MediaType, _ wanted: String) -> DICOMwebError {
    DICOMwebError(
      .malformed,
      "\(service.base.origin): its answer is \(type.name.prefix(60)), not \(wanted): is it a log-in "
        + "page, or the wrong address?")
  }

  func refusal(_ head: HTTPResponse, _ exchange: HTTPExchange) -> DICOMwebError {
    exchange.discard()
    return DICOMwebError(
      .refused(head.status), "\(service.base.origin): \(DICOMwebError.words(head.status))")
  }

  func unreadable(_ error: JSONError) -> DICOMwebError {
    DICOMwebError(.malformed, "\(service.base.origin): its answer cannot be read: \(error)")
  }
}

// MARK: - What is searched for

extension DICOMwebClient {
  /// A study that a search found.
  public struct Study: Hashable, Sendable {
    public var uid: UID
    /// Nil where the server does not tell.
    public var accessionNumber: String?
  }

  /// One object that a search found.
  public struct Instance: Hashable, Sendable {
    public var uid: UID
    public var series: UID
    public var sopClass: UID?
  }

  /// The studies under an Accession Number; what the server takes for a match, which may be more.
  public func studies(
    accessionNumber: String, stop: Gate
  ) throws(DICOMwebError) -> [Study] {
    var found: [Study] = []
    try search(
      "/studies", [(DICOMJSON.key(.accessionNumber), accessionNumber)], stop: stop,
      key: .studyInstanceUID, begin: { found = [] }
    ) { match, uid in
      found.append(Study(uid: uid, accessionNumber: match.string(.accessionNumber)))
    }
    return found
  }

  /// What a study tells of its patient; nil where the server does not know the study.
  public func patient(of study: UID, stop: Gate) throws(DICOMwebError) -> DICOMJSON? {
    var found: DICOMJSON?
    try search(
      "/studies",
      [
        (DICOMJSON.key(.studyInstanceUID), try DICOMwebError.part(study)),
        ("includefield", DICOMJSON.key(.patientBirthDate)),
        ("includefield", DICOMJSON.key(.patientSex)),
      ], stop: stop, key: .studyInstanceUID, begin: { found = nil }
    ) { match, uid in
      if uid == study { found = match }
    }
    return found
  }

  /// Every object of a study.
  public func instances(of study: UID, stop: Gate) throws(DICOMwebError) -> [Instance] {
    let part = try DICOMwebError.part(study)
    var found: [Instance] = []
    try search(
      "/studies/\(part)/instances", [("includefield", DICOMJSON.key(.seriesInstanceUID))],
      stop: stop, key: .sopInstanceUID, begin: { found = [] }
    ) { (match, uid) throws(DICOMwebError) in
      guard let series = match.uid(.seriesInstanceUID) else {
        throw DICOMwebError(
          .malformed, "\(service.base.origin): a match has no Series Instance UID (0020,000E)")
      }
      if let other = match.uid(.studyInstanceUID), other != study {
        throw DICOMwebError(
          .malformed, "\(service.base.origin): it answers with objects of another study")
      }
      found.append(Instance(uid: uid, series: series, sopClass: match.uid(.sopClassUID)))
    }
    return found
  }

  /// The attributes of one object (PS3.18 section 10.4.1.1.5), without its pixels.
  public func metadata(
    of instance: Instance, in study: UID, stop: Gate
  ) throws(DICOMwebError) -> DICOMJSON {
    let path =
      "/studies/\(try DICOMwebError.part(study))/series/\(try DICOMwebError.part(instance.series))"
      + "/instances/\(try DICOMwebError.part(instance.uid))/metadata"
    let (head, exchange) = try ask(
      path, accept: Self.json, idle: options.responseTimeout, stop: stop)
    defer { exchange.cancel() }
    guard head.status == 200 else { throw refusal(head, exchange) }
    let body: [UInt8]
    do throws(HTTPFailure) { body = try exchange.body(limit: 16 << 20) } catch {
      throw DICOMwebError(error)
    }
    do throws(JSONError) {
      let value = try JSONValue.parse(body)
      guard let found = value.arrayValue?.first.flatMap({ DICOMJSON($0) }) else {
        throw JSONError(offset: 0, reason: .unexpectedEnd)
      }
      return found
    } catch {
      throw unreadable(error)
    }
  }
}
