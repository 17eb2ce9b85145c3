//! Compares the two tables while the application goes on writing.
//!
//! # The claim
//!
//! A row that is reported is not what it should be; and every row that is not, and that the stream does not touch while
//! it is looked at, is reported (but for what [`crate::rows::verify`] says of sums and of what is no difference).
//!
//! * **The shadow stands still.** Only the owner of the change writes it, and here it compares or it applies, never both. So
//!   all reads of the shadow between two windows are of one state, that of the position P, in which it should be
//!   projection(live at P). The epoch is read after them: had another process taken over before it, it would be another.
//!   So no snapshot has to span both tables and the stream's row, and none is held for longer than one statement.
//! * **The live table does not.** It is read after a *gate*, which waits until all that the stream has delivered is
//!   visible: so each read is of P or later. A row that differs then may have been changed since P.
//! * **Target.** So a transaction of our own (the *mark*) is committed after the reads. What was visible to them was
//!   in an earlier commit group, so `gtid_executed` has it then, and the stream catches up to that; meanwhile the keys that
//!   it brings are written down, those that rows have and those that they leave.
//! * **What remains.** A row that was not brought is in the live table as it was at P, and in the shadow as well. It
//!   differs, or not, for good. A row that was is looked at again from the new position; the stream has written it whole,
//!   so that nothing is left of what it was before. One that is brought each time is counted as unsettled in the end.
//!
//! # Another process goes on
//!
//! Before the first swap, and as long as nothing was found, the last key that was compared is put on record now and then. A
//! process that takes the change up goes on from there. What was compared before it came counts as if it had been a moment
//! ago: since then only the stream has written the shadow, as within one run. Whoever asks for a verification gets a whole
//! one; so does a change that has been swapped, where other tables were compared.
//!
//! Ranges are compared by sums, and one that differs in pieces, so that few rows have to be looked at. Where the two keys
//! are ordered differently, no range is the same on both sides: then the rows of each side are looked up in the other.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::line::Line;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::verification::{self, Reached};
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::Serving;
use crate::lifecycle::verification::{FINDINGS_MAX, Finding, Kind, Outcome, Verification};
use crate::mysql::apply::write_key;
use crate::mysql::verify::{Examiner, SUSPECTS_MAX, Suspect};
use crate::rows::key_range::Bound;
use crate::rows::pacing::Pacing;
use crate::rows::verify::{Comparison, Parked, Piece, Scope};

/// A range that differs is compared again in so many pieces: looking at rows costs several times as much.
const PIECES: u64 = 16;
/// Not in smaller ones: each takes some questions to the server.
const PIECE_MIN: u64 = 1_000;
/// A range takes so long at least, however short a batch is: it holds nobody up.
const RANGE_TIME_MIN: Duration = Duration::from_millis(100);
/// So often are rows looked at that are written all the time.
const LOOKS_MAX: u32 = 40;
/// A row that does not fit will be met by the stream; it is given so much time each time.
const AGAIN: Duration = Duration::from_millis(50);
/// What takes no longer needs no word about how far it is.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// So often is put on record how far it has come.
const REACHED_EVERY: Duration = Duration::from_secs(5);
/// Keys that are written down while the stream catches up. Beyond, all count as touched.
const TOUCHED_MAX: usize = 200_000;

/// The keys that the stream has brought since some position.
#[derive(Debug, Default)]
pub struct Touched {
    keys: HashSet<Box<[u8]>>,
    /// Too many to be written down, or the table was emptied.
    all: bool,
}

impl Touched {
    pub fn add<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) {
        if self.keys.len() < TOUCHED_MAX {
            self.keys.extend(keys.map(Box::from));
        } else {
            self.all = true;
        }
    }

    pub fn everything(&mut self) {
        self.all = true;
    }
}

/// Who wants a verification, and of what kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub repair: bool,
    pub request: Option<u64>,
    pub background: bool,
}

impl Asked {
    fn begun(self) -> verification::Begun {
        verification::Begun { repair: self.repair, request: self.request, background: self.background }
    }
}

/// Whose rows are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// And, where the keys have one order, the shadow's with them.
    Live,
    /// Those that the live table does not have.
    Shadow,
}

