//! Encryption: each mode against certificates that are right, and wrong in one way each. Every connection of rsc goes the
//! same way, so what holds for a command holds for the binlog stream and for an agent.

use std::fs;
use std::path::PathBuf;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::support::process::{Ended, bare};
use crate::support::server::account::Account;
use crate::support::server::{Options, Server};
use crate::support::shared;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Keys and certificates in files.
struct Papers {
    folder: tempfile::TempDir,
    authority: Authority,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Papers {
    fn new() -> Self {
        let papers = Self { folder: tempfile::tempdir().unwrap(), authority: authority("the authority") };
        papers.write("ca.pem", &papers.authority.pem());
        papers.write("other-ca.pem", &authority("another authority").pem());
        papers.write("nonsense.pem", "no certificate\n");
        papers.issue("client", &[], 4000);
        papers
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(PathBuf::from(self.path(name)), text).unwrap();
    }

    /// `<name>-cert.pem` and `<name>-key.pem`, valid to the end of that year.
    fn issue(&self, name: &str, names: &[&str], until: i32) {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{name}-cert.pem"), &certificate.pem());
        self.write(&format!("{name}-key.pem"), &key.serialize_pem());
    }

    /// A server that shows the certificate of this name.
    fn server(&self, name: &str) -> Server {
        let option = |option: &str, file: String| format!("--{option}={}", self.path(&file));
        let options = Options::default()
            .with(option("ssl-ca", "ca.pem".into()))
            .with(option("ssl-cert", format!("{name}-cert.pem")))
            .with(option("ssl-key", format!("{name}-key.pem")));
        Server::start(options).unwrap()
    }

    /// `rsc list` with these flags; `@` stands for the folder of the papers.
    async fn list(&self, server: &Server, flags: &str) -> Ended {
        let port = server.port().to_string();
        let flags = flags.replace('@', self.folder.path().to_str().unwrap());
        let mut arguments = vec!["--port", &port, "--user", Account::Documented.user(), "--output", "json"];
        arguments.extend(flags.split_whitespace());
        arguments.push("list");
        bare(&arguments).run().await
    }

    async fn gets_in(&self, server: &Server, flags: &str) {
        self.list(server, flags).await.well();
    }

    async fn is_kept_out(&self, server: &Server, flags: &str, why: &str, next: &str) {
        let ended = self.list(server, flags).await;
        assert_eq!(ended.code, 2, "{flags}: {ended:#?}");
        let error = ended.last_line();
        let reason = &error["reasons"][0];
        let told = reason["what"].as_str().unwrap().to_lowercase();
        assert!(told.contains(why), "{flags}: no {why:?}: {error:#}");
        assert!(reason["next"].as_str().unwrap().contains(next), "{flags}: no {next:?}: {error:#}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked_as_far_as_the_mode_says() {
    let papers = Papers::new();
    papers.issue("server", &["localhost", "db.example.com"], 4000);
    let server = papers.server("server");
    for flags in [
        "--ssl-mode disabled",
        "--ssl-mode preferred",
        "--ssl-mode required",
        "--ssl-mode required --ssl-ca @/other-ca.pem",
        "--ssl-mode verify-ca --ssl-ca @/ca.pem",
        "--ssl-mode verify-ca --ssl-ca @/ca.pem --host localhost",
        "--ssl-mode verify-identity --ssl-ca @/ca.pem --host localhost",
    ] {
        papers.gets_in(&server, flags).await;
    }
    for (flags, why, next) in [
        ("--ssl-mode verify-ca --ssl-ca @/other-ca.pem", "certificate", "--ssl-ca"),
        ("--ssl-mode verify-identity --ssl-ca @/other-ca.pem --host localhost", "certificate", "--ssl-ca"),
        // 127.0.0.1 is not among its names.
        ("--ssl-mode verify-identity --ssl-ca @/ca.pem", "not valid for name", "names the host"),
        // Nor is this authority one of the public ones.
        ("--ssl-mode verify-identity --host localhost", "certificate", "--ssl-ca"),
        ("--ssl-mode verify-ca", "verify-ca needs the authority", "--ssl-ca"),
        ("--ssl-mode verify-ca --ssl-ca @/nonsense.pem", "", "--ssl-ca"),
        ("--ssl-mode verify-ca --ssl-ca @/gone.pem", "gone.pem cannot be read", "--ssl-ca"),
        ("--ssl-mode required --ssl-cert @/client-cert.pem", "needs its key", "--ssl-key"),
    ] {
        papers.is_kept_out(&server, flags, why, next).await;
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused_by_whoever_checks_it() {
    let papers = Papers::new();
    papers.issue("server", &["localhost"], 2020);
    let server = papers.server("server");
    papers.gets_in(&server, "--ssl-mode required").await;
    for mode in ["verify-ca", "verify-identity"] {
        let flags = format!("--host localhost --ssl-mode {mode} --ssl-ca @/ca.pem");
        papers.is_kept_out(&server, &flags, "expired", "certificate is valid").await;
    }
}

/// Those that a server makes for itself name no host.
#[tokio::test]
async fn the_certificates_that_a_server_makes_for_itself_do_for_verify_ca() {
    let server = shared();
    let ca = server.data_directory().join("ca.pem").to_str().unwrap().to_owned();
    let papers = Papers::new();
    papers.gets_in(server, &format!("--ssl-mode verify-ca --ssl-ca {ca}")).await;
    papers.is_kept_out(server, "--ssl-mode verify-ca --ssl-ca @/ca.pem", "certificate", "--ssl-ca").await;
    let identity = format!("--ssl-mode verify-identity --ssl-ca {ca} --host localhost");
    papers.is_kept_out(server, &identity, "not valid for", "names the host").await;
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_is_spoken_to_only_if_that_is_allowed() {
    let server = Server::start(Options::default().with("--tls-version=")).unwrap();
    let papers = Papers::new();
    papers.gets_in(&server, "--ssl-mode disabled").await;
    papers.gets_in(&server, "--ssl-mode preferred").await;
    for mode in ["required", "verify-ca --ssl-ca @/ca.pem", "verify-identity"] {
        let flags = format!("--ssl-mode {mode}");
        papers.is_kept_out(&server, &flags, "the server does not speak tls", "ssl_cert").await;
    }
}

async fn ciphers(conn: &mut Conn, user: &str) -> Vec<String> {
    conn.query(format!(
        "SELECT v.VARIABLE_VALUE FROM performance_schema.status_by_thread v JOIN performance_schema.threads t USING \
         (THREAD_ID) WHERE v.VARIABLE_NAME = 'Ssl_cipher' AND t.PROCESSLIST_USER = '{user}'"
    ))
    .await
    .unwrap()
}

/// An account that gets in with a certificate only: so no connection of a whole change, nor of the agent that goes on
/// with it, is without.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_requires_a_certificate_can_do_everything_with_one() {
    let papers = Papers::new();
    papers.issue("server", &["localhost"], 4000);
    let server = papers.server("server");
    let mut conn = server.conn().await.unwrap();
    conn.query_drop(
        "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int); INSERT INTO d.t VALUES (1, 1), (2, 2); \
         CREATE USER 'careful'@'localhost' IDENTIFIED BY 'a secret' REQUIRE X509; GRANT ALL ON *.* TO 'careful'@'localhost'",
    )
    .await
    .unwrap();
    let port = server.port().to_string();
    let (ca, cert, key) =
        (papers.path("ca.pem"), papers.path("client-cert.pem"), papers.path("client-key.pem"));
    let encrypted = ["--port", &port, "--user", "careful", "--host", "localhost", "--output", "json"];
    let checked = ["--ssl-mode", "verify-identity", "--ssl-ca", &ca];
    let shown = ["--ssl-cert", &cert, "--ssl-key", &key];
    let state = tempfile::tempdir().unwrap();
    let careful = |flags: &[&str], command: &[&str]| {
        let own = bare(&[&encrypted[..], flags, command].concat()).env("RSC_PASSWORD", "a secret");
        own.env("XDG_STATE_HOME", state.path().to_str().unwrap())
    };
    for flags in [&[][..], &["--ssl-mode", "required"], &checked] {
        let refused = careful(flags, &["list"]).run().await;
        assert_eq!(refused.code, 2, "{flags:?}: {refused:#?}");
        assert!(refused.stdout.contains("--ssl-cert"), "{refused:#?}");
    }
    let both = [&checked[..], &shown].concat();
    let migrate = ["migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title", "--agent", "auto"];
    let migrated = careful(&both, &migrate).run().await.well();
    assert!(migrated.stdout.contains("an agent keeps the other table current"), "{migrated:#?}");
    let used = ciphers(&mut conn, "careful").await;
    assert!(
        used.len() >= 3 && used.iter().all(|cipher| cipher.contains("TLS_")),
        "the agent's connections: {used:?}"
    );
    conn.query_drop("INSERT INTO d.t VALUES (3)").await.unwrap();
    careful(&both, &["revert", "1"]).run().await.well();
    let rows: Vec<(i32, Option<i32>)> = conn.query("SELECT * FROM d.t ORDER BY id").await.unwrap();
    assert_eq!(rows, [(1, Some(1)), (2, Some(2)), (3, None)]);
    careful(&both, &["complete", "1"]).run().await.well();
}
