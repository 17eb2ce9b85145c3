//! An oracle that shares nothing with the copy: the server itself, doing the operator's statement natively.
//!
//! All that rsc knows of converting a value is used by the copy, by the stream and by the verification alike, so a wrong
//! expression would be wrong in all of them, and the two tables be found equal. So a sample of rows is put as it is into a
//! table like the live one, the operator's own text is run on that, and the server makes of the rows what a native ALTER makes
//! of them. That is held against what rsc makes.
//!
//! # The sample
//!
//! At most [`SAMPLE_MAX`] rows: of every column the extremes (least, greatest, longest, shortest, NULL, zero or empty), those
//! of columns whose definition changes first, then rows from all over. They are looked for in the whole table where an index
//! knows them, and else in some windows of the key: the first rows, the last, and some between. No more is read than that, and
//! for no longer than [`LOOK`].
//!
//! # What is left out, and said
//!
//! * Columns that hold the moment of the statement, a number of a counter or a random value, and what is computed of them.
//! * Rows that the native ALTER refuses: rsc keeps days that no calendar has where an ALTER refuses the table.
//! * Rows with a TIMESTAMP that an ALTER moves: it goes by the server's clock, and an hour may come twice. rsc keeps the instant.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::binlog::literal::literal_select_expr;
use super::copy::{boundary, key_literals};
use super::shadow::{self, Probe};
use super::verify::{LENIENT_DATES, Suspect, cells, suspect};
use crate::lifecycle::verification::{Cell, Kind, Native};
use crate::rows::key_range::{Bound, between};
use crate::rows::ledger::shown;
use crate::rows::statements::Statements;
use crate::schema::conversion;
use crate::schema::deferral::keys_of;
use crate::schema::generated::{computed, key_parts, names};
use crate::schema::projection::Projection;
use crate::schema::sql_mode::SqlMode;
use crate::schema::statement::Alter;
use crate::schema::table::{Column, Table, TableName, quote, same_name};
use crate::session::{Remedy, Session, SqlError, text};
use crate::settings::Server;

pub const SAMPLE_MAX: usize = 200;
/// Looking for them takes no longer.
const LOOK: Duration = Duration::from_secs(2);
/// Rows of a window of the key.
const WINDOW: u64 = 400;
/// Windows between the first and the last.
const BETWEEN: u64 = 4;
/// How often the native ALTER is tried, to find the rows that it refuses.
const TRIES_MAX: usize = 24;
/// A row whose long columns have more bytes together is not in the sample.
const BYTES_MAX: u64 = 256 << 10;
const SHOWN_MAX: u32 = 200;

/// Keys of rows of the live table, as literals.
pub async fn sample(
    session: &mut Session,
    statements: &Statements,
    live: &Table,
) -> Result<Vec<Bound>, SqlError> {
    let zoned = statements.projection().key.iter().any(|part| {
        let column = &statements.projection().source[part.source];
        column.data_type == "timestamp" || part.target.data_type == "timestamp"
    });
    let Some(literals) = key_literals(statements, "d").filter(|_| !zoned) else { return Ok(Vec::new()) };
    let until = Instant::now() + LOOK;
    let mut sample = Sample { keys: Vec::new(), seen: HashSet::new(), literals };
    let windows = windows(session, statements, &sample.literals).await?;
    let which = windows.iter().map(|window| format!("({window})")).collect::<Vec<_>>().join(" OR ");
    let from = format!("{} WHERE ({which})", statements.source_by_key());
    // A small table is its own sample.
    sample.take(session, &format!("{} LIMIT {}", statements.source_by_key(), SAMPLE_MAX)).await?;
    if !sample.full() {
        return sample.of_bounded_size(session, statements, live).await;
    }
    sample.forget();
    for order in orders(statements.projection(), live) {
        if sample.full() || Instant::now() >= until {
            break;
        }
        sample.take(session, &format!("{from} {order} LIMIT 1")).await?;
    }
    for order in indexed(live) {
        if sample.full() || Instant::now() >= until {
            break;
        }
        sample.take(session, &order).await?;
    }
    // The rest from all over.
    let room = SAMPLE_MAX.saturating_sub(sample.keys.len());
    let each = room / windows.len().max(1) + 1;
    for window in &windows {
        if !sample.full() {
            let some = format!("{} WHERE {window} ORDER BY RAND() LIMIT {each}", statements.source_by_key());
            sample.take(session, &some).await?;
        }
    }
    sample.of_bounded_size(session, statements, live).await
}

