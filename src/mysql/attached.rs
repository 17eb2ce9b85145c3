//! What hangs on a table, so that it would stay with it, or follow it, when the table takes another name: triggers, and
//! foreign keys from and to it. And what of that the account cannot see.
//!
//! What the server does not show is not absent. Three ways lead to a foreign key of another schema:
//!
//! 1. any privilege on the table that has it;
//! 2. PROCESS, which shows InnoDB's list of all keys;
//! 3. the metadata locks of a connection. Whoever is to delete rows of a table, or has it locked by LOCK TABLES, has all
//!    tables locked that refer to it, whatever the account may do with those, and performance_schema names them. That is
//!    complete if the locks are recorded at all, which the table itself shows by being among them, and if none was left
//!    out for want of memory, which the server counts. To be asked this way the server need not change anything: it opens
//!    the tables of an EXPLAIN DELETE as well.
//!
//! The third tells no names of keys. It also names tables that are further away (children of children where deletes are
//! passed on, tables that a trigger uses): they are taken for children, for whoever cannot see them cannot tell.
//!
//! Triggers have but one way: TRIGGER on the table or its schema.
//!
//! # Nothing comes later than under the lock
//!
//! CREATE TRIGGER, and every statement that adds, moves or drops a foreign key that points at a table, takes a lock on
//! that table that nobody gets beside LOCK TABLES … WRITE, also with foreign_key_checks=0. So what is seen under the lock
//! of a swap holds until the RENAME. tests/it/later.rs tries it.

use super::foreign_keys::{self, ForeignKey, that_would_follow, that_would_go_on};
use super::preflight::{Grants, account, granting, grants};
use crate::error::Told;
use crate::schema::table::{TableName, quote, string_literal};
use crate::session::{Session, SqlError, text};

/// All that could be seen of one table, and of another that is to take its name.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    pub keys: Vec<ForeignKey>,
    pub triggers: Vec<Trigger>,
    pub unseen: Vec<Unseen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    pub on: TableName,
}

/// What may be there without being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    Triggers,
    Keys,
}

/// Whose metadata locks name the tables that refer to another.
#[derive(Clone, Copy, Debug)]
pub enum Locks {
    /// The session's own, in a transaction that is about to delete nothing.
    Own,
    /// Those of the connection that has the tables locked.
    Of(u32),
}

/// The tables that are looked at: the one whose attachments count, and one that is to take its name, whose triggers count
/// as well.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    pub live: &'a TableName,
    pub shadow: Option<&'a TableName>,
}

/// Looks with the account's rights as they are now.
pub async fn look(session: &mut Session, looked: Looked<'_>) -> Result<Attached, SqlError> {
    let grants = grants(session).await?;
    look_as(session, &grants, looked, Locks::Own).await
}

/// The same where the rights are known.
pub async fn look_as(
    session: &mut Session,
    grants: &Grants,
    looked: Looked<'_>,
    locks: Locks,
) -> Result<Attached, SqlError> {
    let live = looked.live;
    let mut found = Attached {
        keys: foreign_keys::visible(session, &[live]).await?,
        triggers: triggers(session, looked).await?,
        unseen: Vec::new(),
    };
    if !grants.on_table("TRIGGER", live) {
        found.unseen.push(Unseen::Triggers);
    }
    if grants.sees_all_tables() {
        return Ok(found);
    }
    let others = match grants.globally("PROCESS") {
        true => Some(foreign_keys::all_pointing(session, &[live], grants.folded()).await?),
        false => hidden_children(session, looked, locks).await?,
    };
    match others {
        Some(others) => {
            let new: Vec<ForeignKey> = others.into_iter().filter(|key| !found.keys.contains(key)).collect();
            found.keys.extend(new);
        }
        None => found.unseen.push(Unseen::Keys),
    }
    Ok(found)
}

async fn triggers(session: &mut Session, looked: Looked<'_>) -> Result<Vec<Trigger>, SqlError> {
    let schema = &looked.live.schema;
    let names = [Some(looked.live), looked.shadow].into_iter().flatten();
    let names: Vec<String> = names.map(|table| string_literal(&table.table)).collect();
    let rows = session
        .rows(&format!(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE IN ({}) ORDER BY 1",
            string_literal(schema),
            names.join(", ")
        ))
        .await?;
    let trigger =
        |row| Some(Trigger { name: text(row, 0)?, on: TableName::new(schema.clone(), text(row, 1)?) });
    Ok(rows.iter().filter_map(trigger).collect())
}

/// `None` where the locks do not tell.
async fn hidden_children(
    session: &mut Session,
    looked: Looked<'_>,
    locks: Locks,
) -> Result<Option<Vec<ForeignKey>>, SqlError> {
    let live = looked.live;
    let named = match locks {
        Locks::Of(connection) => locked(session, connection).await,
        Locks::Own => {
            let opened = opened(session, live).await;
            match opened {
                Ok(()) => {
                    let own = session.id();
                    let named = locked(session, own).await;
                    session.run("COMMIT").await?;
                    named
                }
                Err(error) => Err(error),
            }
        }
    };
    let named = match named {
        Ok(named) if named.contains(live) => named,
        // Not recorded, not all of them, or this account may not read them, or not delete.
        Ok(_) | Err(SqlError::Server { .. }) => return Ok(None),
        Err(lost) => return Err(lost),
    };
    let mut hidden = Vec::new();
    for table in named {
        if table != *live && Some(&table) != looked.shadow && !visible(session, &table).await? {
            hidden.push(ForeignKey { name: String::new(), of: table, to: live.clone() });
        }
    }
    Ok(Some(hidden))
}

