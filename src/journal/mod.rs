//! The journal of all changes, in the schema `_rsc` of the server itself.
//!
//! # The stream row
//!
//! Each change has one table of its own, `_rsc.stream_<id>`, with one row: the epoch of its owner and the
//! position up to which the stream has been applied to the shadow. Everything that must not happen twice, or
//! after another process has taken over, commits together with a look at this row:
//!
//! * a copied batch reads the epoch FOR SHARE in its transaction;
//! * an applied window updates the position, where the epoch is the owner's, in its transaction;
//! * the swap holds this table by LOCK TABLES together with the two it swaps, so that the last window commits
//!   with its position like every other, and no one can take over between that and the RENAME;
//! * taking over increments the epoch, which waits for all of them.
//!
//! A table of its own, because a shared one would have to be locked for every swap, and then another change's
//! batch would hold up that lock while the application waits. With it there is no exception to "rows and the
//! progress they represent commit together": a window with key moves may not be applied twice, since a row
//! that only the shadow knows in full would be taken for the one that moved away.

pub mod fence;
pub mod history;
pub mod record;
pub mod sample;
pub mod store;
pub mod throttle;
pub mod verification;
