//! The limits within which a change is made, and how an operator names, writes and reads them. Pure.
//!
//! They have one form everywhere: the text behind `--max-lag`, in `rsc set 7 max-lag=2s`, in the journal and in what `rsc
//! set 7` prints is the same. `none` switches off what can be switched off.

use std::collections::BTreeMap;
use std::time::Duration;

use super::measure::{Address, Load, addresses, loads, size, sized, span, spanned};
use crate::lifecycle::window::{Windows, Zone};

/// Every limit, by the name of its option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    MaxLag,
    Replicas,
    MaxLoad,
    CriticalLoad,
    Hibernate,
    MaxHistory,
    MinFreeDisk,
    Query,
    FlagFile,
    NiceRatio,
    CutoverBetween,
    TimeZone,
    CutoverLockTimeout,
    ForceCutoverAfter,
}

impl Limit {
    pub const ALL: [Limit; 14] = [
        Limit::MaxLag,
        Limit::Replicas,
        Limit::MaxLoad,
        Limit::CriticalLoad,
        Limit::Hibernate,
        Limit::MaxHistory,
        Limit::MinFreeDisk,
        Limit::Query,
        Limit::FlagFile,
        Limit::NiceRatio,
        Limit::CutoverBetween,
        Limit::TimeZone,
        Limit::CutoverLockTimeout,
        Limit::ForceCutoverAfter,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Limit::MaxLag => "max-lag",
            Limit::Replicas => "throttle-control-replicas",
            Limit::MaxLoad => "max-load",
            Limit::CriticalLoad => "critical-load",
            Limit::Hibernate => "critical-load-hibernate",
            Limit::MaxHistory => "max-history",
            Limit::MinFreeDisk => "min-free-disk",
            Limit::Query => "throttle-query",
            Limit::FlagFile => "throttle-flag-file",
            Limit::NiceRatio => "nice-ratio",
            Limit::CutoverBetween => "cutover-between",
            Limit::TimeZone => "time-zone",
            Limit::CutoverLockTimeout => "cutover-lock-timeout",
            Limit::ForceCutoverAfter => "force-cutover-after",
        }
    }

    /// Also as it stands behind `--`. The error is for people, and may end in a name that was perhaps meant.
    pub fn named(name: &str) -> Result<Self, String> {
        let plain = name.trim().trim_start_matches("--").replace('_', "-");
        if let Some(limit) = Limit::ALL.into_iter().find(|limit| limit.name() == plain) {
            return Ok(limit);
        }
        let near = Limit::ALL.into_iter().map(|limit| (strsim::jaro_winkler(limit.name(), &plain), limit));
        let nearest = near.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(likeness, _)| *likeness > 0.75);
        Err(match nearest {
            Some((_, limit)) => format!("there is no limit `{plain}`; did you mean `{}`?", limit.name()),
            None => {
                format!("there is no limit `{plain}`; there are {}", Limit::ALL.map(Limit::name).join(", "))
            }
        })
    }
}

/// Which replicas are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Replicas {
    /// All that are connected to the server.
    #[default]
    Found,
    Named(Vec<Address>),
    /// None, whichever there are.
    Ignored,
}

/// `None` stands for a limit that is switched off.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Limits {
    pub max_lag: Option<Duration>,
    pub replicas: Replicas,
    pub max_load: Vec<Load>,
    pub critical_load: Vec<Load>,
    /// A critical load makes the change stand still for so long, instead of ending the process.
    pub hibernate: Option<Duration>,
    /// Of InnoDB's history list.
    pub max_history: Option<u64>,
    /// In the server's data folder, in bytes.
    pub min_free_disk: Option<u64>,
    /// A question to the server; 0 is the answer that lets the change go on.
    pub query: Option<String>,
    /// On the host of the process that drives the change.
    pub flag_file: Option<String>,
    /// Thousandths of the time that a batch took, for which nothing is done after it.
    pub nice_thousandths: u32,
    pub cutover_between: Option<Windows>,
    /// For windows that do not name one themselves.
    pub time_zone: Zone,
    /// Of one attempt to lock the tables, in whole seconds.
    pub cutover_lock_timeout: Duration,
    /// Since the first attempt that missed.
    pub force_cutover_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_lag: Some(Duration::from_millis(1500)),
            replicas: Replicas::Found,
            max_load: Vec::new(),
            critical_load: Vec::new(),
            hibernate: None,
            max_history: None,
            min_free_disk: None,
            query: None,
            flag_file: None,
            nice_thousandths: 0,
            cutover_between: None,
            time_zone: Zone::default(),
            cutover_lock_timeout: Duration::from_secs(3),
            force_cutover_after: None,
        }
    }
}

