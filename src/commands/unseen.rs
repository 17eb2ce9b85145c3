//! How far the stream of a change is behind the server, when nobody follows it.

use super::{sql_error, store_error};
use crate::error::Error;
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::lifecycle::unseen::{Unseen, possible};
use crate::mysql::binlog::stream;
use crate::session::{Remedy, Session};
use crate::settings::Server;

/// `None`: somebody follows the stream, or there is nothing to follow, or nothing has happened since.
pub async fn look(
    server: &Server,
    session: &mut Session,
    change: &Change,
    owner_alive: bool,
) -> Result<Option<Unseen>, Error> {
    let blocked = change.reason.is_some();
    if change.options.kind.whole() || !possible(change.state, owner_alive, change.paused, blocked) {
        return Ok(None);
    }
    let position = match store::position(session, change.id).await {
        Ok(position) => position,
        // The verdict says so.
        Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => return Ok(None),
        Err(error) => return Err(store_error(error)),
    };
    let executed = store::executed(session).await.map_err(store_error)?;
    let transactions = executed.subtract(&position).count();
    if transactions == 0 {
        return Ok(None);
    }
    let since = match stream::oldest_needed(server, &position).await {
        Ok(Some(at)) => session
            .text(&format!("SELECT FROM_UNIXTIME({at})"))
            .await
            .map_err(sql_error)?
            .map(|at| at.split('.').next().unwrap_or_default().to_owned()),
        Ok(None) | Err(_) => None,
    };
    Ok(Some(Unseen { transactions, since }))
}
