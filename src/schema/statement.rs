//! What the DDL text asks for.
//!
//! The text is run as it was typed: it is cut out of the statement, never written anew, and the server judges it
//! on an empty table. It is read here only for what the result of that cannot show: which columns are renamed
//! ([`Alter::renames`]), which are dropped and added again under the same name, and what must not run on a shadow
//! table at all ([`Refusal`]). The words come from sqlparser's tokenizer; its parser rejects a third of MySQL's
//! forms, and one clause that it does not know fails the whole statement.
//!
//! A clause that is not known here is refused, not passed on: it might be one that loses rows.

mod clause;
mod refusal;
mod scanner;
pub mod whole;
mod words;

use std::ops::Range;

use sqlparser::tokenizer::Token;

pub use self::refusal::Refusal;
use self::words::{Piece, balanced, group_length, pieces, split_at_commas};
use super::sql_mode::SqlMode;
use super::table::{TableName, quote, same_name};

/// An ALTER TABLE that may run on a shadow table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alter {
    /// `None` where the statement does not name it.
    pub schema: Option<String>,
    /// `None` where only clauses were given.
    pub table: Option<String>,
    /// The clauses as typed, to stand behind `ALTER TABLE shadow`. They begin and end with a word or sign of a
    /// clause, so more may be appended: no comment or semicolon is at the end.
    pub specs: String,
    /// From and to, in the order of the statement. Two columns that swap names are two renames.
    pub renames: Vec<(String, String)>,
    pub dropped: Vec<String>,
    pub added: Vec<String>,
    /// Constraints that are dropped or altered by their name: the name, and where in `specs` it stands.
    pub constraints: Vec<(String, Range<usize>)>,
    /// `AUTO_INCREMENT = …`, the last of them, as typed.
    pub auto_increment: Option<String>,
    /// Nothing is asked for but to write the table anew: FORCE, or its own ENGINE=InnoDB.
    pub rebuild_only: bool,
    /// In which it was read, and is to be run; `None`: the server's.
    pub sql_mode: Option<SqlMode>,
}