/// A verification under way. What has been compared counts, also when it is interrupted.
pub struct Pass {
    pub result: Verification,
    side: Side,
    lo: Option<Bound>,
    ended: bool,
    pacing: Pacing,
    began: Instant,
    /// By processes before this one, in seconds.
    spent_s: f64,
    /// Whether another process may go on with it, and when the place to go on from was last put on record.
    resumable: bool,
    reached_at: Option<Instant>,
    /// Rows that differ, as the journal knows it.
    recorded: usize,
    found: HashSet<(&'static str, String)>,
    /// Rows that could not be written yet: another one of the shadow is in the way.
    stuck: Vec<Suspect>,
}

impl Pass {
    /// Whether a row is known to differ by itself.
    pub(super) fn knows(&self, key: &str) -> bool {
        let open = |finding: &&Finding| !finding.mended && finding.kind == Kind::Differs;
        self.result.findings.iter().filter(open).any(|finding| finding.key == key)
    }

    /// All rows have been compared, or so many differ that the rest does not matter.
    pub fn ended(&self) -> bool {
        self.ended
    }

    fn piece(&self) -> Piece {
        Piece { lo: self.lo.clone(), hi: None }
    }

    fn part_rows(&self) -> u64 {
        (self.pacing.rows() / PIECES).max(PIECE_MIN)
    }

    fn full(&self) -> bool {
        self.result.cut_short()
    }

    fn seconds(&self) -> f64 {
        self.spent_s + self.began.elapsed().as_secs_f64()
    }

    fn go_on(&mut self, from: Reached) {
        self.side = if from.orphans { Side::Shadow } else { Side::Live };
        self.lo = Some(from.lo);
        self.result.rows = from.rows;
        self.spent_s = from.seconds;
    }

    /// The place to go on from, if one is to be put on record now.
    fn reached(&self) -> Option<Reached> {
        let due = self.reached_at.is_none_or(|at| at.elapsed() > REACHED_EVERY);
        let clean = self.result.findings.is_empty() && self.result.unsettled == 0 && self.stuck.is_empty();
        let lo = self.lo.clone().filter(|_| self.resumable && due && clean && !self.ended)?;
        Some(Reached {
            orphans: self.side == Side::Shadow,
            lo,
            rows: self.result.rows,
            seconds: self.seconds(),
        })
    }

    /// Findings are counted once, however often they are met.
    pub(super) fn report(&mut self, suspect: &Suspect) {
        let finding = &suspect.finding;
        if self.found.insert(identity(finding)) {
            self.result.findings.push(finding.clone());
        }
    }

    /// The row is as it should be now. Not more of those are listed than of others.
    fn mended(&mut self, suspect: &Suspect) {
        let Suspect { finding, .. } = suspect;
        self.found.remove(&identity(finding));
        let listed = self.result.findings.iter().filter(|other| other.mended).count();
        let same = |other: &Finding| !other.mended && other.kind == finding.kind && other.key == finding.key;
        let Some(place) = self.result.findings.iter().position(same) else { return };
        if listed < FINDINGS_MAX {
            self.result.findings[place].mended = true;
        } else {
            self.result.findings.remove(place);
            self.result.unlisted += 1;
        }
    }
}

impl Line {
    fn comparison(&self) -> Comparison {
        let ledger = self.sides.ledger(self.change.id);
        let live = self.sides.serving == Serving::New;
        let swapped = live || !self.change.state.before_first_swap();
        let parked = swapped.then(|| Parked { table: ledger.parked(), live });
        Comparison::new(self.sides.statements(), parked, swapped)
            .with_generated(self.sides.generated(), swapped)
            .with_indexes(&self.sides.shadow)
    }

