//! What verifications found, on record.

use serde_json::json;

use super::fence::{Fence, FenceError};
use super::record::{Change, read_verification};
use super::store::StoreError;
use crate::lifecycle::state::Serving;
use crate::lifecycle::verification::{Outcome, Verification, named};
use crate::rows::key_range::Bound;
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, text};

/// In the order that [`read_verification`] expects.
const COLUMNS: &str = "id, change_id, serving = 'new', repair, outcome, rows_compared, findings, unsettled, excluded, \
    seconds, position, began_at, ended_at, mended, background, native";

/// What kind of verification begins.
pub struct Begun {
    pub repair: bool,
    /// The request that asked for it.
    pub request: Option<u64>,
    /// Nobody asked for it, and it is made a little at a time.
    pub background: bool,
}

/// A broken-off pass in the background that is older is not gone on with: it is to say how things are, not how they were.
const PASS_LIVES_S: u64 = 60 * 60;
/// Passes in the background that are kept on record, beside the last of each outcome in each direction.
const PASSES_KEPT: u64 = 10;

/// Puts a verification on record that begins now, and returns its number.
pub async fn begin(
    session: &mut Session,
    fence: Fence,
    serving: Serving,
    begun: &Begun,
) -> Result<u64, FenceError> {
    let Begun { repair, request, background } = begun;
    let request = request.map_or("NULL".into(), |id| id.to_string());
    let insert = format!(
        "INSERT INTO `_rsc`.`verify` (change_id, request_id, serving, repair, background) \
         VALUES ({}, {request}, '{}', {repair}, {background})",
        fence.change,
        serving.name()
    );
    fenced(session, fence, "verify.begin", &insert).await?;
    Ok(session.text("SELECT LAST_INSERT_ID()").await?.and_then(|id| id.parse().ok()).unwrap_or(0))
}

/// How far a verification has come without a finding.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Reached {
    /// All rows of the live table have been looked at, and now the shadow's are.
    pub orphans: bool,
    /// The last key that was compared.
    pub lo: Bound,
    pub rows: u64,
    pub seconds: f64,
}

/// Puts on record how far a verification has come, so that another process need not begin again.
pub async fn reach(
    session: &mut Session,
    fence: Fence,
    id: u64,
    reached: &Reached,
) -> Result<(), FenceError> {
    let update = format!(
        "UPDATE `_rsc`.`verify` SET reached = {}, rows_compared = {} WHERE id = {id}",
        string_literal(&json!(reached).to_string()),
        reached.rows
    );
    fenced(session, fence, "verify.reach", &update).await
}

/// How far the last verification of a change came, if nobody had asked for it and it was broken off without a finding.
/// `background`: the last one of that kind, of the tables as they stand, if that was not long ago.
pub async fn broken_off(
    session: &mut Session,
    change: &Change,
    serving: Serving,
    background: bool,
) -> Result<Option<Reached>, SqlError> {
    let id = change.id;
    let (kind, fresh) = match background {
        false => (String::new(), " AND NOT background".to_owned()),
        true => (
            " AND background".to_owned(),
            format!(
                " AND ended_at > NOW(3) - INTERVAL {PASS_LIVES_S} SECOND AND began_at > COALESCE((SELECT \
                 window_ends_at - INTERVAL {} SECOND FROM `_rsc`.`change` WHERE id = {id}), began_at - INTERVAL 1 SECOND)",
                change.options.revert_window_s
            ),
        ),
    };
    let last = format!(
        "SELECT reached FROM `_rsc`.`verify` WHERE id = (SELECT MAX(id) FROM `_rsc`.`verify` WHERE change_id = {id}{kind}) \
         AND outcome = '{}' AND serving = '{}' AND mismatches = 0 AND request_id IS NULL AND NOT repair{fresh}",
        Outcome::BrokenOff.name(),
        serving.name()
    );
    // What cannot be read is begun again.
    Ok(session.text(&last).await?.and_then(|reached| serde_json::from_str(&reached).ok()))
}

/// Commits something of our own, so that there is a place in the binlog behind everything that has been visible so far.
pub async fn mark(session: &mut Session, fence: Fence, id: u64) -> Result<(), FenceError> {
    let update = format!("UPDATE `_rsc`.`verify` SET marks = marks + 1 WHERE id = {id}");
    fenced(session, fence, "verify.mark", &update).await
}

/// Puts on record that rows differ, before the end: nobody is to swap the tables meanwhile.
pub async fn differs(session: &mut Session, fence: Fence, found: &Verification) -> Result<(), FenceError> {
    let update = format!(
        "UPDATE `_rsc`.`verify` SET rows_compared = {}, mismatches = {}, findings = {} WHERE id = {}",
        found.rows,
        found.mismatches(),
        string_literal(&json!(found.findings).to_string()),
        found.id
    );
    fenced(session, fence, "verify.reach", &update).await
}

