//! A centre as its people and programs meet it: the real process, over HTTP.

mod acts;
mod answers;
mod audit;
mod backup;
mod browser;
mod commands;
mod described;
mod docs;
mod evidence;
mod fetched;
mod files;
mod heard;
mod hostile;
mod intake;
mod killed;
mod legible;
mod once;
mod page;
mod retro;
mod rights;
mod schemathesis;
mod shippers;
mod syslog;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderValue, Request, Response};

use crate::{RULE, Ran};

/// Long enough for the slowest machine; what is waited for comes in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a link is waited for that should not come.
const NO_LINK: Duration = Duration::from_millis(200);

/// A centre that runs, and the token of its administrator.
struct Centre {
    folder: TempDir,
    /// Arguments behind `serve`.
    args: Vec<String>,
    child: Child,
    agent: Agent,
    url: String,
    token: String,
}

/// What a centre answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answered {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Centre {
    /// Starts one with [`RULE`], in a folder of its own, and makes its first administrator.
    fn start() -> Self {
        Self::start_with("", &[("data/rules/r.yml", RULE)])
    }

    /// Starts one with this configuration, and these files beside it; `data` is where it keeps everything.
    fn start_with(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        let config = format!("data = \"data\"\nlisten = \"127.0.0.1:0\"\n{config}");
        fs::write(folder.path().join("centre.toml"), config).expect("a file");
        let args = vec!["serve".to_owned(), "--config".to_owned(), "centre.toml".to_owned()];
        let (child, url, link) = spawn(folder.path(), &args, PATIENCE);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut centre = Self { folder, args, child, agent, url, token: String::new() };
        let secret = link.expect("a link for the first administrator");
        centre.token = centre.first_token(&secret);
        centre
    }

    /// Uses the link of the first administrator.
    fn first_token(&self, link: &str) -> String {
        let (_, secret) = link.split_once("secret=").expect("a secret in the link");
        let form = format!("secret={secret}&name=Ada");
        let request = Request::post(format!("{}/first-run", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &self.url)
            .body(form)
            .expect("a request");
        let answered = self.send(request);
        let token = answered.body.split("cresset_").nth(1).unwrap_or_else(|| panic!("a token: {answered:?}"));
        format!("cresset_{}", token.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("its text"))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command as whoever owns the folder, in the folder beside it.
    fn cresset(&self, args: &[&str]) -> Ran {
        let names_data = args.contains(&"--data");
        let data: &[&str] = if names_data { &[] } else { &["--data", "data"] };
        self.cresset_alone(&[args, data].concat())
    }

    /// Runs a command that wants no centre, there.
    fn cresset_alone(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        Ran::of(command.env_remove("CRESSET_URL").env_remove("CRESSET_TOKEN").output().expect("the command runs"))
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn send(&self, request: Request<impl ureq::AsSendBody>) -> Answered {
        answered(self.agent.run(request).expect("an answer"))
    }

    /// Asks as the administrator.
    fn get(&self, path: &str) -> Answered {
        let request = Request::get(format!("{}{path}", self.url)).header("authorization", self.bearer());
        self.send(request.body(()).expect("a request"))
    }

    /// Does something as the administrator.
    fn post(&self, path: &str, body: &Value) -> Answered {
        let request = Request::post(format!("{}{path}", self.url))
            .header("authorization", self.bearer())
            .header("content-type", "application/json");
        self.send(request.body(body.to_string()).expect("a request"))
    }

    /// Does something as the administrator, with any method, headers and body.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answered {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let mut request = request.header("authorization", self.bearer());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.as_ref()).expect("a request"))
    }

    /// Does something as the administrator that is done, and returns what is answered.
    #[track_caller]
    fn done(&self, path: &str, body: &Value) -> Value {
        let answered = self.post(path, body);
        assert!([200, 201].contains(&answered.status), "{path}: {answered:?}");
        answered.json()
    }

    /// Returns the items of a list.
    #[track_caller]
    fn items(&self, path: &str) -> Vec<Value> {
        let answered = self.get(path);
        assert_eq!(answered.status, 200, "{answered:?}");
        answered.json()["items"].as_array().expect("a list").clone()
    }

    /// Delivers logs as the administrator.
    fn deliver(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answered {
        let mut request = Request::post(format!("{}/api/v1/events", self.url)).header("authorization", self.bearer());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.as_ref()).expect("a request"))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Issues a token with this role.
    #[track_caller]
    fn token(&self, name: &str, role: &str) -> String {
        let answered = self.post("/api/v1/tokens", &json!({ "name": name, "role": role }));
        assert_eq!(answered.status, 201, "{answered:?}");
        answered.json()["secret"].as_str().expect("a secret").to_owned()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Kills it, and starts it again over what it left.
    fn kill_and_start_again(&mut self) {
        self.signal("KILL");
        self.child.wait().expect("it ends");
        self.start_again();
    }

    /// Starts it again after it has ended.
    fn start_again(&mut self) {
        let (child, url, link) = spawn(self.folder.path(), &self.args, NO_LINK);
        assert!(link.is_none(), "there is an administrator already");
        (self.child, self.url) = (child, url);
    }

    /// Lets it come back at the same address when it is started again.
    fn keep_address(&self) {
        let file = self.path().join("centre.toml");
        let config = fs::read_to_string(&file).expect("a configuration");
        let address = self.address();
        fs::write(file, config.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""))).expect("room");
    }

    /// Where it listens, without the scheme.
    fn address(&self) -> String {
        self.url.split_once("://").expect("a URL").1.to_owned()
    }

    /// Returns its log.
    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// How many detections there are, 500 at the most.
    fn detections(&self) -> usize {
        let listed = self.get("/api/v1/detections?limit=500").json();
        listed["items"].as_array().map_or(0, Vec::len)
    }

    /// What a number of a source's comes to, of all whose name begins so.
    fn of_sources(&self, begin: &str, number: &str) -> u64 {
        let listed = self.get("/api/v1/sources").json();
        let sources = listed["items"].as_array().cloned().unwrap_or_default();
        let of_it = sources.iter().filter(|source| source["name"].as_str().is_some_and(|name| name.starts_with(begin)));
        of_it.filter_map(|source| source[number].as_u64()).sum()
    }

    /// Ends it in good order.
    fn end(&mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    /// How many events its archive holds, once it has ended.
    fn archived(&self) -> u64 {
        archived_in(&self.data().join("archive"))
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panicked(&log);
        }
    }
}

