//! Progress for people: a live bar on a terminal, a line every few seconds without one.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::put;
use super::text::{self, count, duration};
use crate::lifecycle::notice::Notice;

/// Without a terminal, what only changes in number is told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// A speed that was measured for a shorter time is not worth telling.
const SPEED_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Live {
    bar: Option<ProgressBar>,
    terminal: bool,
    told_at: Option<Instant>,
    /// When the first rows of this copy were told of, and how many they were.
    copy_began: Option<(Instant, u64)>,
}

impl Live {
    pub fn new() -> Self {
        Self { bar: None, terminal: std::io::stdout().is_terminal(), told_at: None, copy_began: None }
    }

    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Copied { rows, estimate, .. } => {
                let speed = self.speed(*rows, *estimate);
                self.progress(*rows, *estimate, &copying(*rows, *estimate, speed));
            }
            other => {
                if let Some(words) = meanwhile(other) {
                    return self.passing(&words);
                }
                self.finish();
                self.told_at = None;
                if let Some(line) = text::notice(other) {
                    put(&line);
                }
            }
        }
    }

    /// Takes the bar away, so that other output starts on a line of its own.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Since the copy began, pauses for catching up included: the last batch alone says little about what is left.
    fn speed(&mut self, rows: u64, estimate: u64) -> Option<(f64, Duration)> {
        let (began, first) = *self.copy_began.get_or_insert_with(|| (Instant::now(), rows));
        let rows_per_s = (rows - first.min(rows)) as f64 / began.elapsed().as_secs_f64().max(1e-3);
        if rows_per_s < 1.0 || began.elapsed() < SPEED_AFTER {
            return None;
        }
        Some((rows_per_s, Duration::from_secs_f64(estimate.saturating_sub(rows) as f64 / rows_per_s)))
    }

    fn progress(&mut self, rows: u64, estimate: u64, words: &str) {
        if rows >= estimate {
            self.finish();
            put(&format!("  copied {} rows", count(rows)));
        } else if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar("  {bar:12} {percent:>3}%  {wide_msg}"));
            bar.set_length(estimate.max(1));
            bar.set_position(rows);
            bar.set_message(words.to_owned());
        } else if self.due() {
            put(&format!("  copied {words}"));
        }
    }

    fn passing(&mut self, message: &str) {
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar("  {spinner} {wide_msg}"));
            bar.set_message(message.to_owned());
            bar.tick();
        } else if self.due() {
            put(&format!("  {message}"));
        }
    }

    fn due(&mut self) -> bool {
        let due = self.told_at.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        if due {
            self.told_at = Some(Instant::now());
        }
        due
    }
}

/// What only changes in number while it goes on. `None` for what has happened.
pub fn meanwhile(notice: &Notice) -> Option<String> {
    match notice {
        Notice::Indexing { indexes, seconds, done, eta_s, not_kept } => {
            let what = match indexes {
                1 => "one index".to_owned(),
                _ => format!("{indexes} indexes"),
            };
            let seconds = duration(Duration::from_secs_f64(seconds.round()));
            let how_far = match (done, eta_s) {
                (Some(done), Some(eta)) => {
                    let left = duration(Duration::from_secs_f64(eta.round()));
                    format!("{:.0}%, {left} left", done * 100.0)
                }
                (Some(done), None) => format!("{:.0}%", done * 100.0),
                (None, _) if *not_kept => {
                    "how far is not known, as performance_schema's consumer events_stages_current is off"
                        .into()
                }
                (None, _) => "how far is not known yet".into(),
            };
            Some(format!("building {what} for {seconds}; {how_far}"))
        }
        Notice::Behind { seconds } => {
            Some(format!("catching up, {} behind", duration(Duration::from_secs(*seconds))))
        }
        Notice::Verifying { rows, estimate } => {
            Some(format!("comparing the tables, {} of about {} rows", count(*rows), count(*estimate)))
        }
        Notice::Throttled { reasons, for_s, news: false, .. } => {
            let time = duration(Duration::from_secs_f64(for_s.max(0.0)));
            Some(format!("throttled for {time}: {}", reasons.join("; ")))
        }
        Notice::Following { changes } => {
            Some(format!("keeping the other table current, {} row changes applied", count(*changes)))
        }
        _ => None,
    }
}

/// How far the copy is: rows a second, and what is left at that speed.
pub fn copying(rows: u64, estimate: u64, speed: Option<(f64, Duration)>) -> String {
    let of = format!("{} of about {} rows", count(rows), count(estimate));
    match speed {
        Some((rows_per_s, left)) => {
            format!("{of}, {} rows/s, {} left", count(rows_per_s as u64), duration(left))
        }
        None => of,
    }
}

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(1);
    // A template that cannot be read would only cost the looks.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
