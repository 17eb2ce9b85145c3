mod private_server;
mod row_images;
mod support;