    /// Begins a verification and puts it on record.
    pub async fn begin_verification(&mut self, asked: Asked) -> Result<Pass, Trouble> {
        let serving = self.sides.serving;
        let Asked { repair, request, background } = asked;
        let resumable = match background {
            true => true,
            false => request.is_none() && !repair && self.change.state.before_first_swap(),
        };
        let from = match resumable {
            true => verification::broken_off(&mut self.control, &self.change, serving, background).await?,
            false => None,
        };
        let id = verification::begin(&mut self.control, self.fence, serving, &asked.begun()).await?;
        let result = Verification {
            id,
            serving,
            repair,
            background,
            native: None,
            outcome: None,
            rows: 0,
            findings: Vec::new(),
            unlisted: 0,
            unsettled: 0,
            excluded: self.comparison().excluded(),
            seconds: 0.0,
            position: String::new(),
            began_at: String::new(),
            ended_at: None,
        };
        let pacing = Pacing::new(self.change.options.batch().max(RANGE_TIME_MIN));
        let mut pass = Pass {
            result,
            side: Side::Live,
            lo: None,
            ended: false,
            pacing,
            began: Instant::now(),
            spent_s: 0.0,
            resumable,
            reached_at: None,
            recorded: 0,
            found: HashSet::new(),
            stuck: Vec::new(),
        };
        // What was compared before there was a doubt does not clear it.
        if let Some(from) = from.filter(|_| self.past.unproven.is_none()) {
            pass.go_on(from);
        }
        Ok(pass)
    }

    /// Puts the result on record.
    pub async fn end_verification(&mut self, pass: &mut Pass) -> Result<(), Trouble> {
        let seconds = pass.seconds();
        let result = &mut pass.result;
        result.seconds = seconds;
        result.position = self.position.to_string();
        result.outcome = Some(match pass.ended {
            false => Outcome::BrokenOff,
            true if result.mismatches() == 0 => Outcome::Equal,
            true => Outcome::Differs,
        });
        verification::end(&mut self.control, self.fence, result).await?;
        self.tell(Notice::Verified(Box::new(result.clone())));
        Ok(())
    }

    /// Compares all that is left of a verification.
    pub async fn verify(&mut self, pass: &mut Pass) -> Result<(), Trouble> {
        let mut examiner = self.examiner().await?;
        self.catch_up_with_server().await?;
        while !pass.ended {
            self.leave().await?;
            let began = Instant::now();
            self.next_range(&mut examiner, pass).await?;
            self.follow_for(self.change.options.limits.rest(began.elapsed())).await?;
            let (rows, estimate) = (pass.result.rows, self.change.rows_estimate.max(self.copied));
            if !pass.ended && pass.began.elapsed() > TOLD_AFTER {
                self.tell_now_and_then(|| Notice::Verifying { rows, estimate: estimate.max(rows) });
            }
            self.catch_up_with_server().await?;
        }
        // What was in their way may have been further on.
        let stuck = std::mem::take(&mut pass.stuck);
        if !stuck.is_empty() {
            self.mend(&mut examiner, pass, &stuck).await?;
        }
        self.ask_oracle(&mut examiner, pass).await
    }

    /// The sessions of a verification.
    pub async fn examiner(&mut self) -> Result<Examiner, Trouble> {
        let comparison = self.comparison();
        let examiner = Examiner::open(&self.server, comparison).await?;
        examiner.ok_or_else(|| Trouble::Stop(Told::new("the key has a type that cannot be paged by")))
    }

    /// Compares one range of a pass in the background, and returns how long that took. The stream stands where it has caught
    /// up with the server.
    pub async fn compare_some(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
    ) -> Result<Duration, Trouble> {
        self.catch_up_with_server().await?;
        let began = Instant::now();
        self.next_range(examiner, pass).await?;
        Ok(began.elapsed())
    }

    /// Compares one range, and puts on record what is worth it: a difference at once, how far it has come now and then.
    pub async fn next_range(&mut self, examiner: &mut Examiner, pass: &mut Pass) -> Result<(), Trouble> {
        let ordered = examiner.comparison().ordered();
        self.range(examiner, pass, ordered).await?;
        let found = pass.result.mismatches();
        if found != pass.recorded {
            verification::differs(&mut self.control, self.fence, &pass.result).await?;
            pass.recorded = found;
        }
        if let Some(reached) = pass.reached() {
            verification::reach(&mut self.control, self.fence, pass.result.id, &reached).await?;
            pass.reached_at = Some(Instant::now());
        }
        Ok(())
    }

