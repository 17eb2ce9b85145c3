//! Heartbeats, by which replicas are measured, and what throttles a change at the moment, for people. Nothing is decided
//! from the second; what throttles next, the next look at the server tells.

use serde_json::json;

use super::fence::Fence;
use crate::lifecycle::throttle::Verdict;
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, number, text};

/// What is older says nothing of the moment.
const FRESH_S: u64 = 10;

/// The server's uuid, under which its heartbeats stand.
pub async fn source(session: &mut Session) -> Result<String, SqlError> {
    Ok(session.text("SELECT @@GLOBAL.server_uuid").await?.unwrap_or_default())
}

/// Writes a heartbeat, and returns it. Several processes may write the same row.
pub async fn beat(session: &mut Session, source: &str) -> Result<u64, SqlError> {
    let now = session.text("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)").await?;
    let now: u64 = now.and_then(|now| now.parse().ok()).unwrap_or(0);
    let at = format!("FROM_UNIXTIME({}.{:06})", now / 1_000_000, now % 1_000_000);
    // One unique key, so ON DUPLICATE KEY UPDATE can only mean this row.
    session
        .run(&format!(
            "INSERT INTO `_rsc`.`heartbeat` (source, beat, at) VALUES ({}, {now}, {at}) \
             ON DUPLICATE KEY UPDATE beat = {now}, at = {at}",
            string_literal(source)
        ))
        .await?;
    Ok(now)
}

/// The heartbeat of `source` that this server has.
pub async fn seen(session: &mut Session, source: &str) -> Result<Option<u64>, SqlError> {
    let beat = format!("SELECT beat FROM `_rsc`.`heartbeat` WHERE source = {}", string_literal(source));
    match session.first(&beat).await {
        Ok(row) => Ok(row.and_then(|row| number(&row, 0))),
        // The table has not arrived yet.
        Err(SqlError::Server { code: 1146 | 1049, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts on record what a look at the signals came to, for as long as the fence stands.
pub async fn record(session: &mut Session, fence: Fence, verdict: &Verdict) -> Result<(), SqlError> {
    let throttled = !verdict.free();
    let reasons: Vec<String> =
        verdict.reasons.iter().map(ToString::to_string).chain(verdict.critical.clone()).collect();
    let reasons = string_literal(&json!(reasons).to_string());
    let lag = verdict.lag.map_or("NULL".into(), |lag| format!("{:.3}", lag.as_secs_f64() * 1000.0));
    let (change, epoch) = (fence.change, fence.epoch);
    let since = if throttled { "COALESCE(since, NOW(3))" } else { "NULL" };
    let first = if throttled { "NOW(3)" } else { "NULL" };
    session
        .run(&format!(
            "INSERT INTO `_rsc`.`throttle` (change_id, throttled, reasons, since, lag_ms, read_at) \
             SELECT {change}, {throttled}, {reasons}, {first}, {lag}, NOW(3) FROM `_rsc`.`owner` AS o \
             WHERE o.change_id = {change} AND o.epoch = {epoch} \
             ON DUPLICATE KEY UPDATE throttled = {throttled}, reasons = {reasons}, since = {since}, \
             lag_ms = {lag}, read_at = NOW(3)"
        ))
        .await
        .map(|_| ())
}

/// Nothing throttles, because nothing is done that could be throttled.
pub async fn forget(session: &mut Session, fence: Fence) -> Result<(), SqlError> {
    let forget = format!("DELETE FROM `_rsc`.`throttle` WHERE change_id = {}", fence.change);
    session.run(&forget).await.map(|_| ())
}

/// What throttles a change, if that was looked at just now.
#[derive(Clone, Debug, PartialEq)]
pub struct Now {
    pub throttled: bool,
    pub reasons: Vec<String>,
    /// Server time, UTC.
    pub since: Option<String>,
    /// And in seconds, by the server's clock.
    pub for_s: Option<f64>,
    pub lag_ms: Option<f64>,
}

pub async fn now(session: &mut Session, change: u64) -> Result<Option<Now>, SqlError> {
    let row = session
        .first(&format!(
            "SELECT throttled, reasons, since, TIMESTAMPDIFF(MICROSECOND, since, NOW(6)) / 1000000, lag_ms \
             FROM `_rsc`.`throttle` WHERE change_id = {change} AND read_at > NOW(3) - INTERVAL {FRESH_S} SECOND"
        ))
        .await?;
    Ok(row.map(|row| Now {
        throttled: number(&row, 0) == Some(1),
        reasons: serde_json::from_str(&text(&row, 1).unwrap_or_default()).unwrap_or_default(),
        since: text(&row, 2),
        for_s: text(&row, 3).and_then(|s| s.parse().ok()),
        lag_ms: text(&row, 4).and_then(|ms| ms.parse().ok()),
    }))
}
