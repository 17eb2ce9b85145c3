//! What makes a change wait, and why. Pure.
//!
//! # What waits, and what does not
//!
//! *Until the first swap* everything that writes waits: the copy, the stream that follows the live table, the start of an index
//! build, a verification with its repairs, and the attempt to swap. So does gh-ost. A replica that cannot keep up with the
//! application alone must not be given the application's writes twice. What waits is in the binlog and costs
//! nothing there, with one exception: when the server may soon purge what the stream needs next, the stream goes on,
//! whatever throttles, for without it all that was copied is lost. A build that has begun is not stopped: the server would
//! throw away what it has done.
//!
//! *After it* the stream is the way back, and is throttled by nothing but a pause: an operator who reverts wants to do so
//! now. For the same reason a revert does not wait. Verifications do, also at a critical load, which no longer ends the
//! process: it keeps the stream.
//!
//! # Fails closed
//!
//! A signal that cannot be read throttles, and so does a verdict that is older than [`STALE`]. A replica that was found once is
//! looked at until the operator says otherwise, also when the server does not list it any more: it may have died.
//!
//! # No flutter
//!
//! What was too much has to be right for [`CALM`] before it counts as over. So a signal near its limit makes few and
//! longer waits instead of many short ones.

pub mod lag;
pub mod limits;
pub mod measure;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use limits::Limits;
use measure::{Load, about, spanned};

/// A verdict older than this is none.
pub const STALE: Duration = Duration::from_secs(5);
/// All signals have to be within their limits for so long.
pub const CALM: Duration = Duration::from_millis(500);

/// What was read, or why it could not be.
pub type Read<T> = Result<T, String>;

/// What was read at one moment. Only what there is a limit for is asked.
#[derive(Clone, Debug)]
pub struct Signals {
    /// By the replica's name. An error in front stands for all of them: who they are is not known.
    pub replicas: Read<Vec<(String, Read<Duration>)>>,
    /// By name in lower case; without those that the server does not have.
    pub status: Read<BTreeMap<String, f64>>,
    pub history: Read<u64>,
    pub free_disk: Read<u64>,
    pub query: Read<f64>,
    pub flag_file: Read<bool>,
}

/// Why a change waits.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    Lag {
        replica: String,
        lag: Duration,
        most: Duration,
    },
    /// How far it is behind is not known.
    Unseen {
        replica: String,
        why: String,
    },
    Load {
        load: Load,
        is: f64,
    },
    Hibernating {
        why: String,
        left: Duration,
    },
    History {
        length: u64,
        most: u64,
    },
    Disk {
        free: u64,
        least: u64,
    },
    Query {
        said: f64,
    },
    FlagFile {
        path: String,
    },
    Unread {
        what: &'static str,
        why: String,
    },
    /// Where it is no reason to end the process.
    Critical {
        why: String,
    },
    /// All was right again a moment ago; see [`CALM`].
    Calming,
}

impl Reason {
    /// The same for as long as only numbers change.
    pub fn kind(&self) -> String {
        match self {
            Reason::Lag { replica, .. } => format!("lag {replica}"),
            Reason::Unseen { replica, .. } => format!("unseen {replica}"),
            Reason::Load { load, .. } => format!("load {}", load.name),
            Reason::Hibernating { .. } => "hibernating".into(),
            Reason::History { .. } => "history".into(),
            Reason::Disk { .. } => "disk".into(),
            Reason::Query { .. } => "query".into(),
            Reason::FlagFile { .. } => "flag file".into(),
            Reason::Unread { what, .. } => format!("unread {what}"),
            Reason::Critical { .. } => "critical".into(),
            Reason::Calming => "calming".into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Lag { replica, lag, most } => {
                write!(
                    f,
                    "replica {replica} is {:.3} s behind, more than {}",
                    lag.as_secs_f64(),
                    spanned(*most)
                )
            }
            Reason::Unseen { replica, why } => {
                write!(f, "how far replica {replica} is behind is not known: {why}")
            }
            Reason::Load { load, is } => write!(f, "{} is {is}, more than {}", load.name, load.most),
            Reason::Hibernating { why, left } => {
                let left = humantime::format_duration(Duration::from_secs(left.as_secs().max(1)));
                write!(f, "standing still for {left} more, after a critical load: {why}")
            }
            Reason::History { length, most } => {
                write!(f, "the history list has {length} entries, more than {most}")
            }
            Reason::Disk { free, least } => {
                write!(f, "the server's disk has {} free, less than {}", about(*free), about(*least))
            }
            Reason::Query { said } => write!(f, "the throttle query answers {said}"),
            Reason::FlagFile { path } => write!(f, "the flag file {path} exists"),
            Reason::Unread { what, why } => write!(f, "{what} cannot be read: {why}"),
            Reason::Critical { why } => write!(f, "a critical load: {why}"),
            Reason::Calming => {
                write!(f, "all is within its limits again; whether that lasts is seen in a moment")
            }
        }
    }
}

/// Whether the change may go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Empty: nothing is in the way.
    pub reasons: Vec<Reason>,
    /// The operator wants the process to end on this.
    pub critical: Option<String>,
    /// Of the replica that is furthest behind, where any is known.
    pub lag: Option<Duration>,
}

