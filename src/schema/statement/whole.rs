//! CREATE TABLE and DROP TABLE: statements about a table as a whole.
//!
//! Read only for the table that they name, and for what must not run under another name. A CREATE runs as it was typed,
//! with nothing but that name exchanged.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use super::words::{Piece, balanced, group_length, pieces, split_at_commas};
use super::{Refusal, clause, ends_name, resolve, without_last_semicolons};
use crate::schema::kind::Kind;
use crate::schema::sql_mode::SqlMode;
use crate::schema::table::TableName;

/// A CREATE TABLE or DROP TABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Never [`Kind::Alter`].
    pub kind: Kind,
    /// IF NOT EXISTS, or IF EXISTS.
    pub lenient: bool,
    /// `None` where the statement does not name it.
    pub schema: Option<String>,
    pub table: Option<String>,
    /// The statement, without comments or semicolons around it.
    text: String,
    /// Where the name of the table stands in it.
    name: Range<usize>,
    /// In which it was read, and is to be run; `None`: the server's.
    pub sql_mode: Option<SqlMode>,
}

impl Whole {
    /// With all reasons against it. `None` if it is not such a statement.
    pub fn read(text: &str) -> Option<(Self, Vec<Refusal>)> {
        Self::read_in(text, None)
    }

    /// As a session with this sql_mode reads it.
    pub fn read_in(text: &str, mode: Option<&SqlMode>) -> Option<(Self, Vec<Refusal>)> {
        let (all, hidden) = pieces(text, &mode.cloned().unwrap_or_default()).ok()?;
        let all = without_last_semicolons(&all);
        let (kind, temporary, rest) = begins(all)?;
        let (first, last) = all.first().zip(all.last())?;
        let text = text[first.start..last.end()].to_owned();
        let sql_mode = mode.cloned();
        let mut whole = Self { kind, lenient: false, schema: None, table: None, text, name: 0..0, sql_mode };
        let mut refusals: Vec<Refusal> = hidden.into_iter().collect();
        if temporary {
            refusals.push(Refusal::Temporary);
        }
        if all.iter().any(|piece| piece.is_sign(Token::SemiColon)) {
            refusals.push(Refusal::SeveralStatements);
        } else if !balanced(all) {
            refusals.push(Refusal::Parentheses);
        } else {
            match whole.read_name(rest, first.start) {
                Some(rest) if kind == Kind::Create => refusals.extend(against_create(rest)),
                Some(rest) => refusals.extend(against_drop(rest)),
                None => refusals.push(Refusal::NoNameInStatement),
            }
        }
        Some((whole, refusals))
    }

    /// The statement for another table than the one that it names.
    pub fn naming(&self, table: &TableName) -> String {
        let (before, after) = (&self.text[..self.name.start], &self.text[self.name.end..]);
        // A name in backquotes would grow together with one that stands right behind it.
        let space = if after.starts_with('`') { " " } else { "" };
        format!("{before}{table}{space}{after}")
    }

    /// The table that is meant, from the statement and from `--database` and `--table`.
    pub fn resolve(&self, database: Option<&str>, table: Option<&str>) -> Result<TableName, Refusal> {
        resolve((self.schema.as_deref(), database), (self.table.as_deref(), table))
    }

    /// Reads `[IF [NOT] EXISTS] [schema.]table`, and returns what stands behind it.
    fn read_name<'p, 'a>(&mut self, pieces: &'p [Piece<'a>], start: usize) -> Option<&'p [Piece<'a>]> {
        let pieces = match pieces {
            [a, b, rest @ ..] if self.kind == Kind::Drop && a.is("IF") && b.is("EXISTS") => {
                self.lenient = true;
                rest
            }
            [a, b, c, rest @ ..]
                if self.kind == Kind::Create && a.is("IF") && b.is("NOT") && c.is("EXISTS") =>
            {
                self.lenient = true;
                rest
            }
            all => all,
        };
        let (first, rest) = pieces.split_first()?;
        let name = first.name()?;
        let (last, rest) = match rest {
            [period, table, rest @ ..] if period.is_sign(Token::Period) => {
                self.schema = Some(name);
                self.table = Some(table.name()?);
                (table, rest)
            }
            _ => {
                self.table = Some(name);
                (first, rest)
            }
        };
        self.name = first.start - start..last.end() - start;
        Some(rest)
    }
}

