//! Compares ranges and rows of the two tables: [`crate::rows::verify`] says how.
//!
//! Two sessions, each statement with a snapshot of its own: no transaction is open between two of them. What that means
//! for a difference is for the caller to judge.

use std::collections::HashSet;

use super::binlog::literal_select_expr;
use super::copy::{self, key_literals};
use crate::lifecycle::verification::{Cell, Finding, Kind};
use crate::rows::key_range::Bound;
use crate::rows::verify::{Comparison, EXTRA, Piece, SUSPECT, Scope, TOUCHED};
use crate::session::{Session, SqlError, number, text};
use crate::settings::Server;

/// Rows that are looked at together, of each kind.
pub const SUSPECTS_MAX: u64 = 1_000;
/// Keys in one staging statement.
const KEYS_MAX: usize = 1_000;

/// A row that is not what it should be at the moment. Perhaps only because the stream is yet to bring something.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// As literals: of the shadow's key if the row is extra, else of the live table's.
    pub key: Bound,
    pub finding: Finding,
}

pub struct Examiner {
    live: Session,
    shadow: Session,
    comparison: Comparison,
    literals: Vec<String>,
    shadow_literals: Vec<String>,
    /// The tables for suspects have been made.
    ready: bool,
    /// Computes as the application's sessions do; only where something is computed.
    computing: Option<Session>,
}

impl Examiner {
    /// `None` if the key cannot be paged by.
    pub async fn open(server: &Server, comparison: Comparison) -> Result<Option<Self>, SqlError> {
        let statements = comparison.statements();
        let keys = statements.projection().key.iter().zip(comparison.shadow_key_columns());
        let shadow_literals: Option<Vec<String>> =
            keys.map(|(key, qualified)| literal_select_expr(&key.target, &qualified)).collect();
        let Some((literals, shadow_literals)) = key_literals(statements, "d").zip(shadow_literals) else {
            return Ok(None);
        };
        let (live, shadow) = tokio::try_join!(Session::open(server), Session::open(server))?;
        let computes = comparison.recomputes() || !comparison.indexes().is_empty();
        let computing = match computes && comparison.zone_free() {
            true => Some(computing(server, &comparison).await?),
            false => None,
        };
        let mut examiner =
            Self { live, shadow, comparison, literals, shadow_literals, ready: false, computing };
        examiner.live.run("USE `_rsc`").await?;
        for create in examiner.comparison.create() {
            examiner.live.run(&create).await?;
        }
        Ok(Some(examiner))
    }

    pub fn comparison(&self) -> &Comparison {
        &self.comparison
    }

    /// The last key of the first `rows` rows of a range, or `None` when there are fewer.
    pub async fn boundary(&mut self, piece: &Piece, rows: u64) -> Result<Option<Bound>, SqlError> {
        let (lo, hi) = (piece.lo.as_ref(), piece.hi.as_ref());
        copy::boundary(&mut self.live, self.comparison.statements(), &self.literals, lo, hi, rows).await
    }

    /// The same in the shadow, by its own order.
    pub async fn shadow_boundary(&mut self, piece: &Piece, rows: u64) -> Result<Option<Bound>, SqlError> {
        let sql = self.comparison.shadow_boundary(&self.shadow_literals, piece, rows);
        let row = self.shadow.first(&sql).await?;
        Ok(row.map(|row| {
            (0..self.shadow_literals.len()).map(|i| text(&row, i).unwrap_or_else(|| "NULL".into())).collect()
        }))
    }

    /// Whether a range has the same sums on both sides, and the number of its rows in the live table.
    pub async fn equal(&mut self, piece: &Piece) -> Result<(bool, u64), SqlError> {
        let Self { live, shadow, comparison, .. } = self;
        let (live_sum, shadow_sum) = (comparison.live_sum(piece), comparison.shadow_sum(piece));
        let store = comparison.store(&Scope::Range(piece.clone()));
        let should = async {
            for statement in &store {
                live.run(statement).await?;
            }
            live.first(&live_sum).await
        };
        let (should, is) = tokio::try_join!(should, shadow.first(&shadow_sum))?;
        let of = |row: Option<mysql_async::Row>| {
            row.map(|row| (number(&row, 0).unwrap_or(0), text(&row, 1))).unwrap_or_default()
        };
        let (should, is) = (of(should), of(is));
        Ok((should == is, should.0))
    }

    /// The number of the live table's rows of a range.
    pub async fn rows(&mut self, piece: &Piece) -> Result<u64, SqlError> {
        let row = self.live.first(&self.comparison.live_count(piece)).await?;
        Ok(row.and_then(|row| number(&row, 0)).unwrap_or(0))
    }

    /// The rows that are not what they should be: the first of each kind. `live` and `shadow` are which side's rows are
    /// gone through.
    pub async fn look(&mut self, scope: &Scope, live: bool, shadow: bool) -> Result<Vec<Suspect>, SqlError> {
        let mut found = Vec::new();
        if live {
            for statement in self.comparison.store(scope).iter().chain(&self.comparison.store_back(scope)) {
                self.live.run(statement).await?;
            }
            let sql = self.comparison.differing(&self.literals, scope, SUSPECTS_MAX);
            let names = self.comparison.column_names();
            let key = self.literals.len();
            for row in self.live.rows(&sql).await? {
                let missing = number(&row, key + 1) == Some(1);
                let cells = if missing { Vec::new() } else { cells(&row, key, &names) };
                let kind = if missing { Kind::Missing } else { Kind::Differs };
                found.push(suspect(&row, key, kind, cells));
            }
        }
        if shadow {
            let sql = self.comparison.extra(&self.shadow_literals, scope, SUSPECTS_MAX);
            let rows = self.live.rows(&sql).await?;
            let key = self.shadow_literals.len();
            found.extend(rows.iter().map(|row| suspect(row, key, Kind::Extra, Vec::new())));
        }
        Ok(found)
    }

