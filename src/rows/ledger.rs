//! The SQL of the ledger: what the old schema cannot hold of the rows that the new one serves.
//!
//! Two tables a change, written by the inverse stream in the transaction of the window that they belong to, so they
//! are as exact as the shadow is.
//!
//! * **loss**: a value that the shadow holds only as the nearest one. Found by going there and back: what the shadow
//!   stored is converted to the live table's type again (`back`), and compared with what was to be stored. So no
//!   list of cases decides what a loss is.
//! * **parked**: a row that the shadow cannot hold at all, with what only the shadow knew of it. It is not in the
//!   shadow. Its values are not kept here: the live table has them, and when the row is tried again it is read from
//!   there, like a row of a copy batch. It may then be from after the position; the stream is yet to bring that.
//!   But a window may leave out columns that the shadow can know better ([`super::kept`]). Of those the record has
//!   the shadow's value (`f0` and on), the live table's as of the position (`w0` and on), and which of
//!   them have been written since (`written`): the others come back as they were.
//!
//! What is on record about the value of such a column stays until the column is written, and goes with its row.
//!
//! A parked row that is written stays parked until it is tried again, so that a row that is written often does not
//! make every window fail. It follows its key, and is forgotten with its row.
//!
//! Statements use the ledger's tables by one alias each, because a swap has to lock every alias.

use std::collections::BTreeMap;

use super::kept::{Group, WRITTEN, roomy};
use super::key_range::Frontier;
use super::statements::{Staging, Statements, collated, define};
use crate::schema::conversion::{self, Manner};
use crate::schema::projection::Mapped;
use crate::schema::table::{Column, quote, string_literal};

/// There and back again of the values that may not survive it.
pub const BACK: &str = "`_rsc`.`back`";

/// The ledger of one change, for its inverse direction.
#[derive(Clone, Debug)]
pub struct Ledger {
    change: u64,
    statements: Statements,
}

/// The table of parked rows, quoted.
pub fn parked_table(change: u64) -> String {
    format!("`_rsc`.`parked_{change}`")
}

/// The table of lost values, quoted.
pub fn loss_table(change: u64) -> String {
    format!("`_rsc`.`loss_{change}`")
}

impl Ledger {
    /// `statements` of the direction from the new schema to the old one.
    pub fn new(change: u64, statements: Statements) -> Self {
        Self { change, statements }
    }

    pub fn parked(&self) -> String {
        parked_table(self.change)
    }

    pub fn loss(&self) -> String {
        loss_table(self.change)
    }

    /// What a swap has to lock besides its own tables.
    pub fn locks(&self) -> String {
        let (parked, loss) = (self.parked(), self.loss());
        format!("{parked} WRITE, {parked} AS p WRITE, {loss} WRITE, {loss} AS l WRITE")
    }

