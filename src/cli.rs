//! The command line: what may be typed, and what it means for settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Told};
use crate::lifecycle::throttle::limits::{Limit, Limits};
use crate::settings::option_file;
use crate::settings::profile::{self, Profile};
use crate::settings::{Server, SslMode};

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed unexpectedly
    2  usage or configuration; nothing was touched
    3  refused; nothing was touched
    4  failed; the live table is untouched and the shadow is removed
    5  stopped; can be resumed
    6  revert refused
    7  verification found a difference
    8  driven by another process
  130  interrupted; can be resumed";

const MIGRATE: &str = "\
Builds a table with the new schema, copies the rows while the application goes
on writing, swaps the two under a lock of milliseconds, and keeps the old one,
so that `rsc revert` can take the change back with every row written since.

Examples:
  rsc migrate --alter \"ALTER TABLE shop.users DROP COLUMN title\"
  rsc migrate --database shop --table users --alter \"DROP COLUMN title\"
  rsc migrate --resume 7";

const PLAN: &str = "\
Leaves nothing on the server but an empty table that is dropped again. Ends with
exit code 3, and all reasons, if the change would be refused, or if it is not
what --require-... and --max-... ask for.

Examples:
  rsc plan --alter \"ALTER TABLE shop.users DROP COLUMN title\"
  rsc --output json plan --database shop --table users --alter \"DROP COLUMN title\" \\
      --require-lossless --max-duration 2h";

const STATUS: &str = "\
With --watch a terminal shows one screen that is drawn again and again; `q` or
Ctrl-C leaves it. Where the output is no terminal (`| tee`), or TERM is dumb,
every look is printed below the one before, after a line with its time. With
--output json it is one object a line. Colour is left off if NO_COLOR is set;
bars and plots are plain characters unless the locale (LANG) speaks UTF-8.";

const SET: &str = "\
Takes effect within a second, and stays with the change.

Examples:
  rsc set 7
  rsc set 7 max-load=Threads_running=25 nice-ratio=1
  rsc set 7 max-lag=none
  rsc set 7 throttle-control-replicas=auto    looks anew which replicas there are
  rsc set 7 cutover-between=none";

/// Online schema change for MySQL that can be taken back
#[derive(Debug, Parser)]
#[command(
    name = "rsc",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,

    /// For people, or for programs: one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, env = "RSC_OUTPUT", hide_env = true, help_heading = "Output", display_order = 100)]
    pub output: Format,
    /// Print help
    #[arg(long, short, global = true, action = clap::ArgAction::HelpShort, help_heading = "Output", display_order = 101)]
    help: Option<bool>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection (each also by environment: RSC_HOST, RSC_PORT …)")]
pub struct Connection {
    /// Server to connect to [default: 127.0.0.1]
    #[arg(long, global = true, env = "RSC_HOST", hide_env = true)]
    pub host: Option<String>,
    /// Its port [default: 3306]
    #[arg(long, short = 'P', global = true, env = "RSC_PORT", hide_env = true)]
    pub port: Option<u16>,
    /// Unix socket, instead of host and port
    #[arg(long, short = 'S', global = true, env = "RSC_SOCKET", hide_env = true)]
    pub socket: Option<String>,
    /// MySQL account [default: your login name]
    #[arg(long, short = 'u', global = true, env = "RSC_USER", hide_env = true)]
    pub user: Option<String>,
    /// Ask for the password (or set RSC_PASSWORD, or use an option file)
    #[arg(long, global = true)]
    pub ask_password: bool,
    /// The password; everyone who can list processes can read it
    #[arg(long, global = true, env = "RSC_PASSWORD", hide_env = true)]
    pub password: Option<String>,
    /// Schema of the table, where the statement does not name it
    #[arg(long, short = 'D', global = true, env = "RSC_DATABASE", hide_env = true)]
    pub database: Option<String>,
    /// MySQL option file, groups [client] and [rsc] [default: ~/.my.cnf]
    #[arg(long, global = true, env = "RSC_DEFAULTS_FILE", hide_env = true)]
    pub defaults_file: Option<PathBuf>,
    /// Configuration file with named profiles
    #[arg(long, global = true, env = "RSC_CONFIG", hide_env = true, requires = "profile")]
    pub config: Option<PathBuf>,
    /// The profile to take from --config [default file: rsc.toml]
    #[arg(long, global = true, env = "RSC_PROFILE", hide_env = true)]
    pub profile: Option<String>,
    /// Encryption [default: disabled]
    #[arg(long, global = true, value_enum, env = "RSC_SSL_MODE", hide_env = true)]
    pub ssl_mode: Option<SslMode>,
    /// File with the certificates of trusted authorities (PEM)
    #[arg(long, global = true, env = "RSC_SSL_CA", hide_env = true)]
    pub ssl_ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Plan(Plan),
    Migrate(Migrate),
    /// Swap the tables of a change that was started with --postpone-cutover
    Cutover(Id),
    /// Take a change back, keeping every row written since
    Revert(Revert),
    /// Apply a reverted change again
    Reapply(Id),
    /// Keep the schema that serves for good; drop the other table
    Complete(Id),
    /// Give up a change that has not swapped yet
    Cancel(Id),
    /// Let a change stand still, wherever it stands
    Pause(Id),
    /// Let a paused change go on
    Resume(Id),
    /// Keep every change of the server that nobody else drives
    Agent(AgentOptions),
    /// Show all changes on the server
    List(ListOptions),
    /// Show where a change stands and what to type next
    Status(StatusOptions),
    /// Write a page with the whole course of a change: its plots, swaps and verifications
    Report(ReportOptions),
    /// Change the limits of a change while it is made; without any, show them
    Set(SetOptions),
    /// Compare the two tables of a change, row by row, while the application goes on writing
    Verify(VerifyOptions),
    /// Show what was written that the old schema cannot hold
    Losses(LossesOptions),
}

