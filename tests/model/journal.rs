//! What outlives a crash, with the shadow itself.

use super::rules::Filter;
use super::server::Server;
use super::table::{Change, IDS, Key};

/// Where the stream is: so many binlog entries, and so many row events of the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub entries: usize,
    pub events: usize,
}

impl std::fmt::Debug for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.events {
            0 => write!(f, "{}", self.entries),
            events => write!(f, "{}+{events} events", self.entries),
        }
    }
}

impl Position {
    pub fn at(entries: usize) -> Self {
        Self { entries, events: 0 }
    }

    /// Whole transactions up to a number of row events; one that is larger is cut.
    pub fn after_at_most(self, events_max: usize, server: &Server) -> Self {
        let (mut end, mut events) = (self, 0);
        while let Some(entry) = server.binlog.get(end.entries) {
            let rest = entry.changes.len() - end.events;
            if events + rest > events_max {
                if events == 0 {
                    end.events += events_max;
                }
                break;
            }
            events += rest;
            end = Self::at(end.entries + 1);
        }
        end
    }

    /// The row events from here to `end`.
    pub fn changes_to(self, end: Position, server: &Server) -> impl Iterator<Item = &Change> {
        let last = end.entries.min(server.binlog.len() - 1);
        (self.entries..=last).flat_map(move |at| {
            let changes = &server.binlog[at].changes;
            let first = if at == self.entries { self.events } else { 0 };
            let past = if at == end.entries { end.events } else { changes.len() };
            &changes[first..past]
        })
    }
}

#[derive(Clone, Debug)]
pub struct Journal {
    pub position: Position,
    /// By id. The last range has no upper end, so it holds every id above.
    pub copied: [bool; IDS as usize],
}

impl Journal {
    pub fn all_is_copied(&self) -> bool {
        self.copied.iter().all(|copied| *copied)
    }

    pub fn has_copied(&self, key: Key) -> bool {
        self.copied[key.id as usize]
    }

    pub fn may_insert(&self, key: Key, filter: Filter) -> bool {
        match filter {
            Filter::Copied => self.has_copied(key),
            Filter::UpToHighest => self.copied[key.id as usize..].contains(&true),
            Filter::All => true,
        }
    }

    /// The first id above every copied range.
    pub fn frontier(&self) -> u8 {
        self.copied.iter().rposition(|copied| *copied).map_or(0, |last| last as u8 + 1)
    }

    /// Ranges below the frontier that a batch has left out, because it failed or crashed.
    pub fn holes(&self) -> Vec<(u8, u8)> {
        let mut holes: Vec<(u8, u8)> = Vec::new();
        for id in (0..self.frontier()).filter(|id| !self.copied[*id as usize]) {
            match holes.last_mut() {
                Some((_, to)) if *to + 1 == id => *to = id,
                _ => holes.push((id, id)),
            }
        }
        holes
    }
}