/// Why `rsc set` takes no throttle query, and what to do.
pub const NO_SQL: &str = "a throttle query is run only by a process whose own command line or configuration has it, so it cannot be set";
pub const HOW_INSTEAD: &str = "to change it, `rsc pause` the change, set throttle-query=none, and go on with `rsc migrate --resume` and \
     --throttle-query";

const NONE: &str = "none";
const FOUND: &str = "auto";
/// A copy that rests for longer than this makes no headway.
const NICE_MAX: f64 = 100.0;

impl Limits {
    /// Takes the text of one limit. Nothing is changed by a text that cannot be read.
    pub fn set(&mut self, limit: Limit, text: &str) -> Result<(), String> {
        let text = text.trim();
        match limit {
            Limit::MaxLag => self.max_lag = or_none(text, positive)?,
            Limit::Replicas => {
                self.replicas = match text {
                    FOUND => Replicas::Found,
                    NONE => Replicas::Ignored,
                    list => Replicas::Named(addresses(list)?),
                }
            }
            Limit::MaxLoad => self.max_load = or_none(text, loads)?.unwrap_or_default(),
            Limit::CriticalLoad => self.critical_load = or_none(text, loads)?.unwrap_or_default(),
            Limit::Hibernate => self.hibernate = or_none(text, positive)?,
            Limit::MaxHistory => self.max_history = or_none(text, number)?,
            Limit::MinFreeDisk => self.min_free_disk = or_none(text, size)?,
            Limit::Query => self.query = or_none(text, said)?,
            Limit::FlagFile => self.flag_file = or_none(text, said)?,
            Limit::NiceRatio => self.nice_thousandths = or_none(text, ratio)?.unwrap_or(0),
            Limit::CutoverBetween => self.cutover_between = or_none(text, Windows::parse)?,
            Limit::TimeZone => self.time_zone = Zone::parse(text)?,
            Limit::CutoverLockTimeout => self.cutover_lock_timeout = whole_seconds(text)?,
            Limit::ForceCutoverAfter => self.force_cutover_after = or_none(text, span)?,
        }
        Ok(())
    }

