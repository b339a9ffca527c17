//! One exchange, or a list of them, as text for people: what is stored in, text out. Nothing here reads or prints.

pub mod body;
pub mod census;
pub mod conversation;
pub mod curl;
pub mod grep;
pub mod headers;
pub mod list;
pub mod markdown;
pub mod raw;
pub mod summary;
pub mod timeline;
pub mod waterfall;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
