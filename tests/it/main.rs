mod command_line;
mod concurrent_writers;
mod private_server;
mod row_images;
mod support;
