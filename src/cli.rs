//! The command line: what may be typed, and what it means for settings.

pub mod configured;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use configured::Settings;

use crate::error::{Error, Told};
use crate::lifecycle::consent::Consents;
use crate::lifecycle::throttle::limits::{Limit, Limits};
use crate::settings::{Server, SslMode, may_be_this_machine};

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
  rsc migrate --alter-file migrations/0042_drop_title.sql
  rsc migrate --resume 7";

const PLAN: &str = "\
Leaves nothing on the server but an empty table that is dropped again. Ends with
exit code 3, and all reasons, if the change would be refused, or if it is not
what --require-... and --max-... ask for.

Examples:
  rsc plan --alter \"ALTER TABLE shop.users DROP COLUMN title\"
  rsc --output json plan --database shop --table users --alter \"DROP COLUMN title\" \\
      --require-lossless --max-duration 2h";

const SETTINGS: &str = "\
Every option can also be set by environment (--batch-time: RSC_BATCH_TIME), in
a profile or the defaults of rsc.toml, or in the group [rsc] of ~/.my.cnf. The
first that has it wins: flag, environment, profile, defaults, option file.
`rsc config` shows what is set, and where.";

const COMPLETIONS: &str = "\
Examples:
  rsc completions bash > ~/.local/share/bash-completion/completions/rsc
  rsc completions zsh > ~/.zfunc/_rsc
  rsc completions fish > ~/.config/fish/completions/rsc.fish";

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
    max_term_width = 80,
    disable_help_flag = true,
    after_help = format!("{SETTINGS}\n\n{EXIT_CODES}")
)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,

    /// For people, or for programs: one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Output", display_order = 100)]
    pub output: Format,
    /// The log: for people, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Output", display_order = 101)]
    pub log_format: Format,
    /// Write the log there, instead of on stderr; what is in the file stays
    #[arg(long, global = true, value_name = "FILE", help_heading = "Output", display_order = 101)]
    pub log_file: Option<PathBuf>,
    /// error, warn, info, debug or trace, also for parts, as in `warn,rsc::engine=debug`; by environment: RSC_LOG
    /// [default: warn; with --log-file: info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Output", display_order = 101)]
    pub log_level: Option<String>,
    /// Print help
    #[arg(long, short, global = true, action = clap::ArgAction::HelpShort, help_heading = "Output", display_order = 102)]
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
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Server to connect to
    #[arg(long, global = true, default_value = "127.0.0.1")]
    pub host: String,
    /// Its port
    #[arg(long, short = 'P', global = true, default_value_t = 3306)]
    pub port: u16,
    /// Unix socket, instead of host and port
    #[arg(long, short = 'S', global = true)]
    pub socket: Option<String>,
    /// MySQL account [default: your login name]
    #[arg(long, short = 'u', global = true)]
    pub user: Option<String>,
    /// Ask for the password (or set RSC_PASSWORD, or use an option file)
    #[arg(long, global = true)]
    pub ask_password: bool,
    /// The password; everyone who can list processes can read it
    // Hidden wherever settings are shown.
    #[arg(long, global = true, hide_env_values = true)]
    pub password: Option<String>,
    /// Schema of the table, where the statement does not name it
    #[arg(long, short = 'D', global = true)]
    pub database: Option<String>,
    /// Encryption: `disabled`, `preferred` (if the server can), `required`, `verify-ca` (and the server's certificate is
    /// signed by --ssl-ca) or `verify-identity` (and it names the host) [default: preferred; to this machine: disabled]
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "MODE")]
    pub ssl_mode: Option<SslMode>,
    /// Certificates of the authorities to trust (PEM) [default for verify-identity: the public ones]
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_ca: Option<PathBuf>,
    /// Certificate of this side, for accounts that require one (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_key: Option<PathBuf>,
    /// MySQL option file, groups [client] and [rsc] [default: ~/.my.cnf]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub defaults_file: Option<PathBuf>,
    /// File with defaults and named profiles [default: ~/.config/rsc/rsc.toml, or else /etc/rsc/rsc.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// The profile to take from it
    #[arg(long, global = true, value_name = "NAME", help_heading = "Settings")]
    pub profile: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Plan(Plan),
    Migrate(Migrate),
    /// Swap the tables of a change that was started with --postpone-cutover
    Cutover(SwapNow),
    /// Take a change back, keeping every row written since
    Revert(Revert),
    /// Apply a reverted change again
    Reapply(SwapNow),
    /// Keep the schema that serves for good; drop the other table
    Complete(Drive),
    /// Give up a change that has not swapped yet
    Cancel(Drive),
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
    /// Show every setting, and where its value comes from
    Config,
    /// Print the manual page, or write the pages of all commands into a folder
    Man(ManOptions),
    /// Print what lets a shell complete rsc's commands and options
    #[command(after_help = COMPLETIONS)]
    Completions(CompletionsOptions),
}

