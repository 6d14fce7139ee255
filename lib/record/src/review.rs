//! One AdmissionReview, read without copying it, and the only answer Docket gives.

use crate::config::Config;
use crate::denial::Context;
use crate::krate::{Said, Speaker};
use crate::scan::{Broken, Cursor, Token};
use crate::testimony::{Bound, COLLECTION};
use std::borrow::Cow;

/// Where the uid of an unreadable body is looked for.
const UID_WINDOW: usize = 64 * 1024;

/// A review as kube-apiserver sends it (`admission.k8s.io`, v1 or v1beta1).
#[derive(Clone, Debug, Default)]
pub struct Review<'a> {
    /// `admission.k8s.io/v1`, or `…/v1beta1`: the answer echoes it.
    pub api_version: Cow<'a, str>,
    /// Fresh for each call.
    pub uid: Cow<'a, str>,
    /// CREATE, UPDATE, DELETE, CONNECT.
    pub operation: Cow<'a, str>,
    /// Kind of the object.
    pub kind: Cow<'a, str>,
    /// API group of the resource.
    pub group: Cow<'a, str>,
    /// API version of the resource.
    pub version: Cow<'a, str>,
    /// Plural.
    pub resource: Cow<'a, str>,
    /// Empty for the main resource.
    pub subresource: Cow<'a, str>,
    /// Empty where the API server does not know it (yet).
    pub name: Cow<'a, str>,
    /// Empty for cluster-scoped objects.
    pub namespace: Cow<'a, str>,
    /// The effective user (the impersonated one, if any).
    pub username: Cow<'a, str>,
    /// Always sent.
    pub dry_run: bool,
    /// The object as it would be, as carried; absent on delete.
    pub object: Option<&'a [u8]>,
    /// The object as it is stored, as carried; absent on create.
    pub old_object: Option<&'a [u8]>,
    /// What `object` says of itself.
    pub new: Said<'a>,
    /// What `oldObject` says of itself.
    pub old: Said<'a>,
}

/// Why a body is no review. The answer is still `allowed: true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Torn, or no JSON object.
    #[error("the body is not a JSON object, or it ends early")]
    Json,
    /// Another kind or version than AdmissionReview v1 or v1beta1.
    #[error("the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1")]
    Kind,
    /// No `request`, or one without a uid.
    #[error("the AdmissionReview has no request with a uid")]
    Request,
}

impl From<Broken> for ReviewError {
    fn from(_: Broken) -> Self {
        ReviewError::Json
    }
}

