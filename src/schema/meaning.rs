//! In what session a change's rows are written, so that the table's expressions come to what they should.
//!
//! The oracle is a native ALTER on this server, in a session that has the server's own settings. Generated columns, CHECK
//! constraints, expression defaults and functional keys are computed anew for every row that rsc writes, in the copy and in
//! the stream, in both directions. So a change has one [`Meaning`] for all its sessions that write, decided when it begins
//! and journaled with it.
//!
//! - A table without expressions is written in rsc's own session: UTC, and strict. Nothing is computed there, and
//!   conversions are the same in every zone (`schema/conversion/zone.rs`).
//! - With expressions the sql_mode is the server's, as far as it decides values ([`VALUES`]); how text is parsed is not among them,
//!   because the server keeps expressions parsed. NO_AUTO_VALUE_ON_ZERO is added, as rows hold a 0 there.
//!   NO_ZERO_DATE and NO_ZERO_IN_DATE are left out where a column holds dates: with them, MySQL refuses the zero dates
//!   that rows hold. Without them, and without ALLOW_INVALID_DATES, it copies a date of the same type byte by byte.
//! - If an expression depends on the time zone, the zone is the server's too. Where its clock never changes, that
//!   is an offset, in which every TIMESTAMP has one local time. Where it changes, two instants have one local time, and MySQL
//!   takes them for one in a comparison and in an UPDATE of two tables; a copy into a column of the same type by INSERT … SELECT
//!   is raw, unless the sql_mode has NO_ZERO_DATE, NO_ZERO_IN_DATE or ALLOW_INVALID_DATES, which are left out. So there a window is always written by deleting and inserting ([`Meaning::rebuilds`]), and a change that
//!   would compare or convert a TIMESTAMP is refused.
//! - PAD_CHAR_TO_FULL_LENGTH pads a CHAR also where a key is compared with a literal. So it is left out if the key has a CHAR,
//!   and the change is refused if an expression reads one besides.
//!
//! What the zone of the application's sessions is, nobody can see. If an expression that lasts depends on it, the change
//! is refused unless the operator says that they all have the server's.

use super::conversion;
use super::expressions::{Expression, Kind, expressions, variables, zone_dependence};
use super::projection::Mapping;
use super::sql_mode::SqlMode;
use super::table::{Column, Table};

/// The words of a sql_mode that decide what a value becomes.
pub const VALUES: &[&str] = &[
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ALLOW_INVALID_DATES",
    "PAD_CHAR_TO_FULL_LENGTH",
    "NO_UNSIGNED_SUBTRACTION",
    "TIME_TRUNCATE_FRACTIONAL",
];
const STRICT: &[&str] = &["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"];
const NO_ZERO: &[&str] = &["NO_ZERO_DATE", "NO_ZERO_IN_DATE"];
const PAD: &str = "PAD_CHAR_TO_FULL_LENGTH";

/// What the server gives a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// With `--sql-mode`, that.
    pub mode: SqlMode,
    pub mode_is_typed: bool,
    /// `@@GLOBAL.time_zone`.
    pub zone: String,
    /// `+03:00`, if the zone's clock never changes.
    pub offset: Option<String>,
    /// Differs wherever two zones differ.
    pub zone_mark: String,
    pub init_connect: String,
}

/// How the sessions write. By default as rsc's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Meaning {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Zone {
    /// As a session takes it.
    pub name: String,
    /// Its clock never changes.
    pub fixed: bool,
    pub mark: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mode {
    pub of_sessions: SqlMode,
    /// What it was made from: the server's, if it was not typed.
    pub of_server: Option<SqlMode>,
}

impl Meaning {
    /// A window is written by deleting and inserting, never by an UPDATE.
    pub fn rebuilds(&self) -> bool {
        self.zone.as_ref().is_some_and(|zone| !zone.fixed)
    }

    /// The sessions' mode without the part that refuses a value.
    pub fn lenient(&self) -> Option<SqlMode> {
        self.mode.as_ref().map(|mode| mode.of_sessions.without(STRICT))
    }

