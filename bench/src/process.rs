//! A server under measurement: a process of its own, on a core of its own.

use anyhow::{Context, ensure};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Core of the server; the load comes from the other one.
pub const SERVER_CORE: &str = "0";
/// Core of the load.
pub const LOAD_CORE: &str = "1";
/// Linux counts process time in ticks of this many per second, on every platform we know.
const TICKS: f64 = 100.0;

/// Ends with its handle.
pub struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `program`, pinned if `taskset` is there, and waits until `address` accepts.
    pub fn start(
        program: &OsStr,
        args: &[&OsStr],
        address: SocketAddr,
        pinned: bool,
    ) -> anyhow::Result<Self> {
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", SERVER_CORE]).arg(program);
            command
        } else {
            let mut command = Command::new(program);
            command.env("TOKIO_WORKER_THREADS", "1");
            command
        };
        command.args(args);
        Self::started(command, address)
    }

    fn started(mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let child = command
            .stdout(Stdio::null())
            .env("RUST_LOG", "warn")
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self { child };
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait()?;
            ensure!(
                ended.is_none(),
                "{} ended at once: {ended:?}",
                program.display()
            );
            ensure!(
                Instant::now() < until,
                "{} does not listen",
                program.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The same on the load's core: for what is not measured, but needed.
    pub fn start_beside(
        program: &OsStr,
        args: &[&OsStr],
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(args);
        Self::started(command, address)
    }

    /// Processor time used so far, user and system. `taskset` becomes the program, so the
    /// child's id is the server's.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in brackets, may hold spaces; fields are counted after it.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_ascii_whitespace()
            .collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = ticks(11)
            .zip(ticks(12))
            .context("no times in /proc/PID/stat")?;
        Ok(Duration::from_secs_f64((user + system) / TICKS))
    }

    /// Resident memory in MiB: (now, highest).
    pub fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()
        };
        let (now, highest) = field("VmRSS:").zip(field("VmHWM:")).context("no VmRSS")?;
        Ok((now / 1024.0, highest / 1024.0))
    }
}

/// Puts this process on the load's core. False if the machine cannot.
pub fn pin_self() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores > 1
        && Command::new("taskset")
            .args(["-cp", LOAD_CORE, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// A port that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
