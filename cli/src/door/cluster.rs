//! A cluster's API server, with the kubeconfig's context and credentials: what `kubectl get
//! denials` would ask for.

use super::changes::{Connection, Form, Refused};
use super::{Ask, Page, Paged, Place, left, summary};
use crate::args::Server;
use crate::args::select::Pair;
use crate::client::{LARGEST, PATIENCE, encode, query};
use crate::failure::{Failure, chain, could_not};
use docket_record::api::{PREFIX, label};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;

/// Records looked through for one whose namespace is not known.
const LOOKED_THROUGH: u64 = 2000;

/// One cluster, as one of its users.
pub struct Cluster {
    client: kube::Client,
    namespace: String,
    /// For messages.
    name: String,
}

impl Cluster {
    /// Reads the kubeconfig. Credentials that a plugin has to fetch are fetched now. `None`:
    /// there is no kubeconfig, and none was named.
    pub async fn connect(server: &Server) -> Result<Option<Cluster>, Failure> {
        match config(server).await? {
            Some(config) => Cluster::of(config).map(Some),
            None => Ok(None),
        }
    }

    /// The kubeconfig's API server, asked as whom the token is of, with none of the
    /// kubeconfig's own credentials. Only of a kubeconfig that was named (`--kubeconfig`,
    /// `--context`, `KUBECONFIG`): a token goes nowhere that its owner did not name.
    pub async fn as_whom(server: &Server, token: &str) -> Result<Option<Cluster>, Failure> {
        let set = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
        if server.kubeconfig.is_none() && server.context.is_none() && !set {
            return Ok(None);
        }
        let Some(mut config) = config(server).await? else {
            return Ok(None);
        };
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.to_owned().into()),
            ..kube::config::AuthInfo::default()
        };
        Cluster::of(config).map(Some)
    }

    fn of(config: kube::Config) -> Result<Cluster, Failure> {
        let name = config.cluster_url.authority().map_or_else(
            || config.cluster_url.to_string(),
            |authority| authority.to_string(),
        );
        let namespace = config.default_namespace.clone();
        let plugin = config.auth_info.exec.as_ref();
        let plugin = plugin.and_then(|exec| exec.command.clone());
        let from = plugin.map_or_else(String::new, |plugin| format!(" (from {plugin})"));
        let client = kube::Client::try_from(config).map_err(could_not(&format!(
            "the kubeconfig's credentials{from} can't be used"
        )))?;
        Ok(Cluster {
            client,
            namespace,
            name,
        })
    }

    /// The context's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) async fn page(
        &self,
        ask: &Ask,
        size: u64,
        cursor: Option<&str>,
    ) -> Result<Page, Failure> {
        let (path, mut pairs) = self.denials(ask);
        pairs.push(("limit", size.to_string()));
        pairs.extend(cursor.map(|cursor| ("continue", cursor.to_owned())));
        let list = self.get(&format!("{path}{}", query(&pairs))).await?;
        Ok(page_of(list, item))
    }

    /// Where nothing is said it is looked for in the context's namespace, among the own ones,
    /// and then everywhere.
    pub(super) async fn one(&self, place: &Place, id: &str) -> Result<Value, Failure> {
        let places = match place {
            Place::Here => &[
                Place::Here,
                Place::Mine,
                Place::NoNamespace,
                Place::Everywhere,
            ][..],
            place => std::slice::from_ref(place),
        };
        let mut first = None;
        for place in places {
            let ask = Ask {
                place: place.clone(),
                filters: Vec::new(),
            };
            let found = match place {
                Place::Everywhere => self.look_for(&ask, id).await,
                _ => {
                    self.get(&format!("{}/{}", self.denials(&ask).0, encode(id)))
                        .await
                }
            };
            match found {
                Ok(found) => return Ok(item(found)),
                Err(failure) => first.get_or_insert(failure),
            };
        }
        Err(first.unwrap_or_else(|| Failure::Wrong("no such denial".to_owned())))
    }

    /// There is no path to one of all namespaces: its namespace is found first.
    async fn look_for(&self, ask: &Ask, id: &str) -> Result<Value, Failure> {
        let mut found: Option<Value> = None;
        let mut looked_at = 0;
        let mut cursor = None;
        loop {
            let page = self.page(ask, super::PAGE, cursor.as_deref()).await?;
            looked_at += page.items.len() as u64;
            for item in page.items {
                let begins = item["id"]
                    .as_str()
                    .is_some_and(|other| other.starts_with(id));
                if begins && found.is_some() {
                    return Err(Failure::CouldNot(format!(
                        "several denials begin with {id}; give more of it"
                    )));
                }
                found = found.or(begins.then_some(item));
            }
            cursor = page.cursor;
            if cursor.is_none() || looked_at >= LOOKED_THROUGH {
                break;
            }
        }
        let found = found.ok_or_else(|| {
            Failure::Wrong(format!(
                "none of the newest {looked_at} denials begins with {id}; name its namespace (-n)"
            ))
        })?;
        self.get(&self.path_of(&found)).await
    }

    pub(super) async fn laws_of(&self, item: &Value) -> Result<Vec<Value>, Failure> {
        if item["namespace"].is_null() {
            return Ok(Vec::new());
        }
        let path = format!("{}/law", self.path_of(item));
        let laws = self.get_if_any(&path).await?;
        Ok(laws
            .map(|laws| page_of(laws, self::item).items)
            .unwrap_or_default())
    }

    pub(super) async fn exhibit_if_any(&self, item: &Value) -> Result<Option<Value>, Failure> {
        if item["namespace"].is_null() {
            return Ok(None);
        }
        let path = format!("{}/evidence", self.path_of(item));
        let evidence = self.get_if_any(&path).await?;
        Ok(
            evidence.and_then(|mut evidence| match evidence["exhibit"].take() {
                Value::Null => None,
                exhibit => Some(exhibit),
            }),
        )
    }

    pub(super) async fn exhibit(&self, item: &Value) -> Result<Value, Failure> {
        let path = format!("{}/evidence", self.path_of(item));
        match self.get(&path).await?["exhibit"].take() {
            Value::Null => Err(Failure::Wrong(
                "no exhibit was kept of this denial".to_owned(),
            )),
            exhibit => Ok(exhibit),
        }
    }

    pub(super) async fn summary(&self, ask: &Ask) -> Result<Value, Failure> {
        let path = match &ask.place {
            Place::Here => format!("{PREFIX}/namespaces/{}/summaries", encode(&self.namespace)),
            Place::Namespace(namespace) => {
                format!("{PREFIX}/namespaces/{}/summaries", encode(namespace))
            }
            Place::Everywhere => format!("{PREFIX}/summaries"),
            _ => {
                return Err(Failure::CouldNot(
                    "a cluster counts by namespace: give -n or -A, or ask the reporter itself \
                     (--url)"
                        .to_owned(),
                ));
            }
        };
        let pairs = selectors(&ask.filters);
        let list = self.get(&format!("{path}{}", query(&pairs))).await?;
        Ok(summary::of(&page_of(list, with_place).items))
    }

    pub(super) async fn laws(&self, filters: &[Pair], limit: u64) -> Result<Paged, Failure> {
        let mut paged = Paged::default();
        let mut cursor: Option<String> = None;
        loop {
            let size = left(limit, paged.items.len());
            if size == 0 {
                return Ok(paged);
            }
            let mut pairs = selectors(filters);
            pairs.push(("limit", size.to_string()));
            pairs.extend(cursor.clone().map(|cursor| ("continue", cursor)));
            let list = self.get(&format!("{PREFIX}/laws{}", query(&pairs))).await?;
            if !paged.add(page_of(list, item), &mut cursor) {
                return Ok(paged);
            }
        }
    }

    pub(super) async fn law(&self, id: &str) -> Result<Value, Failure> {
        let law = self.get(&format!("{PREFIX}/laws/{}", encode(id))).await?;
        Ok(item(law))
    }

    /// May the caller do this? A subresource stands behind its resource and a slash; no
    /// namespace is the cluster. `None`: the API server does not say.
    pub async fn may(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: &str,
    ) -> Option<bool> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource,
                "subresource": subresource, "namespace": namespace}},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(serde_json::to_vec(&review).ok()?))
            .ok()?;
        let (status, body) = self.call(request).await.ok()?;
        let answer: Value = serde_json::from_slice(&body).ok()?;
        status
            .is_success()
            .then(|| answer["status"]["allowed"] == true)
    }

    /// The path of a list of denials, and its selectors.
    pub(super) fn denials(&self, ask: &Ask) -> (String, Vec<Pair>) {
        let mut pairs = selectors(&ask.filters);
        let in_namespace =
            |namespace: &str| format!("{PREFIX}/namespaces/{}/denials", encode(namespace));
        let path = match &ask.place {
            Place::Here => in_namespace(&self.namespace),
            Place::Namespace(namespace) => in_namespace(namespace),
            Place::Repository { namespace, name } => {
                let filters = ask.filters.iter();
                let others = filters.filter(|(filter, _)| *filter != "repository");
                pairs = selectors(&others.cloned().collect::<Vec<_>>());
                let (namespace, name) = (encode(namespace), encode(name));
                format!("{PREFIX}/namespaces/{namespace}/repositories/{name}/denials")
            }
            Place::Everywhere => format!("{PREFIX}/denials"),
            Place::Org(org) => {
                pairs.push(("labelSelector", format!("{}={org}", label::ORG)));
                format!("{PREFIX}/denials")
            }
            Place::Mine => format!("{PREFIX}/mydenials"),
            Place::NoNamespace => format!("{PREFIX}/clusterdenials"),
        };
        (path, pairs)
    }

    /// Where a denial that was found stands.
    fn path_of(&self, item: &Value) -> String {
        let id = encode(item["id"].as_str().unwrap_or_default());
        match item["namespace"].as_str() {
            Some(namespace) => format!("{PREFIX}/namespaces/{}/denials/{id}", encode(namespace)),
            None => format!("{PREFIX}/clusterdenials/{id}"),
        }
    }

    /// The version of a list that was just read.
    pub(super) async fn newest(&self, ask: &Ask) -> Result<String, Failure> {
        let (path, mut pairs) = self.denials(ask);
        pairs.push(("limit", "1".to_owned()));
        let list = self.get(&format!("{path}{}", query(&pairs))).await?;
        let version = list["metadata"]["resourceVersion"].as_str();
        version.map(str::to_owned).ok_or_else(|| {
            Failure::CouldNot("the server does not say of when its list is".to_owned())
        })
    }

    /// A watch, after a version.
    pub(super) async fn follow(
        &self,
        ask: &Ask,
        version: Option<&str>,
    ) -> Result<Connection, Refused> {
        let version = match version {
            Some(version) => version.to_owned(),
            // Without a version a watch begins with all that is there.
            None => self.newest(ask).await.map_err(Refused::Failed)?,
        };
        let (path, mut pairs) = self.denials(ask);
        pairs.push(("watch", "true".to_owned()));
        pairs.push(("allowWatchBookmarks", "true".to_owned()));
        pairs.push(("resourceVersion", version));
        let request = Request::get(format!("{path}{}", query(&pairs)))
            .body(Body::empty())
            .map_err(could_not("the request can't be written"))
            .map_err(Refused::Failed)?;
        let sent = tokio::time::timeout(PATIENCE, self.client.send(request)).await;
        let response = match sent {
            Err(_) => return Err(Refused::Later(format!("{} does not answer", self.name))),
            Ok(Err(error)) => return Err(Refused::Later(self.unreachable(&error).said())),
            Ok(Ok(response)) => response,
        };
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(Connection::new(
                body.map_err(Into::into).boxed_unsync(),
                Form::Watch,
            ));
        }
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
        let refused = self.refused(head.status, &body);
        Err(Refused::of(head.status, refused))
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = self.ask(path).await?;
        if status == StatusCode::OK {
            read(&body)
        } else {
            Err(self.refused(status, &body))
        }
    }

    async fn get_if_any(&self, path: &str) -> Result<Option<Value>, Failure> {
        let (status, body) = self.ask(path).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            StatusCode::OK => read(&body).map(Some),
            status => Err(self.refused(status, &body)),
        }
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        let request = Request::get(path)
            .body(Body::empty())
            .map_err(could_not("the request can't be written"))?;
        self.call(request).await
    }

    async fn call(&self, request: Request<Body>) -> Result<(StatusCode, Bytes), Failure> {
        let answer = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            let body = body.map_err(|error| {
                Failure::CouldNot(format!(
                    "the answer of {} broke off: {}",
                    self.name,
                    chain(error.as_ref())
                ))
            })?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| {
            Failure::CouldNot(format!(
                "{} did not answer within {PATIENCE:?}; try again, or ask for less",
                self.name
            ))
        })?
    }

    fn unreachable(&self, error: &kube::Error) -> Failure {
        Failure::CouldNot(format!(
            "the API server {} can't be reached with this kubeconfig; does `kubectl get --raw \
             /readyz` work? [{}]",
            self.name,
            chain(error)
        ))
    }

    /// What the API server said, and what to do.
    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = said["message"].as_str();
        let words = message.unwrap_or("it does not say why");
        match (status, message) {
            (StatusCode::NOT_FOUND, Some(words)) if said["reason"] == "NotFound" => {
                if words.contains("requested resource") {
                    self.no_api()
                } else {
                    Failure::Wrong(words.to_owned())
                }
            }
            (StatusCode::NOT_FOUND, _) => self.no_api(),
            (StatusCode::UNAUTHORIZED, _) => Failure::CouldNot(format!(
                "{} does not accept the kubeconfig's credentials: {words}",
                self.name
            )),
            (StatusCode::FORBIDDEN, _) if words.starts_with("laws.") => Failure::CouldNot(format!(
                "{words}; the role docket-laws-reader allows it, and the reporter itself \
                     (--url) shows laws to who reads denials"
            )),
            (StatusCode::FORBIDDEN, _) => Failure::CouldNot(format!(
                "{words}; name a namespace that you may read (-n), or ask for your own (--mine)"
            )),
            (StatusCode::BAD_REQUEST, _) => Failure::CouldNot(words.to_owned()),
            (status, _) => Failure::CouldNot(format!("{} answers {status}: {words}", self.name)),
        }
    }

    fn no_api(&self) -> Failure {
        Failure::CouldNot(format!(
            "{} has no API docket.a5c.ai/v1 (`kubectl get apiservice v1.docket.a5c.ai`); ask the \
             reporter itself with --url or DOCKET_URL",
            self.name
        ))
    }
}

