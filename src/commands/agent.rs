//! `rsc agent`: keeps every change of the server that nobody else drives. And handing a change over to one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Context, sql_error, store_error};
use crate::agent::{self, Agent};
use crate::cli;
use crate::cli::configured::Settings;
use crate::error::Error;
use crate::journal::record::Change;
use crate::journal::{fence, store};
use crate::lifecycle::state::State;
use crate::mysql::preflight;
use crate::settings::Server;

/// A living agent finds an orphan within half a second; one that has to start needs a little longer.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);

pub async fn run(context: &Context, options: &cli::AgentOptions) -> Result<(), Error> {
    // Also tells at once when the server cannot be reached or the password is wrong.
    let mut session = context.session().await?;
    store::installed(&mut session).await.map_err(store_error)?;
    if let Some(lacking) = preflight::missing_grants(&mut session, None).await.map_err(sql_error)? {
        return Err(Error::Refused(lacking.state("nothing was touched")));
    }
    let audience = Arc::clone(&context.audience);
    let agent = Agent {
        server: context.server.clone(),
        listener: Arc::new(move |tale| audience.tale(&tale)),
        stop: context.stop.clone(),
        until_idle: options.until_idle,
        verify_every: options.verify_every,
        throttle_query: cli::own_query(&options.throttle_query),
    };
    context.printer.remark(&format!("agent on {}: {}", context.server.address(), fence::myself()));
    agent.run().await
}

/// Sees to it that an agent keeps the change from here on: one that lives, or else one that is started for it in the
/// background. Returns what to tell the person.
pub async fn hand_over(
    context: &Context,
    change: &Change,
    throttle_query: Option<&str>,
) -> Result<String, Error> {
    let id = change.id;
    let mut session = context.session().await?;
    // An agent that is started serves the metrics at the same address.
    context.audience.close_metrics();
    let log = match agent::is_present(&mut session).await.map_err(sql_error)? {
        true => None,
        false => match start(&context.server, &context.settings, throttle_query) {
            Ok(log) => Some(log),
            Err(why) => return Ok(unkept(change, &format!("no agent could be started: {why}"))),
        },
    };
    let asked = Instant::now();
    while asked.elapsed() < HANDED_OVER_WITHIN {
        if let Some(owner) = fence::owner(&mut session, id).await.map_err(sql_error)?
            && owner.alive
        {
            let started =
                log.map_or(String::new(), |log| format!(", started for it; its log is {}", log.display()));
            return Ok(format!("an agent keeps the other table current: {}{started}", owner.who));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let see = log.map_or(String::new(), |log| format!("; see {}", log.display()));
    Ok(unkept(change, &format!("no agent has taken the change over{see}")))
}

fn unkept(change: &Change, why: &str) -> String {
    let id = change.id;
    let next = if change.state == State::Ready { "the cut-over" } else { "a revert" };
    format!(
        "note: {why}\n      {next} catches up from the binlog first; to keep the stream, `rsc migrate --resume {id} --agent stay`"
    )
}

/// Starts an agent that outlives this process and its terminal, and ends when it has nothing to do. It is set as this
/// process is, by its environment. The password goes through a pipe, never into the argument list.
fn start(server: &Server, settings: &Settings, throttle_query: Option<&str>) -> std::io::Result<PathBuf> {
    let (path, log) = log_file(server)?;
    let mut command = Command::new(std::env::current_exe()?);
    for (name, value) in settings.handed_on() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command
        .args(["agent", "--until-idle", "--password-from-stdin"])
        .args(throttle_query.map(|query| format!("--throttle-query={query}")))
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{}", server.password.as_deref().unwrap_or(""))?;
    }
    Ok(path)
}

/// In the XDG state folder, one for each server.
fn log_file(server: &Server) -> std::io::Result<(PathBuf, File)> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    let folder = state.unwrap_or_else(std::env::temp_dir).join("rsc");
    fs::create_dir_all(&folder)?;
    let place = match &server.socket {
        Some(socket) => socket.replace('/', "_"),
        None => format!("{}-{}", server.host, server.port),
    };
    let path = folder.join(format!("agent-{place}.log"));
    let log = OpenOptions::new().create(true).append(true).open(&path)?;
    Ok((path, log))
}
