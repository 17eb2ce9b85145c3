mod private_server;
mod support;
