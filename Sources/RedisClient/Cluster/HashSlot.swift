// The hash slot of a key
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).

/// Hash slots: a cluster divides its keys among them, and them among its masters.
public enum HashSlot {
    /// How many hash slots every cluster has.
    public static let count = 16_384

    /// The slot of a key. If there is a hash tag, that is something between the first `{` and the next `}`, then it
    /// alone decides, else the whole key.
    public static func of(_ key: some Collection<UInt8>) -> Int {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return Int(crc16(key)) % count }
        let behind = key[key.index(after: open)...]
        guard let close = behind.firstIndex(of: UInt8(ascii: "}")), close != behind.startIndex else {
            return Int(crc16(key)) % count
        }
        return Int(crc16(behind[..<close])) % count
    }

    /// The checksum known as CRC-16/XMODEM: polynomial 0x1021, initial value 0, nothing reflected.
    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in crc << 8 ^ table[Int(UInt8(crc >> 8) ^ byte)] }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
}
