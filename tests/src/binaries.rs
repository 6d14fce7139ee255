//! The programs a plane consists of: the control plane from Go, built once and kept under
//! `target/controlplane` by the hash of what they are built from, and Docket's own from
//! Cargo.

use crate::paths;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why there is no control plane on this machine. The plane's commands and `make test`
/// print it and offer what works without Go.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// No `go` on the PATH.
    #[error("Go is not installed: the real control plane needs Go {0} or newer on the PATH")]
    Missing(String),
    /// Too old for the modules.
    #[error("Go {found} is too old: the real control plane needs Go {needed} or newer")]
    TooOld {
        /// What `go version` says.
        found: String,
        /// What the go.mod files say.
        needed: String,
    },
}

/// The built control plane.
#[derive(Clone, Debug)]
pub struct ControlPlaneBinaries {
    /// kube-apiserver with etcd in it; also the controller manager, by name.
    pub apiserver: PathBuf,
    /// Kyverno's admission controller.
    pub kyverno: PathBuf,
    /// Kyverno's reports controller.
    pub reports_controller: PathBuf,
    /// The CRDs of the same Kyverno.
    pub kyverno_crds: PathBuf,
}

struct Module {
    name: &'static str,
    /// (program, package, linker flags beside -s -w)
    programs: &'static [(&'static str, &'static str, &'static str)],
}

const APISERVER: Module = Module {
    name: "apiserver",
    programs: &[(
        "kube-apiserver",
        ".",
        "-X k8s.io/component-base/version.gitVersion=v1.36.3",
    )],
};
/// The lines of Kyverno that a plane can run, each from a module of its own: their k8s.io
/// versions differ. The first is what runs unless `KYVERNO` names another.
const KYVERNO: [(&str, Module); 2] = [
    ("1.19", kyverno_module("kyverno")),
    ("1.18", kyverno_module("kyverno-1.18")),
];

const fn kyverno_module(name: &'static str) -> Module {
    Module {
        name,
        programs: &[
            ("kyverno", "github.com/kyverno/kyverno/cmd/kyverno", ""),
            (
                "reports-controller",
                "github.com/kyverno/kyverno/cmd/reports-controller",
                "",
            ),
        ],
    }
}

/// `KYVERNO` names a line that there is no module for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("KYVERNO={0} is not one of the lines that a plane can run: 1.19 (the default), 1.18")]
pub struct KyvernoError(String);

/// The line of Kyverno that this process runs: what `KYVERNO` in the environment says, or
/// the newest.
pub fn kyverno_line() -> Result<&'static str, KyvernoError> {
    Ok(line(std::env::var("KYVERNO").ok().as_deref())?.0)
}

fn kyverno() -> Result<&'static Module, KyvernoError> {
    Ok(&line(std::env::var("KYVERNO").ok().as_deref())?.1)
}

fn line(wanted: Option<&str>) -> Result<&'static (&'static str, Module), KyvernoError> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(&KYVERNO[0]);
    };
    let mut lines = KYVERNO.iter();
    lines
        .find(|(name, _)| *name == wanted)
        .ok_or_else(|| KyvernoError(wanted.to_owned()))
}

/// Where the CRDs lie in the modules.
const CRDS: [(&str, &[&str]); 2] = [
    (
        "github.com/kyverno/kyverno",
        &[
            "config/crds/kyverno",
            "config/crds/policies.kyverno.io",
            "config/crds/policyreport",
            "config/crds/reports",
        ],
    ),
    ("github.com/openreports/reports-api", &["config/crd"]),
];

impl Module {
    fn dir(&self) -> PathBuf {
        paths::repository()
            .join("tests/controlplane")
            .join(self.name)
    }

    /// Everything that decides what comes out, but for the toolchain.
    fn output(&self) -> Result<PathBuf> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for file in ["go.mod", "go.sum", "main.go"] {
            let path = self.dir().join(file);
            match fs::read(&path) {
                Ok(bytes) => hash.update(&bytes),
                Err(_) if file == "main.go" => {}
                Err(error) => return Err(error).context(format!("read {}", path.display())),
            }
        }
        let hash = data_encoding::HEXLOWER.encode(&hash.finish().as_ref()[..6]);
        Ok(paths::target()
            .join("controlplane")
            .join(format!("{}-{hash}", self.name)))
    }

    fn needs(&self) -> Result<String> {
        let text = fs::read_to_string(self.dir().join("go.mod")).context("read go.mod")?;
        let line = text.lines().find_map(|line| line.strip_prefix("go "));
        Ok(line.context("go.mod has no go line")?.trim().to_owned())
    }
}

