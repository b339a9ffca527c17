//! Exchanges compared: what every comparison says of made-up ones.
