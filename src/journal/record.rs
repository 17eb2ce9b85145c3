//! The stored form of a change. Only these types are written to the journal and read back.

use std::time::Duration;

use mysql_async::Row;

use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::throttle::limits::Limits;
use crate::lifecycle::verification::{Finding, Outcome, Verification};
use crate::schema::kind::Kind;
use crate::schema::meaning::Meaning;
use crate::schema::sql_mode::SqlMode;
use crate::schema::table::TableName;
use crate::session::{number, text};

/// How one change is made. Stored with the change, so that whoever goes on with it does the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Rows of earlier versions do not have it.
    #[serde(default)]
    pub kind: Kind,
    /// How long a batch should take, in milliseconds. No snapshot is held longer.
    pub batch_ms: u64,
    /// How long after the last swap a revert stays possible, in seconds.
    pub revert_window_s: u64,
    /// The operator reverts though the old schema cannot hold some rows.
    #[serde(default)]
    pub accept_parked: bool,
    /// A revert does not go on if a value is lost in it.
    #[serde(default)]
    pub refuse_losses: bool,
    /// The tables are swapped though they are known to differ.
    #[serde(default)]
    pub accept_differences: bool,
    /// The swap waits for `rsc cutover`. Rows of earlier versions do not have it.
    #[serde(default)]
    pub postpone_cutover: bool,
    #[serde(default)]
    pub defer_indexes: DeferIndexes,
    /// Batches that are copied side by side; `None`: as the machine allows.
    #[serde(default)]
    pub copy_threads: Option<u64>,
    /// The server changes the live table itself, at once; nothing is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
    /// The two tables are compared before the first swap.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The operator wants the first swap now, also outside its windows.
    #[serde(default)]
    pub cutover_now: bool,
    /// The operator does not want readers with an old snapshot to be waited for, at the swap that comes next.
    #[serde(default)]
    pub accept_short_reads: bool,
    /// What the account cannot see is taken for absent: triggers, and foreign keys of other schemas.
    #[serde(default)]
    pub allow_unseen: bool,
    /// In which the statement was read, and is run. Rows of earlier versions do not have it: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_mode: Option<SqlMode>,
    /// How its sessions write, so that the expressions of its tables come to what they should.
    #[serde(default)]
    pub meaning: Meaning,
    /// Can be changed while the change is driven.
    #[serde(default)]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

/// What has to be known of a change that keeps no old table. All of it was tried before anything was touched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InPlace {
    /// The definition that the statement makes.
    pub new_create: String,
    /// The statement that gives the old definition back.
    pub compensation: String,
    /// What that does not bring back, a sentence each.
    pub losses: Vec<String>,
}

/// Whether indexes are built after the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeferIndexes {
    /// When no replica is connected: it would be busy with that one statement.
    #[default]
    Auto,
    Always,
    Never,
}

impl Options {
    pub fn batch(&self) -> Duration {
        Duration::from_millis(self.batch_ms)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::Alter,
            batch_ms: 500,
            revert_window_s: 24 * 60 * 60,
            accept_parked: false,
            refuse_losses: false,
            accept_differences: false,
            postpone_cutover: false,
            defer_indexes: DeferIndexes::Auto,
            copy_threads: None,
            in_place: None,
            verify: true,
            cutover_now: false,
            accept_short_reads: false,
            allow_unseen: false,
            sql_mode: None,
            meaning: Meaning::default(),
            limits: Limits::default(),
        }
    }
}

/// One row of `_rsc.change`.
#[derive(Clone, Debug)]
pub struct Change {
    pub id: u64,
    pub table: TableName,
    pub statement: String,
    pub options: Options,
    pub state: State,
    /// The operator wants it to stand still.
    pub paused: bool,
    /// Why it failed, or why the stream is blocked.
    pub reason: Option<String>,
    /// `SHOW CREATE TABLE` of the two definitions.
    pub old_create: String,
    pub new_create: Option<String>,
    pub rows_estimate: u64,
    /// After the last swap that the journal knows of; the tables decide where they still can.
    pub serving: Serving,
    pub freeze_ms: Option<f64>,
    /// Server time, UTC.
    pub started_at: String,
    pub updated_at: String,
    pub window_ends_at: Option<String>,
    /// By the server's clock.
    pub window_over: bool,
}

/// In the order that [`Change::read`] expects.
pub const COLUMNS: &str = "id, schema_name, table_name, statement, options, state, reason, old_create, \
    new_create, rows_estimate, freeze_ms, started_at, updated_at, window_ends_at, \
    COALESCE(window_ends_at < NOW(3), FALSE), serving = 'new', paused";

/// The journal holds something this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("change {id} in the journal cannot be read: {why}")]
pub struct Unreadable {
    pub id: u64,
    pub why: String,
}

