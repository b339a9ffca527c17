//! An exchange's place in a trace: the caller's context continued, or a new one.
//!
//! ```text
//!  caller's span ─► server span (the exchange) ─► GenAI span (all attempts) ─► HTTP span (one attempt) ─► provider
//! ```

use crate::base::trace::{Parent, Sampler, SpanId, TraceId};

/// The ids of an exchange's spans, made at its start so that the provider can be told.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    pub id: TraceId,
    /// The caller's span, when it sent one and its trace is continued.
    pub parent: Option<SpanId>,
    /// The caller's context, when it sent one and a new trace was begun all the same: to be linked.
    pub linked: Option<Parent>,
    /// The span of the exchange.
    pub server: SpanId,
    /// The span of the model call, all attempts included.
    pub call: SpanId,
    pub sampled: bool,
}

/// What becomes of a caller's trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Incoming {
    /// Its trace goes on.
    #[default]
    Continue,
    /// A new trace begins, linked to it: for gateways that strangers call.
    Restart,
}

impl Trace {
    /// Continues `parent`, or begins a trace.
    pub fn begin(parent: Option<Parent>, incoming: Incoming, sampler: &Sampler) -> Self {
        let (continued, linked) = match incoming {
            Incoming::Continue => (parent, None),
            Incoming::Restart => (None, parent),
        };
        let id = continued.map_or_else(TraceId::random, |parent| parent.trace);
        Self {
            id,
            parent: continued.map(|parent| parent.span),
            linked,
            server: SpanId::random(),
            call: SpanId::random(),
            sampled: sampler.decide(id, continued),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_callers_trace_goes_on_or_is_linked() {
        let parent = Parent::parse(CALLER);
        let sampler = Sampler { parent: true, ratio: 0.0 };
        let continued = Trace::begin(parent, Incoming::Continue, &sampler);
        assert_eq!(Some(continued.id), parent.map(|parent| parent.trace));
        assert_eq!(continued.parent, parent.map(|parent| parent.span));
        assert!(continued.sampled && continued.linked.is_none());
        let restarted = Trace::begin(parent, Incoming::Restart, &sampler);
        assert_ne!(restarted.id, continued.id);
        assert!(restarted.parent.is_none() && restarted.linked == parent && !restarted.sampled);
        let fresh = Trace::begin(None, Incoming::Continue, &sampler);
        assert!(fresh.parent.is_none() && fresh.server != fresh.call);
    }
}
