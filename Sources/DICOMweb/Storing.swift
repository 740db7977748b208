import DICOM
import Glibc
import HTTP
import JSON
import Platform

extension DICOMwebClient {
  /// What became of one object that was sent.
  public enum StoreAnswer: Hashable, Sendable {
    case stored
    /// Warning Reason (0008,1196).
    case storedWithWarning(DIMSEStatus)
    /// Failure Reason (0008,1197).
    case failed(DIMSEStatus)
    /// The answer does not tell: what is there has to be asked.
    case unknown
  }

  /// The answer to one request.
  public struct StoreResult: Hashable, Sendable {
    public var status: Int
    /// An answer for each object that was sent.
    public var answers: [UID: StoreAnswer]
    /// Why the request as a whole was refused; nil where the answer is about the objects.
    public var refusal: String?
  }

  /// STOW-RS (PS3.18 section 10.5): sends objects of one study, their data sets untouched, each with
  /// File Meta Information of ours before it. From the files straight into the request: memory does
  /// not depend upon their size, and a server that is slow holds up this thread alone.
  ///
  /// The same request again stores nothing twice: after a failure whose outcome is unknown it may be
  /// repeated.
  /// - Throws: ``DICOMwebError``; ``SystemError`` wrapped in ``StoreFailure`` where a file cannot be
  ///   read.
  public func store(
    _ instances: [StoredInstance], of study: UID, stop: Gate
  ) throws(StoreFailure) -> StoreResult {
    let path: String
    do throws(DICOMwebError) { path = "/studies/\(try DICOMwebError.part(study))" } catch {
      throw .service(error)
    }
    let boundary = Self.newBoundary()
    let parts = try instances.map { (instance) throws(StoreFailure) in
      try StorePart(instance, boundary, isFirst: instance == instances.first)
    }
    let close = Array("\r\n--\(boundary)--\r\n".utf8)
    let length = parts.reduce(close.count) { $0 + $1.length }
    var fault: StoreFailure?
    do throws(HTTPFailure) {
      let (head, exchange) = try service.exchange(
        "POST", path, headers: [("Accept", Self.json)],
        contentType: #"multipart/related; type="application/dicom"; boundary="# + boundary,
        uploadLength: length, idle: options.idleTimeout, stop: stop
      ) { (exchange) throws(HTTPFailure) in
        do throws(StoreFailure) {
          for part in parts where try !part.write(to: exchange) { return }
          _ = try Self.write(close, to: exchange)
        } catch {
          exchange.cancel()
          fault = error
          throw HTTPFailure(.broken, "given up")
        }
      }
      defer { exchange.cancel() }
      return try result(head, exchange, instances)
    } catch {
      throw fault ?? .service(DICOMwebError(error))
    }
  }

  /// Why a request was not made or did not come to an answer.
  public enum StoreFailure: Error, Hashable, Sendable {
    case unreadable(UID, SystemError)
    case service(DICOMwebError)
  }

  /// 128 bits of chance: nothing that is sent has it.
  private static func newBoundary() -> String {
    var generator = SystemRandomNumberGenerator()
    return "syncd-" + String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
  }

  fileprivate static func write(
    _ bytes: [UInt8], to exchange: HTTPExchange
  ) throws(StoreFailure) -> Bool {
    do throws(HTTPFailure) {
      return try bytes.borrowed { (bytes) throws(HTTPFailure) in try exchange.write(bytes) }
    } catch {
      throw .service(DICOMwebError(error))
    }
  }

  // MARK: - The answer

  /// The longest answer that is read: some hundred bytes an object.
  private static let longestAnswer = 16 << 20

