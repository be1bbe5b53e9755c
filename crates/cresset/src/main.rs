//! Cresset on the command line. No logic that a library lacks: arguments in, library calls, output and exit status out.

mod archive;
mod args;
mod audit;
mod backup;
mod check;
mod client;
mod escape;
mod formats;
mod hunt;
mod incidents;
mod output;
mod serve;
mod status;
mod token;
mod tuning;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{
    ArchiveCommand, Args, AuditCommand, Command, ConfigCommand, IndicatorsCommand, RulesCommand, TokenCommand,
};

/// How a run ended, for the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All was done.
    Done,
    /// All was done, and something at or above `--fail-level` was found.
    Found,
    /// Something could not be done or, where that was asked, not be read.
    Failed,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let stdout = io::stdout();
    let mut out = stdout.lock();
    let result = run(args, &mut out).and_then(|outcome| out.flush().map(|()| outcome));
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(10),
        Ok(Outcome::Failed) => ExitCode::from(1),
        // Whoever read our output has seen enough: `cresset watch … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed as well there is nobody left to tell.
            let _ = writeln!(io::stderr(), "cresset: cannot write what was found: {error}");
            ExitCode::from(1)
        }
    }
}

fn run(args: Args, out: &mut dyn Write) -> io::Result<Outcome> {
    match args.command {
        Command::Watch(args) => watch::run(args, out),
        Command::Rules { command: RulesCommand::Check(args) } => check::rules(&args, out),
        Command::Rules { command: RulesCommand::Test(args) } => check::test(&args, out),
        Command::Rules { command: RulesCommand::Coverage(args) } => check::coverage(&args, out),
        Command::Indicators { command: IndicatorsCommand::Check(args) } => check::indicators(&args, out),
        Command::Hunt(args) => hunt::run(&args, out),
        Command::Archive { command: ArchiveCommand::Stats(args) } => archive::stats(&args, out),
        Command::Archive { command: ArchiveCommand::Verify(args) } => archive::verify(&args.folder, out),
        Command::Archive { command: ArchiveCommand::Compact(args) } => archive::compact(&args.folder, out),
        Command::Archive { command: ArchiveCommand::Export(args) } => archive::export(&args, out),
        Command::Serve(args) => serve::run(&args, out),
        Command::Config { command: ConfigCommand::Example } => serve::example(out),
        Command::Config { command: ConfigCommand::Check { file } } => serve::check(&file, out),
        Command::Status(args) => status::run(&args, out),
        Command::Incidents(args) => incidents::list(&args, out),
        Command::Show(args) => incidents::show(&args, out),
        Command::Assign(args) => incidents::assign(&args, out),
        Command::Note(args) => incidents::note(&args, out),
        Command::Task(args) => incidents::task(&args, out),
        Command::State(args) => incidents::state(&args, out),
        Command::Close(args) => incidents::close(&args, out),
        Command::Merge(args) => incidents::merge(&args, out),
        Command::Split(args) => incidents::split(&args, out),
        Command::Evidence(args) => incidents::evidence(&args, out),
        Command::Exclude(args) => tuning::exclude(&args, out),
        Command::Silence(args) => tuning::silence(&args, out),
        Command::Token { command: TokenCommand::Issue(args) } => token::issue(&args, out),
        Command::Token { command: TokenCommand::List(args) } => token::list(&args, out),
        Command::Token { command: TokenCommand::Revoke(args) } => token::revoke(&args, out),
        Command::Audit { command: AuditCommand::Verify(args) } => audit::verify(&args, out),
        Command::Backup(args) => backup::make(&args, out),
        Command::Restore(args) => backup::restore(&args, out),
        Command::Formats => formats::run(out),
    }
}
