//! A shell that stands between this process and its `mysqld`, and survives it by a moment.
//!
//! A server must be gone after its process, however that process ended: returned, panicked, or `kill -9`. Statics
//! are never dropped and a killed process runs nothing, but the kernel closes its pipes. So the shell reads orders
//! from a pipe that only this process holds; at its end it kills mysqld and removes the folder. (A parent-death
//! signal would be tied to the thread that started mysqld, which in a test is gone before the server should be.)

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `$1` is the folder, `$2` the log, the rest the server's command line. Each order is answered by one line. `wait`
/// comes before the folder is removed, so that nobody writes into it any more, and before `pid` is forgotten, so
/// that no other process can have got the number.
const SCRIPT: &str = r#"
folder=$1 log=$2; shift 2
pid=
finish() {
    [ -z "$pid" ] || { kill -KILL "$pid"; kill -CONT "$pid"; wait "$pid"; }
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE
while read -r order more; do
    case $order in
        start) "$@" $more </dev/null >>"$log" 2>&1 & pid=$!; echo "$pid" ;;
        end-*) kill "-${order#end-}" "$pid"; wait "$pid"; pid=; echo ended ;;
    esac
done
"#;

pub struct Keeper {
    shell: Child,
    /// `None` once dropped: closing it is the order to finish.
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    pid: Option<u32>,
}

impl Keeper {
    /// From here on `folder` belongs to the keeper. mysqld is not started yet.
    pub fn new(folder: &Path, log: &Path, command_line: &[OsString]) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "rsc-mysqld-keeper"])
            .args([folder, log])
            .args(command_line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is for us; the shell and the server end when we do.
            .process_group(0)
            .spawn()?;
        let orders = shell.stdin.take();
        let replies = BufReader::new(shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Self { shell, orders, replies, pid: None })
    }

    /// With further options, which have no spaces in them.
    pub fn start(&mut self, more: &[&str]) -> io::Result<()> {
        let reply = self.order(&format!("start {}", more.join(" ")))?;
        self.pid = Some(reply.parse().map_err(|_| io::Error::other(format!("the keeper said {reply:?}")))?);
        Ok(())
    }

    /// Sends the signal (`KILL`, `TERM`) and returns when the process is gone.
    pub fn end(&mut self, signal: &str) -> io::Result<()> {
        if self.pid.take().is_some() {
            self.order(&format!("end-{signal}"))?;
        }
        Ok(())
    }

    /// mysqld's process id, while it was not ended through [`Keeper::end`].
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// False when mysqld was ended or ended by itself (it is a zombie then, until its shell waits for it).
    pub fn is_running(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        let mut line = String::new();
        let read = File::open(stat).and_then(|f| BufReader::new(f).read_line(&mut line));
        // `pid (name) state …`; the name may hold anything but is the last in parentheses.
        read.is_ok() && line.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    fn order(&mut self, order: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{order}")?;
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        Ok(reply.trim_end().to_owned())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        // The wait makes the end of a test the end of its server; there is nothing to do about a failure here.
        let _ = self.shell.wait();
    }
}