    /// The next range.
    async fn range(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
        ordered: bool,
    ) -> Result<(), Trouble> {
        let mut piece = pass.piece();
        let rows = if ordered { pass.pacing.rows() } else { pass.part_rows() };
        piece.hi = match pass.side {
            Side::Live => examiner.boundary(&piece, rows).await?,
            Side::Shadow => examiner.shadow_boundary(&piece, rows).await?,
        };
        let compared = if ordered {
            let (equal, compared, took) = self.sums(examiner, &piece).await?;
            if piece.hi.is_some() {
                pass.pacing.took(compared, took);
            }
            if !equal {
                self.in_pieces(examiner, pass, &piece).await?;
            }
            compared
        } else {
            self.settle(examiner, pass, &piece, pass.side == Side::Live, pass.side == Side::Shadow).await?;
            if pass.side == Side::Live { examiner.rows(&piece).await? } else { 0 }
        };
        if ordered || pass.side == Side::Shadow {
            self.computed(examiner, pass, &piece).await?;
        }
        pass.result.rows += compared;
        match piece.hi {
            Some(hi) => pass.lo = Some(hi),
            None if ordered || pass.side == Side::Shadow => pass.ended = true,
            None => (pass.side, pass.lo) = (Side::Shadow, None),
        }
        pass.ended |= pass.full();
        Ok(())
    }

    /// What the server has computed for the rows of a piece. It is held against the shadow's own rows, which stand still, so
    /// that nothing on its way can be the reason.
    async fn computed(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
        piece: &Piece,
    ) -> Result<(), Trouble> {
        let found = examiner.look_at_computed(piece).await?;
        self.fence.share(&mut self.control).await?;
        found.iter().for_each(|suspect| pass.report(suspect));
        if pass.result.repair && !found.is_empty() {
            self.mend(examiner, pass, &found).await?;
            let still = examiner.look_at_computed(piece).await?;
            still.iter().for_each(|suspect| pass.report(suspect));
        }
        Ok(())
    }

    /// Whether they are equal, for how many rows, and how long that took.
    async fn sums(
        &mut self,
        examiner: &mut Examiner,
        piece: &Piece,
    ) -> Result<(bool, u64, Duration), Trouble> {
        self.gate().await?;
        let started = Instant::now();
        let sums = match examiner.equal(piece).await.map_err(Trouble::from) {
            // Of a row that the stream is yet to bring, and will not be able to write; it has the words for that.
            Err(Trouble::Misfit(_)) => (false, 0),
            sums => sums?,
        };
        let took = started.elapsed();
        self.fence.share(&mut self.control).await?;
        Ok((sums.0, sums.1, took))
    }

    async fn in_pieces(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
        range: &Piece,
    ) -> Result<(), Trouble> {
        let rows = pass.part_rows();
        let mut lo = range.lo.clone();
        loop {
            self.breathe().await?;
            self.catch_up_with_server().await?;
            let left = Piece { lo, hi: range.hi.clone() };
            let bound = examiner.boundary(&left, rows).await?;
            let last = bound.is_none() || bound == range.hi;
            let piece = Piece { lo: left.lo, hi: if last { range.hi.clone() } else { bound } };
            if !self.sums(examiner, &piece).await?.0 {
                self.settle(examiner, pass, &piece, true, true).await?;
            }
            if last || pass.full() {
                return Ok(());
            }
            lo = piece.hi;
        }
    }

    /// Looks at the rows of a piece until it is known of each that differs whether it does so for good.
    async fn settle(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
        piece: &Piece,
        live: bool,
        shadow: bool,
    ) -> Result<(), Trouble> {
        let range = Scope::Range(piece.clone());
        let mut scope = range.clone();
        let mut open = 0;
        for _ in 0..LOOKS_MAX {
            let (settled, moving) = self.look(examiner, pass.result.id, &scope, live, shadow).await?;
            // There may be more of them than were looked at.
            let more = settled.len() + moving.len() >= SUSPECTS_MAX as usize;
            settled.iter().for_each(|suspect| pass.report(suspect));
            if pass.result.repair && !settled.is_empty() {
                self.mend(examiner, pass, &settled).await?;
                self.readers.wrote();
            }
            open = moving.len();
            if pass.full() || (moving.is_empty() && !more) {
                return Ok(());
            }
            scope = if more { range.clone() } else { Scope::Suspects };
            if !more {
                examiner.stage(&moving).await?;
            }
        }
        pass.result.unsettled += open as u64;
        Ok(())
    }

