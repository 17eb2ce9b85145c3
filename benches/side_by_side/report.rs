//! The figures of a run, with the bar that each is held against.

use serde_json::{Value, json};

pub struct Report {
    rows: u64,
    lines: Vec<Line>,
}

struct Line {
    figure: String,
    value: String,
    bar: String,
    reached: Option<bool>,
    raw: Value,
}

impl Report {
    pub fn new(rows: u64) -> Self {
        Self { rows, lines: Vec::new() }
    }

    /// A figure by itself.
    pub fn figure(&mut self, figure: impl Into<String>, value: f64, unit: &str) {
        self.push(figure.into(), format!("{value:.2} {unit}"), String::new(), None, json!(value));
    }

    /// A figure that must not be above the bar.
    pub fn at_most(&mut self, figure: impl Into<String>, value: f64, bar: f64, unit: &str) {
        self.push(
            figure.into(),
            format!("{value:.2} {unit}"),
            format!("<= {bar} {unit}"),
            Some(value <= bar),
            json!(value),
        );
    }

    /// A figure that must not be below the bar.
    pub fn at_least(&mut self, figure: impl Into<String>, value: f64, bar: f64, unit: &str) {
        self.push(
            figure.into(),
            format!("{value:.2} {unit}"),
            format!(">= {bar} {unit}"),
            Some(value >= bar),
            json!(value),
        );
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.push(text.into(), String::new(), String::new(), None, Value::Null);
    }

    fn push(&mut self, figure: String, value: String, bar: String, reached: Option<bool>, raw: Value) {
        eprintln!("{figure}: {value} {bar}");
        self.lines.push(Line { figure, value, bar, reached, raw });
    }

    pub fn text(&self) -> String {
        let width = |column: fn(&Line) -> &str| {
            self.lines.iter().map(|line| column(line).chars().count()).max().unwrap_or(0)
        };
        let (a, b, c) = (width(|l| &l.figure), width(|l| &l.value), width(|l| &l.bar));
        let mut text = format!("{} rows\n", self.rows);
        for line in &self.lines {
            let reached = match line.reached {
                Some(true) => "reached",
                Some(false) => "MISSED",
                None => "",
            };
            text.push_str(
                format!("{:<a$}  {:>b$}  {:<c$}  {reached}", line.figure, line.value, line.bar).trim_end(),
            );
            text.push('\n');
        }
        text
    }

    pub fn json(&self) -> String {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({ "figure": line.figure, "value": line.raw, "bar": line.bar, "reached": line.reached })
            })
            .collect();
        format!("{:#}\n", json!({ "rows": self.rows, "figures": lines }))
    }
}