struct Sample {
    keys: Vec<Bound>,
    seen: HashSet<Bound>,
    literals: Vec<String>,
}

impl Sample {
    fn forget(&mut self) {
        self.keys.clear();
        self.seen.clear();
    }

    fn full(&self) -> bool {
        self.keys.len() >= SAMPLE_MAX
    }

    async fn take(&mut self, session: &mut Session, from: &str) -> Result<(), SqlError> {
        let rows = session.rows(&format!("SELECT {} FROM {from}", self.literals.join(", "))).await;
        let rows = match rows {
            // An index that must not be named, or a value that cannot be ordered by: then the others.
            Err(SqlError::Server { .. }) => return Ok(()),
            rows => rows?,
        };
        for row in rows {
            let key: Option<Bound> = (0..self.literals.len()).map(|i| text(&row, i)).collect();
            if let Some(key) = key.filter(|_| !self.full())
                && self.seen.insert(key.clone())
            {
                self.keys.push(key);
            }
        }
        Ok(())
    }
}

impl Sample {
    /// Without rows so long that moving them about would be felt.
    async fn of_bounded_size(
        mut self,
        session: &mut Session,
        statements: &Statements,
        live: &Table,
    ) -> Result<Vec<Bound>, SqlError> {
        let long =
            live.columns.iter().filter(|column| conversion::of_any_length(column) && !column.generated);
        let sizes: Vec<String> =
            long.map(|column| format!("COALESCE(LENGTH(d.{}), 0)", quote(&column.name))).collect();
        if sizes.is_empty() || self.keys.is_empty() {
            return Ok(self.keys);
        }
        let which = among(&statements.source_key_columns(), &std::mem::take(&mut self.keys));
        self.seen.clear();
        let short = format!(
            "{} WHERE ({which}) AND {} <= {BYTES_MAX}",
            statements.source_by_key(),
            sizes.join(" + ")
        );
        self.take(session, &short).await?;
        Ok(self.keys)
    }
}

/// Conditions on the live table's key: its first rows, its last, and some between.
async fn windows(
    session: &mut Session,
    statements: &Statements,
    literals: &[String],
) -> Result<Vec<String>, SqlError> {
    let columns = statements.source_key_columns();
    let first = boundary(session, statements, literals, None, None, WINDOW).await?;
    let Some(first) = first else { return Ok(vec!["TRUE".into()]) };
    let mut windows = vec![between(&columns, None, Some(&first))];
    let order: Vec<String> = columns.iter().map(|column| format!("{column} DESC")).collect();
    let last = |rows: u64| {
        format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1 OFFSET {}",
            literals.join(", "),
            statements.source_by_key(),
            order.join(", "),
            rows - 1
        )
    };
    let at = |row: Option<mysql_async::Row>| -> Option<Bound> {
        let row = row?;
        (0..literals.len()).map(|i| text(&row, i)).collect()
    };
    if let Some(from) = at(session.first(&last(WINDOW)).await?) {
        windows.push(between(&columns, Some(&from), None));
    }
    let number = |bound: &Bound| bound.first().and_then(|literal| literal.parse::<i128>().ok());
    let greatest = at(session.first(&last(1)).await?);
    match number(&first).zip(greatest.as_ref().and_then(number)) {
        Some((low, high)) => {
            for i in 1..=BETWEEN {
                let start = low + (high - low) / i128::from(BETWEEN + 1) * i128::from(i);
                let from = format!(
                    "SELECT {} FROM {} WHERE {} >= {start} ORDER BY {} LIMIT 1",
                    literals.join(", "),
                    statements.source_by_key(),
                    columns[0],
                    columns.join(", ")
                );
                let Some(from) = at(session.first(&from).await?) else { continue };
                let to = boundary(session, statements, literals, Some(&from), None, WINDOW / 2).await?;
                windows.push(between(&columns, Some(&from), to.as_ref()));
            }
        }
        None => {
            // Nobody can tell where the middle is; some way in is better than nothing.
            const SOME_WAY: u64 = 20_000;
            let from = boundary(session, statements, literals, None, None, SOME_WAY).await?;
            if let Some(from) = from {
                let to = boundary(session, statements, literals, Some(&from), None, WINDOW).await?;
                windows.push(between(&columns, Some(&from), to.as_ref()));
            }
        }
    }
    Ok(windows)
}

