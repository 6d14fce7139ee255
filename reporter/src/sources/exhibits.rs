//! Before an arrival is committed: exhibits of its denials, and their texts masked by them.
//!
//! What is hashed is what is masked, so this comes first; a record whose witness gave
//! nothing stands as it is and says so (`unmasked`).

use super::Court;
use crate::intake::Arrival;
use docket_record::denial::Record;
use docket_record::examine::{Finding, Outcome, Sworn};
use docket_record::exhibit::{Answer, Held, LONGEST_EXHIBIT, Missing, Question, TEXTS};
use docket_record::testimony::{FINAL, WITNESS};
use std::collections::BTreeMap;

/// A record that waits for its exhibit.
struct Wanted<'a> {
    record: &'a mut Record,
    question: Question,
}

impl Court {
    /// Asks each witness once for the exhibits of its denials.
    pub async fn exhibits(&self, arrival: &mut Arrival) {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut count = |outcome| *counts.entry(outcome).or_default() += 1;
        let mut by_witness: BTreeMap<&str, Vec<Wanted<'_>>> = BTreeMap::new();
        for finding in &mut arrival.findings {
            let Finding { outcome, sworn, .. } = finding;
            let Outcome::Record(record) = outcome else {
                continue;
            };
            if record.public.verdict.is_pass() && !record.public.unmasked {
                continue;
            }
            let Some(sworn) = shows_it(sworn) else {
                count(none_shows_it(sworn).label());
                continue;
            };
            let question = question(record, sworn);
            if question.texts.len() > TEXTS {
                count(Missing::TooLarge.label());
                continue;
            }
            let instance = sworn.testimony.process.instance.as_str();
            by_witness
                .entry(instance)
                .or_default()
                .push(Wanted { record, question });
        }
        let asked = by_witness
            .into_iter()
            .map(|(instance, mut wanted)| async move {
                let questions = wanted
                    .iter_mut()
                    .map(|one| std::mem::take(&mut one.question))
                    .collect::<Vec<_>>();
                let answers = match &self.witnesses {
                    Some(witnesses) => witnesses.ask_exhibits(instance, questions).await,
                    None => Vec::new(),
                };
                (wanted, answers)
            });
        for (wanted, answers) in futures::future::join_all(asked).await {
            let unknown = || Answer::Missing(Missing::UnknownWitness);
            let answers = answers.into_iter().chain(std::iter::repeat_with(unknown));
            for (one, answer) in wanted.into_iter().zip(answers) {
                count(keep(one.record, answer));
            }
        }
        self.count(&counts);
    }

    fn count(&self, counts: &BTreeMap<&'static str, u64>) {
        for (&outcome, &count) in counts {
            self.metrics.exhibits(outcome, count);
        }
    }
}

/// The last review of the final object, else of the object as it was sent, that is held.
pub(super) fn shows_it(sworn: &[Sworn]) -> Option<&Sworn> {
    [FINAL, WITNESS].into_iter().find_map(|hook| {
        let held = |one: &&Sworn| one.hook == hook && one.testimony.exhibit.0 > 0;
        sworn.iter().rev().find(held)
    })
}

fn none_shows_it(sworn: &[Sworn]) -> Missing {
    if sworn.is_empty() {
        Missing::NoTestimony
    } else {
        Missing::NotHeld
    }
}

fn question(record: &mut Record, sworn: &Sworn) -> Question {
    let mut texts = Vec::new();
    record.echoes(|text| texts.push(text.clone()));
    Question {
        uid: sworn.uid.clone(),
        namespace: record.public.namespace.clone(),
        texts,
        ..Question::default()
    }
}

/// Puts an answer into its record; says what became of it.
fn keep(record: &mut Record, answer: Answer) -> &'static str {
    let Held { exhibit, texts } = match answer {
        Answer::Held(held) => held,
        Answer::Missing(why) => return why.label(),
    };
    let mut expected = 0;
    record.echoes(|_| expected += 1);
    if texts.len() != expected {
        return Missing::Failed.label();
    }
    let mut texts = texts.into_iter();
    record.echoes(|text| {
        if let Some(Some(masked)) = texts.next() {
            *text = masked;
        }
    });
    record.public.unmasked = false;
    match exhibit {
        // It was admitted: only its texts are masked.
        Some(_) if record.public.verdict.is_pass() => "withheld",
        Some(exhibit) if exhibit.get().len() > LONGEST_EXHIBIT => Missing::TooLarge.label(),
        Some(exhibit) => {
            record.exhibit = Some(exhibit.get().as_bytes().to_vec());
            "kept"
        }
        None => "withheld",
    }
}

#[cfg(test)]
mod tests;
