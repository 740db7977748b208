import DICOM
import Glibc

/// Hands the objects of one answer on to a storage, each as its bytes arrive. What is wrong with one
/// object costs that one.
final class ObjectReceiver {
  var retrieved = DICOMwebClient.Retrieved()
  private let storage: any StorageProvider
  private let association: AssociationInfo
  private let wants: (UID) -> Bool
  private let progress: (DICOMwebClient.Retrieved) -> Void

  private enum Part {
    case none
    case head(ObjectHead)
    case storing(any StoreSink)
    /// Read past: not wanted, or not taken.
    case ignored
  }
  private var part = Part.none

  init(
    _ storage: any StorageProvider, _ association: AssociationInfo,
    _ wants: @escaping (UID) -> Bool, _ progress: @escaping (DICOMwebClient.Retrieved) -> Void
  ) {
    self.storage = storage
    self.association = association
    self.wants = wants
    self.progress = progress
  }

  /// - Throws: ``DICOMwebError/Kind/notAccepted``: no object can be stored at the moment.
  func take(_ event: MultipartParser.Event) throws(DICOMwebError) {
    switch event {
    case .partBegan(let headers):
      guard let text = headers["content-type"] else { return try begin(type: nil) }
      try begin(type: MediaType(text)?.name ?? text)
    case .bytes(let bytes): try take(bytes)
    case .partEnded: try end()
    case .closed: break
    }
  }

  /// - Parameter type: nil where none is told; the object's own beginning then says what it is.
  func begin(type: String?) throws(DICOMwebError) {
    if let type, type != "application/dicom" {
      return fail("a part is \(type.prefix(60)), not application/dicom")
    }
    part = .head(ObjectHead())
  }

  /// The object that is under way will not be completed.
  func abort() {
    if case .storing(let sink) = part { sink.abort() }
    part = .none
  }

  private func fail(_ reason: String) {
    retrieved.failed += 1
    if retrieved.reason == nil { retrieved.reason = reason }
    part = .ignored
  }

  private func take(_ bytes: UnsafeRawBufferPointer) throws(DICOMwebError) {
    var rest = bytes
    if case .head(var head) = part {
      // Its bytes are not copied where nobody else holds them.
      part = .ignored
      let found = read { () throws(DataSetError) in try head.take(&rest) }
      guard case .some(let header) = found else { return }
      guard let header else {
        part = .head(head)
        return
      }
      try begin(header)
    }
    if !rest.isEmpty { try write(rest) }
  }

  private func end() throws(DICOMwebError) {
    if case .head(var head) = part {
      part = .ignored
      guard case .some(.some(let header)) = read({ () throws(DataSetError) in try head.finish() })
      else { return }
      try begin(header)
    }
    guard case .storing(let sink) = part else {
      part = .none
      return
    }
    part = .none
    do throws(ServiceFailure) {
      _ = try sink.finish()
    } catch {
      try refused(error)
      return
    }
    retrieved.stored += 1
    progress(retrieved)
  }

  private typealias Header = (header: FileHeader, dataSet: ArraySlice<UInt8>)

  /// Nil where the object cannot be read, which has been noted.
  private func read(_ body: () throws(DataSetError) -> Header?) -> Header?? {
    do throws(DataSetError) { return .some(try body()) } catch {
      fail("an object cannot be read: \(error)")
      return nil
    }
  }

  private func begin(_ found: Header) throws(DICOMwebError) {
    let meta = found.header.metaInformation
    guard let instance = meta?.mediaStorageSOPInstance, instance.isValid,
      let sopClass = meta?.mediaStorageSOPClass, sopClass.isValid
    else { return fail("an object does not say which it is (0002,0003)") }
    guard wants(instance) else {
      retrieved.skipped += 1
      part = .ignored
      return
    }
    guard !found.header.transferSyntax.isDeflated else {
      return fail("an object is deflated, which the archive does not take over the network")
    }
    do throws(ServiceFailure) {
      part = .storing(
        try storage.beginStore(
          StoreRequest(
            association: association, sopClass: sopClass, sopInstance: instance,
            transferSyntax: found.header.transferSyntax)))
    } catch {
      return try refused(error)
    }
    if !found.dataSet.isEmpty {
      let problem = found.dataSet.withUnsafeBytes { bytes -> DICOMwebError? in
        do throws(DICOMwebError) {
          try write(bytes)
          return nil
        } catch {
          return error
        }
      }
      if let problem { throw problem }
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(DICOMwebError) {
    guard case .storing(let sink) = part else { return }
    var vector = iovec(
      iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    let failure = withUnsafeMutablePointer(to: &vector) { pointer -> ServiceFailure? in
      do throws(ServiceFailure) {
        try sink.write(
          DataFragments(
            borrowing: UnsafeMutableBufferPointer(start: pointer, count: 1),
            byteCount: bytes.count))
        return nil
      } catch {
        return error
      }
    }
    guard let failure else { return }
    part = .ignored
    sink.abort()
    try refused(failure)
  }

  /// One object was not taken; or none is, and it is no use having them sent.
  private func refused(_ failure: ServiceFailure) throws(DICOMwebError) {
    if (0xA700...0xA7FF).contains(failure.status.rawValue) {
      part = .none
      throw DICOMwebError(.notAccepted, failure.comment ?? failure.status.description)
    }
    fail("an object was not taken: \(failure)")
  }
}
