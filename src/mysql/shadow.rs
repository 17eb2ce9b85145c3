//! Makes and drops the shadow table, and tries a statement on an empty twin.

use std::time::{Duration, Instant};

use crate::schema::statement::Alter;
use crate::schema::statement::whole::Whole;
use crate::schema::table::{TableName, check_names, quote, string_literal};
use crate::session::{Session, SqlError, text};
use crate::settings::Server;

/// Makes `shadow` an empty table with the definition that `alter` gives `live`.
///
/// The operator's text runs in a session with the server's own settings, so that it means what it means in their
/// client. A table that already has the name is dropped: it can only be a half made shadow of this change.
pub async fn build(
    server: &Server,
    live: &TableName,
    shadow: &TableName,
    alter: &Alter,
) -> Result<(), SqlError> {
    let mut session = Session::operator(server, alter.sql_mode.as_ref()).await?;
    session.run_at("shadow.clear", &format!("DROP TABLE IF EXISTS {shadow}")).await?;
    session.run_at("shadow.create", &format!("CREATE TABLE {shadow} LIKE {live}")).await?;
    run(server, &mut session, live, shadow, alter).await
}

/// Runs the operator's text on a copy of `live`, with whatever rows it has.
pub async fn alter(
    server: &Server,
    live: &TableName,
    copy: &TableName,
    alter: &Alter,
) -> Result<(), SqlError> {
    let mut session = Session::operator(server, alter.sql_mode.as_ref()).await?;
    run(server, &mut session, live, copy, alter).await
}

async fn run(
    server: &Server,
    session: &mut Session,
    live: &TableName,
    copy: &TableName,
    alter: &Alter,
) -> Result<(), SqlError> {
    let specs = match alter.constraints.is_empty() {
        true => alter.specs.clone(),
        false => alter.specs_with(&renamed_checks(server, live, copy).await?),
    };
    session.run_alone_at("shadow.alter", &format!("ALTER TABLE {copy} {specs}")).await?;
    Ok(())
}

/// Makes the table of a CREATE TABLE under another name. Other tables that it names without a schema are those of its own.
///
/// A table that already has the name is dropped, as above: nobody has written to it.
pub async fn create(server: &Server, table: &TableName, whole: &Whole) -> Result<(), SqlError> {
    let mut session = Session::operator(server, whole.sql_mode.as_ref()).await?;
    session.run(&format!("USE {}", quote(&table.schema))).await?;
    session.run_at("shadow.clear", &format!("DROP TABLE IF EXISTS {table}")).await?;
    session.run_alone_at("shadow.create", &whole.naming(table)).await.map(|_| ())
}

/// CHECK constraints have names that are unique in their schema, so LIKE names those of the shadow anew: it numbers
/// them in the order in which SHOW CREATE TABLE lists them.
async fn renamed_checks(
    server: &Server,
    live: &TableName,
    shadow: &TableName,
) -> Result<Vec<(String, String)>, SqlError> {
    // In the form in which it is read, whatever the operator's sql_mode.
    let mut session = Session::open(server).await?;
    let row = session.first(&format!("SHOW CREATE TABLE {live}")).await?;
    let names = check_names(&row.and_then(|row| text(&row, 1)).unwrap_or_default());
    let numbered = names.into_iter().enumerate();
    Ok(numbered.map(|(i, name)| (name, format!("{}_chk_{}", shadow.table, i + 1))).collect())
}

/// An empty table with the definition that a statement gives another, to look at and to try rows in. What a process
/// that was killed has left, the next one takes away.
pub struct Probe {
    pub name: TableName,
}

impl Probe {
    /// Leaves nothing behind when it fails.
    pub async fn build(
        server: &Server,
        session: &mut Session,
        live: &TableName,
        alter: &Alter,
    ) -> Result<Self, SqlError> {
        let probe = Self::reserve(session, &live.schema).await?;
        let built = build(server, live, &probe.name, alter).await;
        probe.unless_failed(session, built).await
    }

    /// What a CREATE TABLE would make.
    pub async fn create(
        server: &Server,
        session: &mut Session,
        schema: &str,
        whole: &Whole,
    ) -> Result<Self, SqlError> {
        let probe = Self::reserve(session, schema).await?;
        let created = create(server, &probe.name, whole).await;
        probe.unless_failed(session, created).await
    }

    /// An empty table like another.
    pub async fn like(session: &mut Session, live: &TableName) -> Result<Self, SqlError> {
        let probe = Self::reserve(session, &live.schema).await?;
        let created = session.run(&format!("CREATE TABLE {} LIKE {live}", probe.name)).await.map(|_| ());
        probe.unless_failed(session, created).await
    }

    async fn reserve(session: &mut Session, schema: &str) -> Result<Self, SqlError> {
        sweep(session, schema).await?;
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let probe = Self { name: TableName::new(schema, format!("{PROBE}{}", &tag[..12])) };
        session.run(&format!("DO GET_LOCK({}, 0)", probe_lock(&probe.name.table))).await?;
        Ok(probe)
    }

    async fn unless_failed(
        self,
        session: &mut Session,
        made: Result<(), SqlError>,
    ) -> Result<Self, SqlError> {
        match made {
            Ok(()) => Ok(self),
            Err(error) => {
                self.remove(session).await?;
                Err(error)
            }
        }
    }

