//! Files from the field (`tests/recorded/cases`), imported as their owner would, and followed
//! as logs. Each is after a public report of somebody who runs a cluster.

use super::court::Court;
use anyhow::{Context as _, Result};
use docket_ledger::entry::Class;
use docket_tests::kube_double::IMPORTER;
use docket_tests::{eventually, on_shared_runtime, paths};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// What every refusal in these files says.
const TEXT: &str = "Policy pods-have-a-team failed: Name the team.";
const WAIT: Duration = Duration::from_secs(60);

fn case(name: &str) -> PathBuf {
    paths::repository().join("tests/recorded/cases").join(name)
}

/// A denial as far as these tests look at it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    name: String,
    verb: String,
    derived: String,
}

fn denial(name: &str, derived: &str) -> Denial {
    Denial {
        name: name.to_owned(),
        verb: "create".to_owned(),
        derived: derived.to_owned(),
    }
}

impl Court {
    /// In the order in which they were recorded; each holds the refusal's text.
    fn denials(&self) -> Result<Vec<Denial>> {
        let mut rows = self.rows(Class::Denial)?;
        rows.sort_by_key(|row| row.position);
        let mut denials = Vec::new();
        for row in rows {
            let public: Value = serde_json::from_slice(&row.public)?;
            let personal: Value = serde_json::from_slice(&row.personal.context("personal")?)?;
            anyhow::ensure!(personal.to_string().contains(TEXT), "{personal}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            denials.push(Denial {
                name: text(&personal["name"]),
                verb: text(&public["verb"]),
                derived: text(&public["derived"]),
            });
        }
        Ok(denials)
    }

    fn gaps(&self) -> Result<Vec<String>> {
        let rows = self.rows(Class::Gap)?;
        let public = rows.iter().map(|row| String::from_utf8(row.public.clone()));
        Ok(public.collect::<Result<_, _>>()?)
    }

    async fn imported(&self, files: &[&Path]) -> Result<(i32, String)> {
        let mut arguments = vec!["import"];
        arguments.extend(files.iter().filter_map(|file| file.to_str()));
        let Output {
            status,
            stdout,
            stderr,
        } = self.run(IMPORTER, &arguments).await?;
        let said = [stdout, stderr].concat();
        Ok((
            status.code().unwrap_or(-1),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }

    async fn until_denied(&self, count: usize) -> Result<()> {
        let denied = || async { Ok((self.denials()?.len() >= count).then_some(())) };
        eventually("the log is read", WAIT, denied).await
    }
}

#[test]
fn each_case_is_imported_and_the_command_says_what_became_of_it() {
    on_shared_runtime(async {
        for (name, code, says, denials) in [
            (
                "16-cri-stdout.log",
                0,
                vec![
                    "read      3 records",
                    "2 container",
                    "2 denied",
                    "1 records are no audit",
                ],
                vec![denial("cri-a", ""), denial("cri-b", "")],
            ),
            (
                "17-legacy-format.log",
                2,
                vec!["--audit-log-format=legacy", "nothing of it was imported"],
                vec![],
            ),
            (
                "18-eks-truncated-marker.json",
                0,
                vec!["2 eks-cut", "2 denied", "2 new"],
                vec![denial("eks-cut", "eks-cut"), denial("eks-cut-2", "eks-cut")],
            ),
            (
                "21-nul-head-after-copytruncate.log",
                0,
                vec!["2 event", "2 denied", "4096 zeros"],
                vec![denial("nul-1", ""), denial("nul-2", "")],
            ),
            (
                "25-aks-cut-at-16k.json",
                0,
                vec!["1 aks-cut", "1 denied"],
                vec![denial("aks-cut", "aks-cut")],
            ),
        ] {
            let court = Court::new().await?;
            let (ended, said) = court.imported(&[&case(name)]).await?;
            assert_eq!(ended, code, "{name}: {said}");
            for part in says {
                assert!(said.contains(part), "{name}: no {part:?} in {said}");
            }
            let mut found = court.denials()?;
            found.sort();
            assert_eq!(found, denials, "{name}");
            assert!(court.gaps()?.is_empty(), "{name}: {:?}", court.gaps()?);
            court.stop();
        }
        Ok(())
    });
}

#[test]
fn one_file_that_is_refused_keeps_no_other_from_being_imported() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let packed = court.path("audit.log.2.zst");
        std::fs::write(&packed, b"\x28\xb5\x2f\xfd and so on")?;
        let others = court.path("klog.txt");
        std::fs::write(
            &others,
            "I1201 10:00:00.101000       1 controller.go:10] hello\n",
        )?;
        let (code, said) = court
            .imported(&[
                &packed,
                &case("17-legacy-format.log"),
                &others,
                &case("16-cri-stdout.log"),
            ])
            .await?;
        assert_eq!(code, 2, "{said}");
        for part in [
            "audit.log.2.zst can't be read: it is compressed with zstd",
            "zstd -dc FILE | docket import -",
            "17-legacy-format.log:1: the line is of --audit-log-format=legacy",
            "16-cri-stdout.log: 3 records, 2 audit events, 2 denials, 2 of them new, 1 of something else",
            "klog.txt: 1 records, 0 audit events",
            "not imported, or not to the end: ",
        ] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        assert_eq!(court.denials()?.len(), 2);
        // Nothing kept and nothing missed is no success either.
        let (code, said) = court.imported(&[&others]).await?;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("no audit event is in"), "{said}");
        court.stop();
        Ok(())
    });
}

