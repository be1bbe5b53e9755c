//! What hosts run already, sending to a centre: rsyslog, the Python client of Elasticsearch, OpenTelemetry's exporter.
//!
//! Each is the real program, started here with a configuration and a folder of its own; `./setup` installs them. A test of one
//! that is not there says so and passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cresset_testing::not_installed;

use super::syslog::{MARKED, centre as centre_with_syslog};
use super::{Centre, wait_until};

/// Messages that each sends.
const SENT: usize = 200;

/// An rsyslog of the test's own.
struct Rsyslog {
    child: Child,
    folder: PathBuf,
}

impl Rsyslog {
    /// Starts one that sends the lines of a file with this action; `None` where it or the module is not installed.
    fn start(centre: &Centre, name: &str, module: &str, action: &str) -> Option<Self> {
        let modules = ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib/rsyslog"];
        if !modules.iter().any(|folder| Path::new(folder).join(format!("{module}.so")).is_file()) {
            not_installed(name, &format!("rsyslog's {module}"));
            return None;
        }
        let folder = centre.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let lines: String = (0..SENT).map(|number| format!("marked {number}\n")).collect();
        fs::write(folder.join("in.log"), lines).expect("room");
        let load = if module.starts_with("om") { format!("module(load=\"{module}\")\n") } else { String::new() };
        let config = format!(
            "global(workDirectory=\"{folder}\" defaultNetstreamDriverCAFile=\"{data}/certificate.pem\")\n\
             module(load=\"imfile\")\n{load}\
             input(type=\"imfile\" File=\"{folder}/in.log\" Tag=\"app:\" Severity=\"info\" Facility=\"local0\")\n{action}\n",
            folder = folder.display(),
            data = centre.data().display(),
        );
        fs::write(folder.join("rsyslog.conf"), config).expect("room");
        let log = fs::File::create(folder.join("log")).expect("room");
        let child = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-f"])
            .arg(folder.join("rsyslog.conf"))
            .arg("-i")
            .arg(folder.join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Some(Self { child: child.expect("rsyslogd starts"), folder })
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            super::panicked(&fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
    }
}

#[test]
fn rsyslog_sends_over_each_transport() {
    let (mut centre, (udp, tcp, tls)) = centre_with_syslog();
    let forward = |port: u16, more: &str| {
        format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" template=\"RSYSLOG_SyslogProtocol23Format\" \
             action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" {more})"
        )
    };
    let over_tls = "protocol=\"tcp\" tcp_framing=\"octet-counted\" streamDriver=\"gtls\" streamDriverMode=\"1\" \
                    streamDriverAuthMode=\"anon\"";
    let mut expected = 0;
    for (name, module, action) in [
        ("udp", "imfile", forward(udp, "protocol=\"udp\"")),
        ("tcp", "imfile", forward(tcp, "protocol=\"tcp\"")),
        ("tls", "lmnsd_gtls", forward(tls, over_tls)),
    ] {
        let Some(_rsyslog) = Rsyslog::start(&centre, name, module, &action) else { continue };
        expected += SENT;
        wait_until(name, || centre.of_sources("syslog-", "events") as usize >= expected);
        assert_eq!(centre.of_sources(&format!("syslog-{name}"), "events") as usize, SENT, "{name}");
    }
    assert_eq!(centre.of_sources("syslog-", "skipped"), 0);
    centre.end();
    assert_eq!(centre.archived() as usize, expected);
}

