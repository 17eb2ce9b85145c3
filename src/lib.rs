//! rsc: online schema change for MySQL that can be taken back.
//!
//! The modules in reading order: [`schema`] (what tables are and how rows of one become rows of the other),
//! [`rows`] (copying and following rows), [`lifecycle`] (what may happen to a change), all three pure; then
//! [`session`], [`journal`] and [`mysql`] (one outside thing each), [`engine`], which drives a change
//! through its life, and [`agent`], which keeps many. Each uses only what stands before it.

pub mod schema;

pub mod rows;

pub mod lifecycle;

#[cfg(debug_assertions)]
pub mod faults;
pub mod session;

pub mod journal;

pub mod mysql;

pub mod engine;

pub mod agent;

pub mod audience;
pub mod cli;
pub mod commands;
pub mod error;
pub mod logging;
pub mod nearest;
pub mod output;
pub mod settings;
