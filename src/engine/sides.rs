//! Which table is which, read from the server: the tables that exist tell which schema serves.

use super::trouble::Trouble;
use super::whole;
use crate::error::Told;
use crate::journal::record::Change;
use crate::lifecycle::state::{Serving, State};
use crate::mysql::binlog::reading::Watched;
use crate::mysql::inspect::{self, Found};
use crate::mysql::swap::Swap;
use crate::rows::ledger::Ledger;
use crate::rows::statements::Statements;
use crate::schema::deferral::{KeyText, deferrable, key_of_line, keys_of};
use crate::schema::generated::Generated;
use crate::schema::meaning::Meaning;
use crate::schema::projection::{Mapping, Projection};
use crate::schema::statement::Alter;
use crate::schema::table::{Column, Table, TableName};
use crate::session::Session;

/// The live table and its shadow, as they stand.
pub struct Sides {
    pub serving: Serving,
    pub live: Table,
    pub shadow: Table,
    /// Indexes of the new definition that the shadow does not have yet.
    pub missing: Vec<KeyText>,
    /// The AUTO_INCREMENT that the statement asks for, as it spells it.
    pub asked_counter: Option<String>,
    /// The tables have been swapped before.
    swapped: bool,
    mapping: Mapping,
    mark: String,
    stream: String,
    retired: TableName,
    meaning: Meaning,
}

/// Which schema serves. `None` when there is no shadow: nothing is left of the change, or nothing is there yet.
pub async fn serving(session: &mut Session, change: &Change) -> Result<Option<Serving>, Trouble> {
    if change.options.kind.whole() {
        return whole::serving(session, change).await;
    }
    // Asked at once: between two questions the tables may be swapped.
    match inspect::which_exist(session, &change.new_shadow(), &change.old_shadow()).await? {
        (true, false) => Ok(Some(Serving::Old)),
        (false, true) => Ok(Some(Serving::New)),
        // A table that may not be seen looks like one that is gone; asked by itself, it is told apart.
        (false, false) => {
            inspect::exists(session, &change.new_shadow()).await?;
            inspect::exists(session, &change.old_shadow()).await?;
            Ok(None)
        }
        (true, true) => Err(Trouble::Stop(Told::new(format!(
            "both {} and {} exist; rsc makes only one of them at a time, so someone else made the other",
            change.new_shadow().plain(),
            change.old_shadow().plain()
        )))),
    }
}

impl Sides {
    /// Looks at both tables and derives the projection anew, so that nothing depends on an earlier process.
    pub async fn look(session: &mut Session, change: &Change) -> Result<Self, Trouble> {
        let serving = serving(session, change).await?.ok_or_else(|| {
            Trouble::Severed(Told::new(format!("the shadow of {} is gone", change.table.plain())))
        })?;
        let shadow_name = change.twin(serving);
        let live = table(session, &change.table).await?;
        let shadow = table(session, &shadow_name).await?;
        let (old, new) = match serving {
            Serving::Old => (&live, &shadow),
            Serving::New => (&shadow, &live),
        };
        same_definition(&change.old_create, &old.name, &old.create)?;
        let mut missing = Vec::new();
        if let Some(create) = &change.new_create {
            missing = left_off(change, serving, create, new);
            same_definition(&without(create, &missing), &new.name, &new.create)?;
        }
        let alter = Alter::parse_in(&change.statement, change.options.sql_mode.as_ref())
            .map_err(|e| Trouble::Stop(Told::new(format!("the journaled statement cannot be read: {e}"))))?;
        let mapping = Mapping::between(old, new, &alter).map_err(|reasons| {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            Trouble::Severed(Told::new(reasons.join("; ")))
        })?;
        Ok(Self {
            serving,
            live,
            shadow,
            missing,
            asked_counter: alter.auto_increment,
            swapped: serving == Serving::New || !change.state.before_first_swap(),
            mapping,
            mark: mark(change.id),
            stream: change.stream_table(),
            meaning: change.options.meaning.clone(),
            retired: match serving {
                Serving::Old => change.old_shadow(),
                Serving::New => change.new_shadow(),
            },
        })
    }

    /// The indexes of a new shadow that can be built when its rows are there.
    /// `all` also those whose build may meet a duplicate.
    pub fn deferrable(&self, all: bool) -> Vec<KeyText> {
        let old = (!all).then_some(&self.live);
        deferrable(&self.shadow, old, &self.mapping.forward().target_key)
    }

    /// The column of the shadow that the server counts up.
    pub fn counting(&self) -> Option<&Column> {
        self.shadow.columns.iter().find(|column| column.auto_increment())
    }

    /// The columns of the shadow that the server computes.
    pub fn generated(&self) -> Generated {
        let pairs: Vec<(&Column, &Column)> = match self.serving {
            Serving::Old => self.mapping.pairs().collect(),
            Serving::New => self.mapping.pairs().map(|(old, new)| (new, old)).collect(),
        };
        Generated::of(&self.live, &self.shadow, &pairs)
    }

    /// From live to shadow.
    pub fn statements(&self) -> Statements {
        let projection = match self.serving {
            Serving::Old => self.mapping.forward(),
            Serving::New => self.mapping.inverse(),
        };
        let statements = Statements::new(projection, self.live.name.clone(), self.shadow.name.clone());
        let statements = statements.meaning_of(&self.meaning);
        if self.swapped { statements.swapped() } else { statements }
    }

