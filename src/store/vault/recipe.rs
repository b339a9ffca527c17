//! How a body is put together of segments: mostly "as the one before, and then these new ones".

use std::collections::HashMap;

use crate::store::vault::index::Place;
use crate::store::vault::wire::{Bad, Cursor, Put};

/// Limit: segments of one body.
pub(super) const SEGMENTS_MAX: usize = 1 << 22;

/// Texts that are put in again and again, by number from 1; number 0 is followed by the text itself. Never changed once
/// released: what comes is added at the end.
pub(super) const INSERTS: &[&[u8]] = &[
    br#","cache_control":{"type":"ephemeral"}"#,
    br#", "cache_control": {"type": "ephemeral"}"#,
    br#""cache_control":{"type":"ephemeral"},"#,
    br#""cache_control": {"type": "ephemeral"}, "#,
    br#","cache_control":{"type":"ephemeral","ttl":"1h"}"#,
    br#","cache_control":{"type":"ephemeral","ttl":"5m"}"#,
    br#","cache_control":{"ttl":"1h","type":"ephemeral"}"#,
    br#","cache_control":{"ttl":"5m","type":"ephemeral"}"#,
    br#", "cache_control": {"type": "ephemeral", "ttl": "1h"}"#,
    br#", "cache_control": {"type": "ephemeral", "ttl": "5m"}"#,
];

/// The body of another leg, the list of whose segments this one's is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) seq: i64,
    pub(super) leg: u64,
}

/// One step of the list of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next segments of the exchange's own content.
    Own(usize),
    /// The next segments of the base's list.
    Copy(usize),
    /// Moves on in the base's list, or back.
    Skip(i64),
    /// Segments of one exchange's content, one after the other.
    Run { count: usize, place: Place },
}

/// Bytes put into a body after it is put together of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Insert {
    /// Where, counted without any insert.
    pub(super) at: usize,
    pub(super) text: Vec<u8>,
}

/// How one body is put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) base: Option<Base>,
    steps: Vec<Step>,
    pub(super) inserts: Vec<Insert>,
}

impl Recipe {
    /// The steps to `list` of a body of the exchange `seq`, by way of the base's list where there is one. `own` is the
    /// number of the exchange's segments that earlier bodies of it have introduced.
    pub(super) fn to(
        list: &[Place],
        seq: i64,
        own: usize,
        base: Option<(Base, &[Place])>,
        inserts: Vec<Insert>,
    ) -> Self {
        let based = base.map(|(_, places)| places).unwrap_or_default();
        // Made when the lists first part.
        let mut places: Option<HashMap<Place, usize>> = None;
        let (mut steps, mut at, mut in_base, mut own) = (Vec::new(), 0, 0, own);
        while let Some(first) = list.get(at) {
            let rest = list.get(at..).unwrap_or_default();
            let found = match based.get(in_base) {
                Some(place) if place == first => Some(in_base),
                _ => places
                    .get_or_insert_with(|| {
                        based.iter().enumerate().rev().map(|(at, place)| (*place, at)).collect()
                    })
                    .get(first)
                    .copied(),
            };
            let (step, count) = if let Some(found) = found {
                let same = based.get(found..).unwrap_or_default();
                let count = rest.iter().zip(same).take_while(|(left, right)| left == right).count();
                if found != in_base {
                    steps.push(Step::Skip(found as i64 - in_base as i64));
                }
                in_base = found + count;
                (Step::Copy(count), count)
            } else {
                let follows = |(n, place): (usize, &Place)| {
                    place.seq == first.seq && place.index as usize == first.index as usize + n
                };
                let count = rest.iter().enumerate().take_while(|item| follows(*item)).count();
                if first.seq == seq && first.index as usize == own {
                    own += count;
                    (Step::Own(count), count)
                } else {
                    (Step::Run { count, place: *first }, count)
                }
            };
            steps.push(step);
            at += count;
        }
        Self { base: base.map(|(base, _)| base), steps, inserts }
    }

    /// The list of segments again.
    pub(super) fn list(&self, seq: i64, own: usize, based: &[Place]) -> Result<Vec<Place>, Bad> {
        let (mut list, mut in_base, mut own) = (Vec::new(), 0_usize, own);
        for step in &self.steps {
            let before = list.len();
            match *step {
                Step::Own(count) => {
                    push_run(&mut list, count, Place { seq, index: index_of(own)? })?;
                    own = own.saturating_add(count);
                }
                Step::Run { count, place } => push_run(&mut list, count, place)?,
                Step::Skip(by) => {
                    in_base = in_base
                        .checked_add_signed(isize::try_from(by).map_err(|_| OUTSIDE)?)
                        .ok_or(OUTSIDE)?;
                    continue;
                }
                Step::Copy(count) => {
                    let end = in_base.checked_add(count).ok_or(OUTSIDE)?;
                    list.extend_from_slice(based.get(in_base..end).ok_or(OUTSIDE)?);
                    in_base = end;
                }
            }
            if list.len() > SEGMENTS_MAX {
                return Err(Bad("a body has too many segments"));
            }
            if list.len() == before {
                return Err(Bad("a recipe has an empty step"));
            }
        }
        Ok(list)
    }

    /// How many segments of the exchange's own content the body introduces.
    pub(super) fn own(&self) -> usize {
        let own = |step: &Step| if let Step::Own(count) = step { *count } else { 0 };
        self.steps.iter().map(own).sum()
    }

