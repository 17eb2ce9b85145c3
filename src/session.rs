//! One connection to the server, with the settings that make rsc's statements mean one thing: [`variables`] lists them.
//!
//! A query whose future was dropped leaves its answer on the connection, and the next query would be given
//! that answer. So a session that was left in the middle of a query refuses to be used again.

pub mod variables;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, Row, SslOpts};

use self::variables::{OWN_MODE, Role, VARIABLES};
use crate::schema::meaning::Meaning;
use crate::schema::sql_mode::SqlMode;
use crate::settings::{Server, SslMode};

/// What a statement can come back with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The server's answer. The statement did not take effect.
    #[error("{message} (MySQL error {code})")]
    Server { code: u16, message: String },
    /// There was no answer: whether the statement took effect is unknown.
    #[error("the connection to the server was lost: {0}")]
    Lost(String),
    /// No connection was made.
    #[error("cannot connect to {to}: {why}")]
    Unreachable { to: String, why: String, advice: &'static str },
}

/// What can be done about a [`SqlError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A duplicate key: real, or a passing state of a window.
    Duplicate,
    /// A lock was not to be had, or a deadlock was broken. The same may pass the next time.
    Again,
    /// Look at the server after reconnecting.
    Reconnect,
    /// The server has no room for what is to be written. An operator mends that.
    Room(&'static str),
    /// The account may not do this.
    Denied,
    /// A part of rsc's journal is not there.
    NoJournal,
    /// The rows do not fit where they should go. It would be answered the same again.
    Data,
    /// Anything else: a privilege taken away, a table that is gone. It would be answered the same until someone has
    /// looked at it.
    None,
}

const DISK: &str = "the server has run out of disk space, or of room in its tablespace";
const CACHE: &str = "the transaction is too large for the server's max_binlog_cache_size";

/// Errors that a value or a row causes, when it is converted or held against the table's rules.
const DATA_ERRORS: [u16; 30] = [
    1048, 1261, 1262, 1263, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1411, 1416, 1441, 1526, 1690, 1748,
    3037, 3106, 3140, 3141, 3143, 3156, 3643, 3673, 3819, 3854, 3903, 3907, 6136,
];

impl SqlError {
    pub fn remedy(&self) -> Remedy {
        match self {
            SqlError::Lost(_) | SqlError::Unreachable { .. } => Remedy::Reconnect,
            SqlError::Server { code, message } => match code {
                1062 | 1586 | 1022 => Remedy::Duplicate,
                1205 | 1213 | 1317 | 3024 | 3572 => Remedy::Again,
                1053 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 1040 | 1203 => Remedy::Reconnect,
                // It may be on its way to be a replica, and another server be the one to look at.
                1290 if message.contains("read-only") => Remedy::Reconnect,
                1836 => Remedy::Reconnect,
                1114 | 1021 | 3 | 20 | 1026 | 1297 | 1598 | 1878 | 3185 => Remedy::Room(DISK),
                1197 | 1705 => Remedy::Room(CACHE),
                1044 | 1142 | 1143 | 1227 | 1370 => Remedy::Denied,
                1049 | 1146 if message.contains("'_rsc'") || message.contains("'_rsc.") => Remedy::NoJournal,
                code if DATA_ERRORS.contains(code) => Remedy::Data,
                _ => Remedy::None,
            },
        }
    }

    pub fn code(&self) -> Option<u16> {
        match self {
            SqlError::Server { code, .. } => Some(*code),
            SqlError::Lost(_) | SqlError::Unreachable { .. } => None,
        }
    }
}

impl From<mysql_async::Error> for SqlError {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(e) => SqlError::Server { code: e.code, message: e.message },
            other => SqlError::Lost(plainly(&other)),
        }
    }
}

/// The driver says twice that reading or writing failed, before it says why.
fn plainly(error: &mysql_async::Error) -> String {
    error.to_string().replace("Input/output error: ", "")
}

/// How a statement ended.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Rows inserted, deleted, or found by an UPDATE (also those that it left as they were).
    pub affected: u64,
    pub warnings: u16,
}

pub struct Session {
    conn: Conn,
    /// A query has been sent and its answer not been read to the end.
    answering: bool,
}

