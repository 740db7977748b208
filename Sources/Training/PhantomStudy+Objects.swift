import DICOM

extension PhantomStudy {
  /// One CT Image (PS3.3 section A.3).
  /// - Throws: If a text cannot be written in the study's repertoire.
  public func object(series index: Int, image: Int) throws(DataSetError) -> DataSet {
    var object = try header(series: index, image: image)
    let size = series[index].size
    object.setBytes(.pixelData, .OW, pixels(size: size, series: index, image: image))
    return object
  }

  /// The same without Pixel Data (7FE0,0010).
  public func header(series index: Int, image: Int) throws(DataSetError) -> DataSet {
    let plan = series[index]
    var object = DataSet()
    try object.set(.specificCharacterSet, repertoire.rawValue)
    try object.set(Tag(0x0008, 0x0008), "ORIGINAL", "PRIMARY", "AXIAL")
    object.set(.sopClassUID, SOPClass.ctImageStorage)
    object.set(.sopInstanceUID, sopInstanceUID(series: index, image: image))
    for (tag, text) in [
      (Tag(0x0008, 0x0020), date), (Tag(0x0008, 0x0021), date), (Tag(0x0008, 0x0023), date),
      (Tag(0x0008, 0x0030), time), (Tag(0x0008, 0x0031), time), (Tag(0x0008, 0x0033), time),
    ] { try object.set(tag, text) }
    try object.set(.accessionNumber, accessionNumber)
    try object.set(.modality, "CT")
    try object.set(Tag(0x0008, 0x0070), "syncd")
    object.setEmpty(Tag(0x0008, 0x0090))
    try object.set(Tag(0x0008, 0x1030), description)
    try object.set(Tag(0x0008, 0x103E), plan.description)
    try object.set(Tag(0x0008, 0x1090), "Phantom")

    try object.set(Tag(0x0010, 0x0010), patient.name)
    try object.set(Tag(0x0010, 0x0020), patient.id)
    try object.set(Tag(0x0010, 0x0030), patient.birthDate)
    try object.set(Tag(0x0010, 0x0040), patient.sex)

    try object.set(Tag(0x0018, 0x0050), Self.decimal(plan.spacing))
    try object.set(Tag(0x0018, 0x0060), "120")
    try object.set(Tag(0x0018, 0x5100), "HFS")

    object.set(.studyInstanceUID, studyInstanceUID)
    object.set(.seriesInstanceUID, seriesInstanceUID(index))
    try object.set(Tag(0x0020, 0x0010), String(seed % 10_000))
    object.set(Tag(0x0020, 0x0011), integer: index + 1)
    object.set(Tag(0x0020, 0x0012), integer: 1)
    object.set(Tag(0x0020, 0x0013), integer: image + 1)
    // The image plane (PS3.3 section C.7.6.2): the first pixel's place, axial, head first.
    let pixelSpacing = Self.fieldOfView / Double(plan.size)
    let corner = Self.decimal(pixelSpacing / 2 - Self.fieldOfView / 2)
    try object.set(
      Tag(0x0020, 0x0032), corner, corner, Self.decimal(Double(image) * plan.spacing))
    try object.set(Tag(0x0020, 0x0037), "1", "0", "0", "0", "1", "0")
    object.set(Tag(0x0020, 0x0052), frameOfReferenceUID)
    object.setEmpty(Tag(0x0020, 0x1040))
    try object.set(Tag(0x0020, 0x1041), Self.decimal(Double(image) * plan.spacing))

    object.set(Tag(0x0028, 0x0002), uint16: 1)
    try object.set(Tag(0x0028, 0x0004), "MONOCHROME2")
    object.set(Tag(0x0028, 0x0010), uint16: UInt16(plan.size))
    object.set(Tag(0x0028, 0x0011), uint16: UInt16(plan.size))
    try object.set(
      Tag(0x0028, 0x0030), Self.decimal(pixelSpacing), Self.decimal(pixelSpacing))
    object.set(Tag(0x0028, 0x0100), uint16: 16)
    object.set(Tag(0x0028, 0x0101), uint16: 12)
    object.set(Tag(0x0028, 0x0102), uint16: 11)
    object.set(Tag(0x0028, 0x0103), uint16: 0)
    try object.set(Tag(0x0028, 0x1050), "40")
    try object.set(Tag(0x0028, 0x1051), "400")
    try object.set(Tag(0x0028, 0x1052), "-1024")
    try object.set(Tag(0x0028, 0x1053), "1")
    try object.set(Tag(0x0028, 0x1054), "HU")
    return object
  }

