//! Which object of a denied collection was reviewed last.
//!
//! The API server asks whichever replica it likes for each object, so every witness may
//! have seen the last one: all are asked at once, and the latest of their answers counts.

use super::{PATIENCE, Witnesses};
use anyhow::Result;
use bytes::Bytes;
use docket_record::denial::Record;
use http_body_util::Full;
use jiff::Timestamp;
use serde::Deserialize;

/// The object that a witness reviewed last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reviewed {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its uid.
    #[serde(default)]
    pub uid: String,
    /// When it was reviewed, by the witness's clock.
    pub time: Timestamp,
}

/// What all witnesses together know of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastObject {
    /// The object reviewed last of all; of several at the same time none.
    pub object: Option<Reviewed>,
    /// Different objects were reviewed at that same last time.
    pub tied: bool,
    /// Witnesses that did not answer.
    pub silent: usize,
    /// Witnesses that were asked.
    pub asked: usize,
}

impl LastObject {
    fn of(answers: Vec<Result<Option<Reviewed>>>) -> LastObject {
        let mut all = LastObject {
            asked: answers.len(),
            ..LastObject::default()
        };
        let mut last: Option<Reviewed> = None;
        for answer in answers {
            let reviewed = match answer {
                Ok(Some(reviewed)) => reviewed,
                Ok(None) => continue,
                Err(_) => {
                    all.silent += 1;
                    continue;
                }
            };
            match &last {
                Some(known) if known.time > reviewed.time => {}
                Some(known) if known.time == reviewed.time => {
                    all.tied |= (&known.uid, &known.name) != (&reviewed.uid, &reviewed.name);
                }
                _ => {
                    last = Some(reviewed);
                    all.tied = false;
                }
            }
        }
        all.object = last.filter(|_| !all.tied);
        all
    }
}

impl Witnesses {
    /// Which object was reviewed last for this denied collection, not after `before`. Takes
    /// at most a second.
    pub async fn last_object(&self, record: &Record, before: Timestamp) -> LastObject {
        let question = serde_json::json!({
            "user": record.personal.actor.username,
            "group": record.public.group,
            "resource": record.public.resource,
            "namespace": record.public.namespace,
            "before": before,
        });
        let question = Bytes::from(question.to_string());
        let asked = self.inner.urls.iter().map(|(name, url)| {
            let question = question.clone();
            async move {
                let answer = tokio::time::timeout(PATIENCE, self.last_of(url, question)).await;
                let answer = answer.map_err(anyhow::Error::from).flatten();
                self.inner.metrics.witness(match &answer {
                    Ok(Some(_)) => "collectionKnown",
                    Ok(None) => "collectionUnknown",
                    Err(_) => "failed",
                });
                if let Err(error) = &answer {
                    tracing::debug!(witness = name, "knows of no collection: {error:#}");
                }
                answer
            }
        });
        LastObject::of(futures::future::join_all(asked).await)
    }

    async fn last_of(&self, url: &str, question: Bytes) -> Result<Option<Reviewed>> {
        let request = http::Request::post(format!("{}/collection", url.trim_end_matches('/')))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(question))?;
        self.ask(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reviewed(name: &str, second: i64) -> Result<Option<Reviewed>> {
        Ok(Some(Reviewed {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            time: Timestamp::from_second(second).unwrap(),
        }))
    }

    fn name(answers: Vec<Result<Option<Reviewed>>>) -> (Option<String>, bool, usize) {
        let last = LastObject::of(answers);
        (
            last.object.map(|object| object.name),
            last.tied,
            last.silent,
        )
    }

    #[test]
    fn the_latest_of_all_answers_counts_and_a_tie_names_nothing() {
        let failed = || Err(anyhow::anyhow!("connection refused"));
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            name(vec![reviewed("a", 1), reviewed("b", 2), Ok(None)]),
            (some("b"), false, 0)
        );
        assert_eq!(
            name(vec![reviewed("b", 2), reviewed("a", 1), failed()]),
            (some("b"), false, 1)
        );
        let same = vec![reviewed("b", 2), reviewed("b", 2)];
        assert_eq!(name(same), (some("b"), false, 0));
        let tied = vec![reviewed("a", 2), reviewed("b", 2), reviewed("c", 1)];
        assert_eq!(name(tied), (None, true, 0));
        let earlier_tie = vec![reviewed("a", 2), reviewed("b", 2), reviewed("c", 3)];
        assert_eq!(name(earlier_tie), (some("c"), false, 0));
        assert_eq!(name(vec![failed(), failed()]), (None, false, 2));
        assert_eq!(name(vec![]), (None, false, 0));
    }
}
