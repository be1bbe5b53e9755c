//! The command as a user runs it: real processes, real files.

mod archive;
mod arrows;
mod budget;
mod corpus;
mod coverage;
mod fed;
#[cfg(unix)]
mod follow;
mod indicators;
mod licences;
mod output;
mod quiet;
mod reload;
mod rules_test;
mod sample;
#[cfg(unix)]
mod serve;
#[cfg(feature = "sql")]
mod sql;
mod state;
mod status;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cresset_testing::python;
use tempfile::TempDir;

/// A rule that finds `whoami` in any JSON log.
const RULE: &str = "title: Whoami\nid: 11111111-1111-4111-8111-111111111111\nstatus: test\nauthor: A\nlogsource: {}\n\
    detection:\n  sel:\n    cmd|contains: whoami\n  condition: sel\nlevel: high\ntags: [attack.discovery, attack.t1033]\n";

/// A folder with files in it, and the command to run there.
struct Run {
    folder: TempDir,
}

impl Run {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn cresset(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the command runs"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null()).env_remove("NO_COLOR");
        command
    }
}

/// What a run left.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            err: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }
}

/// A Python that has DuckDB, where `./setup` could install it.
fn duckdb() -> Option<PathBuf> {
    python("Parquet by DuckDB", "duckdb")
}