  /// Millimetres across the image.
  private static let fieldOfView = 400.0

  /// DS with three decimals: at most 16 characters for anything here.
  private static func decimal(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    let (whole, rest) = abs(thousandths).quotientAndRemainder(dividingBy: 1000)
    let fraction = String(1000 + rest).dropFirst()
    return "\(thousandths < 0 ? "-" : "")\(whole).\(fraction)"
  }

  // MARK: - Pixels

  private struct Ellipse {
    /// Centre and half axes, as parts of the image's side.
    var x: Double
    var y: Double
    var a: Double
    var b: Double
    /// Stored value: Hounsfield units + 1024.
    var value: UInt16
  }

  /// 12 bit values in 16 bits, little endian: air, a body, two lungs, a spine, and lesions whose
  /// places the seed decides and whose size changes from slice to slice.
  private func pixels(size: Int, series: Int, image: Int) -> [UInt8] {
    var random = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(series) | 1
    func next() -> Double {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      return Double(random % 1000) / 1000
    }
    let along = Double(image + 1) / Double(self.series[series].images + 1)
    let bulge = 1 - (2 * along - 1) * (2 * along - 1)
    var shapes = [
      Ellipse(x: 0.5, y: 0.5, a: 0.42, b: 0.30, value: 1064),
      Ellipse(x: 0.33, y: 0.47, a: 0.06 + 0.08 * bulge, b: 0.10 + 0.08 * bulge, value: 180),
      Ellipse(x: 0.67, y: 0.47, a: 0.06 + 0.08 * bulge, b: 0.10 + 0.08 * bulge, value: 180),
      Ellipse(x: 0.5, y: 0.70, a: 0.05, b: 0.05, value: 1700),
    ]
    for _ in 0..<3 {
      let reach = 0.004 + 0.03 * next() * bulge
      shapes.append(
        Ellipse(
          x: 0.25 + 0.5 * next(), y: 0.35 + 0.25 * next(), a: reach, b: reach,
          value: UInt16(1080 + 60 * next())))
    }
    // Slices differ even where no shape does.
    shapes.append(
      Ellipse(x: 0.05 + 0.9 * along, y: 0.03, a: 0.02, b: 0.02, value: UInt16(100 + image % 3900)))
    var pixels = [UInt16](repeating: 24, count: size * size)
    pixels.withUnsafeMutableBufferPointer { buffer in
      for shape in shapes { Self.draw(shape, size, buffer) }
    }
    return pixels.withUnsafeBytes { Array($0) }
  }

  /// Row by row: a run of pixels each.
  private static func draw(
    _ shape: Ellipse, _ size: Int, _ pixels: UnsafeMutableBufferPointer<UInt16>
  ) {
    let side = Double(size)
    let first = max(0, Int((shape.y - shape.b) * side))
    let last = min(size - 1, Int((shape.y + shape.b) * side))
    guard first <= last else { return }
    for row in first...last {
      let dy = ((Double(row) + 0.5) / side - shape.y) / shape.b
      guard dy * dy < 1 else { continue }
      let half = shape.a * (1 - dy * dy).squareRoot()
      let from = max(0, Int((shape.x - half) * side))
      let to = min(size, Int((shape.x + half) * side))
      guard from < to else { continue }
      pixels[(row * size + from)..<(row * size + to)].update(
        repeating: shape.value.littleEndian)
    }
  }
}