/// Checks that Go is there and new enough; `Ok(true)` if nothing needs it any more.
pub fn ready_or_buildable() -> Result<bool> {
    let kyverno = kyverno()?;
    if is_built(&APISERVER)? && is_built(kyverno)? {
        return Ok(true);
    }
    check_go(kyverno)?;
    Ok(false)
}

/// Returns the control plane's programs, building what is missing.
pub fn control_plane(progress: &Progress) -> Result<ControlPlaneBinaries> {
    let module = kyverno()?;
    if !(is_built(&APISERVER)? && is_built(module)?) {
        check_go(module)?;
        let _lock = lock()?;
        build(&APISERVER, progress)?;
        build(module, progress)?;
    }
    let (apiserver, kyverno) = (APISERVER.output()?, module.output()?);
    Ok(ControlPlaneBinaries {
        apiserver: apiserver.join("kube-apiserver"),
        kyverno: kyverno.join("kyverno"),
        reports_controller: kyverno.join("reports-controller"),
        kyverno_crds: kyverno.join("crds"),
    })
}

/// Two test binaries must not build the same thing at once.
fn lock() -> Result<File> {
    let dir = paths::target().join("controlplane");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let file = File::create(dir.join("lock")).context("create the build lock")?;
    file.lock()
        .context("wait for another build of the control plane")?;
    Ok(file)
}

fn is_built(module: &Module) -> Result<bool> {
    // Written last, when every program is in place.
    Ok(module.output()?.join("complete").exists())
}

fn check_go(kyverno: &Module) -> Result<()> {
    let needed = [APISERVER.needs()?, kyverno.needs()?];
    let needed = needed
        .into_iter()
        .max_by_key(|v| version(v))
        .unwrap_or_default();
    let found = Command::new("go")
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output();
    let Ok(found) = found else {
        bail!(GoError::Missing(needed))
    };
    let found = String::from_utf8_lossy(&found.stdout)
        .trim()
        .trim_start_matches("go")
        .to_owned();
    if version(&found) < version(&needed) {
        bail!(GoError::TooOld { found, needed });
    }
    Ok(())
}

fn version(text: &str) -> Vec<u32> {
    let digits = text
        .split(['.', '-', ' ', 'r', 'b'])
        .map(|part| part.parse().unwrap_or(0));
    digits.collect()
}

fn build(module: &Module, progress: &Progress) -> Result<()> {
    let output = module.output()?;
    if is_built(module)? {
        return Ok(());
    }
    fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
    for (program, package, linker) in module.programs {
        go_build(module, &output.join(program), package, linker, progress)?;
    }
    if module.name != APISERVER.name {
        copy_crds(module, &output.join("crds"))?;
    }
    fs::write(output.join("complete"), "").context("mark the build complete")
}

fn go_build(
    module: &Module,
    to: &Path,
    package: &str,
    linker: &str,
    progress: &Progress,
) -> Result<()> {
    let started = Instant::now();
    let program = to
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let what = format!("building {program} from Go modules, once; minutes on a cold cache");
    progress.begin_long(&what);
    let mut go = Command::new("go")
        .current_dir(module.dir())
        .args([
            "build",
            "-v",
            "-trimpath",
            "-ldflags",
            &format!("-s -w {linker}"),
            "-o",
        ])
        .arg(to)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("run go build")?;
    let mut said: Vec<String> = Vec::new();
    let mut modules = 0_usize;
    let mut packages = 0_usize;
    for line in BufReader::new(go.stderr.take().context("go has no output")?).lines() {
        let line = line.context("read go's output")?;
        if line.starts_with("go: downloading") {
            modules += 1;
        } else if !line.contains(' ') && line.contains('/') {
            packages += 1;
        } else {
            said.push(line);
        }
        let counts = format!("building {program}: {modules} modules, {packages} packages");
        progress.still(&counts, started);
    }
    let status = go.wait().context("wait for go build")?;
    if !status.success() {
        let tail = said[said.len().saturating_sub(20)..].join("\n");
        bail!("go build of {program} failed; is the network or GOPROXY at hand?\n{tail}");
    }
    progress.end_long(&format!("built {program}"), started);
    Ok(())
}

