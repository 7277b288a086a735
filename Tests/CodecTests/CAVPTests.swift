// NIST's known answers for HMAC_DRBG (CAVP, CAVS 14.3), in both of their text forms, and the derived set
// for the first Generate.

import Foundation
import Testing

@testable import Codec

@Suite("HMAC-DRBG against published known answers")
struct CAVPTests {
    @Test(
        "CAVP answers, and where the file lists them Key and V after every call, are met",
        arguments: [
            "nist-cavp-drbg/HMAC_DRBG_SHA256.no_reseed.rsp", "nist-cavp-drbg/HMAC_DRBG_SHA256.no_reseed.states.txt",
        ])
    func cavp(_ name: String) throws {
        guard let data = try KnownAnswers.published(name) else { return }
        var ran = 0
        var skipped = 0
        for section in CAVPFile.sections(of: String(decoding: data, as: UTF8.self)) {
            guard section.mechanism == "SHA-256" else {
                skipped += section.cases.count
                continue
            }
            for fields in section.cases {
                try CAVPFile.run(fields, "\(name) \(section.heading) COUNT \(fields.first?.value ?? "?")")
                ran += 1
            }
        }
        KnownAnswers.report(name, ran: ran, skipped: skipped)
    }

    @Test("The first Generate, the one that frames use, gives the derived answers")
    func firstGenerate() throws {
        struct File: Decodable {
            struct Case: Decodable {
                struct State: Decodable {
                    let key, v: String?  // other mechanisms have other state
                    enum CodingKeys: String, CodingKey {
                        case key = "Key"
                        case v = "V"
                    }
                }
                let alg, entropy: String
                let nonce, personalization: String?
                let outlen: Int?
                let output: String
                let state: State?
                enum CodingKeys: String, CodingKey {
                    case alg, entropy, nonce, personalization, outlen
                    case output = "out_first_generate"
                    case state = "state_after_generate"
                }
            }
            let cases: [Case]
        }
        let name = "derived/drbg-first-generate-kat.json"
        guard let data = try KnownAnswers.published(name) else { return }
        let cases = try JSONDecoder().decode(File.self, from: data).cases
        let ours = cases.filter { $0.alg == "HMAC_DRBG-SHA-256" }
        for (index, entry) in ours.enumerated() {
            var drbg = try HMACDRBG(
                entropy: hex(entry.entropy), nonce: hex(entry.nonce), personalization: hex(entry.personalization))
            let expected = try hex(entry.output)
            #expect(try drbg.generate(entry.outlen ?? expected.count) == expected, "case \(index)")
            if let state = entry.state {
                #expect(try drbg.key == hex(state.key), "case \(index)")
                #expect(try drbg.v == hex(state.v), "case \(index)")
            }
        }
        KnownAnswers.report(name, ran: ours.count, skipped: cases.count - ours.count)
    }
}

/// The text form of CAVP's answers: bracketed headings, then cases of `Name = value` lines.
enum CAVPFile {
    typealias Field = (name: String, value: String)

    struct Section {
        var heading = ""
        var mechanism = ""
        var cases: [[Field]] = []
    }

    static func sections(of text: String) -> [Section] {
        var sections: [Section] = []
        var mechanism = ""
        var wasHeading = false
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("["), line.hasSuffix("]") {
                if !line.contains("=") { mechanism = String(line.dropFirst().dropLast()) }
                if !wasHeading { sections.append(Section()) }
                sections[sections.count - 1].heading += line
                sections[sections.count - 1].mechanism = mechanism
                wasHeading = true
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { continue }  // "#", "** GENERATE" and the like
            wasHeading = false
            if sections.isEmpty { sections.append(Section(mechanism: "SHA-256")) }
            let name = line[..<equals].trimmingCharacters(in: .whitespaces)
            let value = line[line.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            let last = sections.count - 1
            if name == "COUNT" || sections[last].cases.isEmpty { sections[last].cases.append([]) }
            sections[last].cases[sections[last].cases.count - 1].append((name, value))
        }
        return sections
    }

    /// Plays one case: every `AdditionalInput` is a Generate, `AdditionalInputReseed` a Reseed (and one
    /// before `EntropyInputPR` both), `Key`, `V` and `ReturnedBits` are what must have come of it.
    static func run(_ fields: [Field], _ place: Comment) throws {
        func value(_ name: String) throws -> [UInt8] { try hex(fields.first { $0.name == name }?.value) }
        let count = try value("ReturnedBits").count
        var drbg = try HMACDRBG(
            entropy: value("EntropyInput"), nonce: value("Nonce"), personalization: value("PersonalizationString"))
        var output: [UInt8]?
        var reseedEntropy: [UInt8] = []
        for (index, field) in fields.enumerated() {
            switch field.name {
            case "AdditionalInput":
                var additional = try hex(field.value)
                if index + 1 < fields.count, fields[index + 1].name == "EntropyInputPR" {
                    try drbg.reseed(entropy: hex(fields[index + 1].value), additionalInput: additional)
                    additional = []
                }
                output = try drbg.generate(count, additionalInput: additional)
            case "EntropyInputReseed": reseedEntropy = try hex(field.value)
            case "AdditionalInputReseed":
                try drbg.reseed(entropy: reseedEntropy, additionalInput: hex(field.value))
            case "Key": #expect(try drbg.key == hex(field.value), place)
            case "V": #expect(try drbg.v == hex(field.value), place)
            case "ReturnedBits": #expect(try output == hex(field.value), place)
            default: break
            }
        }
        #expect(output != nil, place)
    }
}
