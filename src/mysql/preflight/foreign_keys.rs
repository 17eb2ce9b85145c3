//! A foreign key follows a renamed table, so after a swap it would point at the table that does not serve; and
//! cascades may not be in the binlog.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    if facts.foreign_keys.is_empty() {
        return None;
    }
    Some(
        Told::new(format!(
            "{} has or is referenced by foreign keys, which this version does not carry over: {}",
            facts.table.name.plain(),
            facts.foreign_keys.join(", ")
        ))
        .next("drop them first, if the application can do without: ALTER TABLE … DROP FOREIGN KEY …"),
    )
}