/// What the extremes are found by, to stand behind a condition; those that matter most first.
fn orders(projection: &Projection, live: &Table) -> Vec<String> {
    let changed = |i: usize| {
        let from = &projection.source[i];
        let same = |to: &Column| {
            (&to.column_type, &to.charset, &to.collation, to.nullable)
                == (&from.column_type, &from.charset, &from.collation, from.nullable)
        };
        !projection.mapped.iter().any(|m| m.source == i && same(&m.target))
    };
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for (i, column) in live.columns.iter().enumerate() {
        let value = format!("d.{}", quote(&column.name));
        let ends = [format!("ORDER BY {value}"), format!("ORDER BY {value} DESC")];
        if !changed(i) {
            then.extend(ends);
            then.push(format!("AND {value} IS NULL"));
            continue;
        }
        first.extend(ends);
        first.push(format!("AND {value} IS NULL"));
        if conversion::of_any_length(column) || column.charset.is_some() {
            first.push(format!("ORDER BY LENGTH({value})"));
            first.push(format!("ORDER BY LENGTH({value}) DESC"));
            first.push(format!("ORDER BY LENGTH({value}) - LENGTH(TRIM({value})) DESC"));
            first.push(format!("ORDER BY {value} REGEXP '[^ -~]' DESC"));
        } else {
            first.push(format!("AND {value} = 0"));
            first.push(format!("ORDER BY ABS({value})"));
            first.push(format!("ORDER BY {value} <> FLOOR({value}) DESC"));
        }
    }
    first.into_iter().chain(then).collect()
}

/// The ends of what an index knows in order.
fn indexed(live: &Table) -> Vec<String> {
    let leading = live.keys.iter().filter_map(|key| {
        let part = key.parts.first().filter(|part| !part.prefix)?;
        Some((key, part.column.as_ref()?))
    });
    leading
        .flat_map(|(key, column)| {
            let (table, index, column) = (&live.name, quote(&key.name), quote(column));
            ["", " DESC"].map(|end| {
                format!("{table} AS d FORCE INDEX ({index}) WHERE d.{column} IS NOT NULL ORDER BY d.{column}{end} LIMIT 1")
            })
        })
        .collect()
}

/// The rows of a sample, as they are or as a native ALTER has made them.
pub struct Natively {
    probe: Probe,
    keys: Vec<Bound>,
    pub left_out: Vec<String>,
    /// What the server said to rows that it refused, where that is no known exception.
    pub refused: Vec<(String, SqlError)>,
}

/// A table like the live one, with the rows of a sample.
pub async fn filled(
    server: &Server,
    session: &mut Session,
    live: &Table,
    (statements, mode): (&Statements, Option<&SqlMode>),
    keys: &[Bound],
) -> Result<Probe, SqlError> {
    let probe = Probe::like(session, &live.name).await?;
    match fill(server, live, (statements, mode), keys, &probe.name).await {
        Ok(()) => Ok(probe),
        Err(error) => {
            probe.remove(session).await?;
            Err(error)
        }
    }
}

async fn fill(
    server: &Server,
    live: &Table,
    (statements, mode): (&Statements, Option<&SqlMode>),
    keys: &[Bound],
    probe: &TableName,
) -> Result<(), SqlError> {
    let mut session = Session::operator(server, mode).await?;
    session.run(LENIENT_DATES).await?;
    let written = live.columns.iter().filter(|column| !column.generated);
    let (names, values): (Vec<String>, Vec<String>) = written
        .map(|column| {
            let name = quote(&column.name);
            let value = conversion::whole(column, &format!("d.{name}"));
            (name, value)
        })
        .unzip();
    let fill = format!(
        "INSERT INTO {probe} ({}) SELECT {} FROM {} WHERE {}",
        names.join(", "),
        values.join(", "),
        statements.source_by_key(),
        among(&statements.source_key_columns(), keys)
    );
    session.run(&fill).await.map(|_| ())
}

