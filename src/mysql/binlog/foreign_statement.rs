//! Finds the statements of other people that change a table in ways that row images do not tell. Pure.
//!
//! A statement means what it meant to the server when its client sent it: in that client's character set
//! ([`client_text`](super::client_text) has decoded it) and its `sql_mode`. With NO_BACKSLASH_ESCAPES a string ends where it
//! would go on otherwise, and a name behind it would be taken for text. Quoted by `"` a name is one with ANSI_QUOTES and
//! text without; it is taken for a name either way, which at worst ends a stream that could have gone on.

use std::any::TypeId;

use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::client_text::{ClientText, UNREADABLE};
use crate::mysql::shadow::is_probe;
use crate::schema::table::{TableName, same_name};

/// Whether a statement from the binlog, run in `schema`, defines, empties, renames or writes one of `tables`.
///
/// Text that cannot be read is taken for one that does when it names a table at all, or a name in it cannot be decoded.
pub fn touches(schema: &str, text: &ClientText, tables: &[&TableName]) -> bool {
    let sql = text.sql.as_str();
    if alters_probe(sql) {
        return false;
    }
    let Some(words) = words(text) else {
        let named = |t: &&TableName| sql.to_lowercase().contains(&t.table.to_lowercase());
        return !text.decoded || tables.iter().any(named);
    };
    let names = |words| names(words).map(|(before, qualifier, name)| (before, qualifier, Name(name)));
    match word(&words, 0).as_str() {
        "DROP" if matches!(word(&words, 1).as_str(), "DATABASE" | "SCHEMA") => {
            names(&words).any(|(_, _, name)| tables.iter().any(|t| name.may_be(&t.schema)))
        }
        "CREATE" | "DROP"
            if matches!(
                word(&words, 1).as_str(),
                "VIEW" | "PROCEDURE" | "FUNCTION" | "EVENT" | "USER" | "TEMPORARY"
            ) =>
        {
            false
        }
        "ALTER" if is_upkeep(&words) => false,
        verb @ ("ALTER" | "RENAME" | "DROP" | "TRUNCATE" | "CREATE" | "INSERT" | "UPDATE" | "DELETE"
        | "REPLACE" | "LOAD" | "WITH") => names(&words).any(|(before, qualifier, name)| {
            stands_for_a_table(verb, &before)
                && tables.iter().any(|t| {
                    let qualifier = Name(qualifier.clone().unwrap_or_else(|| schema.to_owned()));
                    name.may_be(&t.table) && qualifier.may_be(&t.schema)
                })
        }),
        _ => false,
    }
}

/// rsc's own trial of an operator's text, which may be written for another sql_mode than it is read in here. It begins as rsc
/// writes it, and an ALTER is about the table that it names first.
fn alters_probe(sql: &str) -> bool {
    let name = sql.strip_prefix("ALTER TABLE `").and_then(|rest| rest.split_once("`.`"));
    name.is_some_and(|(schema, rest)| is_probe(&TableName::new(schema, rest)))
}

/// CREATE TRIGGER: what the trigger does to rows is in the rows that are logged.
pub fn makes_trigger(text: &ClientText) -> bool {
    let words = words(text).unwrap_or_default();
    let is = |token: &Token, text: &str| matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(text));
    let head =
        words.iter().take_while(|token| !["ON", "TABLE", "BEFORE", "AFTER"].iter().any(|end| is(token, end)));
    word(&words, 0) == "CREATE" && head.skip(1).any(|token| is(token, "TRIGGER"))
}

/// A name in a statement.
struct Name(String);

impl Name {
    /// What could not be decoded may be any name.
    fn may_be(&self, other: &str) -> bool {
        same_name(&self.0, other) || self.0.contains(UNREADABLE)
    }
}

/// The word that says what a statement does, in upper case, whatever comments stand before it.
pub fn verb(text: &ClientText) -> String {
    words(text).map_or_else(String::new, |words| word(&words, 0))
}

/// MySQL as it is spoken under NO_BACKSLASH_ESCAPES.
#[derive(Debug)]
struct NoBackslash(MySqlDialect);

