//! A program that is measured while it runs: time, memory, processor.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Outcome;

/// What a program took.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    pub seconds: f64,
    /// Peak resident memory.
    pub rss_mib: f64,
    /// Processor time.
    pub cpu_s: f64,
    pub stdout: Vec<String>,
    /// When each line of stdout came.
    pub at: Vec<Instant>,
}

impl Usage {
    /// The last object on stdout that is about `event`.
    pub fn event(&self, event: &str) -> Option<serde_json::Value> {
        let lines = self.stdout.iter().rev();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .find(|v: &serde_json::Value| v["event"] == event)
    }

    /// How many seconds rsc was in each state, in the order in which it came to them.
    fn stays(&self) -> Vec<(String, f64)> {
        let states = self.stdout.iter().zip(&self.at).filter_map(|(line, at)| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            let of_state = matches!(value["event"].as_str(), Some("started" | "state" | "done"));
            of_state.then(|| (value["state"].as_str().unwrap_or("").to_owned(), *at))
        });
        let states: Vec<_> = states.collect();
        states.windows(2).map(|pair| (pair[0].0.clone(), (pair[1].1 - pair[0].1).as_secs_f64())).collect()
    }

    pub fn seconds_in(&self, state: &str) -> f64 {
        self.stays().into_iter().filter(|(name, _)| name == state).map(|(_, seconds)| seconds).sum()
    }

    /// [`Usage::stays`], for people.
    pub fn phases(&self) -> String {
        self.stays().into_iter().map(|(name, s)| format!("{name} {s:.2} s")).collect::<Vec<_>>().join(", ")
    }

    /// When the line with `event` came.
    pub fn when(&self, event: &str) -> Option<Instant> {
        let text = format!("\"event\":\"{event}\"");
        self.stdout.iter().position(|line| line.contains(&text)).map(|i| self.at[i])
    }
}

/// Of /proc, on every Linux that rsc runs on.
pub const TICKS_PER_S: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub async fn run(mut command: Command) -> Outcome<Usage> {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().ok_or("no stdout")?;
    let lines = tokio::spawn(async move {
        let mut lines = BufReader::new(out).lines();
        let (mut text, mut at) = (Vec::new(), Vec::new());
        while let Ok(Some(line)) = lines.next_line().await {
            text.push(line);
            at.push(Instant::now());
        }
        (text, at)
    });
    let mut usage = Usage::default();
    let status = loop {
        look(&child, &mut usage);
        match tokio::time::timeout(LOOK_EVERY, child.wait()).await {
            Ok(status) => break status?,
            Err(_) => continue,
        }
    };
    usage.seconds = began.elapsed().as_secs_f64();
    (usage.stdout, usage.at) = lines.await?;
    match status.success() {
        true => Ok(usage),
        false => Err(format!("{command:?} ended with {status}: {}", usage.stdout.join("\n")).into()),
    }
}

fn look(child: &Child, usage: &mut Usage) {
    let Some(pid) = child.id() else { return };
    usage.rss_mib = usage.rss_mib.max(rss_mib(pid).unwrap_or(0.0));
    usage.cpu_s = usage.cpu_s.max(cpu_s(pid).unwrap_or(0.0));
}

fn rss_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
    Some(peak.trim().parse::<f64>().ok()? / 1024.0)
}

/// Ticks are hundredths of a second on every Linux that rsc runs on.
pub fn cpu_s(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS_PER_S)
}
