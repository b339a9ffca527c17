//! What a diagnosis is made of: the exchange, what is known around it, and what was found.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::params::{self, Params};
use crate::exchange::signal::Signal;
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::material::{self, Answer};
use crate::report::prose;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Listed, Stored};

/// Limit: characters of one quotation.
pub(super) const QUOTE_CHARS_MAX: usize = 400;

/// What is known besides the exchange. Whatever is missing only makes the diagnosis poorer.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Exchanges of the day before that did not go well.
    pub failures: Vec<Listed>,
    /// The session's exchanges, this one among them or not, in any order.
    pub session: Vec<Listed>,
    /// Exchanges of the same provider around the time, in any order.
    pub traffic: Vec<Listed>,
    /// The session's turn before this one, whole.
    pub before: Option<Box<Stored>>,
}

/// One line of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What was looked at: `status`, `error`, `header`, `timing`.
    pub what: &'static str,
    /// What was seen there.
    pub seen: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub class: Class,
    /// Narrower than the class, where that is known.
    pub detail: Option<String>,
    /// Who said no, or let go.
    pub place: Place,
    /// Who can change something.
    pub act_at: Place,
    pub confidence: Confidence,
    /// One sentence that says it all.
    pub says: String,
    pub evidence: Vec<Evidence>,
    /// What to do, most useful first.
    pub advice: Vec<String>,
    /// Pages to read on.
    pub docs: Vec<&'static str>,
}

impl Finding {
    /// What is said here may quote anybody: it is made fit for a terminal.
    pub(super) fn new(
        class: Class,
        place: Place,
        confidence: Confidence,
        says: impl AsRef<str>,
    ) -> Self {
        Self {
            class,
            detail: None,
            place,
            act_at: place,
            confidence,
            says: prose::line(says.as_ref(), QUOTE_CHARS_MAX),
            evidence: Vec::new(),
            advice: Vec::new(),
            docs: Vec::new(),
        }
    }

    pub(super) fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
        self
    }

    pub(super) fn act_at(mut self, place: Place) -> Self {
        self.act_at = place;
        self
    }

    pub(super) fn seen(mut self, what: &'static str, seen: impl Into<String>) -> Self {
        self.evidence.push(Evidence { what, seen: prose::line(&seen.into(), QUOTE_CHARS_MAX) });
        self
    }

    pub(super) fn seen_perhaps(self, what: &'static str, seen: Option<String>) -> Self {
        match seen {
            Some(seen) => self.seen(what, seen),
            None => self,
        }
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(prose::line(&advice.into(), QUOTE_CHARS_MAX));
        self
    }

    pub(super) fn read_on(mut self, page: &'static str) -> Self {
        self.docs.push(page);
        self
    }
}

/// The exchange, read once for all that look at it.
pub(super) struct Case<'a> {
    pub(super) stored: &'a Stored,
    pub(super) row: &'a Listed,
    pub(super) context: &'a Context,
    /// That of the last attempt, or the gateway's own.
    pub(super) answer: Answer,
    pub(super) request: Option<Cow<'a, [u8]>>,
    pub(super) params: Params,
}

impl<'a> Case<'a> {
    pub(super) fn new(stored: &'a Stored, context: &'a Context) -> Self {
        let request = material::request(stored);
        let params = request
            .as_deref()
            .map(|body| params::params(material::dialect(stored), body))
            .unwrap_or_default();
        let answer = match stored.attempts.len().checked_sub(1) {
            Some(last) => material::answer(stored, last),
            None => material::own_answer(stored),
        };
        Self { stored, row: &stored.row, context, answer, request, params }
    }

    pub(super) fn last(&self) -> Option<&'a Attempt> {
        self.stored.attempts.last()
    }

    /// `provider openai`, or `the provider`.
    pub(super) fn provider(&self) -> String {
        let named = self.last().map(|attempt| attempt.provider.as_str());
        match named.or(self.row.provider.as_deref()).filter(|name| !name.is_empty()) {
            Some(name) => format!("provider {name}"),
            None => "the provider".to_owned(),
        }
    }

    /// The provider's id, for a key of the configuration; `NAME` where it is not known.
    pub(super) fn provider_key(&self) -> String {
        let named = self.last().map(|attempt| attempt.provider.as_str());
        named.or(self.row.provider.as_deref()).unwrap_or("NAME").to_owned()
    }

    pub(super) fn model(&self) -> String {
        let sent = self.last().and_then(|attempt| attempt.model.clone());
        let named =
            sent.or_else(|| self.row.model.clone()).or_else(|| self.row.model_requested.clone());
        named.unwrap_or_else(|| "the model".to_owned())
    }

    /// The client program, in a sentence.
    pub(super) fn client(&self) -> &str {
        match self.row.agent.as_str() {
            "" | "none" | "other" => "the client",
            agent => agent,
        }
    }

    /// Whether this was found when it closed.
    pub(super) fn has(&self, signal: Signal) -> bool {
        self.row.signals.contains(&signal.label())
    }

    /// Why the answer ended, in the provider's word.
    pub(super) fn finish(&self) -> Option<&str> {
        let read = self.answer.reading.finish_reasons.first().map(String::as_str);
        self.row.finish_reason.as_deref().or(read).filter(|reason| !reason.is_empty())
    }

    /// Whether bodies were kept, so that their absence in the evidence is explained.
    /// Why what was sent cannot be looked at; `None`: it can, or there never was anything.
    pub(super) fn gone(&self) -> Option<&'static str> {
        let last = self.stored.attempts.last();
        let legs = [Some(&self.stored.request), last.map(|last| &last.response)];
        legs.into_iter().flatten().find_map(|leg| match leg.body {
            Body::Absent(Absent::Removed) => {
                Some("were removed, by retention or by `captures prune`")
            }
            Body::Absent(Absent::Damaged) => Some("are damaged"),
            Body::Absent(Absent::ShedMemory | Absent::ShedQueue | Absent::ShedDisk) => {
                Some("could not be kept when it ran")
            }
            _ => None,
        })
    }

    pub(super) fn explain_what_is_missing(&self, finding: Finding) -> Finding {
        if self.answer.kept || self.row.capture_level == "full" {
            return finding;
        }
        finding.advise(format!(
            "capture was `{}`, so the provider's own words are not kept: set `capture.level = \"full\"`, or rely on the \
             tail rule that keeps failures whole",
            self.row.capture_level
        ))
    }
}

/// Whether a tool can read these arguments; none at all are fine.
pub(super) fn is_json(arguments: &str) -> bool {
    arguments.is_empty() || serde_json::from_str::<serde_json::Value>(arguments).is_ok()
}
