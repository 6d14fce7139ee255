//! Exhibits: one call per witness and batch, at most a second, bounded both ways.

use super::{PATIENCE, Witnesses};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use docket_record::exhibit::{
    Answer, Answers, LONGEST_ANSWER, LONGEST_CALL, Missing, QUESTIONS, Question,
};
use http_body_util::Full;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bodies of calls under way at one time, in KiB; their answers cost up to as much again.
pub(super) const ROOM: u32 = 64 * 1024;
/// After so many calls in a row without an answer in time a witness is left alone …
const TRIES: u32 = 3;
/// … for so long: a source that reads one batch after the other would else be held up by
/// a second each.
const PAUSE: Duration = Duration::from_secs(10);
const OPENS: &[u8] = b"{\"questions\":[";
const CLOSES: &[u8] = b"]}";

/// A witness that did not answer in time.
#[derive(Debug, Default)]
pub(super) struct Silent {
    times: u32,
    until: Option<Instant>,
}

impl Witnesses {
    /// Asks one witness about reviewed objects. As many answers as questions, in their
    /// order; whatever goes wrong is an answer too. Takes at most a second.
    pub async fn ask_exhibits(&self, instance: &str, questions: Vec<Question>) -> Vec<Answer> {
        let asked = questions.len();
        let missing = |why| (0..asked).map(|_| Answer::Missing(why)).collect();
        let Some(url) = self.inner.urls.get(instance) else {
            return missing(Missing::UnknownWitness);
        };
        if asked == 0 {
            return Vec::new();
        }
        if self.left_alone(instance) {
            return missing(Missing::Slow);
        }
        let answered = tokio::time::timeout(PATIENCE, self.exhibits(url, questions)).await;
        self.heard(instance, answered.is_ok());
        match answered {
            Ok(Ok(answers)) => {
                self.inner.metrics.witness("exhibits");
                answers
            }
            Ok(Err(error)) => {
                self.inner.metrics.witness("failed");
                tracing::debug!(witness = instance, "gives no exhibits: {error:#}");
                missing(Missing::Failed)
            }
            Err(_) => {
                self.inner.metrics.witness("slow");
                missing(Missing::Slow)
            }
        }
    }

    async fn exhibits(&self, url: &str, questions: Vec<Question>) -> Result<Vec<Answer>> {
        let asked = questions.len();
        // Megabytes of JSON are work for another thread.
        let (body, fitting) = tokio::task::spawn_blocking(move || body(&questions)).await?;
        let kib = u32::try_from(body.len() / 1024 + 1).unwrap_or(ROOM);
        let _room = self.inner.room.acquire_many(kib.min(ROOM)).await?;
        let request = http::Request::post(format!("{}/exhibits", url.trim_end_matches('/')))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = self.call(request, LONGEST_ANSWER).await?;
        let answer = answer.context("the witness does not know /exhibits")?;
        let read = move || serde_json::from_slice::<Answers>(&answer);
        let answers = tokio::task::spawn_blocking(read).await?;
        // What serde says may quote a text.
        let Ok(Answers { mut answers }) = answers else {
            anyhow::bail!("the answer could not be read");
        };
        anyhow::ensure!(
            answers.len() == fitting,
            "{} answers to {fitting} questions",
            answers.len()
        );
        answers.resize_with(asked, || Answer::Missing(Missing::TooLarge));
        Ok(answers)
    }

    fn left_alone(&self, instance: &str) -> bool {
        let silent = self.silent();
        let until = silent.get(instance).and_then(|silent| silent.until);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn heard(&self, instance: &str, in_time: bool) {
        let mut all = self.silent();
        if in_time {
            all.remove(instance);
            return;
        }
        let silent = all.entry(instance.to_owned()).or_default();
        silent.times += 1;
        if silent.times >= TRIES {
            silent.until = Some(Instant::now() + PAUSE);
            tracing::warn!(
                witness = instance,
                "does not answer in time: no exhibits are asked for {PAUSE:?}"
            );
        }
    }

    fn silent(&self) -> MutexGuard<'_, std::collections::HashMap<String, Silent>> {
        // Held for a look at a map of as many entries as there are witnesses.
        self.inner
            .silent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The call's body, and how many questions fitted into it.
fn body(questions: &[Question]) -> (Vec<u8>, usize) {
    let mut body = OPENS.to_vec();
    let mut fitting = 0;
    for question in questions.iter().take(QUESTIONS) {
        // A question is texts and flags: it always has a JSON form.
        let one = serde_json::to_vec(question).unwrap_or_default();
        if body.len() + one.len() + 1 + CLOSES.len() > LONGEST_CALL {
            break;
        }
        if fitting > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&one);
        fitting += 1;
    }
    body.extend_from_slice(CLOSES);
    (body, fitting)
}
