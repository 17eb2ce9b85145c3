//! The history that a change's stream stands in: what the journal keeps of it, and what the server says of it. It is kept in
//! the change's stream row, so that it can be written in one transaction with the position. How it is judged:
//! [`crate::rows::history`].

use super::fence::{Fence, FenceError};
use super::record::stream_table;
use super::store::{StoreError, read_set};
use crate::rows::history::{Mark, Run, Seen, Standing};
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, number, text};

/// The columns of a stream table that are about its history.
pub const COLUMNS: &str = "\
    `mark` VARCHAR(255) NULL COMMENT 'a transaction at the end of position, by which this history is told from another', \
    `mark_us` BIGINT UNSIGNED NULL COMMENT 'when it was first committed, in microseconds since 1970', \
    `run` VARCHAR(80) NULL COMMENT 'server_uuid and start of the server that position was last written on', \
    `trx` BIGINT UNSIGNED NULL COMMENT 'counter of transactions of InnoDB then, or less', \
    `unproven` LONGTEXT NULL COMMENT 'why the tables are to be compared before the next swap', \
    `severed` LONGTEXT NULL COMMENT 'why the stream can never go on'";

/// What the journal has of it. Without a stream row, `None`.
pub async fn standing(session: &mut Session, id: u64) -> Result<Option<Standing>, StoreError> {
    let row = session
        .first(&format!(
            "SELECT position, mark, mark_us, run, trx, unproven, severed FROM {} WHERE one = 1",
            stream_table(id)
        ))
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mark = text(&row, 1).zip(number(&row, 2)).and_then(|(gtid, us)| Mark::read(&gtid, us));
    Ok(Some(Standing {
        position: read_set(text(&row, 0))?,
        mark,
        run: text(&row, 3).and_then(|run| Run::read(&run)),
        trx: number(&row, 4),
        unproven: text(&row, 5),
        severed: text(&row, 6),
    }))
}

/// What the server says. It is asked for its counter of transactions only by [`counter`].
pub async fn look(session: &mut Session) -> Result<Seen, StoreError> {
    let row = session
        .first(
            "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged, @@GLOBAL.log_bin, @@GLOBAL.server_uuid, \
             CAST(UNIX_TIMESTAMP() - (SELECT VARIABLE_VALUE FROM performance_schema.global_status \
             WHERE VARIABLE_NAME = 'Uptime') AS SIGNED)",
        )
        .await?;
    let field = |index| row.as_ref().and_then(|row| text(row, index));
    Ok(Seen {
        executed: read_set(field(0))?,
        purged: read_set(field(1))?,
        log_bin: field(2).as_deref() == Some("1"),
        run: Run {
            server_uuid: field(3).unwrap_or_default(),
            started_s: row.as_ref().and_then(|row| number(row, 4)).unwrap_or(0),
        },
        trx: None,
    })
}

/// InnoDB's counter of transactions. `None` where the account may not see it (PROCESS), or the server is of a version whose
/// counter is no evidence.
pub async fn counter(session: &mut Session) -> Result<Option<u64>, SqlError> {
    let version = session.text("SELECT @@version").await?.unwrap_or_default();
    if !["8.", "9."].iter().any(|known| version.starts_with(known)) {
        return Ok(None);
    }
    match session.first("SHOW ENGINE INNODB STATUS").await {
        Ok(row) => Ok(row.and_then(|row| text(&row, 2)).as_deref().and_then(counter_in)),
        Err(SqlError::Server { .. }) => Ok(None),
        Err(lost) => Err(lost),
    }
}

fn counter_in(status: &str) -> Option<u64> {
    const NAME: &str = "Trx id counter ";
    let line = status.lines().find_map(|line| line.strip_prefix(NAME))?;
    line.trim().parse().ok()
}

/// What goes into the stream row with a position, as further assignments of its UPDATE.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub mark: Option<Mark>,
    pub run: Option<Run>,
    pub trx: Option<u64>,
    /// With the reasons that there were already.
    pub unproven: Option<String>,
    /// The position is a new one, and nothing of an earlier one counts.
    pub anew: bool,
}

impl Beside {
    pub fn assignments(&self) -> String {
        let mut sets = Vec::new();
        if self.anew {
            sets.push("mark = NULL, mark_us = NULL, unproven = NULL, severed = NULL".to_owned());
        }
        if let Some(mark) = &self.mark {
            let gtid = string_literal(&mark.gtid());
            sets.push(format!("mark = {gtid}, mark_us = {}", mark.committed_us));
        }
        if let Some(run) = &self.run {
            sets.push(format!("run = {}", string_literal(&run.to_string())));
        }
        if let Some(trx) = self.trx {
            sets.push(format!("trx = {trx}"));
        }
        if let Some(why) = &self.unproven {
            sets.push(format!("unproven = {}", string_literal(why)));
        }
        sets.join(", ")
    }
}

/// Puts on record what does not go with a position.
pub async fn note(session: &mut Session, fence: Fence, beside: &Beside) -> Result<(), FenceError> {
    update(session, fence, &beside.assignments()).await
}

/// The stream can never go on.
pub async fn sever(session: &mut Session, fence: Fence, why: &str) -> Result<(), FenceError> {
    update(session, fence, &format!("severed = COALESCE(severed, {})", string_literal(why))).await
}

/// The tables have been compared since `why` was put on record, and are equal.
pub async fn prove(session: &mut Session, fence: Fence, why: &str) -> Result<(), FenceError> {
    let equal = string_literal(why);
    update(session, fence, &format!("unproven = IF(unproven = {equal}, NULL, unproven)")).await
}

async fn update(session: &mut Session, fence: Fence, sets: &str) -> Result<(), FenceError> {
    let stream = stream_table(fence.change);
    let sql = format!("UPDATE {stream} SET {sets} WHERE one = 1 AND epoch = {}", fence.epoch);
    match session.run(&sql).await?.affected {
        1 => Ok(()),
        _ => Err(FenceError::Fenced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_in_the_status() {
        let status = "TRANSACTIONS\n------------\nTrx id counter 3625\nPurge done for trx's n:o < 3620\n";
        assert_eq!(counter_in(status), Some(3625));
        assert_eq!(counter_in("Trx id counter"), None);
    }
}
