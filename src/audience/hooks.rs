//! Commands of the operator that are run when something happens to a change.
//!
//! They are called one after another, by a task of their own: in the order in which things happened, and never in the
//! way of the engine. Each gets the event on stdin. What becomes of a hook is logged, and nothing else.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::hook_process;
use crate::cli;
use crate::error::Error;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::verdict::Verdict;
use crate::output::{error_in_json, notice_in_json};

/// Of the events on stdin. Raised when a field is taken away or means another thing; fields may be added.
pub const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    Ready,
    Cutover,
    Revert,
    Reapply,
    VerdictChange,
    Failure,
    Complete,
    Throttled,
}

impl Hook {
    pub fn name(self) -> &'static str {
        match self {
            Hook::Ready => "ready",
            Hook::Cutover => "cutover",
            Hook::Revert => "revert",
            Hook::Reapply => "reapply",
            Hook::VerdictChange => "verdict-change",
            Hook::Failure => "failure",
            Hook::Complete => "complete",
            Hook::Throttled => "throttled",
        }
    }
}

/// What is known of a change from what has been told of it.
#[derive(Default)]
struct Known {
    table: String,
    state: Option<State>,
    /// The next swap to the new schema is not the first.
    was_reverted: bool,
    verdict: Option<String>,
    failure: Option<String>,
}

impl Known {
    /// The hook that this calls for. Pure.
    fn hear(&mut self, notice: &Notice) -> Option<Hook> {
        match notice {
            Notice::Started { table, state, .. } => {
                self.table.clone_from(table);
                self.enter(*state);
                None
            }
            Notice::Entered { state, .. } => {
                self.enter(*state);
                match state {
                    State::Ready => Some(Hook::Ready),
                    State::Completed => Some(Hook::Complete),
                    _ => None,
                }
            }
            Notice::Throttled { news: true, .. } => Some(Hook::Throttled),
            Notice::Swapped { serving: Serving::Old, .. } => {
                (self.was_reverted, self.failure) = (true, None);
                Some(Hook::Revert)
            }
            Notice::Swapped { serving: Serving::New, .. } => {
                self.failure = None;
                Some(if std::mem::take(&mut self.was_reverted) { Hook::Reapply } else { Hook::Cutover })
            }
            _ => None,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = Some(state);
        self.was_reverted |= matches!(state, State::Reverted | State::Reapplying);
    }
}

struct Call {
    hook: Hook,
    command: String,
    change: u64,
    table: String,
    state: Option<State>,
    event: Value,
}

pub struct Hooks {
    commands: HashMap<Hook, String>,
    known: Mutex<HashMap<u64, Known>>,
    /// `None` once no more is called.
    calls: Mutex<Option<mpsc::UnboundedSender<Call>>>,
    caller: Mutex<Option<JoinHandle<()>>>,
}

impl Hooks {
    pub fn new(hooks: &cli::Hooks) -> Self {
        let commands = [
            (Hook::Ready, &hooks.on_ready),
            (Hook::Cutover, &hooks.on_cutover),
            (Hook::Revert, &hooks.on_revert),
            (Hook::Reapply, &hooks.on_reapply),
            (Hook::VerdictChange, &hooks.on_verdict_change),
            (Hook::Failure, &hooks.on_failure),
            (Hook::Complete, &hooks.on_complete),
            (Hook::Throttled, &hooks.on_throttled),
        ];
        let commands: HashMap<Hook, String> =
            commands.into_iter().filter_map(|(hook, command)| Some((hook, command.clone()?))).collect();
        let (calls, caller) = match commands.is_empty() {
            true => (None, None),
            false => {
                let (calls, called) = mpsc::unbounded_channel();
                (Some(calls), Some(tokio::spawn(call_in_turn(called, hooks.hook_timeout))))
            }
        };
        Self { commands, known: Mutex::default(), calls: Mutex::new(calls), caller: Mutex::new(caller) }
    }

    pub fn want_verdicts(&self) -> bool {
        self.commands.contains_key(&Hook::VerdictChange)
    }

    pub fn hear(&self, change: u64, notice: &Notice) {
        self.tell(change, |known| Some((known.hear(notice)?, notice_in_json(notice))));
    }

