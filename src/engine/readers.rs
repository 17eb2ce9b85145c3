//! What is done about transactions whose snapshot is older than the rows of the table that is to become live: see
//! [`swap`](super::swap). Pure, but for the two looks at the server.

use std::time::{Duration, Instant};

use crate::lifecycle::notice::{Blocker, OLD_SNAPSHOT};
use crate::mysql::transactions::{self, CACHED_FOR, Reader, Sight};
use crate::mysql::{indexes, readers, swap};
use crate::session::{Session, SqlError};

/// A transaction that is older was not just passing. It is waited for without a lock, and is not failed unasked.
const LONG: Duration = Duration::from_secs(1);
/// So many attempts hope for a moment in which no transaction is just passing.
const TRIES: u32 = 4;
/// Between two of them.
pub const PASSING: Duration = Duration::from_millis(200);

pub const WHY_UNSEEN: &str = "whether a transaction's snapshot is older than the rows of the table that is to become live cannot \
     be seen (PROCESS, or SELECT on performance_schema.* with its transactions kept, shows it; `rsc cutover`, `revert` or \
     `reapply` with --accept-short-reads does not wait)";

/// What is known of the readers of a change.
#[derive(Debug)]
pub struct Readers {
    /// No row of the shadow was committed later.
    last_row: Instant,
    /// Where other transactions are seen.
    sight: Sight,
    /// A replica has readers of its own.
    replicas: bool,
    tries: u32,
    /// The server has refused to outdate the shadow's rows.
    stays: bool,
}

/// Who was found, in the order of what speaks against the swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nobody,
    Passing,
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// No snapshot can be too old.
    Rename,
    /// Whichever is too old is to fail.
    Outdate,
    Wait,
}

/// Under the locks, behind the last row.
#[derive(Debug)]
pub struct Look {
    found: Found,
    seen: bool,
    pub readers: Vec<Blocker>,
}

impl Readers {
    /// What an earlier process wrote, it wrote before now.
    pub fn new() -> Self {
        Self { last_row: Instant::now(), sight: Sight::Nowhere, replicas: false, tries: 0, stays: false }
    }

    /// Rows of the shadow have been committed.
    pub fn wrote(&mut self) {
        self.last_row = Instant::now();
    }

    /// Before the locks are asked for: who is to be waited for without making the application wait.
    pub async fn long(&mut self, session: &mut Session) -> Result<Vec<Blocker>, SqlError> {
        self.sight = transactions::sight(session).await;
        // Not to know of them is no reason to forget them.
        self.replicas = indexes::replicas(session).await.map_or(true, |replicas| replicas > 0);
        let age = self.last_row.elapsed().max(LONG);
        let Some(mut found) = transactions::older(session, self.sight, age).await? else {
            return Ok(Vec::new());
        };
        let known = self.with_snapshot(session, &found).await?;
        found.retain(|reader| long(reader, LONG, known.as_deref()));
        if !found.is_empty() {
            self.tries = 0;
        } else if known.is_some() || self.sight == Sight::Innodb {
            // So that InnoDB makes its list anew when it is asked under the locks.
            tokio::time::sleep(CACHED_FOR).await;
        }
        Ok(found.into_iter().map(|reader| reader.who).collect())
    }

    /// Under the locks, which were asked for so long ago: whoever waits for them has grown older by that.
    pub async fn look(&self, session: &mut Session, locking: Duration) -> Result<Look, SqlError> {
        let found = transactions::older(session, self.sight, self.last_row.elapsed()).await?;
        let seen = found.is_some();
        let mut found = found.unwrap_or_default();
        let old = LONG + locking;
        let mut known = None;
        if self.stays || found.iter().any(|reader| reader.age >= old) {
            known = self.with_snapshot(session, &found).await?;
        }
        if self.stays {
            found.retain(|reader| long(reader, Duration::ZERO, known.as_deref()));
        }
        let which = match found.iter().any(|reader| long(reader, old, known.as_deref())) {
            true => Found::Long,
            false if found.is_empty() => Found::Nobody,
            false => Found::Passing,
        };
        let readers = found.into_iter().map(|reader| reader.who).collect();
        Ok(Look { found: which, seen, readers })
    }

    /// The connections of which InnoDB has a transaction, if these do not come from its list already.
    async fn with_snapshot(
        &self,
        session: &mut Session,
        found: &[Reader],
    ) -> Result<Option<Vec<u64>>, SqlError> {
        match self.sight {
            Sight::PerformanceSchema if !found.is_empty() => transactions::in_innodb(session).await,
            _ => Ok(None),
        }
    }

    pub fn course(&self, look: &Look, go_ahead: bool) -> Course {
        course(look, self.replicas, self.tries, go_ahead)
    }

    /// An attempt was given up for those who are just passing.
    pub fn waited(&mut self) {
        self.tries += 1;
    }

    /// The server cannot outdate the shadow. Whether the tables are swapped all the same.
    pub fn stays(&mut self, look: &Look, go_ahead: bool) -> bool {
        self.stays = true;
        go_ahead || (look.found == Found::Nobody && look.seen)
    }

    /// Applications are ended only where there is nothing gentler.
    pub fn must_end(&self) -> bool {
        self.stays
    }
}

/// Who has no transaction in InnoDB has no snapshot. Where that is not `known`, everyone may have one.
fn long(reader: &Reader, than: Duration, known: Option<&[u64]>) -> bool {
    reader.age >= than && known.is_none_or(|known| known.contains(&reader.who.connection))
}

fn course(look: &Look, replicas: bool, tries: u32, go_ahead: bool) -> Course {
    match look.found {
        Found::Nobody if look.seen && !replicas => Course::Rename,
        Found::Nobody => Course::Outdate,
        Found::Passing | Found::Long if go_ahead => Course::Outdate,
        Found::Passing if tries >= TRIES => Course::Outdate,
        Found::Passing | Found::Long => Course::Wait,
    }
}

impl Look {
    pub fn why(&self) -> &'static str {
        if self.seen { OLD_SNAPSHOT } else { WHY_UNSEEN }
    }

    /// Those who are in the way will be gone in a moment.
    pub fn passing(&self) -> bool {
        self.found == Found::Passing
    }
}

/// See [`readers::outdate`].
pub async fn outdate(session: &mut Session, swap: &swap::Swap) -> Result<bool, SqlError> {
    readers::outdate(session, &swap.shadow, &swap.mark).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(found: Found, seen: bool) -> Look {
        Look { found, seen, readers: Vec::new() }
    }

    #[test]
    fn nobody_reads_short_unless_the_operator_wants_it() {
        use Course::{Outdate, Rename, Wait};
        for (found, seen, replicas, tries, go_ahead, course_is) in [
            (Found::Nobody, true, false, 0, false, Rename),
            // Replicas have readers that nobody sees here.
            (Found::Nobody, true, true, 0, false, Outdate),
            (Found::Nobody, false, false, 0, false, Outdate),
            (Found::Passing, true, false, 0, false, Wait),
            (Found::Passing, true, false, TRIES, false, Outdate),
            (Found::Long, true, false, TRIES, false, Wait),
            (Found::Long, true, true, 0, true, Outdate),
        ] {
            assert_eq!(course(&look(found, seen), replicas, tries, go_ahead), course_is, "{found:?} {seen}");
        }
        let mut readers = Readers::new();
        assert!(readers.stays(&look(Found::Nobody, true), false));
        assert!(!readers.stays(&look(Found::Nobody, false), false));
        assert!(!readers.stays(&look(Found::Passing, true), false));
        assert!(readers.stays(&look(Found::Long, true), true));
    }
}
