import Testing

@testable import Relay

@Suite struct BacklogTests {
    @Test("Bytes come out as they went in, whatever the sizes", arguments: 1...8)
    func model(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var backlog = Backlog()
        var model: [UInt8] = []
        for _ in 0..<2_000 {
            let largest = Int.random(in: 0..<4, using: &generator) == 0 ? 20_000 : 100
            if model.isEmpty || Bool.random(using: &generator) {
                let bytes = generator.bytes(Int.random(in: 1...largest, using: &generator))
                #expect(bytes.withUnsafeBytes { backlog.append($0.baseAddress!, $0.count) })
                model += bytes
            } else {
                let count = Int.random(in: 0...min(largest * 2, model.count), using: &generator)
                backlog.removeFirst(count)
                model.removeFirst(count)
            }
            let (count, isEmpty) = (backlog.count, backlog.isEmpty)
            #expect(count == model.count && isEmpty == model.isEmpty)
            guard !model.isEmpty else { continue }
            let waiting = UnsafeRawBufferPointer(start: backlog.first, count: count)
            #expect(waiting.elementsEqual(model))
        }
    }

    @Test("A backlog that has been emptied begins anew, and adding nothing changes nothing")
    func emptied() {
        var backlog = Backlog()
        var counts: [Int] = []
        for round in 0..<100 as Range<UInt8> {
            let added = [round, 2, 3].withUnsafeBytes {
                backlog.append($0.baseAddress!, 3) && backlog.append($0.baseAddress!, 0)
            }
            #expect(added)
            counts.append(backlog.count)
            backlog.removeFirst(1)
            counts.append(backlog.count)
            backlog.removeFirst(2)
            counts.append(backlog.count)
        }
        #expect(counts == (0..<100).flatMap { _ in [3, 2, 0] })
    }
}
