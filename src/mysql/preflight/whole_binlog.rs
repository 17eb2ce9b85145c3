//! What is not in the binlog is not in the stream: a filter, or a replica that does not log what it replicates, would
//! lose rows without a word.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    if facts.binlog_filters.is_empty() {
        return None;
    }
    Some(
        Told::new(format!(
            "the server filters what it writes to the binlog (binlog_do_db or binlog_ignore_db: {}), so the stream \
             would miss rows",
            facts.binlog_filters
        ))
        .next("start mysqld without binlog-do-db and binlog-ignore-db"),
    )
}

pub fn check_replicated(facts: &Facts) -> Option<Told> {
    let off =
        ["log_replica_updates", "log_slave_updates"].into_iter().find(|v| facts.variable(v) == "OFF")?;
    Some(
        Told::new(format!(
            "{off} is OFF, so rows that arrive by replication would be missing from the stream"
        ))
        .next(format!("start mysqld with {off} = ON")),
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn a_filtered_binlog_is_refused() {
        let mut facts = sample();
        assert_eq!(check(&facts), None);
        facts.binlog_filters = "test".into();
        assert!(check(&facts).is_some());
    }
}