/// That a key is one of these.
fn among(columns: &[String], keys: &[Bound]) -> String {
    let is = |key: &Bound| {
        let parts = columns.iter().zip(key).map(|(column, literal)| format!("{column} = {literal}"));
        format!("({})", parts.collect::<Vec<_>>().join(" AND "))
    };
    keys.iter().map(is).collect::<Vec<_>>().join(" OR ")
}

/// Puts the sample through the operator's own statement. `None` if the server refuses it for every row, or for more than can
/// be told apart.
pub async fn natively(
    server: &Server,
    session: &mut Session,
    live: &Table,
    (statements, alter): (&Statements, &Alter),
    keys: &[Bound],
) -> Result<Option<Natively>, SqlError> {
    let (mut good, mut left_out, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut groups = vec![keys.to_vec()];
    let mut tries = 0;
    while let Some(group) = groups.pop() {
        let whole = group.len() == keys.len();
        if group.is_empty() || tries >= TRIES_MAX {
            left_out.extend(group.iter().map(|key| format!("({}) was not tried", key.join(", "))));
            continue;
        }
        tries += 1;
        match tried(server, session, live, (statements, alter), &group).await? {
            Ok(probe) if whole => {
                return Ok(Some(Natively { probe, keys: group, left_out, refused }));
            }
            Ok(probe) => {
                probe.remove(session).await?;
                good.extend(group);
            }
            Err(error) if group.len() == 1 => {
                left_out.push(format!("({}), which a native ALTER refuses: {error}", group[0].join(", ")));
                refused.push((group[0].join(", "), error));
            }
            Err(_) => {
                let (a, b) = group.split_at(group.len() / 2);
                groups.extend([a.to_vec(), b.to_vec()]);
            }
        }
    }
    if good.is_empty() {
        return Ok(None);
    }
    let tried = tried(server, session, live, (statements, alter), &good).await?;
    Ok(tried.ok().map(|probe| Natively { probe, keys: good, left_out, refused }))
}

/// The inner error is that of rows.
async fn tried(
    server: &Server,
    session: &mut Session,
    live: &Table,
    (statements, alter): (&Statements, &Alter),
    keys: &[Bound],
) -> Result<Result<Probe, SqlError>, SqlError> {
    let probe = filled(server, session, live, (statements, alter.sql_mode.as_ref()), keys).await?;
    match shadow::alter(server, &live.name, &probe.name, alter).await {
        Ok(()) => Ok(Ok(probe)),
        Err(error) => {
            probe.remove(session).await?;
            match error.remedy() {
                Remedy::Data | Remedy::Duplicate => Ok(Err(error)),
                _ => Err(error),
            }
        }
    }
}

impl Natively {
    pub fn name(&self) -> &TableName {
        &self.probe.name
    }

    pub fn rows(&self) -> u64 {
        self.keys.len() as u64
    }

    pub async fn remove(self, session: &mut Session) -> Result<(), SqlError> {
        self.probe.remove(session).await
    }

    /// What `statements` have made of the rows in their shadow, `made`, held against what the native ALTER made of them.
    /// `fresh`: they were made by one INSERT of now, so that an expression over the row has been computed from what it has.
    pub async fn compare(
        &self,
        server: &Server,
        statements: &Statements,
        made: &Table,
        fresh: bool,
    ) -> Result<(Vec<Suspect>, Native), SqlError> {
        let mut session = Session::operator(server, None).await?;
        session.run(LENIENT_DATES).await?;
        let excluded = excluded(statements.projection(), made, fresh);
        let compared: Vec<&Column> = made
            .columns
            .iter()
            .filter(|column| !excluded.iter().any(|name| same_name(name, &column.name)))
            .collect();
        let key = &statements.projection().key;
        let literals: Option<Vec<String>> = key
            .iter()
            .map(|part| literal_select_expr(&part.target, &format!("p.{}", quote(&part.target.name))))
            .collect();
        let Some(literals) = literals else { return Ok((Vec::new(), Native::default())) };
        let (differing, moved) =
            (differing(statements, &self.probe.name, &literals, &compared), moved(&compared));
        let mut left_out = self.left_out.clone();
        let mut found = Vec::new();
        let names: Vec<&str> = compared.iter().map(|column| column.name.as_str()).collect();
        for row in session.rows(&differing).await? {
            let cells = cells(&row, literals.len(), &names);
            let met = suspect(&row, literals.len(), Kind::Native, cells);
            match &moved {
                Some(_) if text(&row, literals.len() + 1).as_deref() == Some("1") => left_out.push(format!(
                    "({}), of which an ALTER moves a TIMESTAMP into the other of two hours that the clock shows alike",
                    met.finding.key
                )),
                _ => found.push(met),
            }
        }
        let rows = self.rows().saturating_sub((left_out.len() - self.left_out.len()) as u64);
        Ok((found, Native { rows, left_out, excluded }))
    }
}

/// Of columns that hold the same time of day, whether the instants are two.
fn moved(compared: &[&Column]) -> Option<String> {
    let instants: Vec<String> = compared
        .iter()
        .filter(|column| column.data_type == "timestamp")
        .map(|column| {
            let name = quote(&column.name);
            format!("NOT UNIX_TIMESTAMP(p.{name}) <=> UNIX_TIMESTAMP(_rsc_s.{name})")
        })
        .collect();
    (!instants.is_empty()).then(|| instants.join(" OR "))
}

/// In the form of [`crate::rows::verify::Comparison::differing`]; in the place of what is missing there, whether an instant
/// was moved.
fn differing(
    statements: &Statements,
    native: &TableName,
    literals: &[String],
    compared: &[&Column],
) -> String {
    let key = &statements.projection().key;
    let names: Vec<String> =
        key.iter().map(|part| shown(&format!("p.{}", quote(&part.target.name)), &part.target)).collect();
    let mut values = literals.to_vec();
    values.push(format!("CONCAT_WS(', ', {})", names.join(", ")));
    values.push(moved(compared).map_or("FALSE".into(), |moved| format!("({moved})")));
    let mut any = Vec::new();
    for column in compared {
        let (wanted, held) =
            (format!("p.{}", quote(&column.name)), format!("_rsc_s.{}", quote(&column.name)));
        let of = |value: &str| format!("CAST({} AS BINARY)", conversion::bytes(column, value));
        let differs = match column.data_type.as_str() {
            // 0 and -0 are one value. Which of them a native ALTER leaves depends on whether it copies.
            "float" | "double" => format!("NOT {wanted} <=> {held}"),
            // A value without a JSON type of its own may have lost its tag, which shows in its text.
            "json" => {
                let plain = |value: &str| {
                    format!("REGEXP_REPLACE(CAST({value} AS CHAR), 'base64:type[0-9]+:', 'base64:')")
                };
                format!("NOT {} <=> {}", plain(&wanted), plain(&held))
            }
            _ => format!("NOT {} <=> {}", of(&wanted), of(&held)),
        };
        values.push(format!("({differs})"));
        values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&wanted, column)));
        values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&held, column)));
        any.push(format!("({differs})"));
    }
    let same: Vec<String> =
        key.iter().map(|part| format!("p.{0} = _rsc_s.{0}", quote(&part.target.name))).collect();
    let moved = moved(compared).map_or(String::new(), |moved| format!(" OR {moved}"));
    format!(
        "SELECT {} FROM {native} AS p STRAIGHT_JOIN {} ON {} WHERE {}{moved}",
        values.join(", "),
        statements.shadow_by_key(),
        same.join(" AND "),
        any.join(" OR ")
    )
}

