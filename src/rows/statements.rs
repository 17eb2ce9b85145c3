//! The SQL that moves rows of one direction: text only, nothing is executed here.
//!
//! Everything that writes the shadow selects the same expressions from an alias `d`, whether `d` is the live
//! table (a copy batch) or the staged row images (a window). So a value is converted in one way only.
//!
//! # Applying a window
//!
//! The staging tables are session TEMPORARY tables: neither logged nor redo-written, and rolled back with the
//! transaction.
//!
//! | table | rows |
//! |---|---|
//! | `delta` | the last image of each touched row, in the live table's own types |
//! | `gone` | the keys that were left |
//! | `moved` | for each moved row its key before and after |
//! | `carried` | what only the shadow knows of moved rows, and what it knows better, under their key after |
//!
//! Order: `carry`, `delete`, `update`, `insert_moved`, `insert_rest`. An UPDATE of the shadow's key would do for
//! one moved row, but not for two that swap: the server checks uniqueness row by row. Carrying is that UPDATE
//! for a set: the shadow row takes its new key, and all that only the shadow knows goes with it. `update` and
//! `insert_moved` leave out what was not written ([`super::kept`]), and are one statement a [`Group`].
//!
//! Nothing here ignores or replaces a duplicate.

use super::kept::{Group, WRITTEN, roomy};
use super::key_range::{self, Bound, Frontier};
use crate::schema::conversion;
use crate::schema::meaning::Meaning;
use crate::schema::projection::{KeyColumn, Mapped, Projection};
use crate::schema::table::{Column, TableName, quote};

/// Staged values may be what strict mode would not accept from a literal, though the table holds them: zero and
/// impossible dates, ENUM index 0.
pub(super) const STAGING_MODE: &str = "/*+ SET_VAR(sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES') */";

/// In tests: the column whose conversion is wrong, wherever it is used.
#[cfg(debug_assertions)]
pub static BENT: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// The statements of one direction: source rows become rows of `shadow`.
#[derive(Clone, Debug)]
pub struct Statements {
    projection: Projection,
    source: TableName,
    pub(super) shadow: TableName,
    meaning: Meaning,
    /// Which of the projection's mapped columns the shadow may know better than its source can say.
    pub(super) kept: Vec<usize>,
}

/// A staging table. They live in the sidecar schema, and are seen by one session only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staging {
    Delta,
    Gone,
    Moved,
    Carried,
}

impl Staging {
    pub const ALL: [Staging; 4] = [Staging::Delta, Staging::Gone, Staging::Moved, Staging::Carried];

    pub fn name(self) -> &'static str {
        match self {
            Staging::Delta => "`_rsc`.`delta`",
            Staging::Gone => "`_rsc`.`gone`",
            Staging::Moved => "`_rsc`.`moved`",
            Staging::Carried => "`_rsc`.`carried`",
        }
    }
}

impl Statements {
    pub fn new(projection: Projection, source: TableName, shadow: TableName) -> Self {
        Self { projection, source, shadow, meaning: Meaning::default(), kept: Vec::new() }
    }

    /// For sessions that write as this says.
    pub fn meaning_of(self, meaning: &Meaning) -> Self {
        Self { meaning: meaning.clone(), ..self }
    }

    pub fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// The same where the tables have been swapped before.
    pub fn swapped(self) -> Self {
        let projection = &self.projection;
        let better = |m: &Mapped| {
            projection.computed_there(m) || !conversion::survives(&m.target, &projection.source[m.source])
        };
        let mapped = projection.mapped.iter().enumerate();
        let kept = mapped.filter(|(_, m)| better(m)).map(|(i, _)| i).collect();
        Self { kept, ..self }
    }

    /// The table that rows come from.
    pub fn source(&self) -> &TableName {
        &self.source
    }

    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Whether the shadow knows something of a row that its source does not, which a moved row must take along.
    pub fn carries(&self) -> bool {
        !self.projection.target_only.is_empty() || self.keeps()
    }

    /// Copies rows of the live table into a staging table, as they are. Without the modes about dates, MySQL copies a date of
    /// the same type byte by byte, and a TIMESTAMP keeps its instant in every zone.
    pub(super) fn as_it_is(&self) -> String {
        format!("/*+ SET_VAR(sql_mode='NO_AUTO_VALUE_ON_ZERO{}') */", self.meaning.opened_with())
    }