/// A host that does not answer must not hang a command.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Row events carry two images of a row; the server's limit for a packet is 1 GiB.
const PACKET_MAX: usize = 1 << 30;

/// Before anything is known of the session: nothing that is asked may be cut short.
const FIRST: &str = "SET SESSION sql_select_limit = 18446744073709551615, sql_big_selects = 1, \
    max_execution_time = 0, character_set_client = 'utf8mb4', character_set_results = 'utf8mb4'";

/// Tells this process from every other, wherever it runs: process numbers and host names may repeat in containers.
/// Its sessions carry it, for whoever takes over.
pub fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| uuid::Uuid::new_v4().to_string())
}

impl Session {
    /// A session for rsc's own statements.
    pub async fn open(server: &Server) -> Result<Self, SqlError> {
        Self::of(server, Role::Control, &[]).await
    }

    /// A session that writes rows, so that expressions come to what they should.
    pub async fn writer(server: &Server, meaning: &Meaning) -> Result<Self, SqlError> {
        let zone = meaning.zone.as_ref().map_or("+00:00", |zone| &zone.name);
        let mode = match &meaning.mode {
            Some(mode) => format!("'{}'", mode.of_sessions),
            None => OWN_MODE.into(),
        };
        Self::of(server, Role::Writer, &[format!("time_zone = '{zone}'"), format!("sql_mode = {mode}")]).await
    }

    /// A session for the operator's own statement, which must mean what it means in their client. Without a `mode` it has
    /// the server's.
    pub async fn operator(server: &Server, mode: Option<&SqlMode>) -> Result<Self, SqlError> {
        let mode = mode.map(|mode| format!("sql_mode = '{}'", mode.to_string().replace('\'', "''")));
        Self::of(server, Role::Operator, mode.as_slice()).await
    }

    /// A server that goes away before the session is set up has not been reached: nothing was asked of it yet.
    async fn of(server: &Server, role: Role, more: &[String]) -> Result<Self, SqlError> {
        match Self::set_up(server, role, more).await {
            Err(SqlError::Lost(why)) => {
                Err(SqlError::Unreachable { to: server.address(), why, advice: SEE_ADDRESS })
            }
            other => other,
        }
    }

    async fn set_up(server: &Server, role: Role, more: &[String]) -> Result<Self, SqlError> {
        let mut session = Self::connected(server).await?;
        session.settle(server, role).await?;
        if !more.is_empty() {
            session.run(&format!("SET SESSION {}", more.join(", "))).await?;
        }
        Ok(session)
    }

    /// As the server hands it out, without what `init_connect` did.
    async fn connected(server: &Server) -> Result<Self, SqlError> {
        let opts = opts(server, server.ssl_mode);
        let made = match connect(opts).await {
            // Only a server that cannot encrypt is spoken to in plain text, never one whose encryption fails.
            Ok(Err(e)) if cannot_encrypt(&e) && server.ssl_mode == SslMode::Preferred => {
                connect(self::opts(server, SslMode::Disabled)).await
            }
            made => made,
        };
        let unreachable = |why: String, advice| SqlError::Unreachable { to: server.address(), why, advice };
        let conn = match made {
            Ok(Ok(conn)) => conn,
            Ok(Err(mysql_async::Error::Server(e))) => {
                return Err(SqlError::Server { code: e.code, message: e.message });
            }
            Ok(Err(e)) if cannot_encrypt(&e) => {
                return Err(unreachable("the server does not speak TLS".into(), SEE_TLS));
            }
            Ok(Err(e)) if is_tls(&e) => return Err(unreachable(plainly(&e), SEE_CERTIFICATES)),
            Ok(Err(e)) => return Err(unreachable(plainly(&e), SEE_ADDRESS)),
            Err(_) => return Err(unreachable(format!("no answer within {CONNECT_TIMEOUT:?}"), SEE_ADDRESS)),
        };
        let mut session = Self { conn, answering: false };
        session.begin()?;
        let reset = session.conn.reset().await.map(|_| ());
        session.end(reset)?;
        Ok(session)
    }

