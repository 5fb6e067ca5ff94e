// Which of the slots of a cluster a key belongs to (https://redis.io/docs/latest/operate/oss_and_stack/reference/
// cluster-spec/#key-distribution-model).

/// Hash slots of keys.
public enum RedisSlot {
    /// Slots of any cluster.
    public static let count = 16_384

    /// The slot of a key: of what stands between its first `{` and the next `}` if that is not empty, else of all of it.
    public static func of(_ key: some Collection<UInt8>) -> Int {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return Int(crc16(key)) % count }
        let behind = key[key.index(after: open)...]
        guard let close = behind.firstIndex(of: UInt8(ascii: "}")), close != behind.startIndex else {
            return Int(crc16(key)) % count
        }
        return Int(crc16(behind[..<close])) % count
    }

    /// The checksum known as CRC-16/XMODEM: polynomial 0x1021, begun at 0, nothing reflected.
    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in crc << 8 ^ table[Int(UInt8(crc >> 8) ^ byte)] }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
}
