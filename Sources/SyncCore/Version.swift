/// The version of syncd and syncctl, which are built and installed together.
public enum Version {
  public static let text = "0.1.0"
}