/// The action of rsyslog that writes to Elasticsearch, as `docs/intake.md` has it.
fn elastic_action(centre: &Centre, bulkmode: &str) -> String {
    let (host, port) =
        centre.address().split_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).expect("both");
    let token = centre.token("rsyslog", "exercise_director");
    format!(
        "template(name=\"cresset\" type=\"list\" option.jsonf=\"on\") {{\n\
           property(outname=\"@timestamp\" name=\"timereported\" dateFormat=\"rfc3339\" format=\"jsonf\")\n\
           property(outname=\"host\" name=\"hostname\" format=\"jsonf\")\n\
           property(outname=\"message\" name=\"msg\" format=\"jsonf\")\n}}\n\
         template(name=\"id\" type=\"string\" string=\"%uuid%\")\n\
         action(type=\"omelasticsearch\" server=\"{host}\" serverport=\"{port}\" uid=\"rsyslog\" pwd=\"{token}\" \
           bulkmode=\"{bulkmode}\" template=\"cresset\" searchIndex=\"syslog\" searchType=\"\" bulkid=\"id\" dynbulkid=\"on\" \
           action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" queue.type=\"linkedList\")"
    )
}

#[test]
fn rsyslog_writes_as_to_elasticsearch_and_waits_for_a_centre_that_was_killed() {
    let mut centre = Centre::start_with("", &[("data/rules/r.yml", MARKED)]);
    centre.keep_address();
    let action = elastic_action(&centre, "on");
    let Some(rsyslog) = Rsyslog::start(&centre, "elastic", "omelasticsearch", &action) else { return };
    wait_until("what was there", || centre.detections() == SENT);
    let full = centre.get("/api/v1/detections?limit=1").json();
    assert!(full["items"][0]["host"].is_string(), "{full}");
    centre.signal("KILL");
    centre.child.wait().expect("it ends");
    let more: String = (0..SENT).map(|number| format!("marked again {number}\n")).collect();
    let mut file = fs::OpenOptions::new().append(true).open(rsyslog.folder.join("in.log")).expect("a file");
    std::io::Write::write_all(&mut file, more.as_bytes()).expect("room");
    std::thread::sleep(std::time::Duration::from_secs(2));
    centre.start_again();
    wait_until("what came meanwhile", || centre.detections() == 2 * SENT);
    drop(rsyslog);
    centre.end();
    assert_eq!(centre.archived() as usize, 2 * SENT);
}

#[test]
fn rsyslog_sends_messages_one_by_one() {
    let mut centre = Centre::start_with("", &[("data/rules/r.yml", MARKED)]);
    let action = elastic_action(&centre, "off");
    let Some(rsyslog) = Rsyslog::start(&centre, "single", "omelasticsearch", &action) else { return };
    wait_until("all of them", || centre.detections() == SENT);
    drop(rsyslog);
    centre.end();
    assert_eq!(centre.archived() as usize, SENT);
}

