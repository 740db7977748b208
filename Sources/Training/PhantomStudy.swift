import DICOM
import Platform

/// A CT study of nobody: proper objects with ellipses for anatomy, the same for the same seed.
public struct PhantomStudy: Sendable {
  /// A made-up person.
  public struct Patient: Hashable, Sendable {
    /// As a person name (PN): family name, `^`, given name.
    public var name: String
    public var id: String
    /// DA.
    public var birthDate: String
    public var sex: String

    public init(
      name: String, id: String = "191212121212", birthDate: String = "19121212", sex: String = "O"
    ) {
      self.name = name
      self.id = id
      self.birthDate = birthDate
      self.sex = sex
    }

    /// The public test number's holder.
    public static let tolvan = Patient(name: "Tolvan^Tolvansson")
    /// With letters that ASCII lacks.
    public static let arla = Patient(name: "Ärla^Åkesson")
  }

  /// One series: so many slices of so many pixels a side.
  public struct Series: Hashable, Sendable {
    public var description: String
    public var images: Int
    /// Rows and columns, 64 to 512.
    public var size: Int
    /// Millimetres from slice to slice.
    public var spacing: Double

    public init(_ description: String, images: Int, size: Int = 512, spacing: Double = 5) {
      precondition((1...100_000).contains(images) && (64...512).contains(size))
      self.description = description
      self.images = images
      self.size = size
      self.spacing = spacing
    }
  }

  /// What (0008,0005) says.
  public enum Repertoire: String, Sendable {
    case latin1 = "ISO_IR 100"
    case utf8 = "ISO_IR 192"
  }

  public let seed: UInt64
  /// US-nummer; SECTRA's have exactly 16 characters.
  public let accessionNumber: String
  public let patient: Patient
  public let description: String
  /// DA and TM.
  public let date: String
  public let time: String
  public let repertoire: Repertoire
  public let series: [Series]

  public init(
    seed: UInt64, accessionNumber: String, patient: Patient = .tolvan,
    description: String = "CT thorax", date: String = "20261120", time: String = "083000",
    repertoire: Repertoire = .latin1, series: [Series]
  ) {
    precondition((1...16).contains(accessionNumber.utf8.count) && !series.isEmpty)
    self.seed = seed
    self.accessionNumber = accessionNumber
    self.patient = patient
    self.description = description
    self.date = date
    self.time = time
    self.repertoire = repertoire
    self.series = series
  }

  /// An earlier, smaller study of the same patient to compare with (jämförande undersökning).
  public func comparison(accessionNumber: String, date: String = "20251103") -> PhantomStudy {
    PhantomStudy(
      seed: seed ^ 0x5EED, accessionNumber: accessionNumber, patient: patient,
      description: description + " jämförelse", date: date, time: "101500",
      repertoire: repertoire,
      series: [Series("Tidigare", images: max(1, series[0].images / 2), size: series[0].size)])
  }

  // MARK: - Identifiers

  public var studyInstanceUID: UID { uid("study") }
  public var frameOfReferenceUID: UID { uid("frame") }

  public func seriesInstanceUID(_ series: Int) -> UID { uid("series/\(series)") }

  public func sopInstanceUID(series: Int, image: Int) -> UID { uid("image/\(series)/\(image)") }

  /// Every object of some of the series, or of all.
  public func sopInstanceUIDs(series chosen: [Int]? = nil) -> Set<UID> {
    var all: Set<UID> = []
    for index in chosen ?? Array(series.indices) {
      for image in 0..<series[index].images {
        all.insert(sopInstanceUID(series: index, image: image))
      }
    }
    return all
  }

  /// A UID derived from a UUID (PS3.5 section B.2), which takes no registered root.
  private func uid(_ name: String) -> UID {
    let digest = SHA256.hash(Array("syncd phantom \(seed)/\(accessionNumber)/\(name)".utf8))
    var number = digest.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    // Version 8 (RFC 9562 section 5.8: made by a rule of one's own), variant 10.
    number = number & ~(UInt128(0xF) << 76) | UInt128(8) << 76
    number = number & ~(UInt128(3) << 62) | UInt128(2) << 62
    return UID("2.25.\(number)")
  }
}
