//! The rules of redaction as a scrub of the store applies them: what they find is remembered, in memory alone.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::policy::redact::{Redactor, Shape as WholeShape};
use crate::store::scrub::{Policy, Shape};

/// Limit: different values that are remembered and looked for afterwards; the rest is replaced all the same.
const VALUES_MAX: usize = 100_000;

/// A policy at work.
#[derive(Debug)]
pub struct Scrubber {
    redactor: Redactor,
    found: RefCell<BTreeSet<Vec<u8>>>,
}

impl Scrubber {
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, found: RefCell::default() }
    }
}

impl Policy for Scrubber {
    fn version(&self) -> u32 {
        self.redactor.version()
    }

    fn part(&self, text: &[u8]) -> Option<Vec<u8>> {
        let clean = self.redactor.clean(text)?;
        let mut found = self.found.borrow_mut();
        if found.len() < VALUES_MAX {
            found.extend(self.redactor.values(text));
        }
        Some(clean)
    }

    fn whole(&self, body: &[u8], shape: Shape<'_>) -> Option<Vec<u8>> {
        let shape = WholeShape { coding: shape.coding, events: shape.events };
        self.redactor.whole(body, shape).map(|cleaned| cleaned.bytes)
    }

    fn values(&self) -> BTreeSet<Vec<u8>> {
        self.found.borrow().clone()
    }
}