    /// Gives the variables their values.
    async fn settle(&mut self, server: &Server, role: Role) -> Result<(), SqlError> {
        let known = self.known(server).await?;
        let assignments = variables::assignments(role, &known);
        let mark = format!("@rsc_instance = '{}'", instance());
        match self.run(&format!("SET SESSION {}, {mark}", assignments.join(", "))).await {
            Err(SqlError::Server { code, .. }) if CANNOT_SET.contains(&code) => {}
            other => return other.map(|_| ()),
        }
        // The server lets this account not set one of them. It takes them all or none.
        for assignment in assignments.iter().chain([&mark]) {
            match self.run(&format!("SET SESSION {assignment}")).await {
                Err(SqlError::Server { code, .. }) if CANNOT_SET.contains(&code) && !needed(assignment) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// The names of the server's variables, asked for once.
    async fn known(&mut self, server: &Server) -> Result<Arc<HashSet<String>>, SqlError> {
        type Known = Mutex<HashMap<(String, (u16, u16, u16)), Arc<HashSet<String>>>>;
        static KNOWN: OnceLock<Known> = OnceLock::new();
        let all = KNOWN.get_or_init(Known::default);
        // Another version may answer at the same address by now.
        let key = (server.address(), self.conn.server_version());
        if let Some(known) = all.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        self.run(FIRST).await?;
        let rows = self.rows("SHOW SESSION VARIABLES").await?;
        let names = rows.iter().filter_map(|row| text(row, 0)).map(|name| name.to_lowercase());
        let known = Arc::new(names.collect::<HashSet<_>>());
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known.clone());
        Ok(known)
    }

    /// The server's name for this connection.
    pub fn id(&self) -> u32 {
        self.conn.id()
    }

    pub async fn run(&mut self, sql: &str) -> Result<Done, SqlError> {
        self.begin()?;
        tracing::trace!(id = self.conn.id(), sql = sql.chars().take(400).collect::<String>());
        let result = async {
            let answer = self.conn.query_iter(sql).await?;
            let done = Done { affected: answer.affected_rows(), warnings: answer.warnings() };
            answer.drop_result().await?;
            Ok::<_, mysql_async::Error>(done)
        }
        .await;
        self.end(result)
    }

    /// As [`Session::run`], for a statement that tests let go wrong; see `faults.rs`. In a release build it is
    /// [`Session::run`].
    #[cfg(debug_assertions)]
    pub async fn run_at(&mut self, statement: &'static str, sql: &str) -> Result<Done, SqlError> {
        self.pass(statement, "before").await?;
        let done = self.run(sql).await;
        self.pass(statement, "after").await?;
        done
    }

    /// [`Session::text`], in the same way.
    #[cfg(debug_assertions)]
    pub async fn text_at(&mut self, statement: &'static str, sql: &str) -> Result<Option<String>, SqlError> {
        self.pass(statement, "before").await?;
        let text = self.text(sql).await;
        self.pass(statement, "after").await?;
        text
    }

    /// Runs what somebody else wrote, which may be one statement and no more: the server prepares it, and refuses to prepare a
    /// text of two. (The driver asks the server to take several at once, and cannot be kept from it; its own way of
    /// preparing reads `:name` in the text for a parameter.)
    pub async fn run_alone_at(&mut self, statement: &'static str, sql: &str) -> Result<Done, SqlError> {
        self.prepare_alone(sql).await?;
        let done = self.run_at(statement, "EXECUTE rsc_alone").await;
        self.forget_alone(done).await
    }

    /// The same for what gives rows.
    pub async fn first_alone(&mut self, sql: &str) -> Result<Option<Row>, SqlError> {
        self.prepare_alone(sql).await?;
        let row = self.first("EXECUTE rsc_alone").await;
        self.forget_alone(row).await
    }

    async fn prepare_alone(&mut self, sql: &str) -> Result<(), SqlError> {
        let hex: String = sql.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.run(&format!("SET @rsc_alone = CONVERT(x'{hex}' USING utf8mb4)")).await?;
        self.run("PREPARE rsc_alone FROM @rsc_alone").await.map(|_| ())
    }

    async fn forget_alone<T>(&mut self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        if !matches!(result, Err(SqlError::Lost(_))) {
            self.run("DEALLOCATE PREPARE rsc_alone").await?;
        }
        result
    }

    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub fn run_at(&mut self, _: &'static str, sql: &str) -> impl Future<Output = Result<Done, SqlError>> {
        self.run(sql)
    }

    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub fn text_at(
        &mut self,
        _: &'static str,
        sql: &str,
    ) -> impl Future<Output = Result<Option<String>, SqlError>> {
        self.text(sql)
    }

    #[cfg(debug_assertions)]
    async fn pass(&mut self, statement: &'static str, moment: &'static str) -> Result<(), SqlError> {
        use crate::faults::{Kind, strikes};
        match strikes(statement, moment) {
            None | Some(Kind::Kill) => Ok(()),
            Some(Kind::Delay) => {
                tokio::time::sleep(crate::faults::delay()).await;
                Ok(())
            }
            Some(Kind::Lost) => {
                self.answering = true;
                Err(SqlError::Lost("a fault: no answer".into()))
            }
            Some(Kind::Cut) => {
                let id = self.conn.id();
                let mut other = Conn::new(self.conn.opts().clone()).await?;
                other.query_drop(format!("KILL {id}")).await?;
                let left =
                    format!("SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = {id}");
                while other.query_first::<u64, _>(&left).await?.is_some() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(())
            }
        }
    }

    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, SqlError> {
        self.begin()?;
        tracing::trace!(id = self.conn.id(), sql = sql.chars().take(400).collect::<String>());
        let result = self.conn.query(sql).await;
        self.end(result)
    }

    pub async fn first(&mut self, sql: &str) -> Result<Option<Row>, SqlError> {
        Ok(self.rows(sql).await?.into_iter().next())
    }

    /// The first column of the first row, as text. `None` for no row or NULL.
    pub async fn text(&mut self, sql: &str) -> Result<Option<String>, SqlError> {
        Ok(self.first(sql).await?.and_then(|row| text(&row, 0)))
    }

    /// The bare connection, for what ends its life as a session: the binlog stream.
    pub fn into_conn(self) -> Conn {
        self.conn
    }

    fn begin(&mut self) -> Result<(), SqlError> {
        if self.answering {
            return Err(SqlError::Lost("an earlier statement was given up before its answer".into()));
        }
        self.answering = true;
        Ok(())
    }

    fn end<T>(&mut self, result: Result<T, mysql_async::Error>) -> Result<T, SqlError> {
        let result = result.map_err(SqlError::from);
        // After a lost connection there is nothing to read; after an answer, the answer has been read.
        self.answering = matches!(result, Err(SqlError::Lost(_)));
        result
    }
}

/// Unknown, not for this account, not this value, read only.
const CANNOT_SET: [u16; 5] = [1193, 1227, 1231, 1235, 1238];

/// Without it a session would not be what rsc takes it for.
fn needed(assignment: &str) -> bool {
    let name = assignment.split(" = ").next().unwrap_or_default();
    VARIABLES.iter().any(|variable| {
        variable.name == name
            && matches!(variable.rule, variables::Rule::Pinned(_) | variables::Rule::Control(_))
    })
}

/// A column of a row as text; `None` for NULL.
pub fn text(row: &Row, index: usize) -> Option<String> {
    use mysql_async::Value;
    match row.as_ref(index)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

pub fn number(row: &Row, index: usize) -> Option<u64> {
    text(row, index)?.parse().ok()
}

const SEE_ADDRESS: &str = "check --host and --port, and that the server runs";
const SEE_TLS: &str = "set ssl_cert and ssl_key on the server, or choose --ssl-mode preferred or disabled";
const SEE_CERTIFICATES: &str =
    "check --ssl-ca, that the server's certificate is valid and names the host, and --ssl-mode";

async fn connect(opts: Opts) -> Result<mysql_async::Result<Conn>, tokio::time::error::Elapsed> {
    tokio::time::timeout(CONNECT_TIMEOUT, Conn::new(opts)).await
}

fn cannot_encrypt(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer))
}

/// What rustls refuses comes as data that is not valid.
fn is_tls(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Io(mysql_async::IoError::Tls(_)) => true,
        mysql_async::Error::Io(mysql_async::IoError::Io(e)) => e.kind() == std::io::ErrorKind::InvalidData,
        mysql_async::Error::Driver(mysql_async::DriverError::NoKeyFound) => true,
        _ => false,
    }
}

