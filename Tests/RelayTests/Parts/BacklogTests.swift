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
            #expect(backlog.count == model.count && backlog.isEmpty == model.isEmpty)
            guard !model.isEmpty else { continue }
            #expect(UnsafeRawBufferPointer(start: backlog.first, count: backlog.count).elementsEqual(model))
        }
    }

    @Test("A backlog that has been emptied begins anew")
    func emptied() {
        var backlog = Backlog()
        #expect(backlog.isEmpty && backlog.count == 0)
        for round in 0..<100 as Range<UInt8> {
            #expect([round, 2, 3].withUnsafeBytes { backlog.append($0.baseAddress!, 3) })
            backlog.removeFirst(1)
            #expect(backlog.count == 2)
            backlog.removeFirst(2)
            #expect(backlog.isEmpty)
        }
    }

    @Test("Adding nothing changes nothing")
    func nothing() {
        var backlog = Backlog()
        #expect([1].withUnsafeBytes { backlog.append($0.baseAddress!, 0) })
        #expect(backlog.isEmpty)
    }
}