impl Dialect for NoBackslash {
    /// The tokenizer asks whether it has a MySQL before it.
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        false
    }

    fn supports_numeric_prefix(&self) -> bool {
        self.0.supports_numeric_prefix()
    }

    fn supports_multiline_comment_hints(&self) -> bool {
        self.0.supports_multiline_comment_hints()
    }

    fn requires_single_line_comment_whitespace(&self) -> bool {
        self.0.requires_single_line_comment_whitespace()
    }
}

/// Without spaces and comments. `None` for text that cannot be read.
fn words(text: &ClientText) -> Option<Vec<Token>> {
    let usual = MySqlDialect {};
    let without = NoBackslash(MySqlDialect {});
    let dialect: &dyn Dialect = if text.backslash_escapes { &usual } else { &without };
    let tokens = Tokenizer::new(dialect, &text.sql).tokenize().ok()?;
    Some(tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect())
}

fn word(words: &[Token], i: usize) -> String {
    match words.get(i) {
        Some(Token::Word(w)) => w.value.to_uppercase(),
        _ => String::new(),
    }
}

/// `ALTER TABLE t OPTIMIZE PARTITION …` and the like: the rows stay what they are, and so does their form.
fn is_upkeep(words: &[Token]) -> bool {
    let name = if words.get(3) == Some(&Token::Period) { 3 } else { 1 };
    let clause = 2 + name;
    matches!(word(words, clause).as_str(), "ANALYZE" | "CHECK" | "OPTIMIZE" | "REBUILD" | "REPAIR")
        && word(words, clause + 1) == "PARTITION"
}

/// Whether a name is a table's, from the word before it.
fn stands_for_a_table(verb: &str, before: &str) -> bool {
    match verb {
        "ALTER" => before == "TABLE",
        "CREATE" => matches!(before, "TABLE" | "EXISTS" | "ON"),
        "DROP" | "RENAME" | "TRUNCATE" => {
            matches!(before, "TABLE" | "EXISTS" | "ON" | "TO" | "," | "TRUNCATE")
        }
        _ => true,
    }
}

