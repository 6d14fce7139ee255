//! Where values stand in a text, in linear time.
//!
//! Only the first [`SEED`] bytes of a value are searched for (Aho-Corasick); a longer one is
//! then followed for as far as the text agrees. So neither many nor long values cost more
//! than their bytes.

use aho_corasick::AhoCorasick;
use std::collections::BTreeMap;
use std::ops::Range;

/// So many bytes of a value are searched for. A longer value is masked as far as it
/// goes when so many of its first bytes are there.
const SEED: usize = 64;
/// Fewest bytes of a value that count when the text ends inside it.
const CUT: usize = 8;
/// Most long values with one beginning: each has to be followed by itself.
const ALIKE: usize = 64;

/// The bytes of a value in one of its forms, and which value it is.
type Form = (Box<[u8]>, usize);

/// The values.
pub(super) struct Finder {
    seeds: AhoCorasick,
    /// By seed: the values that begin so.
    values: Vec<Vec<Form>>,
    /// Seeds in order, with their place in `values`.
    sorted: Vec<Form>,
}

impl Finder {
    /// `None` if that would cost too much.
    pub(super) fn new(patterns: Vec<(Vec<u8>, usize)>) -> Option<Finder> {
        let mut by_seed: BTreeMap<Box<[u8]>, Vec<Form>> = BTreeMap::new();
        for (pattern, value) in patterns {
            let seed = &pattern[..pattern.len().min(SEED)];
            let alike = by_seed.entry(seed.into()).or_default();
            let pattern = pattern.into_boxed_slice();
            if alike.iter().all(|(other, _)| *other != pattern) {
                alike.push((pattern, value));
            }
            if alike.len() > ALIKE {
                return None;
            }
        }
        let seeds = AhoCorasick::new(by_seed.keys()).ok()?;
        let sorted = by_seed.keys().cloned().zip(0..).collect();
        Some(Finder {
            seeds,
            values: by_seed.into_values().collect(),
            sorted,
        })
    }

    /// Places and values, by where they begin; none lies within another.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(Range<usize>, usize)> {
        // By where they end: the longest that ends there.
        let mut by_end: Vec<Option<(usize, usize)>> = vec![None; text.len() + 1];
        let mut note = |range: Range<usize>, value: usize| {
            let noted = &mut by_end[range.end];
            if noted.is_none_or(|(start, _)| range.start < start) {
                *noted = Some((range.start, value));
            }
        };
        let mut followed = 0;
        for seed in self.seeds.find_overlapping_iter(text) {
            let alike = &self.values[seed.pattern().as_usize()];
            if seed.len() < SEED {
                note(seed.range(), alike[0].1);
                continue;
            }
            // Within what was followed already nothing is followed again: no byte is
            // looked at more often than the seed is long.
            if seed.end() <= followed {
                continue;
            }
            let rest = &text[seed.start()..];
            let longest = alike
                .iter()
                .map(|(value, at)| (common(value, rest), *at))
                .max();
            if let Some((length, value)) = longest {
                followed = seed.start() + length;
                note(seed.start()..followed, value);
            }
        }
        if let Some((begin, value)) = self.cut(text) {
            note(begin..text.len(), value);
        }
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for (end, noted) in by_end.into_iter().enumerate() {
            let Some((start, value)) = noted else {
                continue;
            };
            // Ends grow, so what begins no later holds all those before it that begin later.
            while found.last().is_some_and(|(last, _)| last.start >= start) {
                found.pop();
            }
            found.push((start..end, value));
        }
        found
    }

    /// Where the text ends inside a value. What marks a cut (`…`, dots, a bracket) may
    /// follow.
    fn cut(&self, text: &[u8]) -> Option<(usize, usize)> {
        let marks: &[&[u8]] = &[b".", b")", b"]", b"}", "…".as_bytes()];
        let mut end = text.len();
        loop {
            let whole = &text[..end];
            let first = end.saturating_sub(SEED);
            for begin in first..(end + 1).saturating_sub(CUT) {
                let tail = &whole[begin..];
                let at = self.sorted.partition_point(|(seed, _)| **seed < *tail);
                if let Some((seed, at)) = self.sorted.get(at)
                    && seed.starts_with(tail)
                {
                    return Some((begin, self.values[*at][0].1));
                }
            }
            let mark = marks.iter().find(|mark| whole.ends_with(mark))?;
            end -= mark.len();
            if text.len() - end > 8 {
                return None;
            }
        }
    }
}

fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