    /// A value that does not fit is stored as the nearest one. Only into tables without expressions: rsc's own.
    pub(super) fn lenient(&self) -> String {
        let more = self.meaning.opened_with();
        format!("/*+ SET_VAR(sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES{more}') */")
    }

    /// How a value is written that may not fit the shadow.
    pub(super) fn mode(&self) -> String {
        match (self.projection.may_lose(), self.meaning.lenient()) {
            (true, None) => format!("{} ", self.lenient()),
            (true, Some(mode)) => format!("/*+ SET_VAR(sql_mode='{mode}') */ "),
            (false, _) => String::new(),
        }
    }

    pub fn create(&self, staging: Staging) -> String {
        let mut columns = Vec::new();
        let key = |prefix: &str| -> Vec<String> {
            (0..self.projection.key.len()).map(|i| format!("{prefix}{i}")).collect()
        };
        let primary = match staging {
            Staging::Delta => {
                for &i in &self.projection.staged() {
                    let column = &self.projection.source[i];
                    let in_key = self.projection.key.iter().any(|k| k.source == i);
                    columns.push(define(&quote(&column.name), column, !in_key));
                }
                if self.keeps() {
                    columns.push(self.define_written(WRITTEN));
                    columns.push(format!("KEY ({WRITTEN})"));
                }
                self.projection.key.iter().map(|k| quote(&self.source_column(k).name)).collect()
            }
            Staging::Gone => {
                // Two keys that were left may be one to the server: `abc`, later `ABC`. So they are not its key.
                columns.push("n BIGINT NOT NULL AUTO_INCREMENT".into());
                self.define_key("k", &mut columns);
                vec!["n".into()]
            }
            Staging::Moved => {
                self.define_key("f", &mut columns);
                self.define_key("k", &mut columns);
                key("k")
            }
            Staging::Carried => {
                self.define_key("k", &mut columns);
                for (i, own) in self.projection.target_only.iter().enumerate() {
                    columns.push(define(&format!("c{i}"), &own.column, true));
                }
                for (i, kept) in self.kept().iter().enumerate() {
                    columns.push(roomy(&format!("f{i}"), &kept.target));
                }
                key("k")
            }
        };
        format!(
            "CREATE TEMPORARY TABLE {} ({}, PRIMARY KEY ({})) ENGINE=InnoDB",
            staging.name(),
            columns.join(", "),
            primary.join(", ")
        )
    }

    pub(super) fn define_key(&self, prefix: &str, columns: &mut Vec<String>) {
        for (i, part) in self.projection.key.iter().enumerate() {
            columns.push(define(&format!("{prefix}{i}"), self.source_column(part), false));
        }
    }

    pub(super) fn source_column(&self, part: &KeyColumn) -> &Column {
        &self.projection.source[part.source]
    }

    /// `INSERT INTO delta (…) VALUES `, to be followed by rows of the columns `Projection::staged`, and of what was
    /// written if the shadow keeps anything.
    pub fn stage_delta(&self) -> String {
        let mut names: Vec<_> =
            self.projection.staged().iter().map(|&i| quote(&self.projection.source[i].name)).collect();
        if self.keeps() {
            names.push(WRITTEN.into());
        }
        format!("INSERT {STAGING_MODE} INTO {} ({}) VALUES ", Staging::Delta.name(), names.join(", "))
    }

    /// To be followed by keys.
    pub fn stage_gone(&self) -> String {
        let key: Vec<_> = (0..self.projection.key.len()).map(|i| format!("k{i}")).collect();
        format!("INSERT {STAGING_MODE} INTO {} ({}) VALUES ", Staging::Gone.name(), key.join(", "))
    }

    /// To be followed by rows of a key before and a key after.
    pub fn stage_moved(&self) -> String {
        format!("INSERT {STAGING_MODE} INTO {} VALUES ", Staging::Moved.name())
    }

    /// Takes aside what only the shadow knows of moved rows, and what it may know better.
    pub fn carry(&self) -> String {
        let key = (0..self.projection.key.len()).map(|i| format!("m.k{i}"));
        let whole = |column: &Column| conversion::whole(column, &format!("_rsc_s.{}", quote(&column.name)));
        let own = self.projection.target_only.iter().map(|own| whole(&own.column));
        let kept = self.kept().into_iter().map(|mapped| whole(&mapped.target));
        format!(
            "INSERT INTO {} SELECT {} FROM {} AS m STRAIGHT_JOIN {} ON {}",
            Staging::Carried.name(),
            key.chain(own).chain(kept).collect::<Vec<_>>().join(", "),
            Staging::Moved.name(),
            self.shadow_by_key(),
            self.matches(|i, _| format!("m.f{i}")),
        )
    }

