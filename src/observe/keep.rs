//! The sink that keeps records: exchanges become rows here, and the store's own thread writes them.

use crate::exchange::Exchange;
use crate::observe::sink::Sink;
use crate::store::row::Row;
use crate::store::writer::Writer;

/// Hands rows to the store's writer, and stops it after the last batch.
pub struct KeepSink {
    writer: Writer,
}

impl KeepSink {
    pub fn new(writer: Writer) -> Self {
        Self { writer }
    }
}

impl Sink for KeepSink {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        self.writer.handle().put(batch.iter().map(|exchange| Row::of(exchange)).collect());
    }

    fn flush(&mut self) {
        self.writer.stop();
    }
}
