//! `cresset serve` and `cresset config`: a centre, and what it is told.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use cresset_centre::{Config, EXAMPLE, Started, serve};
use tracing_subscriber::EnvFilter;

use crate::Outcome;
use crate::args::{LogFormat, ServeArgs};
use crate::escape;

/// Runs a centre until it is told to end.
pub(crate) fn run(args: &ServeArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    log(args.log);
    let mut config = match args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load) {
        Ok(config) => config,
        Err(error) => return failed(&error, &mut err),
    };
    args.data.iter().for_each(|data| config.data.clone_from(data));
    args.listen.iter().for_each(|listen| config.listen = *listen);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut told = Ok(());
    let served = runtime.block_on(serve(config, |started| told = tell(started, out)));
    told?;
    match served {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => failed(&error, &mut err),
    }
}

/// Tells a person where the centre is.
fn tell(started: &Started, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Cresset is at {}, and keeps everything in {}", started.url, started.data.display())?;
    if let Some(fingerprint) = &started.fingerprint {
        writeln!(out, "Its certificate has the SHA-256 fingerprint {fingerprint}")?;
    }
    if let Some(link) = &started.first_run {
        writeln!(out, "Nobody is known yet. The first administrator comes in here, within a day:\n  {link}")?;
    }
    out.flush()
}

/// Writes an example of a configuration.
pub(crate) fn example(out: &mut dyn Write) -> io::Result<Outcome> {
    out.write_all(EXAMPLE.as_bytes())?;
    Ok(Outcome::Done)
}

/// Says what is wrong with a configuration.
pub(crate) fn check(file: &Path, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => return failed(&error, &mut err),
    };
    let wrong = config.check();
    for wrong in &wrong {
        writeln!(err, "{}: {}", escape::terminal(&file.display().to_string()), escape::terminal(wrong))?;
    }
    if !wrong.is_empty() {
        return Ok(Outcome::Failed);
    }
    let scheme = if config.is_tls() { "https" } else { "http" };
    writeln!(out, "ok: {scheme}://{}, data in {}", config.listen, config.data.display())?;
    Ok(Outcome::Done)
}

/// Says an error with its causes.
fn failed(error: &dyn Error, err: &mut dyn Write) -> io::Result<Outcome> {
    // A fault in a configuration is shown with its lines.
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    for (at, line) in text.lines().enumerate() {
        let begin = if at == 0 { "cresset: " } else { "  " };
        writeln!(err, "{begin}{}", escape::terminal(line))?;
    }
    Ok(Outcome::Failed)
}

/// Writes what the centre does to standard error: for people where one is looking, else as JSON lines. `CRESSET_LOG` says how
/// much (`debug`, `warn`, `cresset_centre=trace`).
fn log(format: Option<LogFormat>) {
    let filter = EnvFilter::try_from_env("CRESSET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let is_watched = io::stderr().is_terminal();
    let set = match format.unwrap_or(if is_watched { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => builder.with_ansi(is_watched).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // Nothing else in this process logs.
    let _ = set;
}