/// Say what a change would do, what it would cost, and what a revert would bring back
#[derive(Debug, Args)]
#[command(about = "Say what a change would do, what it would cost, and what a revert would bring back")]
#[command(after_help = PLAN, mut_arg("resume", |resume| resume.hide(true)))]
pub struct Plan {
    /// All that `rsc migrate` takes. It has no change to resume, and says so.
    #[command(flatten)]
    pub migrate: Migrate,
    /// Fail unless the change can be taken back for the whole of its revert window
    #[arg(long, help_heading = "Fail unless")]
    pub require_revertible: bool,
    /// Fail unless a revert brings back every row and every value, whatever is written
    #[arg(long, help_heading = "Fail unless")]
    pub require_lossless: bool,
    /// Fail if writers may have to wait for longer at the swap
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "Fail unless")]
    pub max_freeze: Option<Duration>,
    /// Fail if the copy and its indexes may take longer
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "Fail unless")]
    pub max_duration: Option<Duration>,
}

/// Change the schema of a live table
#[derive(Debug, Args)]
#[command(after_help = MIGRATE)]
pub struct Migrate {
    /// The change: "ALTER TABLE db.t …", or only its clauses together with --database and --table; or a CREATE TABLE or DROP
    /// TABLE
    #[arg(long, required_unless_present = "resume", conflicts_with = "resume")]
    pub alter: Option<String>,
    /// The table, where --alter does not name it
    #[arg(long)]
    pub table: Option<String>,
    /// Go on with a change that was interrupted
    #[arg(long, value_name = "ID")]
    pub resume: Option<u64>,
    /// Who keeps the old table current after the swap: `auto` (an `rsc agent` that runs, or one that is started in the
    /// background), `stay` (this process, until it is stopped or the change ends) or `none` (a revert catches up from
    /// the binlog first)
    #[arg(long, value_enum, default_value_t = Agent::Auto, env = "RSC_AGENT", hide_env = true)]
    pub agent: Agent,
    /// How the change is made: `online` (copied to a second table, and swapped: it can be taken back), `instant` (by the
    /// server, at once and in place, if it can: cheap, but `rsc revert` has nothing to swap back) or `auto` (the one that
    /// can be taken back)
    #[arg(long, value_enum, default_value_t = Strategy::Auto, conflicts_with = "resume")]
    pub strategy: Strategy,
    /// How long a copy batch should take; no snapshot is held longer. A batch is one transaction, and while its binlog is
    /// written, others wait for their commit
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = humantime::parse_duration)]
    pub batch_time: Duration,
    /// Batches that are copied side by side [default: as many as the server's machine has cores, where they are known, at
    /// most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=16), conflicts_with = "resume")]
    pub copy_threads: Option<u64>,
    /// Copy and catch up, but swap only at `rsc cutover`
    #[arg(long, conflicts_with = "resume")]
    pub postpone_cutover: bool,
    /// Swap without comparing the two tables first
    #[arg(long, conflicts_with = "resume")]
    pub no_verify: bool,
    /// With --agent stay: compare the two tables so often
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    pub verify_every: Option<Duration>,
    /// Build indexes after the copy, which is several times faster: `auto` (when no replica is connected, for it would be
    /// busy with that one statement for as long), `always` or `never`
    #[arg(long, value_enum, default_value_t = Defer::Auto, conflicts_with = "resume")]
    pub defer_indexes: Defer,
    /// How long after a swap the change can be taken back
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = whole_seconds)]
    pub revert_window: Duration,
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// Each is kept with the change, and can be changed while it is made: `rsc set <id> max-lag=5s`. The text of each is read
/// by [`Limits::set`].
#[derive(Debug, Args)]
#[command(next_help_heading = "Throttling and cut-over (also while it is made: `rsc set`)")]
pub struct LimitOptions {
    /// Wait while a replica is further behind than this
    #[arg(long, value_name = "DURATION", default_value = "1.5s", value_parser = text_of(Limit::MaxLag), conflicts_with = "resume")]
    pub max_lag: String,
    /// Replicas to look at: host:port, several with commas; `auto`: all that are found; `none`
    #[arg(long, value_name = "REPLICAS", default_value = "auto", value_parser = text_of(Limit::Replicas), conflicts_with = "resume")]
    pub throttle_control_replicas: String,
    /// Wait while status variables of the server are higher than this: Threads_running=25,…
    #[arg(long, value_name = "LOAD", default_value = "none", value_parser = text_of(Limit::MaxLoad), conflicts_with = "resume")]
    pub max_load: String,
    /// Stop (exit code 5; resumable) when they are higher than this
    #[arg(long, value_name = "LOAD", default_value = "none", value_parser = text_of(Limit::CriticalLoad), conflicts_with = "resume")]
    pub critical_load: String,
    /// At a critical load stand still for so long instead, and then look again
    #[arg(long, value_name = "DURATION", default_value = "none", value_parser = text_of(Limit::Hibernate), conflicts_with = "resume")]
    pub critical_load_hibernate: String,
    /// Wait while InnoDB's history list is longer than this
    #[arg(long, value_name = "LENGTH", default_value = "none", value_parser = text_of(Limit::MaxHistory), conflicts_with = "resume")]
    pub max_history: String,
    /// Wait while the disk of the server's data has less free than this; only where rsc runs on the server's machine
    #[arg(long, value_name = "SIZE", default_value = "none", value_parser = text_of(Limit::MinFreeDisk), conflicts_with = "resume")]
    pub min_free_disk: String,
    /// Wait while this query answers anything but 0
    #[arg(long, value_name = "SQL", default_value = "none", value_parser = text_of(Limit::Query), conflicts_with = "resume")]
    pub throttle_query: String,
    /// Wait while this file exists, on the host of the process that drives the change
    #[arg(long, value_name = "PATH", default_value = "none", value_parser = text_of(Limit::FlagFile), conflicts_with = "resume")]
    pub throttle_flag_file: String,
    /// After each batch do nothing for so many times as long as it took
    #[arg(long, value_name = "RATIO", default_value = "0", value_parser = text_of(Limit::NiceRatio), conflicts_with = "resume")]
    pub nice_ratio: String,
    /// Swap the first time only in these times: 02:00-04:00, "Sat 22:00-02:00", several with commas
    #[arg(long, value_name = "TIMES", default_value = "none", value_parser = text_of(Limit::CutoverBetween), conflicts_with = "resume")]
    pub cutover_between: String,
    /// The time zone of --cutover-between: Europe/Berlin, +02:00
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = text_of(Limit::TimeZone), conflicts_with = "resume")]
    pub time_zone: String,
    /// How long an attempt to lock the tables may wait, and the application with it
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = text_of(Limit::CutoverLockTimeout), conflicts_with = "resume")]
    pub cutover_lock_timeout: String,
    /// So long after the first attempt to swap that missed, end the connections that keep the table from being locked
    #[arg(long, value_name = "DURATION", default_value = "none", value_parser = text_of(Limit::ForceCutoverAfter), conflicts_with = "resume")]
    pub force_cutover_after: String,
}

