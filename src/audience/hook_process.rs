//! One command of the operator: started, fed, and ended in time, with all that it has started.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};

/// So much of what a hook says on stderr is kept.
const SAID_MAX: usize = 2000;
/// A process that the hook has left behind may hold stderr open for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs `command`, with `event` and the end of input on its stdin.
///
/// # Errors
/// What to tell a person: why it did not start, how it failed, or that it was ended.
pub async fn run(
    command: &str,
    event: &str,
    variables: &[(&str, String)],
    within: Duration,
) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("/bin/sh cannot be started: {e}"))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let said = child.stderr.take().map(|pipe| tokio::spawn(listen(pipe)));
    let ended = tokio::time::timeout(within, feed_and_wait(&mut child, event)).await;
    if ended.is_err()
        && let Some(group) = group
    {
        // It may have ended just now.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    let said = match said {
        Some(said) => {
            tokio::time::timeout(LAST_WORDS, said).await.ok().and_then(Result::ok).unwrap_or_default()
        }
        None => String::new(),
    };
    let said = if said.is_empty() { said } else { format!("; it said: {said}") };
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it failed with {status}{said}")),
        Ok(Err(e)) => Err(format!("it cannot be waited for: {e}")),
        Err(_) => Err(format!("it had not ended after {within:?} and was killed{said}")),
    }
}

async fn feed_and_wait(child: &mut Child, event: &str) -> std::io::Result<std::process::ExitStatus> {
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read it.
        let _ = stdin.write_all(format!("{event}\n").as_bytes()).await;
    }
    child.wait().await
}

/// All of it is read, so that the hook never waits, and the beginning is kept.
async fn listen(mut pipe: ChildStderr) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let room = SAID_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
    String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}