  private func result(
    _ head: HTTPResponse, _ exchange: HTTPExchange, _ instances: [StoredInstance]
  ) throws(HTTPFailure) -> StoreResult {
    var result = StoreResult(
      status: head.status,
      answers: Dictionary(
        instances.map { ($0.sopInstance, .unknown) }, uniquingKeysWith: { first, _ in first }))
    let isAboutObjects = head.isSuccess || head.status == 409
    guard isAboutObjects else {
      exchange.discard()
      result.refusal = "\(service.base.origin): \(DICOMwebError.words(head.status))"
      return result
    }
    let body: [UInt8]
    do throws(HTTPFailure) {
      body = try exchange.body(limit: Self.longestAnswer)
    } catch {
      // It has been heard and answered; what the answer was is asked otherwise.
      if error.kind == .unusable || error.kind == .broken { return result }
      throw error
    }
    guard let value = try? JSONValue.parse(body),
      let response = DICOMJSON(value) ?? value.arrayValue?.first.flatMap({ DICOMJSON($0) })
    else {
      // An answer without a word about the objects: 409 at least says that something was refused.
      if head.status == 409 { result.refusal = "\(service.base.origin): it refused them (409)" }
      return result
    }
    result.read(response)
    return result
  }
}

extension DICOMwebClient.StoreResult {
  /// Store Instances Response Module (PS3.3 section C.32; PS3.18 section 10.5.3).
  mutating func read(_ response: DICOMJSON) {
    for item in response.items(.referencedSOPSequence) {
      guard let uid = item.uid(.referencedSOPInstanceUID), answers[uid] != nil else { continue }
      answers[uid] =
        item.integer(Tag(0x0008, 0x1196)).flatMap { UInt16(exactly: $0) }
        .map { .storedWithWarning(DIMSEStatus($0)) } ?? .stored
    }
    // One that stands in both has failed.
    for item in response.items(.failedSOPSequence) {
      guard let uid = item.uid(.referencedSOPInstanceUID), answers[uid] != nil else { continue }
      let reason = item.integer(.failureReason).flatMap { UInt16(exactly: $0) }
      answers[uid] = .failed(reason.map { DIMSEStatus($0) } ?? .processingFailure)
    }
  }
}

/// One object of a request: its part's head, and its data set in a file.
private struct StorePart {
  let instance: StoredInstance
  let head: [UInt8]

  var length: Int { head.count + instance.dataSetLength }

  init(
    _ instance: StoredInstance, _ boundary: String, isFirst: Bool
  ) throws(DICOMwebClient.StoreFailure) {
    self.instance = instance
    // A file that is not there, or is too short, is told before anything is sent.
    do throws(SystemError) { _ = try FileDataSet(instance) } catch {
      throw .unreadable(instance.sopInstance, error)
    }
    let meta = FileMetaInformation(
      sopClass: instance.sopClass, sopInstance: instance.sopInstance,
      transferSyntax: instance.transferSyntax)
    let lines = "\(isFirst ? "" : "\r\n")--\(boundary)\r\nContent-Type: application/dicom\r\n\r\n"
    do throws(DataSetError) {
      head = Array(lines.utf8) + (try meta.encodedFileHeader())
    } catch {
      throw .unreadable(
        instance.sopInstance,
        SystemError(code: EINVAL, operation: "file meta information", subject: "\(error)"))
    }
  }

  /// False where no more is wanted.
  func write(to exchange: HTTPExchange) throws(DICOMwebClient.StoreFailure) -> Bool {
    guard try DICOMwebClient.write(head, to: exchange) else { return false }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    defer { room.deallocate() }
    var source: FileDataSet
    do throws(SystemError) { source = try FileDataSet(instance) } catch {
      throw .unreadable(instance.sopInstance, error)
    }
    while true {
      let count: Int
      do throws(SystemError) { count = try source.read(into: room) } catch {
        throw .unreadable(instance.sopInstance, error)
      }
      if count == 0 { return true }
      do throws(HTTPFailure) {
        let bytes = UnsafeRawBufferPointer(rebasing: room[..<count])
        guard try exchange.write(bytes) else { return false }
      } catch {
        throw .service(DICOMwebError(error))
      }
    }
  }
}
