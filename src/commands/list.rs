//! `rsc list`: all changes on the server, the newest first.

use super::{Context, sql_error, store_error};
use crate::error::Error;
use crate::journal::{fence, store};
use crate::mysql::leftover;

pub async fn run(context: &Context) -> Result<(), Error> {
    let mut session = context.session().await?;
    let mut listed = Vec::new();
    if store::installed(&mut session).await.map_err(store_error)? {
        for change in store::list(&mut session).await.map_err(store_error)? {
            let owner = fence::owner(&mut session, change.id).await.map_err(sql_error)?;
            listed.push((change, owner.is_some_and(|o| o.alive)));
        }
    }
    context.printer.list(&listed);
    for left in leftover::all(&mut session).await.map_err(store_error)? {
        context.printer.remark(&format!(
            "note: {} is left of a change that the journal does not know any more; \
             see whether it has rows that are needed, and drop it",
            left.plain()
        ));
    }
    Ok(())
}
