//! Applies compacted windows to the shadow, rows and position together.
//!
//! The session has autocommit off for all its life: under LOCK TABLES a START TRANSACTION would release the
//! locks. So a window is what lies between two COMMITs, and it looks the same whether the tables are locked or
//! not.
//!
//! `ledger` keeps what the old schema cannot hold, in the same transactions. `mend` writes rows again that a verification
//! has found to differ.

mod ledger;
mod mend;

use std::collections::HashSet;

use super::binlog::column_plan::{ColumnPlan, Fields, RowError};
use super::duplicate::{self, Meeting};
use crate::journal::fence::{Fence, FenceError};
use crate::journal::history::Beside;
use crate::rows::compaction::{Compaction, Origin, Row as NetRow};
use crate::rows::gtid_set::GtidSet;
use crate::rows::kept::{Group, KEPT};
use crate::rows::key_range::Frontier;
use crate::rows::ledger::Ledger;
use crate::rows::long_row;
use crate::rows::statements::{Staging, Statements};
use crate::session::{Remedy, Session, SqlError, number, text};
use crate::settings::Server;

pub use ledger::RetryError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error(transparent)]
    Row(#[from] RowError),
    /// The server did not store what the binlog holds.
    #[error("a row image could not be staged as it is: {0}")]
    Changed(String),
    /// Nothing is lost: it can be sent once the server takes more.
    #[error(
        "the row with the key ({key}) takes {bytes} bytes as text, but the server takes only max_allowed_packet = \
         {packet}; raise it: `SET GLOBAL max_allowed_packet = {}`",
        enough(*bytes)
    )]
    TooLong { key: String, bytes: usize, packet: usize },
}

/// How a window is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Rows that are there are updated. Two rows that exchange a unique value meet a duplicate on the way.
    Update,
    /// Every touched row is carried, deleted and inserted again, so that only its last state counts. At a
    /// position where the rest of the shadow is exact, a duplicate is then a real one.
    Rebuild,
    /// Rebuilds, and parks the rows that the shadow cannot hold. Only at such a position, and only with a ledger.
    Park,
}

/// The names of a commit's two statements, for tests that let them go wrong.
pub struct CommitAt {
    advance: &'static str,
    commit: &'static str,
}

impl CommitAt {
    pub const WINDOW: CommitAt = CommitAt { advance: "window.advance", commit: "window.commit" };
    pub const RETRY: CommitAt = CommitAt { advance: "retry.advance", commit: "retry.commit" };
    pub const SWAP: CommitAt = CommitAt { advance: "swap.advance", commit: "swap.commit" };
}

/// Text of one staging statement: large enough that round trips do not count, below every server's packet (the
/// least that administrators choose is 1 MiB).
const STATEMENT_BYTES: usize = 512 << 10;
const STATEMENT_ROWS: usize = 1_000;
/// MySQL's own.
const PACKET_DEFAULT: usize = 64 << 20;
/// Less than these around a statement would do.
const PACKET_HEAD: usize = 64;

pub struct Applier {
    session: Session,
    statements: Statements,
    /// Staging tables that may hold rows.
    staged: Vec<Staging>,
    /// What the rows in `delta` have written; set whenever it is filled.
    groups: Vec<Group>,
    /// The server's `max_allowed_packet` for this session.
    packet: usize,
    ledger: Ledger,
    /// The stream runs from the new schema to the old one, which is when the ledger is kept.
    keeping: bool,
    on_record: OnRecord,
    /// Goes on record with the next position.
    pub beside: Beside,
}

/// What the ledger may have rows of. True too often costs a statement, false too often would be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OnRecord {
    parked: bool,
    losses: bool,
}

