//! The programs a plane consists of: the control plane from Go, built once and kept under
//! `target/controlplane` by the hash of what they are built from, and Docket's own from
//! Cargo.

mod go;

pub use go::GoError;

use crate::paths;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use go::Go;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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
        Ok(paths::control_planes().join(format!("{}-{hash}", self.name)))
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
    let needed = [APISERVER.needs()?, kyverno.needs()?];
    let newest = needed.into_iter().max_by_key(|needed| go::version(needed));
    go::check(newest.unwrap_or_default())?;
    Ok(false)
}

/// Returns the control plane's programs, building what is missing. Dropped before it is
/// done, it ends the build.
pub async fn control_plane(progress: &Progress) -> Result<ControlPlaneBinaries> {
    let module = kyverno()?;
    if !ready_or_buildable()? {
        let go = Go::start(&paths::control_planes(), progress).await?;
        for module in [&APISERVER, module] {
            build(module, &go)
                .await
                .context("the control plane cannot be built")?;
        }
    }
    let (apiserver, kyverno) = (APISERVER.output()?, module.output()?);
    Ok(ControlPlaneBinaries {
        apiserver: apiserver.join("kube-apiserver"),
        kyverno: kyverno.join("kyverno"),
        reports_controller: kyverno.join("reports-controller"),
        kyverno_crds: kyverno.join("crds"),
    })
}

fn is_built(module: &Module) -> Result<bool> {
    // Written last, when every program is in place.
    Ok(module.output()?.join("complete").exists())
}

async fn build(module: &Module, go: &Go<'_>) -> Result<()> {
    let output = module.output()?;
    if is_built(module)? {
        return Ok(());
    }
    fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
    for (program, package, linker) in module.programs {
        let to = output.join(program);
        go.build(&module.dir(), package, linker, &to).await?;
    }
    if module.name != APISERVER.name {
        for (path, dirs) in CRDS {
            go::copy_yaml(&module.dir(), path, dirs, &output.join("crds"))?;
        }
    }
    fs::write(output.join("complete"), "").context("mark the build complete")
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
    fn the_modules_say_which_go_they_need() {
        for (line, module) in &KYVERNO {
            assert!(
                go::version(&module.needs().unwrap()) >= go::version("1.26"),
                "{line}"
            );
        }
        assert!(go::version(&APISERVER.needs().unwrap()) >= go::version("1.26"));
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