    pub fn create(&self) -> [String; 2] {
        let mut key = Vec::new();
        self.statements.define_key("k", &mut key);
        let key_names = self.key("").join(", ");
        let mut own = key.clone();
        for (i, column) in self.own().enumerate() {
            own.push(define(&format!("c{i}"), column, true));
        }
        for (i, kept) in self.statements.kept().into_iter().enumerate() {
            own.push(roomy(&format!("f{i}"), &kept.target));
            own.push(roomy(&format!("w{i}"), self.source(kept)));
        }
        if self.statements.keeps() {
            own.push(self.statements.define_written("`written`"));
        }
        let change = self.change;
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {} (n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, {}, \
                 `had` BOOLEAN NOT NULL COMMENT 'the old schema held the row before: c0 and on are its values', \
                 `reason` LONGTEXT CHARACTER SET utf8mb4 NOT NULL, \
                 `since` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), KEY by_key ({key_names})) \
                 ENGINE=InnoDB COMMENT='rsc: rows of change {change} that the old schema cannot hold'",
                self.parked(),
                own.join(", "),
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, {}, \
                 `column_name` VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL COMMENT 'in the new schema', \
                 `kept` LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'what the old schema holds', \
                 `lost` LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'what the application wrote', \
                 `whole` LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'the row as it was written, as JSON', \
                 `since` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), KEY by_key ({key_names})) \
                 ENGINE=InnoDB COMMENT='rsc: values of change {change} that the old schema cannot hold'",
                self.loss(),
                key.join(", "),
            ),
        ]
    }

    /// The session's own tables that the ledger works with.
    pub fn create_staging(&self) -> Vec<String> {
        let mut tables = Vec::new();
        if self.compares() {
            let mut columns = Vec::new();
            self.statements.define_key("k", &mut columns);
            for (i, mapped) in self.compared().iter().enumerate() {
                columns.push(define(&format!("b{i}"), self.source(mapped), true));
                columns.push(format!("t{i} LONGTEXT CHARACTER SET utf8mb4 NULL"));
            }
            tables.push(temporary(BACK, &columns, &self.key("")));
        }
        tables
    }

    /// Whether some value may not survive in the old schema, so that windows are looked at for losses.
    pub fn compares(&self) -> bool {
        !self.compared().is_empty()
    }

    /// Parked rows that are gone from the live table. A row that only moved is not.
    pub fn forget_parked(&self) -> String {
        let moved = self.key("m.").first().map_or_else(String::new, |_| "m.f0 IS NULL".to_owned());
        match self.statements.carries() {
            true => format!(
                "DELETE p FROM {} AS g STRAIGHT_JOIN {} AS p FORCE INDEX (by_key) ON {} LEFT JOIN {} AS m ON {} WHERE {moved}",
                Staging::Gone.name(),
                self.parked(),
                equal(&self.key("p."), &self.key("g.")),
                Staging::Moved.name(),
                equal(&self.key_before(), &self.key("p.")),
            ),
            false => format!(
                "DELETE p FROM {} AS g STRAIGHT_JOIN {} AS p FORCE INDEX (by_key) ON {}",
                Staging::Gone.name(),
                self.parked(),
                equal(&self.key("p."), &self.key("g.")),
            ),
        }
    }

    /// Parked rows go with their key.
    pub fn follow_moved(&self) -> [String; 2] {
        let from = format!(
            "{} AS m STRAIGHT_JOIN {} AS p FORCE INDEX (by_key) ON {}",
            Staging::Moved.name(),
            self.parked(),
            equal(&self.key("p."), &self.key_before())
        );
        let with = self.key("").into_iter().zip(self.key("m.")).collect();
        self.anew(&self.statements.as_it_is(), &self.parked(), "p", &self.parked_columns(), &from, &with)
    }

    /// Lost values go with the key of their row while the old schema serves; `forward` are the statements then.
    pub fn follow_losses(&self, forward: &Statements) -> [String; 2] {
        let before: Vec<String> = forward
            .projection()
            .key
            .iter()
            .enumerate()
            .map(|(i, part)| format!("l.k{i} = {}", collated(&format!("m.f{i}"), &part.target)))
            .collect();
        // The keys are of the other schema's types, and must fit.
        self.losses_moved(&self.statements.lenient(), &before.join(" AND "))
    }

    fn losses_moved(&self, mode: &str, before: &str) -> [String; 2] {
        let from = format!(
            "{} AS m STRAIGHT_JOIN {} AS l FORCE INDEX (by_key) ON {before}",
            Staging::Moved.name(),
            self.loss()
        );
        let with = self.key("").into_iter().zip(self.key("m.")).collect();
        let rest = ["`column_name`", "`kept`", "`lost`", "`whole`", "`since`"].map(str::to_owned);
        let columns: Vec<String> = self.key("").into_iter().chain(rest).collect();
        self.anew(mode, &self.loss(), "l", &columns, &from, &with)
    }

    /// What staged rows have written of parked ones.
    pub fn note_written(&self) -> Option<[String; 2]> {
        let kept = self.statements.kept();
        let mut with = BTreeMap::from([("`written`".to_owned(), format!("p.`written` | d.{WRITTEN}"))]);
        with.extend(
            kept.iter()
                .enumerate()
                .map(|(i, m)| (format!("w{i}"), conversion::whole(self.source(m), &self.live(m)))),
        );
        let from = format!(
            "{} AS d STRAIGHT_JOIN {} AS p FORCE INDEX (by_key) ON {}",
            Staging::Delta.name(),
            self.parked(),
            equal(&self.key("p."), &self.delta_key())
        );
        let columns = self.parked_columns();
        (!kept.is_empty())
            .then(|| self.anew(&self.statements.as_it_is(), &self.parked(), "p", &columns, &from, &with))
    }

    /// Changes the rows of one of the two tables that `from` finds: they are inserted with the values of `with`, and the
    /// earlier ones deleted. An UPDATE that joins would pass dates on as values of the session, in whose mode there may be
    /// no such date and in whose zone two instants are one time; rows that are inserted from rows are copied as they
    /// are. New numbers are higher than all before, and if nothing was inserted there is nothing to delete.
    fn anew(
        &self,
        mode: &str,
        table: &str,
        alias: &str,
        columns: &[String],
        from: &str,
        with: &BTreeMap<String, String>,
    ) -> [String; 2] {
        let value = |name: &String| with.get(name).cloned().unwrap_or_else(|| format!("{alias}.{name}"));
        let values: Vec<String> = columns.iter().map(value).collect();
        [
            format!(
                "INSERT {mode} INTO {table} ({}) SELECT {} FROM {from}",
                columns.join(", "),
                values.join(", ")
            ),
            format!("DELETE {alias} FROM {from} WHERE {alias}.n < LAST_INSERT_ID()"),
        ]
    }

    /// All but the number.
    fn parked_columns(&self) -> Vec<String> {
        let mut columns = self.key("");
        columns.extend((0..self.own().count()).map(|i| format!("c{i}")));
        columns.extend((0..self.statements.kept().len()).flat_map(|i| [format!("f{i}"), format!("w{i}")]));
        if self.statements.keeps() {
            columns.push("`written`".into());
        }
        columns.extend(["`had`", "`reason`", "`since`"].map(str::to_owned));
        columns
    }

    /// Staged rows that are parked are not to be written.
    pub fn hold_back(&self) -> String {
        format!(
            "DELETE d FROM {} AS d STRAIGHT_JOIN {} AS p FORCE INDEX (by_key) ON {}",
            Staging::Delta.name(),
            self.parked(),
            equal(&self.key("p."), &self.delta_key())
        )
    }

    /// The condition under which a staged key is stored as what it is; `None` if every key is.
    fn key_fits(&self) -> Option<String> {
        let projection = self.statements.projection();
        let fits: Vec<String> = projection
            .key
            .iter()
            .zip(self.delta_key())
            .filter_map(|(part, value)| {
                conversion::fits(self.statements.source_column(part), &part.target, &value)
            })
            .collect();
        (!fits.is_empty()).then(|| fits.join(" AND "))
    }

    /// Parks the staged rows whose key would be stored as another, if there can be any.
    pub fn park_unfit(&self) -> Option<String> {
        let fits = self.key_fits()?;
        Some(format!("{} WHERE NOT ({fits})", self.park("the old schema has no such key")))
    }

    /// Writes the staged rows that the shadow can hold beside its own, and leaves the others staged: nothing is
    /// ignored, for what is left is parked. Moved rows first, with what was carried.
    pub fn insert_fitting(&self, moved: bool, groups: &[Group]) -> Vec<String> {
        let own = self.statements.shadow_key_columns().swap_remove(0);
        let inserts = self.inserts(moved, groups).into_iter();
        inserts.map(|insert| format!("{insert} ON DUPLICATE KEY UPDATE {own} = {own}")).collect()
    }

    /// Writes the staged rows, each as what it is: what was carried of one belongs to it, also if it does not fit.
    pub fn inserts(&self, moved: bool, groups: &[Group]) -> Vec<String> {
        if !moved {
            return vec![self.statements.insert_rest(&Frontier::End)];
        }
        let moved = groups.iter().map(|group| self.statements.insert_moved(group, &Frontier::End));
        moved.chain([self.statements.insert_uncarried()]).collect()
    }

    /// Staged rows that the shadow has are staged no more.
    pub fn unstage_written(&self) -> String {
        format!(
            "DELETE d FROM {} AS d STRAIGHT_JOIN {} ON {}",
            Staging::Delta.name(),
            self.statements.shadow_by_key(),
            self.statements.matches_delta()
        )
    }

    /// Staged rows with a key that the shadow cannot have are staged no more.
    pub fn unstage_unfit(&self) -> Option<String> {
        let fits = self.key_fits()?;
        Some(format!("DELETE d FROM {} AS d WHERE NOT ({fits})", Staging::Delta.name()))
    }

    /// Parks the first of the staged rows, and takes it out of them.
    pub fn park_first(&self, reason: &str) -> [String; 2] {
        let order = self.delta_key().join(", ");
        let names: Vec<String> = self
            .statements
            .projection()
            .key
            .iter()
            .map(|k| quote(&self.statements.source_column(k).name))
            .collect();
        [
            format!("{} ORDER BY {order} LIMIT 1", self.park(reason)),
            format!("DELETE FROM {} ORDER BY {} LIMIT 1", Staging::Delta.name(), names.join(", ")),
        ]
    }

    /// Parks all staged rows.
    pub fn park(&self, reason: &str) -> String {
        let mut names = self.key("");
        let mut values = self.delta_key();
        let carries = self.statements.carries();
        for (i, column) in self.own().enumerate() {
            names.push(format!("c{i}"));
            values.push(conversion::whole(column, &format!("c.c{i}")));
        }
        for (i, kept) in self.statements.kept().into_iter().enumerate() {
            names.extend([format!("f{i}"), format!("w{i}")]);
            values.push(conversion::whole(&kept.target, &format!("c.f{i}")));
            values.push(conversion::whole(self.source(kept), &self.live(kept)));
        }
        if self.statements.keeps() {
            names.push("`written`".into());
            values.push(format!("IF(c.k0 IS NULL, REPEAT('1', LENGTH(d.{WRITTEN})), d.{WRITTEN})"));
        }
        names.extend(["`had`".into(), "`reason`".into()]);
        values.push(if carries { "c.k0 IS NOT NULL".into() } else { "FALSE".into() });
        values.push(string_literal(reason));
        let carried = match carries {
            true => format!(
                " LEFT JOIN {} AS c ON {}",
                Staging::Carried.name(),
                equal(&self.key("c."), &self.delta_key())
            ),
            false => String::new(),
        };
        format!(
            "INSERT {} INTO {} ({}) SELECT {} FROM {} AS d{carried}",
            self.statements.as_it_is(),
            self.parked(),
            names.join(", "),
            values.join(", "),
            Staging::Delta.name()
        )
    }

    /// Takes off the record what was said of rows that are gone, and of values that the window writes.
    pub fn forget_losses(&self) -> Vec<String> {
        let of = |staging: Staging, alias: &str, key: Vec<String>| {
            format!(
                "DELETE l FROM {} AS {alias} STRAIGHT_JOIN {} AS l FORCE INDEX (by_key) ON {}",
                staging.name(),
                self.loss(),
                equal(&self.key("l."), &key)
            )
        };
        let delta = of(Staging::Delta, "d", self.delta_key());
        let gone = of(Staging::Gone, "g", self.key("g."));
        let standing: Vec<String> = self
            .compared()
            .into_iter()
            .filter_map(|mapped| {
                let name = string_literal(&self.source(mapped).name);
                Some(format!("l.`column_name` = {name} AND NOT {}", self.is_written(mapped)?))
            })
            .collect();
        if standing.is_empty() {
            return vec![delta, gone];
        }
        let moved = Staging::Moved.name();
        let [follow, leave] =
            self.losses_moved(&self.statements.as_it_is(), &equal(&self.key("l."), &self.key_before()));
        vec![
            format!(
                "{gone} LEFT JOIN {moved} AS m ON {} WHERE m.f0 IS NULL",
                equal(&self.key_before(), &self.key("l."))
            ),
            follow,
            leave,
            format!("{delta} WHERE NOT ({})", standing.join(" OR ")),
        ]
    }

    /// A parked row has lost no value: it is not in the shadow.
    pub fn forget_losses_of_parked(&self) -> String {
        format!(
            "DELETE l FROM {} AS p STRAIGHT_JOIN {} AS l FORCE INDEX (by_key) ON {}",
            self.parked(),
            self.loss(),
            equal(&self.key("l."), &self.key("p."))
        )
    }

    /// That a staged row has written a column; `None` if they all write it.
    fn is_written(&self, mapped: &Mapped) -> Option<String> {
        let place = self.statements.place(mapped)?;
        Some(format!("SUBSTR(d.{WRITTEN}, {}, 1) = '1'", place + 1))
    }

    /// Losses with these numbers.
    pub fn forget_range(&self, first: u64, last: u64) -> String {
        format!("DELETE l FROM {} AS l WHERE l.n BETWEEN {first} AND {last}", self.loss())
    }

    /// What the shadow has stored of the staged rows, in the live table's types again.
    pub fn look_back(&self) -> String {
        let mut names = self.key("");
        let mut values = self.delta_key();
        for (i, mapped) in self.compared().iter().enumerate() {
            let stored = format!("_rsc_s.{}", quote(&mapped.target.name));
            names.extend([format!("b{i}"), format!("t{i}")]);
            values.push(conversion::expression(
                &mapped.target,
                self.source(mapped),
                Manner::Nearest,
                &stored,
            ));
            values.push(shown(&stored, &mapped.target));
        }
        format!(
            "INSERT {} INTO {BACK} ({}) SELECT {} FROM {} AS d STRAIGHT_JOIN {} ON {}",
            self.statements.lenient(),
            names.join(", "),
            values.join(", "),
            Staging::Delta.name(),
            self.statements.shadow_by_key(),
            self.statements.matches_delta()
        )
    }

    /// How many staged rows have lost something.
    pub fn count_losses(&self) -> String {
        let lost: Vec<String> = (0..self.compared().len()).map(|i| self.is_lost(i)).collect();
        format!("SELECT COUNT(*) FROM {} WHERE {}", self.back_and_delta(), lost.join(" OR "))
    }

    /// One statement a column: a temporary table can be used only once in one.
    pub fn record_losses(&self) -> Vec<String> {
        let whole = self.whole_row();
        self.compared()
            .iter()
            .enumerate()
            .map(|(i, mapped)| {
                let source = self.source(mapped);
                let wrote = format!("d.{}", quote(&source.name));
                format!(
                    "INSERT INTO {} ({}, `column_name`, `kept`, `lost`, `whole`) \
                     SELECT {}, {}, b.t{i}, {}, {whole} FROM {} WHERE {}",
                    self.loss(),
                    self.key("").join(", "),
                    self.delta_key().join(", "),
                    string_literal(&source.name),
                    shown(&wrote, source),
                    self.back_and_delta(),
                    self.is_lost(i)
                )
            })
            .collect()
    }

    fn is_lost(&self, i: usize) -> String {
        let mapped = self.compared()[i];
        let differs = format!("NOT {}", same(&format!("b.b{i}"), &self.live(mapped), self.source(mapped)));
        match self.is_written(mapped) {
            Some(written) => format!("({written} AND {differs})"),
            None => differs,
        }
    }

    fn back_and_delta(&self) -> String {
        format!(
            "{BACK} AS b STRAIGHT_JOIN {} AS d ON {}",
            Staging::Delta.name(),
            equal(&self.key("b."), &self.delta_key())
        )
    }

    /// The staged row as a JSON object, as far as the projection carries it. Long values are cut: the live table
    /// has them, and a statement has its limits.
    fn whole_row(&self) -> String {
        let projection = self.statements.projection();
        let pairs: Vec<String> = projection
            .staged()
            .iter()
            .map(|&i| {
                let column = &projection.source[i];
                let value = shown(&format!("d.{}", quote(&column.name)), column);
                format!("{}, LEFT({value}, {SHOWN_MAX})", string_literal(&column.name))
            })
            .collect();
        format!("JSON_OBJECT({})", pairs.join(", "))
    }

    /// The numbers of all parked rows, in the order in which they were parked.
    pub fn parked_numbers(&self) -> String {
        format!("SELECT n FROM {} AS p ORDER BY n", self.parked())
    }

    /// The least and the greatest number of a value that was lost by `until`, a time in UTC.
    pub fn loss_numbers(&self, until: &str) -> String {
        format!("SELECT MIN(n), MAX(n) FROM {} AS l WHERE l.since <= {}", self.loss(), string_literal(until))
    }

    /// Parked rows whose key the shadow has: another row took it while the old schema served.
    pub fn forget_present(&self) -> String {
        format!(
            "DELETE p FROM {} AS p STRAIGHT_JOIN {} ON {}",
            self.parked(),
            self.statements.shadow_by_key(),
            self.statements.matches(|i, _| format!("p.k{i}"))
        )
    }

    /// Stages parked rows as the live table has them now, but for what is on record.
    pub fn stage_parked(&self, first: u64, last: u64) -> String {
        let kept = self.statements.kept();
        let recorded =
            |column: usize| kept.iter().position(|m| m.source == column).map(|i| format!("p.w{i}"));
        let which = format!("p.n BETWEEN {first} AND {last}");
        self.stage_live(&format!("{} AS p", self.parked()), recorded, !kept.is_empty(), &which)
    }

    /// Stages rows with lost values as the live table has them now.
    pub fn stage_lost(&self, first: u64, last: u64) -> String {
        let keys = format!(
            "(SELECT DISTINCT {} FROM {} AS l WHERE l.n BETWEEN {first} AND {last}) AS p",
            self.key("l.").join(", "),
            self.loss()
        );
        self.stage_live(&keys, |_| None, false, "TRUE")
    }

    fn stage_live(
        &self,
        keys: &str,
        recorded: impl Fn(usize) -> Option<String>,
        written: bool,
        which: &str,
    ) -> String {
        let projection = self.statements.projection();
        let columns = projection.staged();
        let mut names: Vec<String> = columns.iter().map(|&i| quote(&projection.source[i].name)).collect();
        let mut values: Vec<String> = columns
            .iter()
            .zip(&names)
            .map(|(&i, name)| {
                let value = recorded(i).unwrap_or_else(|| format!("d.{name}"));
                conversion::whole(&projection.source[i], &value)
            })
            .collect();
        if written {
            names.push(WRITTEN.into());
            values.push("p.`written`".into());
        }
        format!(
            "INSERT {} INTO {} ({}) SELECT {} FROM {keys} STRAIGHT_JOIN {} ON {} WHERE {which}",
            self.statements.as_it_is(),
            Staging::Delta.name(),
            names.join(", "),
            values.join(", "),
            self.statements.source_by_key(),
            equal(&self.key("p."), &self.delta_key())
        )
    }

    /// Gives back what only the shadow knew of the staged rows.
    pub fn carry_parked(&self, first: u64, last: u64) -> String {
        let own = self.own().enumerate().map(|(i, own)| conversion::whole(own, &format!("p.c{i}")));
        let kept = self.statements.kept().into_iter().enumerate();
        let kept = kept.map(|(i, kept)| conversion::whole(&kept.target, &format!("p.f{i}")));
        let values: Vec<String> = self.key("p.").into_iter().chain(own).chain(kept).collect();
        format!(
            "INSERT INTO {} SELECT {} FROM {} AS p JOIN {} AS d ON {} WHERE p.n BETWEEN {first} AND {last} AND p.had",
            Staging::Carried.name(),
            values.join(", "),
            self.parked(),
            Staging::Delta.name(),
            equal(&self.key("p."), &self.delta_key())
        )
    }

    /// Those of these rows that the shadow has by now are parked no more.
    pub fn release(&self, first: u64, last: u64) -> String {
        format!("{} WHERE p.n BETWEEN {first} AND {last}", self.forget_present())
    }

    fn own(&self) -> impl Iterator<Item = &Column> {
        self.statements.projection().target_only.iter().map(|own| &own.column)
    }

    /// Mapped columns with values that may come back as others.
    fn compared(&self) -> Vec<&Mapped> {
        let projection = self.statements.projection();
        projection
            .mapped
            .iter()
            .filter(|m| !conversion::survives(&projection.source[m.source], &m.target))
            .collect()
    }

    /// What the live table has in it of a staged row.
    fn live(&self, mapped: &Mapped) -> String {
        format!("d.{}", quote(&self.source(mapped).name))
    }

    fn source(&self, mapped: &Mapped) -> &Column {
        &self.statements.projection().source[mapped.source]
    }

    fn delta_key(&self) -> Vec<String> {
        self.statements.source_key_columns()
    }

    fn key(&self, alias: &str) -> Vec<String> {
        (0..self.statements.projection().key.len()).map(|i| format!("{alias}k{i}")).collect()
    }

    fn key_before(&self) -> Vec<String> {
        (0..self.statements.projection().key.len()).map(|i| format!("m.f{i}")).collect()
    }
}

