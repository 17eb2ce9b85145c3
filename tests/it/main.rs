mod agent;
mod alter_forms;
mod another_machine;
mod binlog_forms;
mod book;
#[cfg(debug_assertions)]
mod cases;
mod command_line;
mod computed;
mod concurrent_writers;
mod configuration;
mod conversions;
mod counters;
mod create_drop;
#[cfg(debug_assertions)]
mod create_drop_faults;
mod cutover;
mod cutover_control;
mod detection;
#[cfg(debug_assertions)]
mod every_type;
mod evidence;
mod failover;
#[cfg(debug_assertions)]
mod fault_matrix;
mod forward_and_back;
mod full_disk;
mod help;
mod history;
mod hooks;
mod in_place;
mod indexing;
mod interruption;
mod journal_lost;
mod large_transaction;
mod later;
mod ledger;
#[cfg(debug_assertions)]
mod ledger_faults;
mod ledger_random;
mod long_rows;
mod lossless_revert;
mod meaning;
mod metrics;
#[cfg(debug_assertions)]
mod odd_servers;
mod old_snapshots;
mod own_locks;
mod packaging;
mod parallel_copy;
mod plan;
mod private_server;
mod projection;
#[cfg(debug_assertions)]
mod property;
mod retention;
mod row_images;
mod sight;
mod soak;
mod statistics;
mod strangers_text;
mod support;
mod throttle;
mod tidy;
mod tls;
mod unique_values;
mod variables;
mod verify;
mod watching;
mod way_back;
mod whose_change;