/// The kind of statement, whether it says TEMPORARY, and what stands behind TABLE.
fn begins<'p, 'a>(pieces: &'p [Piece<'a>]) -> Option<(Kind, bool, &'p [Piece<'a>])> {
    let (first, rest) = pieces.split_first()?;
    let kind = match first {
        create if create.is("CREATE") => Kind::Create,
        drop if drop.is("DROP") => Kind::Drop,
        _ => return None,
    };
    let (temporary, rest) = match rest {
        [temporary, rest @ ..] if temporary.is("TEMPORARY") => (true, rest),
        _ => (false, rest),
    };
    match rest {
        [table, rest @ ..] if table.is("TABLE") => Some((kind, temporary, rest)),
        // Not reserved: `DROP tables, …` drops a column.
        [table, next, ..] if kind == Kind::Drop && table.is("TABLES") && !ends_name(next) => {
            Some((kind, temporary, &rest[1..]))
        }
        _ => None,
    }
}

fn against_drop(rest: &[Piece<'_>]) -> Vec<Refusal> {
    match rest {
        [] => Vec::new(),
        // Neither does anything in MySQL.
        [word] if word.is_any(&["RESTRICT", "CASCADE"]) => Vec::new(),
        [comma, ..] if comma.is_sign(Token::Comma) => vec![Refusal::SeveralTables],
        unknown => vec![Refusal::UnknownPart(clause::shown(unknown))],
    }
}

fn against_create(rest: &[Piece<'_>]) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = elements(rest)
        .into_iter()
        .filter(|element| element.iter().any(|piece| piece.is_any(&["FOREIGN", "REFERENCES"])))
        .map(|element| Refusal::ForeignKey(clause::shown(element)))
        .collect();
    // SELECT is reserved, and nothing else of the statement has it.
    let query = ["AS", "IGNORE", "REPLACE", "TABLE", "VALUES", "WITH"];
    let mut outside = outside(rest);
    if rest.iter().any(|piece| piece.is("SELECT")) || outside.iter().any(|piece| piece.is_any(&query)) {
        refusals.push(Refusal::CreateSelect);
    }
    outside.retain(|piece| !piece.is_sign(Token::Eq));
    for pair in outside.windows(2) {
        if pair[0].is("START") && pair[1].is("TRANSACTION") {
            refusals.push(Refusal::StartTransaction);
        }
        if pair[0].is("ENGINE") {
            refusals.extend(clause::refuse_other_engine(pair[1]).err());
        }
    }
    refusals
}

/// The columns, keys and rules between the parentheses that open first.
fn elements<'p, 'a>(rest: &'p [Piece<'a>]) -> Vec<&'p [Piece<'a>]> {
    match rest.first() {
        Some(first) if first.is_sign(Token::LParen) => {
            let length = group_length(rest);
            rest.get(1..length.saturating_sub(1)).map_or_else(Vec::new, split_at_commas)
        }
        _ => Vec::new(),
    }
}

