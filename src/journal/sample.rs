//! What changes were doing, on record for people. Its own transactions, outside all that moves rows; nothing is decided
//! by it, and nothing fails when it cannot be written.

use mysql_async::Row;

use super::fence::Fence;
use crate::lifecycle::sample::{Activity, RECENT, Sample, stride};
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, number, text};

/// A reason is cut to so many characters.
const REASON_MAX: usize = 500;

const COLUMNS: &str =
    "CAST(UNIX_TIMESTAMP(at) * 1000 AS UNSIGNED), activity, done, goal, applied, lag_ms, throttled";

/// The first beat that no earlier owner has used.
pub async fn next_beat(session: &mut Session, change: u64) -> Result<u64, SqlError> {
    let last =
        session.text(&format!("SELECT MAX(beat) FROM `_rsc`.`sample` WHERE change_id = {change}")).await?;
    Ok(last.and_then(|beat| beat.parse::<u64>().ok()).map_or(0, |beat| beat + 1))
}

/// Puts a sample on record; `sample.at_ms` is the server's to set. Not if somebody else drives the change by now, nor on
/// a server that is to be a replica.
pub async fn write(session: &mut Session, fence: Fence, beat: u64, sample: &Sample) -> Result<(), SqlError> {
    let lag = sample.lag_ms.map_or("NULL".into(), |ms| ms.to_string());
    let throttled = sample
        .throttled
        .as_ref()
        .map_or("NULL".into(), |why| string_literal(&why.chars().take(REASON_MAX).collect::<String>()));
    let insert = format!(
        "INSERT INTO `_rsc`.`sample` (change_id, beat, activity, done, goal, applied, lag_ms, throttled) \
         SELECT {}, {beat}, '{}', {}, {}, {}, {lag}, {throttled} FROM `_rsc`.`owner` \
         WHERE change_id = {} AND epoch = {} AND NOT (@@GLOBAL.read_only OR @@GLOBAL.super_read_only)",
        fence.change,
        sample.activity.name(),
        sample.done,
        sample.goal,
        sample.applied,
        fence.change,
        fence.epoch,
    );
    session.run(&insert).await.map(|_| ())
}

/// Lets go of older samples that are too many by now. What one had to tell goes into the one that stays before it.
pub async fn thin(session: &mut Session, change: u64, beat: u64) -> Result<(), SqlError> {
    let stride = stride(beat);
    let older = format!("change_id = {change} AND beat < {}", beat.saturating_sub(RECENT));
    if stride == 1 {
        return Ok(());
    }
    session.run("START TRANSACTION").await?;
    let merge = format!(
        "UPDATE `_rsc`.`sample` AS kept JOIN (SELECT beat - beat % {stride} AS beat, MAX(lag_ms) AS lag_ms, \
         MAX(throttled) AS throttled FROM `_rsc`.`sample` WHERE {older} GROUP BY 1) AS merged USING (beat) \
         SET kept.lag_ms = merged.lag_ms, kept.throttled = merged.throttled WHERE kept.change_id = {change}"
    );
    let drop = format!("DELETE FROM `_rsc`.`sample` WHERE {older} AND beat % {stride} <> 0");
    let done = match session.run(&merge).await {
        Ok(_) => session.run(&drop).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => session.run("COMMIT").await.map(|_| ()),
        Err(error) => {
            session.run("ROLLBACK").await?;
            Err(error)
        }
    }
}

/// All of a change, the oldest first.
pub async fn series(session: &mut Session, change: u64) -> Result<Vec<Sample>, SqlError> {
    let sql = format!("SELECT {COLUMNS} FROM `_rsc`.`sample` WHERE change_id = {change} ORDER BY beat");
    Ok(session.rows(&sql).await?.iter().filter_map(|row| read(row, 0)).collect())
}

/// The last one of each change.
pub async fn latest(session: &mut Session) -> Result<Vec<(u64, Sample)>, SqlError> {
    let sql = format!(
        "SELECT change_id, {COLUMNS} FROM `_rsc`.`sample` \
         JOIN (SELECT change_id, MAX(beat) AS beat FROM `_rsc`.`sample` GROUP BY change_id) AS last \
         USING (change_id, beat)"
    );
    let rows = session.rows(&sql).await?;
    Ok(rows.iter().filter_map(|row| Some((number(row, 0)?, read(row, 1)?))).collect())
}

/// `None` for what another version wrote.
fn read(row: &Row, from: usize) -> Option<Sample> {
    Some(Sample {
        at_ms: number(row, from)?,
        activity: Activity::parse(&text(row, from + 1)?)?,
        done: number(row, from + 2)?,
        goal: number(row, from + 3)?,
        applied: number(row, from + 4)?,
        lag_ms: number(row, from + 5),
        throttled: text(row, from + 6),
    })
}