impl LimitOptions {
    pub fn limits(&self) -> Result<Limits, Error> {
        let mut limits = Limits::default();
        for (limit, text) in [
            (Limit::MaxLag, &self.max_lag),
            (Limit::Replicas, &self.throttle_control_replicas),
            (Limit::MaxLoad, &self.max_load),
            (Limit::CriticalLoad, &self.critical_load),
            (Limit::Hibernate, &self.critical_load_hibernate),
            (Limit::MaxHistory, &self.max_history),
            (Limit::MinFreeDisk, &self.min_free_disk),
            (Limit::Query, &self.throttle_query),
            (Limit::FlagFile, &self.throttle_flag_file),
            (Limit::NiceRatio, &self.nice_ratio),
            (Limit::CutoverBetween, &self.cutover_between),
            (Limit::TimeZone, &self.time_zone),
            (Limit::CutoverLockTimeout, &self.cutover_lock_timeout),
            (Limit::ForceCutoverAfter, &self.force_cutover_after),
        ] {
            limits.set(limit, text).map_err(|why| usage(format!("--{}: {why}", limit.name())))?;
        }
        Ok(limits)
    }
}

/// Text that [`Limits::set`] takes for this limit.
fn text_of(limit: Limit) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| Limits::default().set(limit, text).map(|()| text.to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    Auto,
    Online,
    Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Agent {
    /// An agent: one that runs, or one that is started
    Auto,
    /// Nobody: `rsc revert` catches up from the binlog first
    None,
    /// This process, until it is stopped or the change ends
    Stay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Defer {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
pub struct AgentOptions {
    /// End when no change needs an agent any more
    #[arg(long)]
    pub until_idle: bool,
    /// Compare the two tables of every change so often
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    pub verify_every: Option<Duration>,
    /// For an agent that another rsc starts: the first line of stdin is the password
    #[arg(long, hide = true)]
    pub password_from_stdin: bool,
}

#[derive(Debug, Args)]
pub struct Revert {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// Revert though the old schema cannot hold some rows; they stay in the new table, and `rsc losses` names them
    #[arg(long)]
    pub accept_parked: bool,
    /// Undo a change of --strategy instant, which has kept no old table: runs the statement that gives the old definition
    /// back as an online change, and says first what that loses
    #[arg(long, conflicts_with = "accept_parked")]
    pub compensate: bool,
    /// With --compensate: who keeps the stream of that change, as in `rsc migrate`
    #[arg(long, value_enum, default_value_t = Agent::Auto, env = "RSC_AGENT", hide_env = true)]
    pub agent: Agent,
}

#[derive(Debug, Args)]
pub struct LossesOptions {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// So many of each kind are listed
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    pub limit: u64,
}

#[derive(Debug, Args)]
#[command(after_help = SET)]
pub struct SetOptions {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// What `rsc migrate` takes behind `--`: max-lag=5s, max-load=none …
    #[arg(value_name = "LIMIT=VALUE")]
    pub settings: Vec<String>,
}

#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// Write the rows that differ again, in the table that does not serve
    #[arg(long)]
    pub repair: bool,
    /// So many rows are listed
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only those that have not ended
    #[arg(long)]
    pub active: bool,
}

#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct StatusOptions {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// Go on showing it, until `q` or Ctrl-C
    #[arg(long, short)]
    pub watch: bool,
    /// With --watch: look so often
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval, requires = "watch")]
    pub interval: Duration,
}

