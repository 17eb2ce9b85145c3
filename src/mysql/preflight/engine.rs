//! Snapshots and transactions are InnoDB's; the server's own schemas are not ours to change.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    let name = &facts.table.name;
    if let Some(told) = check_schema(facts) {
        return Some(told);
    }
    if innodb(facts) {
        return None;
    }
    Some(
        Told::new(format!("{} is kept by {}, which has no snapshots", name.plain(), facts.engine))
            .next(format!("ALTER TABLE {name} ENGINE=InnoDB")),
    )
}

pub fn check_schema(facts: &Facts) -> Option<Told> {
    let name = &facts.table.name;
    ["mysql", "sys", "information_schema", "performance_schema", "_rsc"]
        .contains(&name.schema.to_lowercase().as_str())
        .then(|| {
            Told::new(format!("{} belongs to the server or to rsc itself", name.plain()))
                .next("name a table of your own with --database and --table")
        })
}

/// A RENAME that a crash interrupts has happened or has not: only in InnoDB.
pub fn check_atomic(facts: &Facts) -> Option<Told> {
    (!innodb(facts)).then(|| {
        let what = "a rename of which a crash may leave half";
        Told::new(format!("{} is kept by {}, which has {what}", facts.table.name.plain(), facts.engine))
            .next("use InnoDB: ENGINE=InnoDB in a CREATE TABLE, or an ALTER TABLE … ENGINE=InnoDB first")
    })
}

fn innodb(facts: &Facts) -> bool {
    facts.engine.eq_ignore_ascii_case("innodb")
}