/// Say what a change would do, what it would cost, and what a revert would bring back
#[derive(Debug, Args)]
#[command(about = "Say what a change would do, what it would cost, and what a revert would bring back")]
#[command(after_help = PLAN, mut_arg("resume", |resume| resume.hide(true)), mut_args(unshown))]
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
    #[arg(long, value_name = "DURATION", value_parser = span, help_heading = "Fail unless")]
    pub max_freeze: Option<Duration>,
    /// Fail if the copy and its indexes may take longer
    #[arg(long, value_name = "DURATION", value_parser = span, help_heading = "Fail unless")]
    pub max_duration: Option<Duration>,
}

/// Change the schema of a live table
#[derive(Debug, Args)]
#[command(after_help = MIGRATE)]
pub struct Migrate {
    /// The change: "ALTER TABLE db.t …", or only its clauses together with --database and --table; or a CREATE TABLE or DROP
    /// TABLE
    #[arg(
        long,
        allow_hyphen_values = true,
        required_unless_present_any = ["resume", "alter_file"],
        conflicts_with_all = ["resume", "alter_file"]
    )]
    pub alter: Option<String>,
    /// The same from a file; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub alter_file: Option<PathBuf>,
    /// The table, where the statement does not name it
    #[arg(long)]
    pub table: Option<String>,
    /// Go on with a change that was interrupted
    #[arg(long, value_name = "ID")]
    pub resume: Option<u64>,
    /// Who keeps the old table current after the swap: `auto` (an `rsc agent` that runs, or one that is started in the
    /// background), `stay` (this process, until it is stopped or the change ends) or `none` (a revert catches up from
    /// the binlog first)
    #[arg(long, value_enum, default_value_t = Agent::Auto)]
    pub agent: Agent,
    /// How the change is made: `online` (copied to a second table, and swapped: it can be taken back), `instant` (by the
    /// server, at once and in place, if it can: cheap, but `rsc revert` has nothing to swap back) or `auto` (the one that
    /// can be taken back)
    #[arg(long, value_enum, default_value_t = Strategy::Auto, conflicts_with = "resume")]
    pub strategy: Strategy,
    /// How long a copy batch should take; no snapshot is held longer. A batch is one transaction, and while its binlog is
    /// written, others wait for their commit
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = span)]
    pub batch_time: Duration,
    /// Batches that are copied side by side [default: as many as the server's machine has cores, where they are known, at
    /// most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=16), conflicts_with = "resume")]
    pub copy_threads: Option<u64>,
    /// Copy and catch up, but swap only at `rsc cutover`
    #[arg(long, conflicts_with = "resume")]
    pub postpone_cutover: bool,
    #[command(flatten)]
    pub going_past: GoingPast,
    /// Swap without comparing the two tables first
    #[arg(long, conflicts_with = "resume")]
    pub no_verify: bool,
    /// Take what the account cannot see (triggers without TRIGGER, foreign keys of other schemas without PROCESS) for absent
    #[arg(long, conflicts_with = "resume")]
    pub allow_unseen: bool,
    /// With --agent stay: after a comparison of the two tables in the background, begin the next so long later; 0 for none
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = period)]
    pub verify_every: Duration,
    /// Build indexes after the copy, which is several times faster: `auto` (when no replica is connected, for it would be
    /// busy with that one statement for as long), `always` or `never`
    #[arg(long, value_enum, default_value_t = Defer::Auto, conflicts_with = "resume")]
    pub defer_indexes: Defer,
    /// The sql_mode in which the statement is read and run, where its definition needs another one than the server's: a zero
    /// date as a default does
    #[arg(long, value_name = "MODE", conflicts_with = "resume")]
    pub sql_mode: Option<String>,
    /// Go ahead though a generated column, key or CHECK depends on the session's time zone: every session that writes the
    /// table has the server's
    #[arg(long, conflicts_with = "resume")]
    pub allow_session_dependent: bool,
    /// How long after a swap the change can be taken back
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = whole_seconds)]
    pub revert_window: Duration,
    #[command(flatten)]
    pub telling: Telling,
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// Commands of the operator, and metrics.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Hooks (shell commands; they get the event as JSON on stdin)")]
pub struct Hooks {
    /// Run when the change is ready, with a cut-over that is postponed
    #[arg(long, value_name = "COMMAND")]
    pub on_ready: Option<String>,
    /// Run after the first swap: the new schema serves
    #[arg(long, value_name = "COMMAND")]
    pub on_cutover: Option<String>,
    /// Run after a revert: the old schema serves again
    #[arg(long, value_name = "COMMAND")]
    pub on_revert: Option<String>,
    /// Run after a reapply
    #[arg(long, value_name = "COMMAND")]
    pub on_reapply: Option<String>,
    /// Run when what a revert would bring has changed, such as from ready to blocked
    #[arg(long, value_name = "COMMAND")]
    pub on_verdict_change: Option<String>,
    /// Run when a change fails, or its process gives it up
    #[arg(long, value_name = "COMMAND")]
    pub on_failure: Option<String>,
    /// Run when the change is completed
    #[arg(long, value_name = "COMMAND")]
    pub on_complete: Option<String>,
    /// Run when the change begins to wait for a replica or another limit, or for another one
    #[arg(long, value_name = "COMMAND")]
    pub on_throttled: Option<String>,
    /// A hook that runs longer is killed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = whole_seconds)]
    pub hook_timeout: Duration,
}

