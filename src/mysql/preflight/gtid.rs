//! Positions are GTID sets: they are exact, and survive a failover.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    match facts.variable("gtid_mode") {
        "ON" => None,
        other => Some(
            Told::new(format!("gtid_mode is {other}, but positions in the binlog are kept as GTIDs")).next(
                "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; \
             SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON",
            ),
        ),
    }
}