/// Puts the result on record.
pub async fn end(session: &mut Session, fence: Fence, result: &Verification) -> Result<(), FenceError> {
    let update = format!(
        "UPDATE `_rsc`.`verify` SET outcome = {}, rows_compared = {}, mismatches = {}, mended = {}, unsettled = {}, findings = {}, \
         excluded = {}, native = {}, seconds = {:.3}, position = {}, ended_at = NOW(3) WHERE id = {}",
        result.outcome.map_or("NULL".into(), |outcome| format!("'{}'", outcome.name())),
        result.rows,
        result.mismatches(),
        result.mended(),
        result.unsettled,
        string_literal(&json!(result.findings).to_string()),
        string_literal(&json!(result.excluded).to_string()),
        result.native.as_ref().map_or("NULL".into(), |native| string_literal(&json!(native).to_string())),
        result.seconds,
        string_literal(&result.position),
        result.id
    );
    fenced(session, fence, "verify.end", &update).await
}

/// Those of an owner that is no more come to no end.
pub async fn give_up(session: &mut Session, fence: Fence) -> Result<(), SqlError> {
    let update = format!(
        "UPDATE `_rsc`.`verify` SET outcome = '{}', ended_at = NOW(3) WHERE change_id = {} AND outcome IS NULL",
        Outcome::BrokenOff.name(),
        fence.change
    );
    session.run(&update).await.map(|_| ())
}

async fn fenced(session: &mut Session, fence: Fence, at: &'static str, sql: &str) -> Result<(), FenceError> {
    session.run("START TRANSACTION").await?;
    let done = match fence.share(session).await {
        Ok(()) => session.run_at(at, sql).await.map(|_| ()).map_err(FenceError::from),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => session.run("COMMIT").await.map(|_| ()).map_err(FenceError::from),
        Err(error) => {
            session.run("ROLLBACK").await?;
            Err(error)
        }
    }
}

/// The last one of a change, whether it has ended or not.
pub async fn latest(session: &mut Session, change: u64) -> Result<Option<Verification>, StoreError> {
    one(session, &format!("change_id = {change} ORDER BY id DESC LIMIT 1")).await
}

/// The last one of a change that tells whether the tables differ: it came to its end, or had found something.
pub async fn evidence(session: &mut Session, change: u64) -> Result<Option<Verification>, StoreError> {
    let (equal, differs) = (Outcome::Equal.name(), Outcome::Differs.name());
    one(
        session,
        &format!(
            "change_id = {change} AND (outcome IN ('{equal}', '{differs}') OR mismatches > 0) ORDER BY id DESC LIMIT 1"
        ),
    )
    .await
}

/// The rows that are known to differ, for people; `None` if none are.
pub async fn known_difference(session: &mut Session, change: u64) -> Result<Option<String>, StoreError> {
    let found = evidence(session, change).await?.filter(|found| found.mismatches() > 0);
    Ok(found.map(|found| named(&found.findings)))
}

/// Those in the background come again and again: what is old, and not the last of its kind, goes.
pub async fn prune(session: &mut Session, change: u64) -> Result<(), SqlError> {
    let old = format!(
        "DELETE FROM `_rsc`.`verify` WHERE id IN (SELECT id FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id DESC) AS \
         place, ROW_NUMBER() OVER (PARTITION BY outcome, serving ORDER BY id DESC) AS of_its_kind \
         FROM `_rsc`.`verify` WHERE change_id = {change} AND background AND outcome IS NOT NULL) AS r \
         WHERE r.place > {PASSES_KEPT} AND r.of_its_kind > 1)"
    );
    session.run(&old).await.map(|_| ())
}

/// The one that a request asked for.
pub async fn of_request(session: &mut Session, request: u64) -> Result<Option<Verification>, StoreError> {
    one(session, &format!("request_id = {request} ORDER BY id DESC LIMIT 1")).await
}

/// All of a change, the oldest first.
pub async fn all(session: &mut Session, change: u64) -> Result<Vec<Verification>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM `_rsc`.`verify` WHERE change_id = {change} ORDER BY id");
    let rows = session.rows(&sql).await?;
    Ok(rows.iter().map(read_verification).collect::<Result<_, _>>()?)
}

async fn one(session: &mut Session, which: &str) -> Result<Option<Verification>, StoreError> {
    let row = session.first(&format!("SELECT {COLUMNS} FROM `_rsc`.`verify` WHERE {which}")).await?;
    Ok(row.as_ref().map(read_verification).transpose()?)
}

/// How long ago the last one of a change came to its end, by the server's clock, in seconds; `None` if none has since the
/// tables stand as they do.
pub async fn ended_ago_s(session: &mut Session, change: &Change) -> Result<Option<f64>, SqlError> {
    let ago = format!(
        "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ended_at), NOW(6)) / 1000000 FROM `_rsc`.`verify` \
         WHERE change_id = {} AND outcome <> '{}' AND serving = '{}'",
        change.id,
        Outcome::BrokenOff.name(),
        change.serving.name()
    );
    let row = session.first(&ago).await?;
    Ok(row.and_then(|row| text(&row, 0)).and_then(|ago| ago.parse().ok()))
}
