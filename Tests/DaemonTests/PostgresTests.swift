// PostgreSQL through the tunnel, with its own clients.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("PostgreSQL")
    struct PostgresTests {
        @Test("psql copies a table out and in again, and both tables are equal")
        func copyOutAndIn() async throws {
            try await withPostgres { scene, database in
                try await database.sql(
                    "create table source as select n as id, md5(n::text) as word, repeat(md5((-n)::text), 8) as text "
                        + "from generate_series(1, 100000) n")
                try await database.sql("\\copy source to '\(scene.path("table"))'")
                let exported = try digest(ofFile: scene.path("table"))
                #expect(exported.count > 25_000_000)

                try await database.sql("create table target (id integer, word text, text text)")
                try await database.sql("\\copy target from '\(scene.path("table"))'")
                let sums = try await database.sql(
                    "select count(*), md5(string_agg(id || word || text, '' order by id)) from source union all "
                        + "select count(*), md5(string_agg(id || word || text, '' order by id)) from target")
                let rows = sums.split(separator: "\n")
                try #require(rows.count == 2)
                #expect(rows[0].hasPrefix("100000|"))
                #expect(rows[0] == rows[1])

                try await database.sql("\\copy (select * from target order by id) to '\(scene.path("again"))'")
                #expect(try digest(ofFile: scene.path("again")) == exported)
            }
        }

        @Test("pgbench runs its transactions over kept and over new connections")
        func pgbench() async throws {
            try await withPostgres { scene, database in
                let pgbench = try program("pgbench")
                let setUp = try await scene.run(pgbench, ["-i", "-s", "1", "-q"], environment: database.environment)
                try #require(setUp.succeeded, "\(setUp.errors)")

                let kept = try await scene.run(
                    pgbench, ["-n", "-c", "4", "-t", "250"], environment: database.environment)
                #expect(kept.succeeded, "\(kept.errors)")
                #expect(kept.output.contains("number of transactions actually processed: 1000/1000"))

                let fresh = try await scene.run(
                    pgbench, ["-n", "-C", "-c", "4", "-t", "50"], environment: database.environment)
                #expect(fresh.succeeded, "\(fresh.errors)")
                #expect(fresh.output.contains("number of transactions actually processed: 200/200"))

                #expect(try await database.sql("select count(*) from pgbench_history") == "1200")
            }
        }

        /// The database as its clients find it.
        struct Database {
            let scene: Scene
            let port: UInt16
            var environment: [String: String] {
                ["PGHOST": "127.0.0.1", "PGPORT": "\(port)", "PGUSER": "postgres", "PGDATABASE": "postgres"]
            }

            @discardableResult
            func sql(_ command: String) async throws -> String {
                let run = try await scene.run(
                    try program("psql"), ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", command],
                    environment: environment)
                try #require(run.succeeded, "\(command): \(run.errors)")
                return run.output.trimmingCharacters(in: .whitespacesAndNewlines)
            }
        }

        private func withPostgres(_ body: (Scene, Database) async throws -> Void) async throws {
            try await withScene { scene in
                let target = try scene.reservedPort().endpoint
                try await startPostgres(scene, at: target)
                let tunnel = try await scene.tunnel(TunnelPlan("postgres", to: target))
                try await body(scene, Database(scene: scene, port: tunnel.endpoint().port))
                try await tunnel.stop()
            }
        }

        private func startPostgres(_ scene: Scene, at target: Endpoint) async throws {
            // The server refuses to be run by root.
            let user = getuid() == 0 ? "postgres" : nil
            let home = scene.path("postgres")
            #expect(mkdir(home, 0o700) == 0)
            if let user {
                let entry = try #require(getpwnam(user), "there is no user postgres").pointee
                #expect(chown(home, entry.pw_uid, entry.pw_gid) == 0)
                #expect(chmod(scene.directory, 0o711) == 0)
            }
            let data = "\(home)/data"
            let made = try await scene.run(
                try program("initdb"), ["-D", data, "-A", "trust", "-U", "postgres", "-N", "--no-instructions"],
                environment: ["LC_ALL": "C"], user: user)
            try #require(made.succeeded, "initdb: \(made.errors)")
            let server = try scene.start(
                try program("postgres"),
                ["-D", data, "-k", home, "-p", "\(target.port)", "-c", "listen_addresses=127.0.0.1", "-F"],
                environment: ["LC_ALL": "C"], user: user)
            // Its workers outlive a killed postmaster for a moment; asked, it takes them along.
            scene.atEnd { server.end(with: SIGQUIT) }
            try await waitUntilAccepting(target, by: server)
            try await eventually("PostgreSQL answers") {
                try await scene.run(
                    try program("pg_isready"),
                    ["-h", "127.0.0.1", "-p", "\(target.port)", "-U", "postgres", "-d", "postgres"]
                ).succeeded
            }
        }
    }
}