    pub async fn remove(self, session: &mut Session) -> Result<(), SqlError> {
        drop(session, &self.name).await?;
        session.run(&format!("DO RELEASE_LOCK({})", probe_lock(&self.name.table))).await.map(|_| ())
    }

    /// Swaps two empty tables as a change swaps its own, some times, and returns how long the locks were held. The
    /// probe is as it was then.
    pub async fn rehearse(&self, server: &Server, session: &mut Session) -> Result<Vec<Duration>, SqlError> {
        let names = self.reserve_names(session).await?;
        let rehearsed = rehearse(server, &self.name, &names).await;
        self.forget(session, names).await?;
        rehearsed
    }

    /// The same for the one table of a change about a table as a whole.
    pub async fn rehearse_move(
        &self,
        server: &Server,
        session: &mut Session,
    ) -> Result<Vec<Duration>, SqlError> {
        let names = self.reserve_names(session).await?;
        let rehearsed = rehearse_move(server, &self.name, &names[0]).await;
        self.forget(session, names).await?;
        rehearsed
    }

    async fn reserve_names(&self, session: &mut Session) -> Result<[TableName; 2], SqlError> {
        let names =
            ["a", "b"].map(|end| TableName::new(&self.name.schema, format!("{}_{end}", self.name.table)));
        for name in &names {
            session.run(&format!("DO GET_LOCK({}, 0)", probe_lock(&name.table))).await?;
        }
        Ok(names)
    }

    async fn forget(&self, session: &mut Session, names: [TableName; 2]) -> Result<(), SqlError> {
        for name in &names {
            drop(session, name).await?;
            session.run(&format!("DO RELEASE_LOCK({})", probe_lock(&name.table))).await?;
        }
        Ok(())
    }
}

/// An even number: each swap undoes the one before.
const REHEARSALS: usize = 6;

async fn rehearse(
    server: &Server,
    probe: &TableName,
    [twin, other]: &[TableName; 2],
) -> Result<Vec<Duration>, SqlError> {
    let mut session = Session::open(server).await?;
    session.run(&format!("CREATE TABLE {twin} LIKE {probe}")).await?;
    session.run("SET autocommit = 0").await?;
    let (mut shadow, mut retired) = (twin, other);
    let mut took = Vec::new();
    for _ in 0..REHEARSALS {
        session.run(&format!("LOCK TABLES {probe} WRITE, {shadow} WRITE")).await?;
        let started = Instant::now();
        session.run(&format!("RENAME TABLE {probe} TO {retired}, {shadow} TO {probe}")).await?;
        session.run("UNLOCK TABLES").await?;
        took.push(started.elapsed());
        (shadow, retired) = (retired, shadow);
    }
    Ok(took)
}

async fn rehearse_move(
    server: &Server,
    probe: &TableName,
    other: &TableName,
) -> Result<Vec<Duration>, SqlError> {
    let mut session = Session::open(server).await?;
    let (mut from, mut to) = (probe, other);
    let mut took = Vec::new();
    for _ in 0..REHEARSALS {
        session.run(&format!("LOCK TABLES {from} WRITE")).await?;
        let started = Instant::now();
        session.run(&format!("RENAME TABLE {from} TO {to}")).await?;
        session.run("UNLOCK TABLES").await?;
        took.push(started.elapsed());
        (from, to) = (to, from);
    }
    Ok(took)
}

/// Behind the clauses of an ALTER: it is refused if it would not be done at once.
pub const AT_ONCE: &str = ", ALGORITHM=INSTANT";

/// Why the server would not do the statement on the table itself, at once; `None` if it would. Asked on an empty table
/// that is dropped again.
pub async fn not_instant(
    server: &Server,
    session: &mut Session,
    live: &TableName,
    alter: &Alter,
) -> Result<Option<SqlError>, SqlError> {
    // More may be appended to the clauses, as they end in a word of a clause.
    let asked = Alter { specs: format!("{}{AT_ONCE}", alter.specs), ..alter.clone() };
    match Probe::build(server, session, live, &asked).await {
        Ok(probe) => probe.remove(session).await.map(|()| None),
        Err(why @ SqlError::Server { .. }) => Ok(Some(why)),
        Err(lost) => Err(lost),
    }
}

const PROBE: &str = "_rsc_probe_";

/// Whether the name is one of a [`Probe`].
pub fn is_probe(table: &TableName) -> bool {
    table.table.starts_with(PROBE)
}

/// Held by the connection that a probe belongs to, for as long as it lives.
fn probe_lock(table: &str) -> String {
    string_literal(&format!("rsc.{table}"))
}

/// Drops the empty tables of probes whose process was killed.
async fn sweep(session: &mut Session, schema: &str) -> Result<(), SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND LEFT(TABLE_NAME, {}) = '{PROBE}'",
            string_literal(schema),
            PROBE.len()
        ))
        .await?;
    for name in rows.iter().filter_map(|row| text(row, 0)) {
        let held = session.text(&format!("SELECT IS_USED_LOCK({}) IS NULL", probe_lock(&name))).await?;
        if held.as_deref() == Some("1") {
            drop(session, &TableName::new(schema, name)).await?;
        }
    }
    Ok(())
}

pub async fn drop(session: &mut Session, table: &TableName) -> Result<(), SqlError> {
    session.run_at("shadow.drop", &format!("DROP TABLE IF EXISTS {table}")).await.map(|_| ())
}
