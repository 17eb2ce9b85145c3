//! One file a verb. A command decides nothing about a change: it asks the owner, or runs the engine.

mod agent;
mod asking;
mod compensate;
mod config;
mod facts;
mod in_place;
mod judgement;
mod likeness;
mod limits;
mod list;
mod losses;
mod manual;
mod migrate;
mod native;
mod plan;
mod report;
mod set;
mod sql_mode;
mod statement;
mod status;
mod unseen;
mod verify;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::audience::Audience;
use crate::cli::configured::Settings;
use crate::cli::{AgentOptions, Cli, Command, Telling};
use crate::engine::{self, Job, Until};
use crate::error::{Error, Told};
use crate::journal::fence::Birth;
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::Verb;
use crate::mysql::{leftover, preflight};
use crate::output::Printer;
use crate::schema::table::quote;
use crate::session::{Remedy, Session, SqlError};
use crate::settings::Server;

/// What every command has at hand.
pub struct Context {
    pub server: Server,
    pub settings: Settings,
    pub printer: Arc<Printer>,
    pub audience: Arc<Audience>,
    /// Becomes true when the process is to end.
    pub stop: watch::Receiver<bool>,
}

pub async fn run(
    cli: Cli,
    settings: Settings,
    printer: Arc<Printer>,
    stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    match &cli.command {
        Command::Config => return config::run(&cli.connection, &settings, &printer),
        Command::Man(options) => return manual::pages(options, &printer),
        Command::Completions(options) => return manual::completions(options, &printer),
        _ => {}
    }
    let mut server = cli.connection.server(&settings)?;
    if let Command::Agent(AgentOptions { password_from_stdin: true, .. }) = &cli.command {
        server.password = password_from_stdin();
    }
    let nobody = Telling::default();
    let telling = cli.command.telling().unwrap_or(&nobody);
    let audience = Audience::gather(Arc::clone(&printer), &telling.hooks, telling.metrics, &server)?;
    let context = Context { server, settings, printer, audience: Arc::new(audience), stop };
    let outcome = obey(&context, &cli.command, cli.connection.database.as_deref()).await;
    context.audience.finish().await;
    outcome
}

async fn obey(context: &Context, command: &Command, database: Option<&str>) -> Result<(), Error> {
    match command {
        Command::Plan(plan) => plan::run(context, plan, database).await,
        Command::Migrate(migrate) => migrate::run(context, migrate, database).await,
        Command::Cutover(swap) => {
            asking::run(context, swap.drive.id, Verb::Cutover, swap.despite.consents()).await
        }
        Command::Revert(revert) if revert.compensate => {
            compensate::run(context, revert.id, revert.agent).await
        }
        Command::Revert(revert) => {
            let verb = match (revert.accept_parked, revert.refuse_losses) {
                (true, _) => Verb::RevertAcceptingParked,
                (false, true) => Verb::RevertRefusingLosses,
                (false, false) => Verb::Revert,
            };
            asking::run(context, revert.id, verb, revert.despite.consents()).await
        }
        Command::Reapply(swap) => {
            asking::run(context, swap.drive.id, Verb::Reapply, swap.despite.consents()).await
        }
        Command::Complete(id) => asking::run(context, id.id, Verb::Complete, Consents::default()).await,
        Command::Cancel(id) => asking::run(context, id.id, Verb::Cancel, Consents::default()).await,
        Command::Pause(id) => asking::run(context, id.id, Verb::Pause, Consents::default()).await,
        Command::Resume(id) => asking::run(context, id.id, Verb::Resume, Consents::default()).await,
        Command::Agent(options) => agent::run(context, options).await,
        Command::Verify(options) => verify::run(context, options).await,
        Command::Set(options) => set::run(context, options).await,
        Command::Losses(options) => losses::run(context, options).await,
        Command::List(options) => list::run(context, options).await,
        Command::Status(options) => status::run(context, options).await,
        Command::Report(options) => report::run(context, options).await,
        // They ask no server, and have been answered above.
        Command::Config | Command::Man(_) | Command::Completions(_) => Ok(()),
    }
}

fn password_from_stdin() -> Option<String> {
    let mut line = String::new();
    // Without a line there is no password, and the server says so.
    let _ = std::io::stdin().read_line(&mut line);
    let password = line.trim_end_matches('\n');
    (!password.is_empty()).then(|| password.to_owned())
}