/// Characters of one value in the row of a loss.
const SHOWN_MAX: u32 = 4096;

fn temporary(name: &str, columns: &[String], key: &[String]) -> String {
    format!(
        "CREATE TEMPORARY TABLE {name} ({}, PRIMARY KEY ({})) ENGINE=InnoDB",
        columns.join(", "),
        key.join(", ")
    )
}

fn equal(a: &[String], b: &[String]) -> String {
    a.iter().zip(b).map(|(a, b)| format!("{a} = {b}")).collect::<Vec<_>>().join(" AND ")
}

/// Both are values of `column`, and the same to the last byte.
pub fn same(a: &str, b: &str, column: &Column) -> String {
    match (column.data_type.as_str(), &column.charset) {
        // An empty label reads as no label does.
        ("enum" | "set", _) => format!("(CAST({a} AS UNSIGNED) <=> CAST({b} AS UNSIGNED))"),
        (_, Some(_)) => format!("(CAST({a} AS BINARY) <=> CAST({b} AS BINARY))"),
        // 0 and -0 are equal, but not the same.
        ("float" | "double", None) => format!("({a} <=> {b} AND CONCAT({a}) <=> CONCAT({b}))"),
        // So are 1 and 1.0 in a document.
        ("json", None) => format!(
            "({a} <=> {b} AND JSON_TYPE({a}) <=> JSON_TYPE({b}) AND CAST({a} AS CHAR) <=> CAST({b} AS CHAR))"
        ),
        (_, None) => format!("({a} <=> {b})"),
    }
}

/// A value as text for people. NULL stays NULL.
pub fn shown(value: &str, column: &Column) -> String {
    match column.data_type.as_str() {
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" | "vector" => {
            format!("CONCAT('0x', HEX({value}))")
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double" | "year"
        | "date" | "datetime" | "timestamp" | "time" | "json" => format!("CAST({value} AS CHAR)"),
        _ if column.charset.is_some() => format!("CONVERT({value} USING utf8mb4)"),
        // Spatial types.
        _ => format!("CONCAT('0x', HEX(CAST({value} AS BINARY)))"),
    }
}
