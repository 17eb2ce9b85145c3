mod concurrent_writers;
mod forward_and_back;
mod private_server;
mod projection;
mod row_images;
mod support;
mod tidy;
mod unique_values;
