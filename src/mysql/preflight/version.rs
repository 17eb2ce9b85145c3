//! LOCK TABLES must allow RENAME TABLE, which MySQL does since 8.0.13; MariaDB has other GTIDs.

use super::Facts;
use crate::error::Told;

pub fn check(facts: &Facts) -> Option<Told> {
    let version = facts.variable("version");
    if version.to_lowercase().contains("mariadb") {
        return Some(
            Told::new(format!("the server is MariaDB ({version}), whose GTIDs and binlog are not MySQL's"))
                .next("use rsc with MySQL 8.0.13 or later"),
        );
    }
    let numbers: Vec<u32> =
        version.split(|c: char| !c.is_ascii_digit()).take(3).map(|n| n.parse().unwrap_or(0)).collect();
    if numbers.as_slice() >= [8, 0, 13].as_slice() {
        return None;
    }
    Some(
        Told::new(format!("MySQL {version} cannot rename tables under LOCK TABLES, which the swap needs"))
            .next("upgrade to MySQL 8.0.13 or later"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_compared_number_by_number() {
        let mut facts = super::super::facts::sample();
        for (version, refused) in [
            ("8.0.13-log", false),
            ("8.0.12", true),
            ("5.7.44", true),
            ("9.7.4", false),
            ("11.4.2-MariaDB", true),
        ] {
            facts.variables.insert("version".into(), version.into());
            assert_eq!(check(&facts).is_some(), refused, "{version}");
        }
    }
}
