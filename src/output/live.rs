//! Progress for people: a live bar on a terminal, a line every few seconds without one.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::text::{self, count, duration};
use crate::lifecycle::notice::Notice;

/// Without a terminal, what only changes in number is told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Live {
    bar: Option<ProgressBar>,
    terminal: bool,
    told_at: Option<Instant>,
}

impl Live {
    pub fn new() -> Self {
        Self { bar: None, terminal: std::io::stdout().is_terminal(), told_at: None }
    }

    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Copied { rows, estimate, rows_per_s, eta_s } => {
                let eta = eta_s.map(|s| format!(", {} left", duration(Duration::from_secs_f64(s.max(0.0)))));
                let message = format!("{} rows/s{}", count(*rows_per_s as u64), eta.unwrap_or_default());
                self.progress(*rows, *estimate, &message);
            }
            Notice::Behind { seconds } => {
                self.passing(&format!("catching up, {} behind", duration(Duration::from_secs(*seconds))));
            }
            Notice::Following { changes } => {
                self.passing(&format!(
                    "keeping the other table current, {} row changes applied",
                    count(*changes)
                ));
            }
            other => {
                self.finish();
                self.told_at = None;
                if let Some(line) = text::notice(other) {
                    println!("{line}");
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

    fn progress(&mut self, rows: u64, estimate: u64, message: &str) {
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar("  copy {bar:30} {percent:>3}%  {msg}"));
            bar.set_length(estimate.max(1));
            bar.set_position(rows);
            bar.set_message(format!("{} of {} rows, {message}", count(rows), count(estimate)));
        } else if self.due() || rows >= estimate {
            println!("  copied {} of about {} rows, {message}", count(rows), count(estimate));
        }
        if rows >= estimate && self.terminal {
            self.finish();
            println!("  copied {} rows", count(rows));
        }
    }

    fn passing(&mut self, message: &str) {
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar("  {spinner} {msg}"));
            bar.set_message(message.to_owned());
            bar.tick();
        } else if self.due() {
            println!("  {message}");
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

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(1);
    // A template that cannot be read would only cost the looks.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
