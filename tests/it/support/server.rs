//! A private MySQL server: own data, own port, gone when its process is.
//!
//! No container engine and no installed server is needed: without one, MySQL is fetched once into a cache folder
//! (see `server/installation.rs`). `RSC_MYSQLD` names the server to use instead.
//!
//! Examples use this file too, through `#[path = "../tests/it/support/server.rs"] mod server;`.

// Each test binary and each example uses its own part of it.
#![allow(dead_code)]

#[path = "server/account.rs"]
pub mod account;
#[path = "server/fetch.rs"]
mod fetch;
#[path = "server/installation.rs"]
mod installation;
#[path = "server/keeper.rs"]
mod keeper;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use rand::Rng;

use account::Account;
use installation::{Installation, joined, run_as_root};
use keeper::Keeper;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Installation(#[from] installation::Error),
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    #[error("mysqld ended while starting; the end of its log:\n{log_tail}")]
    EndedAtStart { log_tail: String },
    #[error("mysqld did not answer within {waited:?}; the end of its log:\n{log_tail}")]
    NotReady { waited: Duration, log_tail: String },
    #[error("the replica: {0}")]
    Replica(#[from] mysql_async::Error),
}

/// How long a start may take before it counts as failed. Usual is under 2 s; crash recovery on a busy machine is not.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Another process may take the chosen port between the choice and the server's start.
const PORTS_TRIED: usize = 3;

/// The path of a unix socket ends after 107 bytes.
const SOCKET_PATH_MAX: usize = 107;

/// As rsc wants a server, and without the waits for the disk that only matter when the machine itself fails (a
/// killed mysqld loses nothing: what it wrote is in the kernel). Names are not resolved for 127.0.0.1, which always
/// counts as localhost, so that root@localhost serves TCP too. A binlog is read from its file's beginning, so its files are
/// short: every stream of a shared server begins in the last of them.
const DEFAULTS: [&str; 14] = [
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--log-bin=binlog",
    "--sync-binlog=0",
    "--max-binlog-size=4M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=256M",
    "--innodb-redo-log-capacity=512M",
    "--max-connections=300",
    "--loose-mysqlx=OFF",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--secure-file-priv=",
    "--bind-address=127.0.0.1",
];

/// The server's command line beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    options: Vec<String>,
    zone: Option<String>,
}

impl Options {
    /// One option as mysqld takes it, such as `--gtid-mode=OFF`; it overrides a default or an earlier one.
    pub fn with(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// What `time_zone = SYSTEM` means to the server: the variable TZ of its process.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }
}

/// A running server. Dropping it kills mysqld and removes its data.
pub struct Server {
    port: u16,
    folder: PathBuf,
    client: Option<PathBuf>,
    version: String,
    keeper: Mutex<Keeper>,
}

impl Server {
    /// Returns when the server answers.
    pub fn start(options: Options) -> Result<Self, Error> {
        let installation = Installation::find()?;
        let template = installation.template(&options.options)?;
        let mut tried = 1;
        loop {
            match Self::start_once(&installation, &template, &options) {
                Err(Error::EndedAtStart { log_tail }) if port_was_taken(&log_tail) && tried < PORTS_TRIED => {
                    tried += 1
                }
                outcome => return outcome,
            }
        }
    }

    fn start_once(installation: &Installation, template: &Path, options: &Options) -> Result<Self, Error> {
        let folder = private_folder()?;
        let port = free_port()?;
        let command_line = command_line(installation, options, &folder, port)?;
        let keeper =
            Keeper::new(&folder, &error_log(&folder), &command_line).map_err(doing("starting /bin/sh"))?;
        // From here on the keeper removes the folder, also when what follows fails.
        let server = Self {
            port,
            folder,
            client: installation.client(),
            version: installation.version.clone(),
            keeper: Mutex::new(keeper),
        };
        copy_folder(template, &server.folder.join("data"))?;
        server.start_mysqld(&[])?;
        Ok(server)
    }

    /// A server that follows `primary` by GTID from its first transaction on.
    pub async fn start_replica(primary: &Self, options: Options) -> Result<Self, Error> {
        let replica = Self::start(options)?;
        let mut conn = replica.conn().await?;
        conn.query_drop(format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'root', \
             SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1",
            primary.port
        ))
        .await?;
        conn.query_drop("START REPLICA").await?;
        conn.disconnect().await?;
        Ok(replica)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    pub fn error_log(&self) -> PathBuf {
        error_log(&self.folder)
    }

