//! Whoever is told what becomes of a change: the terminal or a program, the log, the operator's hooks, metrics.
//!
//! The engine tells, and goes on: nothing here makes it wait, and nothing that goes wrong here reaches it.

pub mod endpoint;
mod hook_process;
pub mod hooks;
pub mod metrics;
mod sampler;

use std::sync::{Arc, Mutex};

use crate::agent::Tale;
use crate::cli;
use crate::engine::Onlooker;
use crate::error::Error;
use crate::lifecycle::notice::Notice;
use crate::output::{Printer, notice_in_text, notice_name};
use crate::settings::Server;

use endpoint::Endpoint;
use hooks::Hooks;
use metrics::Metrics;
use sampler::Sampler;

pub struct Audience {
    printer: Arc<Printer>,
    hooks: Arc<Hooks>,
    metrics: Arc<Metrics>,
    endpoint: Mutex<Option<Endpoint>>,
    sampler: Mutex<Option<Sampler>>,
}

impl Audience {
    /// # Errors
    /// When the metrics cannot be served where they are wanted. Nothing has been touched then.
    pub fn gather(
        printer: Arc<Printer>,
        hooks: &cli::Hooks,
        metrics_at: Option<std::net::SocketAddr>,
        server: &Server,
    ) -> Result<Self, Error> {
        let metrics = Arc::new(Metrics::new());
        let endpoint = metrics_at.map(|at| Endpoint::open(at, Arc::clone(&metrics))).transpose()?;
        let hooks = Arc::new(Hooks::new(hooks));
        let sampled = endpoint.is_some() || hooks.want_verdicts();
        let sampler =
            sampled.then(|| Sampler::start(server.clone(), Arc::clone(&metrics), Arc::clone(&hooks)));
        Ok(Self { printer, hooks, metrics, endpoint: Mutex::new(endpoint), sampler: Mutex::new(sampler) })
    }

    /// For the engine that drives `change`.
    pub fn onlooker(self: &Arc<Self>, change: u64) -> Onlooker {
        let audience = Arc::clone(self);
        Arc::new(move |notice| {
            audience.printer.notice(&notice);
            audience.hear(change, &notice);
        })
    }

    /// For an agent.
    pub fn tale(&self, tale: &Tale) {
        self.printer.tale(tale);
        match tale {
            Tale::Of(change, notice) => self.hear(*change, notice),
            Tale::Ended(change, error) => {
                for told in error.told() {
                    tracing::error!(target: "rsc::told", change, kind = error.kind(), "{}", told.what);
                }
                self.ended(*change, error);
            }
            Tale::Back => tracing::info!(target: "rsc::told", event = "back", "the server can be used again"),
            Tale::Away(why) => tracing::warn!(target: "rsc::told", event = "away", "{why}"),
        }
    }

    fn hear(&self, change: u64, notice: &Notice) {
        log(change, notice);
        self.metrics.hear(change, notice);
        self.hooks.hear(change, notice);
    }

    /// The engine gave the change up.
    pub fn ended(&self, change: u64, error: &Error) {
        self.metrics.left(change, is_failure(error));
        if is_failure(error) {
            self.hooks.failed(change, error);
        }
    }

    /// The address is free for another process.
    pub fn close_metrics(&self) {
        drop(self.endpoint.lock().unwrap_or_else(|e| e.into_inner()).take());
    }

    /// Returns when the hooks that were called have ended, which each does within its time.
    pub async fn finish(&self) {
        drop(self.sampler.lock().unwrap_or_else(|e| e.into_inner()).take());
        self.hooks.finish().await;
        self.close_metrics();
    }
}

/// Otherwise what was asked for was not done, and nothing is the matter with the change.
fn is_failure(error: &Error) -> bool {
    match error {
        Error::Unexpected(_) | Error::Failed(_) | Error::Stopped(_) | Error::Differs(_) => true,
        Error::Usage(_)
        | Error::Refused(_)
        | Error::RefusedFor(_)
        | Error::RevertRefused(_)
        | Error::Owned(_)
        | Error::Interrupted(_) => false,
    }
}

/// What only changes in number is for whoever looks closely.
fn log(change: u64, notice: &Notice) {
    let event = notice_name(notice);
    let text = notice_in_text(notice);
    match (notice, text) {
        (
            Notice::Blocked { .. }
            | Notice::InTheWay { why: Some(_) }
            | Notice::BinlogsShort(_)
            | Notice::Retrying { .. },
            Some(text),
        ) => {
            tracing::warn!(target: "rsc::told", change, event, "{}", text.trim());
        }
        (Notice::Entered { state, .. }, None) => {
            tracing::info!(target: "rsc::told", change, event, state = state.name(), "{}", state.name());
        }
        (_, Some(text)) => tracing::info!(target: "rsc::told", change, event, "{}", text.trim()),
        (notice, None) => tracing::debug!(target: "rsc::told", change, event, "{notice:?}"),
    }
}