/// Columns of which the moment decides, and what is computed of them.
fn excluded(projection: &Projection, made: &Table, fresh: bool) -> Vec<String> {
    let own = projection.target_only.iter().map(|own| &own.column);
    let mut names_of: Vec<String> = own
        .filter(|column| {
            let computed = column.extra.to_uppercase().contains("DEFAULT_GENERATED");
            column.auto_increment() || (computed && (!fresh || of_the_moment(column)))
        })
        .map(|column| column.name.clone())
        .collect();
    loop {
        let known = names_of.len();
        for one in computed(&made.create) {
            if !names_of.contains(&one.name) && names_of.iter().any(|name| names(&one.expression, name)) {
                names_of.push(one.name);
            }
        }
        if names_of.len() == known {
            return names_of;
        }
    }
}

/// Whether two rows of one statement may be given different values, or two statements.
fn of_the_moment(column: &Column) -> bool {
    const WORDS: [&str; 13] = [
        "now(",
        "current",
        "curdate",
        "curtime",
        "sysdate",
        "utc_",
        "localtime",
        "rand",
        "uuid",
        "unix_timestamp",
        "connection_id",
        "user(",
        "@@",
    ];
    let default = column.default.as_deref().unwrap_or_default().to_lowercase();
    WORDS.iter().any(|word| default.contains(word))
}