    /// Rows of a range of the shadow whose stored generated columns hold what their expression does not yield, and those that
    /// an index does not have where they should be.
    pub async fn look_at_computed(&mut self, piece: &Piece) -> Result<Vec<Suspect>, SqlError> {
        let Self { computing, comparison, literals, .. } = self;
        let Some(session) = computing else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let key = literals.len();
        if comparison.recomputes() {
            for statement in comparison.recompute(piece) {
                session.run(&statement).await?;
            }
            let names = comparison.recomputed_names();
            for row in session.rows(&comparison.miscomputed(literals, SUSPECTS_MAX)).await? {
                let cells = cells(&row, key, &names);
                found.push(suspect(&row, key, Kind::Differs, cells));
            }
        }
        for index in comparison.indexes() {
            let cell = Cell { column: index.name.clone(), expected: None, found: None };
            for row in session.rows(&comparison.unindexed(index, literals, piece, SUSPECTS_MAX)).await? {
                found.push(suspect(&row, key, Kind::Unindexed, vec![cell.clone()]));
            }
        }
        Ok(found)
    }

    /// From now on [`Scope::Suspects`] are these.
    pub async fn stage(&mut self, suspects: &[Suspect]) -> Result<(), SqlError> {
        if !self.ready {
            for create in self.comparison.create_suspects() {
                self.live.run(&create).await?;
            }
            self.ready = true;
        }
        stage(&mut self.live, &self.comparison, suspects).await
    }

    /// The places in the list last staged of those whose keys are among `keys`, each the literals of a key of the live
    /// table.
    pub async fn touched(&mut self, keys: &[String]) -> Result<HashSet<usize>, SqlError> {
        self.live.run(&format!("DELETE FROM {TOUCHED}")).await?;
        for some in keys.chunks(KEYS_MAX) {
            let rows: Vec<String> = some.iter().map(|key| format!("({key})")).collect();
            self.live.run(&format!("{}{}", self.comparison.stage(TOUCHED), rows.join(","))).await?;
        }
        let mut touched = HashSet::new();
        for sql in self.comparison.touched() {
            let rows = self.live.rows(&sql).await?;
            touched.extend(rows.iter().filter_map(|row| usize::try_from(number(row, 0)?).ok()));
        }
        Ok(touched)
    }
}

/// Fills [`SUSPECT`] and [`EXTRA`], which the session must have.
pub async fn stage(
    session: &mut Session,
    comparison: &Comparison,
    suspects: &[Suspect],
) -> Result<(), SqlError> {
    for (table, extra) in [(SUSPECT, false), (EXTRA, true)] {
        session.run(&format!("DELETE FROM {table}")).await?;
        let rows: Vec<String> = suspects
            .iter()
            .enumerate()
            .filter(|(_, suspect)| (suspect.finding.kind == Kind::Extra) == extra)
            .map(|(n, suspect)| format!("({n},{})", suspect.key.join(",")))
            .collect();
        for some in rows.chunks(KEYS_MAX) {
            session.run(&format!("{}{}", comparison.stage(table), some.join(","))).await?;
        }
    }
    Ok(())
}

/// A session in which expressions come to what they do where rows are written.
async fn computing(server: &Server, comparison: &Comparison) -> Result<Session, SqlError> {
    let mut session = Session::writer(server, comparison.statements().meaning()).await?;
    session.run("SET SESSION optimizer_switch = 'use_invisible_indexes=on'").await?;
    session.run("USE `_rsc`").await?;
    if comparison.recomputes() {
        session.run(&comparison.create_recomputed()).await?;
    }
    Ok(session)
}

/// Zero and impossible dates that rows hold are taken as they are, and a 0 is a 0; the rest of the mode stays as it is.
pub const LENIENT_DATES: &str = "SET SESSION sql_mode = CONCAT_WS(',', REPLACE(REPLACE(REPLACE(@@SESSION.sql_mode,     'TRADITIONAL', ''), 'NO_ZERO_IN_DATE', ''), 'NO_ZERO_DATE', ''), 'NO_AUTO_VALUE_ON_ZERO', 'ALLOW_INVALID_DATES')";

/// The values that differ, of a row in the form of [`Comparison::differing`].
pub fn cells(row: &mysql_async::Row, key: usize, names: &[&str]) -> Vec<Cell> {
    let cell = |(i, name): (usize, &&str)| {
        let at = key + 2 + 3 * i;
        (number(row, at) == Some(1)).then(|| Cell {
            column: (*name).to_owned(),
            expected: text(row, at + 1),
            found: text(row, at + 2),
        })
    };
    names.iter().enumerate().filter_map(cell).collect()
}

pub fn suspect(row: &mysql_async::Row, key: usize, kind: Kind, cells: Vec<Cell>) -> Suspect {
    Suspect {
        key: (0..key).map(|i| text(row, i).unwrap_or_else(|| "NULL".into())).collect(),
        finding: Finding { kind, key: text(row, key).unwrap_or_default(), cells, mended: false },
    }
}