/// The kubeconfig, as its context says. `None`: there is none, and none was named.
async fn config(server: &Server) -> Result<Option<kube::Config>, Failure> {
    let (file, from) = match &server.kubeconfig {
        Some(path) => (Kubeconfig::read_from(path), path.display().to_string()),
        None => (
            Kubeconfig::read(),
            "the kubeconfig (KUBECONFIG, else ~/.kube/config)".to_owned(),
        ),
    };
    let file = match file {
        Err(KubeconfigError::ReadConfig(error, _))
            if error.kind() == std::io::ErrorKind::NotFound && server.kubeconfig.is_none() =>
        {
            return Ok(None);
        }
        Err(KubeconfigError::FindPath) => return Ok(None),
        file => file.map_err(could_not(&format!("{from} can't be read")))?,
    };
    let options = KubeConfigOptions {
        context: server.context.clone(),
        ..KubeConfigOptions::default()
    };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(could_not(&format!("{from} can't be used")))?;
    // A reporter that is down is told of at once; who wants to wait can.
    config.default_retry = false;
    config.connect_timeout = Some(PATIENCE);
    Ok(Some(config))
}

/// Filters as field selectors.
fn selectors(filters: &[Pair]) -> Vec<Pair> {
    let fields: Vec<String> = filters
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    if fields.is_empty() {
        Vec::new()
    } else {
        vec![("fieldSelector", fields.join(","))]
    }
}

