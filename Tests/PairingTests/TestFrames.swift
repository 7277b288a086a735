// Whole frames as arrays, for tests that look at what keys do.

import Codec
import Wire

extension EncoderSource {
    /// The next frame of this direction, header and tag included.
    mutating func frame(_ type: FrameType = .data, _ plaintext: [UInt8]) throws -> [UInt8] {
        let nonce = next
        let header = FrameHeader(type: type, length: plaintext.count, nonce: nonce)
        // Not in a closure over an array: an encoder does not leave the access to its source.
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: header.frameSize, alignment: 1)
        defer { frame.deallocate() }
        header.write(to: frame.baseAddress!)
        UnsafeMutableRawBufferPointer(rebasing: frame[FrameHeader.size...]).copyBytes(from: plaintext)
        try makeEncoder().encode(frame: frame.baseAddress!, count: plaintext.count, with: FrameCipher())
        return [UInt8](frame)
    }
}

extension DecoderSource {
    /// The plaintext of a whole frame.
    mutating func plaintext(of frame: [UInt8]) throws -> [UInt8] {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: frame.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: frame)
        let header = try FrameHeader(parsing: copy.baseAddress!)
        let decoder = try makeDecoder(nonce: header.nonce)
        try decoder.decode(frame: copy.baseAddress!, count: header.length, with: FrameCipher())
        return [UInt8](copy[FrameHeader.size..<FrameHeader.size + header.length])
    }
}

/// Whether a frame of each end is understood by the other, in both directions.
func understandEachOther(_ a: inout CarrierKeys, _ b: inout CarrierKeys) throws -> Bool {
    let there = [UInt8]("there".utf8)
    let back = [UInt8]("and back".utf8)
    let isThere = try b.receiving.plaintext(of: a.sending.frame(.data, there)) == there
    let isBack = try a.receiving.plaintext(of: b.sending.frame(.data, back)) == back
    return isThere && isBack
}