#[derive(Debug, Args)]
pub struct ReportOptions {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// The file to write: one page that needs no network and no script
    #[arg(long, value_name = "FILE")]
    pub html: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Id {
    /// The change's number; `rsc list` shows it
    pub id: u64,
}

fn interval(text: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(100);
    let duration = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if duration < least { Err("must be at least 100ms".into()) } else { Ok(duration) }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if duration.as_secs() == 0 || duration.subsec_nanos() != 0 {
        return Err("must be at least 1s, in whole seconds".into());
    }
    Ok(duration)
}

impl Connection {
    /// Flags and environment before profile before option file before defaults.
    pub fn server(&self) -> Result<Server, Error> {
        let profile = self.profile()?;
        let file = self.option_file()?;
        let listed = |name: &str| file.get(name).cloned();
        let port = match listed("port") {
            Some(port) => {
                Some(port.parse().map_err(|_| usage(format!("the option file has the port `{port}`")))?)
            }
            None => None,
        };
        let ssl_mode = match listed("ssl-mode") {
            Some(mode) => Some(SslMode::from_str(&mode.replace('_', "-"), true).map_err(|_| {
                usage(format!("the option file asks for ssl-mode {mode}"))
                    .next_step("rsc speaks disabled, required and verify-identity: give one with --ssl-mode")
            })?),
            None => None,
        };
        // The first that names a place decides between socket and host: the option file's socket must not turn a
        // profile's server into the local one.
        let places = [
            Place { socket: self.socket.clone(), tcp: self.host.is_some() || self.port.is_some() },
            Place { socket: profile.socket.clone(), tcp: profile.host.is_some() || profile.port.is_some() },
            Place { socket: listed("socket"), tcp: file.contains_key("host") || file.contains_key("port") },
        ];
        Ok(Server {
            host: self.host.clone().or(profile.host).or(listed("host")).unwrap_or("127.0.0.1".into()),
            port: self.port.or(profile.port).or(port).unwrap_or(3306),
            socket: socket(places),
            user: self.user.clone().or(profile.user).or(listed("user")).unwrap_or_else(login_name),
            password: self.password(profile.password.or(listed("password")))?,
            ssl_mode: self.ssl_mode.or(profile.ssl_mode).or(ssl_mode).unwrap_or(SslMode::Disabled),
            ssl_ca: self.ssl_ca.clone().or(profile.ssl_ca).or(listed("ssl-ca").map(PathBuf::from)),
        })
    }