    pub fn delete(&self) -> String {
        format!(
            "DELETE _rsc_s FROM {} AS g STRAIGHT_JOIN {} ON {}",
            Staging::Gone.name(),
            self.shadow_by_key(),
            self.matches(|i, _| format!("g.k{i}")),
        )
    }

    /// Brings the rows that are there to their last image. Columns that only the shadow has keep their value, and so do
    /// those that were not written.
    pub fn update(&self, group: &Group) -> String {
        let stands = |m: &Mapped| self.place(m).is_some_and(|place| !group.writes(place));
        let (standing, written): (Vec<&Mapped>, Vec<&Mapped>) =
            self.projection.mapped.iter().partition(|m| stands(m));
        let mut sets: Vec<String> = written
            .into_iter()
            .filter(|m| !self.equal_means_identical(m.source))
            .map(|m| format!("_rsc_s.{} = {}", quote(&m.target.name), self.value(m)))
            .collect();
        let own = self.projection.target_only.iter().map(|own| &own.column);
        for column in own.chain(standing.into_iter().map(|m| &m.target)).filter(|c| c.on_update()) {
            let name = quote(&column.name);
            sets.push(format!("_rsc_s.{name} = _rsc_s.{name}"));
        }
        if sets.is_empty() {
            return "DO 0".into();
        }
        let which = group.is().map_or_else(String::new, |is| format!(" WHERE {is}"));
        format!(
            "UPDATE {}{} AS d STRAIGHT_JOIN {} ON {} SET {}{which}",
            self.mode(),
            Staging::Delta.name(),
            self.shadow_by_key(),
            self.matches_delta(),
            sets.join(", ")
        )
    }

    /// A key column whose values are the same bytes whenever they compare equal need not be written again.
    fn equal_means_identical(&self, source: usize) -> bool {
        self.projection.key.iter().any(|k| k.source == source && k.target.collation.is_none() && !k.recollate)
    }

    /// Writes moved rows under their new key, with what was carried.
    pub fn insert_moved(&self, group: &Group, frontier: &Frontier) -> String {
        let carried_or_written = |m: &Mapped| match self.place(m).filter(|&place| !group.writes(place)) {
            Some(place) => conversion::whole(&m.target, &format!("c.f{place}")),
            None => self.value(m),
        };
        let (mut names, mut values): (Vec<String>, Vec<String>) =
            self.projection.mapped.iter().map(|m| (quote(&m.target.name), carried_or_written(m))).unzip();
        for (i, own) in self.projection.target_only.iter().enumerate() {
            names.push(quote(&own.column.name));
            values.push(conversion::whole(&own.column, &format!("c.c{i}")));
        }
        let from = format!(
            "{} AS c STRAIGHT_JOIN {} AS d ON {}",
            Staging::Carried.name(),
            Staging::Delta.name(),
            self.is_carried()
        );
        self.insert_missing(&names, &values, &from, group.is().as_deref(), frontier)
    }

    fn is_carried(&self) -> String {
        let key = self.source_key_columns().into_iter().enumerate();
        key.map(|(i, column)| format!("c.k{i} = {column}")).collect::<Vec<_>>().join(" AND ")
    }

    /// Writes the rows that are not there; columns that only the shadow has take their default.
    pub fn insert_rest(&self, frontier: &Frontier) -> String {
        let (names, values) = self.full_lists();
        self.insert_missing(&names, &values, &format!("{} AS d", Staging::Delta.name()), None, frontier)
    }

    /// The same for those of which nothing was carried.
    pub fn insert_uncarried(&self) -> String {
        let (names, values) = self.full_lists();
        let from = format!(
            "{} AS d LEFT JOIN {} AS c ON {}",
            Staging::Delta.name(),
            Staging::Carried.name(),
            self.is_carried()
        );
        self.insert_missing(&names, &values, &from, Some("c.k0 IS NULL"), &Frontier::End)
    }