fn copy_crds(module: &Module, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for (path, dirs) in CRDS {
        let go = Command::new("go")
            .current_dir(module.dir())
            .args(["list", "-m", "-f", "{{.Dir}}", path])
            .env("GOTOOLCHAIN", "local")
            .output()
            .context("run go list")?;
        let root = PathBuf::from(String::from_utf8_lossy(&go.stdout).trim());
        for dir in dirs {
            let dir = root.join(dir);
            let entries = fs::read_dir(&dir)
                .with_context(|| format!("{path} has no CRDs in {}", dir.display()))?;
            for entry in entries.flatten() {
                let file = entry.path();
                if file.extension() == Some(OsStr::new("yaml")) {
                    let name = file.file_name().unwrap_or_default();
                    fs::copy(&file, to.join(name))
                        .with_context(|| format!("copy {}", file.display()))?;
                }
            }
        }
    }
    Ok(())
}

/// Docket's own programs.
pub const DOCKET: [&str; 3] = ["docket-webhook", "docket-reporter", "docket"];

/// Builds Docket's own programs and links them into `dir`, so that a later build does not
/// change a run. The whole workspace is built, as `make` does: another selection of
/// packages would be another selection of features, and everything would be built twice.
pub fn docket(dir: &Path, progress: &Progress) -> Result<()> {
    let started = Instant::now();
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::repository())
        .args(["build", "--quiet", "--workspace"]);
    // What an outer `cargo run` or `cargo test` tells of itself would make build scripts
    // (ring's) believe that their surroundings changed: half the graph would be rebuilt.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let outer = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY",
        ];
        if text == "CARGO" || text == "LD_LIBRARY_PATH" || outer.iter().any(|o| text.starts_with(o))
        {
            cargo.env_remove(&name);
        }
    }
    let output = cargo
        .output()
        .context("run cargo build; is Cargo on the PATH?")?;
    if !output.status.success() {
        bail!(
            "cargo build failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    for program in DOCKET {
        let built = paths::target().join("debug").join(program);
        let own = dir.join(program);
        let _ = fs::remove_file(&own);
        // Cargo replaces its output by a new file, so a hard link keeps the old one.
        fs::hard_link(&built, &own)
            .or_else(|_| fs::copy(&built, &own).map(|_| ()))
            .with_context(|| format!("take {}", built.display()))?;
    }
    progress.done("docket's programs", started, &DOCKET.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare_by_number() {
        assert!(version("1.26.10") > version("1.26.5"));
        assert!(version("1.27rc1") > version("1.26.6"));
        assert!(version("1.9") < version("1.26.5"));
    }

    #[test]
    fn the_modules_say_which_go_they_need() {
        for (line, module) in &KYVERNO {
            assert!(
                version(&module.needs().unwrap()) >= version("1.26"),
                "{line}"
            );
        }
        assert!(version(&APISERVER.needs().unwrap()) >= version("1.26"));
    }

    #[test]
    fn each_line_of_kyverno_is_built_from_a_module_that_requires_it() {
        for (line, module) in &KYVERNO {
            let text = fs::read_to_string(module.dir().join("go.mod")).unwrap();
            assert!(
                text.contains(&format!("github.com/kyverno/kyverno v{line}.")),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_of_kyverno_that_there_is_not_is_an_error_that_names_those_there_are() {
        assert_eq!(line(None).unwrap().0, "1.19");
        assert_eq!(line(Some("")).unwrap().0, "1.19");
        assert_eq!(line(Some("1.18")).unwrap().0, "1.18");
        let said = line(Some("1.17")).err().unwrap().to_string();
        assert!(
            KYVERNO.iter().all(|(line, _)| said.contains(line)) && said.contains("1.17"),
            "{said}"
        );
    }
}
