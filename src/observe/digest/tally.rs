//! What one attempt cost: the provider's numbers, an estimate of what it did not say, and their price.

use std::sync::Arc;

use http::Method;

use super::{Digester, Words};
use crate::dialect;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::outcome::Outcome;
use crate::exchange::summary::{Awaits, Cost, Tally};
use crate::neutral::kind::Operation;
use crate::neutral::reading::{Billing, Reading};
use crate::neutral::usage::{Usage, UsageSource};
use crate::observe::awaited::Owner;
use crate::observe::estimate;

impl Digester {
    pub(super) fn tally(
        &mut self,
        exchange: &Exchange,
        attempt: &Attempt,
        reading: Reading,
    ) -> Tally {
        let generates = matches!(
            exchange.operation,
            Operation::Chat | Operation::TextCompletion | Operation::Embeddings
        );
        let answered = attempt.status.is_some_and(|status| status.is_success());
        if reading.billing == Billing::Later {
            let awaits = (exchange.method == Method::POST)
                .then(|| self.expect(attempt, &reading, exchange.path.contains("/batches")))
                .flatten();
            return Tally { reading, awaits, ..Tally::default() };
        }
        // A provider that answers with nothing but an error bills nothing.
        let failed_empty = reading.error.is_some() && self.arrivals.is_empty();
        if !generates || !answered || failed_empty {
            let usage = reading.usage;
            let partial = usage.is_some() && !reading.ended;
            let source = usage.map(|_| UsageSource::Provider);
            return Tally { reading, usage, source, partial, ..Tally::default() };
        }
        let ended = reading.ended;
        let missing = reading.usage.is_none();
        let mut usage = reading.usage.unwrap_or_default();
        let mut estimated = Usage::default();
        if missing || !ended {
            if usage.input.is_none() {
                estimated.input = Some(self.prompt(exchange));
            }
            if exchange.operation != Operation::Embeddings {
                let seen = self.words(exchange, attempt);
                // What was told so far may be the first event's word, before any of it was written.
                if usage.output.is_none_or(|told| told < seen) {
                    estimated.output = Some(seen);
                }
            }
            usage.input = estimated.input.or(usage.input);
            usage.output = estimated.output.or(usage.output);
        }
        let source =
            if estimated.is_empty() { UsageSource::Provider } else { UsageSource::Estimated };
        Tally {
            usage: Some(usage),
            estimated,
            source: Some(source),
            partial: !ended,
            missing: missing && ended,
            reading,
            ..Tally::default()
        }
    }

    /// Tokens of the words that came, and as many in proportion for bytes that were not kept; the arrivals stay those of
    /// the first reading. Half a document is no JSON: where no word of it could be read it is measured by its length, since
    /// what was written was billed.
    fn words(&mut self, exchange: &Exchange, attempt: &Attempt) -> u64 {
        let (arrivals, hole) = (std::mem::take(&mut self.arrivals), self.hole);
        let reading = self.read(exchange, attempt, Words::Collect);
        (self.arrivals, self.hole) = (arrivals, hole);
        let counted = if self.hurried {
            estimate::bytes(reading.words.len() as u64)
        } else {
            estimate::words(&reading.words)
        };
        let seen = counted + estimate::bytes(reading.words_cut);
        let broke = attempt.failure.is_some() || exchange.outcome == Outcome::ClientCancelled;
        if seen == 0 && broke && !attempt.events {
            return estimate::bytes(attempt.frames.bytes);
        }
        let missing = attempt.frames.missing_bytes();
        let kept = attempt.frames.bytes.saturating_sub(missing).max(1);
        let unseen = u128::from(seen) * u128::from(missing) / u128::from(kept);
        seen.saturating_add(u64::try_from(unseen).unwrap_or(u64::MAX))
    }

    /// Tokens of the request, by its words where they were kept.
    fn prompt(&self, exchange: &Exchange) -> u64 {
        match exchange.prompt.as_ref().filter(|_| !self.hurried) {
            Some(body) => {
                estimate::prompt(&dialect::prompt::words(body), dialect::prompt::messages(body))
            }
            None => estimate::bytes(exchange.request_bytes),
        }
    }

    /// Waits for the usage; gives what the store is to know of that.
    fn expect(&self, attempt: &Attempt, reading: &Reading, batch: bool) -> Option<Awaits> {
        let id = reading.response_id.as_deref()?;
        let owner = Owner {
            provider: Arc::clone(&attempt.provider),
            model: attempt.model.clone(),
            model_label: Arc::clone(&attempt.model_label),
            batch,
        };
        self.awaited.expect(id, owner).then(|| Awaits { response_id: id.to_owned(), batch })
    }

    /// An answer fetched by its id: its tokens count when they were waited for, once, for the model that made them.
    pub(super) fn settle(
        &self,
        exchange: &Exchange,
        attempt: &Attempt,
        tally: &mut Tally,
    ) -> Option<Owner> {
        // A response made by a POST under `/providers/{name}/` has the shape of a fetched one, and is none.
        let is_made_now = exchange.method == Method::POST && !exchange.path.ends_with("/cancel");
        if exchange.operation != Operation::Opaque || is_made_now {
            return None;
        }
        let own = tally.reading.response_id.as_deref();
        let mut ids = own.into_iter().chain(exchange.path.split('/')).filter(|id| !id.is_empty());
        // Half an answer may hold half the usage: the next one settles it.
        let told = tally.usage.is_some() && tally.reading.ended;
        let owner = ids.find_map(|id| self.awaited.settle(id, &attempt.provider, told));
        if owner.is_none() || !told {
            // Counted before, or not yet.
            (tally.usage, tally.source, tally.partial) = (None, None, false);
            tally.reading.tools.clear();
            return None;
        }
        if owner.as_ref().is_some_and(|owner| owner.batch) {
            tally.reading.service_tier = Some("batch".to_owned());
        }
        owner
    }

    /// What the tokens cost by the list in force; without a price there is no cost, which is not a cost of nothing. The
    /// name sent decides; where it is a deployment's name, the one that the provider says it used.
    pub(super) fn price(&self, attempt: &Attempt, owner: Option<&Owner>, tally: &mut Tally) {
        let Some(usage) = &tally.usage else { return };
        let sent = owner.map_or(attempt.model.as_deref(), |owner| owner.model.as_deref());
        let mut names = [sent, tally.reading.model.as_deref()].into_iter().flatten();
        let book = self.prices.load();
        let priced = names.find_map(|name| book.lookup(&attempt.provider, name));
        let tier = tally.reading.service_tier.as_deref();
        let amount = priced.and_then(|priced| priced.cost(usage, tier));
        tally.unpriced = amount.is_none();
        tally.cost = amount.map(|amount| Cost {
            amount: amount.nanodollars,
            basis: amount.basis,
            version: amount.version,
        });
    }
}