    fn insert_missing(
        &self,
        names: &[String],
        values: &[String],
        from: &str,
        which: Option<&str>,
        frontier: &Frontier,
    ) -> String {
        let which = which.map_or_else(String::new, |which| format!(" AND {which}"));
        let missing = format!("_rsc_s.{} IS NULL", quote(&self.projection.key[0].target.name));
        let reached = match frontier {
            Frontier::Start => " AND FALSE".into(),
            Frontier::At(bound) => format!(" AND {}", key_range::up_to(&self.source_key_columns(), bound)),
            Frontier::Ranges(ranges) => {
                format!(" AND {}", key_range::within(&self.source_key_columns(), ranges))
            }
            Frontier::End => String::new(),
        };
        format!(
            "INSERT {}INTO {} ({}) SELECT {} FROM {from} LEFT JOIN {} ON {} WHERE {missing}{which}{reached}",
            self.mode(),
            self.shadow,
            names.join(", "),
            values.join(", "),
            self.shadow_by_key(),
            self.matches_delta(),
        )
    }

    /// One batch: the rows with `lo < key <= hi` from a consistent snapshot that locks nothing.
    pub fn copy(&self, lo: Option<&Bound>, hi: Option<&Bound>) -> String {
        let (names, values) = self.full_lists();
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
            self.shadow,
            names.join(", "),
            values.join(", "),
            self.source_by_key(),
            key_range::between(&self.source_key_columns(), lo, hi)
        )
    }

    /// The key of the `rows`-th row in `lo < key <= hi`, as literals; no row when there are fewer.
    /// `literals` are expressions that print the key columns of alias `d` as SQL literals.
    pub fn boundary(&self, literals: &[String], lo: Option<&Bound>, hi: Option<&Bound>, rows: u64) -> String {
        format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1 OFFSET {}",
            literals.join(", "),
            self.source_by_key(),
            key_range::between(&self.source_key_columns(), lo, hi),
            self.source_key_columns().join(", "),
            rows.max(1) - 1
        )
    }

    /// The key columns of the source, qualified with its alias `d`, in key order.
    pub fn source_key_columns(&self) -> Vec<String> {
        self.key_columns_of("d")
    }

    pub fn key_columns_of(&self, alias: &str) -> Vec<String> {
        self.projection
            .key
            .iter()
            .map(|k| format!("{alias}.{}", quote(&self.source_column(k).name)))
            .collect()
    }

    /// Mapped columns only.
    fn mapped_lists(&self) -> (Vec<String>, Vec<String>) {
        self.projection.mapped.iter().map(|m| (quote(&m.target.name), self.value(m))).unzip()
    }

    /// Mapped columns, and the target's own columns that cannot be left out.
    pub(super) fn full_lists(&self) -> (Vec<String>, Vec<String>) {
        let (mut names, mut values) = self.mapped_lists();
        for own in &self.projection.target_only {
            if let Some(fill) = own.fill {
                names.push(quote(&own.column.name));
                values.push(fill.into());
            }
        }
        (names, values)
    }

    pub(super) fn value(&self, mapped: &Mapped) -> String {
        let from = &self.projection.source[mapped.source];
        let value = format!("d.{}", quote(&from.name));
        let value = conversion::expression(from, &mapped.target, self.projection.manner, &value);
        #[cfg(debug_assertions)]
        if BENT.get().is_some_and(|bent| *bent == mapped.target.name) {
            return format!("({value} + 1)");
        }
        value
    }

    pub fn shadow_by_key(&self) -> String {
        format!("{} AS _rsc_s FORCE INDEX ({})", self.shadow, quote(&self.projection.target_key))
    }

    pub fn source_by_key(&self) -> String {
        format!("{} AS d FORCE INDEX ({})", self.source, quote(&self.projection.source_key))
    }

    pub(super) fn matches_delta(&self) -> String {
        self.matches(|_, k| format!("d.{}", quote(&self.source_column(k).name)))
    }

    /// The shadow row has the key that `side` yields.
    ///
    /// Where the two tables compare a key column differently, the keys must be equal to both. To the shadow
    /// alone, a coarser collation would make the row `a` the row of the key `A`, which the live table holds
    /// besides: it would be overwritten, and the duplicate never be seen.
    pub(super) fn matches(&self, side: impl Fn(usize, &KeyColumn) -> String) -> String {
        let mut conditions = Vec::new();
        for (i, part) in self.projection.key.iter().enumerate() {
            let (value, own) = (side(i, part), format!("_rsc_s.{}", quote(&part.target.name)));
            if part.recollate {
                conditions.push(format!("{own} = {}", collated(&value, &part.target)));
                conditions.push(format!("{} = {value}", collated(&own, self.source_column(part))));
            } else {
                conditions.push(format!("{own} = {value}"));
            }
        }
        conditions.join(" AND ")
    }
}