impl Applier {
    pub async fn open(
        server: &Server,
        statements: Statements,
        ledger: Ledger,
        keeping: bool,
    ) -> Result<Self, SqlError> {
        let mut session = Session::writer(server, statements.meaning()).await?;
        // A key that someone lets point at the shadow, or that followed it there, must not pass on what is deleted and
        // inserted again here, nor refuse it. Nothing is lost by it: the shadow has no keys of its own, and what a key
        // of the live table refuses or passes on has happened by the time that its rows are in the binlog.
        session.run("SET SESSION autocommit = 0, foreign_key_checks = 0").await?;
        // DELETE with an alias wants a default schema, whichever.
        session.run("USE `_rsc`").await?;
        let packet = session.text("SELECT @@SESSION.max_allowed_packet").await?;
        let packet = packet.and_then(|bytes| bytes.parse().ok()).unwrap_or(PACKET_DEFAULT);
        let (staged, groups, on_record) = (Vec::new(), vec![Group::WHOLE], OnRecord::default());
        let beside = Beside::default();
        let mut applier =
            Self { session, statements, staged, groups, packet, ledger, keeping, on_record, beside };
        applier.create_staging().await?;
        applier.open_ledger().await?;
        Ok(applier)
    }

    /// Goes on in another direction, on the same connection.
    pub async fn turn(
        &mut self,
        statements: Statements,
        ledger: Ledger,
        keeping: bool,
    ) -> Result<(), SqlError> {
        self.statements = statements;
        self.ledger = ledger;
        self.keeping = keeping;
        self.groups = vec![Group::WHOLE];
        self.create_staging().await?;
        self.open_ledger().await
    }

    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// For the statements of the swap, which must run on the connection that applies the last window.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    async fn create_staging(&mut self) -> Result<(), SqlError> {
        for staging in Staging::ALL {
            self.session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {}", staging.name())).await?;
        }
        for staging in self.staging().collect::<Vec<_>>() {
            self.session.run(&self.statements.create(staging)).await?;
        }
        self.session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {KEPT}")).await?;
        if self.statements.keeps() {
            self.session.run(&self.statements.create_kept()).await?;
        }
        self.staged.clear();
        self.session.run("COMMIT").await.map(|_| ())
    }

    /// Applies the net effect of some changes within the open transaction. Where updating meets a duplicate, as
    /// when two rows exchange a unique value, the same changes are applied by rebuilding.
    pub async fn apply(
        &mut self,
        plan: &ColumnPlan,
        net: &Compaction,
        frontier: &Frontier,
        form: Form,
    ) -> Result<(), ApplyError> {
        if net.is_empty() {
            return Ok(());
        }
        match form {
            Form::Update if !self.statements.meaning().rebuilds() => {}
            Form::Update | Form::Rebuild => return self.write(plan, net, frontier, Form::Rebuild).await,
            Form::Park => return self.write_or_park(plan, net).await,
        }
        self.session.run_at("window.savepoint", "SAVEPOINT before_part").await?;
        match self.write(plan, net, frontier, form).await {
            Err(ApplyError::Sql(error)) if error.remedy() == Remedy::Duplicate => {
                self.staged = self.staging().collect();
                self.session.run("ROLLBACK TO SAVEPOINT before_part").await?;
                self.write(plan, net, frontier, Form::Rebuild).await
            }
            other => other,
        }
    }

    async fn write(
        &mut self,
        plan: &ColumnPlan,
        net: &Compaction,
        frontier: &Frontier,
        form: Form,
    ) -> Result<(), ApplyError> {
        self.clear_staging().await?;
        let carries = self.statements.carries();
        let moved = if carries { self.stage_moved(plan, net, form).await? } else { 0 };
        let gone = self.stage_gone(plan, net, form).await?;
        let staged = self.stage_delta(plan, net.rows()).await?;
        self.write_staged(moved, gone, staged, frontier, form).await
    }

    /// Writes what is staged: so many rows of each kind.
    async fn write_staged(
        &mut self,
        moved: u64,
        gone: u64,
        staged: u64,
        frontier: &Frontier,
        form: Form,
    ) -> Result<(), ApplyError> {
        self.clear_the_way(moved, gone).await?;
        let rows = staged - self.hold_back(staged).await?;
        if rows == 0 {
            return Ok(());
        }
        let mut found = 0;
        if form == Form::Update {
            for group in &self.groups {
                found += self.session.run_at("window.update", &self.statements.update(group)).await?.affected;
            }
        }
        if found < rows {
            self.insert(moved, frontier).await?;
        }
        self.record_losses().await
    }

    /// Rows that moved are taken aside, and with those that are gone they leave the shadow.
    async fn clear_the_way(&mut self, moved: u64, gone: u64) -> Result<(), ApplyError> {
        self.forget(moved, gone).await?;
        if moved > 0 {
            self.session.run_at("window.carry", &self.statements.carry()).await?;
        }
        if gone > 0 {
            self.session.run_at("window.delete", &self.statements.delete()).await?;
        }
        Ok(())
    }

    /// After a statement has filled `delta`.
    async fn look_at_groups(&mut self) -> Result<(), SqlError> {
        self.groups = match self.statements.keeps() {
            true => {
                let rows = self.session.rows(&self.statements.groups()).await?;
                Group::of(rows.iter().filter_map(|row| text(row, 0)))
            }
            false => vec![Group::WHOLE],
        };
        Ok(())
    }

    /// Writes the staged rows that are not there.
    async fn insert(&mut self, moved: u64, frontier: &Frontier) -> Result<(), ApplyError> {
        if moved > 0 {
            for group in &self.groups {
                let insert = self.statements.insert_moved(group, frontier);
                self.session.run_at("window.insert_moved", &insert).await?;
            }
        }
        self.session.run_at("window.insert", &self.statements.insert_rest(frontier)).await?;
        Ok(())
    }

    /// Which rows met when the last window, in rebuild form, was refused as a duplicate. It is still staged, and has
    /// to be rolled back afterwards.
    pub async fn meet(&mut self, frontier: &Frontier) -> Result<Option<Meeting>, SqlError> {
        duplicate::meet_staged(&mut self.session, &self.statements, frontier).await
    }

    /// Commits what was applied, with the position it stands for, under the fence.
    pub async fn commit(
        &mut self,
        at: &CommitAt,
        fence: Fence,
        position: &GtidSet,
    ) -> Result<(), FenceError> {
        let advance = fence.advance(&position.to_string(), &self.beside);
        let moved = self.session.run_at(at.advance, &advance).await?;
        if moved.affected != 1 {
            self.rollback().await?;
            return Err(FenceError::Fenced);
        }
        self.session.run_at(at.commit, "COMMIT").await?;
        self.beside = Beside::default();
        Ok(())
    }

    /// Also brings back what an earlier window had staged, where this one had cleared it away.
    pub async fn rollback(&mut self) -> Result<(), SqlError> {
        self.staged = self.staging().collect();
        self.session.run("ROLLBACK").await.map(|_| ())
    }

    /// The staging tables of this direction.
    fn staging(&self) -> impl Iterator<Item = Staging> {
        let carries = self.statements.carries();
        Staging::ALL.into_iter().filter(move |staging| carries || *staging != Staging::Carried)
    }

    async fn clear_staging(&mut self) -> Result<(), SqlError> {
        for staging in std::mem::take(&mut self.staged) {
            self.session.run(&format!("DELETE FROM {}", staging.name())).await?;
        }
        Ok(())
    }

    /// In rebuild form every row that may be in the shadow moves, if only to where it was.
    async fn stage_moved(
        &mut self,
        plan: &ColumnPlan,
        net: &Compaction,
        form: Form,
    ) -> Result<u64, ApplyError> {
        let key = self.statements.projection().key_indexes();
        let head = self.statements.stage_moved();
        let moves = net.rows().filter_map(|(to, row)| match (&row.origin, form) {
            (Origin::Moved(from), _) => Some((&**from, to)),
            (Origin::Same, Form::Rebuild | Form::Park) => Some((to, to)),
            (Origin::Same, Form::Update) | (Origin::Fresh, _) => None,
        });
        let staged = self
            .stage(Staging::Moved, head, moves, |(from, to), text| {
                write_key(plan, &key, from, text)?;
                text.push(',');
                write_key(plan, &key, to, text)
            })
            .await?;
        if staged > 0 {
            self.staged.push(Staging::Carried);
        }
        Ok(staged)
    }

    async fn stage_gone(
        &mut self,
        plan: &ColumnPlan,
        net: &Compaction,
        form: Form,
    ) -> Result<u64, ApplyError> {
        let key = self.statements.projection().key_indexes();
        let head = self.statements.stage_gone();
        // A parked row that was accepted is in the shadow only, and under its key there may be another row by now,
        // which must not be taken for it.
        let rebuilt = net.rows().filter(|(_, row)| match row.origin {
            Origin::Same => form != Form::Update,
            Origin::Moved(_) | Origin::Fresh => {
                form != Form::Update || (self.on_record.parked && !self.keeping)
            }
        });
        let left: HashSet<&[u8]> = net.left().chain(rebuilt.map(|(key, _)| key)).collect();
        self.stage(Staging::Gone, head, left.into_iter(), |gone, text| write_key(plan, &key, gone, text))
            .await
    }

    async fn stage_delta<'n>(
        &mut self,
        plan: &ColumnPlan,
        rows: impl Iterator<Item = (&'n [u8], &'n NetRow)>,
    ) -> Result<u64, ApplyError> {
        let columns = self.statements.projection().staged();
        let head = self.statements.stage_delta();
        let mut fields = Fields::new();
        let mut last: &[u8] = &[];
        let (kept, mut groups) = (self.statements.watched().len(), HashSet::new());
        let staged = self.stage(Staging::Delta, head, rows, |(key, row), text| {
            last = key;
            plan.fields_into(&row.image, &mut fields)?;
            for (i, &column) in columns.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                plan.write_literal(column, fields.get(column).copied().flatten(), text)?;
            }
            if kept > 0 {
                let written = row.written.text(kept);
                text.push_str(&format!(",'{written}'"));
                groups.insert(written);
            }
            Ok(())
        });
        let staged = staged.await;
        // Never those of an earlier window, which may have been of another direction.
        self.groups = if kept > 0 { Group::of(groups) } else { vec![Group::WHOLE] };
        staged.map_err(|error| match error {
            ApplyError::TooLong { bytes, packet, .. } => {
                let (mut key, columns) = (String::new(), self.statements.projection().key_indexes());
                // The row has just been read, so its key can be.
                let _ = write_key(plan, &columns, last, &mut key);
                ApplyError::TooLong { key, bytes, packet }
            }
            other => other,
        })
    }

    /// Writes one row of a staging table for each item, and returns how many.
    async fn stage<T>(
        &mut self,
        staging: Staging,
        head: String,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut String) -> Result<(), RowError>,
    ) -> Result<u64, ApplyError> {
        let mut rows = Staged::new(head);
        let mut count = 0;
        for item in items {
            if count == 0 {
                self.staged.push(staging);
            }
            count += 1;
            rows.open();
            write(item, &mut rows.text)?;
            rows.close();
            if rows.text.len() > self.statement_most() {
                self.send_long(&mut rows).await?;
            } else if rows.full() {
                self.send(&mut rows).await?;
            }
        }
        self.send(&mut rows).await?;
        Ok(count)
    }

    fn statement_most(&self) -> usize {
        self.packet.saturating_sub(PACKET_HEAD)
    }

    /// Sends what stands before the last row, and that one too if it is too long by itself.
    async fn send_long(&mut self, rows: &mut Staged) -> Result<(), ApplyError> {
        let row = rows.take_last();
        self.send(rows).await?;
        let most = self.statement_most().saturating_sub(rows.head);
        if row.len() <= most {
            rows.put(&row);
            return Ok(());
        }
        let Some(pieces) = long_row::cut(&row, most, self.packet) else {
            return Err(ApplyError::TooLong { key: String::new(), bytes: row.len(), packet: self.packet });
        };
        for statement in &pieces.ahead {
            self.session.run(statement).await?;
        }
        rows.put(&pieces.row);
        self.send(rows).await?;
        self.session.run(&pieces.after).await?;
        Ok(())
    }

    async fn send(&mut self, rows: &mut Staged) -> Result<(), ApplyError> {
        let Some(statement) = rows.statement() else { return Ok(()) };
        let done = self.session.run_at("window.stage", statement).await?;
        rows.clear();
        if done.warnings > 0 {
            self.judge_warnings(done.warnings).await?;
        }
        Ok(())
    }

    /// Staging must not change a value. The server warns about a few that it stores unchanged: ENUM index 0, and
    /// FLOAT at the limit of its display width. It also warns about the words of a statement.
    async fn judge_warnings(&mut self, given: u16) -> Result<(), ApplyError> {
        let warnings = self.session.rows("SHOW WARNINGS").await?;
        if warnings.len() < usize::from(given).min(WARNINGS_LEAST) {
            return Err(ApplyError::Changed(format!(
                "the server keeps only {} of {given} warnings; raise it: `SET GLOBAL max_error_count = 65535`",
                warnings.len()
            )));
        }
        let columns = &self.statements.projection().source;
        for warning in &warnings {
            let message = text(warning, 2).unwrap_or_default();
            let old_fashioned = number(warning, 1).is_some_and(|code| DEPRECATED.contains(&code));
            let harmless = old_fashioned
                || columns.iter().any(|column| {
                    matches!(column.data_type.as_str(), "enum" | "float" | "double")
                        && message.contains(&format!("'{}'", column.name))
                });
            if !harmless {
                return Err(ApplyError::Changed(message));
            }
        }
        Ok(())
    }
}

