//! The passphrase of a backup: from a file, or typed where nobody sees it.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

/// Longest passphrase.
const CHARS_MAX: usize = 1024;

/// What a passphrase is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is made up: typed twice.
    New,
    /// It is known.
    Known,
}

/// Returns the first line of a file, or what a person types.
pub(super) fn ask(file: Option<&Path>, wish: Wish) -> io::Result<String> {
    let Some(file) = file else { return typed(wish) };
    let about = |cause: io::Error| io::Error::new(cause.kind(), format!("cannot read `{}`: {cause}", file.display()));
    let text = fs::read_to_string(file).map_err(about)?;
    checked(text.lines().next().unwrap_or_default())
}

fn typed(wish: Wish) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("nobody is there to type a passphrase: name a file with --passphrase-file"));
    }
    let passphrase = hidden("Passphrase: ")?;
    if wish == Wish::New && hidden("Once more: ")? != passphrase {
        return Err(io::Error::other("these are two different passphrases"));
    }
    checked(&passphrase)
}

fn checked(passphrase: &str) -> io::Result<String> {
    match passphrase.chars().count() {
        0 => Err(io::Error::other("the passphrase is empty")),
        count if count > CHARS_MAX => Err(io::Error::other(format!("a passphrase has at most {CHARS_MAX} characters"))),
        _ => Ok(passphrase.to_owned()),
    }
}

/// Reads a line that the terminal does not show.
fn hidden(prompt: &str) -> io::Result<String> {
    let (stdin, mut err) = (io::stdin(), io::stderr());
    write!(err, "{prompt}")?;
    err.flush()?;
    let shown = conceal(&stdin)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    reveal(&stdin, shown)?;
    writeln!(err)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(unix)]
type Shown = rustix::termios::Termios;

#[cfg(unix)]
fn conceal(stdin: &io::Stdin) -> io::Result<Shown> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let shown = tcgetattr(stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin, OptionalActions::Flush, &hidden)?;
    Ok(shown)
}

#[cfg(unix)]
fn reveal(stdin: &io::Stdin, shown: Shown) -> io::Result<()> {
    Ok(rustix::termios::tcsetattr(stdin, rustix::termios::OptionalActions::Flush, &shown)?)
}

#[cfg(not(unix))]
fn conceal(_: &io::Stdin) -> io::Result<()> {
    Err(io::Error::other("a passphrase cannot be typed unseen here: name a file with --passphrase-file"))
}

#[cfg(not(unix))]
fn reveal(_: &io::Stdin, (): ()) -> io::Result<()> {
    Ok(())
}
