//! One clause of ALTER TABLE.
//!
//! The words that decide here (ADD, COLUMN, INDEX, CHECK, PARTITION, REFERENCES …) are reserved in MySQL: without
//! quotes they cannot be a column's name, so the first words of a clause say what it is.

use sqlparser::tokenizer::Token;

use super::words::{Piece, group_length, split_at_commas};
use super::{Alter, Refusal, joined};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks for nothing but a rebuild of the table as it is.
    Rebuild,
    Change,
}

/// Clauses that are not table options.
const CLAUSES: &[&str] = &[
    "ADD",
    "ALGORITHM",
    "ALTER",
    "ANALYZE",
    "CHANGE",
    "CHECK",
    "COALESCE",
    "CONVERT",
    "DISABLE",
    "DISCARD",
    "DROP",
    "ENABLE",
    "EXCHANGE",
    "FORCE",
    "IMPORT",
    "LOCK",
    "MODIFY",
    "OPTIMIZE",
    "ORDER",
    "PARTITION",
    "REBUILD",
    "REMOVE",
    "RENAME",
    "REORGANIZE",
    "REPAIR",
    "TRUNCATE",
    "WITH",
    "WITHOUT",
];

/// Table options by their first word. TABLESPACE may be followed by STORAGE DISK, which reads as an option too.
const OPTIONS: &[&str] = &[
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHAR",
    "CHARACTER",
    "CHARSET",
    "CHECKSUM",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DATA",
    "DEFAULT",
    "DELAY_KEY_WRITE",
    "ENCRYPTION",
    "ENGINE",
    "ENGINE_ATTRIBUTE",
    "INDEX",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PASSWORD",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "STORAGE",
    "TABLESPACE",
    "UNION",
];

/// Those with no effect on a table that is in InnoDB already: the server takes them, with a warning or without.
const IGNORED: &[&str] = &["DATA", "INDEX", "INSERT_METHOD", "PASSWORD", "UNION"];

/// Whether a clause can begin with this word.
pub fn begins(piece: &Piece<'_>) -> bool {
    piece.is_any(CLAUSES) || piece.is_any(OPTIONS)
}

