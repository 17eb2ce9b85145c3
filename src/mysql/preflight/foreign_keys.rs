//! A foreign key follows a renamed table, so after a swap it would point at the table that does not serve; and
//! cascades may not be in the binlog.

use super::Facts;
use crate::error::Told;
use crate::mysql::foreign_keys::{ForeignKey, that_would_follow, that_would_go_on};

pub fn check(facts: &Facts) -> Option<Told> {
    if facts.foreign_keys.is_empty() {
        return None;
    }
    Some(
        Told::new(format!(
            "{} has or is referenced by foreign keys, which this version does not carry over: {}",
            facts.table.name.plain(),
            facts.foreign_keys.iter().map(ForeignKey::shown).collect::<Vec<_>>().join(", ")
        ))
        .next(format!(
            "drop them first, if the application can do without: {}",
            facts.foreign_keys.iter().map(ForeignKey::drop).collect::<Vec<_>>().join("; ")
        )),
    )
}

/// For a table that goes as a whole: only what reaches other tables is in its way.
pub fn check_pointing(facts: &Facts) -> Option<Told> {
    that_would_follow(&facts.foreign_keys, &facts.table.name)
}

pub fn check_own(facts: &Facts) -> Option<Told> {
    that_would_go_on(&facts.foreign_keys, &facts.table.name)
}
