//! A real browser, driven over WebDriver (W3C, level 1): Chromium without a window, and `chromedriver` on a port of its own.
//!
//! Where they are not installed [`Browser::start`] says so once and gives none: `./setup` installs them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cresset_testing::not_installed;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

use super::{PATIENCE, lines, wait_until};

/// A browser that runs.
pub(super) struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
}

impl Browser {
    /// Starts one with a window of this size.
    pub(super) fn start(width: u32, height: u32) -> Option<Self> {
        let Some(mut driver) = spawn() else {
            not_installed("pages", "Chromium with its driver");
            return None;
        };
        let said = lines(driver.stdout.take().expect("a pipe"));
        let port = loop {
            let line = said.recv_timeout(PATIENCE).expect("it says where it is");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let mut browser = Self { driver, agent: config.into(), session: format!("http://127.0.0.1:{port}/session") };
        let size = format!("--window-size={width},{height}");
        let args = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", &size];
        let options = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "ignore",
        } } });
        let session = browser.send("", &options);
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("a session: {session}"));
        browser.session = format!("{}/{id}", browser.session);
        browser.size(width, height);
        Some(browser)
    }

    #[track_caller]
    fn send(&self, path: &str, body: &Value) -> Value {
        let request = Request::post(format!("{}{path}", self.session)).header("content-type", "application/json");
        self.run(request.body(body.to_string()).expect("a request"))
    }

    #[track_caller]
    fn run(&self, request: Request<String>) -> Value {
        let mut text = String::new();
        let answer = self.agent.run(request).expect("an answer").into_body().into_reader().read_to_string(&mut text);
        answer.expect("a text");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{answer}");
        answer["value"].clone()
    }

    /// Sends a command of the DevTools protocol.
    #[track_caller]
    fn command(&self, name: &str, params: &Value) {
        self.send("/goog/cdp/execute", &json!({ "cmd": name, "params": params }));
    }

    /// Gives the view itself this size, as a wall's or a phone's has.
    #[track_caller]
    pub(super) fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers these colours, as the system would say.
    pub(super) fn prefer(&self, scheme: &str) {
        self.prefer_all(&[("prefers-color-scheme", scheme)]);
    }

    /// Prefers all of this, as the system would say.
    pub(super) fn prefer_all(&self, features: &[(&str, &str)]) {
        let features: Vec<_> = features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Presses the tabulator, as a person does.
    pub(super) fn press_tab(&self) {
        let keys = ["keyDown", "keyUp"].map(|act| json!({ "type": act, "value": "\u{e004}" }));
        self.send("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] }));
    }

    #[track_caller]
    pub(super) fn open(&self, url: &str) {
        self.send("/url", &json!({ "url": url }));
    }

    /// Returns what a script returns.
    #[track_caller]
    pub(super) fn eval(&self, script: &str) -> Value {
        self.send("/execute/sync", &json!({ "script": format!("return {script};"), "args": [] }))
    }

    /// Waits until a script returns true.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, script: &str) {
        wait_until(what, || self.eval(script) == true);
    }

    /// Signs in at a centre, by its form.
    #[track_caller]
    pub(super) fn sign_in(&self, url: &str, token: &str) {
        self.open(&format!("{url}/sign-in"));
        self.eval(&format!("(document.querySelector('#token').value = '{token}', document.forms[0].submit(), 0)"));
        self.wait("the floor", "document.querySelector('main.floor') !== null");
    }

    /// Returns what the browser complained of: errors, and what the content security policy forbade.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = self.send("/se/log", &json!({ "type": "browser" }));
        let said = log.as_array().into_iter().flatten().map(|entry| entry["message"].as_str().unwrap_or_default());
        said.map(ToOwned::to_owned).collect()
    }

    /// Takes a picture.
    pub(super) fn picture(&self, file: &Path) {
        let request = Request::get(format!("{}/screenshot", self.session)).body(String::new()).expect("a request");
        let picture = self.run(request);
        let bytes = BASE64_STANDARD.decode(picture.as_str().expect("a text")).expect("base64");
        fs::write(file, bytes).expect("room");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let request = Request::delete(&self.session).body(()).expect("a request");
        // It ends anyway.
        let _ = self.agent.run(request);
        thread::sleep(Duration::from_millis(50));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn spawn() -> Option<Child> {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().ok()
}
