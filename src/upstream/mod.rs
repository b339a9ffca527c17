//! How a provider is reached: who it is, where it stands, how it is spoken to. Decisions here are pure; `client` does.

pub mod catalog;
pub mod provider;
