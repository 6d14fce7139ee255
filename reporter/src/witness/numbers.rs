//! What missing numbers were given for.

use super::{PATIENCE, Witnesses};
use crate::intake::{Answered, Arrival};
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use docket_record::numbers::{Answer, LONGEST_ANSWER, NumberedReview, QUESTIONS, Question};
use docket_record::testimony::Process;
use http_body_util::Full;
use std::collections::BTreeSet;

impl Witnesses {
    /// Asks about the numbers that the core misses, for ever.
    ///
    /// # Errors
    /// Never by itself.
    pub async fn ask_numbers(self, writer: Writer) -> Result<()> {
        writer.numbers_to_ask().serve();
        loop {
            let asked = writer.numbers_to_ask().take().await;
            let asked = asked
                .into_iter()
                .map(|(process, numbers)| self.given_for(process, numbers));
            let answered = futures::future::join_all(asked).await;
            // What is not kept now is asked again.
            let _ = writer
                .commit(Arrival {
                    answered,
                    ..Arrival::default()
                })
                .await;
        }
    }

    /// What these numbers were given for, as far as the witness answers.
    async fn given_for(&self, process: Process, numbers: BTreeSet<u64>) -> Answered {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let mut answered = Answered {
            process,
            numbers: Vec::new(),
            reviews: Vec::new(),
        };
        let Some(url) = self.inner.urls.get(&answered.process.instance) else {
            // Nobody can ever be asked.
            answered.numbers = numbers;
            return answered;
        };
        for some in numbers.chunks(QUESTIONS) {
            let asked = self.numbered_reviews(url, &answered.process, some);
            let asked = tokio::time::timeout(PATIENCE, asked).await;
            match asked.map_err(anyhow::Error::from).flatten() {
                Ok(reviews) => {
                    self.inner.metrics.witness("numbers");
                    answered.numbers.extend(some);
                    answered.reviews.extend(reviews);
                }
                Err(error) => {
                    self.inner.metrics.witness("failed");
                    let witness = answered.process.instance.as_str();
                    tracing::debug!(witness, "does not say what numbers were for: {error:#}");
                    break;
                }
            }
        }
        answered
    }

    async fn numbered_reviews(
        &self,
        url: &str,
        process: &Process,
        numbers: &[u64],
    ) -> Result<Vec<NumberedReview>> {
        let question = serde_json::to_vec(&Question {
            started: process.started,
            numbers: numbers.to_vec(),
        })?;
        let request = http::Request::post(format!("{}/numbers", url.trim_end_matches('/')))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(question)))?;
        let answer = self.call(request, LONGEST_ANSWER).await?;
        let answer = answer.context("the witness does not know /numbers")?;
        let answer: Answer = serde_json::from_slice(&answer)?;
        // Another process of that name has other numbers.
        let meant = answer.started == process.started;
        Ok(if meant { answer.reviews } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use axum::routing::post;
    use docket_record::numbers::{Hook, RequestKey};
    use std::collections::BTreeMap;

    fn process(instance: &str) -> Process {
        Process {
            instance: instance.to_owned(),
            started: 7,
        }
    }

    /// A witness whose process began then; it remembers odd numbers.
    async fn witness(started: i64) -> String {
        let answer = move |body: bytes::Bytes| async move {
            let question: Question = serde_json::from_slice(&body).unwrap();
            assert!(question.numbers.len() <= QUESTIONS);
            let odd = question
                .numbers
                .into_iter()
                .filter(|number| number % 2 == 1);
            let review = |number| NumberedReview {
                number,
                hook: Hook::Witness,
                time: jiff::Timestamp::UNIX_EPOCH,
                request: RequestKey([1; 16]),
                operation: "CREATE".into(),
                group: String::new(),
                resource: String::new(),
                subresource: String::new(),
                namespace: String::new(),
                name: String::new(),
                user: String::new(),
            };
            axum::Json(Answer {
                instance: "w".into(),
                started,
                reviews: odd.map(review).collect(),
            })
        };
        let router = axum::Router::new().route("/numbers", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[tokio::test]
    async fn each_witness_is_asked_about_its_own_process_in_calls_of_bounded_length() {
        let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = format!("http://{}", away.local_addr().unwrap());
        let urls = BTreeMap::from([
            ("here".to_owned(), witness(7).await),
            ("new".to_owned(), witness(8).await),
            ("away".to_owned(), away),
        ]);
        let witnesses = Witnesses::new(
            urls,
            crate::witness::WitnessClient::plain(),
            Metrics::new().0,
        )
        .unwrap();
        let asked: BTreeSet<u64> = (1..=2_500).collect();
        let known = async |instance: &str| {
            let answered = witnesses.given_for(process(instance), asked.clone()).await;
            (answered.numbers.len(), answered.reviews.len())
        };
        assert_eq!(known("here").await, (2_500, 1_250));
        // It began anew and counts from one again.
        assert_eq!(known("new").await, (2_500, 0));
        // Nobody knows where it is: there will be no answer.
        assert_eq!(known("unheard-of").await, (2_500, 0));
        assert_eq!(known("away").await, (0, 0), "asked again later");
    }
}