impl Context {
    async fn session(&self) -> Result<Session, Error> {
        Session::open(&self.server).await.map_err(|e| unreachable(&self.server, e))
    }

    /// A session, and the change that is meant.
    async fn change(&self, id: u64) -> Result<(Session, Change), Error> {
        let mut session = self.session().await?;
        let found = match store::installed(&mut session).await.map_err(store_error)? {
            true => store::find(&mut session, id).await.map_err(store_error)?,
            false => None,
        };
        match found {
            Some(change) => Ok((session, change)),
            None => {
                let left = leftover::of_change(&mut session, id).await.map_err(store_error)?;
                let left = left.iter().map(|table| format!("; {} is left of one", table.plain()));
                Err(Error::Refused(
                    Told::new(format!(
                        "there is no change {id} on {}{}",
                        self.server.address(),
                        left.collect::<String>()
                    ))
                    .state("nothing was touched")
                    .next("to see the changes there are, `rsc list`"),
                ))
            }
        }
    }

    /// Runs the engine. Whoever wants to know of a failure is told.
    async fn drive(&self, job: Job) -> Result<Change, Error> {
        let id = job.change;
        engine::run(job).await.inspect_err(|error| self.audience.ended(id, error))
    }

    fn job(&self, change: u64, ask: Option<Verb>, until: Until) -> Job {
        let onlooker = self.audience.onlooker(change);
        Job {
            server: self.server.clone(),
            change,
            ask,
            consents: Consents::default(),
            until,
            verify_every: Duration::ZERO,
            makes: false,
            birth: Birth::default(),
            throttle_query: None,
            onlooker,
            stop: self.stop.clone(),
        }
    }
}

/// What lets the account see the tables of a change.
async fn grant_to_see(session: &mut Session, change: &Change) -> Result<String, Error> {
    let user = session.text("SELECT CURRENT_USER()").await.map_err(sql_error)?.unwrap_or_default();
    Ok(format!("GRANT SELECT ON {}.* TO {}", quote(&change.table.schema), preflight::account(&user)))
}

/// The server was not reached, or did not let us in.
fn unreachable(server: &Server, error: SqlError) -> Error {
    let told = Told::new(&error).state("nothing was touched");
    Error::Usage(match error.code() {
        Some(1045 | 1698) => told
            .next("check --user, and the password: RSC_PASSWORD, --ask-password, or [client] in ~/.my.cnf; an account may also require --ssl-mode required, or --ssl-cert"),
        Some(_) => told,
        None => match &error {
            SqlError::Unreachable { advice, .. } => told.next(format!("{advice}: {}", server.address())),
            SqlError::Lost(_) | SqlError::Server { .. } => told.next("try again"),
        },
    })
}

/// Reading the journal or the server failed where nothing had been begun.
fn store_error(error: StoreError) -> Error {
    let told = Told::new(&error);
    match error {
        StoreError::Version { .. } => Error::Refused(
            told.state("nothing was touched").next("use the rsc that made this sidecar, or a newer one"),
        ),
        StoreError::Incomplete { .. } => {
            Error::Refused(told.state("nothing was touched").next(
                "restore `_rsc` from a backup; or, if no change is needed any more, DROP DATABASE `_rsc`",
            ))
        }
        StoreError::Hidden { ref account } => {
            let next = format!("GRANT SELECT ON `_rsc`.* TO {}", preflight::account(account));
            Error::Refused(told.state("nothing was touched").next(next))
        }
        StoreError::Sql(ref denied) if denied.remedy() == Remedy::Denied => {
            let next = "grant that privilege, on the whole schema: README.md has all that rsc needs";
            Error::Refused(told.state("nothing was touched").next(next))
        }
        StoreError::Busy(_) => {
            Error::Refused(told.state("nothing was touched").next("to see the change, `rsc list`"))
        }
        StoreError::Sql(SqlError::Lost(_) | SqlError::Unreachable { .. }) => Error::Stopped(
            told.state("nothing was changed by this command")
                .next("see that the server runs and can be reached, and try again"),
        ),
        StoreError::Sql(_) | StoreError::Unreadable(_) | StoreError::Position(_) => Error::Unexpected(told),
    }
}

fn sql_error(error: SqlError) -> Error {
    store_error(StoreError::Sql(error))
}
