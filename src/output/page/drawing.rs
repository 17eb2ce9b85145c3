//! Plots as SVG. They are stretched to the page's width; what is to be read stands beside them as text.

use maud::{Markup, html as markup};

use crate::output::status::time_of;
use crate::output::text::brief;

/// The width of every drawing, in its own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// A time that drawings below each other share.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub from_ms: u64,
    pub to_ms: u64,
}

impl Frame {
    pub fn x(&self, at_ms: u64) -> f64 {
        let all = self.to_ms.saturating_sub(self.from_ms).max(1) as f64;
        let at = at_ms.clamp(self.from_ms, self.to_ms) - self.from_ms;
        at as f64 / all * WIDTH
    }

    pub fn holds(&self, at_ms: u64) -> bool {
        (self.from_ms..=self.to_ms).contains(&at_ms)
    }

    pub fn length_ms(&self) -> u64 {
        self.to_ms.saturating_sub(self.from_ms)
    }

    fn percent(&self, at_ms: u64) -> f64 {
        self.x(at_ms) / WIDTH * 100.0
    }
}

/// A part of the time with a name.
pub struct Band {
    pub from_ms: u64,
    pub to_ms: u64,
    pub class: &'static str,
    pub name: String,
}

/// A row of bands. What is too narrow for its name has it in the legend.
pub fn bands(frame: &Frame, label: &str, bands: &[Band]) -> Markup {
    const NAME_FITS: f64 = 9.0;
    markup! {
        div.row {
            div.label { (label) }
            div.bands {
                @for band in bands {
                    @let (left, right) = (frame.percent(band.from_ms), frame.percent(band.to_ms));
                    div class={ "band " (band.class) } style=(format!("left:{left:.2}%;width:{:.2}%", (right - left).max(0.15)))
                        title=(format!("{}: {}", band.name, brief(band.to_ms.saturating_sub(band.from_ms)))) {
                        @if right - left > NAME_FITS { span { (band.name) } }
                    }
                }
            }
        }
    }
}

/// What stands across all plots of a frame.
pub struct Across<'a> {
    /// Times in which the copy waited.
    pub waits: &'a [(u64, u64)],
    /// Swaps.
    pub marks: &'a [u64],
}

/// A plot of one value a column; a column without one is empty. `most` is what the top of the plot means.
pub fn plot(
    frame: &Frame,
    label: &str,
    class: &str,
    values: &[Option<f64>],
    most: &str,
    across: &Across<'_>,
) -> Markup {
    let top = values.iter().flatten().copied().fold(0.0, f64::max).max(1e-9);
    let column = WIDTH / values.len().max(1) as f64;
    let y = |value: f64| HEIGHT - value / top * (HEIGHT - 4.0) - 1.0;
    let mut area = String::new();
    let mut line = String::new();
    let mut open = false;
    for (i, value) in values.iter().enumerate() {
        let (left, right) = (i as f64 * column, (i + 1) as f64 * column);
        if let Some(value) = value {
            let y = y(*value);
            if !open {
                area.push_str(&format!("M{left:.1} {HEIGHT}"));
            }
            area.push_str(&format!("L{left:.1} {y:.1}L{right:.1} {y:.1}"));
            let begin = if open { 'L' } else { 'M' };
            line.push_str(&format!("{begin}{left:.1} {y:.1}L{right:.1} {y:.1}"));
        } else if open {
            area.push_str(&format!("L{left:.1} {HEIGHT}Z"));
        }
        open = value.is_some();
    }
    if open {
        area.push_str(&format!("L{WIDTH} {HEIGHT}Z"));
    }
    markup! {
        div.row {
            div.label { (label) small { (most) } }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ (label) ", " (most) } {
                @for (from, to) in across.waits {
                    @let (left, right) = (frame.x(*from), frame.x(*to));
                    rect.wait x=(format!("{left:.1}")) y="0" width=(format!("{:.1}", (right - left).max(1.0))) height=(HEIGHT) {}
                }
                path.area.(class) d=(area) {}
                path.line.(class) d=(line) {}
                @for at in across.marks {
                    @let x = format!("{:.1}", frame.x(*at));
                    line.mark x1=(x) y1="0" x2=(x) y2=(HEIGHT) {}
                }
            }
        }
    }
}

/// The times below the plots.
pub fn axis(frame: &Frame) -> Markup {
    let long = frame.length_ms() > 20 * 3_600_000;
    markup! {
        div.row.axis {
            div.label {}
            div.ticks {
                @for at in ticks(frame) {
                    span style=(format!("left:{:.2}%", frame.percent(at))) { (clock(at, long)) }
                }
            }
        }
    }
}

/// `18:31:02`, with the day where there may be several.
fn clock(at_ms: u64, with_day: bool) -> String {
    let time = time_of(at_ms);
    let shown = if with_day { time.get(5..16) } else { time.get(11..19) };
    shown.unwrap_or(&time).to_owned()
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const STEPS: [u64; 18] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];
const TICKS_MAX: u64 = 7;

/// Round times, at most [`TICKS_MAX`] or one a day, not so close to the end that their text would stand out.
fn ticks(frame: &Frame) -> Vec<u64> {
    let fits = |step: &&u64| frame.length_ms() / **step <= TICKS_MAX;
    let days = (frame.length_ms() / DAY / TICKS_MAX + 1) * DAY;
    let step = STEPS.iter().find(fits).copied().unwrap_or(days);
    let first = frame.from_ms.div_ceil(step) * step;
    (0..).map(|i| first + i * step).take_while(|at| frame.percent(*at) < 88.0 && *at < frame.to_ms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for length in [1_500, 61_000, 3 * HOUR, 26 * HOUR, 40 * DAY, 900 * DAY] {
            let frame = Frame { from_ms: 1_763_000_000_123, to_ms: 1_763_000_000_123 + length };
            let ticks = ticks(&frame);
            assert!((1..=8).contains(&ticks.len()), "{length}: {ticks:?}");
            assert!(
                ticks.iter().all(|at| frame.holds(*at) && at.is_multiple_of(SECOND)),
                "{length}: {ticks:?}"
            );
        }
    }
}
