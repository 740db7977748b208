import DICOM
import Glibc
import HTTP
import Platform

extension DICOMwebClient {
  /// What is retrieved (PS3.18 section 10.4.1.1).
  public enum Resource: Hashable, Sendable {
    case study(UID)
    case series(UID, study: UID)
    case instance(UID, series: UID, study: UID)

    func path() throws(DICOMwebError) -> String {
      switch self {
      case .study(let study): return "/studies/\(try DICOMwebError.part(study))"
      case .series(let series, let study):
        return "/studies/\(try DICOMwebError.part(study))/series/\(try DICOMwebError.part(series))"
      case .instance(let instance, let series, let study):
        return "/studies/\(try DICOMwebError.part(study))/series/\(try DICOMwebError.part(series))"
          + "/instances/\(try DICOMwebError.part(instance))"
      }
    }
  }

  /// What came of a retrieval whose answer came to its proven end.
  public struct Retrieved: Hashable, Sendable {
    public var stored = 0
    /// Objects that came and were not wanted.
    public var skipped = 0
    /// Objects that came and were not taken; and why the first of them was not.
    public var failed = 0
    public var reason: String?
    /// The server says that this is not everything (206).
    public var isPartial = false
  }

  /// As stored: no object is converted by the way, whatever it is encoded as.
  static let acceptedObjects =
    #"multipart/related; type="application/dicom"; transfer-syntax=*"#

  /// WADO-RS (PS3.18 section 10.4): has objects sent in the answer, and hands each on as its bytes
  /// arrive. Memory is that of some pieces, whatever the size of an object; a storage that is slow
  /// holds up the server, and no other request.
  ///
  /// An object is stored when the delimiter behind it has come. A failure in the middle leaves those
  /// before it stored, and nothing of the one that was cut.
  /// - Parameters:
  ///   - storage: gets the objects, as if they had come by C-STORE.
  ///   - association: whom it is told that they come from.
  ///   - wants: whether an object is to be stored at all; else it is read past.
  ///   - progress: called after each stored object.
  public func retrieve(
    _ resource: Resource, into storage: any StorageProvider, association: AssociationInfo,
    stop: Gate, wants: @escaping (UID) -> Bool = { _ in true },
    progress: @escaping (Retrieved) -> Void = { _ in }
  ) throws(DICOMwebError) -> Retrieved {
    let (head, exchange) = try ask(
      try resource.path(), accept: Self.acceptedObjects, idle: options.idleTimeout, stop: stop)
    defer { exchange.cancel() }
    guard head.status == 200 || head.status == 206 else { throw refusal(head, exchange) }
    let type = try mediaType(head)
    let receiver = ObjectReceiver(storage, association, wants, progress)
    receiver.retrieved.isPartial = head.status == 206
    // Nothing of what was cut is kept.
    defer { receiver.abort() }
    switch type.name {
    case "multipart/related": try receive(exchange, type, receiver)
    case "application/dicom": try receiveOne(exchange, head, receiver)
    default: throw unusable(type, "multipart/related")
    }
    return receiver.retrieved
  }

  private func receive(
    _ exchange: HTTPExchange, _ type: MediaType, _ receiver: ObjectReceiver
  ) throws(DICOMwebError) {
    if let kind = type["type"]?.lowercased(), kind != "application/dicom" {
      throw malformed("it sends \(kind.prefix(60)) instead of application/dicom")
    }
    guard let boundary = type["boundary"] else {
      throw malformed("its multipart answer names no boundary")
    }
    var parser = try parser(boundary)
    var piece: [UInt8] = []
    while try read(exchange, &piece) {
      try piece.borrowed { (bytes) throws(DICOMwebError) in
        var rest = bytes
        while let event = try next(&parser, &rest) { try receiver.take(event) }
      }
    }
    do throws(MultipartError) { try parser.finish() } catch { throw malformed("\(error)") }
  }

  private func parser(_ boundary: String) throws(DICOMwebError) -> MultipartParser {
    do throws(MultipartError) { return try MultipartParser(boundary: boundary) } catch {
      throw malformed("\(error)")
    }
  }

  private func next(
    _ parser: inout MultipartParser, _ rest: inout UnsafeRawBufferPointer
  ) throws(DICOMwebError) -> MultipartParser.Event? {
    do throws(MultipartError) { return try parser.next(&rest) } catch {
      throw malformed("its multipart answer is broken: \(error)")
    }
  }

  /// A single object without multipart around it, as some servers send one that was asked for alone.
  /// Its end is proven by HTTP's own framing, or not at all.
  private func receiveOne(
    _ exchange: HTTPExchange, _ head: HTTPResponse, _ receiver: ObjectReceiver
  ) throws(DICOMwebError) {
    let isFramed =
      head.version >= 20 || head["content-length"] != nil
      || head["transfer-encoding"]?.lowercased().contains("chunked") == true
    guard isFramed else {
      throw malformed("nothing tells where its answer ends, so that it may have been cut")
    }
    try receiver.begin(type: nil)
    var piece: [UInt8] = []
    while try read(exchange, &piece) {
      try piece.borrowed { (bytes) throws(DICOMwebError) in
        try receiver.take(.bytes(bytes))
      }
    }
    try receiver.take(.partEnded)
  }

  private func malformed(_ what: String) -> DICOMwebError {
    DICOMwebError(.malformed, "\(service.base.origin): \(what)")
  }
}