    /// What the old schema cannot hold of the rows that the new one serves.
    pub fn ledger(&self, change: u64) -> Ledger {
        let (old, new) = match self.serving {
            Serving::Old => (&self.live, &self.shadow),
            Serving::New => (&self.shadow, &self.live),
        };
        let inverse = Statements::new(self.mapping.inverse(), new.name.clone(), old.name.clone())
            .meaning_of(&self.meaning);
        Ledger::new(change, inverse.swapped())
    }

    /// The ledger is kept while the new schema serves.
    pub fn keeps_ledger(&self) -> bool {
        self.serving == Serving::New
    }

    /// From the old schema to the new one.
    pub fn forward(&self) -> Projection {
        self.mapping.forward()
    }

    /// For rsc's own statements on the two tables.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    pub fn watched(&self) -> Watched {
        let statements = self.statements();
        Watched {
            table: self.live.name.clone(),
            columns: self.live.columns.clone(),
            key: statements.projection().key_indexes(),
            kept: statements.watched(),
            shadow: self.shadow.name.clone(),
            mark: self.mark.clone(),
        }
    }

    /// The swap that lets the other schema serve.
    pub fn swap(&self, change: u64) -> Swap {
        Swap {
            ledger: self.ledger(change).locks(),
            live: self.live.name.clone(),
            shadow: self.shadow.name.clone(),
            retired: self.retired.clone(),
            stream: self.stream.clone(),
            mark: self.mark.clone(),
        }
    }
}

/// The comment that tells rsc's own statements on these tables from everyone else's.
pub fn mark(id: u64) -> String {
    format!("/* rsc change {id} */")
}

async fn table(session: &mut Session, name: &TableName) -> Result<Table, Trouble> {
    match inspect::find(session, name).await? {
        Found::Table(table) => Ok(*table),
        Found::View | Found::Nothing => {
            Err(Trouble::Severed(Told::new(format!("table {} is gone", name.plain()))))
        }
    }
}

/// Until they are built, the indexes that were left off may be missing. Nobody else's business is that of a key that rows
/// are found by: without it there is no mapping.
fn left_off(change: &Change, serving: Serving, create: &str, new: &Table) -> Vec<KeyText> {
    if serving != Serving::Old || !matches!(change.state, State::Copying | State::Indexing) {
        return Vec::new();
    }
    let there = keys_of(&new.create);
    keys_of(create).into_iter().filter(|key| !there.contains(key)).collect()
}

/// A definition without the lines of some keys.
fn without(create: &str, keys: &[KeyText]) -> String {
    let lines = create.lines().filter(|line| key_of_line(line).is_none_or(|key| !keys.contains(&key)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Under the locks of a swap: both tables have the definitions that the change began with.
pub(super) async fn as_journaled(
    session: &mut Session,
    change: &Change,
    serving: Serving,
) -> Result<(), Trouble> {
    let (live, shadow) = (change.table.clone(), change.twin(serving));
    let (old, new) = match serving {
        Serving::Old => (live, shadow),
        Serving::New => (shadow, live),
    };
    same_definition(&change.old_create, &old, &inspect::create(session, &old).await?)?;
    match &change.new_create {
        Some(create) => same_definition(create, &new, &inspect::create(session, &new).await?),
        None => Ok(()),
    }
}

fn same_definition(journaled: &str, name: &TableName, create: &str) -> Result<(), Trouble> {
    if definition(journaled) == definition(create) {
        return Ok(());
    }
    Err(Trouble::Severed(Told::new(format!(
        "the definition of {} was changed by someone else since the change began",
        name.plain()
    ))))
}

/// SHOW CREATE TABLE without the table's own name, the AUTO_INCREMENT counter, and the names of CHECK constraints,
/// some of which the server makes from the table's. It lists them by their names, so their order tells nothing.
pub fn definition(create: &str) -> String {
    let body = create.split_once(" (\n").map_or(create, |(_, body)| body);
    let (mut out, mut checks) = (Vec::new(), Vec::new());
    for line in body.lines() {
        let line = line.trim().trim_end_matches(',');
        match line.strip_prefix("CONSTRAINT ").and_then(|rest| rest.split_once(" CHECK ")) {
            Some((_, check)) => checks.push(format!("CHECK {check}")),
            None => out.push(without_counter(line)),
        }
    }
    checks.sort_unstable();
    out.extend(checks);
    out.join("\n")
}

fn without_counter(line: &str) -> String {
    const OPTION: &str = " AUTO_INCREMENT=";
    if !line.starts_with(')') {
        return line.to_owned();
    }
    match line.split_once(OPTION) {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_and_a_name_do_not_make_another_definition() {
        let a = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  CONSTRAINT `t_chk_1` CHECK ((`id` > 0))\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4";
        let b = "CREATE TABLE `_rsc1_t_old` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  CONSTRAINT `_rsc1_t_new_chk_1` CHECK ((`id` > 0))\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        assert_eq!(definition(a), definition(b));
        assert_ne!(definition(a), definition(&a.replace("`id` int", "`id` bigint")));
    }
}
