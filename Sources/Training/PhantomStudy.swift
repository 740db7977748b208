import DICOM
import Glibc
import Platform

/// A made-up CT study: proper CT Image Storage objects (PS3.3 annex A.3) of ellipses, the same for the
/// same name. The patient is invented; the number is the public test number.
public struct PhantomStudy: Sendable {
  public struct Series: Sendable {
    public var number: Int
    public var description: String
    public var images: Int

    public init(number: Int, description: String, images: Int) {
      self.number = number
      self.description = description
      self.images = images
    }
  }

  /// Accession Number (US-nummer), 16 characters as SECTRA's are.
  public var accession: String
  public var patientName: String
  public var patientID = "191212121212"
  public var description: String
  /// YYYYMMDD.
  public var date: String
  /// Rows and columns of each image.
  public var size: Int
  public var series: [Series]

  public init(
    accession: String, patientName: String, description: String, date: String = "20261123",
    size: Int = 128, series: [Series]
  ) {
    self.accession = accession
    self.patientName = patientName
    self.description = description
    self.date = date
    self.size = size
    self.series = series
  }

  public var studyUID: UID { Self.uid(accession) }
  public func seriesUID(_ number: Int) -> UID { Self.uid("\(accession)/\(number)") }
  public func instanceUID(_ series: Int, _ image: Int) -> UID {
    Self.uid("\(accession)/\(series)/\(image)")
  }

  /// A UID of the 2.25 root from the digest of a name: the same every time.
  static func uid(_ name: String) -> UID {
    let digest = SHA256.hash(Array(name.utf8)).prefix(14)
    // Decimal from base 256, digit by digit: 14 bytes are more than any integer here holds.
    var digits: [UInt8] = [0]
    for byte in digest {
      var carry = Int(byte)
      for index in digits.indices {
        carry += Int(digits[index]) * 256
        digits[index] = UInt8(carry % 10)
        carry /= 10
      }
      while carry > 0 {
        digits.append(UInt8(carry % 10))
        carry /= 10
      }
    }
    return UID("2.25." + digits.reversed().map(String.init).joined())
  }

  /// Writes one series as Part 10 files.
  public func write(_ series: Series, into directory: String) throws -> [StoredInstance] {
    let pixels = phantom(seed: series.number)
    return try (1...max(1, series.images)).map { image in
      let instance = instanceUID(series.number, image)
      let data = try object(series, image, pixels).encoded(as: .explicitVRLittleEndian)
      let head = try FileMetaInformation(
        sopClass: Self.ctImageStorage, sopInstance: instance,
        transferSyntax: .explicitVRLittleEndian, sourceAETitle: "PHANTOM"
      ).encodedFileHeader()
      let path = "\(directory)/\(instance).dcm"
      let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
      for bytes in [head, data] {
        var failure: SystemError?
        bytes.withUnsafeBytes { raw in
          do throws(SystemError) { try file.writeAll(raw) } catch { failure = error }
        }
        if let failure { throw failure }
      }
      return StoredInstance(
        sopClass: Self.ctImageStorage, sopInstance: instance,
        transferSyntax: .explicitVRLittleEndian, path: path, dataSetOffset: head.count,
        dataSetLength: data.count)
    }
  }

  public static let ctImageStorage: UID = "1.2.840.10008.5.1.4.1.1.2"

  private func object(_ series: Series, _ image: Int, _ pixels: [UInt8]) throws -> DataSet {
    var set = DataSet()
    try set.set(.specificCharacterSet, .CS, "ISO_IR 192")
    try set.set(.imageType, .CS, "ORIGINAL", "PRIMARY", "AXIAL")
    set.set(.sopClassUID, Self.ctImageStorage)
    set.set(.sopInstanceUID, instanceUID(series.number, image))
    for tag in [Tag.studyDate, .seriesDate, .contentDate] { try set.set(tag, .DA, date) }
    for tag in [Tag.studyTime, .seriesTime, .contentTime] { try set.set(tag, .TM, "073000") }
    try set.set(.accessionNumber, .SH, accession)
    try set.set(.modality, .CS, "CT")
    try set.set(.manufacturer, .LO, "syncd training")
    try set.set(.referringPhysicianName, .PN, "")
    try set.set(.studyDescription, .LO, description)
    try set.set(.seriesDescription, .LO, series.description)
    try set.set(.patientName, .PN, patientName)
    try set.set(.patientID, .LO, patientID)
    try set.set(.patientBirthDate, .DA, "19121212")
    try set.set(.patientSex, .CS, "O")
    // Without a body part, Laterality (0020,0060) would be needed (PS3.3 section C.7.3.1).
    try set.set(.bodyPartExamined, .CS, "CHEST")
    try set.set(.sliceThickness, .DS, "1.25")
    try set.set(.kvp, .DS, "120")
    try set.set(.patientPosition, .CS, "HFS")
    set.set(.studyInstanceUID, studyUID)
    set.set(.seriesInstanceUID, seriesUID(series.number))
    try set.set(.studyID, .SH, "1")
    try set.set(.seriesNumber, .IS, String(series.number))
    try set.set(.acquisitionNumber, .IS, "1")
    try set.set(.instanceNumber, .IS, String(image))
    try set.set(.imagePositionPatient, .DS, "-100", "-100", String(Double(image) * 1.25))
    try set.set(.imageOrientationPatient, .DS, "1", "0", "0", "0", "1", "0")
    set.set(.frameOfReferenceUID, Self.uid("\(accession)/frame"))
    try set.set(.positionReferenceIndicator, .LO, "")
    set.set(.samplesPerPixel, uint16: 1)
    try set.set(.photometricInterpretation, .CS, "MONOCHROME2")
    set.set(.rows, uint16: UInt16(size))
    set.set(.columns, uint16: UInt16(size))
    try set.set(.pixelSpacing, .DS, "0.8", "0.8")
    set.set(.bitsAllocated, uint16: 16)
    set.set(.bitsStored, uint16: 16)
    set.set(.highBit, uint16: 15)
    set.set(.pixelRepresentation, uint16: 1)
    try set.set(.windowCenter, .DS, "40")
    try set.set(.windowWidth, .DS, "400")
    try set.set(.rescaleIntercept, .DS, "0")
    try set.set(.rescaleSlope, .DS, "1")
    try set.set(.rescaleType, .LO, "HU")
    // Every image differs: its number stands in its first pixels.
    var own = pixels
    own[0] = UInt8(truncatingIfNeeded: image)
    own[1] = UInt8(truncatingIfNeeded: image >> 8)
    set.setBytes(.pixelData, .OW, own)
    return set
  }

  /// Air with a body and two organs, in Hounsfield units.
  private func phantom(seed: Int) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: size * size * 2)
    let half = size / 2
    for row in 0..<size {
      for column in 0..<size {
        let x = (column - half) * 100 / half
        let y = (row - half) * 100 / half
        var value = -1000
        if x * x + y * y * 2 < 8100 { value = 40 + seed * 5 }
        if (x - 40) * (x - 40) + y * y < 400 { value = -700 }
        if (x + 40) * (x + 40) + y * y < 400 { value = -700 }
        let index = (row * size + column) * 2
        let bits = UInt16(bitPattern: Int16(value))
        pixels[index] = UInt8(truncatingIfNeeded: bits)
        pixels[index + 1] = UInt8(truncatingIfNeeded: bits >> 8)
      }
    }
    return pixels
  }
}
