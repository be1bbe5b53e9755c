//! The client against real servers, over TCP and TLS: what it refuses before it connects, and what it makes of those that lie.

mod judged;
mod lies;
mod proxied;
mod server;
mod usual;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cresset_outbound::{
    Answer, Ask, Authorities, Bounds, Client, Credentials, Destination, FetchError, Permit, Resolver, Tls, Validators,
};

use self::server::Server;

/// Longest body that the tests take.
const BYTES_MAX: u64 = 100_000;
/// Bounds that no server meets, however slow the machine is.
const AMPLE: Bounds = Bounds {
    connect: Duration::from_secs(60),
    answer: Duration::from_secs(60),
    quiet: Duration::from_secs(60),
    whole: Duration::from_secs(60),
};
/// A bound that a server which dawdles meets soon.
const SOON: Duration = Duration::from_millis(500);

/// What the operator has listed.
fn permit(private: &[&str]) -> Permit {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    Permit::parse(&owned(private), &owned(&["127.0.0.1", "feeds.example"])).expect("places")
}

/// Trusts the server's certificate alone.
fn tls(server: &Server) -> Tls {
    Tls::load(&Authorities::Only(server.ca())).expect("a certificate")
}

/// A client that may go to this machine.
fn client(server: &Server) -> Client {
    Client::new(permit(&["127.0.0.1"]), tls(server))
}

/// A resolver that gives these addresses one call after the other, the last again and again; and how often it was asked.
fn resolver(answers: &[&[&str]]) -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let parse = |addresses: &&[&str]| addresses.iter().map(|text| text.parse().expect("an address")).collect();
    let (answers, count): (Vec<Vec<_>>, _) = (answers.iter().map(parse).collect(), Arc::clone(&asked));
    let resolver = Resolver::new(move |_| {
        let call = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[call].clone();
        async move { Ok(answer) }
    });
    (resolver, asked)
}

/// What is asked for beside the address.
#[derive(Default)]
struct With {
    credentials: Option<Credentials>,
    known: Validators,
}

/// Fetches, and returns what was answered and written.
fn fetch_with(client: &Client, url: &str, permit: &Permit, with: &With) -> Result<(Answer, Vec<u8>), FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let to = Destination::parse(url, permit)?;
    let ask = Ask { to: &to, credentials: with.credentials.as_ref(), known: &with.known, bytes_max: BYTES_MAX };
    let mut sink = Vec::new();
    let answer = runtime.block_on(client.fetch(ask, &mut sink));
    assert!(sink.len() as u64 <= BYTES_MAX);
    Ok((answer?, sink))
}

/// Fetches where this machine is listed.
fn fetch(client: &Client, url: &str) -> Result<(Answer, Vec<u8>), FetchError> {
    fetch_with(client, url, &permit(&["127.0.0.1"]), &With::default())
}

/// An error and its causes.
fn told(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
