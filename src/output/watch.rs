//! `rsc status --watch`: on a terminal one screen that is drawn again and again, elsewhere one look below the other.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::watch;

use crate::cli::Format;

use super::ink::{Line, Look, Tone};
use super::json::{status as status_json, versioned};
use super::status::{StatusReport, screen, time_of};
use super::text::brief;

/// What was seen last, and whether it can be looked at still.
#[derive(Clone, Debug)]
pub struct Glance {
    pub report: StatusReport,
    pub lost: Option<Lost>,
}

#[derive(Clone, Debug)]
pub struct Lost {
    pub since: Instant,
    pub why: String,
}

impl Glance {
    pub fn of(report: StatusReport) -> Self {
        Self { report, lost: None }
    }
}

impl Lost {
    /// The same loss, for however long it goes on.
    pub fn again(before: Option<Self>, why: String) -> Self {
        Self { since: before.map_or_else(Instant::now, |before| before.since), why }
    }
}

/// Shows what comes until the person has seen enough, or, where that is no person, until the change has ended.
pub async fn show(
    format: Format,
    glances: watch::Receiver<Glance>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    match format {
        Format::Text if io::stdout().is_terminal() && !dumb => on_terminal(glances, stop).await,
        format => in_turn(format, glances, stop).await,
    }
}

async fn in_turn(
    format: Format,
    mut glances: watch::Receiver<Glance>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut lost: Option<String> = None;
    loop {
        let glance = glances.borrow_and_update().clone();
        let why = glance.lost.as_ref().map(|lost| lost.why.clone());
        let told = match (&why, format) {
            (Some(_), _) if why == lost => Vec::new(),
            (Some(why), Format::Json) => {
                vec![versioned(json!({ "event": "away", "why": why })).to_string()]
            }
            (Some(why), Format::Text) => {
                vec![format!("--- the server cannot be looked at: {why}"), String::new()]
            }
            (None, Format::Json) => vec![versioned(status_json(&glance.report)).to_string()],
            (None, Format::Text) => {
                let look = Look { height: None, ..Look::of_stdout() };
                let head = format!("--- {} UTC", time_of(glance.report.now_ms));
                let lines = screen(&glance.report, &look).into_iter().map(|line| line.print(&look));
                [head].into_iter().chain(lines).chain([String::new()]).collect()
            }
        };
        lost = why;
        let mut out = io::stdout().lock();
        for line in told {
            // Whoever read it has gone (`| head`), and nobody else watches.
            if writeln!(out, "{line}").is_err() {
                return Ok(());
            }
        }
        drop(out);
        if lost.is_none() && glance.report.change.state.ended() {
            return Ok(());
        }
        tokio::select! {
            more = glances.changed() => if more.is_err() { return Ok(()) },
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// The terminal is ours: another screen is shown, and keys come as they are typed.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal is as it was when this is dropped, and also after a panic.
struct Taken {
    /// Keys can be read.
    keys: bool,
}

impl Taken {
    fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        let keys = terminal::enable_raw_mode().is_ok();
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self { keys };
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // If the terminal is gone there is nothing to give back.
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Between two looks, what only the clock changes is drawn so often.
const TICK: Duration = Duration::from_secs(1);

async fn on_terminal(
    mut glances: watch::Receiver<Glance>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let taken = Taken::take()?;
    let mut keys = taken.keys.then(EventStream::new);
    let mut tick = tokio::time::interval(TICK);
    loop {
        draw(&glances.borrow_and_update())?;
        let event = async {
            match &mut keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            more = glances.changed() => if more.is_err() { return Ok(()) },
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            _ = tick.tick() => {}
            event = event => match event {
                Some(Ok(Event::Key(key))) if leaves(&key) => return Ok(()),
                Some(Ok(_)) => {}
                // Nobody types any more; signals end it still.
                Some(Err(_)) | None => keys = None,
            },
        }
    }
}

fn leaves(key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && match key.code {
            KeyCode::Char('c' | 'd') if control => true,
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
            _ => false,
        }
}

fn draw(glance: &Glance) -> io::Result<()> {
    let look = Look::of_stdout();
    let lost = glance.lost.as_ref().map(|lost| (lost.since.elapsed(), lost.why.as_str()));
    let mut out = String::new();
    for (i, line) in frame(&glance.report, lost, &look).iter().enumerate() {
        out.push_str(if i == 0 { "\x1b[H" } else { "\r\n" });
        out.push_str(&line.print(&look));
        out.push_str("\x1b[K");
    }
    out.push_str("\x1b[J");
    let mut stdout = io::stdout().lock();
    execute!(stdout, BeginSynchronizedUpdate)?;
    stdout.write_all(out.as_bytes())?;
    execute!(stdout, EndSynchronizedUpdate)
}

/// The lines of a terminal of this size, all of them.
pub fn frame(report: &StatusReport, lost: Option<(Duration, &str)>, look: &Look) -> Vec<Line> {
    let height = look.height.unwrap_or(24).max(3);
    let room = height - 2;
    let mut lines = screen(report, &Look { height: Some(room), ..*look });
    if lines.len() > room {
        lines.truncate(room - 1);
        let sign = if look.unicode { "…" } else { "..." };
        lines.push(Line::of(Tone::Dim, &format!("  {sign} the window is too low for the rest")));
    }
    lines.resize(room, Line::new());
    lines.push(match lost {
        Some((for_so_long, why)) => {
            let ms = u64::try_from(for_so_long.as_millis()).unwrap_or(u64::MAX) / 1000 * 1000;
            Line::of(Tone::Warn, &format!(" out of date for {}, trying again: {why}", brief(ms)))
        }
        None => Line::new(),
    });
    lines.push(Line::of(Tone::Dim, &format!(" {} UTC   q: leave", time_of(report.now_ms))));
    lines
}
