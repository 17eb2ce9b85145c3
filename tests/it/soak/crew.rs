//! The rsc processes of a soak: agents that are started again whenever one has ended, and commands.
//!
//! All of them are owned here and looked after by [`Crew::tick`], so that a signal never reaches a number that belongs
//! to somebody else by now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use crate::support::process::{Ended, Running, rsc};
use crate::support::server::Server;

const AGENTS: usize = 2;

struct Process {
    running: Running,
    what: String,
    killed: bool,
    /// Until when it is stopped.
    stopped: Option<Instant>,
}

impl Process {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let running = rsc(server, &[&["--output", "json"], arguments].concat()).start();
        Self { running, what: arguments.join(" "), killed: false, stopped: None }
    }

    fn kill(&mut self) {
        self.running.signal("KILL");
        self.killed = true;
    }
}

/// The most memory that a process has had, in KiB; 0 when it has just ended.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

pub struct Crew<'a> {
    server: &'a Server,
    agents: Vec<(Option<Process>, Instant)>,
    commands: Vec<Process>,
    pub peak_kib: u64,
    pub kills: u64,
    pub stops: u64,
    /// How often each command ended with each code.
    pub codes: BTreeMap<(String, i32), u64>,
    /// The last of what processes said, for who has to find a reason.
    pub said: Vec<String>,
}

impl<'a> Crew<'a> {
    pub fn new(server: &'a Server) -> Self {
        let agents = (0..AGENTS).map(|_| (None, Instant::now())).collect();
        Self {
            server,
            agents,
            commands: Vec::new(),
            peak_kib: 0,
            kills: 0,
            stops: 0,
            codes: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// Starts agents that are due, wakes who was stopped for long enough, and hears who has ended.
    ///
    /// # Panics
    /// When a process ended as none may.
    pub fn tick(&mut self, dice: &mut StdRng) {
        for place in 0..self.agents.len() {
            let (agent, due) = &mut self.agents[place];
            if agent.is_none() && *due <= Instant::now() {
                *agent = Some(Process::start(self.server, &["agent"]));
            }
        }
        let mut ended = Vec::new();
        for (agent, due) in &mut self.agents {
            if let Some(process) = agent
                && let Some(end) = process.running.try_ended()
            {
                ended.push((process.what.clone(), process.killed, end));
                *agent = None;
                *due = Instant::now() + Duration::from_millis(dice.random_range(0..1_500));
            }
        }
        let mut at = 0;
        while at < self.commands.len() {
            match self.commands[at].running.try_ended() {
                Some(end) => {
                    let process = self.commands.swap_remove(at);
                    ended.push((process.what, process.killed, end));
                }
                None => at += 1,
            }
        }
        for (what, killed, end) in ended {
            self.judge(&what, killed, end);
        }
        let mut peak = self.peak_kib;
        for process in self.processes() {
            peak = peak.max(peak_kib(process.running.pid()));
            if process.stopped.is_some_and(|until| until <= Instant::now()) {
                process.running.signal("CONT");
                process.stopped = None;
            }
        }
        self.peak_kib = peak;
    }

    fn judge(&mut self, what: &str, killed: bool, end: Ended) {
        let short = match what.starts_with("migrate") {
            true => "migrate",
            false => what.split(' ').next().unwrap_or_default(),
        };
        *self.codes.entry((short.to_owned(), end.code)).or_default() += 1;
        let gave_up = end.stdout.lines().filter(|line| line.contains(r#""event":"ended""#));
        gave_up.for_each(|line| println!("an engine of rsc {what}: {line}"));
        if ![0, -1].contains(&end.code) {
            println!(
                "rsc {what} ended with {}: {} {}",
                end.code,
                end.stdout.lines().last().unwrap_or(""),
                end.stderr
            );
        }
        self.said.push(format!("{what} ended with {}: {}{}", end.code, end.stdout, end.stderr));
        if self.said.len() > 12 {
            self.said.remove(0);
        }
        let may_end_so = match end.code {
            0 => true,
            -1 => killed,
            // The server was gone when the process began, or went while it asked.
            2 => end.stdout.contains("cannot connect"),
            1 => end.stdout.contains("connection"),
            // Refused because of the state; stopped; the wish taken back by another; driven by another process.
            3 | 5 | 6 | 8 => true,
            _ => false,
        };
        assert!(may_end_so, "rsc {what}: {end:#?}");
        assert!(!end.stderr.contains("panicked"), "rsc {what}: {end:#?}");
        assert!(!end.stdout.contains("\"blocked\""), "rsc {what}: {end:#?}");
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.agents.iter_mut().filter_map(|(agent, _)| agent.as_mut()).chain(&mut self.commands)
    }

    pub fn command(&mut self, arguments: &[&str]) {
        let process = Process::start(self.server, arguments);
        self.commands.push(process);
    }

    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// One that has not been killed.
    fn one(&mut self, dice: &mut StdRng) -> Option<&mut Process> {
        let count = self.processes().count();
        self.processes().nth(dice.random_range(0..count.max(1))).filter(|process| !process.killed)
    }

    /// kill -9 to one of the processes.
    pub fn kill_one(&mut self, dice: &mut StdRng) {
        let Some(process) = self.one(dice) else { return };
        process.kill();
        self.kills += 1;
    }

    pub fn kill_all_agents(&mut self) {
        for agent in self.agents.iter_mut().filter_map(|(agent, _)| agent.as_mut()).filter(|a| !a.killed) {
            agent.kill();
            self.kills += 1;
        }
    }

    /// Stops one of the processes; [`Crew::tick`] wakes it.
    pub fn stop_one(&mut self, length: Duration, dice: &mut StdRng) {
        let Some(process) = self.one(dice).filter(|process| process.stopped.is_none()) else { return };
        process.running.signal("STOP");
        process.stopped = Some(Instant::now() + length);
        self.stops += 1;
    }

    /// Nobody is stopped any more.
    pub fn wake_all(&mut self) {
        for process in self.processes().filter(|process| process.stopped.is_some()) {
            process.running.signal("CONT");
            process.stopped = None;
        }
    }
}
