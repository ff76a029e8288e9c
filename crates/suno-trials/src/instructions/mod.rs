//! `cargo xtask instructions`: counts the instructions of decoding, verifying and accepting, and
//! compares them with recorded counts.
//!
//! Instructions do not depend on other load of the machine, so a few per cent can be distinguished
//! from noise. They do depend on the compiler: with another one than the recorded, nothing is
//! compared. Valgrind's callgrind counts them twice for each piece of work, with few and with many
//! repetitions; the difference leaves out everything that is done once.

mod baseline;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

pub use self::work::{Piece, Work};

use self::baseline::{Baseline, Finding};

/// The exit code if valgrind is not installed.
const NO_VALGRIND: u8 = 3;
/// The exit code if the counts were recorded with another compiler.
const OTHER_COMPILER: u8 = 4;
/// The numbers of repetitions of a piece of work.
const FEW: usize = 512;
const MANY: usize = 1_536;
/// Makes glibc keep freed blocks unmerged. The cost of merging depends on their addresses, and so
/// on the lengths of paths: up to 7 % of accepting into memory.
const TUNABLES: &str = "glibc.malloc.tcache_count=65535:glibc.malloc.tcache_max=65536";

/// Count the instructions of decoding, verifying and accepting, and compare them with recorded
/// counts
///
/// Exit codes: 0 no count grew by more than 5 %; 1 a count did; 2 the test could not be run; 3
/// valgrind is not installed; 4 the counts were recorded with another compiler or kind of machine:
/// record them again, on the commit before the change.
#[derive(Debug, clap::Args)]
pub struct Instructions {
    /// Record the counts instead of comparing them
    #[arg(long)]
    record: bool,
}

impl Instructions {
    /// Counts, and compares or records.
    ///
    /// # Errors
    ///
    /// Returns an error if the release build or valgrind fails, or if nothing is recorded yet.
    pub fn run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        if !has_valgrind() {
            writeln!(out, "valgrind was not found: nothing was counted")?;
            return Ok(ExitCode::from(NO_VALGRIND));
        }
        let builder = Baseline::builder()?;
        let recorded = match self.record {
            true => None,
            false => Some(Baseline::read()?),
        };
        if let Some(recorded) = &recorded
            && !recorded.is_of(&builder)
        {
            writeln!(
                out,
                "the counts were recorded with {}, and this is {builder}: they cannot be compared.\n\
                 Record anew on the commit before the change: cargo xtask instructions --record",
                recorded.builder_of()
            )?;
            return Ok(ExitCode::from(OTHER_COMPILER));
        }
        let counted = count_all()?;
        match recorded {
            None => {
                Baseline::new(builder, counted).write()?;
                writeln!(out, "recorded in {}", Baseline::FILE)?;
                Ok(ExitCode::SUCCESS)
            }
            Some(recorded) => tell(&recorded.compare(&counted), out),
        }
    }
}

fn tell(findings: &[Finding], out: &mut dyn Write) -> Result<ExitCode> {
    writeln!(
        out,
        "| each | recorded | now | change |\n| --- | ---: | ---: | ---: |"
    )?;
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    let mut bad = findings
        .iter()
        .filter(|finding| finding.is_bad())
        .peekable();
    if bad.peek().is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let names: Vec<&str> = bad.map(|finding| &*finding.piece).collect();
    writeln!(
        out,
        "\nmore instructions than recorded: {}",
        names.join(", ")
    )?;
    Ok(ExitCode::FAILURE)
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn count_all() -> Result<BTreeMap<String, u64>> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()?;
    let program = crate::release::build(&metadata)?;
    let dir = tempfile::tempdir()?;
    let mut counted = BTreeMap::new();
    for piece in Piece::value_variants() {
        let few = count(&program, *piece, FEW, dir.path())?;
        let many = count(&program, *piece, MANY, dir.path())?;
        let more = many.checked_sub(few).context("more work took less")?;
        counted.insert(piece.to_string(), more / (MANY - FEW) as u64);
    }
    Ok(counted)
}

/// Repeats a piece of work this often under callgrind, and returns the total number of
/// instructions.
fn count(program: &Path, piece: Piece, times: usize, dir: &Path) -> Result<u64> {
    let counts = dir.join("counts");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(program)
        .arg("instructions-work")
        .arg(piece.to_string())
        .args([times.to_string(), MANY.to_string()])
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdin(Stdio::null())
        .output()
        .context("valgrind could not be started")?;
    if !run.status.success() {
        let why = String::from_utf8_lossy(&run.stderr);
        bail!("{piece} failed under valgrind: {}", why.trim());
    }
    let text = fs::read_to_string(counts)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.context("callgrind printed no total")?;
    total.trim().parse().context("callgrind printed no number")
}