/// A value as `column` would compare it.
pub(super) fn collated(value: &str, column: &Column) -> String {
    match (&column.charset, &column.collation) {
        (Some(charset), Some(collation)) => format!("CONVERT({value} USING {charset}) COLLATE {collation}"),
        _ => value.to_owned(),
    }
}

/// A column of a staging table: the type and character set, none of the attributes.
pub(super) fn define(name: &str, column: &Column, nullable: bool) -> String {
    let mut text = format!("{name} {}", column.column_type);
    if let (Some(charset), Some(collation)) = (&column.charset, &column.collation) {
        text.push_str(&format!(" CHARACTER SET {charset} COLLATE {collation}"));
    }
    text.push_str(if nullable { " NULL" } else { " NOT NULL" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::conversion::Manner;
    use crate::schema::projection::TargetOnly;

    fn column(name: &str, data_type: &str) -> Column {
        Column {
            name: name.into(),
            data_type: data_type.into(),
            column_type: data_type.into(),
            charset: None,
            collation: None,
            nullable: false,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    fn revert_of_a_dropped_column() -> Statements {
        let projection = Projection {
            source: vec![column("id", "bigint"), column("name", "int")],
            mapped: vec![
                Mapped { source: 0, target: column("id", "bigint") },
                Mapped { source: 1, target: column("name", "int") },
            ],
            target_only: vec![TargetOnly { column: column("title", "int"), fill: Some("0") }],
            key: vec![KeyColumn { source: 0, target: column("id", "bigint"), recollate: false }],
            source_key: "PRIMARY".into(),
            target_key: "PRIMARY".into(),
            manner: Manner::Nearest,
        };
        Statements::new(projection, TableName::new("d", "t"), TableName::new("d", "_rsc1_t_old"))
    }

    #[test]
    fn an_update_does_not_name_what_only_the_shadow_has() {
        assert_eq!(
            revert_of_a_dropped_column().update(&Group::WHOLE),
            "UPDATE `_rsc`.`delta` AS d STRAIGHT_JOIN `d`.`_rsc1_t_old` AS _rsc_s FORCE INDEX (`PRIMARY`) \
             ON _rsc_s.`id` = d.`id` SET _rsc_s.`name` = d.`name`"
        );
    }

    #[test]
    fn a_moved_row_takes_along_what_only_the_shadow_has() {
        let statements = revert_of_a_dropped_column();
        assert!(statements.carry().contains("SELECT m.k0, _rsc_s.`title`"));
        assert!(
            statements.insert_moved(&Group::WHOLE, &Frontier::End).contains("SELECT d.`id`, d.`name`, c.c0")
        );
    }

    #[test]
    fn no_row_above_the_frontier_is_inserted() {
        let statements = revert_of_a_dropped_column();
        let at = Frontier::At(vec!["7".into()]);
        assert!(statements.insert_rest(&at).ends_with("WHERE _rsc_s.`id` IS NULL AND d.`id` <= 7"));
        assert!(statements.insert_rest(&Frontier::Start).ends_with("AND FALSE"));
    }

    #[test]
    fn keys_that_compare_differently_must_be_equal_to_both() {
        let collated = |collation: &str| Column {
            charset: Some("utf8mb4".into()),
            collation: Some(collation.into()),
            ..column("id", "varchar(9)")
        };
        let mut projection = revert_of_a_dropped_column().projection;
        projection.source[0] = collated("utf8mb4_bin");
        projection.key[0] = KeyColumn { source: 0, target: collated("utf8mb4_0900_ai_ci"), recollate: true };
        let statements = Statements::new(projection, TableName::new("d", "t"), TableName::new("d", "s"));
        assert!(statements.delete().ends_with(
            "ON _rsc_s.`id` = CONVERT(g.k0 USING utf8mb4) COLLATE utf8mb4_0900_ai_ci \
             AND CONVERT(_rsc_s.`id` USING utf8mb4) COLLATE utf8mb4_bin = g.k0"
        ));
    }

    #[test]
    fn no_statement_swallows_a_duplicate() {
        let statements = revert_of_a_dropped_column();
        let all = [
            statements.copy(None, None),
            statements.carry(),
            statements.delete(),
            statements.update(&Group::WHOLE),
            statements.insert_moved(&Group::WHOLE, &Frontier::End),
            statements.insert_rest(&Frontier::End),
        ];
        for text in all {
            assert!(!text.contains("IGNORE") && !text.contains("REPLACE") && !text.contains("ON DUPLICATE"));
        }
    }
}
