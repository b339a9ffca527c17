//! How a provider is reached: who it is, where it stands, how it is spoken to. `client` and `connect` do, the rest decides.

pub mod auth;
pub mod catalog;
pub mod client;
pub mod connect;
pub mod control;
pub mod outgoing;
pub mod provider;
pub mod tls;
pub mod url;
