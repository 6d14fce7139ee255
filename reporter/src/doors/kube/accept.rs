//! In which form a client wants the answer (its Accept header).

use super::status::Failure;
use http::{HeaderMap, header};

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole objects.
    Object,
    /// Rows of cells, for people; the version of `meta.k8s.io`.
    Table(&'static str),
    /// Metadata and nothing else.
    Metadata(&'static str),
}

/// Ranges looked at; kubectl sends three.
const RANGES: usize = 32;

/// The first form that can be given; without a header, objects.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Failure> {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return Ok(Form::Object);
    }
    let values: Vec<&str> = given.filter_map(|value| value.to_str().ok()).collect();
    let ranges = values.iter().flat_map(|value| value.split(','));
    let mut best: Option<(f32, Form)> = None;
    for range in ranges.take(RANGES) {
        let Some((weight, form)) = read(range) else {
            continue;
        };
        // Of equal weight the first counts.
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, form));
        }
    }
    best.map(|(_, form)| form)
        .ok_or_else(Failure::not_acceptable)
}

/// Weight and form of one media range; `None` for what is not spoken here.
fn read(range: &str) -> Option<(f32, Form)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let json = match media.as_str() {
        "application/json" => true,
        "application/*" | "*/*" => false,
        _ => return None,
    };
    let (mut weight, mut as_kind, mut group, mut version) = (1.0, None, None, None);
    for part in parts {
        match part.split_once('=') {
            Some(("q", value)) => weight = value.parse().ok()?,
            Some(("as", value)) => as_kind = Some(value),
            Some(("g", value)) => group = Some(value),
            Some(("v", value)) => version = Some(value),
            _ => {}
        }
    }
    let Some(as_kind) = as_kind.filter(|_| json) else {
        return Some((weight, Form::Object));
    };
    let version = match (group, version) {
        (Some("meta.k8s.io"), Some("v1")) => "meta.k8s.io/v1",
        (Some("meta.k8s.io"), Some("v1beta1")) => "meta.k8s.io/v1beta1",
        _ => return None,
    };
    match as_kind {
        "Table" => Some((weight, Form::Table(version))),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => {
            Some((weight, Form::Metadata(version)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        form(&headers).ok()
    }

    #[test]
    fn the_first_form_that_can_be_given_is() {
        const V1: &str = "meta.k8s.io/v1";
        assert_eq!(form(&HeaderMap::new()).unwrap(), Form::Object);
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                       application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;\
                        g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;\
                        g=meta.k8s.io;v=v1,application/json";
        for (accept, expected) in [
            (kubectl, Some(Form::Table(V1))),
            (metadata, Some(Form::Metadata(V1))),
            ("application/json", Some(Form::Object)),
            ("*/*", Some(Form::Object)),
            ("application/yaml, application/*;q=0.1", Some(Form::Object)),
            (
                "application/json;as=Table;v=v2;g=meta.k8s.io,application/json",
                Some(Form::Object),
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5, application/json",
                Some(Form::Object),
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
                Some(Form::Table("meta.k8s.io/v1beta1")),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/json;as=Table;g=example.com;v=v1", None),
            ("application/json;q=0", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(asked(accept), expected, "{accept}");
        }
    }
}