impl Change {
    pub fn read(row: &Row) -> Result<Self, Unreadable> {
        let id = number(row, 0).unwrap_or(0);
        let unreadable = |why: String| Unreadable { id, why };
        let options = text(row, 4).unwrap_or_default();
        Ok(Self {
            id,
            table: TableName::new(text(row, 1).unwrap_or_default(), text(row, 2).unwrap_or_default()),
            statement: text(row, 3).unwrap_or_default(),
            options: serde_json::from_str(&options).map_err(|e| unreadable(e.to_string()))?,
            state: text(row, 5)
                .unwrap_or_default()
                .parse()
                .map_err(|e: crate::lifecycle::state::UnknownState| unreadable(e.to_string()))?,
            reason: text(row, 6),
            old_create: text(row, 7).unwrap_or_default(),
            new_create: text(row, 8),
            rows_estimate: number(row, 9).unwrap_or(0),
            freeze_ms: text(row, 10).and_then(|v| v.parse().ok()),
            started_at: text(row, 11).unwrap_or_default(),
            updated_at: text(row, 12).unwrap_or_default(),
            window_ends_at: text(row, 13),
            window_over: number(row, 14) == Some(1),
            paused: number(row, 16) == Some(1),
            serving: if number(row, 15) == Some(1) { Serving::New } else { Serving::Old },
        })
    }

    /// The shadow before the first swap, and after a revert: it has the new schema.
    pub fn new_shadow(&self) -> TableName {
        shadow_name(self.id, &self.table, "new")
    }

    /// The shadow while the new schema serves: it has the old one.
    pub fn old_shadow(&self) -> TableName {
        shadow_name(self.id, &self.table, "old")
    }

    /// The shadow while this schema serves.
    pub fn twin(&self, serving: Serving) -> TableName {
        match serving {
            Serving::Old => self.new_shadow(),
            Serving::New => self.old_shadow(),
        }
    }

    /// The table that does not have the live name while this schema serves; `None` if there is none.
    pub fn kept(&self, serving: Serving) -> Option<TableName> {
        let kind = self.options.kind;
        (!kind.whole() || !serving.has_table(kind)).then(|| self.twin(serving))
    }

    /// The table of this change's stream row.
    pub fn stream_table(&self) -> String {
        stream_table(self.id)
    }
}

pub fn stream_table(id: u64) -> String {
    format!("`_rsc`.`stream_{id}`")
}

/// MySQL names have at most 64 characters, and the server makes those of CHECK constraints from the table's:
/// `<table>_chk_999`.
const NAME_MAX: usize = 64 - "_chk_999".len();

pub fn shadow_name(id: u64, table: &TableName, side: &str) -> TableName {
    let prefix = format!("_rsc{id}_");
    let suffix = format!("_{side}");
    let room = NAME_MAX - prefix.len() - suffix.len();
    let middle: String = table.table.chars().take(room).collect();
    TableName::new(&table.schema, format!("{prefix}{middle}{suffix}"))
}

/// One row of `_rsc.verify`.
pub fn read_verification(row: &Row) -> Result<Verification, Unreadable> {
    let unreadable =
        |e: serde_json::Error| Unreadable { id: number(row, 1).unwrap_or(0), why: e.to_string() };
    let list = |i| text(row, i).unwrap_or_else(|| "[]".into());
    let findings: Vec<Finding> = serde_json::from_str(&list(6)).map_err(unreadable)?;
    let listed = findings.iter().filter(|finding| finding.mended).count() as u64;
    Ok(Verification {
        id: number(row, 0).unwrap_or(0),
        serving: if number(row, 2) == Some(1) { Serving::New } else { Serving::Old },
        repair: number(row, 3) == Some(1),
        outcome: text(row, 4).as_deref().and_then(Outcome::parse),
        rows: number(row, 5).unwrap_or(0),
        findings,
        unlisted: number(row, 13).unwrap_or(0).saturating_sub(listed),
        unsettled: number(row, 7).unwrap_or(0),
        excluded: serde_json::from_str(&list(8)).map_err(unreadable)?,
        seconds: text(row, 9).and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0),
        position: text(row, 10).unwrap_or_default(),
        began_at: text(row, 11).unwrap_or_default(),
        ended_at: text(row, 12),
        background: number(row, 14) == Some(1),
        native: text(row, 15).map(|native| serde_json::from_str(&native)).transpose().map_err(unreadable)?,
    })
}

/// The process that drives a change.
#[derive(Clone, Debug)]
pub struct Owner {
    pub who: String,
    /// Unique to the process.
    pub instance: String,
    /// Seconds since its last heartbeat, by the server's clock.
    pub silent_s: f64,
    /// Its heartbeat is fresh and its connection to the server stands.
    pub alive: bool,
}

/// An open request.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: u64,
    pub verb: String,
    pub asked_by: String,
    pub argument: Option<String>,
}

/// The answer of the owner.
#[derive(Clone, Debug)]
pub struct Answer {
    pub granted: bool,
    pub why: String,
    pub advice: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_version_that_could_not_postpone_are_read() {
        let older = r#"{"batch_ms":500,"cutover_lock_timeout_s":3,"revert_window_s":86400}"#;
        assert_eq!(serde_json::from_str::<Options>(older).expect("readable"), Options::default());
    }

    #[test]
    fn a_long_table_name_is_cut_so_that_the_shadow_name_fits() {
        let table = TableName::new("d", "ü".repeat(64));
        let name = shadow_name(12, &table, "new").table;
        assert_eq!(name.chars().count(), 56);
        assert!(name.starts_with("_rsc12_ü") && name.ends_with("ü_new"));
        assert_eq!(shadow_name(1, &TableName::new("d", "t"), "old").table, "_rsc1_t_old");
    }
}
