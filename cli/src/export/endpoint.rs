//! An HTTPS endpoint that takes lines, a batch in each POST. What it does not acknowledge is
//! sent again, ever more slowly, and with chance in it so that many exporters don't come
//! back at once.

use crate::args::Export;
use crate::client::roots;
use crate::failure::{Failure, chain, could_not};
use crate::screen::note;
use crate::text::plain;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use ring::rand::SecureRandom as _;
use rustls::ClientConfig;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long an endpoint that takes nothing is waited for by an export that ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// The first wait between two tries; each one doubles it.
const FIRST: Duration = Duration::from_millis(500);
/// The longest, also if the endpoint asks for more.
const LONGEST: Duration = Duration::from_secs(300);
/// Waits stop growing here.
const STEADY: Duration = Duration::from_secs(60);
/// Of an answer that is read: enough to say what it was.
const READ: usize = 4096;

/// One endpoint.
pub struct Endpoint {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    headers: Vec<PathBuf>,
    most: usize,
    /// Longest wait for one answer.
    answer: Duration,
    /// How long an endpoint that does not answer is waited for; `None`: for ever.
    patience: Option<Duration>,
}

/// What one try came to.
enum Tried {
    Taken,
    /// It is worth another try, after that long if the endpoint says so.
    Later(String, Option<Duration>),
    /// Fewer at a time may go.
    TooMany,
    Refused(String),
}

impl Endpoint {
    /// Nothing is sent yet, but the header files are read once to see that they can be.
    pub fn new(url: &str, export: &Export) -> Result<Endpoint, Failure> {
        let uri: Uri = url.parse().map_err(could_not("--to is not a URL"))?;
        if uri.scheme_str() != Some("https") || uri.host().is_none() {
            return Err(Failure::CouldNot(format!(
                "--to {url} is neither a file nor an https address; records are never sent without TLS"
            )));
        }
        let (_, roots) = roots(export.to_ca.as_deref())?;
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_all_versions()
            .build();
        let endpoint = Endpoint {
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .build(connector),
            url: uri,
            headers: export.to_header_file.clone(),
            most: usize::from(export.batch).max(1),
            answer: Duration::from_secs(export.to_timeout),
            patience: (!export.follow).then_some(PATIENCE),
        };
        endpoint.read_headers()?;
        Ok(endpoint)
    }

    /// All of it, in order; what was taken is not sent again within this call.
    pub async fn deliver(&mut self, lines: &[String]) -> Result<(), Failure> {
        let mut left = lines;
        while !left.is_empty() {
            let size = left.len().min(self.most);
            match self.insist(&left[..size]).await? {
                true => left = &left[size..],
                // 413: halves, until it is one.
                false => self.most = size.div_ceil(2),
            }
        }
        Ok(())
    }

    /// Until it is taken. False: it is too much at once.
    async fn insist(&self, lines: &[String]) -> Result<bool, Failure> {
        let began = Instant::now();
        let mut wait = FIRST;
        loop {
            let (why, asked) = match self.try_once(lines).await? {
                Tried::Taken => return Ok(true),
                Tried::TooMany if lines.len() > 1 => return Ok(false),
                Tried::TooMany => {
                    return Err(Failure::CouldNot(format!(
                        "{} takes no record of {} bytes (413)",
                        self.place(),
                        lines.iter().map(String::len).sum::<usize>()
                    )));
                }
                Tried::Refused(why) => return Err(Failure::CouldNot(why)),
                Tried::Later(why, asked) => (why, asked),
            };
            if self
                .patience
                .is_some_and(|patience| began.elapsed() >= patience)
            {
                return Err(Failure::CouldNot(why));
            }
            let pause = asked
                .unwrap_or(Duration::ZERO)
                .max(jittered(wait))
                .min(LONGEST);
            note(&format!(
                "docket: {}; again in {:.1} s",
                plain(&why),
                pause.as_secs_f64()
            ));
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(STEADY);
        }
    }

