//! Finds the statements of other people that change a table in ways that row images do not tell. Pure.

use sqlparser::dialect::MySqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::mysql::shadow::is_probe;
use crate::schema::table::{TableName, same_name};

/// Whether a statement from the binlog, run in `schema`, defines, empties, renames or writes one of `tables`.
///
/// Text that cannot be read is taken for one that does when it names a table at all.
pub fn touches(schema: &str, sql: &str, tables: &[&TableName]) -> bool {
    if alters_probe(sql) {
        return false;
    }
    let Some(words) = words(sql) else {
        return tables.iter().any(|t| sql.to_lowercase().contains(&t.table.to_lowercase()));
    };
    match word(&words, 0).as_str() {
        "DROP" if matches!(word(&words, 1).as_str(), "DATABASE" | "SCHEMA") => {
            names(&words).any(|(_, _, name)| tables.iter().any(|t| t.schema == name))
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
                    same_name(&t.table, &name) && same_name(&t.schema, qualifier.as_deref().unwrap_or(schema))
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
pub fn makes_trigger(sql: &str) -> bool {
    let words = words(sql).unwrap_or_default();
    let is = |token: &Token, text: &str| matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(text));
    let head =
        words.iter().take_while(|token| !["ON", "TABLE", "BEFORE", "AFTER"].iter().any(|end| is(token, end)));
    word(&words, 0) == "CREATE" && head.skip(1).any(|token| is(token, "TRIGGER"))
}

/// The word that says what a statement does, in upper case, whatever comments stand before it.
pub fn verb(sql: &str) -> String {
    words(sql).map_or_else(String::new, |words| word(&words, 0))
}

/// Without spaces and comments. `None` for text that cannot be read.
fn words(sql: &str) -> Option<Vec<Token>> {
    let tokens = Tokenizer::new(&MySqlDialect {}, sql).tokenize().ok()?;
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
        assert!(!touches("d", &of("_rsc_probe_0123"), &[&t]));
        assert!(touches("d", &of("other"), &[&t]), "it cannot be read, and names the table");
    }

    #[test]
    fn a_trigger_is_told_from_all_else_that_is_created() {
        for sql in [
            "CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET @a = 1",
            "create definer=`trigger`@`%` trigger if not exists `x` after update on shop.users for each row begin end",
            "/* c */ CREATE DEFINER=`root`@`localhost` TRIGGER tr BEFORE DELETE ON t FOR EACH ROW SET @a = 1",
        ] {
            assert!(makes_trigger(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE users (id int)",
            "CREATE DEFINER=`trigger`@`%` PROCEDURE p() SELECT 1",
            "CREATE INDEX `trigger` ON users (a)",
            "CREATE TABLE `trigger` (id int)",
            "DROP TRIGGER tr",
            "ALTER TABLE users ADD c INT",
        ] {
            assert!(!makes_trigger(sql), "{sql}");
        }
    }

    #[test]
    fn statements_on_the_table_are_found_and_others_are_not() {
        let table = TableName::new("shop", "users");
        let found = |schema: &str, sql: &str| touches(schema, sql, &[&table]);
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
            assert_eq!(verb(sql), "TRUNCATE", "{sql}");
        }
        assert_eq!(verb("'"), "");
    }
}