impl Verdict {
    pub fn free(&self) -> bool {
        self.reasons.is_empty() && self.critical.is_none()
    }
}

/// What has to be remembered between two verdicts.
#[derive(Debug, Default)]
pub struct Judge {
    hibernates: Option<(Duration, String)>,
    /// When something was last too much.
    held: Option<Duration>,
}

impl Judge {
    /// `now` is a duration since any fixed moment.
    pub fn verdict(&mut self, limits: &Limits, signals: &Signals, now: Duration) -> Verdict {
        let mut reasons = reasons(limits, signals);
        let mut critical = critical(limits, signals);
        match (&self.hibernates, limits.hibernate) {
            // Also when it was switched off meanwhile.
            (_, None) => self.hibernates = None,
            (Some((until, why)), Some(_)) if now < *until => {
                reasons.insert(0, Reason::Hibernating { why: why.clone(), left: *until - now });
                critical = None;
            }
            (_, Some(time)) => {
                self.hibernates = critical.take().map(|why| (now + time, why));
                if let Some((_, why)) = &self.hibernates {
                    reasons.insert(0, Reason::Hibernating { why: why.clone(), left: time });
                }
            }
        }
        if !reasons.is_empty() {
            self.held = Some(now);
        } else if self.held.is_some_and(|held| now.saturating_sub(held) < CALM) {
            reasons.push(Reason::Calming);
        }
        let lags = signals.replicas.iter().flatten().filter_map(|(_, lag)| lag.as_ref().ok());
        Verdict { reasons, critical, lag: lags.max().copied() }
    }
}

fn reasons(limits: &Limits, signals: &Signals) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(most) = limits.max_lag {
        reasons.extend(too_late(most, &signals.replicas));
    }
    reasons.extend(too_busy("the status of the server", &limits.max_load, &signals.status));
    if let Some(most) = limits.max_history {
        reasons.extend(unless("the history list length", &signals.history, |length| {
            (*length > most).then_some(Reason::History { length: *length, most })
        }));
    }
    if let Some(least) = limits.min_free_disk {
        reasons.extend(unless("the free disk space", &signals.free_disk, |free| {
            (*free < least).then_some(Reason::Disk { free: *free, least })
        }));
    }
    if limits.query.is_some() {
        reasons.extend(unless("the answer to the throttle query", &signals.query, |said| {
            (*said != 0.0).then_some(Reason::Query { said: *said })
        }));
    }
    if let Some(path) = &limits.flag_file {
        reasons.extend(unless("the flag file", &signals.flag_file, |there| {
            there.then(|| Reason::FlagFile { path: path.clone() })
        }));
    }
    reasons
}

fn unless<T>(what: &'static str, read: &Read<T>, judge: impl Fn(&T) -> Option<Reason>) -> Option<Reason> {
    match read {
        Ok(value) => judge(value),
        Err(why) => Some(Reason::Unread { what, why: why.clone() }),
    }
}

fn too_late(most: Duration, replicas: &Read<Vec<(String, Read<Duration>)>>) -> Vec<Reason> {
    let one = |(replica, lag): &(String, Read<Duration>)| match lag {
        Ok(lag) if *lag > most => Some(Reason::Lag { replica: replica.clone(), lag: *lag, most }),
        Ok(_) => None,
        Err(why) => Some(Reason::Unseen { replica: replica.clone(), why: why.clone() }),
    };
    match replicas {
        Ok(list) => list.iter().filter_map(one).collect(),
        Err(why) => vec![Reason::Unread { what: "the list of replicas", why: why.clone() }],
    }
}

fn too_busy(what: &'static str, loads: &[Load], status: &Read<BTreeMap<String, f64>>) -> Vec<Reason> {
    match status {
        Err(why) if !loads.is_empty() => vec![Reason::Unread { what, why: why.clone() }],
        Err(_) => Vec::new(),
        Ok(status) => loads
            .iter()
            .filter_map(|load| match status.get(&load.name.to_lowercase()) {
                Some(is) => (*is > load.most as f64).then(|| Reason::Load { load: load.clone(), is: *is }),
                None => Some(Reason::Unread { what, why: format!("it has no number {}", load.name) }),
            })
            .collect(),
    }
}

