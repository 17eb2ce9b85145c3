//! The indexes that are left off a shadow and built when its rows are there.
//!
//! The statement that builds them begins with the change's mark, so that whoever comes after a process that died
//! finds it among what the server is doing: the server goes on with it, whatever became of its client.

use std::thread;
use std::time::Duration;

use super::binlog::literal::literal_select_expr;
use crate::schema::deferral::{KeyText, keys_of};
use crate::schema::table::{Table, TableName, quote, same_name};
use crate::session::{Session, SqlError, number, text};
use crate::settings::Server;

/// Between two looks at a build that is being ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An ALTER that builds indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub connection: u64,
    /// For so long.
    pub seconds: u64,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// From 0 to 1.
    Done(f64),
    /// The server does not keep the stages of its statements; it would for all of them.
    NotKept,
    /// Nothing to be seen at the moment.
    Unknown,
}

/// Replicas, and members of a group, execute a statement after this server has ended it.
pub async fn replicas(session: &mut Session) -> Result<u64, SqlError> {
    let registered = session.rows("SHOW REPLICAS").await?;
    let others = registered.iter().filter(|row| text(row, 1).as_deref() != Some(super::READER_NAME)).count();
    // Absent without the plugin, and not to be seen by every account.
    let members = session
        .text("SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE MEMBER_STATE <> 'OFFLINE'")
        .await;
    let members = members.ok().flatten().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    Ok(others as u64 + members.saturating_sub(1))
}

/// Takes `keys` off an empty shadow, if the server can put them back in the way that is meant for later, and the
/// definition is the same then. Otherwise the shadow is not as it was, and is to be made anew.
pub async fn leave_off(
    session: &mut Session,
    table: &TableName,
    keys: &[KeyText],
    mark: &str,
) -> Result<bool, SqlError> {
    let before = definition(session, table).await?;
    session.run(&drop_statement(table, keys)).await?;
    match session.run(&build_statement(table, keys, mark)).await {
        Ok(_) => {}
        Err(SqlError::Server { .. }) => return Ok(false),
        Err(lost) => return Err(lost),
    }
    if definition(session, table).await? != before {
        return Ok(false);
    }
    session.run_at("indexes.leave_off", &drop_statement(table, keys)).await?;
    Ok(true)
}

async fn definition(session: &mut Session, table: &TableName) -> Result<Vec<KeyText>, SqlError> {
    let row = session.first(&format!("SHOW CREATE TABLE {table}")).await?;
    Ok(keys_of(&row.and_then(|row| text(&row, 1)).unwrap_or_default()))
}

fn drop_statement(table: &TableName, keys: &[KeyText]) -> String {
    let clauses: Vec<String> = keys.iter().map(|key| format!("DROP KEY {}", quote(&key.name))).collect();
    format!("ALTER TABLE {table} {}", clauses.join(", "))
}

fn build_statement(table: &TableName, keys: &[KeyText], mark: &str) -> String {
    let clauses: Vec<String> = keys.iter().map(|key| format!("ADD {}", key.text)).collect();
    format!("{} {table} {}, ALGORITHM=INPLACE, LOCK=NONE", build_begins(mark), clauses.join(", "))
}

fn build_begins(mark: &str) -> String {
    format!("ALTER {mark} TABLE")
}

/// Builds them.
pub async fn build(
    session: &mut Session,
    table: &TableName,
    keys: &[KeyText],
    mark: &str,
) -> Result<(), SqlError> {
    session.run_at("indexes.build", &build_statement(table, keys, mark)).await.map(|_| ())
}

/// The build that is under way on the server, whoever began it.
pub async fn running(session: &mut Session, mark: &str) -> Result<Option<Running>, SqlError> {
    let begins = build_begins(mark);
    // Every account may see its own connections here.
    let rows = session.rows("SHOW FULL PROCESSLIST").await?;
    let found = rows.iter().find(|row| text(row, 7).is_some_and(|info| info.starts_with(&begins)));
    Ok(found
        .map(|row| Running { connection: number(row, 0).unwrap_or(0), seconds: number(row, 5).unwrap_or(0) }))
}