/// What whoever drives changes may tell others.
#[derive(Clone, Debug, Default, Args)]
pub struct Telling {
    #[command(flatten)]
    pub hooks: Hooks,
    /// Serve metrics for Prometheus there, such as 127.0.0.1:9876
    #[arg(long, value_name = "ADDRESS", help_heading = "Metrics")]
    pub metrics: Option<SocketAddr>,
}

/// Also a command that drives a change itself, because nobody else does, runs the hooks. They are shown once, with
/// `rsc migrate`.
fn unshown(arg: clap::Arg) -> clap::Arg {
    let shown_there = |heading: &str| heading.starts_with("Hooks") || heading == "Metrics";
    let hide = arg.get_help_heading().is_some_and(shown_there);
    if hide { arg.hide(true) } else { arg }
}

/// Each is kept with the change, and can be changed while it is made: `rsc set <id> max-lag=5s`. The text of each is read
/// by [`Limits::set`]. The query alone is run by no process but those that were given it ([`Limits::query_of`]).
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
    #[arg(long, value_name = "SQL", default_value = "none", value_parser = text_of(Limit::Query))]
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

/// The throttle query that a command line has.
pub fn own_query(text: &str) -> Option<String> {
    let mut own = Limits::default();
    own.set(Limit::Query, text).ok()?;
    own.query
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
    /// After a comparison of the two tables of a change in the background, begin the next so long later; 0 for none
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = period)]
    pub verify_every: Duration,
    /// Before the first swap of a change, wait while this query answers anything but 0
    #[arg(long, value_name = "SQL", default_value = "none", value_parser = text_of(Limit::Query))]
    pub throttle_query: String,
    /// For an agent that another rsc starts: the first line of stdin is the password
    #[arg(long, hide = true)]
    pub password_from_stdin: bool,
    #[command(flatten)]
    pub telling: Telling,
}

#[derive(Debug, Args)]
#[command(mut_args(unshown))]
pub struct Revert {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    /// Revert though the old schema cannot hold some rows; they stay in the new table, and `rsc losses` names them
    #[arg(long)]
    pub accept_parked: bool,
    /// Do not revert if the old schema cannot hold a value or a row as it was written; the refusal names them
    #[arg(long, conflicts_with_all = ["accept_parked", "compensate"])]
    pub refuse_losses: bool,
    #[command(flatten)]
    pub despite: Despite,
    /// Undo a change of --strategy instant, which has kept no old table: runs the statement that gives the old definition
    /// back as an online change, and says first what that loses
    #[arg(long, conflicts_with_all = ["accept_parked", "accept_differences"])]
    pub compensate: bool,
    /// With --compensate: who keeps the stream of that change, as in `rsc migrate`
    #[arg(long, value_enum, default_value_t = Agent::Auto)]
    pub agent: Agent,
    #[command(flatten)]
    pub telling: Telling,
}

/// What a swap does not wait for.
#[derive(Clone, Copy, Debug, Args)]
pub struct GoingPast {
    /// Do not wait for transactions whose snapshot is older than the rows of the new live table: if they use it they get
    /// error 1412, as after a native ALTER; where the server cannot see to that, they read it short. They are named
    #[arg(long)]
    pub accept_short_reads: bool,
}

impl GoingPast {
    pub fn consents(self) -> Consents {
        Consents { short_reads: self.accept_short_reads, ..Consents::default() }
    }
}

/// What the tables are swapped in spite of.
#[derive(Clone, Copy, Debug, Args)]
pub struct Despite {
    /// Swap though the last verification found that the two tables differ; what it found becomes what is live
    #[arg(long)]
    pub accept_differences: bool,
    #[command(flatten)]
    pub going_past: GoingPast,
}

