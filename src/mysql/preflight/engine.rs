//! Snapshots and transactions are InnoDB's; the server's own schemas are not ours to change.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    let name = &facts.table.name;
    if ["mysql", "sys", "information_schema", "performance_schema", "_rsc"]
        .contains(&name.schema.to_lowercase().as_str())
    {
        return Some(
            Told::new(format!("{} belongs to the server or to rsc itself", name.plain()))
                .next("name a table of your own with --database and --table"),
        );
    }
    if facts.engine.eq_ignore_ascii_case("innodb") {
        return None;
    }
    Some(
        Told::new(format!("{} is kept by {}, which has no snapshots", name.plain(), facts.engine))
            .next(format!("ALTER TABLE {name} ENGINE=InnoDB")),
    )
}