    /// The rows that differ for good, and those that the stream has brought since they were looked at.
    async fn look(
        &mut self,
        examiner: &mut Examiner,
        verification: u64,
        scope: &Scope,
        live: bool,
        shadow: bool,
    ) -> Result<(Vec<Suspect>, Vec<Suspect>), Trouble> {
        let mut tried = 0;
        let suspects = loop {
            self.breathe().await?;
            self.catch_up_with_server().await?;
            self.gate().await?;
            tried += 1;
            match examiner.look(scope, live, shadow).await.map_err(Trouble::from) {
                // The stream will meet that row, and has the words for it.
                Err(Trouble::Misfit(_)) if tried < LOOKS_MAX => tokio::time::sleep(AGAIN).await,
                suspects => break suspects?,
            }
        };
        self.fence.share(&mut self.control).await?;
        if suspects.is_empty() {
            return Ok((suspects, Vec::new()));
        }
        let touched = self.brought_since(verification).await?;
        self.part(examiner, suspects, &touched).await
    }

    /// Those that were not touched, and those that were.
    pub(super) async fn part(
        &mut self,
        examiner: &mut Examiner,
        suspects: Vec<Suspect>,
        touched: &Touched,
    ) -> Result<(Vec<Suspect>, Vec<Suspect>), Trouble> {
        let plan = self.reader.plan();
        if touched.all || (plan.is_none() && !touched.keys.is_empty()) {
            return Ok((Vec::new(), suspects));
        }
        examiner.stage(&suspects).await?;
        let columns = self.applier.statements().projection().key_indexes();
        let mut keys = Vec::with_capacity(touched.keys.len());
        if let Some(plan) = plan {
            for key in &touched.keys {
                let mut text = String::new();
                write_key(&plan, &columns, key, &mut text).map_err(|e| Trouble::Severed(Told::new(e)))?;
                keys.push(text);
            }
        }
        let moving = examiner.touched(&keys).await?;
        let (moved, settled): (Vec<_>, Vec<_>) =
            suspects.into_iter().enumerate().partition(|(n, _)| moving.contains(n));
        let bare = |list: Vec<(usize, Suspect)>| list.into_iter().map(|(_, suspect)| suspect).collect();
        Ok((bare(settled), bare(moved)))
    }

    /// Catches up past all that has been read by now, and returns what the stream brought on the way.
    pub(super) async fn brought_since(&mut self, verification: u64) -> Result<Touched, Trouble> {
        verification::mark(&mut self.control, self.fence, verification).await?;
        self.touched = Some(Touched::default());
        let caught_up = self.catch_up_with_server().await;
        let touched = self.touched.take().unwrap_or_default();
        caught_up.map(|()| touched)
    }

    /// Writes rows again that differ for good: see [`crate::mysql::apply`].
    async fn mend(
        &mut self,
        examiner: &mut Examiner,
        pass: &mut Pass,
        found: &[Suspect],
    ) -> Result<(), Trouble> {
        self.gate().await?;
        let comparison = examiner.comparison().clone();
        self.applier.take_rows(&comparison, found).await?;
        let touched = self.brought_since(pass.result.id).await?;
        let (still, _) = self.part(examiner, found.to_vec(), &touched).await?;
        if !still.is_empty() {
            self.applier.mend(&comparison, &still, pass.result.id, self.fence, &self.position).await?;
        }
        // Also what the stream has mended itself. Seen by looking, not by believing.
        let mut left = found.to_vec();
        for _ in 0..LOOKS_MAX {
            examiner.stage(&left).await?;
            let (settled, moving) = self.look(examiner, pass.result.id, &Scope::Suspects, true, true).await?;
            let is_in = |list: &[Suspect], one: &Suspect| {
                list.iter().any(|other| other.finding.key == one.finding.key && extra(other) == extra(one))
            };
            for suspect in left.iter().filter(|one| !is_in(&settled, one) && !is_in(&moving, one)) {
                pass.mended(suspect);
            }
            pass.stuck.extend(left.iter().filter(|one| is_in(&settled, one)).cloned());
            left.retain(|one| is_in(&moving, one));
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

/// What makes two findings one. A row may be missing in several indexes.
fn identity(finding: &Finding) -> (&'static str, String) {
    let index = finding.cells.first().filter(|_| finding.kind == Kind::Unindexed);
    let index = index.map_or(String::new(), |cell| format!(" {}", cell.column));
    (finding.kind.name(), format!("{}{index}", finding.key))
}

fn extra(suspect: &Suspect) -> bool {
    suspect.finding.kind == Kind::Extra
}
