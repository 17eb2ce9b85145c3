//! What a terminal shows, as a picture: `tmux capture-pane -e -p | terminal_svg TITLE > picture.svg`. For
//! docs/screenshots/make.sh. Knows the few colours that rsc uses.

use std::io::{self, Read};

const CHARACTER: f64 = 8.4;
const LINE: f64 = 18.0;
const MARGIN: f64 = 18.0;
const BAR: f64 = 30.0;

fn main() -> io::Result<()> {
    let title = std::env::args().nth(1).unwrap_or_default();
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let mut codes = Vec::new();
    let lines: Vec<Vec<(String, String)>> =
        text.trim_end().lines().map(|line| spans(line, &mut codes)).collect();
    let widest = lines.iter().map(|line| line.iter().map(|(_, text)| text.chars().count()).sum()).max();
    let columns: usize = std::cmp::max(widest.unwrap_or(0), 80);
    let (width, height) =
        (columns as f64 * CHARACTER + 2.0 * MARGIN, lines.len() as f64 * LINE + BAR + 2.0 * MARGIN);
    println!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"9\" fill=\"#151a21\"/>\n\
         <g fill=\"#3b4452\"><circle cx=\"20\" cy=\"18\" r=\"5.5\"/><circle cx=\"38\" cy=\"18\" r=\"5.5\"/>\
         <circle cx=\"56\" cy=\"18\" r=\"5.5\"/></g>\n\
         <text x=\"50%\" y=\"23\" fill=\"#8391a5\" text-anchor=\"middle\" font-size=\"13\">{}</text>",
        escaped(&title)
    );
    for (row, line) in lines.iter().enumerate() {
        let y = BAR + MARGIN + row as f64 * LINE + 12.0;
        let mut column = 0;
        for (style, text) in line {
            let all = text.chars().count();
            let text = text.trim_end();
            let (x, length) = (MARGIN + column as f64 * CHARACTER, text.chars().count());
            column += all;
            if length > 0 {
                println!(
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
                     xml:space=\"preserve\" {style}>{}</text>",
                    length as f64 * CHARACTER,
                    escaped(text)
                );
            }
        }
    }
    println!("</svg>");
    Ok(())
}

/// A line as text with the attributes of its SVG element. `codes` are those that hold from the line before.
fn spans(line: &str, codes: &mut Vec<u32>) -> Vec<(String, String)> {
    let mut pieces = line.split('\x1b');
    let mut spans = vec![(style(codes), pieces.next().unwrap_or_default().to_owned())];
    for piece in pieces {
        let Some((order, text)) = piece.strip_prefix('[').and_then(|piece| piece.split_once('m')) else {
            continue;
        };
        for code in order.split(';').map(|code| code.parse().unwrap_or(0)) {
            match code {
                0 => codes.clear(),
                39 => codes.retain(|code| *code < 30),
                1..=38 => codes.push(code),
                _ => {}
            }
        }
        spans.push((style(codes), text.to_owned()));
    }
    spans
}

fn style(codes: &[u32]) -> String {
    let colour = match codes.iter().rev().find(|code| **code >= 30) {
        Some(31) => "#ff8078",
        Some(32) => "#6fd79c",
        Some(33) => "#f0c569",
        Some(36) => "#6cc7e8",
        _ if codes.contains(&2) => "#8391a5",
        _ => "#dfe5ee",
    };
    let weight = if codes.contains(&1) { " font-weight=\"700\"" } else { "" };
    format!("fill=\"{colour}\"{weight}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
