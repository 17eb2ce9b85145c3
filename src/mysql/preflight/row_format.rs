//! The stream reads row images; statements cannot be replayed exactly.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    if facts.variable("log_bin") != "ON" {
        return Some(
            Told::new("the server writes no binlog, which the stream is read from")
                .next("start mysqld with log_bin, and without skip_log_bin"),
        );
    }
    match facts.variable("binlog_format") {
        "ROW" | "" => None,
        other => Some(
            Told::new(format!("binlog_format is {other}, but the stream needs the rows themselves"))
                .next("SET PERSIST binlog_format = ROW, and reconnect the application"),
        ),
    }
}