impl Alter {
    /// Reads a whole ALTER TABLE statement, or only its clauses. Refused for the first reason.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (alter, refusals) = Self::read(text);
        refusals.into_iter().next().map_or(Ok(alter), Err)
    }

    /// What could be read, and all reasons against the rest: one for each clause that is refused, and left out. Only
    /// without any may the statement be run on a shadow; what is left is good for telling what else is wrong with it.
    pub fn read(text: &str) -> (Self, Vec<Refusal>) {
        Self::read_in(text, None)
    }

    /// [`Alter::parse`], as a session with this sql_mode reads it.
    pub fn parse_in(text: &str, mode: Option<&SqlMode>) -> Result<Self, Refusal> {
        let (alter, refusals) = Self::read_in(text, mode);
        refusals.into_iter().next().map_or(Ok(alter), Err)
    }

    /// [`Alter::read`], as a session with this sql_mode reads it.
    pub fn read_in(text: &str, mode: Option<&SqlMode>) -> (Self, Vec<Refusal>) {
        let mut alter = Alter { sql_mode: mode.cloned(), ..Alter::default() };
        let refusals = alter.read_statement(text).unwrap_or_else(|refusal| vec![refusal]);
        (alter, refusals)
    }

    fn read_statement(&mut self, text: &str) -> Result<Vec<Refusal>, Refusal> {
        let (pieces, hidden) = pieces(text, &self.sql_mode.clone().unwrap_or_default())?;
        let pieces = without_last_semicolons(&pieces);
        if let Some(refusal) = other_statement(pieces).or(hidden) {
            return Err(refusal);
        }
        let Some(first) = pieces.first() else { return Err(Refusal::Empty) };
        if pieces.iter().any(|piece| piece.is_sign(Token::SemiColon)) {
            return Err(Refusal::SeveralStatements);
        }
        if !balanced(pieces) {
            return Err(Refusal::Parentheses);
        }
        let whole = first.is("ALTER") && pieces.get(1).is_some_and(|piece| piece.is("TABLE"));
        let clauses = if whole { self.read_table_name(&pieces[2..])? } else { pieces };
        let (Some(first), Some(last)) = (clauses.first(), clauses.last()) else {
            return Err(Refusal::NoClause);
        };
        let (refusals, taken) = self.read_clauses(clauses);
        if refusals.is_empty() {
            self.specs = text[first.start..last.end()].into();
            for (_, place) in &mut self.constraints {
                *place = place.start - first.start..place.end - first.start;
            }
        } else {
            self.put_together(text, &taken);
        }
        Ok(refusals)
    }

    /// The clauses for a table on which the server gave CHECK constraints other names: `names` from and to. Nothing
    /// but these names is exchanged in the text.
    pub fn specs_with(&self, names: &[(String, String)]) -> String {
        let mut specs = self.specs.clone();
        for (name, place) in self.constraints.iter().rev() {
            if let Some((_, to)) = names.iter().find(|(from, _)| same_name(from, name)) {
                specs.replace_range(place.clone(), &quote(to));
            }
        }
        specs
    }

    /// The table that is meant, from the statement and from `--database` and `--table`.
    pub fn resolve(&self, database: Option<&str>, table: Option<&str>) -> Result<TableName, Refusal> {
        resolve((self.schema.as_deref(), database), (self.table.as_deref(), table))
    }

    /// Whether `column` is dropped and a new one of that name added: the two share nothing but the name.
    pub fn replaces(&self, column: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|name| same_name(name, column));
        names(&self.dropped) && names(&self.added)
    }

    /// Reads `[schema.]table`; what is left are the clauses.
    fn read_table_name<'p, 'a>(&mut self, pieces: &'p [Piece<'a>]) -> Result<&'p [Piece<'a>], Refusal> {
        let [first, rest @ ..] = pieces else { return Err(Refusal::NoTableName) };
        if first.is("IF") {
            return Err(Refusal::NotMySql("IF EXISTS".into()));
        }
        // The name was forgotten, if the first word of a clause stands here; these are reserved.
        if first.is_any(&["ADD", "ALTER", "CHANGE", "CHECK", "CONVERT", "DROP", "FORCE", "ORDER", "RENAME"]) {
            return Err(Refusal::NoTableName);
        }
        let first = first.name().ok_or(Refusal::NoTableName)?;
        match rest {
            [period, rest @ ..] if period.is_sign(Token::Period) => {
                let (table, rest) = rest.split_first().ok_or(Refusal::NoTableName)?;
                self.schema = Some(first);
                self.table = Some(table.name().ok_or(Refusal::NoTableName)?);
                Ok(rest)
            }
            _ => {
                self.table = Some(first);
                Ok(rest)
            }
        }
    }

    /// Makes `specs` of the clauses that are taken, as if the others were not there.
    fn put_together(&mut self, text: &str, taken: &[Range<usize>]) {
        let mut constraints = Vec::new();
        for clause in taken {
            if !self.specs.is_empty() {
                self.specs.push_str(", ");
            }
            let moved = |place: usize| place - clause.start + self.specs.len();
            let inside = self.constraints.iter().filter(|(_, place)| clause.contains(&place.start));
            constraints
                .extend(inside.map(|(name, place)| (name.clone(), moved(place.start)..moved(place.end))));
            self.specs.push_str(&text[clause.clone()]);
        }
        self.constraints = constraints;
    }

    /// The reasons against clauses, and where those stand that are taken.
    fn read_clauses(&mut self, pieces: &[Piece<'_>]) -> (Vec<Refusal>, Vec<Range<usize>>) {
        // REORGANIZE PARTITION a, b INTO (…) has a comma of its own, and stands alone by the grammar.
        let clauses = match pieces[0].is("REORGANIZE") {
            true => vec![pieces],
            false => split_at_commas(pieces),
        };
        let (mut refusals, mut taken) = (Vec::new(), Vec::new());
        let mut rebuild_only = true;
        for clause in clauses {
            let before = self.clone();
            match clause::read(clause, self) {
                Ok(kind) => {
                    rebuild_only &= kind == clause::Kind::Rebuild;
                    let ends = clause.first().zip(clause.last());
                    taken.extend(ends.map(|(first, last)| first.start..last.end()));
                }
                Err(refusal) => {
                    *self = before;
                    refusals.push(refusal);
                }
            }
        }
        self.rebuild_only = rebuild_only;
        (refusals, taken)
    }
}

/// Each from the statement and from the command line, which must not say different things.
fn resolve(
    schema: (Option<&str>, Option<&str>),
    table: (Option<&str>, Option<&str>),
) -> Result<TableName, Refusal> {
    let schema = match schema {
        (Some(statement), Some(option)) if statement != option => {
            return Err(Refusal::OtherDatabase { statement: statement.into(), option: option.into() });
        }
        (statement, option) => statement.or(option).ok_or(Refusal::NoDatabase)?,
    };
    let table = match table {
        (Some(statement), Some(option)) if statement != option => {
            return Err(Refusal::OtherTable { statement: statement.into(), option: option.into() });
        }
        (statement, option) => statement.or(option).ok_or(Refusal::NoTable)?,
    };
    Ok(TableName::new(schema, table))
}

fn without_last_semicolons<'p, 'a>(mut pieces: &'p [Piece<'a>]) -> &'p [Piece<'a>] {
    while let [rest @ .., last] = pieces {
        if !last.is_sign(Token::SemiColon) {
            break;
        }
        pieces = rest;
    }
    pieces
}

