// The door to libyaml: its parser as a sequence of Swift values. The only file that touches C memory of libyaml.

internal import CYAML

/// One event of libyaml's parser.
struct YAMLEvent {
    let mark: Mark
    /// True if an anchor (`&name`) is set on the value that starts here.
    let hasAnchor: Bool
    /// True if a tag (`!name`) is set on the value that starts here.
    let hasTag: Bool
    let kind: Kind

    enum Kind {
        case streamStart, streamEnd
        case documentStart(hasDirective: Bool)
        case documentEnd
        case alias
        case scalar(String, isPlain: Bool)
        case listStart, listEnd
        case mappingStart, mappingEnd
    }
}

/// Text that is not YAML: what libyaml says about it.
struct YAMLSyntaxError: Error {
    let mark: Mark
    /// What libyaml found, or did not find.
    let problem: String
    /// What it was reading at that time, and since where; empty if it does not say.
    let context: String
    let contextMark: Mark?
}

/// libyaml's parser over bytes that outlive it.
///
/// Every event is copied into a Swift value and freed before `next()` returns; the parser is freed with this value.
/// So no path, good or bad, leaves memory behind.
struct YAMLEvents: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let end: Mark

    /// `bytes` is UTF-8, ends at the place `end`, and must stay where it is as long as this value lives; nil if memory
    /// is short.
    init?(_ bytes: UnsafeBufferPointer<UInt8>, end: Mark) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            return nil
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
        self.parser = parser
        self.end = end
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// The next event. After an error or the end of the stream there is none: do not ask again.
    func next() throws(YAMLSyntaxError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError }
        defer { yaml_event_delete(&event) }

        let mark = place(event.start_mark)
        let data = event.data
        func made(_ kind: YAMLEvent.Kind, anchor: Bool = false, tag: Bool = false) -> YAMLEvent {
            YAMLEvent(mark: mark, hasAnchor: anchor, hasTag: tag, kind: kind)
        }
        switch event.type {
        case YAML_STREAM_START_EVENT:
            return made(.streamStart)
        case YAML_DOCUMENT_START_EVENT:
            let start = data.document_start
            let hasTagDirective = start.tag_directives.start != start.tag_directives.end
            return made(.documentStart(hasDirective: start.version_directive != nil || hasTagDirective))
        case YAML_DOCUMENT_END_EVENT:
            return made(.documentEnd)
        case YAML_ALIAS_EVENT:
            return made(.alias)
        case YAML_SCALAR_EVENT:
            let scalar = data.scalar
            let text = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return made(.scalar(text, isPlain: isPlain), anchor: scalar.anchor != nil, tag: scalar.tag != nil)
        case YAML_SEQUENCE_START_EVENT:
            let start = data.sequence_start
            return made(.listStart, anchor: start.anchor != nil, tag: start.tag != nil)
        case YAML_SEQUENCE_END_EVENT:
            return made(.listEnd)
        case YAML_MAPPING_START_EVENT:
            let start = data.mapping_start
            return made(.mappingStart, anchor: start.anchor != nil, tag: start.tag != nil)
        case YAML_MAPPING_END_EVENT:
            return made(.mappingEnd)
        default:
            return made(.streamEnd)
        }
    }

    private var syntaxError: YAMLSyntaxError {
        let state = parser.pointee
        guard state.error != YAML_MEMORY_ERROR else {
            return YAMLSyntaxError(
                mark: place(state.mark), problem: "out of memory", context: "", contextMark: nil)
        }
        return YAMLSyntaxError(
            mark: place(state.problem_mark),
            problem: state.problem.map { String(cString: $0) } ?? "the text cannot be read",
            context: state.context.map { String(cString: $0) } ?? "",
            contextMark: state.context == nil ? nil : place(state.context_mark))
    }

    /// libyaml ends a last line that has no end, and is then on a line that no editor shows.
    private func place(_ mark: yaml_mark_t) -> Mark { min(Mark(mark), end) }
}

extension Mark {
    /// libyaml counts from 0; its sizes are far below Int.max because the file is bounded.
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }
}
