mod agent;
mod command_line;
mod concurrent_writers;
mod cutover;
mod detection;
mod failover;
#[cfg(debug_assertions)]
mod fault_matrix;
mod forward_and_back;
mod full_disk;
mod interruption;
mod journal_lost;
mod private_server;
mod projection;
mod row_images;
mod support;
mod tidy;
mod unique_values;
