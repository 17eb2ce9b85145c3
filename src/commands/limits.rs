//! Whether limits can be kept at all: what cannot be read at the start would throttle for ever.

use super::{Context, sql_error};
use crate::error::{Error, Told};
use crate::journal::throttle;
use crate::lifecycle::throttle::limits::Limits;
use crate::mysql::preflight;
use crate::mysql::swap::sees_blockers;
use crate::mysql::throttle::{replicas, signals};
use crate::session::{Remedy, Session};

/// Every signal that there is a limit for is read once.
pub async fn examine(context: &Context, session: &mut Session, limits: &Limits) -> Result<(), Error> {
    replicas_answer(context, session, limits).await?;
    let status = signals::status(session, &limits.variables()).await;
    let status =
        status.map_err(|why| usage(format!("the status of the server cannot be read: {why}"), ""))?;
    for name in limits.variables() {
        if !status.contains_key(&name.to_lowercase()) {
            return Err(usage(
                format!("the server has no status variable {name} with a number"),
                "see SHOW GLOBAL STATUS, and name one of those, like Threads_running=25",
            ));
        }
    }
    if limits.max_history.is_some() {
        signals::history(session).await.map_err(|why| {
            usage(
                format!("the history list length cannot be read: {why}"),
                "GRANT PROCESS ON *.* to the account, or leave --max-history out",
            )
        })?;
    }
    if limits.min_free_disk.is_some() {
        signals::free_disk(&context.server, session).await.map_err(|why| {
            usage(format!("the free disk space cannot be read: {why}"), "leave --min-free-disk out")
        })?;
    }
    if let Some(sql) = &limits.query {
        signals::query(session, sql).await.map_err(|why| {
            usage(
                format!("the throttle query has no answer: {why}"),
                "give a query with one number; 0 lets the change go on",
            )
        })?;
    }
    if let Some(path) = &limits.flag_file {
        signals::flag_file(path).map_err(|why| {
            usage(
                format!("the flag file cannot be looked for: {why}"),
                "name a path that this account may read",
            )
        })?;
    }
    may_kill(session, limits).await
}

async fn replicas_answer(context: &Context, session: &mut Session, limits: &Limits) -> Result<(), Error> {
    if limits.max_lag.is_none() {
        return Ok(());
    }
    let source = throttle::source(session).await.map_err(sql_error)?;
    let wanted = match replicas::wanted(session, &limits.replicas).await {
        Ok(wanted) => wanted,
        // What the account lacks for every change is told with all else.
        Err(error) if error.remedy() == Remedy::Denied => return Ok(()),
        Err(error) => return Err(sql_error(error)),
    };
    for replica in wanted {
        if let Err(why) = replica.connect(&context.server, &source).await {
            return Err(usage(
                format!("replica {} cannot be measured: {why}", replica.name),
                "see that it runs and takes this account; or name the replicas to look at with \
                 --throttle-control-replicas, or `none`",
            ));
        }
    }
    Ok(())
}

async fn may_kill(session: &mut Session, limits: &Limits) -> Result<(), Error> {
    if limits.force_cutover_after.is_none() {
        return Ok(());
    }
    if let Some(lacking) = preflight::may_kill(session).await.map_err(sql_error)? {
        return Err(Error::Refused(lacking.state("nothing was touched")));
    }
    if !sees_blockers(session).await {
        return Err(Error::Refused(
            Told::new("--force-cutover-after cannot be kept: who holds a table cannot be seen")
                .state("nothing was touched")
                .next("GRANT SELECT ON performance_schema.* to the account, and see that the server keeps the instrument wait/lock/metadata/sql/mdl"),
        ));
    }
    Ok(())
}

fn usage(what: String, next: &str) -> Error {
    Error::Usage(Told::new(what).state("nothing was touched").next(next))
}
