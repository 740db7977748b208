import Glibc

/// The real DICOM files that come with pydicom, in the peers' virtual environment.
/// Needs `.needs(.python("pydicom"))`.
public enum RealImages {
  /// The directory of the test files; nil where the peers are not installed.
  public static let directory: String? = {
    let libraries = Peers.directory + "/venv/lib"
    guard let stream = opendir(libraries) else { return nil }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      let path = "\(libraries)/\(name)/site-packages/pydicom/data/test_files"
      if access(path, R_OK) == 0 { return path }
    }
    return nil
  }()

  /// The path of a file, such as `CT_small.dcm`.
  public static func path(_ name: String) -> String { "\(directory ?? "/nonexistent")/\(name)" }

  /// A directory of files, such as `dicomdirtests/77654033/CR1`.
  public static func paths(in directory: String) -> [String] {
    let path = path(directory)
    return files(in: path).map { "\(path)/\($0)" }
  }
}