/// A value of a field selector: what would end it stands behind a backslash.
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn read(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(could_not("the server's answer is not JSON"))
}

/// An object as the REST API would give it: its fields stand flat beside metadata, and a
/// law's own names of kind and version, which Kubernetes needs for itself, below `of`.
pub(super) fn item(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        fields.remove("metadata");
        if let Some(Value::Object(of)) = fields.remove("of") {
            fields.extend(of);
        }
    }
    object
}

/// The same of what knows its namespace by its metadata only.
fn with_place(mut object: Value) -> Value {
    let namespace = object["metadata"]["namespace"].take();
    let mut item = item(object);
    item["namespace"] = namespace;
    item
}

fn page_of(mut list: Value, item: fn(Value) -> Value) -> Page {
    let metadata = list["metadata"].take();
    let items = match list["items"].take() {
        Value::Array(items) => items.into_iter().map(item).collect(),
        _ => Vec::new(),
    };
    let cursor = metadata["continue"]
        .as_str()
        .filter(|text| !text.is_empty());
    Page {
        remaining: Some(metadata["remainingItemCount"].as_u64().unwrap_or(0)),
        cursor: cursor.map(str::to_owned),
        items,
        ..Page::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, selectors};

    #[test]
    fn what_a_user_types_never_becomes_a_second_selector() {
        let filters = [("actor", r"a,b=c\".to_owned()), ("policy", "p".to_owned())];
        assert_eq!(
            selectors(&filters),
            [("fieldSelector", r"actor=a\,b\=c\\,policy=p".to_owned())]
        );
        assert_eq!(selectors(&[]), []);
        assert_eq!(escaped("2026-01-31T08:00:00Z"), "2026-01-31T08:00:00Z");
    }
}
