//! A trigger stays with the table that is renamed away, so after a swap it would not fire any more.

use super::Facts;
use crate::error::Told;
use crate::mysql::attached::Trigger;

pub fn check(facts: &Facts) -> Option<Told> {
    facts.triggers.first()?;
    let list = |text: fn(&Trigger) -> String| facts.triggers.iter().map(text).collect::<Vec<_>>();
    Some(
        Told::new(format!(
            "{} has triggers, which this version does not carry over: {}",
            facts.table.name.plain(),
            list(|trigger| trigger.name.clone()).join(", ")
        ))
        .next(format!(
            "drop them first, if the application can do without: {}",
            list(Trigger::drop).join("; ")
        )),
    )
}
