//! What a snapshot sees must be a prefix of the binlog. Only ordered commits give that.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    match facts.variable("binlog_order_commits") {
        "ON" => None,
        _ => Some(
            Told::new("binlog_order_commits is OFF, so rows may become visible in another order than they are streamed")
                .next("SET PERSIST binlog_order_commits = ON"),
        ),
    }
}