    /// What would happen if the operator asked for the other schema now.
    pub fn verdict(&self, change: u64, verdict: &Verdict) {
        self.tell(change, |known| {
            let now = verdict.to_string();
            let was = known.verdict.replace(now.clone());
            let changed = was.as_ref().is_some_and(|was| *was != now);
            changed.then(|| {
                let event = json!({ "event": "verdict", "verdict": verdict.name(), "text": now, "was": was });
                (Hook::VerdictChange, event)
            })
        });
    }

    /// The engine gave the change up. An agent tries again and again: the same reason is told once.
    pub fn failed(&self, change: u64, error: &Error) {
        let failure = error.to_string();
        self.tell(change, |known| {
            let before = known.failure.replace(failure.clone());
            (before.as_ref() != Some(&failure)).then(|| (Hook::Failure, error_in_json(error)))
        });
    }

    fn tell(&self, change: u64, what: impl FnOnce(&mut Known) -> Option<(Hook, Value)>) {
        let mut all = self.known.lock().unwrap_or_else(|e| e.into_inner());
        let known = all.entry(change).or_default();
        let Some((hook, event)) = what(known) else { return };
        let Some(command) = self.commands.get(&hook).cloned() else { return };
        let call = Call { hook, command, change, table: known.table.clone(), state: known.state, event };
        if let Some(calls) = &*self.calls.lock().unwrap_or_else(|e| e.into_inner()) {
            // Nobody listens only when the process ends.
            let _ = calls.send(call);
        }
    }

    /// Returns when all that were called have ended.
    pub async fn finish(&self) {
        drop(self.calls.lock().unwrap_or_else(|e| e.into_inner()).take());
        let caller = self.caller.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(caller) = caller {
            let _ = caller.await;
        }
    }
}

async fn call_in_turn(mut called: mpsc::UnboundedReceiver<Call>, within: Duration) {
    while let Some(call) = called.recv().await {
        let Call { hook, command, change, table, state, mut event } = call;
        event["version"] = VERSION.into();
        event["hook"] = hook.name().into();
        event["id"] = change.into();
        event["table"] = table.as_str().into();
        event["at"] = humantime::format_rfc3339_millis(SystemTime::now()).to_string().into();
        let variables = [
            ("RSC_HOOK", hook.name().to_owned()),
            ("RSC_CHANGE_ID", change.to_string()),
            ("RSC_CHANGE_TABLE", table),
            ("RSC_CHANGE_STATE", state.map_or(String::new(), |state| state.name().to_owned())),
        ];
        let hook = hook.name();
        match hook_process::run(&command, &event.to_string(), &variables, within).await {
            Ok(()) => tracing::info!(target: "rsc::hook", change, hook, "the hook on-{hook} has run"),
            Err(why) => {
                tracing::warn!(target: "rsc::hook", change, hook, "the hook on-{hook} of change {change}: {why}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::kind::Kind;

    fn entered(state: State) -> Notice {
        Notice::Entered { kind: Kind::Alter, state }
    }

    fn swapped(serving: Serving) -> Notice {
        Notice::Swapped { kind: Kind::Alter, serving, freeze: None }
    }

    fn called(notices: &[Notice]) -> Vec<Hook> {
        let mut known = Known::default();
        notices.iter().filter_map(|notice| known.hear(notice)).collect()
    }

    #[test]
    fn the_first_swap_is_the_cutover_and_those_after_a_revert_are_reapplies() {
        let all = [
            entered(State::Ready),
            entered(State::CuttingOver),
            swapped(Serving::New),
            entered(State::Revertible),
            entered(State::Reverting),
            swapped(Serving::Old),
            entered(State::Reverted),
            entered(State::Reapplying),
            swapped(Serving::New),
            entered(State::Revertible),
            entered(State::Completed),
        ];
        let expected = [Hook::Ready, Hook::Cutover, Hook::Revert, Hook::Reapply, Hook::Complete];
        assert_eq!(called(&all), expected);
    }

    #[test]
    fn a_process_that_takes_a_reverted_change_up_knows_that_the_next_swap_is_no_cutover() {
        let started = |state| Notice::Started { id: 1, table: "d.t".into(), state };
        assert_eq!(called(&[started(State::Reapplying), swapped(Serving::New)]), [Hook::Reapply]);
        assert_eq!(called(&[started(State::CuttingOver), swapped(Serving::New)]), [Hook::Cutover]);
    }
}