/// Ends the build, and waits until nothing of it is left.
pub async fn stop(session: &mut Session, mark: &str) -> Result<(), SqlError> {
    while let Some(running) = running(session, mark).await? {
        match session.run(&format!("KILL QUERY {}", running.connection)).await {
            // It has just ended.
            Err(SqlError::Server { code: 1094, .. }) => {}
            other => drop(other?),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

pub async fn progress(session: &mut Session, connection: u64) -> Progress {
    let stage = session
        .first(&format!(
            "SELECT s.WORK_COMPLETED / s.WORK_ESTIMATED FROM performance_schema.events_stages_current s \
             JOIN performance_schema.threads t ON t.THREAD_ID = s.THREAD_ID \
             WHERE t.PROCESSLIST_ID = {connection} AND s.EVENT_NAME LIKE 'stage/innodb/alter table%' \
             AND s.WORK_ESTIMATED > 0"
        ))
        .await;
    // A help, not a condition: also for an account that may not look.
    if let Ok(Some(row)) = stage {
        let done = text(&row, 0).and_then(|done| done.parse::<f64>().ok());
        // The server's estimate may be used up long before the end; from then on it tells nothing.
        return done.filter(|done| *done < 1.0).map_or(Progress::Unknown, Progress::Done);
    }
    let kept = session
        .text("SELECT ENABLED FROM performance_schema.setup_consumers WHERE NAME = 'events_stages_current'")
        .await;
    match kept {
        Ok(Some(enabled)) if enabled == "YES" => Progress::Unknown,
        _ => Progress::NotKept,
    }
}

/// What a build may take of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    pub threads: u64,
    /// Threads that read the table.
    pub readers: u64,
    pub buffer_bytes: u64,
    /// Where that is from, for people.
    pub source: &'static str,
}

const MIB: u64 = 1 << 20;

impl Means {
    /// What was fastest (docs/benchmarks.md): two threads a core that sort, one a core that reads, and a small buffer.
    /// A larger one is slower until the sorted pieces are so many that merging them takes another pass over the table, so
    /// it grows with the table, up to an eighth of the free memory. SQL tells neither cores nor memory: on another machine
    /// the server's own numbers of threads stay, and the memory is what any server has.
    pub async fn of(server: &Server, session: &mut Session, table_bytes: u64) -> Result<Self, SqlError> {
        let fitting = (table_bytes / 16).max(32 * MIB);
        Ok(match machine(server, session).await? {
            Some((cores, free)) => Self {
                threads: (2 * cores).clamp(4, 16),
                readers: cores.clamp(1, 8),
                buffer_bytes: fitting.min(1024 * MIB).min(free / 8).max(MIB),
                source: "the machine's cores and free memory, and the table's size",
            },
            None => Self {
                threads: 0,
                readers: 0,
                buffer_bytes: fitting.min(64 * MIB),
                source: "the server's own threads, as it is on another machine",
            },
        })
    }

    /// Of this session only; what the server does not know or allow stays as it is.
    pub async fn grant(&self, session: &mut Session) -> Result<(), SqlError> {
        let mut settings = vec![("innodb_ddl_buffer_size", self.buffer_bytes)];
        if self.threads > 0 {
            settings.push(("innodb_ddl_threads", self.threads));
            settings.push(("innodb_parallel_read_threads", self.readers));
        }
        for (name, value) in settings {
            match session.run(&format!("SET SESSION {name} = {value}")).await {
                Err(lost @ (SqlError::Lost(_) | SqlError::Unreachable { .. })) => return Err(lost),
                Err(SqlError::Server { .. }) | Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// Cores, and free memory in bytes, of the server's machine, if it is this one. A tunnel looks like this one, too, but
/// for the name.
pub async fn machine(server: &Server, session: &mut Session) -> Result<Option<(u64, u64)>, SqlError> {
    if !server.may_be_this_machine() {
        return Ok(None);
    }
    let name = session.text("SELECT @@GLOBAL.hostname").await?;
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let same = here.is_some_and(|here| Some(here.trim()) == name.as_deref());
    Ok(same.then(this_machine).flatten())
}

fn this_machine() -> Option<(u64, u64)> {
    let cores = thread::available_parallelism().ok()?.get() as u64;
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some((cores, kib * 1024))
}

/// The keys of two rows of the shadow that have the same values for a unique index that is to be built. No statement
/// when the index is of more than whole columns.
pub fn twins(shadow: &Table, key: &KeyText, row_key: &[String]) -> Option<String> {
    let columns = key.columns()?;
    let mut printed = Vec::new();
    for name in row_key {
        printed.push(literal_select_expr(shadow.column(name)?, &format!("s.{}", quote(name)))?);
    }
    let quoted: Vec<String> = columns.iter().map(|name| quote(name)).collect();
    let not_null: Vec<String> = quoted.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let equal: Vec<String> = quoted.iter().map(|name| format!("s.{name} = g.{name}")).collect();
    let table = &shadow.name;
    let list = quoted.join(", ");
    Some(format!(
        "SELECT CONCAT_WS(', ', {}) FROM (SELECT {list} FROM {table} WHERE {} GROUP BY {list} HAVING COUNT(*) > 1 \
         LIMIT 1) AS g JOIN {table} AS s ON {} LIMIT 2",
        printed.join(", "),
        not_null.join(" AND "),
        equal.join(" AND ")
    ))
}

/// The index that `Duplicate entry 'x' for key 'table.name'` is about.
pub fn violated<'k>(keys: &'k [KeyText], error: &str) -> Option<&'k KeyText> {
    let name = error.rsplit_once(" for key '")?.1.split('\'').next()?;
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    keys.iter().find(|key| same_name(&key.name, name))
}
