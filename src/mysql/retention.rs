//! How long the server keeps its binlogs.

use std::collections::HashMap;

use crate::session::{Session, SqlError, text};

/// In seconds; `None`: until someone purges them.
pub async fn kept_s(session: &mut Session) -> Result<Option<u64>, SqlError> {
    let rows = session
        .rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
             ('binlog_expire_logs_seconds', 'binlog_expire_logs_auto_purge', 'expire_logs_days')",
        )
        .await?;
    Ok(kept(&rows.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect()))
}

/// The switch is there from 8.0.29 on, the days until 8.0; the seconds count where both are set.
fn kept(variables: &HashMap<String, String>) -> Option<u64> {
    if variables.get("binlog_expire_logs_auto_purge").is_some_and(|on| on == "OFF") {
        return None;
    }
    let number = |name: &str| variables.get(name).and_then(|v| v.parse::<u64>().ok()).filter(|n| *n > 0);
    number("binlog_expire_logs_seconds")
        .or_else(|| number("expire_logs_days").map(|days| days * 24 * 60 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_says_it_in_its_own_way() {
        let of = |pairs: &[(&str, &str)]| {
            kept(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        const SECONDS: &str = "binlog_expire_logs_seconds";
        const SWITCH: &str = "binlog_expire_logs_auto_purge";
        assert_eq!(of(&[(SECONDS, "2592000"), (SWITCH, "ON")]), Some(2_592_000));
        assert_eq!(of(&[(SECONDS, "2592000"), (SWITCH, "OFF")]), None);
        assert_eq!(of(&[(SECONDS, "0"), (SWITCH, "ON")]), None);
        assert_eq!(of(&[(SECONDS, "0"), ("expire_logs_days", "2")]), Some(172_800));
        assert_eq!(of(&[(SECONDS, "60"), ("expire_logs_days", "2")]), Some(60));
    }
}
