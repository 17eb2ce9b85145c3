//! Servers as people have them, each started once a test process and shared.
//!
//! None has settings that a native ALTER could not live with. What a session of the application has on each of them is
//! the judge's: [`Odd::application`] connects as an account that the server treats as any other, so `init_connect` runs
//! for it, and so does everything else that the server gives to its clients.

// Parts of it are used in builds with faults only.
#![allow(dead_code)]

use std::sync::OnceLock;
use std::thread;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::server::account::Account;
use super::server::{Options, Server};

/// A zone of the server's own tables, with an hour that is missing and an hour that comes twice in 2024.
pub const NAMED_ZONE: [&str; 4] = [
    "INSERT INTO mysql.time_zone VALUES (9001, 'N')",
    "INSERT INTO mysql.time_zone_name VALUES ('Test/Leaping', 9001)",
    "INSERT INTO mysql.time_zone_transition_type VALUES (9001, 0, -18000, 0, 'EST'), (9001, 1, -14400, 1, 'EDT')",
    "INSERT INTO mysql.time_zone_transition VALUES (9001, -2147483648, 0), (9001, UNIX_TIMESTAMP(20240310070000), 1), \
     (9001, UNIX_TIMESTAMP(20241103060000), 0)",
];

/// A session for looking: it sees everything, and as it is.
const LOOKING: &str = "SET SESSION autocommit = 1, completion_type = 0, time_zone = '+00:00', sql_mode = '', \
     sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_quote_show_create = 1, \
     show_gipk_in_create_table_and_information_schema = 1, information_schema_stats_expiry = 0, \
     NAMES utf8mb4";

struct Oddity {
    name: &'static str,
    options: &'static [&'static str],
    /// What has no option on the command line, or needs the server's tables.
    settings: &'static [&'static str],
    /// Whom rsc connects as.
    rsc: &'static str,
}

/// The names are those of `tests/it/cases/*/refused_on.txt` and `tests/it/data/odd_servers_known_failures.txt`.
const ODDITIES: [Oddity; 4] = [
    Oddity {
        name: "lenient",
        options: &[
            "--default-time-zone=+05:30",
            "--sql-mode=PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION",
            "--innodb-strict-mode=OFF",
        ],
        settings: &[],
        rsc: Account::Documented.user(),
    },
    Oddity {
        name: "ansi",
        options: &["--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES", "--lower-case-table-names=1"],
        settings: &["SET GLOBAL sql_quote_show_create = 0"],
        rsc: Account::Documented.user(),
    },
    Oddity {
        name: "narrow",
        options: &[
            "--autocommit=0",
            "--completion-type=CHAIN",
            "--max-join-size=10",
            "--init-connect=SET autocommit = 0, NAMES latin1",
            "--binlog-checksum=NONE",
            "--binlog-transaction-compression=ON",
        ],
        settings: &["SET GLOBAL time_zone = 'Test/Leaping'", "SET GLOBAL sql_select_limit = 3"],
        // The other one has CONNECTION_ADMIN, for which init_connect does not run.
        rsc: Account::Minimal.user(),
    },
    Oddity {
        name: "latin1",
        options: &[
            "--character-set-server=latin1",
            "--collation-server=latin1_swedish_ci",
            "--partial-revokes=ON",
            "--sql-generate-invisible-primary-key=ON",
            "--show-gipk-in-create-table-and-information-schema=OFF",
        ],
        // What README grants on a schema, granted on all, and taken back on one.
        settings: &[
            "CREATE DATABASE elsewhere",
            "CREATE USER 'rsc_wide'@'%'",
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO 'rsc_wide'@'%'",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER, \
             CREATE TEMPORARY TABLES ON *.* TO 'rsc_wide'@'%'",
            "REVOKE INSERT, UPDATE, DELETE, ALTER, DROP, TRIGGER ON elsewhere.* FROM 'rsc_wide'@'%'",
        ],
        rsc: "rsc_wide",
    },
];

pub struct Odd {
    pub name: &'static str,
    pub server: Server,
    /// Whom rsc connects as.
    pub rsc: &'static str,
}

/// All of them, started at the first use.
pub fn all() -> &'static [Odd] {
    static ALL: OnceLock<Vec<Odd>> = OnceLock::new();
    ALL.get_or_init(|| {
        let starts: Vec<_> = ODDITIES.iter().map(|oddity| thread::spawn(|| started(oddity))).collect();
        starts.into_iter().map(|start| start.join().unwrap_or_else(|_| panic!("no odd server"))).collect()
    })
}

pub fn named(name: &str) -> &'static Odd {
    all().iter().find(|odd| odd.name == name).unwrap_or_else(|| panic!("no odd server is called {name}"))
}

/// On a thread of its own, which has no runtime yet.
fn started(oddity: &'static Oddity) -> Odd {
    let options = oddity.options.iter().fold(Options::default(), |all, one| all.with(*one));
    // The application makes triggers, and is no administrator.
    let options = options.with("--loose-log-bin-trust-function-creators=ON");
    let server = Server::start(options).unwrap_or_else(|e| panic!("{}: {e}", oddity.name));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|e| panic!("{}: {e}", oddity.name));
    runtime.block_on(async {
        let mut conn = server.conn().await.unwrap_or_else(|e| panic!("{}: {e}", oddity.name));
        let all = [LOOKING].into_iter().chain(NAMED_ZONE);
        for sql in all.chain(oddity.settings.iter().copied()) {
            conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{}: {sql}: {e}", oddity.name));
        }
    });
    Odd { name: oddity.name, server, rsc: oddity.rsc }
}

impl Odd {
    /// A session as the server gives it to the application.
    pub async fn application(&self) -> Conn {
        self.server.application().await.unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// A session of root that sees what there is, whatever the server's settings are.
    pub async fn looking(&self) -> Conn {
        let mut conn = self.server.conn().await.unwrap_or_else(|e| panic!("{}: {e}", self.name));
        conn.query_drop(LOOKING).await.unwrap_or_else(|e| panic!("{}: {e}", self.name));
        conn
    }
}