#[test]
fn each_case_is_read_from_a_log_that_is_followed_and_one_that_says_too_little_is_named() {
    on_shared_runtime(async {
        let mut court = Court::new().await?;
        for (source, name) in [
            ("cri", "16-cri-stdout.log"),
            ("legacy", "17-legacy-format.log"),
            ("hole", "21-nul-head-after-copytruncate.log"),
        ] {
            let log = court.path(&format!("{source}/audit.log"));
            std::fs::create_dir_all(log.parent().context("a directory")?)?;
            std::fs::copy(case(name), &log)?;
            court.extra.push("--audit-file".into());
            court.extra.push(format!("{source}={}", log.display()));
        }
        court.restart().await?;
        court.until_denied(4).await?;
        let gap = || async { Ok((court.gaps()?.len() == 1).then_some(())) };
        eventually("the legacy log is named", WAIT, gap).await?;
        let names: BTreeSet<String> = court.denials()?.into_iter().map(|one| one.name).collect();
        assert_eq!(
            names,
            ["cri-a", "cri-b", "nul-1", "nul-2"]
                .map(str::to_owned)
                .into()
        );
        let gaps = court.gaps()?;
        assert!(gaps[0].contains("--audit-log-format=legacy"), "{gaps:?}");
        assert!(gaps[0].contains("\"source\":\"legacy\""), "{gaps:?}");
        court.stop();
        Ok(())
    });
}

/// A log whose rotated names end in dates, as the script makes it.
fn rotated(directory: &Path, style: &str) -> Result<()> {
    let made = Command::new("sh")
        .arg(case("22-rotation-with-dotted-dates.sh"))
        .arg(directory)
        .env("STYLE", style)
        .output()?;
    anyhow::ensure!(made.status.success(), "{made:?}");
    Ok(())
}

#[test]
fn a_log_whose_rotated_names_end_in_dates_is_read_on_where_it_was_left() {
    on_shared_runtime(async {
        for style in ["", "dashed"] {
            let mut court = Court::new().await?;
            let logs = court.path("audit-logs");
            rotated(&logs, style)?;
            // Day 22 while it was written to, up to its first line.
            let day = if style.is_empty() {
                "20261122"
            } else {
                "2026-11-22"
            };
            let whole = std::fs::read_to_string(logs.join(format!("audit.log.{day}")))?;
            let first = whole.lines().next().context("a line")?;
            std::fs::remove_dir_all(&logs)?;
            std::fs::create_dir_all(&logs)?;
            std::fs::write(logs.join("audit.log"), format!("{first}\n"))?;
            court.extra = vec![
                "--audit-file".into(),
                format!("log={}", logs.join("audit.log").display()),
            ];
            court.restart().await?;
            court.until_denied(1).await?;
            if let Some(process) = court.process.take() {
                process.terminate(Duration::from_secs(5));
            }
            std::fs::remove_file(logs.join("audit.log"))?;
            rotated(&logs, style)?;
            court.start().await?;
            court.until_denied(4).await?;
            let names: Vec<String> = court.denials()?.into_iter().map(|one| one.name).collect();
            assert_eq!(names, ["rot-2", "rot-2b", "rot-3", "rot-4"], "{style:?}");
            assert!(court.gaps()?.is_empty(), "{:?}", court.gaps()?);
            // Day 21 was over before; who wants it imports it, in any order.
            let all: Vec<PathBuf> = std::fs::read_dir(&logs)?
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<_>>()?;
            let all: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
            let (code, said) = court.imported(&all).await?;
            assert_eq!(code, 0, "{said}");
            assert!(said.contains("recorded  1 new"), "{said}");
            court.stop();
        }
        Ok(())
    });
}

#[test]
fn a_hole_longer_than_a_record_may_be_is_passed_over_by_an_import() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let log = court.path("hole.log");
        let hole: u64 = 200 * 1024 * 1024;
        let bytes = std::fs::read(case("21-nul-head-after-copytruncate.log"))?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let mut file = File::create(&log)?;
        file.seek(SeekFrom::Start(hole))?;
        file.write_all(&bytes[zeros..])?;
        let (code, said) = court.imported(&[&log]).await?;
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(&format!("{hole} zeros")), "{said}");
        assert_eq!(court.denials()?.len(), 2);
        court.stop();
        Ok(())
    });
}
