//! Makes and drops the shadow table, and tries a statement on an empty twin.

use super::inspect::{self, Found};
use crate::schema::statement::Alter;
use crate::schema::table::{Table, TableName};
use crate::session::{Session, SqlError};
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
    let mut session = Session::plain(server).await?;
    session.run_at("shadow.clear", &format!("DROP TABLE IF EXISTS {shadow}")).await?;
    session.run_at("shadow.create", &format!("CREATE TABLE {shadow} LIKE {live}")).await?;
    session.run_at("shadow.alter", &format!("ALTER TABLE {shadow} {}", alter.specs)).await?;
    Ok(())
}

/// What `alter` would make of `live`, asked of the server. Leaves nothing behind.
pub async fn probe(
    server: &Server,
    session: &mut Session,
    live: &TableName,
    alter: &Alter,
) -> Result<Option<Table>, SqlError> {
    let tag = uuid::Uuid::new_v4().simple().to_string();
    let probe = TableName::new(&live.schema, format!("_rsc_probe_{}", &tag[..12]));
    let built = build(server, live, &probe, alter).await;
    let found = match &built {
        Ok(()) => inspect::find(session, &probe).await,
        Err(_) => Ok(Found::Nothing),
    };
    let dropped = drop(session, &probe).await;
    built?;
    let found = found?;
    dropped?;
    Ok(match found {
        Found::Table(table) => Some(*table),
        Found::View | Found::Nothing => None,
    })
}

pub async fn drop(session: &mut Session, table: &TableName) -> Result<(), SqlError> {
    session.run_at("shadow.drop", &format!("DROP TABLE IF EXISTS {table}")).await.map(|_| ())
}
