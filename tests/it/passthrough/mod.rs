//! What goes through the gateway unchanged, and the few things that are changed on purpose.

mod bodies;
mod headers;
mod paths;
mod streams;
mod transport;