fn opts(server: &Server, ssl_mode: SslMode) -> Opts {
    let builder = OptsBuilder::default()
        .user(Some(server.user.clone()))
        .pass(server.password.clone())
        .prefer_socket(false)
        .max_allowed_packet(Some(PACKET_MAX))
        .tcp_nodelay(true)
        // `affected` then counts the rows an UPDATE found, changed or not.
        .client_found_rows(true)
        .stmt_cache_size(0);
    match &server.socket {
        // TLS on a local socket is not spoken by the driver, and protects nothing.
        Some(socket) => builder.socket(Some(socket.clone())).into(),
        None => builder
            .ip_or_hostname(server.host.clone())
            .tcp_port(server.port)
            .ssl_opts(tls(server, ssl_mode))
            .into(),
    }
}

/// The driver leaves the check of the name out when the error of that check contains this word, which it no longer does
/// with the rustls that the driver is built with. But it contains the name that was looked for: with this as the name,
/// the driver does what it promises. The certificate's chain and its dates are checked before its name, by errors of
/// their own. tests/it/tls.rs holds all of it.
const NAME_THAT_IS_NOT_CHECKED: &str = "NotValidForName";

fn tls(server: &Server, ssl_mode: SslMode) -> Option<SslOpts> {
    let identity = match (&server.ssl_cert, &server.ssl_key) {
        (Some(cert), Some(key)) => Some(ClientIdentity::new(cert.clone().into(), key.clone().into())),
        _ => None,
    };
    let trusted = server.ssl_ca.iter().map(|path| path.clone().into()).collect();
    let checked = SslOpts::default()
        .with_client_identity(identity.clone())
        .with_root_certs(trusted)
        // An authority that is named is trusted instead of the public ones, not besides them.
        .with_disable_built_in_roots(server.ssl_ca.is_some());
    match ssl_mode {
        SslMode::Disabled => None,
        SslMode::Preferred | SslMode::Required => Some(
            SslOpts::default()
                .with_client_identity(identity)
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        SslMode::VerifyCa => Some(
            checked
                .with_danger_skip_domain_validation(true)
                .with_danger_tls_hostname_override(Some(NAME_THAT_IS_NOT_CHECKED)),
        ),
        SslMode::VerifyIdentity => Some(checked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(code: u16, message: &str) -> Remedy {
        SqlError::Server { code, message: message.into() }.remedy()
    }

    /// The servers' own words, for errors that a test cannot always bring about.
    #[test]
    fn a_server_without_room_is_told_from_one_that_became_read_only() {
        for (code, message) in [
            (1114, "The table '_rsc1_t_new' is full"),
            (
                1021,
                "Disk full (/tmp/#sql1); waiting for someone to free some space... (errno: 28 - No space left on device)",
            ),
            (3, "Error writing file './binlog.000002' (OS errno 28 - No space left on device)"),
            (1026, "Error writing file './binlog.000002' (errno: 28 - No space left on device)"),
            (1297, "Got temporary error 410 'REDO log files overloaded' from NDBCLUSTER"),
            (
                1598,
                "Binary logging not possible. Message: An error occurred during flush stage of the commit.",
            ),
        ] {
            assert_eq!(remedy(code, message), Remedy::Room(DISK), "{code}");
        }
        let cache = "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage";
        assert_eq!(remedy(1197, cache), Remedy::Room(CACHE));
        for (code, message) in [
            (
                1290,
                "The MySQL server is running with the --super-read-only option so it cannot execute this statement",
            ),
            (1836, "Running in read-only mode"),
        ] {
            assert_eq!(remedy(code, message), Remedy::Reconnect, "{code}");
        }
        assert_eq!(
            remedy(1290, "The MySQL server is running with the --secure-file-priv option"),
            Remedy::None
        );
    }

    #[test]
    fn a_journal_that_is_gone_is_told_from_another_table_that_is_gone() {
        assert_eq!(remedy(1146, "Table '_rsc.stream_1' doesn't exist"), Remedy::NoJournal);
        assert_eq!(remedy(1049, "Unknown database '_rsc'"), Remedy::NoJournal);
        assert_eq!(remedy(1146, "Table 'd._rsc1_t_new' doesn't exist"), Remedy::None);
        assert_eq!(remedy(1049, "Unknown database '_rsc2'"), Remedy::None);
    }
}