    /// The schema to fall back on.
    pub fn database(&self) -> Result<Option<String>, Error> {
        Ok(self.database.clone().or(self.profile()?.database))
    }

    fn password(&self, fallback: Option<String>) -> Result<Option<String>, Error> {
        if self.ask_password {
            return rpassword::prompt_password("Password: ")
                .map(Some)
                .map_err(|e| usage(format!("the password cannot be asked for: {e}")));
        }
        if self.password.is_some() && std::env::var_os("RSC_PASSWORD").is_none() {
            tracing::warn!(
                "a password on the command line can be read by every user of this machine; use RSC_PASSWORD, --ask-password or an option file"
            );
        }
        Ok(self.password.clone().or(fallback))
    }

    fn profile(&self) -> Result<Profile, Error> {
        let Some(name) = &self.profile else { return Ok(Profile::default()) };
        let path = self.config.clone().unwrap_or_else(|| "rsc.toml".into());
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(&path).map_err(|e| usage(format!("{shown} cannot be read: {e}")))?;
        profile::read(&text, name).map_err(|why| usage(format!("{shown}: {why}")))
    }

    fn option_file(&self) -> Result<std::collections::HashMap<String, String>, Error> {
        let path = match (&self.defaults_file, std::env::var_os("HOME")) {
            (Some(path), _) => path.clone(),
            (None, Some(home)) => PathBuf::from(home).join(".my.cnf"),
            (None, None) => return Ok(Default::default()),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(option_file::read(&text)),
            Err(_) if self.defaults_file.is_none() => Ok(Default::default()),
            Err(e) => Err(usage(format!("{} cannot be read: {e}", path.display()))),
        }
    }
}

/// What one source of settings says of where the server is.
struct Place {
    socket: Option<String>,
    tcp: bool,
}

fn socket(places: [Place; 3]) -> Option<String> {
    places.into_iter().find(|place| place.socket.is_some() || place.tcp)?.socket
}

fn usage(what: String) -> Error {
    Error::Usage(Told::new(what).state("nothing was touched"))
}

impl Error {
    /// Adds what to type next to a usage error.
    fn next_step(self, next: &str) -> Self {
        match self {
            Error::Usage(told) => Error::Usage(told.next(next)),
            other => other,
        }
    }
}

fn login_name() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_that_names_a_place_decides_between_socket_and_host() {
        let tcp = || Place { socket: None, tcp: true };
        let local = || Place { socket: Some("/s".into()), tcp: false };
        let none = || Place { socket: None, tcp: false };
        assert_eq!(socket([tcp(), local(), none()]), None, "--host goes before a profile's socket");
        assert_eq!(
            socket([none(), tcp(), local()]),
            None,
            "a profile's host before the option file's socket"
        );
        assert_eq!(socket([none(), none(), local()]), Some("/s".into()));
        assert_eq!(socket([local(), tcp(), none()]), Some("/s".into()));
        assert_eq!(socket([none(), none(), none()]), None);
    }
}
