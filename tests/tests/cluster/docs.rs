//! The pages for readers: every command in them is run, by whom the page is for, and says
//! what the page shows.

mod page;
mod shape;

use anyhow::{Context as _, Result, bail, ensure};
use docket_tests::{ControlPlane, Options, day, on_shared_runtime, paths, users};
use page::{Command, Step};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;

/// A refusal is on record a moment later, and what came of it a moment after that.
const MOMENT: Duration = Duration::from_secs(45);
/// Commands that only look may be run again until what they look for is there.
const LOOKING: [&str; 6] = [
    "docket ",
    "kubectl docket ",
    "kubectl get ",
    "kubectl describe ",
    "curl ",
    "get ",
];

#[test]
fn every_command_of_the_pages_does_what_they_say() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options::default()).await?;
        plane.apply_policies(&day::policies()?).await?;
        let mut done = Vec::new();
        for step in day::writes() {
            done.push(day::perform(&plane, step).await?);
        }
        day::records(&plane, &done).await?;
        for name in [
            "developer",
            "platform-engineer",
            "auditor",
            "console-integrator",
        ] {
            let text = fs::read_to_string(paths::repository().join(format!("docs/{name}.md")))?;
            let reader = Reader::new(&plane, name)?;
            let steps = page::steps(&text).with_context(|| format!("docs/{name}.md"))?;
            let commands = steps.iter().filter(|step| matches!(step, Step::Run(_)));
            ensure!(commands.count() > 3, "docs/{name}.md has no commands");
            for step in steps {
                reader
                    .does(&step)
                    .await
                    .with_context(|| format!("docs/{name}.md"))?;
            }
        }
        plane.stop();
        Ok(())
    });
}

/// Who follows a page.
struct Reader {
    /// Where the page's files are.
    place: PathBuf,
    kubeconfig: PathBuf,
    environment: Vec<(&'static str, String)>,
    tokens: Vec<(String, String)>,
}

impl Reader {
    fn new(plane: &ControlPlane, page: &str) -> Result<Reader> {
        let place = plane.run_dir().join("docs").join(page);
        let bin = place.join("bin");
        fs::create_dir_all(&bin)?;
        symlink(plane.program("docket"), bin.join("docket"))?;
        symlink(plane.program("docket"), bin.join("kubectl-docket"))?;
        let people = users::USERS.iter().map(|user| user.name);
        let tokens = people
            .chain([users::CONSOLE])
            .map(|name| Ok((name.to_owned(), plane.token(name)?)))
            .collect::<Result<_>>()?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut environment = vec![
            ("PATH", format!("{}:{path}", bin.display())),
            ("HOME", place.display().to_string()),
            ("KUBECACHEDIR", place.join("cache").display().to_string()),
        ];
        environment.extend(
            plane
                .env()?
                .into_iter()
                .filter(|(name, _)| matches!(*name, "DOCKET_URL" | "DOCKET_CA" | "DOCKET_STATE")),
        );
        Ok(Reader {
            place,
            kubeconfig: plane.kubeconfig(),
            environment,
            tokens,
        })
    }

    /// For tests of the test: no plane.
    fn nobody(place: &Path) -> Reader {
        Reader {
            place: place.to_owned(),
            kubeconfig: place.join("none"),
            environment: vec![("PATH", std::env::var("PATH").unwrap_or_default())],
            tokens: Vec::new(),
        }
    }

    async fn does(&self, step: &Step) -> Result<()> {
        match step {
            Step::File { name, text } => {
                fs::write(self.place.join(name), text).with_context(|| format!("write {name}"))
            }
            Step::Run(command) => self.runs(command).await,
        }
    }