    /// What a hint must add to any sql_mode: decided when a table is opened, for every session (`session/variables.rs`).
    pub fn opened_with(&self) -> &'static str {
        match self.mode.as_ref().is_some_and(|mode| mode.of_sessions.has("NO_UNSIGNED_SUBTRACTION")) {
            true => ",NO_UNSIGNED_SUBTRACTION",
            false => "",
        }
    }

    /// What is different on the server now, and would make other values.
    pub fn differs(&self, now: &Settings) -> Option<(String, String)> {
        if let Some(zone) = self.zone.as_ref().filter(|zone| zone.mark != now.zone_mark) {
            let name = &zone.name;
            return Some((
                format!("the server's time zone was {name} when the change began and is {} now", now.zone),
                format!("SET GLOBAL time_zone = '{name}'"),
            ));
        }
        let began = self.mode.as_ref()?.of_server.as_ref()?;
        (began.only(VALUES) != now.mode.only(VALUES)).then(|| {
            (
                format!("the server's sql_mode was {began} when the change began and is {} now", now.mode),
                format!("SET GLOBAL sql_mode = '{began}'"),
            )
        })
    }
}

/// Why a change cannot be made, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub what: String,
    pub next: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub meaning: Meaning,
    pub obstacles: Vec<Obstacle>,
    pub notes: Vec<String>,
}

/// `allowed`: the application's sessions have the server's settings, says the operator.
pub fn judge(settings: &Settings, mapping: &Mapping, allowed: bool) -> Judged {
    let tables = [mapping.old_table(), mapping.new_table()];
    let found: Vec<(&Table, Vec<Expression>)> =
        tables.into_iter().map(|table| (table, expressions(table))).collect();
    let mut judged = Judged::default();
    if found.iter().all(|(_, expressions)| expressions.is_empty()) {
        return judged;
    }
    let mut zone = false;
    for (table, all) in &found {
        for expression in all.iter().filter(|expression| expression.kind.lasts()) {
            let Some(reads) = zone_dependence(table, all, expression) else { continue };
            zone = true;
            if !allowed && expression.kind != Kind::Default {
                let obstacle = depends_on_zone(settings, expression, &reads);
                if !judged.obstacles.contains(&obstacle) {
                    judged.obstacles.push(obstacle);
                }
            }
        }
        for expression in all {
            for variable in variables(expression) {
                judged.notes.push(format!(
                    "{} depends on {variable}: it is computed with the server's value, whatever the application's sessions \
                     set",
                    expression.what()
                ));
            }
        }
    }
    judged.notes.sort();
    judged.notes.dedup();
    if zone {
        judged.meaning.zone = server_zone(settings);
    }
    judged.obstacles.extend(zone_obstacles(&judged.meaning, mapping));
    let (mode, obstacles) = sessions_mode(settings, mapping, &found);
    judged.obstacles.extend(obstacles);
    if !allowed && let Some(variable) = set_by(&settings.init_connect, zone) {
        judged.obstacles.push(Obstacle {
            what: format!(
                "init_connect gives the application another {variable} than @@GLOBAL.{variable}, and the table's expressions \
                 are computed with it"
            ),
            next: format!(
                "SET GLOBAL {variable} to what the application has; or give --allow-session-dependent to compute with the \
                 global one"
            ),
        });
    }
    let of_server = (!settings.mode_is_typed).then(|| settings.mode.clone());
    let mode = match judged.meaning.rebuilds() {
        // With it, MySQL does not copy a TIMESTAMP byte by byte.
        true => mode.without(&["ALLOW_INVALID_DATES"]).without(NO_ZERO),
        false => mode,
    };
    judged.meaning.mode = Some(Mode { of_sessions: mode, of_server });
    judged
}

fn depends_on_zone(settings: &Settings, expression: &Expression, reads: &str) -> Obstacle {
    Obstacle {
        what: format!(
            "{} reads {reads}, so it depends on the time zone of the session that writes the row, and rsc writes every \
             row in one",
            expression.what()
        ),
        next: format!(
            "give --allow-session-dependent if every session that writes the table has the server's time_zone, {}: then rsc \
             computes it as they do",
            settings.zone
        ),
    }
}