impl<'a> Review<'a> {
    /// Reads a body in one pass, without recursion, whatever is nested in it. Where a
    /// key comes twice the last one counts, as for the API server.
    ///
    /// # Errors
    /// [`ReviewError`]: the cause to count; answer with [`find_uid`] then.
    pub fn parse(body: &'a [u8]) -> Result<Review<'a>, ReviewError> {
        let mut review = Review::default();
        let mut kind = Cow::default();
        let mut cursor = Cursor::new(body);
        if !cursor.enter_object() {
            return Err(ReviewError::Json);
        }
        while let Some(key) = cursor.key()? {
            match key {
                b"request" if cursor.enter_object() => review.request(&mut cursor)?,
                b"kind" => kind = text(&mut cursor)?,
                b"apiVersion" => review.api_version = text(&mut cursor)?,
                _ => drop(cursor.value()?),
            }
        }
        let known = matches!(
            &*review.api_version,
            "admission.k8s.io/v1" | "admission.k8s.io/v1beta1"
        );
        if kind != "AdmissionReview" || !known {
            return Err(ReviewError::Kind);
        }
        if review.uid.is_empty() {
            return Err(ReviewError::Request);
        }
        Ok(review)
    }

    fn request(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Broken> {
        while let Some(key) = cursor.key()? {
            match key {
                b"uid" => self.uid = text(cursor)?,
                b"operation" => self.operation = text(cursor)?,
                b"name" => self.name = text(cursor)?,
                b"namespace" => self.namespace = text(cursor)?,
                b"subResource" => self.subresource = text(cursor)?,
                b"dryRun" => self.dry_run = cursor.value()?.is_true(),
                b"kind" => self.kind = member(cursor, b"kind")?,
                b"userInfo" => self.username = member(cursor, b"username")?,
                b"resource" => self.resource(cursor)?,
                b"object" => (self.object, self.new) = object(cursor)?,
                b"oldObject" => (self.old_object, self.old) = object(cursor)?,
                _ => drop(cursor.value()?),
            }
        }
        Ok(())
    }

    fn resource(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Broken> {
        if !cursor.enter_object() {
            return cursor.value().map(drop);
        }
        while let Some(key) = cursor.key()? {
            let value = text(cursor)?;
            match key {
                b"group" => self.group = value,
                b"version" => self.version = value,
                b"resource" => self.resource = value,
                _ => {}
            }
        }
        Ok(())
    }

    /// True for one object of a deletecollection (or of a DELETE without a name): its
    /// testimony goes under [`COLLECTION`] and has no number.
    pub fn is_collection(&self) -> bool {
        self.operation == "DELETE" && self.name.is_empty()
    }

    /// Name part of the annotation's key.
    pub fn annotation_key(&self) -> &str {
        if self.is_collection() {
            COLLECTION
        } else {
            &self.uid
        }
    }

    /// Krate's terms for the object.
    pub fn context(&self, config: &Config) -> Context {
        let name = if self.name.is_empty() {
            &self.old.name
        } else {
            &self.name
        };
        let speaker = Speaker {
            new: self.object.map(|_| &self.new),
            old: self.old_object.map(|_| &self.old),
        };
        speaker.context(config, &self.group, &self.resource, &self.namespace, name)
    }

    /// The name the API server made from generateName; empty if it made none, or not
    /// yet (in the mutating phase).
    pub fn generated_name(&self) -> &str {
        // The API server cuts the base so that base and suffix fit into 63 bytes.
        let base = crate::text::prefix(&self.new.generate_name, 58);
        let name = &*self.new.name;
        let made = self.operation == "CREATE"
            && !base.is_empty()
            && name.len() > base.len()
            && name.starts_with(base);
        if made { name } else { "" }
    }

    /// What the MAC of this review's testimony binds.
    pub fn bound<'b>(&'b self, cluster: &'b str, hook: &'b str) -> Bound<'b> {
        Bound {
            cluster,
            hook,
            uid: self.annotation_key(),
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name_sha256: crate::text::sha256(self.name.as_bytes()),
            user_sha256: crate::text::sha256(self.username.as_bytes()),
        }
    }
}

fn text<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, Broken> {
    Ok(cursor.value()?.text().unwrap_or_default())
}

fn member<'a>(cursor: &mut Cursor<'a>, wanted: &[u8]) -> Result<Cow<'a, str>, Broken> {
    let mut found = Cow::default();
    if !cursor.enter_object() {
        cursor.value()?;
        return Ok(found);
    }
    while let Some(key) = cursor.key()? {
        let token = cursor.value()?;
        if key == wanted {
            found = token.text().unwrap_or_default();
        }
    }
    Ok(found)
}

fn object<'a>(cursor: &mut Cursor<'a>) -> Result<(Option<&'a [u8]>, Said<'a>), Broken> {
    cursor.peek();
    let start = cursor.offset();
    let said = Said::read(cursor)?;
    let bytes = cursor.since(start);
    Ok((Some(bytes).filter(|bytes| !Token(bytes).is_null()), said))
}

/// Looks for `request.uid` in the first 64 KiB of a body that is no review, so that the
/// answer can echo it. Empty if it is not found.
pub fn find_uid(body: &[u8]) -> Cow<'_, str> {
    let head = &body[..body.len().min(UID_WINDOW)];
    let mut cursor = Cursor::new(head);
    if cursor.enter_object() {
        while let Ok(Some(key)) = cursor.key() {
            if key == b"request" && cursor.enter_object() {
                while let Ok(Some(key)) = cursor.key() {
                    let Ok(token) = cursor.value() else {
                        return Cow::default();
                    };
                    if key == b"uid" {
                        return token
                            .text()
                            .filter(|uid| uid.len() <= 128)
                            .unwrap_or_default();
                    }
                }
                return Cow::default();
            }
            if cursor.value().is_err() {
                break;
            }
        }
    }
    Cow::default()
}

/// The answer to a review: allowed, always; with an audit annotation if there is a
/// testimony. An unknown `api_version` is answered as v1.
pub fn answer(uid: &str, api_version: &str, annotation: Option<(&str, &str)>) -> Vec<u8> {
    let version = match api_version {
        "admission.k8s.io/v1beta1" => "v1beta1",
        _ => "v1",
    };
    let mut out = Vec::with_capacity(256 + annotation.map_or(0, |(_, value)| 2 * value.len()));
    out.extend_from_slice(br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/"#);
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(br#"","response":{"uid":"#);
    quote(&mut out, uid);
    out.extend_from_slice(br#","allowed":true"#);
    if let Some((key, value)) = annotation {
        out.extend_from_slice(br#","auditAnnotations":{"#);
        quote(&mut out, key);
        out.push(b':');
        quote(&mut out, value);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    out
}

fn quote(out: &mut Vec<u8>, text: &str) {
    // Writing a string into memory has no way to fail; an empty one keeps the JSON whole.
    let start = out.len();
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests;