/// A load that could not be read is no critical one: it throttles.
fn critical(limits: &Limits, signals: &Signals) -> Option<String> {
    let status = signals.status.as_ref().ok()?;
    let over = |load: &&Load| status.get(&load.name.to_lowercase()).is_some_and(|is| *is > load.most as f64);
    let load = limits.critical_load.iter().find(over)?;
    let is = status.get(&load.name.to_lowercase())?;
    Some(Reason::Load { load: load.clone(), is: *is }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use limits::Limit;

    const S: Duration = Duration::from_secs(1);

    fn limits(settings: &[&str]) -> Limits {
        let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
        Limits::default().with(&settings).expect("good settings")
    }

    fn lag(ms: u64) -> Signals {
        let lag = Ok(Duration::from_millis(ms));
        Signals { replicas: Ok(vec![("r:1".into(), lag)]), ..quiet() }
    }

    fn quiet() -> Signals {
        Signals {
            status: Ok([("threads_running".to_owned(), 5.0)].into()),
            history: Ok(10),
            free_disk: Ok(1 << 40),
            query: Ok(0.0),
            flag_file: Ok(false),
            replicas: Ok(Vec::new()),
        }
    }

    fn shown(verdict: &Verdict) -> Vec<String> {
        verdict.reasons.iter().map(Reason::to_string).collect()
    }

    #[test]
    fn a_replica_at_its_limit_is_not_too_late() {
        let limits = Limits::default();
        assert!(Judge::default().verdict(&limits, &lag(1500), S).free());
        let verdict = Judge::default().verdict(&limits, &lag(1501), S);
        assert_eq!(shown(&verdict), ["replica r:1 is 1.501 s behind, more than 1.5s"]);
        assert_eq!(verdict.lag, Some(Duration::from_millis(1501)));
        assert!(Judge::default().verdict(&self::limits(&["max-lag=none"]), &lag(9999), S).free());
    }

    #[test]
    fn every_limit_that_is_exceeded_is_a_reason() {
        let limits = limits(&[
            "max-load=Threads_running=4",
            "max-history=9",
            "min-free-disk=2TiB",
            "throttle-query=SELECT 1",
            "throttle-flag-file=/f",
        ]);
        let signals = Signals { query: Ok(1.0), flag_file: Ok(true), ..quiet() };
        assert_eq!(
            shown(&Judge::default().verdict(&limits, &signals, S)),
            [
                "Threads_running is 5, more than 4",
                "the history list has 10 entries, more than 9",
                "the server's disk has 1.0 TiB free, less than 2.0 TiB",
                "the throttle query answers 1",
                "the flag file /f exists",
            ]
        );
    }

    #[test]
    fn a_signal_that_cannot_be_read_throttles_if_there_is_a_limit_for_it() {
        let no = || "no".to_owned();
        let blind = Signals {
            replicas: Err(no()),
            status: Err(no()),
            history: Err(no()),
            free_disk: Err(no()),
            query: Err(no()),
            flag_file: Err(no()),
        };
        assert!(Judge::default().verdict(&limits(&["max-lag=none"]), &blind, S).free());
        let all = limits(&[
            "max-load=Threads_running=4",
            "max-history=9",
            "min-free-disk=2TiB",
            "throttle-query=SELECT 1",
            "throttle-flag-file=/f",
        ]);
        assert_eq!(Judge::default().verdict(&all, &blind, S).reasons.len(), 6);
        let unseen = Signals { replicas: Ok(vec![("r:1".into(), Err(no()))]), ..quiet() };
        assert_eq!(
            shown(&Judge::default().verdict(&Limits::default(), &unseen, S)),
            ["how far replica r:1 is behind is not known: no"]
        );
        let other = limits(&["max-load=No_such=4"]);
        assert_eq!(
            shown(&Judge::default().verdict(&other, &quiet(), S)),
            ["the status of the server cannot be read: it has no number No_such"]
        );
    }

    #[test]
    fn what_throttled_has_to_be_right_for_a_while() {
        let (limits, mut judge) = (Limits::default(), Judge::default());
        assert!(!judge.verdict(&limits, &lag(2000), S).free());
        assert_eq!(judge.verdict(&limits, &lag(0), S + CALM / 2).reasons, [Reason::Calming]);
        assert!(!judge.verdict(&limits, &lag(2000), S + CALM).free());
        assert!(!judge.verdict(&limits, &lag(0), S + CALM + CALM / 2).free());
        assert!(judge.verdict(&limits, &lag(0), S + CALM * 2).free());
    }

    #[test]
    fn a_critical_load_ends_the_process_or_lets_it_hibernate() {
        let mut limits = limits(&["critical-load=Threads_running=4"]);
        let mut judge = Judge::default();
        let verdict = judge.verdict(&limits, &quiet(), S);
        assert_eq!(verdict.critical.as_deref(), Some("Threads_running is 5, more than 4"));
        limits.set(Limit::Hibernate, "10s").expect("good");
        let hibernating = judge.verdict(&limits, &quiet(), S);
        assert_eq!(hibernating.critical, None);
        let calm = Signals { status: Ok([("threads_running".to_owned(), 1.0)].into()), ..quiet() };
        let still = judge.verdict(&limits, &calm, S * 5);
        assert_eq!(
            shown(&still),
            ["standing still for 6s more, after a critical load: Threads_running is 5, more than 4"]
        );
        assert!(judge.verdict(&limits, &calm, S * 12).free());
        // It looks again, and stands still again.
        assert!(!judge.verdict(&limits, &quiet(), S * 13).free());
        assert!(!judge.verdict(&limits, &quiet(), S * 30).free());
    }

    #[test]
    fn only_numbers_make_no_other_reason() {
        let kinds = |ms| {
            let verdict = Judge::default().verdict(&Limits::default(), &lag(ms), S);
            verdict.reasons.iter().map(Reason::kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(2000), kinds(3000));
    }
}
