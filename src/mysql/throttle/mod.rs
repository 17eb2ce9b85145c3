//! Reads what may make a change wait. What follows from it: [`crate::lifecycle::throttle`].

pub mod replicas;
pub mod signals;