    pub(super) fn write(&self, seq: i64, to: &mut Vec<u8>) {
        match self.base {
            None => to.put_number(0),
            Some(base) => {
                to.put_number((seq - base.seq).cast_unsigned() + 1);
                to.put_number(base.leg);
            }
        }
        to.put_number(self.steps.len() as u64);
        for step in &self.steps {
            match *step {
                Step::Own(count) => to.put_number((count as u64) << 2),
                Step::Copy(count) => to.put_number((count as u64) << 2 | 1),
                Step::Skip(by) => {
                    to.put_number(2);
                    to.put_signed(by);
                }
                Step::Run { count, place } => {
                    to.put_number((count as u64) << 2 | 3);
                    to.put_number((seq - place.seq).cast_unsigned());
                    to.put_number(u64::from(place.index));
                }
            }
        }
        to.put_number(self.inserts.len() as u64);
        let mut before = 0;
        for insert in &self.inserts {
            to.put_number((insert.at - before) as u64);
            before = insert.at;
            match INSERTS.iter().position(|known| *known == insert.text) {
                Some(known) => to.put_number(known as u64 + 1),
                None => {
                    to.put_number(0);
                    to.put_text(&insert.text);
                }
            }
        }
    }

    pub(super) fn read(seq: i64, from: &mut Cursor<'_>) -> Result<Self, Bad> {
        let earlier =
            |by: u64| i64::try_from(by).ok().and_then(|by| seq.checked_sub(by)).ok_or(OUTSIDE);
        let base = match from.number()? {
            0 => None,
            by => Some(Base { seq: earlier(by - 1)?, leg: from.number()? }),
        };
        let mut steps = Vec::new();
        for _ in 0..from.count()? {
            let head = from.number()?;
            let count = usize::try_from(head >> 2).map_err(|_| OUTSIDE)?;
            steps.push(match head & 3 {
                0 => Step::Own(count),
                1 => Step::Copy(count),
                2 => Step::Skip(from.signed()?),
                _ => {
                    let seq = earlier(from.number()?)?;
                    let index = u32::try_from(from.number()?).map_err(|_| OUTSIDE)?;
                    Step::Run { count, place: Place { seq, index } }
                }
            });
        }
        let (mut inserts, mut at) = (Vec::new(), 0_usize);
        for _ in 0..from.count()? {
            at = at.checked_add(from.size()?).ok_or(OUTSIDE)?;
            let text = match from.size()? {
                0 => from.text()?,
                known => INSERTS.get(known - 1).copied().ok_or(OUTSIDE)?,
            };
            inserts.push(Insert { at, text: text.to_vec() });
        }
        Ok(Self { base, steps, inserts })
    }
}

const OUTSIDE: Bad = Bad("a recipe points outside of what there is");

fn index_of(own: usize) -> Result<u32, Bad> {
    u32::try_from(own).map_err(|_| OUTSIDE)
}

fn push_run(list: &mut Vec<Place>, count: usize, first: Place) -> Result<(), Bad> {
    if count > SEGMENTS_MAX {
        return Err(OUTSIDE);
    }
    let end = u32::try_from(count).ok().and_then(|count| first.index.checked_add(count));
    list.extend((first.index..end.ok_or(OUTSIDE)?).map(|index| Place { index, ..first }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places() -> impl Strategy<Value = Vec<Place>> {
        let place = (95..=100_i64, 0..6_u32).prop_map(|(seq, index)| Place { seq, index });
        prop::collection::vec(place, 0..40)
    }

    proptest! {
        #[test]
        fn a_list_comes_back_with_and_without_a_base(list in places(), based in places(), own in 0..4_usize) {
            let base = (Base { seq: 99, leg: 2 }, &based[..]);
            let inserts = vec![
                Insert { at: 3, text: INSERTS[2].to_vec() },
                Insert { at: 70, text: b"other".to_vec() },
            ];
            for base in [None, Some(base)] {
                let recipe = Recipe::to(&list, 100, own, base, inserts.clone());
                let mut bytes = Vec::new();
                recipe.write(100, &mut bytes);
                let mut cursor = Cursor::new(&bytes);
                let read = Recipe::read(100, &mut cursor).unwrap();
                prop_assert_eq!(cursor.left(), 0);
                prop_assert_eq!(&read, &recipe);
                let based = base.map(|(_, based)| based).unwrap_or_default();
                prop_assert_eq!(read.list(100, own, based).unwrap(), list.clone());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, based in places()) {
            if let Ok(recipe) = Recipe::read(100, &mut Cursor::new(&bytes)) {
                let _refused = recipe.list(100, 0, &based);
            }
        }
    }

    #[test]
    fn a_turn_that_follows_another_takes_a_few_bytes() {
        let based: Vec<Place> = (0..100).map(|index| Place { seq: 90, index }).collect();
        let mut list = based.clone();
        list[0] = Place { seq: 100, index: 0 };
        list.extend([Place { seq: 100, index: 1 }, Place { seq: 100, index: 2 }]);
        let base = Some((Base { seq: 90, leg: 0 }, &based[..]));
        let mut bytes = Vec::new();
        Recipe::to(&list, 100, 0, base, Vec::new()).write(100, &mut bytes);
        assert_eq!(bytes, [11, 0, 4, 1 << 2, 2, 2, 141, 3, 2 << 2, 0]);
    }
}