/// Reads one clause and notes in `alter` what it does to columns.
pub fn read(clause: &[Piece<'_>], alter: &mut Alter) -> Result<Kind, Refusal> {
    let Some((first, rest)) = clause.split_first() else {
        return Err(Refusal::UnknownClause(",".into()));
    };
    let keyword = first.keyword().unwrap_or_default().to_ascii_uppercase();
    match keyword.as_str() {
        "ADD" => add(clause, rest, alter)?,
        "DROP" => drop(clause, rest, alter)?,
        "CHANGE" => change(clause, rest, alter)?,
        "RENAME" => rename(clause, rest, alter)?,
        "MODIFY" => no_foreign_key(clause)?,
        "FORCE" if rest.is_empty() => return Ok(Kind::Rebuild),
        "ALTER" => alter_part(clause, rest, alter)?,
        "COALESCE" | "CONVERT" | "FORCE" | "PARTITION" | "REMOVE" | "REORGANIZE" => {}
        _ if first.is_any(OPTIONS) => return options(clause, alter),
        _ => return Err(refused(&keyword, clause)),
    }
    Ok(Kind::Change)
}

/// The clauses that never run on a shadow table.
fn refused(keyword: &str, clause: &[Piece<'_>]) -> Refusal {
    let second = |keyword: &str| clause.get(1).is_some_and(|piece| piece.is(keyword));
    match keyword {
        "ALGORITHM" => Refusal::Algorithm(shown(clause)),
        "LOCK" => Refusal::Lock(shown(clause)),
        "DISABLE" | "ENABLE" => Refusal::Keys(shown(clause)),
        "ORDER" => Refusal::OrderBy(shown(clause)),
        "WITH" | "WITHOUT" => Refusal::Validation(shown(clause)),
        "DISCARD" | "EXCHANGE" | "IMPORT" | "TRUNCATE" if second("PARTITION") => {
            Refusal::PartitionRows(shown(clause))
        }
        "DISCARD" | "IMPORT" => Refusal::Tablespace(shown(clause)),
        "ANALYZE" | "CHECK" | "OPTIMIZE" | "REBUILD" | "REPAIR" if second("PARTITION") => {
            Refusal::PartitionUpkeep(shown(clause))
        }
        _ => Refusal::UnknownClause(shown(clause)),
    }
}

fn add(clause: &[Piece<'_>], rest: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    no_foreign_key(clause)?;
    let rest = without_column(rest);
    match rest.first() {
        Some(first) if first.is_sign(Token::LParen) => {
            let inside = &rest[1..group_length(rest) - 1];
            split_at_commas(inside).into_iter().try_for_each(|element| add_element(clause, element, alter))
        }
        _ => add_element(clause, rest, alter),
    }
}

/// What stands behind ADD, or in the list of `ADD (…, …)`.
fn add_element(clause: &[Piece<'_>], element: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    let is = |at: usize, keywords: &[&str]| element.get(at).is_some_and(|piece| piece.is_any(keywords));
    let index = is(0, &["INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY"]);
    // VECTOR is not reserved, but no column has the type INDEX.
    let vector_index = is(0, &["VECTOR"]) && is(1, &["INDEX", "KEY"]);
    if !index && !vector_index && !is(0, &["CHECK", "CONSTRAINT", "PARTITION"]) {
        alter.added.push(column(clause, element.first())?);
    }
    Ok(())
}

fn drop(clause: &[Piece<'_>], rest: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    let first = rest.first();
    let is = |keywords: &[&str]| first.is_some_and(|piece| piece.is_any(keywords));
    if is(&["FOREIGN"]) {
        return Err(Refusal::ForeignKey(shown(clause)));
    }
    if is(&["PARTITION"]) {
        return Err(Refusal::PartitionRows(shown(clause)));
    }
    if is(&["CHECK", "CONSTRAINT"]) {
        note_constraint(rest.get(1), alter);
    }
    if !is(&["PRIMARY", "INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
        alter.dropped.push(column(clause, without_column(rest).first())?);
    }
    Ok(())
}

fn note_constraint(piece: Option<&Piece<'_>>, alter: &mut Alter) {
    if let Some((name, piece)) = piece.and_then(|piece| Some((piece.name()?, piece))) {
        alter.constraints.push((name, piece.start..piece.end()));
    }
}

fn change(clause: &[Piece<'_>], rest: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    no_foreign_key(clause)?;
    let rest = without_column(rest);
    let (from, to) = (column(clause, rest.first())?, column(clause, rest.get(1))?);
    // CHANGE with one name twice is a MODIFY.
    if from != to {
        alter.renames.push((from, to));
    }
    Ok(())
}

fn rename(clause: &[Piece<'_>], rest: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    match rest {
        [what, ..] if what.is_any(&["INDEX", "KEY"]) => Ok(()),
        [what, from, to, name, ..] if what.is("COLUMN") && to.is_any(&["TO"]) => {
            alter.renames.push((column(clause, Some(from))?, column(clause, Some(name))?));
            Ok(())
        }
        [what, ..] if what.is("COLUMN") => Err(Refusal::NoColumnName(shown(clause))),
        [] => Err(Refusal::UnknownClause(shown(clause))),
        _ => Err(Refusal::TableRename(shown(clause))),
    }
}

/// A column's default or visibility, an index's or a check's: nothing that rsc needs to know.
fn alter_part(clause: &[Piece<'_>], rest: &[Piece<'_>], alter: &mut Alter) -> Result<(), Refusal> {
    match without_column(rest) {
        [what, name, ..] if what.is_any(&["CHECK", "CONSTRAINT"]) => {
            note_constraint(Some(name), alter);
            Ok(())
        }
        [what, _, ..] if what.is("INDEX") => Ok(()),
        [name, what, ..] if what.is_any(&["SET", "DROP"]) => column(clause, Some(name)).map(|_| ()),
        _ => Err(Refusal::UnknownClause(shown(clause))),
    }
}

/// Table options stand behind each other without commas; a partitioning may follow the last.
fn options(clause: &[Piece<'_>], alter: &mut Alter) -> Result<Kind, Refusal> {
    let mut kind = Kind::Rebuild;
    let mut rest = clause;
    while let Some(first) = rest.first() {
        if first.is_any(&["PARTITION", "REMOVE"]) {
            return Ok(Kind::Change);
        }
        if first.is_any(IGNORED) {
            let value =
                after_option_name(rest).map_or(0, |value| rest.len() - value.len() + group_length(value));
            return Err(Refusal::Ignored(shown(&rest[..value.min(rest.len())])));
        }
        let (engine, counter) = (first.is("ENGINE"), first.is("AUTO_INCREMENT"));
        rest = after_option_name(rest).ok_or_else(|| Refusal::UnknownClause(shown(rest)))?;
        let value = rest.first().ok_or_else(|| Refusal::UnknownClause(shown(clause)))?;
        if engine {
            refuse_other_engine(value)?;
        } else {
            kind = Kind::Change;
        }
        if counter {
            alter.auto_increment = Some(value.text.into());
        }
        rest = &rest[group_length(rest)..];
    }
    Ok(kind)
}

/// Skips `[DEFAULT] NAME [=]`, where a name may be of two words. `None` if no option is named.
fn after_option_name<'p, 'a>(pieces: &'p [Piece<'a>]) -> Option<&'p [Piece<'a>]> {
    let rest = match pieces {
        [default, rest @ ..] if default.is("DEFAULT") => {
            rest.first().filter(|name| name.is_any(&["CHAR", "CHARACTER", "CHARSET", "COLLATE"]))?;
            rest
        }
        _ => pieces,
    };
    let rest = match rest {
        [first, second, rest @ ..] if first.is_any(&["CHARACTER", "CHAR"]) && second.is("SET") => rest,
        [first, second, rest @ ..] if first.is_any(&["DATA", "INDEX"]) && second.is("DIRECTORY") => rest,
        [first, rest @ ..] if first.is_any(OPTIONS) => rest,
        _ => return None,
    };
    match rest {
        [equals, value @ ..] if equals.is_sign(Token::Eq) => Some(value),
        _ => Some(rest),
    }
}

pub fn refuse_other_engine(value: &Piece<'_>) -> Result<(), Refusal> {
    match value.value() {
        Some(engine) if engine.eq_ignore_ascii_case("innodb") => Ok(()),
        engine => Err(Refusal::Engine(engine.unwrap_or_else(|| value.text.into()))),
    }
}

/// FOREIGN and REFERENCES are reserved, so wherever they stand they make a foreign key.
fn no_foreign_key(clause: &[Piece<'_>]) -> Result<(), Refusal> {
    match clause.iter().any(|piece| piece.is_any(&["FOREIGN", "REFERENCES"])) {
        true => Err(Refusal::ForeignKey(shown(clause))),
        false => Ok(()),
    }
}

fn without_column<'p, 'a>(pieces: &'p [Piece<'a>]) -> &'p [Piece<'a>] {
    match pieces {
        [first, rest @ ..] if first.is("COLUMN") => rest,
        _ => pieces,
    }
}

fn column(clause: &[Piece<'_>], piece: Option<&Piece<'_>>) -> Result<String, Refusal> {
    match piece {
        Some(piece) if piece.is("IF") => Err(Refusal::NotMySql("IF [NOT] EXISTS".into())),
        Some(piece) => piece.name().ok_or_else(|| Refusal::NoColumnName(shown(clause))),
        None => Err(Refusal::NoColumnName(shown(clause))),
    }
}

/// Enough of a clause to recognise it in a message.
pub fn shown(clause: &[Piece<'_>]) -> String {
    const WORDS_MAX: usize = 20;
    match clause.get(..WORDS_MAX) {
        Some(start) if clause.len() > WORDS_MAX => format!("{} …", joined(start)),
        _ => joined(clause),
    }
}
