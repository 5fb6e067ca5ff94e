// CRC-32C (Castagnoli), eight bytes at a time: Kounavis and Berry, "A Systematic Approach to Building High Performance
// Software-Based CRC Generators" (2005). It needs no special instruction, and is far faster than the journal writes.

/// The checksum of journal frames and headers.
enum CRC32C {
    /// The checksum of these bytes.
    ///
    /// - Parameter seed: the checksum of the bytes before them; 0 if they are the first.
    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        var crc = ~seed
        var position = 0
        tables.withUnsafeBufferPointer { table in
            while position + 8 <= bytes.count {
                let word =
                    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)) ^ UInt64(crc)
                crc =
                    table[1792 + Int(word & 0xFF)] ^ table[1536 + Int((word >> 8) & 0xFF)]
                    ^ table[1280 + Int((word >> 16) & 0xFF)] ^ table[1024 + Int((word >> 24) & 0xFF)]
                    ^ table[768 + Int((word >> 32) & 0xFF)] ^ table[512 + Int((word >> 40) & 0xFF)]
                    ^ table[256 + Int((word >> 48) & 0xFF)] ^ table[Int(word >> 56)]
                position += 8
            }
            while position < bytes.count {
                crc = (crc >> 8) ^ table[Int((crc ^ UInt32(bytes[position])) & 0xFF)]
                position += 1
            }
        }
        return ~crc
    }

    /// Eight tables of 256 entries in a row: table k has the effect of a byte that k more bytes follow.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
            tables[byte] = crc
        }
        for index in 256..<(8 * 256) {
            let before = tables[index - 256]
            tables[index] = (before >> 8) ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()
}