fn server_zone(settings: &Settings) -> Option<Zone> {
    match settings.offset.as_deref() {
        Some("+00:00") => None,
        Some(offset) => Some(Zone { name: offset.into(), fixed: true, mark: settings.zone_mark.clone() }),
        None => Some(Zone { name: settings.zone.clone(), fixed: false, mark: settings.zone_mark.clone() }),
    }
}

/// What cannot be exact in a zone that is not UTC.
fn zone_obstacles(meaning: &Meaning, mapping: &Mapping) -> Vec<Obstacle> {
    let Some(zone) = &meaning.zone else { return Vec::new() };
    let is = |column: &Column| column.data_type == "timestamp";
    let key = mapping.forward().key.iter().any(|part| is(&part.target))
        || mapping.inverse().key.iter().any(|part| is(&part.target));
    let mut found = Vec::new();
    if key {
        found.push(Obstacle {
            what: format!(
                "the key that finds a row has a TIMESTAMP, which is compared in UTC, and expressions of the table depend on \
                 the server's time zone, {}",
                zone.name
            ),
            next: "give the table a key without TIMESTAMP, or change it with a native ALTER TABLE".into(),
        });
    }
    let converted = mapping.pairs().filter(|(from, to)| {
        (is(from) || is(to)) && (from.column_type != to.column_type || from.nullable != to.nullable)
    });
    for (from, _) in converted.filter(|_| !zone.fixed) {
        found.push(Obstacle {
            what: format!(
                "column {} is changed from or to TIMESTAMP, and expressions of the table depend on the server's time zone, {}, \
                 whose clock shows an hour twice",
                from.name, zone.name
            ),
            next: "change the column with a native ALTER TABLE, or drop the expression first".into(),
        });
    }
    found
}

/// The variable that an `init_connect` sets, of those that values depend on.
fn set_by(init_connect: &str, zone: bool) -> Option<&'static str> {
    let text = init_connect.to_lowercase();
    match () {
        () if zone && text.contains("time_zone") => Some("time_zone"),
        () if text.contains("sql_mode") => Some("sql_mode"),
        () => None,
    }
}

fn sessions_mode(
    settings: &Settings,
    mapping: &Mapping,
    found: &[(&Table, Vec<Expression>)],
) -> (SqlMode, Vec<Obstacle>) {
    let mut obstacles = Vec::new();
    let mut mode = settings.mode.only(VALUES).with("NO_AUTO_VALUE_ON_ZERO");
    let columns = || found.iter().flat_map(|(table, _)| &table.columns);
    if columns().any(|column| matches!(column.data_type.as_str(), "date" | "datetime" | "timestamp")) {
        mode = mode.without(NO_ZERO);
    }
    let lossy = mapping
        .pairs()
        .find(|(from, to)| !from.generated && !to.generated && !conversion::survives(from, to));
    if let (false, Some((from, to))) = (mode.strict(), lossy) {
        obstacles.push(Obstacle {
            what: format!(
                "the server's sql_mode is not strict and the table has expressions, so a value of column {} that {} cannot \
                 hold would be changed without an error",
                from.name, to.column_type
            ),
            next: "give --sql-mode with STRICT_TRANS_TABLES, which then holds for the expressions too".into(),
        });
    }
    let is_char = |column: &Column| column.data_type == "char";
    let forward = mapping.forward();
    let key = forward.key.iter().any(|part| is_char(&part.target) || is_char(&forward.source[part.source]));
    if mode.has(PAD) && key {
        let mut readers = found.iter().flat_map(|(table, all)| {
            let chars = table.columns.iter().filter(|column| is_char(column));
            chars.flat_map(|column| all.iter().filter(|expression| expression.reads(&column.name)))
        });
        if let Some(expression) = readers.next() {
            obstacles.push(Obstacle {
                what: format!(
                    "the server's sql_mode has {PAD}, the key that finds a row has a CHAR, and {} reads one",
                    expression.what()
                ),
                next: format!("give --sql-mode without {PAD} if the application's sessions do not have it"),
            });
        }
        mode = mode.without(&[PAD]);
    }
    (mode, obstacles)
}