#[expect(clippy::print_stderr, reason = "beside what a test that failed says")]
fn panicked(log: &str) {
    eprintln!("the centre's log:\n{log}");
}

/// Starts the process, and waits until it can be used; returns its address, and the link of the first administrator where that
/// comes in time.
fn spawn(folder: &Path, args: &[String], link_within: Duration) -> (Child, String, Option<String>) {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_cresset"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the command runs");
    let lines = lines(child.stdout.take().expect("a pipe"));
    let first = lines
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("it says nothing: {}", fs::read_to_string(folder.join("log")).unwrap_or_default()));
    let url = first.strip_prefix("Cresset is at ").and_then(|rest| rest.split(',').next()).expect("an address");
    let link = lines.recv_timeout(link_within).ok().and_then(|_| lines.recv_timeout(PATIENCE).ok());
    let link = link.map(|link| link.trim().to_owned());
    (child, url.to_owned(), link)
}

/// Reads lines on a thread of their own.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // The test may not wait for any more.
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

fn answered(response: Response<ureq::Body>) -> Answered {
    let (parts, mut body) = response.into_parts();
    let body = body.read_to_string().expect("a body of text");
    Answered { status: parts.status.as_u16(), headers: headers_of(&parts.headers), body }
}

fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// How many events an archive holds.
fn archived_in(archive: &Path) -> u64 {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cresset")).args(["archive", "stats", "-o", "json"]).arg(archive).output();
    let stats: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("counts");
    stats["events"].as_u64().expect("a number")
}

/// Returns ports of TCP and UDP that nobody listens on now.
fn free_ports() -> (u16, u16, u16) {
    let tcp = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (one, two, udp) = (tcp(), tcp(), UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("an address").port();
    (port(udp.local_addr()), port(one.local_addr()), port(two.local_addr()))
}

/// Whether this process may have so many more files open; it lets itself have as many as the system does.
fn may_open(files: u64) -> bool {
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    // The other tests open some as well.
    raised.is_ok() && most.is_none_or(|most| most > files + 1000)
}

/// The most memory that a centre has had, in bytes.
fn memory(centre: &Centre) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", centre.child.id())).expect("Linux");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    most.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// A number that looks random and is the same each time.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Waits until this holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