    /// As [`Limits::set`] takes it.
    pub fn shown(&self, limit: Limit) -> String {
        let listed = |list: &[Load]| match list {
            [] => None,
            list => Some(list.iter().map(Load::to_string).collect::<Vec<_>>().join(",")),
        };
        let shown = match limit {
            Limit::MaxLag => self.max_lag.map(spanned),
            Limit::Replicas => match &self.replicas {
                Replicas::Found => Some(FOUND.into()),
                Replicas::Ignored => None,
                Replicas::Named(list) => {
                    Some(list.iter().map(Address::to_string).collect::<Vec<_>>().join(","))
                }
            },
            Limit::MaxLoad => listed(&self.max_load),
            Limit::CriticalLoad => listed(&self.critical_load),
            Limit::Hibernate => self.hibernate.map(spanned),
            Limit::MaxHistory => self.max_history.map(|length| length.to_string()),
            Limit::MinFreeDisk => self.min_free_disk.map(sized),
            Limit::Query => self.query.clone(),
            Limit::FlagFile => self.flag_file.clone(),
            Limit::NiceRatio => Some((f64::from(self.nice_thousandths) / 1000.0).to_string()),
            Limit::CutoverBetween => self.cutover_between.as_ref().map(Windows::to_string),
            Limit::TimeZone => Some(self.time_zone.to_string()),
            Limit::CutoverLockTimeout => Some(spanned(self.cutover_lock_timeout)),
            Limit::ForceCutoverAfter => self.force_cutover_after.map(spanned),
        };
        shown.unwrap_or_else(|| NONE.into())
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<(&'static str, String)> {
        Limit::ALL.into_iter().map(|limit| (limit.name(), self.shown(limit))).collect()
    }

    /// Takes `max-lag=2s` and the like, all or none of them.
    pub fn with(&self, settings: &[String]) -> Result<Self, String> {
        let mut limits = self.clone();
        for setting in settings {
            let no = || format!("`{setting}` sets nothing; write it like max-lag=2s, or max-load=none");
            let (name, text) = setting.split_once('=').ok_or_else(no)?;
            let limit = Limit::named(name)?;
            limits.set(limit, text).map_err(|why| format!("{}: {why}", limit.name()))?;
        }
        Ok(limits)
    }

    /// The question that a process asks, whose own command line or configuration has `own`. What the journal or a request
    /// says is no reason to run it: whoever may write there has not the rights of rsc's account.
    pub fn query_of<'a>(&self, own: Option<&'a str>) -> Result<Option<&'a str>, String> {
        match (&self.query, own) {
            (Some(wanted), None) => Err(format!(
                "this process was not given it; start it with --throttle-query '{wanted}', or give the change none \
                 (`rsc set` with throttle-query=none)"
            )),
            (Some(wanted), Some(own)) if own != wanted => Err(format!(
                "this process was given another one (`{own}`), and the change was begun with `{wanted}`"
            )),
            (_, own) => Ok(own),
        }
    }

    /// Whether what is asked for by `rsc set` would be run by the process that is asked.
    pub fn carries_sql(settings: &[String]) -> bool {
        settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
            .any(|(name, text)| Limit::named(name) == Ok(Limit::Query) && text.trim() != NONE)
    }

    /// For how long nothing is done after something that took `took`.
    pub fn rest(&self, took: Duration) -> Duration {
        took.mul_f64(f64::from(self.nice_thousandths) / 1000.0)
    }

    /// Status variables that a limit is about.
    pub fn variables(&self) -> Vec<&str> {
        self.max_load.iter().chain(&self.critical_load).map(|load| load.name.as_str()).collect()
    }

    /// Until the tables may be swapped for the first time, if not now; and what the windows are.
    pub fn window_closed(&self, now: u64) -> Option<(Duration, String)> {
        let windows = self.cutover_between.as_ref()?;
        let wait = windows.opens_in(now, &self.time_zone);
        (!wait.is_zero()).then(|| (wait, windows.named(&self.time_zone)))
    }
}

fn or_none<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == NONE { Ok(None) } else { read(text).map(Some) }
}