    pub fn data_directory(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// As mysqld prints it, such as `9.7.4 for Linux on x86_64 (Debian)`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// mysqld's own process id; `None` between [`Server::kill`] and [`Server::restart`].
    pub fn pid(&self) -> Option<u32> {
        self.keeper().pid()
    }

    /// SIGKILL, as a crash of the server; the data stays. Returns when the process is gone.
    pub fn kill(&self) -> Result<(), Error> {
        self.keeper().end("KILL").map_err(doing("killing mysqld"))
    }

    /// Starts mysqld again with the same port, data and options, after an orderly shutdown if it still runs.
    pub fn restart(&self) -> Result<(), Error> {
        self.restart_with(&[])
    }

    /// The same with further options, for this run only.
    pub fn restart_with(&self, more: &[&str]) -> Result<(), Error> {
        self.keeper().end("TERM").map_err(doing("shutting mysqld down"))?;
        self.start_mysqld(more)
    }

    /// root without a password, over TCP, no schema chosen.
    pub fn opts(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(Some(false))
    }

    pub async fn conn(&self) -> mysql_async::Result<Conn> {
        Conn::new(self.opts()).await
    }

    /// A connection as the application's.
    pub async fn application(&self) -> mysql_async::Result<Conn> {
        Conn::new(self.opts().user(Some(account::APPLICATION))).await
    }

    /// A new, empty schema, so that tests sharing a server do not meet.
    ///
    /// # Panics
    /// When the server does not obey: no test can go on then.
    pub async fn fresh_database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let name = format!("rsc_test_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let created = async {
            let mut conn = self.conn().await?;
            conn.query_drop(format!("CREATE DATABASE {name}")).await?;
            conn.disconnect().await
        };
        if let Err(error) = created.await {
            panic!("no schema for a test: {error}");
        }
        name
    }

    /// Gives rsc's accounts what README grants on each schema whose tables are changed. For tests that make a schema with
    /// another name than those of [`account`]; it need not be there yet.
    ///
    /// # Panics
    /// As [`Server::fresh_database`].
    pub async fn grant(&self, schema: &str) {
        let granted = async {
            let mut conn = self.conn().await?;
            for sql in Account::ALL.into_iter().flat_map(|account| account.granted(schema)) {
                conn.query_drop(sql).await?;
            }
            conn.disconnect().await
        };
        if let Err(error) = granted.await {
            panic!("no grants on {schema}: {error}");
        }
    }

    /// What to paste into a terminal to look at this server.
    pub fn client_command(&self) -> String {
        let client = self.client.as_deref().unwrap_or(Path::new("mysql")).display();
        format!("{client} --no-defaults --commands -h 127.0.0.1 -P {} -u root", self.port)
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        // A panicking test must not keep the others from their server.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_mysqld(&self, more: &[&str]) -> Result<(), Error> {
        let mut keeper = self.keeper();
        keeper.start(more).map_err(doing("starting mysqld"))?;
        let started = Instant::now();
        let log_tail = || tail(&error_log(&self.folder), 25);
        while !answers(&self.socket()) {
            if !keeper.is_running() {
                return Err(Error::EndedAtStart { log_tail: log_tail() });
            }
            if started.elapsed() > READY_WITHIN {
                return Err(Error::NotReady { waited: READY_WITHIN, log_tail: log_tail() });
            }
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }
}

fn command_line(
    installation: &Installation,
    options: &Options,
    folder: &Path,
    port: u16,
) -> Result<Vec<OsString>, Error> {
    // `--no-defaults` is only understood as the first one.
    let mut line: Vec<OsString> = match &options.zone {
        // `env` becomes mysqld, with the same process id.
        Some(zone) => vec!["env".into(), format!("TZ={zone}").into()],
        None => Vec::new(),
    };
    line.extend([installation.mysqld.clone().into_os_string(), "--no-defaults".into()]);
    line.extend(DEFAULTS.map(OsString::from));
    line.extend(run_as_root(folder)?.map(OsString::from));
    line.push(format!("--server-id={}", rand::rng().random_range(1..=u32::MAX)).into());
    line.push(format!("--port={port}").into());
    line.push(joined("--socket=", &socket(folder)));
    line.push(joined("--datadir=", &folder.join("data")));
    line.push(joined("--pid-file=", &folder.join("data/mysqld.pid")));
    line.extend(options.options.iter().map(OsString::from));
    Ok(line)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("mysqld.sock")
}

fn error_log(folder: &Path) -> PathBuf {
    folder.join("error.log")
}

/// In the temporary folder, unless its name is too long for a socket in it.
fn private_folder() -> Result<PathBuf, Error> {
    let make = |parent: &Path| tempfile::Builder::new().prefix("rsc-mysqld-").tempdir_in(parent);
    let usual = make(&env::temp_dir()).map_err(doing("making a temporary folder"))?;
    let fits = socket(usual.path()).as_os_str().len() <= SOCKET_PATH_MAX;
    let chosen =
        if fits { usual } else { make(Path::new("/tmp")).map_err(doing("making a folder in /tmp"))? };
    Ok(chosen.keep())
}

/// Below the range from which the kernel gives ports to outgoing connections, so that the port is still free at a
/// restart.
fn free_port() -> Result<u16, Error> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..100)
        .map(|_| rand::rng().random_range(10_000..32_000))
        .find(free)
        .ok_or_else(|| doing("looking for a free port")(io::ErrorKind::AddrInUse.into()))
}

fn port_was_taken(log_tail: &str) -> bool {
    log_tail.contains("Bind on TCP/IP port")
}

/// Clones where the file system can, and keeps holes.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]).output();
    let copied = copied.map_err(doing("starting cp"))?;
    if copied.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&copied.stderr).into_owned();
    Err(doing("copying the template of a data directory")(io::Error::other(said)))
}

/// Whether the server greets. The socket is in a folder of our own, so nobody else's server answers there; an accept
/// alone would prove only that mysqld listens.
fn answers(socket: &Path) -> bool {
    let greeted = || -> io::Result<u8> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting)?;
        Ok(greeting[4])
    };
    // Four bytes of packet header, then the protocol's version, or 255 for an error.
    greeted().is_ok_and(|protocol| protocol == 10)
}

fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { doing, source }
}
