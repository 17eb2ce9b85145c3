//! What people and programs get to see. Nothing else in rsc prints.
//!
//! Text: what happened goes to stdout, on a terminal with a live bar below it. JSON: one object a line on
//! stdout, each with an `event` field. Logs go to stderr in both.

mod config;
pub mod ink;
pub mod json;
pub mod list;
pub mod live;
pub mod losses;
pub mod page;
pub mod plan;
pub mod status;
pub mod text;
pub mod verification;
pub mod watch;
mod whole;

use std::io;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::sync::watch::Receiver;

use crate::agent::Tale;
use crate::cli::Format;
use crate::cli::configured::Setting;
use crate::error::Error;
use crate::journal::record::Change;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::verification::Verification;

use ink::Look;
pub use list::Listed;
pub use losses::LossReport;
pub use plan::{Disk, Holders, PlanReport, Sampled};
pub use status::StatusReport;
pub use text::duration;
pub use {json::error as error_in_json, json::notice as notice_in_json, text::notice as notice_in_text};

/// The kind of a notice, as programs are told it.
pub fn notice_name(notice: &Notice) -> String {
    notice_in_json(notice)["event"].as_str().unwrap_or_default().to_owned()
}

pub struct Printer {
    format: Format,
    live: Mutex<live::Live>,
    /// A person watches, and the end of the process needs no words.
    watched: AtomicBool,
}

impl Printer {
    pub fn new(format: Format) -> Self {
        Self { format, live: Mutex::new(live::Live::new()), watched: AtomicBool::new(false) }
    }

    /// Shows progress. Called from the engine; must not block for long.
    pub fn notice(&self, notice: &Notice) {
        match self.format {
            Format::Json => self.line(&json::notice(notice)),
            // A poisoned lock means a panic while printing; there is nothing left to keep consistent.
            Format::Text => self.live.lock().unwrap_or_else(|e| e.into_inner()).notice(notice),
        }
    }

    /// What an agent has to say: a line for each thing that happened, with its change and the time.
    pub fn tale(&self, tale: &Tale) {
        match self.format {
            Format::Json => self.line(&json::tale(tale)),
            Format::Text => text::tale(tale).iter().for_each(|line| put(line)),
        }
    }

    /// The change has come to where the command wanted it.
    pub fn done(&self, change: &Change, hint: &str) {
        match self.format {
            Format::Json => self.line(&json::done(change)),
            Format::Text => {
                self.finish_live();
                put(&text::done(change, hint));
            }
        }
    }

    pub fn list(&self, listed: &[Listed], active: bool, now_ms: u64) {
        match self.format {
            Format::Json => {
                listed.iter().for_each(|listed| self.line(&json::listed(listed)));
            }
            Format::Text => {
                list::text(listed, active, now_ms, &Look::of_stdout()).iter().for_each(|line| put(line));
            }
        }
    }

    pub fn status(&self, report: &StatusReport) {
        match self.format {
            Format::Json => self.line(&json::status(report)),
            Format::Text => {
                // A page that is longer than the terminal can be scrolled.
                let look = Look { height: None, ..Look::of_stdout() };
                status::screen(report, &look).iter().for_each(|line| put(&line.print(&look)));
            }
        }
    }

    /// Shows what comes until it has been seen enough.
    pub async fn watch(&self, glances: Receiver<watch::Glance>, stop: Receiver<bool>) -> io::Result<()> {
        self.watched.store(true, Ordering::SeqCst);
        let shown = watch::show(self.format, glances, stop).await;
        self.watched.store(false, Ordering::SeqCst);
        shown
    }

    /// The person has asked for the end.
    pub fn stopping(&self) {
        if !self.watched.load(Ordering::SeqCst) {
            self.remark("stopping after the statement in flight; once more to stop at once");
        }
    }

    /// A page was written.
    pub fn written(&self, id: u64, file: &std::path::Path) {
        match self.format {
            Format::Json => self.line(&json::written(id, file)),
            Format::Text => put(&format!("written: {}", file.display())),
        }
    }

    pub fn limits(&self, change: &Change) {
        match self.format {
            Format::Json => self.line(&json::limits_of(change)),
            Format::Text => put(&text::limits(change)),
        }
    }

    pub fn plan(&self, report: &PlanReport) {
        match self.format {
            Format::Json => self.line(&plan::json(report)),
            Format::Text => put(&plan::text(report, width(&console::Term::stdout()))),
        }
    }

    pub fn losses(&self, report: &LossReport<'_>) {
        match self.format {
            Format::Json => json::losses(report).iter().for_each(|value| self.line(value)),
            Format::Text => put(&losses::text(report)),
        }
    }

    pub fn verification(&self, change: &Change, found: &Verification, limit: usize) {
        match self.format {
            Format::Json => {
                json::verification(change, found, limit).iter().for_each(|value| self.line(value))
            }
            Format::Text => {
                self.finish_live();
                put(&verification::text(change, found, limit));
            }
        }
    }

    pub fn settings(&self, settings: &[Setting]) {
        match self.format {
            Format::Json => config::json(settings).iter().for_each(|value| self.line(value)),
            Format::Text => put(&config::text(settings)),
        }
    }

    /// What another program reads, as it is.
    pub fn raw(&self, text: &[u8]) {
        let _ = std::io::stdout().write_all(text);
    }

    /// What was asked for is so already.
    pub fn nothing_to_do(&self, table: &str, why: &str) {
        match self.format {
            Format::Json => self.line(&json::nothing_to_do(table, why)),
            Format::Text => put(&format!("nothing to do: {why}")),
        }
    }

    /// Something the person should know that is no step of the change.
    pub fn remark(&self, remark: &str) {
        match self.format {
            Format::Json => self.line(&json::note(remark)),
            Format::Text => {
                self.finish_live();
                put(remark);
            }
        }
    }

    pub fn error(&self, error: &Error) {
        match self.format {
            Format::Json => self.line(&json::error(error)),
            Format::Text => {
                self.finish_live();
                put_error(&text::error(error, width(&console::Term::stderr())));
            }
        }
    }

    fn finish_live(&self) {
        self.live.lock().unwrap_or_else(|e| e.into_inner()).finish();
    }

    fn line(&self, value: &Value) {
        put(&json::versioned(value.clone()).to_string());
    }
}

/// Where lines end. Only a terminal has an end: in a file, a line that is whole can be searched for.
fn width(terminal: &console::Term) -> usize {
    terminal.size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns))
}

/// A line on stdout. Whoever reads it may have gone (`rsc list | head -1`): that ends the output, not the work.
fn put(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn put_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