/// Things that DROP and ALTER take and that are not reserved words, so that a column may have the name.
const OBJECTS: &[&str] = &[
    "DATABASE",
    "EVENT",
    "FUNCTION",
    "INSTANCE",
    "LIBRARY",
    "LOGFILE",
    "PREPARE",
    "PROCEDURE",
    "RESOURCE",
    "ROLE",
    "SCHEMA",
    "SERVER",
    "SPATIAL",
    "TABLESPACE",
    "TRIGGER",
    "UNDO",
    "USER",
    "VIEW",
];

/// Recognises statements that are neither an ALTER TABLE nor clauses of one.
fn other_statement(pieces: &[Piece<'_>]) -> Option<Refusal> {
    let word = |at: usize, keywords: &[&str]| pieces.get(at).is_some_and(|piece| piece.is_any(keywords));
    let table = |at| word(at, &["TABLE", "TABLES"]);
    let other = || Some(Refusal::OtherStatement(joined(&pieces[..pieces.len().min(2)])));
    let first = pieces.first()?.keyword()?.to_ascii_uppercase();
    match first.as_str() {
        "CREATE" | "DROP" if word(1, &["TEMPORARY"]) && table(2) => {
            Some(Refusal::TableStatement(format!("{first} TEMPORARY TABLE")))
        }
        "CREATE" | "DROP" | "TRUNCATE" | "RENAME" if table(1) && pieces.len() > 2 => {
            Some(Refusal::TableStatement(format!("{first} TABLE")))
        }
        "TRUNCATE" if !word(1, &["PARTITION"]) => Some(Refusal::TableStatement("TRUNCATE TABLE".into())),
        "CREATE" => create_index(pieces).or_else(other),
        "DROP" if word(1, &["INDEX", "KEY"]) && word(3, &["ON"]) => drop_index(pieces).or_else(other),
        "DROP" if word(1, OBJECTS) && pieces.len() > 2 && !ends_name(&pieces[2]) => other(),
        "ALTER" if word(1, &["IGNORE", "ONLINE", "OFFLINE"]) && table(2) => {
            Some(Refusal::NotMySql(pieces[1].text.to_ascii_uppercase()))
        }
        "ALTER" if word(1, &["TABLE", "COLUMN", "INDEX", "CHECK", "CONSTRAINT"]) => None,
        // `ALTER user SET DEFAULT 1` is a column, `ALTER USER u …` is not.
        "ALTER" if pieces.len() > 1 && !word(2, &["SET", "DROP"]) => other(),
        "RENAME" if word(1, &["USER"]) && pieces.len() > 2 => other(),
        "ANALYZE" | "CHECK" | "CHECKSUM" | "OPTIMIZE" | "REPAIR" | "IMPORT" | "LOCK" if table(1) => other(),
        "LOCK" if word(1, &["INSTANCE"]) => other(),
        "ANALYZE" | "OPTIMIZE" | "REPAIR" if word(1, &["LOCAL", "NO_WRITE_TO_BINLOG"]) => other(),
        "WITH" if !word(1, &["VALIDATION"]) => other(),
        _ if clause::begins(&pieces[0]) => None,
        _ => other(),
    }
}

/// After the name in `DROP name`, a clause can only end so.
fn ends_name(piece: &Piece<'_>) -> bool {
    piece.is_sign(Token::Comma) || piece.is_any(&["RESTRICT", "CASCADE", "PARTITION", "REMOVE"])
}

/// `CREATE [UNIQUE …] INDEX … ON table (…) …` as a clause of ALTER TABLE.
fn create_index(pieces: &[Piece<'_>]) -> Option<Refusal> {
    let kind = pieces.iter().take(3).position(|piece| piece.is("INDEX"))?;
    let on = kind + pieces[kind..].iter().position(|piece| piece.is("ON"))?;
    let columns = on + pieces[on..].iter().position(|piece| piece.is_sign(Token::LParen))?;
    let (what, table) = (joined(&pieces[1..on]), joined(&pieces[on + 1..columns]));
    let columns = joined(&pieces[columns..][..group_length(&pieces[columns..])]);
    Some(Refusal::IndexStatement(format!("ALTER TABLE {table} ADD {what} {columns}")))
}

/// `DROP INDEX name ON table …` as a clause of ALTER TABLE.
fn drop_index(pieces: &[Piece<'_>]) -> Option<Refusal> {
    let length = if pieces.get(5).is_some_and(|piece| piece.is_sign(Token::Period)) { 3 } else { 1 };
    let table = joined(pieces.get(4..4 + length)?);
    Some(Refusal::IndexStatement(format!("ALTER TABLE {table} DROP INDEX {}", pieces[2].text)))
}

/// The text of these pieces for a message: one line, without comments.
fn joined(pieces: &[Piece<'_>]) -> String {
    let mut out = String::new();
    let mut end = None;
    for piece in pieces {
        if end.is_some_and(|end| end < piece.start) {
            out.push(' ');
        }
        out.push_str(piece.text);
        end = Some(piece.end());
    }
    out
}

#[cfg(test)]
mod tests;