/// Runs a script in the Python of `./setup` where that has the module, and returns what it prints.
fn python(centre: &Centre, module: &str, script: &str) -> Option<String> {
    let interpreter = cresset_testing::python("a client", module)?;
    let token = centre.token("python", "exercise_director");
    let output =
        Command::new(interpreter).args(["-W", "ignore", "-c", script, &centre.url, &token]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

const ELASTIC: &str = r#"
import sys
from elasticsearch import ConflictError, Elasticsearch, helpers
url, token = sys.argv[1:]
es, bearer = Elasticsearch(url, api_key=token, request_timeout=60), Elasticsearch(url, bearer_auth=token, request_timeout=60)
assert es.ping() and bearer.ping()
assert es.info()["version"]["number"].startswith("8.")
at = "2026-11-24T07:00:00Z"
doc = lambda n: {"_index": "logs", "_id": str(n), "@timestamp": at, "host": "h1", "message": f"marked {n}"}
for _ in range(2):
    assert helpers.bulk(es, (doc(n) for n in range(100))) == (100, [])
ok, bad = helpers.bulk(bearer, [doc(100), {"_index": "logs", "_id": "x", "_op_type": "delete"}], raise_on_error=False)
assert ok == 1 and bad[0]["delete"]["status"] == 400, bad
assert all(done for done, _ in helpers.streaming_bulk(es, (doc(n) for n in range(101, 150)), chunk_size=7))
twice = list(helpers.streaming_bulk(es, [dict(doc(150), _op_type="create")] * 2, raise_on_error=False))
assert [done for done, _ in twice] == [True, False] and twice[1][1]["create"]["status"] == 409, twice
# What was there from an earlier request is known as well, and says so beside what is new.
once_more = list(helpers.streaming_bulk(es, [dict(doc(n), _op_type="create") for n in (149, 152, 150)], raise_on_error=False))
assert [item["create"]["status"] for _, item in once_more] == [409, 201, 409], once_more
again = [item["index"]["result"] for _, item in helpers.streaming_bulk(es, [doc(n) for n in (153, 0, 154, 99)])]
assert again == ["created", "updated", "created", "updated"], again
body = {"@timestamp": at, "host": "h1", "message": "marked alone"}
assert es.index(index="logs", document=body)["result"] == "created"
assert es.index(index="logs", id="a/1", document=body)["result"] == "created"
assert es.index(index="logs", id="a/1", document=body)["result"] == "updated"
assert es.create(index="logs", id="b", document=body)["result"] == "created"
try:
    es.create(index="logs", id="b", document=body)
    raise SystemExit("a conflict was expected")
except ConflictError:
    pass
# Several records in one document do not shift the numbers of what stands behind.
many = {"_index": "logs", "_id": "m", "Records": [{"message": "marked in", "n": 1}, {"message": "marked in", "n": 2}]}
bad = {"_index": "logs", "_id": "n" * 600, "message": "no"}
ok, failed = helpers.bulk(es, [many, bad, doc(151)], raise_on_error=False)
assert ok == 2 and len(failed) == 1 and failed[0]["index"]["_id"] == "n" * 600, failed
"#;

#[test]
fn the_client_of_elasticsearch_hears_of_each_document() {
    let mut centre = Centre::start_with("", &[("data/rules/r.yml", MARKED)]);
    if python(&centre, "elasticsearch", ELASTIC).is_none() {
        return;
    }
    // 155 in bulk, three alone, two in one.
    assert_eq!(centre.detections(), 160);
    centre.end();
    assert_eq!(centre.archived(), 160);
}

const OTLP: &str = r#"
import logging, sys
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk.resources import Resource
url, token = sys.argv[1:]
exporter = OTLPLogExporter(url + "/v1/logs", headers={"authorization": f"Bearer {token}"}, timeout=60, compression=Compression.Gzip)
provider = LoggerProvider(resource=Resource.create({"host.name": "h1"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=provider))
for n in range(200):
    logger.info("marked %d", n)
logger.info("<38>Nov 24 07:00:00 bastion app[8]: marked in a line")
logger.info("<38>marked without a time")
provider.force_flush()
provider.shutdown()
"#;

#[test]
fn the_exporter_of_opentelemetry_sends_in_protobuf_and_gzip() {
    let mut centre = Centre::start_with("", &[("data/rules/r.yml", MARKED)]);
    if python(&centre, "opentelemetry.exporter.otlp.proto.http", OTLP).is_none() {
        return;
    }
    assert_eq!(centre.detections(), 202);
    let of_host = centre.get("/api/v1/detections?limit=500&host=bastion").json();
    assert_eq!(of_host["items"].as_array().map(Vec::len), Some(1), "{of_host}");
    centre.end();
    assert_eq!(centre.archived(), 202);
}

#[test]
fn lines_of_several_formats_each_reach_their_reader() {
    let mut centre = Centre::start_with("", &[("data/rules/r.yml", MARKED)]);
    let record = |body: &str| serde_json::json!({ "body": { "stringValue": body } });
    let records = serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        record("Nov 24 07:00:00 bastion app[8]: marked in syslog"),
        record("192.0.2.1 - - [24/Nov/2026:07:00:00 +0000] \"GET /a HTTP/1.1\" 200 7"),
        record("marked in no format"),
    ] }] }] });
    let answered = centre.post("/v1/logs", &records);
    assert_eq!((answered.status, answered.body.contains("rejected")), (200, false), "{answered:?}");
    assert!(answered.header("x-elastic-product").is_none(), "it is no Elasticsearch that answers here");
    assert_eq!(centre.detections(), 2);
    centre.end();
    assert_eq!(centre.archived(), 3);
}
