//! Exchanges compared: the legs of one, its attempts, turns of a session, any two. Pure, and bounded: everything is linear
//! in the bodies but for the alignment of lists, whose limit stands in [`align`].

pub mod align;
pub mod answers;
pub mod json;
pub mod legs;
pub mod pair;
pub mod prefix;
pub mod runs;
pub mod text;
pub mod turns;

#[cfg(test)]
mod tests;
