// The commands: what they print, what they leave behind, how they exit.

import Foundation
import Glibc
import Testing

@Suite("Commands", .timeLimit(.minutes(2)))
struct CommandTests {
    @Test("keygen makes a private file and prints the public key alone; pubkey prints the same again")
    func keygen() async throws {
        try await withScene { scene in
            let file = scene.path("identity")
            let made = try await scene.oncewire("keygen", "--identity", file)
            #expect(made.succeeded)
            let lines = made.output.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count == 2)
            #expect(lines[0].hasPrefix("owpub-"))
            #expect(lines[0].utf8.count == "owpub-".utf8.count + 56)

            var status = stat()
            #expect(stat(file, &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o600)

            let shown = try await scene.oncewire("pubkey", "--identity", file)
            #expect(shown.succeeded)
            #expect(shown.output == made.output)
        }
    }

    @Test("keygen refuses to overwrite with exit 73 and leaves the file as it was")
    func keygenTwice() async throws {
        try await withScene { scene in
            let file = scene.path("identity")
            #expect(try await scene.oncewire("keygen", "--identity", file).succeeded)
            let before = FileManager.default.contents(atPath: file)
            let again = try await scene.oncewire("keygen", "--identity", file)
            #expect(again.exitCode == 73)
            #expect(again.output.isEmpty)
            #expect(again.errors.contains(file))
            #expect(FileManager.default.contents(atPath: file) == before)
        }
    }

    @Test("pubkey of a missing identity exits 66 and names the file")
    func missingIdentity() async throws {
        try await withScene { scene in
            let shown = try await scene.oncewire("pubkey", "--identity", scene.path("nothing"))
            #expect(shown.exitCode == 66)
            #expect(shown.output.isEmpty)
            #expect(shown.errors.contains(scene.path("nothing")))
        }
    }

    @Test(
        "A wrong use exits 64 and says how it is meant",
        arguments: [["--nonsense"], ["keygen"], ["server"], ["nonsense"]])
    func usage(arguments: [String]) async throws {
        try await withScene { scene in
            let run = try await scene.run(oncewireBinary, arguments)
            #expect(run.exitCode == 64)
            #expect(run.errors.contains("Usage"))
            #expect(run.output.isEmpty)
        }
    }

    @Test("--version prints a version, --help every command")
    func help() async throws {
        try await withScene { scene in
            let version = try await scene.oncewire("--version")
            #expect(version.succeeded)
            #expect(version.output.contains(/\d+\.\d+\.\d+/))
            let help = try await scene.oncewire("--help")
            #expect(help.succeeded)
            for command in ["keygen", "pubkey", "server", "client", "check", "demo"] {
                #expect(help.output.contains("  \(command) "))
                let own = try await scene.oncewire(command, "--help")
                #expect(own.succeeded)
                #expect(own.output.contains("oncewire \(command)"))
            }
        }
    }

    @Test("check accepts the files two daemons run with, and --show prints the defaults but no private key")
    func checkGood() async throws {
        try await withScene { scene in
            let plan = TunnelPlan(to: .loopback(5432)).with { $0.shards = "3" }
            let tunnel = try await scene.prepareTunnel(plan)
            try scene.write(
                plan.clientYAML(serverAddress: .loopback(7700), serverKey: tunnel.serverKey), to: "client.yaml")
            for file in ["server.yaml", "client.yaml"] {
                let check = try await scene.oncewire("check", "--config", scene.path(file))
                #expect(check.succeeded, "\(check.errors)")
                #expect(!check.output.contains("heartbeat"))

                let shown = try await scene.oncewire("check", "--config", scene.path(file), "--show")
                #expect(shown.succeeded)
                #expect(shown.output.contains("heartbeat: 10s"))
                #expect(shown.output.contains("dead-after: 30s"))
                #expect(shown.output.contains("shards: 3"))
                #expect(shown.output.contains("sample"))
                #expect(!shown.output.contains("owkey-"))
            }
        }
    }

    @Test("check takes the file with --config, with -c or alone, and once")
    func checkForms() async throws {
        try await withScene { scene in
            _ = try await scene.prepareTunnel(TunnelPlan(to: .loopback(5432)))
            let file = scene.path("server.yaml")
            let long = try await scene.oncewire("check", "--config", file)
            #expect(long.succeeded && long.output.hasPrefix("\(file): a good server configuration"))
            for arguments in [["-c", file], [file]] {
                let check = try await scene.run(oncewireBinary, ["check"] + arguments)
                #expect(check.succeeded && check.output == long.output)
            }
            let shown = try await scene.oncewire("check", file, "--show")
            #expect(shown.succeeded && shown.output.contains("heartbeat: 10s"))
            for arguments in [[], [file, "-c", file], [file, file]] {
                let check = try await scene.run(oncewireBinary, ["check"] + arguments)
                #expect(check.exitCode == 64 && check.output.isEmpty)
                #expect(check.errors.contains("Usage"))
            }
        }
    }

    @Test(
        "A configuration is read from a pipe, by check and by a daemon", arguments: ["/dev/stdin", "/proc/self/fd/0"])
    func fromPipe(path: String) async throws {
        try await withScene { scene in
            _ = try await scene.prepareTunnel(TunnelPlan(to: .loopback(5432)))
            // Relative paths start from the working directory, which is the scene's.
            let check = try await scene.run(
                "/bin/sh", ["-c", "cat server.yaml | \"$0\" check -c \(path)", oncewireBinary])
            #expect(check.succeeded, "\(check.errors)")
            let daemon = try scene.start(
                "/bin/sh", ["-c", "cat server.yaml | \"$0\" server -c \(path) & echo $! > pid; wait", oncewireBinary])
            try await eventually("the server is ready") { daemon.output.contains("oncewire server ready: ") }
            let text = try String(contentsOfFile: scene.path("pid"), encoding: .utf8)
            let pid = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(kill(pid, SIGTERM) == 0)
            _ = try await daemon.waitForEnd()
        }
    }

    @Test("What is allowed and perhaps not meant is a warning of check, with exit 0, and of the daemon")
    func warnings() async throws {
        try await withScene { scene in
            let plan = TunnelPlan(services: [.init(name: "sample", target: "127.0.0.1:1", listen: ["0.0.0.0:0"])])
                .with { $0.drain = "20s" }
            let tunnel = try await scene.prepareTunnel(plan)
            let file = scene.path("client.yaml")
            try scene.write(
                plan.clientYAML(serverAddress: .loopback(1), serverKey: tunnel.serverKey), to: "client.yaml")
            let check = try await scene.oncewire("check", file)
            #expect(check.succeeded && check.output.contains("a good client configuration"))
            let lines = check.errors.split(separator: "\n")
            #expect(lines.count == 2, "\(check.errors)")
            #expect(check.errors.contains("\(file):4:21: warning: services.sample.listen 0.0.0.0:0 may be reachable"))
            #expect(check.errors.contains("warning: drain 20s is longer than waiting.timeout 10s"))

            let client = try scene.start(oncewireBinary, ["client", "-c", file])
            try await eventually("the client is ready") { client.output.contains("oncewire client ready: ") }
            for line in lines { #expect(client.errors.contains(line)) }
            client.signal(SIGTERM)
            #expect(try await client.waitForEnd() == .exited(0))
        }
    }

    @Test("check reports every problem with file, line and column, and exits 78; so do the daemons")
    func checkBad() async throws {
        try await withScene { scene in
            let tunnel = try await scene.prepareTunnel(TunnelPlan(to: .loopback(5432)))
            try scene.write(
                """
                listen: "127.0.0.1:0"
                identity: server.key
                services:
                  postgres: {target: "127.0.0.1:5432"}
                devices:
                  laptop: {key: "\(tunnel.clientKey)", services: [postgers]}
                shards: many
                carriers: {heartbeet: 10s}
                """, to: "bad.yaml")
            let bad = scene.path("bad.yaml")
            for arguments in [["check"], ["check", "--show"], ["server"]] {
                let run = try await scene.run(oncewireBinary, arguments + ["--config", bad])
                #expect(run.exitCode == 78)
                #expect(run.output.isEmpty)
                let errors = run.errors.split(separator: "\n").filter { $0.hasPrefix(bad) }
                try #require(errors.count == 3, "\(run.errors)")
                #expect(errors[0].hasPrefix("\(bad):6:"))
                #expect(errors[0].contains("postgers"))
                #expect(errors[1].hasPrefix("\(bad):7:9: error: "))
                #expect(errors[2].hasPrefix("\(bad):8:12: error: "))
                #expect(errors[2].contains("heartbeat"))
            }
        }
    }

    @Test("A daemon whose identity others can read exits 78 and says where that is written")
    func readableIdentity() async throws {
        try await withScene { scene in
            let tunnel = try await scene.prepareTunnel(TunnelPlan(to: .loopback(5432)))
            #expect(chmod(scene.path("server.key"), 0o644) == 0)
            let run = try await scene.oncewire("server", "--config", scene.path("server.yaml"))
            #expect(run.exitCode == 78)
            #expect(run.errors.contains("\(scene.path("server.yaml")):2:11: error: "))
            #expect(run.errors.contains("server.key"))
            #expect(!run.errors.contains("owkey-"))
            _ = tunnel
        }
    }

    @Test("A daemon that cannot bind its address says which and does not go on")
    func addressTaken() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let plan = TunnelPlan(to: .loopback(5432)).with { $0.serverListen = [echo.endpoint.description] }
            _ = try await scene.prepareTunnel(plan)
            let run = try await scene.oncewire("server", "--config", scene.path("server.yaml"))
            #expect(run.end != .exited(0))
            #expect(run.output.isEmpty)
            #expect(run.errors.contains("\(echo.endpoint)"))
        }
    }

    @Test("demo shows a working tunnel and exits 0")
    func demo() async throws {
        try await withScene { scene in
            let demo = try await scene.oncewire("demo", within: .seconds(60))
            #expect(demo.succeeded, "\(demo.errors)")
            #expect(demo.output.lowercased().contains("paired"))
        }
    }
}
