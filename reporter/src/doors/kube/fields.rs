//! Field selectors: the filters of the REST door under their names there, and the two
//! fields that every object has.

use super::status::Failure;
use crate::doors::params::shown;

/// Pairs of name and value, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// metadata.name.
    pub(super) name: Option<String>,
    /// metadata.namespace.
    pub(super) namespace: Option<String>,
    /// Filters.
    pub(super) filters: Vec<(String, String)>,
}

impl Fields {
    /// An empty text selects everything. Whether the filters are known ones is not looked at.
    pub(super) fn parse(text: &str) -> Result<Fields, Failure> {
        let mut fields = Fields::default();
        for part in split(text)? {
            let (name, value) = part;
            let place = match name.as_str() {
                "metadata.name" => &mut fields.name,
                "metadata.namespace" => &mut fields.namespace,
                _ => {
                    fields.filters.push((name, value));
                    continue;
                }
            };
            if place.replace(value).is_some() {
                let message = format!("fieldSelector: {name}: must be given once");
                return Err(Failure::bad_request(message));
            }
        }
        Ok(fields)
    }

    /// True if everything is taken.
    pub(super) fn is_empty(&self) -> bool {
        *self == Fields::default()
    }
}

/// At commas and equal signs; `\` before a comma, an equal sign or itself makes it part of
/// the value.
fn split(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    let (mut name, mut value) = (String::new(), None::<String>);
    let mut letters = text.chars().peekable();
    loop {
        let next = letters.next();
        match (next, &mut value) {
            (None | Some(','), _) => {
                match (name.trim(), value.take()) {
                    ("", None) => {}
                    ("", Some(_)) | (_, None) => return Err(wrong(&name)),
                    (name, Some(value)) => pairs.push((name.to_owned(), value)),
                }
                name.clear();
                if next.is_none() {
                    return Ok(pairs);
                }
            }
            (Some('!'), None) if letters.peek() == Some(&'=') => {
                return Err(Failure::bad_request(format!(
                    "fieldSelector: {}: must be compared with =; != is not answered",
                    shown(&name)
                )));
            }
            (Some('='), None) => {
                letters.next_if_eq(&'=');
                value = Some(String::new());
            }
            (Some('\\'), Some(value)) => match letters.next() {
                Some(c @ ('\\' | ',' | '=')) => value.push(c),
                _ => return Err(wrong(&name)),
            },
            (Some('='), Some(_)) => return Err(wrong(&name)),
            (Some(c), Some(value)) => value.push(c),
            (Some(c), None) => name.push(c),
        }
    }
}

fn wrong(name: &str) -> Failure {
    Failure::bad_request(format!(
        "fieldSelector: {}: must be NAME=VALUE pairs joined by commas, with \\ before a comma, \
         an equal sign or a \\ in a value",
        shown(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_with_their_escapes() {
        let fields = Fields::parse(
            "metadata.name=abc,metadata.namespace==acme,policy=a,actor=x\\,y\\=z\\\\",
        );
        let expected = Fields {
            name: Some("abc".into()),
            namespace: Some("acme".into()),
            filters: vec![
                ("policy".into(), "a".into()),
                ("actor".into(), "x,y=z\\".into()),
            ],
        };
        assert_eq!(fields.unwrap(), expected);
        assert!(Fields::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_pair_or_asks_for_what_is_not_equal_is_refused() {
        for wrong in [
            "policy",
            "=a",
            "policy!=a",
            "policy=a\\",
            "policy=a\\b",
            "policy=a=b",
            "metadata.name=a,metadata.name=b",
        ] {
            let failure = Fields::parse(wrong).unwrap_err().status();
            assert_eq!(failure["code"], 400, "{wrong}");
        }
    }
}