/// Opens a transaction that has all tables open that a DELETE of the table's rows would need. It waits for none for long.
async fn opened(session: &mut Session, live: &TableName) -> Result<(), SqlError> {
    session
        .run(
            "SET @rsc_wait = @@SESSION.lock_wait_timeout, @rsc_checks = @@SESSION.foreign_key_checks, \
             SESSION lock_wait_timeout = 1, SESSION foreign_key_checks = 1",
        )
        .await?;
    session.run("START TRANSACTION").await?;
    let opened = session.rows(&format!("EXPLAIN DELETE FROM {live} WHERE FALSE")).await.map(|_| ());
    session
        .run("SET SESSION lock_wait_timeout = @rsc_wait, SESSION foreign_key_checks = @rsc_checks")
        .await?;
    if let Err(SqlError::Server { .. }) = opened {
        session.run("ROLLBACK").await?;
    }
    opened
}

/// The tables that a connection has locked. Empty if that is not certain.
async fn locked(session: &mut Session, connection: u32) -> Result<Vec<TableName>, SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT m.OBJECT_SCHEMA, m.OBJECT_NAME FROM performance_schema.metadata_locks m \
             JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
             WHERE t.PROCESSLIST_ID = {connection} AND m.OBJECT_TYPE = 'TABLE' AND m.LOCK_STATUS = 'GRANTED' \
             AND m.OBJECT_SCHEMA NOT IN ('performance_schema', '_rsc') \
             AND (SELECT VARIABLE_VALUE FROM performance_schema.global_status \
             WHERE VARIABLE_NAME = 'Performance_schema_metadata_lock_lost') = '0' \
             GROUP BY 1, 2 ORDER BY 1, 2"
        ))
        .await?;
    Ok(rows.iter().filter_map(|row| Some(TableName::new(text(row, 0)?, text(row, 1)?))).collect())
}

async fn visible(session: &mut Session, table: &TableName) -> Result<bool, SqlError> {
    let row = session
        .first(&format!(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&table.schema),
            string_literal(&table.table)
        ))
        .await?;
    Ok(row.is_some())
}

impl Trigger {
    pub fn drop(&self) -> String {
        format!("DROP TRIGGER {}.{}", quote(&self.on.schema), quote(&self.name))
    }
}

impl Attached {
    /// What keeps a swap of two tables from being made.
    pub fn against_swap(&self, live: &TableName) -> Option<Told> {
        let (mut whats, mut nexts) = (Vec::new(), Vec::new());
        let keys = [that_would_follow(&self.keys, live), that_would_go_on(&self.keys, live)];
        for told in keys.into_iter().flatten().chain(self.fired()) {
            whats.push(told.what);
            nexts.push(told.next);
        }
        let next =
            format!("drop it, if the application can do without, or after the change: {}", nexts.join("; "));
        (!whats.is_empty()).then(|| Told::new(whats.join("; ")).next(next))
    }

    /// A trigger stays with its table: one of the live table would not fire any more, and one of the other table would
    /// begin to, having fired for rows that rsc wrote there.
    fn fired(&self) -> Option<Told> {
        let list = |text: fn(&Trigger) -> String| self.triggers.iter().map(text).collect::<Vec<_>>();
        let on = self.triggers.first()?.on.plain();
        Some(
            Told::new(format!(
                "{on} has triggers, which stay with the table that is renamed: {}",
                list(|trigger| trigger.name.clone()).join(", ")
            ))
            .next(list(Trigger::drop).join("; ")),
        )
    }

    /// What is unknown, each with the grant that would tell, and what may be done without.
    pub fn unknown(&self, grants: &Grants, live: &TableName) -> Vec<Told> {
        self.unseen.iter().map(|unseen| unseen.told(grants, live)).collect()
    }
}

impl Unseen {
    pub fn told(self, grants: &Grants, live: &TableName) -> Told {
        let (user, to) = (&grants.user, account(&grants.user));
        let (what, grant) = match self {
            Unseen::Triggers => (
                format!("whether {} has triggers is unknown: the server shows none to {user}", live.plain()),
                format!("GRANT TRIGGER ON {}.* TO {to}", quote(&live.schema)),
            ),
            Unseen::Keys => (
                format!(
                    "whether foreign keys of other schemas point at {} is unknown: the server shows {user} only those \
                     of tables that it has a privilege on",
                    live.plain()
                ),
                format!("GRANT PROCESS ON *.* TO {to}"),
            ),
        };
        Told::new(what).next(granting(grants, grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_hangs_on_the_table_is_named_with_what_drops_it() {
        let [t, child] = [("d", "t"), ("other", "child")].map(|(schema, name)| TableName::new(schema, name));
        let key = |name: &str| ForeignKey { name: name.into(), of: child.clone(), to: t.clone() };
        let trigger = Trigger { name: "tr".into(), on: t.clone() };
        let all = Attached { keys: vec![key("k"), key("")], triggers: vec![trigger], unseen: vec![] };
        let told = all.against_swap(&t).expect("in the way");
        for part in [
            "k (other.child)",
            "one of other.child, which this account may not see",
            "d.t has triggers",
            "tr",
        ] {
            assert!(told.what.contains(part), "{told}");
        }
        assert!(told.next.contains("ALTER TABLE `other`.`child` DROP FOREIGN KEY `k`"), "{}", told.next);
        assert!(told.next.ends_with("DROP TRIGGER `d`.`tr`"), "{}", told.next);
        assert_eq!(Attached::default().against_swap(&t), None);
    }
}