    async fn try_once(&self, lines: &[String]) -> Result<Tried, Failure> {
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(line.as_bytes());
            body.push(b'\n');
        }
        let mut request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header(
                header::USER_AGENT,
                concat!("docket/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(Bytes::from(body)))
            .map_err(could_not("the request can't be written"))?;
        // Read each time: tokens are renewed.
        for (name, value) in self.read_headers()? {
            request.headers_mut().insert(name, value);
        }
        let answer = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            // The answer's words are read as far as they are short; they are not needed.
            let said = Limited::new(body, READ).collect().await;
            let said = said.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
            Ok::<_, String>((head, said))
        };
        let place = self.place();
        let (head, said) = match tokio::time::timeout(self.answer, answer).await {
            Err(_) => {
                let why = format!("{place} did not answer within {:?}", self.answer);
                return Ok(Tried::Later(why, None));
            }
            Ok(Err(why)) if why.contains("invalid peer certificate") => {
                return Ok(Tried::Refused(format!(
                    "the certificate of {place} is not believed; --to-ca names its authority [{why}]"
                )));
            }
            Ok(Err(why)) => {
                let why = format!("{place} can't be reached [{why}]");
                return Ok(Tried::Later(why, None));
            }
            Ok(Ok(answer)) => answer,
        };
        let status = head.status;
        let asked = head
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
        let said = String::from_utf8_lossy(&said);
        let said: String = plain(&said).chars().take(200).collect();
        Ok(match status {
            status if status.is_success() => Tried::Taken,
            StatusCode::PAYLOAD_TOO_LARGE => Tried::TooMany,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Tried::Later(format!("{place} answers {status}"), asked)
            }
            status if status.is_server_error() => {
                Tried::Later(format!("{place} answers {status}"), asked)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Tried::Refused(format!(
                "{place} answers {status}: {said}; is the token of --to-header-file still good?"
            )),
            status => Tried::Refused(format!("{place} does not take it, {status}: {said}")),
        })
    }

    /// Without query and user, which may hold secrets.
    fn place(&self) -> String {
        let authority = self
            .url
            .authority()
            .map_or("", http::uri::Authority::as_str);
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("https://{host}{}", self.url.path())
    }

    fn read_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut headers = Vec::new();
        for file in &self.headers {
            let what = file.display();
            let text =
                fs::read_to_string(file).map_err(could_not(&format!("{what} can't be read")))?;
            let wrong = || Failure::CouldNot(format!("{what} must hold lines `Name: value`"));
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = line.split_once(':').ok_or_else(wrong)?;
                let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
                let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
                value.set_sensitive(true);
                headers.push((name, value));
            }
        }
        Ok(headers)
    }
}

/// Between a half and the whole of it.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0; 2];
    // Without chance it is the whole, which is right too.
    let chance = ring::rand::SystemRandom::new()
        .fill(&mut byte)
        .map_or(1.0, |()| {
            f64::from(u16::from_be_bytes(byte)) / f64::from(u16::MAX)
        });
    wait.mul_f64(0.5 + chance / 2.0)
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let wait = date.timestamp().duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::{jittered, retry_after};
    use std::time::Duration;

    #[test]
    fn an_endpoint_may_ask_for_time_in_both_forms() {
        let now = "2026-10-05T12:00:00Z".parse().unwrap();
        let asked = |text| retry_after(text, now);
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("Mon, 05 Oct 2026 12:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Mon, 05 Oct 2026 11:00:30 GMT"), Some(Duration::ZERO));
        for wrong in ["", "-1", "soon", "1.5"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wait_has_chance_in_it_and_bounds() {
        let waits: Vec<Duration> = (0..50).map(|_| jittered(Duration::from_secs(10))).collect();
        assert!(waits.iter().all(|wait| (5..=10).contains(&wait.as_secs())));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
