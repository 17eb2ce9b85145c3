//! The `rsc` binary as an operator or a program starts it, and what came of it.

// Tests use different parts of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rsc::settings::{self, SslMode};
use serde_json::Value;
use tokio::time::sleep;

use super::server::Server;
use super::server::account::Account;

/// No test waits longer for a process; what it had printed is in the panic.
const ENOUGH: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A command line to be run. Nothing of the person's own settings reaches it.
pub struct Rsc {
    command: Command,
    shown: String,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// `rsc` on `server` with the account and the grants of README.md.
pub fn rsc(server: &Server, arguments: &[&str]) -> Rsc {
    rsc_as(Account::Documented.user(), server, arguments)
}

/// Without the grants that README.md calls optional.
pub fn rsc_minimal(server: &Server, arguments: &[&str]) -> Rsc {
    rsc_as(Account::Minimal.user(), server, arguments)
}

/// As root. Who needs it says why.
pub fn rsc_as_root(server: &Server, arguments: &[&str]) -> Rsc {
    rsc_as("root", server, arguments)
}

/// As an account without a password.
pub fn rsc_as(user: &str, server: &Server, arguments: &[&str]) -> Rsc {
    let port = server.port().to_string();
    let mut all = vec!["--host", "127.0.0.1", "--port", &port, "--user", user];
    all.extend(arguments);
    bare(&all)
}

/// Where the library finds `server`, with the account that [`rsc`] has.
pub fn address(server: &Server) -> settings::Server {
    address_as(Account::Documented.user(), server)
}

/// With another account.
pub fn address_as(user: &str, server: &Server) -> settings::Server {
    settings::Server {
        host: "127.0.0.1".into(),
        port: server.port(),
        socket: None,
        user: user.into(),
        password: None,
        ssl_mode: SslMode::Disabled,
        ssl_ca: None,
        ssl_cert: None,
        ssl_key: None,
    }
}

/// `rsc` with these arguments only.
pub fn bare(arguments: &[&str]) -> Rsc {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsc"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RSC_")) {
        command.env_remove(name);
    }
    // No test leaves an agent on a server that others use.
    command.env("RSC_AGENT", "none");
    command
        .env("RSC_CONFIG", "/dev/null")
        .env("RSC_DEFAULTS_FILE", "/dev/null")
        .args(arguments)
        .stdin(Stdio::null());
    Rsc { command, shown: arguments.join(" ") }
}

impl Rsc {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes away what tests set as a rule.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it in this folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it and returns when it has ended.
    pub async fn run(self) -> Ended {
        self.start().ended().await
    }

    /// # Panics
    /// When it cannot be started: no test can go on then.
    pub fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("rsc {}: {e}", self.shown));
        let (stdout, stderr) = (Said::default(), Said::default());
        let readers = [
            child.stdout.take().map(|pipe| stdout.listen(pipe)),
            child.stderr.take().map(|pipe| stderr.listen(pipe)),
        ];
        let readers = readers.into_iter().flatten().collect();
        Running { child, started, stdout, stderr, readers, shown: self.shown }
    }
}

/// What a process has printed so far.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl Said {
    fn listen(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let said = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = said.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        })
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A process that may still run. Dropping it kills it.
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Said,
    stderr: Said,
    readers: Vec<JoinHandle<()>>,
    shown: String,
}

impl Running {
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns when stdout holds `text`.
    pub async fn says(&mut self, text: &str) {
        self.says_on(text, |running| running.stdout()).await;
    }

    /// Returns when stderr, where logs go, holds `text`.
    pub async fn logs(&mut self, text: &str) {
        self.says_on(text, |running| running.stderr()).await;
    }

    async fn says_on(&mut self, text: &str, said: impl Fn(&Self) -> String) {
        while !said(self).contains(text) {
            let ended = self.child.try_wait().unwrap_or_else(|e| panic!("{e}"));
            if (ended.is_some() && self.readers.iter().all(|r| r.is_finished()) && !said(self).contains(text))
                || self.started.elapsed() > ENOUGH
            {
                panic!("rsc {} did not say {text:?}; {ended:?}\n{}", self.shown, self.all());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The most memory that it has had so far, by the kernel's count. `None` once it has ended.
    pub fn memory_peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
        peak.trim().parse::<u64>().ok().map(|kib| kib / 1024)
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    pub fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("/bin/sh").args(["-c", &order]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{order}");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn try_ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap_or_else(|e| panic!("rsc {}: {e}", self.shown))?;
        let took = self.started.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().unwrap_or_else(|_| panic!("a reader of rsc {}", self.shown));
        }
        // -1: ended by a signal.
        let code = status.code().unwrap_or(-1);
        Some(Ended { code, stdout: self.stdout(), stderr: self.stderr.text(), took })
    }

    pub async fn ended(mut self) -> Ended {
        let asked = Instant::now();
        loop {
            if let Some(ended) = self.try_ended() {
                return ended;
            }
            assert!(asked.elapsed() < ENOUGH, "rsc {} does not end\n{}", self.shown, self.all());
            sleep(LOOK_EVERY).await;
        }
    }

    fn all(&self) -> String {
        format!("stdout:\n{}stderr:\n{}", self.stdout(), self.stderr.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// # Panics
    /// When it did not end with 0.
    pub fn well(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Every line of stdout as the object it must be.
    pub fn lines(&self) -> Vec<Value> {
        let object = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(value) if value["event"].is_string() => value,
            other => panic!("not an object with an event: {line:?}: {other:?}"),
        };
        self.stdout.lines().map(object).collect()
    }

    pub fn last_line(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("nothing on stdout: {self:#?}"))
    }
}
