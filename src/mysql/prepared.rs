//! XA transactions that are prepared and hold a table: their rows are in the binlog already, and in the table when they
//! are committed. A stream that begins between the two has neither.
//!
//! `XA RECOVER` lists all of them, but not their tables, and needs XA_RECOVER_ADMIN. The metadata locks tell who has the
//! table: a prepared transaction keeps its own, detached from its session and after a restart too; then no connection
//! holds them. One that is still attached is a connection that does nothing.

use crate::schema::table::{TableName, string_literal};
use crate::session::{Session, SqlError, number, text};

use super::swap::sees_blockers;

/// What is known of prepared transactions that may have rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// All of the server, as `XA RECOVER CONVERT XID` has their data. `None`: the account may not see them.
    names: Option<Vec<String>>,
    /// Threads that hold the table and do nothing, and whether one has no connection. `None`: the account may not see
    /// them.
    holders: Option<Vec<(u64, bool)>>,
}

impl Prepared {
    /// Whether one may hold the table.
    pub fn any(&self) -> bool {
        match (&self.names, &self.holders) {
            (Some(names), Some(holders)) => !names.is_empty() && !holders.is_empty(),
            (Some(names), None) => !names.is_empty(),
            (None, Some(holders)) => holders.iter().any(|(_, detached)| *detached),
            (None, None) => false,
        }
    }

    /// Those of them that held it before as well: whoever came since began after, or is another one.
    pub fn still(self, before: &Prepared) -> Self {
        let holders = match (self.holders, &before.holders) {
            (Some(now), Some(then)) => Some(now.into_iter().filter(|held| then.contains(held)).collect()),
            (now, _) => now,
        };
        let names = match (self.names, &before.names) {
            (Some(now), Some(then)) => Some(now.into_iter().filter(|name| then.contains(name)).collect()),
            (now, _) => now,
        };
        Self { names, holders }
    }

    /// Neither can be seen.
    pub fn unseen(&self) -> bool {
        self.names.is_none() && self.holders.is_none()
    }

    /// What is waited for, for people.
    pub fn waits_for(&self, table: &TableName) -> String {
        let names = match self.names.as_deref() {
            Some([]) | None => String::new(),
            Some(names) => format!(" ({})", names.join(", ")),
        };
        format!(
            "a prepared XA transaction{names} holds {}; its rows would be missing: XA COMMIT or XA ROLLBACK it (XA RECOVER \
             CONVERT XID lists them)",
            table.plain()
        )
    }
}

pub async fn look(session: &mut Session, table: &TableName) -> Result<Prepared, SqlError> {
    let names = match session.rows("XA RECOVER CONVERT XID").await {
        Ok(rows) => Some(rows.iter().filter_map(|row| text(row, 3)).collect()),
        Err(SqlError::Server { .. }) => None,
        Err(lost) => return Err(lost),
    };
    let holders = match sees_blockers(session).await {
        true => Some(holders(session, table).await?),
        false => None,
    };
    Ok(Prepared { names, holders })
}

async fn holders(session: &mut Session, table: &TableName) -> Result<Vec<(u64, bool)>, SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT m.OWNER_THREAD_ID, t.PROCESSLIST_ID IS NULL FROM performance_schema.metadata_locks m \
             LEFT JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
             WHERE m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = {} AND m.OBJECT_NAME = {} \
             AND m.LOCK_STATUS = 'GRANTED' AND m.LOCK_TYPE LIKE '%WRITE%' \
             AND (t.PROCESSLIST_ID IS NULL OR t.PROCESSLIST_COMMAND = 'Sleep') AND COALESCE(t.PROCESSLIST_ID, 0) <> CONNECTION_ID()",
            string_literal(&table.schema),
            string_literal(&table.table)
        ))
        .await?;
    Ok(rows.iter().map(|row| (number(row, 0).unwrap_or(0), number(row, 1) == Some(1))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(names: Option<&[&str]>, holders: Option<&[(u64, bool)]>) -> Prepared {
        Prepared {
            names: names.map(|names| names.iter().map(|name| (*name).into()).collect()),
            holders: holders.map(<[_]>::to_vec),
        }
    }

    #[test]
    fn only_one_that_may_hold_the_table_is_waited_for() {
        assert!(!prepared(Some(&[]), Some(&[(7, false)])).any());
        assert!(!prepared(Some(&["0x78"]), Some(&[])).any());
        assert!(prepared(Some(&["0x78"]), Some(&[(7, false)])).any());
        assert!(prepared(Some(&["0x78"]), None).any());
        assert!(prepared(None, Some(&[(7, true)])).any());
        assert!(!prepared(None, Some(&[(7, false)])).any(), "an idle transaction like others");
        assert!(prepared(None, None).unseen());
    }

    #[test]
    fn who_came_later_is_not_waited_for() {
        let before = prepared(Some(&["a", "b"]), Some(&[(1, true), (2, false)]));
        let now = prepared(Some(&["b", "c"]), Some(&[(3, false)]));
        assert!(!now.clone().still(&before).any());
        assert!(prepared(Some(&["b"]), Some(&[(2, false)])).still(&before).any());
    }
}
