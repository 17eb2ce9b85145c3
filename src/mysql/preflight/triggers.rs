//! A trigger stays with the table that is renamed away, so after a swap it would not fire any more.

use super::Facts;
use crate::error::Told;
use crate::schema::table::quote;

pub fn check(facts: &Facts) -> Option<Told> {
    let first = facts.triggers.first()?;
    Some(
        Told::new(format!(
            "{} has triggers, which this version does not carry over: {}",
            facts.table.name.plain(),
            facts.triggers.join(", ")
        ))
        .next(format!(
            "drop them first, if the application can do without: DROP TRIGGER {}.{}",
            quote(&facts.table.name.schema),
            quote(first)
        )),
    )
}
