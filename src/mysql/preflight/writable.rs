//! A change is made on the primary; replicas receive it.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    let on = ["read_only", "super_read_only", "innodb_read_only"]
        .into_iter()
        .find(|name| facts.variable(name) == "ON")?;
    Some(
        Told::new(format!("the server is read-only ({on} is ON)"))
            .next("connect to the primary; or, if this is the primary, SET GLOBAL read_only = OFF"),
    )
}