/// What stands in no parentheses.
fn outside<'p, 'a>(pieces: &'p [Piece<'a>]) -> Vec<&'p Piece<'a>> {
    let mut depth = 0usize;
    let mut outside = Vec::new();
    for piece in pieces {
        if piece.is_sign(Token::LParen) {
            depth += 1;
        } else if piece.is_sign(Token::RParen) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            outside.push(piece);
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Whole, Vec<Refusal>) {
        Whole::read(text).unwrap_or_else(|| panic!("not taken for one: {text}"))
    }

    fn taken(text: &str) -> Whole {
        let (whole, refusals) = read(text);
        assert_eq!(refusals, [], "{text}");
        whole
    }

    #[test]
    fn the_name_alone_is_exchanged() {
        let twin = TableName::new("shop", "_rsc1_t_new");
        for (text, schema, made) in [
            (
                "create table t (a int, `b;` char(9) default 'x t') COMMENT='t' ;",
                None,
                "create table `shop`.`_rsc1_t_new` (a int, `b;` char(9) default 'x t') COMMENT='t'",
            ),
            (
                "-- a\nCREATE TABLE IF NOT EXISTS `shop`.`t`(id int)",
                Some("shop"),
                "CREATE TABLE IF NOT EXISTS `shop`.`_rsc1_t_new`(id int)",
            ),
            (
                "CREATE TABLE shop . t LIKE t /* end */",
                Some("shop"),
                "CREATE TABLE `shop`.`_rsc1_t_new` LIKE t",
            ),
            ("DROP TABLE /* which */ t", None, "DROP TABLE /* which */ `shop`.`_rsc1_t_new`"),
        ] {
            let whole = taken(text);
            assert_eq!((whole.schema.as_deref(), whole.table.as_deref()), (schema, Some("t")), "{text}");
            assert_eq!(whole.naming(&twin), made);
        }
    }

    #[test]
    fn if_exists_is_seen() {
        assert!(taken("DROP TABLES IF EXISTS a CASCADE").lenient);
        assert!(!taken("DROP TABLE a RESTRICT").lenient);
        assert!(taken("CREATE TABLE IF NOT EXISTS a (b int)").lenient);
        // A name, not the condition.
        assert_eq!(taken("DROP TABLE `if`").table.as_deref(), Some("if"));
    }

    #[test]
    fn what_runs_under_no_other_name_is_refused_for_all_reasons() {
        use Refusal::*;
        let fk = |text: &str| ForeignKey(text.into());
        for (text, reasons) in [
            ("DROP TABLE a, b", vec![SeveralTables]),
            ("DROP TEMPORARY TABLE a", vec![Temporary]),
            ("DROP TABLE a WAIT 3", vec![UnknownPart("WAIT 3".into())]),
            ("DROP TABLE a; DROP TABLE b", vec![SeveralStatements]),
            ("DROP TABLE", vec![NoNameInStatement]),
            ("CREATE TABLE (a int)", vec![NoNameInStatement]),
            ("CREATE TABLE t (a int", vec![Parentheses]),
            ("CREATE TEMPORARY TABLE t (a int)", vec![Temporary]),
            ("CREATE TABLE t SELECT 1", vec![CreateSelect]),
            ("CREATE TABLE t (a int) AS (SELECT 1)", vec![CreateSelect]),
            ("CREATE TABLE t (SELECT 1 AS a)", vec![CreateSelect]),
            ("CREATE TABLE t (a int) IGNORE TABLE b", vec![CreateSelect]),
            ("CREATE TABLE t VALUES ROW(1)", vec![CreateSelect]),
            ("CREATE TABLE t (a int) START TRANSACTION", vec![StartTransaction]),
            ("CREATE TABLE t (a int) ENGINE = MyISAM", vec![Engine("MyISAM".into())]),
            (
                "CREATE TABLE t (a int REFERENCES b (a), c int, FOREIGN KEY (c) REFERENCES d (e)) ENGINE memory",
                vec![
                    fk("a int REFERENCES b (a)"),
                    fk("FOREIGN KEY (c) REFERENCES d (e)"),
                    Engine("memory".into()),
                ],
            ),
            (
                "CREATE TABLE t (a int /*!80023 INVISIBLE */)",
                vec![VersionComment("/*!80023 INVISIBLE */".into())],
            ),
        ] {
            assert_eq!(read(text).1, reasons, "{text}");
        }
    }

    #[test]
    fn a_whole_definition_is_taken_as_typed() {
        for text in [
            "CREATE TABLE t (id int, `select` int AS (id + 1) STORED, CHECK (id > 0)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
            "CREATE TABLE t (id int) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB)",
            "CREATE TABLE t (LIKE b)",
            "CREATE TABLE t (a varchar(9) COMMENT 'AS SELECT') COMMENT 'foreign'",
        ] {
            assert_eq!(taken(text).naming(&TableName::new("d", "t")), text.replacen(" t ", " `d`.`t` ", 1));
        }
    }

    #[test]
    fn other_statements_and_clauses_are_none_of_these() {
        for text in [
            "ALTER TABLE t DROP a",
            "DROP tables, ADD b int",
            "DROP tables",
            "DROP COLUMN a",
            "CREATE INDEX a ON t (b)",
            "CREATE OR REPLACE TABLE t (a int)",
            "TRUNCATE TABLE t",
            "",
        ] {
            assert_eq!(Whole::read(text), None, "{text}");
        }
    }
}
