//! What a revert would do with rows that are written under the new schema: said before anything is done.
//!
//! Made of the two definitions alone. It says what *can* happen; whether it does, depends on what the application will
//! write. So it may warn of what never comes, but must not keep silent about what does: tests/it/cases.rs holds it
//! against what `rsc losses` then says, case by case.
//!
//! The words, and where they are decided:
//!
//! | word | meaning | decided by |
//! |---|---|---|
//! | kept | comes back as it was written | `conversion::survives` |
//! | stays | a column that the old schema does not have: its values stay in the new table | the pairs of columns |
//! | defaulted | a column that the new schema does not have: old rows have it, new ones a default | the pairs of columns |
//! | computed | the server computes it on one side | generated columns |
//! | coerced | the old table has the nearest value; the ledger has what was written | `conversion::nearest` |
//! | lost | the same, and nothing of the value is left in the nearest | `conversion::nearest` |
//! | parked | the old table does without the row | `conversion::may_refuse`, `fits`, and [`rules`] |

mod rules;

use super::conversion;
use super::key::column_names;
use super::projection::Mapping;
use super::table::{Column, same_name};

pub use rules::{Kind, Rule};

/// What becomes of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Kept,
    Stays,
    Defaulted,
    Computed,
    Coerced,
    Lost,
}

impl Fate {
    /// One word, for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Stays => "stays",
            Fate::Defaulted => "defaulted",
            Fate::Computed => "computed",
            Fate::Coerced => "coerced",
            Fate::Lost => "lost",
        }
    }
}

/// A column of either schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnReport {
    /// Its name and type; `None` where the schema does not have it.
    pub old: Option<(String, String)>,
    pub new: Option<(String, String)>,
    pub fate: Fate,
    /// What can happen, sentences without full stops.
    pub what: Vec<String>,
    /// A value may not come back as it was written.
    pub loses: bool,
    /// Why a row may be parked for this column.
    pub parks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Columns of the old schema in its order, then those that only the new one has.
    pub columns: Vec<ColumnReport>,
    /// What else the old schema demands of a row.
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whatever is written: every row and every value of a column that both schemas have comes back.
    Lossless,
    /// A revert works; what was written that the old schema cannot hold is on record.
    PossibleLosses,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Lossless => "lossless",
            Verdict::PossibleLosses => "possible_losses",
        }
    }
}

impl Report {
    pub fn of(mapping: &Mapping) -> Self {
        Self { columns: columns(mapping), rules: rules::rules(mapping) }
    }

    pub fn verdict(&self) -> Verdict {
        match self.columns.iter().any(|column| column.loses) || self.parks() {
            true => Verdict::PossibleLosses,
            false => Verdict::Lossless,
        }
    }

    /// Whether a row may be one that the old schema cannot hold at all.
    pub fn parks(&self) -> bool {
        self.columns.iter().any(|column| !column.parks.is_empty()) || self.rules.iter().any(|rule| rule.parks)
    }

    /// Everything that stands against *lossless*.
    pub fn losses(&self) -> Vec<String> {
        let mut found = Vec::new();
        for column in &self.columns {
            let name = column.name();
            if column.loses {
                found.push(format!("column {name}: {}", column.what.join("; ")));
            }
            found.extend(column.parks.iter().map(|why| format!("column {name}: {why}")));
        }
        let rules = self.rules.iter().filter(|rule| rule.parks);
        found.extend(rules.map(|rule| format!("{}: {}", rule.title(), rule.what)));
        found
    }
}

impl ColumnReport {
    /// The name that the application uses while the new schema serves, if it has the column.
    pub fn name(&self) -> &str {
        let column = self.new.as_ref().or(self.old.as_ref());
        column.map_or("", |(name, _)| name)
    }
}

fn columns(mapping: &Mapping) -> Vec<ColumnReport> {
    let mut found = Vec::new();
    for old in &mapping.old_table().columns {
        let new = mapping.pairs().find(|(o, _)| same_name(&o.name, &old.name)).map(|(_, n)| n);
        found.push(match new {
            Some(new) => of_pair(mapping, old, new),
            None => of_dropped(old),
        });
    }
    let added = mapping.new_table().columns.iter();
    let added = added.filter(|new| !mapping.pairs().any(|(_, n)| same_name(&n.name, &new.name)));
    found.extend(added.map(of_added));
    found
}