/// Fewer than MySQL's own limit: with a lower one nothing could be seen.
const WARNINGS_LEAST: usize = 64;

/// Warnings about utf8mb3, its collations, and other things that MySQL wants to give up.
const DEPRECATED: [u64; 5] = [1287, 1681, 3719, 3720, 3778];

/// A multi-row INSERT in the making.
struct Staged {
    text: String,
    head: usize,
    /// Where the last row begins.
    last: usize,
    rows: usize,
}

impl Staged {
    fn new(head: String) -> Self {
        Self { head: head.len(), last: head.len(), text: head, rows: 0 }
    }

    fn open(&mut self) {
        if self.rows > 0 {
            self.text.push(',');
        }
        self.last = self.text.len();
        self.text.push('(');
        self.rows += 1;
    }

    /// The last row, with its parentheses.
    fn take_last(&mut self) -> String {
        let row = self.text.split_off(self.last);
        self.rows -= 1;
        if self.rows > 0 {
            self.text.pop();
        }
        row
    }

    fn put(&mut self, row: &str) {
        self.open();
        self.text.truncate(self.last);
        self.text.push_str(row);
    }

    fn close(&mut self) {
        self.text.push(')');
    }

    fn full(&self) -> bool {
        self.rows >= STATEMENT_ROWS || self.text.len() >= STATEMENT_BYTES
    }

    fn statement(&self) -> Option<&str> {
        (self.rows > 0).then_some(self.text.as_str())
    }

    fn clear(&mut self) {
        self.text.truncate(self.head);
        self.rows = 0;
    }
}

/// A setting that lets a statement of so many bytes pass. Counted in KiB, and 1 GiB at most, by the server.
fn enough(bytes: usize) -> usize {
    (bytes + (64 << 10)).next_multiple_of(1 << 20).min(1 << 30)
}

/// The literals of a key, separated by commas.
pub fn write_key(plan: &ColumnPlan, columns: &[usize], key: &[u8], out: &mut String) -> Result<(), RowError> {
    let fields = ColumnPlan::key_fields(key)?;
    for (i, (&column, field)) in columns.iter().zip(fields).enumerate() {
        if i > 0 {
            out.push(',');
        }
        plan.write_literal(column, field, out)?;
    }
    Ok(())
}
