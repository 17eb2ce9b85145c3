//! Lines with tones, and how a terminal gets to see them.

use super::text::wrap;

/// What the place can show where the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where lines end. `None`: nowhere; a file is searched by whole lines.
    pub width: Option<usize>,
    /// So many lines fit. `None`: as many as there are.
    pub height: Option<usize>,
    pub colour: bool,
    /// Blocks and other signs beyond ASCII.
    pub unicode: bool,
}

/// Where nothing ends lines, plots are so wide.
const WIDTH_USUAL: usize = 100;

impl Look {
    /// Of this process's stdout.
    pub fn of_stdout() -> Self {
        let term = console::Term::stdout();
        let (height, width) = match term.size_checked() {
            Some((rows, columns)) => (Some(usize::from(rows)), Some(usize::from(columns))),
            None => (None, None),
        };
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name));
        let plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|kind| kind == "dumb");
        Self {
            width,
            height,
            colour: term.is_term() && !plain,
            unicode: locale.is_some_and(|locale| speaks_unicode(&locale)),
        }
    }

    pub fn columns(&self) -> usize {
        self.width.unwrap_or(WIDTH_USUAL)
    }
}

fn speaks_unicode(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Bold,
    Dim,
    /// What goes on.
    Busy,
    Good,
    Warn,
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Busy => "36",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn of(tone: Tone, text: &str) -> Self {
        Self::new().and(tone, text)
    }

    /// What a terminal would obey rather than show is shown as a dot.
    pub fn and(mut self, tone: Tone, text: &str) -> Self {
        self.0.push((tone, shown(text)));
        self
    }

    /// Without its last characters, so that it is at most so wide.
    pub fn cut(mut self, most: usize) -> Self {
        while self.width() > most {
            let last = self.0.last_mut().and_then(|(_, text)| text.pop());
            if last.is_none() {
                self.0.pop();
            }
        }
        self
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| console::measure_text_width(text)).sum()
    }

    /// As it goes to the terminal, cut where that ends.
    pub fn print(&self, look: &Look) -> String {
        let mut room = look.width.unwrap_or(usize::MAX);
        let cut = if look.unicode { "…" } else { "~" };
        let mut out = String::new();
        for (tone, text) in &self.0 {
            let whole = text;
            let text = console::truncate_str(text, room, cut);
            room -= console::measure_text_width(&text).min(room);
            match tone.code() {
                code if look.colour && !code.is_empty() && !text.is_empty() => {
                    out.push_str(&format!("\x1b[{code}m{text}\x1b[0m"));
                }
                _ => out.push_str(&text),
            }
            if *whole != text {
                break;
            }
        }
        out.trim_end_matches(' ').to_owned()
    }
}

pub fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// What stands before every text on a screen: a sign, and what the text is.
pub const LABEL: usize = 13;

/// `text` behind a label, wrapped, the lines after the first as far in.
pub fn field(look: &Look, label: &str, tone: Tone, text: &str) -> Vec<Line> {
    let room = look.width.unwrap_or(usize::MAX).saturating_sub(LABEL).max(20);
    let mut label = format!("  {label:<10} ");
    let mut lines = Vec::new();
    for line in wrap(&shown(text), room) {
        lines.push(Line::of(Tone::Dim, &label).and(tone, &line));
        label = " ".repeat(LABEL);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { width: Some(10), height: None, colour: true, unicode: true };

    #[test]
    fn a_line_ends_where_the_terminal_does() {
        let line = Line::of(Tone::Bold, "change").and(Tone::Plain, " 日本 orders");
        assert_eq!(line.print(&LOOK), "\x1b[1mchange\x1b[0m 日…");
        assert_eq!(line.print(&Look { width: None, colour: false, ..LOOK }), "change 日本 orders");
    }

    #[test]
    fn a_name_gives_the_terminal_no_orders() {
        assert_eq!(Line::of(Tone::Plain, "t\x1b[2J\n").print(&LOOK), "t·[2J·");
    }

    #[test]
    fn a_locale_says_whether_blocks_can_be_shown() {
        assert!(speaks_unicode("de_DE.UTF-8") && speaks_unicode("C.utf8"));
        assert!(!speaks_unicode("C") && !speaks_unicode("de_DE.ISO-8859-1"));
    }
}
