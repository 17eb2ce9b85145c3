//! The life of a change: its states, what may happen in each, and what follows. Pure.

pub mod consent;
pub mod event;
pub mod forecast;
pub mod notice;
pub mod retention;
pub mod sample;
pub mod state;
pub mod step;
pub mod throttle;
pub mod trend;
pub mod unseen;
pub mod verdict;
pub mod verification;
pub mod whole;
pub mod window;
