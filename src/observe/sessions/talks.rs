//! The conversations of the last hours, found again by digests of their messages.

use std::sync::Arc;

use super::{Chain, HOUR_US, INFERRED, Shapes};
use crate::base::fold::Fold;
use crate::base::id::ExchangeId;
use crate::base::recent::{Limit, Recent};
use crate::dialect::session::Sketch;
use crate::exchange::Exchange;

/// Limit: conversations, and digests of parts that are kept of them: 64 MB.
const TALKS: Limit = Limit { entries_max: 100_000, weight_max: 16_000_000, turn_us: 6 * HOUR_US };
/// Limit: ways to find them by; each turn adds two or four.
const HEADS: Limit = Limit { entries_max: 1_000_000, weight_max: usize::MAX, turn_us: 6 * HOUR_US };
/// Limit: parts of one turn that are kept; what comes after is not compared.
const PARTS_MAX: usize = 4_096;
/// Fewer messages are not worth compacting.
const COMPACTED_MIN: usize = 4;

/// Conversations, and the ways to them.
pub(super) struct Talks {
    known: Recent<Talk>,
    heads: Recent<u64>,
    next: u64,
}

/// One conversation.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) session: Option<Arc<str>>,
    pub(super) inferred: bool,
    pub(super) parent: Option<Arc<str>>,
    /// The exchange that began it.
    pub(super) first: ExchangeId,
    pub(super) last: Option<Turn>,
    /// Digests of calls with their results, the newest last.
    pub(super) results: Vec<u64>,
}

/// What is kept of a turn to compare the next one with.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) model: u64,
    pub(super) head: Vec<u32>,
    pub(super) messages: Vec<u32>,
}

/// The name of a session that the messages tell.
pub(super) fn inferred(first: ExchangeId) -> String {
    format!("{INFERRED}{first}")
}

impl Turn {
    pub(super) fn of(sketch: &Sketch, model: u64) -> Self {
        let digests = |parts: &[crate::dialect::session::Part]| {
            parts.iter().take(PARTS_MAX).map(|part| part.digest as u32).collect()
        };
        Self { model, head: digests(&sketch.head), messages: digests(&sketch.messages) }
    }
}

impl Talk {
    pub(super) fn new(first: ExchangeId) -> Self {
        Self {
            session: None,
            inferred: false,
            parent: None,
            first,
            last: None,
            results: Vec::new(),
        }
    }

    /// Its session's name, made now where there is none; the first exchange is to be told then.
    pub(super) fn named(&mut self, adopts: &mut Option<(ExchangeId, Arc<str>)>) -> Arc<str> {
        if let Some(session) = &self.session {
            return Arc::clone(session);
        }
        let name: Arc<str> = inferred(self.first).into();
        (self.session, self.inferred) = (Some(Arc::clone(&name)), true);
        *adopts = Some((self.first, Arc::clone(&name)));
        name
    }

    /// Gives the exchange the session of the conversation that it goes on with.
    pub(super) fn name(&mut self, exchange: &mut Exchange) {
        if self.first == exchange.id {
            return;
        }
        exchange.session = Some(self.named(&mut exchange.summary.adopts));
        exchange.session_inferred = self.inferred;
        if exchange.parent_session.is_none() {
            exchange.parent_session.clone_from(&self.parent);
        }
    }
}

impl Default for Talks {
    fn default() -> Self {
        Self::within(TALKS, HEADS)
    }
}

impl Talks {
    pub(super) fn within(talks: Limit, heads: Limit) -> Self {
        Self { known: Recent::new(talks), heads: Recent::new(heads), next: 0 }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.known.len(), self.known.weight(), self.heads.len()]
    }

    pub(super) fn get(&mut self, talk: u64) -> Option<&mut Talk> {
        self.known.get(talk)
    }

    pub(super) fn begin(&mut self, talk: Talk, now_us: u64) -> u64 {
        self.next += 1;
        self.known.put(self.next, talk, 1, now_us);
        self.next
    }

    /// The conversation that the messages extend, and how many of them it had: the longest beginning that was a whole
    /// turn, with the same tools and instructions where there are several. One that is no longer than that turn is the same
    /// turn once more; a first turn once more may be anybody's.
    pub(super) fn extended(&mut self, chain: &Chain, is_named: bool) -> Option<(u64, usize)> {
        let longest = chain.links.len();
        for (at, link) in chain.links.iter().enumerate().rev() {
            let is_again = at + 1 == longest;
            if is_again && !chain.has_answers && !is_named {
                continue;
            }
            let exact = self.heads.get(with_head(link.digest, chain.head)).copied();
            let found = if is_again {
                exact
            } else {
                exact.or_else(|| self.heads.get(link.digest).copied())
            };
            if let Some(talk) = found
                && self.known.get(talk).is_some()
            {
                return Some((talk, link.messages));
            }
        }
        None
    }

    /// A conversation of the same session that began alike, or that had the same tools and instructions and was longer:
    /// its history was rewritten.
    pub(super) fn similar(&mut self, shapes: Shapes, turn: &Turn) -> Option<u64> {
        if turn.messages.len() > 1
            && let Some(talk) = self.heads.get(shapes.first).copied()
            && self.known.get(talk).is_some()
        {
            return Some(talk);
        }
        let talk = self.heads.get(shapes.head?).copied()?;
        let last = self.known.get(talk)?.last.as_ref()?;
        let is_shorter = turn.messages.len() < last.messages.len();
        (last.messages.len() >= COMPACTED_MIN && is_shorter).then_some(talk)
    }

    /// Keeps the turn, and the ways to find its conversation by.
    pub(super) fn remember(
        &mut self,
        talk: u64,
        turn: Turn,
        chain: &Chain,
        shapes: Option<Shapes>,
        now_us: u64,
    ) {
        let Some(last) = chain.links.last() else { return };
        let mut ways = vec![with_head(last.digest, chain.head), last.digest];
        if let Some(shapes) = shapes {
            ways.push(shapes.first);
            ways.extend(shapes.head);
        }
        for way in ways {
            self.heads.put(way, talk, 1, now_us);
        }
        // Put anew, so that its weight counts.
        if let Some(mut known) = self.known.take(talk) {
            let weight = turn.head.len() + turn.messages.len() + 2 * known.results.len() + 16;
            known.last = Some(turn);
            self.known.put(talk, known, weight, now_us);
        }
    }
}

fn with_head(digest: u64, head: u64) -> u64 {
    let mut fold = Fold::default();
    fold.number(digest);
    fold.number(head);
    fold.end()
}