/// Every name in the statement: the word before it, what stands before its dot, and itself.
fn names(words: &[Token]) -> impl Iterator<Item = (String, Option<String>, String)> {
    words.iter().enumerate().filter_map(|(i, token)| {
        let name = |token: &Token| match token {
            Token::Word(w) => Some(w.value.clone()),
            Token::DoubleQuotedString(s) => Some(s.clone()),
            _ => None,
        };
        let qualifier = match (i >= 2).then(|| &words[i - 1]) {
            Some(Token::Period) => name(&words[i - 2]),
            _ => None,
        };
        let first = if qualifier.is_some() { i - 2 } else { i };
        let before = match first.checked_sub(1).map(|b| &words[b]) {
            Some(Token::Word(w)) => w.value.to_uppercase(),
            Some(Token::Comma) => ",".into(),
            _ => String::new(),
        };
        Some((before, qualifier, name(token)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alter_of_a_probe_is_about_nothing_else_whatever_its_text() {
        let t = TableName::new("d", "t");
        let of = |table: &str| format!("ALTER TABLE `d`.`{table}` COMMENT='t");
        assert!(!touches("d", &ClientText::plain(&of("_rsc_probe_0123")), &[&t]));
        assert!(
            touches("d", &ClientText::plain(&of("other")), &[&t]),
            "it cannot be read, and names the table"
        );
    }

    #[test]
    fn a_trigger_is_told_from_all_else_that_is_created() {
        for sql in [
            "CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET @a = 1",
            "create definer=`trigger`@`%` trigger if not exists `x` after update on shop.users for each row begin end",
            "/* c */ CREATE DEFINER=`root`@`localhost` TRIGGER tr BEFORE DELETE ON t FOR EACH ROW SET @a = 1",
        ] {
            assert!(makes_trigger(&ClientText::plain(sql)), "{sql}");
        }
        for sql in [
            "CREATE TABLE users (id int)",
            "CREATE DEFINER=`trigger`@`%` PROCEDURE p() SELECT 1",
            "CREATE INDEX `trigger` ON users (a)",
            "CREATE TABLE `trigger` (id int)",
            "DROP TRIGGER tr",
            "ALTER TABLE users ADD c INT",
        ] {
            assert!(!makes_trigger(&ClientText::plain(sql)), "{sql}");
        }
    }

    #[test]
    fn statements_on_the_table_are_found_and_others_are_not() {
        let table = TableName::new("shop", "users");
        let found = |schema: &str, sql: &str| touches(schema, &ClientText::plain(sql), &[&table]);
        for sql in [
            "ALTER TABLE users ADD c INT",
            "alter table `shop`.`users` force",
            "TRUNCATE users",
            "RENAME TABLE x TO shop.users",
            "DROP TABLE `users` /* generated by server */",
            "CREATE INDEX i ON users (a)",
            "CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET @a = 1",
            "UPDATE users SET a = 1",
            "DROP DATABASE shop",
            "ALTER TABLE users TRUNCATE PARTITION p0",
            "ALTER TABLE users DROP PARTITION p0, p1",
            "ALTER TABLE users REORGANIZE PARTITION p0 INTO (PARTITION p1 VALUES LESS THAN (7))",
            "ALTER TABLE users EXCHANGE PARTITION p0 WITH TABLE orders",
            "ALTER TABLE orders EXCHANGE PARTITION p0 WITH TABLE users WITHOUT VALIDATION",
            "alter table orders exchange partition p0 with table `shop`.`users`",
            "ALTER TABLE users DISCARD TABLESPACE",
            "ALTER TABLE users IMPORT PARTITION p0 TABLESPACE",
        ] {
            assert!(found("shop", sql), "{sql}");
        }
        for sql in [
            "ALTER TABLE other.users ADD c INT",
            "GRANT SELECT ON shop.users TO a",
            "ANALYZE TABLE users",
            "CREATE VIEW v AS SELECT * FROM users",
            "ALTER TABLE orders ADD users INT COMMENT 'x'",
            "INSERT INTO log VALUES ('users')",
            "ALTER TABLE orders RENAME COLUMN a TO users",
            "ALTER TABLE orders EXCHANGE PARTITION users WITH TABLE p",
            "ALTER TABLE users OPTIMIZE PARTITION p0",
            "ALTER TABLE `shop`.`users` REBUILD PARTITION ALL",
            "OPTIMIZE TABLE users",
            "REPAIR TABLE users",
            "FLUSH TABLES users",
            "CREATE TEMPORARY TABLE users (a INT)",
            "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `users`",
        ] {
            assert!(!found("shop", sql), "{sql}");
        }
        assert!(!found("elsewhere", "TRUNCATE users"));
    }

    #[test]
    fn a_verb_is_found_behind_comments() {
        for sql in
            ["truncate users", "/* by shop */ TRUNCATE users", "# x\n -- y\n/*!50000 TRUNCATE */ users"]
        {
            assert_eq!(verb(&ClientText::plain(sql)), "TRUNCATE", "{sql}");
        }
        assert_eq!(verb(&ClientText::plain("'")), "");
    }

    #[test]
    fn a_string_ends_where_its_client_ended_it() {
        let table = TableName::new("shop", "users");
        let sql = r"INSERT INTO other SELECT 'x\', a FROM users -- '";
        let as_sent = |backslash_escapes| ClientText { backslash_escapes, ..ClientText::plain(sql) };
        assert!(!touches("shop", &as_sent(true), &[&table]));
        assert!(touches("shop", &as_sent(false), &[&table]));
        let quoted = ClientText { backslash_escapes: false, ..ClientText::plain(r#"TRUNCATE "users""#) };
        assert!(touches("shop", &quoted, &[&table]));
    }

    #[test]
    fn a_name_that_cannot_be_decoded_may_be_any() {
        let table = TableName::new("shop", "tabl\u{e9}");
        let text = |sql: &str| ClientText { decoded: false, ..ClientText::plain(sql) };
        assert!(touches("shop", &text("TRUNCATE `tabl\u{fffd}`"), &[&table]));
        assert!(!touches("shop", &text("TRUNCATE elsewhere.`tabl\u{fffd}`"), &[&table]));
        assert!(!touches("shop", &text("TRUNCATE other /* \u{fffd} */"), &[&table]));
        assert!(touches("shop", &text("TRUNCATE `\u{fffd}"), &[&table]));
    }
}
