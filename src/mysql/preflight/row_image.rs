//! A row that is applied must be whole: images with left out columns, or JSON as differences, are not.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    match facts.variable("binlog_row_image") {
        "FULL" => None,
        other => Some(
            Told::new(format!("binlog_row_image is {other}, but the stream needs whole rows"))
                .next("SET PERSIST binlog_row_image = FULL, and reconnect the application"),
        ),
    }
}

pub fn check_partial_json(facts: &Facts) -> Option<Told> {
    match facts.variable("binlog_row_value_options") {
        "" => None,
        other => Some(
            Told::new(format!("binlog_row_value_options is {other}, but the stream needs whole JSON values"))
                .next("SET PERSIST binlog_row_value_options = '', and reconnect the application"),
        ),
    }
}
