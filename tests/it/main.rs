mod concurrent_writers;
mod private_server;
mod support;