    async fn runs(&self, command: &Command) -> Result<()> {
        if command.follows {
            return self.follows(command).await;
        }
        let began = Instant::now();
        let looks = LOOKING.iter().any(|word| command.script.starts_with(word));
        loop {
            let output = self.command(command)?.output().await?;
            let wrong = match self.judge(command, &output) {
                Ok(()) => return Ok(()),
                Err(wrong) => wrong,
            };
            if !looks || began.elapsed() >= MOMENT {
                return Err(wrong);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn judge(&self, command: &Command, output: &Output) -> Result<()> {
        let said = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code();
        let what = format!("line {}: {}{said}", command.line, command.script);
        ensure!(
            code == Some(command.exit),
            "{what}\nit ended with {code:?} instead of {}",
            command.exit
        );
        if let Some(shows) = &command.shows {
            ensure!(
                shape::fits(shows, &said)?,
                "{what}\nis not of the shape that the page shows:\n{shows}"
            );
        }
        Ok(())
    }

    /// Until it has said what the page shows.
    async fn follows(&self, command: &Command) -> Result<()> {
        let mut child = self.command(command)?.stdout(Stdio::piped()).spawn()?;
        let mut out = child.stdout.take().context("no output")?;
        let shows = command.shows.clone().unwrap_or_default();
        let mut said = Vec::new();
        let end = tokio::time::Instant::now() + MOMENT;
        loop {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout_at(end, out.read(&mut bytes)).await;
            let Ok(Ok(count @ 1..)) = read else {
                let said = String::from_utf8_lossy(&said);
                bail!(
                    "line {}: {}{said}\nit ended, or did not say:\n{shows}",
                    command.line,
                    command.script
                );
            };
            said.extend_from_slice(&bytes[..count]);
            if shape::fits(&shows, &String::from_utf8_lossy(&said))? {
                return Ok(());
            }
        }
    }

    fn command(&self, command: &Command) -> Result<tokio::process::Command> {
        let mut shell = tokio::process::Command::new("sh");
        let script = format!("set -e\n{{\n{}}} 2>&1\n", command.script);
        shell
            .args(["-c", &script])
            .current_dir(&self.place)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if !command.user.is_empty() {
            shell.env("KUBECONFIG", self.kubeconfig_of(&command.user)?);
        }
        for (name, token) in &self.tokens {
            if *name == command.user && command.address {
                shell.env("DOCKET_TOKEN", token);
            }
        }
        if !command.address {
            shell.env_remove("DOCKET_URL");
        }
        Ok(shell)
    }

    /// The user's own, with a namespace where the user works in one.
    fn kubeconfig_of(&self, user: &str) -> Result<PathBuf> {
        let path = self.place.join(format!("{user}.kubeconfig"));
        if path.exists() {
            return Ok(path);
        }
        fs::copy(&self.kubeconfig, &path)?;
        let kubectl = |arguments: &[&str]| {
            let status = std::process::Command::new("kubectl")
                .arg("config")
                .args(arguments)
                .env("KUBECONFIG", &path)
                .stdout(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        };
        ensure!(kubectl(&["use-context", user]), "no context {user}");
        if matches!(user, "alice" | "bob") {
            let namespace = format!("--namespace={}", docket_tests::krate::ACME);
            ensure!(
                kubectl(&["set-context", "--current", &namespace]),
                "no namespace"
            );
        }
        Ok(path)
    }
}

/// The judge is judged: what is wrong in a page is found.
#[test]
fn a_page_with_a_wrong_command_or_another_answer_fails() {
    on_shared_runtime(async {
        let place = tempfile::tempdir()?;
        let reader = Reader::nobody(place.path());
        let follow = async |page: &str| -> Result<()> {
            for step in page::steps(page)? {
                reader.does(&step).await?;
            }
            Ok(())
        };
        follow("<!-- test: file=a.txt -->\n```\n7 2026-01-01T00:00:00Z\n```\n```console\n$ cat a.txt\n12 2026-02-02T10:00:00.123Z\n```\n").await?;
        follow("```sh\ntrue\n```\n<!-- test: exit=3 -->\n```console\n$ echo a; exit 3\na\n```\n")
            .await?;
        follow("```console\n$ printf 'a\\nb\\nc\\n'\na\n…\nc\n$ echo > /dev/null\n```\n").await?;
        follow("<!-- test: follows -->\n```console\n$ echo one; sleep 100\none\n```\n").await?;
        for wrong in [
            "```console\n$ no-such-command\n```\n",
            "```sh\nfalse\ntrue\n```\n",
            "```console\n$ echo a\nb\n```\n",
            "```console\n$ echo a\n```\n",
            "```console\n$ echo\na\n```\n",
            "```console\n$ printf 'a\\nb\\n'\na\n```\n",
            "```console\n$ exit 3\n```\n",
            "<!-- test: follows -->\n```console\n$ echo two\none\n```\n",
            "<!-- test: exit=x -->\n",
            "<!-- test: color=red -->\n",
            "```console\nno command\n```\n",
            "```sh\nnever ends\n",
        ] {
            ensure!(follow(wrong).await.is_err(), "this should fail: {wrong}");
        }
        Ok(())
    });
}
