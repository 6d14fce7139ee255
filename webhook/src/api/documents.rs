//! What is answered from memory: discovery, OpenAPI, health. The same for everyone, and
//! the same for as long as this process runs.

use super::counts::Asked;
use super::status;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use docket_record::api::{discovery, openapi};
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::collections::HashMap;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// All documents by path.
pub struct Documents(HashMap<String, Document>);

/// One path's document.
pub struct Document {
    /// What it is counted as.
    pub asked: Asked,
    plain: Form,
    /// Given instead to those who accept it.
    aggregated: Option<Form>,
}

struct Form {
    body: Bytes,
    kind: HeaderValue,
    tag: HeaderValue,
}

impl Documents {
    /// Writes them all.
    pub fn new() -> Self {
        let json = |document: &Value| Form::new(document.to_string().into(), JSON);
        let third = json(&openapi::version_3());
        let index = json(&openapi::index(third.hash()));
        let mut all = HashMap::new();
        let mut put = |path: &str, asked, plain| {
            let aggregated = None;
            let document = Document {
                asked,
                plain,
                aggregated,
            };
            all.insert(path.to_owned(), document);
        };
        let resources = json(&discovery::resources());
        put(
            "/apis/docket.a5c.ai",
            Asked::Discovery,
            json(&discovery::group()),
        );
        put("/apis/docket.a5c.ai/v1", Asked::Discovery, resources);
        put("/apis", Asked::Discovery, json(&discovery::groups()));
        put("/openapi/v2", Asked::OpenApi, json(&openapi::version_2()));
        put("/openapi/v3", Asked::OpenApi, index);
        let path = format!("/openapi/v3/{}", openapi::GROUP_VERSION_PATH);
        put(&path, Asked::OpenApi, third);
        for path in ["/healthz", "/livez", "/readyz"] {
            put(path, Asked::Health, Form::new("ok".into(), TEXT));
        }
        if let Some(apis) = all.get_mut("/apis") {
            apis.aggregated = Some(Form::new(
                discovery::aggregated().to_string().into(),
                HeaderValue::from_static(discovery::AGGREGATED_TYPE),
            ));
        }
        Self(all)
    }

    /// The document of a path, without a slash at its end.
    pub fn get(&self, path: &str) -> Option<&Document> {
        self.0.get(path)
    }
}

impl Form {
    fn new(body: Bytes, kind: HeaderValue) -> Self {
        let hash = data_encoding::HEXUPPER.encode(digest(&SHA256, &body).as_ref());
        let tag = format!("\"{hash}\"");
        Self {
            body,
            kind,
            // Quoted hexadecimal digits are a header value.
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn hash(&self) -> &str {
        self.tag.to_str().unwrap_or_default().trim_matches('"')
    }
}

impl Document {
    /// In the form that the caller accepts, or nothing of it if he has it already.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let accepts: Vec<&str> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let form = match &self.aggregated {
            Some(form) if accepts.iter().any(|one| is_aggregated(one)) => form,
            _ if accepts.is_empty() || accepts.iter().any(|one| is_json(one)) => &self.plain,
            _ if self.asked == Asked::Health => &self.plain,
            _ => return status::not_acceptable(),
        };
        let headers_of = [
            (CONTENT_TYPE, form.kind.clone()),
            (ETAG, form.tag.clone()),
            (VARY, HeaderValue::from_static("Accept")),
        ];
        let known = headers.get(IF_NONE_MATCH).map(HeaderValue::as_bytes);
        let known = known.map(|known| known.strip_prefix(b"W/").unwrap_or(known));
        if known == Some(form.tag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, headers_of).into_response();
        }
        (headers_of, Body::from(form.body.clone())).into_response()
    }
}

/// One range of an `Accept` header: does plain JSON fit it?
fn is_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    // `as=` asks for another object than the plain one.
    matches!(kind.as_str(), "application/json" | "application/*" | "*/*")
        && parts.all(|parameter| !parameter.starts_with("as="))
}

/// Does it ask for aggregated discovery in the form that we write? Parameters that we do
/// not know are about what we do not have.
fn is_aggregated(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let parameters: Vec<&str> = parts.collect();
    let wanted = ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"];
    kind.eq_ignore_ascii_case("application/json")
        && wanted.iter().all(|one| parameters.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, name: http::HeaderName, value: &str) -> Response {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        Documents::new().get(path).unwrap().answer(&headers)
    }

    #[test]
    fn aggregated_discovery_is_given_to_those_who_ask_for_it_in_that_version_only() {
        let of = |accept: &str| {
            let answer = ask("/apis", ACCEPT, accept);
            let kind = answer.headers().get(CONTENT_TYPE).unwrap();
            (answer.status().as_u16(), kind.to_str().unwrap().to_owned())
        };
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert_eq!(of(aggregated).1, aggregated);
        let kube =
            "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,application/json";
        assert_eq!(of(kube).1, aggregated);
        for plain in [
            "application/json",
            "*/*",
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
        ] {
            assert_eq!(of(plain), (200, "application/json".to_owned()), "{plain}");
        }
        let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert_eq!(of(old).0, 406);
        assert_eq!(of("application/vnd.kubernetes.protobuf").0, 406);
    }

    #[test]
    fn who_has_a_document_already_is_not_given_it_again() {
        let first = ask("/openapi/v2", ACCEPT, "application/json");
        let tag = first.headers().get(ETAG).unwrap().to_str().unwrap();
        assert_eq!(ask("/openapi/v2", IF_NONE_MATCH, tag).status(), 304);
        assert_eq!(
            ask("/openapi/v2", IF_NONE_MATCH, &format!("W/{tag}")).status(),
            304
        );
        assert_eq!(ask("/openapi/v2", IF_NONE_MATCH, "\"0\"").status(), 200);
    }

    #[test]
    fn the_index_of_openapi_names_the_document_by_its_hash() {
        let documents = Documents::new();
        let index = &documents.get("/openapi/v3").unwrap().plain.body;
        let index: Value = serde_json::from_slice(index).unwrap();
        let url = index["paths"]["apis/docket.a5c.ai/v1"]["serverRelativeURL"].as_str();
        let (path, hash) = url.unwrap().split_once("?hash=").unwrap();
        assert_eq!(documents.get(path).unwrap().plain.hash(), hash);
        assert_eq!(hash.len(), 64);
    }
}