fn positive(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err(format!("`{text}` is no span of time; to switch it off, write `{NONE}`")),
        time => Ok(time),
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    match span(text)? {
        time if time.as_secs() > 0 && time.subsec_nanos() == 0 => Ok(time),
        _ => Err("must be at least 1s, in whole seconds".into()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number; to switch it off, write `{NONE}`"))
}

fn said(text: &str) -> Result<String, String> {
    match text {
        "" => Err(format!("it is empty; to switch it off, write `{NONE}`")),
        text => Ok(text.to_owned()),
    }
}

fn ratio(text: &str) -> Result<u32, String> {
    let no = || format!("`{text}` is no ratio; write a number from 0 to {NICE_MAX}, like 0.5");
    let ratio: f64 = text.parse().map_err(|_| no())?;
    if (0.0..=NICE_MAX).contains(&ratio) { Ok((ratio * 1000.0).round() as u32) } else { Err(no()) }
}

impl From<Limits> for BTreeMap<String, String> {
    fn from(limits: Limits) -> Self {
        limits.all().into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Limits {
    type Error = String;

    /// What is not there is as by default.
    fn try_from(stored: BTreeMap<String, String>) -> Result<Self, String> {
        let mut limits = Limits::default();
        for (name, text) in &stored {
            limits.set(Limit::named(name)?, text)?;
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_read_as_it_is_shown() {
        let texts = [
            "250ms",
            "replica1:3307,[::1]:3306",
            "Threads_running=25,Threads_connected=400",
            "Threads_running=60",
            "10m",
            "1000000",
            "10GiB",
            "SELECT COUNT(*) > 3 FROM d.t",
            "/tmp/flag file",
            "0.5",
            "Sat 22:00-02:00,02:00-04:00 +02:00",
            "Europe/Berlin",
            "5s",
            "0s",
        ];
        let mut limits = Limits::default();
        for (limit, text) in Limit::ALL.into_iter().zip(texts) {
            limits.set(limit, text).unwrap_or_else(|why| panic!("{limit:?}: {why}"));
            assert_eq!(limits.shown(limit), text);
        }
        let json = serde_json::to_string(&limits).expect("a map");
        assert_eq!(serde_json::from_str::<Limits>(&json).expect("readable"), limits);
        assert_eq!(limits.rest(Duration::from_millis(100)), Duration::from_millis(50));
    }

    #[test]
    fn what_can_be_switched_off_is_switched_off_by_none() {
        let mut limits = Limits::default();
        for limit in Limit::ALL {
            let off = !matches!(limit, Limit::TimeZone | Limit::CutoverLockTimeout);
            assert_eq!(limits.set(limit, "none").is_ok(), off, "{limit:?}");
            let shown = if limit == Limit::NiceRatio { "0" } else { "none" };
            assert!(!off || limits.shown(limit) == shown, "{limit:?}");
        }
        assert_eq!(limits.replicas, Replicas::Ignored);
    }

    #[test]
    fn an_empty_journal_has_the_defaults() {
        assert_eq!(serde_json::from_str::<Limits>("{}").expect("readable"), Limits::default());
        assert!(serde_json::from_str::<Limits>(r#"{"max-fun":"1"}"#).is_err());
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_one() {
        let why = |name: &str| Limit::named(name).expect_err(name);
        assert!(why("max-laod").ends_with("did you mean `max-load`?"));
        assert!(why("lag").contains("did you mean `max-lag`") || why("lag").contains("there are max-lag"));
        assert!(why("quux").contains("there are max-lag"));
        assert_eq!(Limit::named("--max_lag"), Ok(Limit::MaxLag));
    }

    #[test]
    fn a_query_is_run_only_by_whom_it_was_given_to() {
        let mut limits = Limits::default();
        assert_eq!(limits.query_of(None), Ok(None));
        assert_eq!(limits.query_of(Some("SELECT 1")), Ok(Some("SELECT 1")));
        limits.set(Limit::Query, "SELECT 1").expect("good");
        assert_eq!(limits.query_of(Some("SELECT 1")), Ok(Some("SELECT 1")));
        assert!(limits.query_of(None).expect_err("not given").contains("--throttle-query 'SELECT 1'"));
        assert!(limits.query_of(Some("SELECT 2")).is_err());
        let carries = |text: &str| Limits::carries_sql(&["max-lag=1s".to_owned(), text.to_owned()]);
        assert!(carries("throttle-query=SELECT 1") && carries("--throttle_query= SELECT 1"));
        assert!(!carries("throttle-query=none") && !carries("max-load=none"));
    }

    #[test]
    fn settings_are_taken_all_or_not_at_all() {
        let set = |texts: &[&str]| {
            Limits::default().with(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        let limits = set(&["max-load=Threads_running=25", "max-lag=none"]).expect("good");
        assert_eq!((limits.shown(Limit::MaxLoad).as_str(), limits.max_lag), ("Threads_running=25", None));
        for bad in ["max-lag", "max-lag=0", "max-lag=soon", "max-load=25", "nice-ratio=-1", "nice-ratio=1000"]
        {
            assert!(set(&["max-lag=2s", bad]).is_err(), "{bad}");
        }
        assert!(set(&["max-load=25"]).expect_err("bad").starts_with("max-load: `25` is no load"));
    }
}