impl Despite {
    pub fn consents(self) -> Consents {
        Consents { differences: self.accept_differences, ..self.going_past.consents() }
    }
}

/// A command that swaps the tables.
#[derive(Debug, Args)]
#[command(mut_args(unshown))]
pub struct SwapNow {
    #[command(flatten)]
    pub drive: Drive,
    #[command(flatten)]
    pub despite: Despite,
}

/// A command that drives a change if nobody else does.
#[derive(Debug, Args)]
#[command(mut_args(unshown))]
pub struct Drive {
    /// The change's number; `rsc list` shows it
    pub id: u64,
    #[command(flatten)]
    pub telling: Telling,
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
pub struct ManOptions {
    /// Write rsc.1, rsc-migrate.1 and so on there
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell that is to complete them
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
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

/// With its unit: of a bare number nobody knows whether seconds or milliseconds are meant.
fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|why| format!("{why}; a span of time is written like 500ms, 3s or 2h"))
}

fn interval(text: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(100);
    let duration = span(text)?;
    if duration < least { Err("must be at least 100ms".into()) } else { Ok(duration) }
}

/// In whole seconds; `0` is never.
fn period(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        text => whole_seconds(text),
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = span(text)?;
    if duration.as_secs() == 0 || duration.subsec_nanos() != 0 {
        return Err("must be at least 1s, in whole seconds".into());
    }
    Ok(duration)
}

impl Command {
    /// Whom to tell. `None` for a command that drives no change.
    pub fn telling(&self) -> Option<&Telling> {
        match self {
            Command::Migrate(Migrate { telling, .. })
            | Command::Agent(AgentOptions { telling, .. })
            | Command::Revert(Revert { telling, .. })
            | Command::Cutover(SwapNow { drive: Drive { telling, .. }, .. })
            | Command::Reapply(SwapNow { drive: Drive { telling, .. }, .. })
            | Command::Complete(Drive { telling, .. })
            | Command::Cancel(Drive { telling, .. }) => Some(telling),
            Command::Plan(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::List(_)
            | Command::Status(_)
            | Command::Report(_)
            | Command::Set(_)
            | Command::Verify(_)
            | Command::Losses(_)
            | Command::Config
            | Command::Man(_)
            | Command::Completions(_) => None,
        }
    }
}

impl Connection {
    /// Where the server is, and as whom to go there.
    pub fn server(&self, settings: &Settings) -> Result<Server, Error> {
        if self.ssl_cert.is_some() != self.ssl_key.is_some() {
            return Err(usage("a client certificate needs its key, and the key its certificate")
                .next_step("give --ssl-cert and --ssl-key"));
        }
        let this_machine = may_be_this_machine(&self.host, self.socket.as_deref());
        let ssl_mode = self.ssl_mode.unwrap_or(SslMode::usual(this_machine));
        if ssl_mode == SslMode::VerifyCa && self.ssl_ca.is_none() {
            return Err(usage(
                "--ssl-mode verify-ca needs the authority that signs the server's certificate",
            )
            .next_step("give --ssl-ca FILE; without one, only verify-identity means anything"));
        }
        for (flag, file) in
            [("--ssl-ca", &self.ssl_ca), ("--ssl-cert", &self.ssl_cert), ("--ssl-key", &self.ssl_key)]
        {
            if let Some(file) = file
                && let Err(why) = std::fs::File::open(file)
            {
                return Err(usage(format!("{} cannot be read: {why}", file.display()))
                    .next_step(&format!("check {flag}")));
            }
        }
        Ok(Server {
            host: self.host.clone(),
            port: self.port,
            socket: self.socket.clone(),
            user: self.user.clone().unwrap_or_else(login_name),
            password: self.password(settings)?,
            ssl_mode,
            ssl_ca: self.ssl_ca.clone(),
            ssl_cert: self.ssl_cert.clone(),
            ssl_key: self.ssl_key.clone(),
        })
    }

    fn password(&self, settings: &Settings) -> Result<Option<String>, Error> {
        if self.ask_password {
            return rpassword::prompt_password("Password: ")
                .map(Some)
                .map_err(|e| usage(format!("the password cannot be asked for: {e}")));
        }
        if settings.typed("password") {
            tracing::warn!(
                "a password on the command line can be read by every user of this machine; use RSC_PASSWORD, --ask-password or an option file"
            );
        }
        Ok(self.password.clone())
    }
}

fn usage(what: impl std::fmt::Display) -> Error {
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

pub fn login_name() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".into())
}
