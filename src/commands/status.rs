//! `rsc status <id>`: where a change stands, who drives it, whether it can be taken back, and what to type. With
//! `--watch` again and again.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Context;
use super::facts::Facts;
use crate::cli::StatusOptions;
use crate::error::{Error, Told};
use crate::output::StatusReport;
use crate::output::watch::{Glance, Lost};
use crate::session::Session;
use crate::settings::Server;

/// A server that does not answer for so long is looked for anew.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(context: &Context, options: &StatusOptions) -> Result<(), Error> {
    let (mut session, _) = context.change(options.id).await?;
    let mut facts = Facts::new(&context.server, options.id);
    let report = facts.look(&mut session).await?;
    if !options.watch {
        context.printer.status(&report);
        return Ok(());
    }
    let (tell, glances) = watch::channel(Glance::of(report));
    let looking = tokio::spawn(look_on(context.server.clone(), session, facts, options.interval, tell));
    let shown = context.printer.watch(glances, context.stop.clone()).await;
    looking.abort();
    shown.map_err(|e| Error::Unexpected(Told::new(format!("the screen cannot be shown: {e}"))))
}

/// Looks every `interval`, and tells what was seen; a connection that is lost is opened again.
async fn look_on(
    server: Server,
    session: Session,
    mut facts: Facts,
    interval: Duration,
    tell: watch::Sender<Glance>,
) {
    let mut session = Some(session);
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let looked = tokio::time::timeout(PATIENCE, look(&server, &mut session, &mut facts)).await;
        let looked = looked.unwrap_or_else(|_| Err(format!("no answer for {} s", PATIENCE.as_secs())));
        // Looking must not become work: however long it takes, the server has ten times as long without it.
        pause = interval.max(began.elapsed() * 10).min(interval + PATIENCE);
        match looked {
            Ok(report) => {
                tell.send_replace(Glance::of(report));
            }
            Err(why) => {
                session = None;
                tell.send_modify(|glance| glance.lost = Some(Lost::again(glance.lost.take(), why)));
                pause = interval;
            }
        }
    }
}

async fn look(
    server: &Server,
    session: &mut Option<Session>,
    facts: &mut Facts,
) -> Result<StatusReport, String> {
    let open = match session {
        Some(open) => open,
        none => none.insert(Session::open(server).await.map_err(|e| e.to_string())?),
    };
    facts
        .look(open)
        .await
        .map_err(|error| error.told().iter().map(|told| told.what.as_str()).collect::<Vec<_>>().join("; "))
}