/// Rows of the sample that an index over an expression does not have where it should be; and the indexes that could not be
/// asked. `keys` are literals of the table's own key.
pub async fn unindexed(
    server: &Server,
    statements: &Statements,
    made: &Table,
    keys: &[Bound],
) -> Result<(Vec<Cell>, Vec<String>, Vec<String>), SqlError> {
    let mut session = Session::operator(server, None).await?;
    session.run(LENIENT_DATES).await?;
    session.run("SET SESSION optimizer_switch = 'use_invisible_indexes=on'").await?;
    let own: Vec<String> = statements.projection().key.iter().map(|part| quote(&part.target.name)).collect();
    let (mut cells, mut at, mut unasked) = (Vec::new(), Vec::new(), Vec::new());
    for index in keys_of(&made.create) {
        let parts = key_parts(&index.text);
        if !parts.iter().any(|part| part.starts_with('(')) {
            continue;
        }
        let statement = |key: &Bound| lookup(&made.name, &index.name, &parts, &own, key);
        let Some(first) = keys.first() else { break };
        let explain = format!("EXPLAIN FORMAT=TRADITIONAL {}", statement(first));
        let rows = session.rows(&explain).await;
        let asked = rows.is_ok_and(|rows| rows.iter().any(|row| text(row, 6).as_ref() == Some(&index.name)));
        if !asked {
            unasked.push(index.name.clone());
            continue;
        }
        for key in keys {
            if session.text(&statement(key)).await?.as_deref() == Some("0") {
                cells.push(Cell { column: index.name.clone(), expected: None, found: None });
                at.push(key.join(", "));
            }
        }
    }
    Ok((cells, at, unasked))
}

/// 0 if the index does not have the row of a key by what its parts yield for it. Of a row that is not there, or of which one
/// yields nothing, there is nothing to be told.
fn lookup(table: &TableName, index: &str, parts: &[String], own: &[String], key: &Bound) -> String {
    let row = |alias: &str| {
        let same = own.iter().zip(key).map(|(name, literal)| format!("{alias}.{name} = {literal}"));
        same.collect::<Vec<_>>().join(" AND ")
    };
    let of = |value: &str| format!("(SELECT {value} FROM {table} AS c WHERE {})", row("c"));
    let (mut conditions, mut known) = (Vec::new(), Vec::new());
    for part in parts {
        let value = part.trim_end_matches(" DESC");
        let array = value.strip_suffix(" array))").and_then(|cast| cast.strip_prefix("(cast("));
        let (there, condition) = match array.and_then(|cast| cast.rsplit_once(" as ")) {
            Some((document, _)) => (
                format!("COALESCE(JSON_LENGTH({document}), 0) > 0"),
                format!("JSON_OVERLAPS({document}, {})", of(document)),
            ),
            None if value.starts_with('(') => {
                (format!("{value} IS NOT NULL"), format!("{value} = {}", of(value)))
            }
            None => {
                let column = value.split_inclusive('`').take(2).collect::<String>();
                (format!("{column} IS NOT NULL"), format!("{column} = {}", of(&column)))
            }
        };
        conditions.push(condition);
        known.push(there);
    }
    format!(
        "SELECT (SELECT COUNT(*) FROM {table} AS b FORCE INDEX ({}) WHERE {} AND {}) \
         + (SELECT COUNT(*) = 0 FROM {table} AS c WHERE {} AND {})",
        quote(index),
        conditions.join(" AND "),
        row("b"),
        known.join(" AND "),
        row("c")
    )
}
