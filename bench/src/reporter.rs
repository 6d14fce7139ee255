//! What the audit bench sends to: the real reporter, or a sink that only counts bytes.

use anyhow::Context as _;
use bytes::Bytes;
use docket_ledger::query::{Filter, Reader};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// An authority, a server's and a client's certificate, in a directory.
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes all of them.
    pub fn new(dir: &Path) -> anyhow::Result<Certificates> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(dir.join("ca.crt"), authority.pem())?;
        for name in ["server", "client"] {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            std::fs::write(dir.join(format!("{name}.crt")), certificate.pem())?;
            std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
        }
        Ok(Certificates {
            dir: dir.to_owned(),
        })
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.dir.join("ca.crt"))?)?;
        Ok(roots)
    }

    fn identity(
        &self,
        name: &str,
    ) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let certificate = CertificateDer::from_pem_file(self.dir.join(format!("{name}.crt")))?;
        let key = PrivateKeyDer::from_pem_file(self.dir.join(format!("{name}.key")))?;
        Ok((vec![certificate], key))
    }

    /// A client as kube-apiserver is one: certificate, kept connections.
    pub fn client(&self) -> anyhow::Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> {
        let (chain, key) = self.identity("client")?;
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        Ok(Client::builder(TokioExecutor::new()).build(connector))
    }
}

/// A process that listens; ends with its handle.
pub struct Target {
    child: Child,
    address: SocketAddr,
    store: PathBuf,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Target {
    /// The endpoint that counts.
    pub fn sink(certificates: &Certificates) -> anyhow::Result<Target> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("sink")
            .args(["--listen", &address.to_string()])
            .arg("--certificates")
            .arg(&certificates.dir);
        Target::start(command, address, PathBuf::new())
    }

    /// The reporter. Its cluster does not answer: only `/audit` is measured.
    pub fn reporter(
        program: &Path,
        certificates: &Certificates,
        cluster: &str,
        key: &str,
    ) -> anyhow::Result<Target> {
        let address = free_address()?;
        let file = |name: &str| certificates.dir.join(name);
        std::fs::create_dir_all(file("mac-keys"))?;
        std::fs::write(file("mac-keys").join("k1"), key)?;
        std::fs::write(
            file("kubeconfig"),
            "apiVersion: v1\nkind: Config\n\
             clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n\
             users: [{name: u, user: {token: x}}]\n\
             contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
        )?;
        let mut command = Command::new(program);
        command
            .arg("--store")
            .arg(file("ledger"))
            .arg("--signing-key")
            .arg(file("signing.key"))
            .args(["--cluster", cluster])
            .arg("--mac-keys")
            .arg(file("mac-keys"))
            .arg("--kubeconfig")
            .arg(file("kubeconfig"))
            .args(["--audit-listen", &address.to_string()])
            .arg("--audit-tls-cert")
            .arg(file("server.crt"))
            .arg("--audit-tls-key")
            .arg(file("server.key"))
            .arg("--audit-client-ca")
            .arg(file("ca.crt"))
            .env("DOCKET_LOG", "error,kube_client=off");
        Target::start(command, address, file("ledger"))
    }

    fn start(mut command: Command, address: SocketAddr, store: PathBuf) -> anyhow::Result<Target> {
        let child = command
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let mut target = Target {
            child,
            address,
            store,
        };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            anyhow::ensure!(target.child.try_wait()?.is_none(), "it ended at once");
            anyhow::ensure!(Instant::now() < until, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(target)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many denials its ledger holds.
    pub fn denials(&self) -> anyhow::Result<u64> {
        Ok(Reader::open(&self.store)?.count(&Filter::default())?)
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Where the sink listens, and as whom.
#[derive(clap::Args)]
pub struct SinkArgs {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    certificates: PathBuf,
}

/// Reads bodies, counts bytes, answers 200, until it is killed.
pub fn sink(args: SinkArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let certificates = Certificates {
                dir: args.certificates,
            };
            let (chain, key) = certificates.identity("server")?;
            let verifier =
                WebPkiClientVerifier::builder(Arc::new(certificates.roots()?)).build()?;
            let config = ServerConfig::builder()
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain, key)?;
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = tokio::net::TcpListener::bind(args.listen).await?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(count))
                        .await;
                });
            }
        })
}

async fn count(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let mut body = request.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(http::Response::new(Full::new(Bytes::from(
        length.to_string(),
    ))))
}
