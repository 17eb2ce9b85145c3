//! A table is paged, and a row found again, by a key.

use super::Facts;
use crate::error::Told;
use crate::schema::key;

pub fn check(facts: &Facts) -> Option<Told> {
    let table = &facts.table;
    if table.keys.iter().any(|k| key::identifies_rows(table, k)) {
        return None;
    }
    Some(
        Told::new(format!(
            "{} has no key that identifies a row: a primary key, or a unique key whose columns are all NOT NULL, \
             whole (no prefix) and not approximate numbers",
            table.name.plain()
        ))
        .next(format!(
            "ALTER TABLE {} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
             or add a unique key over NOT NULL columns",
            table.name
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;
    use crate::schema::table::{Column, Key, KeyPart};

    #[test]
    fn a_nullable_or_prefix_key_does_not_identify_rows() {
        let mut facts = sample();
        facts.table.columns = vec![Column {
            name: "a".into(),
            data_type: "int".into(),
            column_type: "int".into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        }];
        for (prefix, nullable, refused) in [(false, false, false), (true, false, true), (false, true, true)] {
            let part = KeyPart { column: Some("a".into()), prefix, nullable };
            facts.table.keys = vec![Key { name: "u".into(), unique: true, parts: vec![part] }];
            assert_eq!(check(&facts).is_some(), refused);
        }
    }
}