fn described(column: &Column) -> (String, String) {
    let nullable = if column.nullable { "" } else { " NOT NULL" };
    let charset = column.charset.as_ref().map_or_else(String::new, |set| format!(" CHARACTER SET {set}"));
    (column.name.clone(), format!("{}{charset}{nullable}", column.column_type))
}

fn of_added(new: &Column) -> ColumnReport {
    let what = match new.generated {
        true => "the server computes it, there is nothing to keep",
        false => "its values stay in the new table, and come back with a reapply",
    };
    ColumnReport {
        old: None,
        new: Some(described(new)),
        fate: Fate::Stays,
        what: vec![what.into()],
        loses: false,
        parks: Vec::new(),
    }
}

fn of_dropped(old: &Column) -> ColumnReport {
    let (fate, what, parks) = match old.generated {
        true => (
            Fate::Computed,
            "the old table computes it".to_owned(),
            vec!["a row for which it cannot be computed is parked".to_owned()],
        ),
        false => (
            Fate::Defaulted,
            format!("rows from before have their value; rows since get {}", fill(old)),
            Vec::new(),
        ),
    };
    ColumnReport { old: Some(described(old)), new: None, fate, what: vec![what], loses: false, parks }
}

/// What a row gets in a column that it does not know.
pub fn fill(column: &Column) -> String {
    match &column.default {
        _ if column.auto_increment() => "the next number".into(),
        Some(default) if column.extra.to_uppercase().contains("DEFAULT_GENERATED") => {
            format!("its default, {default}, as of when the stream brings them")
        }
        Some(default) => format!("its default, '{default}'"),
        None if column.nullable => "NULL".into(),
        None if column.data_type == "enum" => "the first label, as it has no default".into(),
        None if column.data_type == "json" => "the null of JSON, as it has no default".into(),
        None => conversion::implicit_default(column)
            .map_or_else(|| "nothing".into(), |fill| format!("{fill}, as it has no default")),
    }
}

fn of_pair(mapping: &Mapping, old: &Column, new: &Column) -> ColumnReport {
    let mut report = ColumnReport {
        old: Some(described(old)),
        new: Some(described(new)),
        fate: Fate::Kept,
        what: Vec::new(),
        loses: false,
        parks: Vec::new(),
    };
    match (old.generated, new.generated) {
        (true, true) if rules::computed_alike(mapping, old, new) => {}
        (true, true) => {
            report.fate = Fate::Computed;
            report.what.push("the old table computes it by its own expression".into());
            report.parks.push("a row for which it cannot be computed is parked".into());
        }
        (true, false) => {
            report.fate = Fate::Computed;
            report.loses = true;
            report.what.push(
                "the old table computes it; another value that was written stays in the new table".into(),
            );
            report.parks.push("a row for which it cannot be computed is parked".into());
        }
        (false, true) => {
            report.fate = Fate::Computed;
            report.loses = true;
            report.what.push("rows that are written under the new schema have what it computes".into());
            coerced(&mut report, old, new);
        }
        (false, false) => coerced(&mut report, old, new),
    }
    if rules::unfit_key(mapping, old, new) {
        report.parks.push(format!("a row with a key that {} does not have is parked", old.column_type));
        // What is stored, is stored as it is: but for spaces at the end of a text.
        if old.data_type == new.data_type || new.charset.is_none() {
            (report.fate, report.loses) = (Fate::Kept, false);
            report.what.clear();
        }
    }
    report
}

fn coerced(report: &mut ColumnReport, old: &Column, new: &Column) {
    let becomes = conversion::nearest(new, old);
    if conversion::may_refuse(new, old) {
        report
            .parks
            .push(format!("a row with a value of which {} can make nothing is parked", old.column_type));
    }
    if conversion::survives(new, old) {
        return;
    }
    report.loses = true;
    if report.fate == Fate::Kept {
        report.fate = match becomes.iter().any(|nearest| nearest.whole) {
            true => Fate::Lost,
            false => Fate::Coerced,
        };
    }
    report.what.extend(becomes.into_iter().map(|nearest| nearest.what));
    if report.what.is_empty() {
        report.what.push(format!("a value becomes the nearest that {} holds", old.column_type));
    }
}

/// The old columns of a key that are columns of the table.
fn parts<'t>(mapping: &'t Mapping, key: &super::table::Key) -> Vec<&'t Column> {
    column_names(key).into_iter().filter_map(|name| mapping.old_table().column(name)).collect()
}

#[cfg(test)]
mod tests;
