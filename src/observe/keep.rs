//! The sink that keeps records: exchanges become rows here, and the store's own thread writes them.

use std::sync::Arc;

use crate::base::clock;
use crate::exchange::Exchange;
use crate::observe::awaited::{Awaited, News};
use crate::observe::sink::Sink;
use crate::store::awaited::Awaited as Awaiting;
use crate::store::row::Row;
use crate::store::writer::Writer;

/// Hands rows to the store's writer, and stops it after the last batch.
pub struct KeepSink {
    writer: Writer,
    awaited: Arc<Awaited>,
}

impl KeepSink {
    pub fn new(writer: Writer, awaited: Arc<Awaited>) -> Self {
        Self { writer, awaited }
    }

    fn keep_awaited(&self) {
        let noted_at_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
        for news in self.awaited.news() {
            match news {
                News::Expected(response_id, owner) => self.writer.handle().await_usage(Awaiting {
                    response_id,
                    provider: owner.provider.to_string(),
                    model: owner.model.as_deref().map(str::to_owned),
                    model_label: owner.model_label.to_string(),
                    batch: owner.batch,
                    noted_at_us,
                }),
                News::Settled(id) => self.writer.handle().usage_came(&id),
            }
        }
    }
}

impl Sink for KeepSink {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        self.writer.handle().put(batch.iter().map(|exchange| Row::of(exchange)).collect());
        self.keep_awaited();
    }

    fn flush(&mut self) {
        self.writer.stop();
    }
}
