//! The price book in force, for the observer's thread: put there at start, replaced on reload.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::price::book::Book;

/// Shared by whoever prices and whoever reloads.
#[derive(Debug, Default)]
pub struct PricesInForce(ArcSwap<Book>);

impl PricesInForce {
    pub fn new(book: Arc<Book>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(book)))
    }

    pub fn load(&self) -> Arc<Book> {
        self.0.load_full()
    }

    pub fn replace(&self, book: Arc<Book>) {
        self.0.store(book);
    }
}
