mod agent;
mod another_machine;
mod binlog_forms;
#[cfg(debug_assertions)]
mod cases;
mod command_line;
mod concurrent_writers;
mod conversions;
mod cutover;
mod detection;
mod failover;
#[cfg(debug_assertions)]
mod fault_matrix;
mod forward_and_back;
mod full_disk;
mod interruption;
mod journal_lost;
mod large_transaction;
mod ledger;
#[cfg(debug_assertions)]
mod ledger_faults;
mod ledger_random;
mod long_rows;
mod private_server;
mod projection;
mod retention;
mod row_images;
mod soak;
mod support;
mod tidy;
mod unique_values;
