// ssh through the tunnel.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("SSH")
    struct ShellTests {
        @Test("ssh runs a command and pipes 50 MB in and out with equal hashes")
        func pipes() async throws {
            try await withScene { scene in
                let target = try scene.reservedPort().endpoint
                try await startServer(scene, at: target)
                let tunnel = try await scene.tunnel(TunnelPlan("ssh", to: target))
                let ssh = try program("ssh")
                let user = String(cString: try #require(getpwuid(getuid())).pointee.pw_name)
                let options =
                    ["-F", "/dev/null", "-i", scene.path("user"), "-p", "\(tunnel.endpoint().port)", "-T"]
                    + ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=\(scene.path("known"))"]
                    + ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "\(user)@127.0.0.1"]

                let command = try await scene.run(ssh, options + ["echo from the other side; exit 3"])
                #expect(command.output == "from the other side\n", "\(command.errors)")
                #expect(command.exitCode == 3)

                let file = try scene.patternFile("file", seed: 9, count: 50_000_000)
                let expected = Pattern.digest(seed: 9, count: 50_000_000)
                let sent = try await scene.run(ssh, options + ["sha256sum"], input: file)
                #expect(sent.output.hasPrefix(expected.sha256), "\(sent.errors)")

                let received = try scene.start(ssh, options + ["cat '\(file)'"], name: "cat")
                #expect(try await received.waitForEnd(within: .seconds(120)) == .exited(0))
                #expect(try digest(ofFile: received.outputPath) == expected)
                try await tunnel.stop()
            }
        }

        private func startServer(_ scene: Scene, at target: Endpoint) async throws {
            for name in ["host", "user"] {
                let made = try await scene.run(
                    try program("ssh-keygen"), ["-q", "-t", "ed25519", "-N", "", "-f", scene.path(name)])
                try #require(made.succeeded, "ssh-keygen: \(made.errors)")
            }
            // The package's service makes this directory at start, which a container does not run.
            if getuid() == 0 { mkdir("/run/sshd", 0o755) }
            try scene.write(
                """
                ListenAddress 127.0.0.1:\(target.port)
                HostKey \(scene.path("host"))
                AuthorizedKeysFile \(scene.path("user.pub"))
                PidFile none
                StrictModes no
                UsePAM no
                PasswordAuthentication no
                PermitRootLogin prohibit-password
                """, to: "sshd_config")
            let server = try scene.start(
                try program("sshd"), ["-D", "-e", "-f", scene.path("sshd_config")], name: "sshd")
            try await waitUntilAccepting(target, by: server)
        }
    }
}
