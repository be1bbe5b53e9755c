//! The arguments as they are typed.

mod centre;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use cresset_detect::{Level, Status};
use cresset_event::{Matcher, Timestamp};

pub(crate) use self::centre::{
    AssignArgs, AuditCommand, AuditVerifyArgs, BackupArgs, CentreArgs, CloseArgs, EvidenceArgs, ExcludeArgs,
    IncidentsArgs, MergeArgs, NoteArgs, OrderBy, RestoreArgs, ShowArgs, Shown, SilenceArgs, SplitArgs, StateArgs,
    StatusArgs, TableOrJson, TaskArgs, TokenCommand, TokenIssueArgs, TokenListArgs, TokenRevokeArgs, TuningArgs,
};

/// Reads logs, finds attacks in them, and says what they mean.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Watch(Box<WatchArgs>),
    /// Work with Sigma rules
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Work with indicators: STIX 2.1 bundles, CSV feeds, plain lists
    Indicators {
        #[command(subcommand)]
        command: IndicatorsCommand,
    },
    Hunt(Box<HuntArgs>),
    /// Look after an archive, as `watch --archive` makes it
    Archive {
        #[command(subcommand)]
        command: ArchiveCommand,
    },
    Serve(Box<ServeArgs>),
    /// Work with the configuration of a centre
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    Status(Box<StatusArgs>),
    Incidents(Box<IncidentsArgs>),
    Show(Box<ShowArgs>),
    Assign(Box<AssignArgs>),
    Note(Box<NoteArgs>),
    Task(Box<TaskArgs>),
    State(Box<StateArgs>),
    Close(Box<CloseArgs>),
    Merge(Box<MergeArgs>),
    Split(Box<SplitArgs>),
    Evidence(Box<EvidenceArgs>),
    Exclude(Box<ExcludeArgs>),
    Silence(Box<SilenceArgs>),
    /// Work with tokens: who may do what
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Work with the audit log of a centre
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    Backup(Box<BackupArgs>),
    Restore(Box<RestoreArgs>),
    /// List the log formats that can be read, with an example of each
    Formats,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write an example: every setting, with what holds without it
    Example,
    /// Say what is wrong with a configuration
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Run a centre: take logs in, match, remember, and show what it means, around the clock
///
/// Without a configuration everything lies in ./cresset-data, and only this machine can reach it. It prints a link by which the
/// first administrator comes in. It ends in good order on Ctrl-C or SIGTERM.
#[derive(Debug, Parser)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The configuration; `cresset config example` writes one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything lies that the centre keeps, in place of what the configuration says
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Where it is to listen, in place of what the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// How to write the log; without it text on a terminal, and JSON elsewhere
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log: Option<LogFormat>,
}

/// How the log of a centre is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  cresset serve
      A centre on this machine, in ./cresset-data; rules go into ./cresset-data/rules
  cresset config example > centre.toml; cresset config check centre.toml; cresset serve --config centre.toml
      One that is told what to do
  curl -H \"Authorization: Bearer $TOKEN\" --data-binary @eve.json http://127.0.0.1:8420/api/v1/events
      Deliver a log to it
  CRESSET_LOG=debug cresset serve
      Say more in the log";

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    Stats(ArchiveStatsArgs),
    /// Read every file, and say which are not as they were written
    Verify(ArchiveFolderArgs),
    /// Make few large files of many small ones; a watch does most of it by itself
    Compact(ArchiveFolderArgs),
    Export(ArchiveExportArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    Check(RulesCheckArgs),
    Test(RulesTestArgs),
    Coverage(RulesCoverageArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndicatorsCommand {
    Check(IndicatorsCheckArgs),
}

/// Read logs and show what rules and indicators find in them
///
/// LOGS are files, folders (with all below them), patterns ("/var/log/*.gz") or - for standard input. The format of each
/// is told by its content, and gzip and zstd are unpacked. Nothing is changed and nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchArgs {
    /// What to read
    #[arg(required = true, value_name = "LOGS")]
    pub(crate) logs: Vec<String>,
    /// Sigma rules: a file, or a folder of .yml files; may be given several times
    #[arg(long, short = 'r', value_name = "PATH")]
    pub(crate) rules: Vec<String>,
    /// Take rules over that change while the watch runs: files are looked at every second, and at once on
    /// SIGHUP
    #[arg(long, requires = "rules")]
    pub(crate) reload: bool,
    /// Follow the files as they grow and are rotated, and show what is found at once, until Ctrl-C or SIGTERM
    #[arg(long)]
    pub(crate) follow: bool,
    /// Indicators: a STIX 2.1 bundle, CSV or list, or a folder of them; may be given several times
    #[arg(long, short = 'i', value_name = "PATH")]
    pub(crate) indicators: Vec<String>,
    /// Let indicators fire that name private addresses, public resolvers, hashes of empty files and the like
    #[arg(long)]
    pub(crate) no_warning_list: bool,
    /// How to show what is found
    #[arg(long, short = 'o', value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    /// What the table is grouped by
    #[arg(long, value_enum, default_value_t = GroupBy::Rule, value_name = "BY")]
    pub(crate) group_by: GroupBy,
    /// How many examples the table shows of each group
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) examples: usize,
    /// Leave out detections below this level
    #[arg(long, value_name = "LEVEL")]
    pub(crate) min_level: Option<Level>,
    /// Use only rules of this status; may be given several times
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<Status>,
    /// Use only rules with this tag, such as attack.t1059; may be given several times
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Leave out the rule of this id or title; may be given several times
    #[arg(long, value_name = "RULE")]
    pub(crate) exclude: Vec<String>,
    /// Leave out events before this time (RFC 3339, UTC where no offset is given; or a date)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Leave out events from this time on
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,
    /// Keep in this file what correlations remember, so that a window stays open from one run to the next; with --follow also how
    /// far the files were read, every five seconds
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Remember every event in the archive in this folder, which is made where there is none; what it has already is
    /// not stored again
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: Option<PathBuf>,
    /// Let the archive keep the fields of events only, not the records as they stood in the log
    #[arg(long, requires = "archive")]
    pub(crate) archive_fields_only: bool,
    /// End with status 10 if anything at or above this level was found
    #[arg(long, value_name = "LEVEL")]
    pub(crate) fail_level: Option<Level>,
    /// End with status 1 if anything could not be read
    #[arg(long)]
    pub(crate) strict: bool,
    /// How many threads match events [default: one a core]; 1 does everything on one thread, but for waiting
    /// for a pipe
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

const WATCH_EXAMPLES: &str = "\
Examples:
  cresset watch sample/logs --rules sample/rules --indicators sample/intel
  cresset watch /var/log ../evtx --rules ~/sigma/rules --min-level medium
  cresset watch --follow /var/log/auth.log --rules rules/ --reload      # live, through rotations
  zcat eve.json.gz | cresset watch - --rules rules/ --output jsonl | jq .
  cresset watch '/var/log/auth.log*' -r rules/ --since 2026-11-01 --fail-level high
  cresset watch /var/log -r rules/ --archive past          # remembers everything; see `cresset hunt`
  cresset watch /var/log/auth.log.1 -r rules/ --state day.state   # every night, after the logs were rotated

Exit status: 0 done, whatever was found; 10 something at or above --fail-level was found; 1 an error, or under
--strict anything unreadable; 2 wrong arguments.";

/// Say whether indicators were ever seen, or what a rule would have found
///
/// For indicators and values: how often, first and last when, where, and in which events. Looks in all that `watch --archive` has remembered, in well under a second. Indicators count whatever the dates from which and
/// until which they are valid: what was seen before anybody knew is what a hunt is for. Those that were taken back are left out.
/// For rules: hits a day, on which hosts, and whether that is noise; the events of the time are read for that.
/// For SQL: one SELECT over the tables `events`, which has a column for each field, named as the field is (`describe events` lists
/// them), and `detections`, what watches found; `explain analyze select ...` says what was left out and what took long.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset watch /var/log --rules rules/ --archive past   # remembers what it reads
  cresset hunt --archive past --indicators new.json
  cresset hunt --archive past -i feed.csv -i list.txt --output jsonl | jq 'select(.hosts | length > 1)'
  cresset hunt --archive past --value evil.example --value 198.51.100.0/24
  cresset hunt --archive past --rule new-rule.yml --last 90d   # what it would have found, and how noisy it is
  cresset hunt --archive past --sql \"select host, count(*) as n from events where EventID = '1' group by host order by n desc\"
  cresset hunt --archive past --sql \"select title, count(distinct host) as hosts from detections group by title\"
  cresset hunt --archive past --sql \"select * from events where time >= '2026-11-01'\" --output parquet > november.parquet

Exit status: 0 done, whatever was found; 1 an error, or a part of the archive that cannot be read; 2 wrong arguments.")]
pub(crate) struct HuntArgs {
    /// The archive's folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: PathBuf,
    /// Indicators: a STIX 2.1 bundle, CSV or list, or a folder of them; may be given several times
    #[arg(long, short = 'i', value_name = "PATH", required_unless_present_any = ["value", "rule", "sql"])]
    pub(crate) indicators: Vec<String>,
    /// A value, of which the kind is told by its form: address, range, domain, URL, e-mail address, hash; may be
    /// given several times
    #[arg(long, value_name = "VALUE", value_parser = parse_value)]
    pub(crate) value: Vec<Matcher>,
    /// Sigma rules: a file, or a folder of .yml files; may be given several times
    #[arg(long, short = 'r', value_name = "PATH", conflicts_with_all = ["indicators", "value"])]
    pub(crate) rule: Vec<String>,
    /// A query: one SELECT over the tables `events` and `detections`
    #[arg(long, value_name = "SELECT", conflicts_with_all = ["indicators", "value", "rule"])]
    pub(crate) sql: Option<String>,
    /// Let a query take this long: 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "sql", default_value = "5m")]
    pub(crate) time_limit: Duration,
    /// Let a query have this much memory to sort, group and join: 512M, 4G
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, requires = "sql", default_value = "1G")]
    pub(crate) memory_limit: usize,
    /// Let rules look only at events of this long: 90d, 12h, 2w
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub(crate) last: Option<Duration>,
    /// Keep in this file how far a hunt with rules is, so that the same command goes on with one that was broken off (Ctrl-C);
    /// it is removed at the end
    #[arg(long, value_name = "FILE", requires = "rule")]
    pub(crate) state: Option<PathBuf>,
    /// Hunt indicators too that name private addresses, public resolvers, hashes of empty files and the like
    #[arg(long)]
    pub(crate) no_warning_list: bool,
    /// How to show what was seen
    #[arg(long, short = 'o', value_enum, default_value_t = HuntOutput::Table)]
    pub(crate) output: HuntOutput,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// Say what an archive holds: events, times, log sources, files
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset archive stats past
  cresset archive stats past --output json | jq .events")]
pub(crate) struct ArchiveStatsArgs {
    /// The archive's folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
}

/// Write the events that an archive holds, one JSON object a line, or their records as they stood in the log
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset archive export past --since 2026-11-24 > events.jsonl
  cresset archive export past --since 2026-11-24T07:00:00Z --until 2026-11-24T08:00:00Z | jq 'select(.host == \"web1\")'
  cresset archive export past --raw | cresset watch - --rules new-rules/

Events come in the order of their times within a file, those of the log last. Exit status: 0 done; 1 a part cannot be read.")]
pub(crate) struct ArchiveExportArgs {
    /// The archive's folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Only events of this time and later (2026-11-24 or 2026-11-24T07:00:00Z), and those whose time is not known
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Only events before this time, and those whose time is not known
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,
    /// Write records as they stood in the log, one a line; events of which only the fields were kept are left out
    #[arg(long)]
    pub(crate) raw: bool,
}

/// An archive's folder.
#[derive(Debug, Parser)]
pub(crate) struct ArchiveFolderArgs {
    /// The archive's folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// How what was seen is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HuntOutput {
    /// A table for people
    Table,
    /// One JSON object an indicator that was seen, a rule, or a row
    Jsonl,
    /// Comma-separated values with a header, of a query
    Csv,
    /// A Parquet file, of a query
    Parquet,
}

/// Say which rules load, and of those that do not: file, line and reason
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset rules check ~/sigma/rules
  cresset rules check rules/ --output json | jq .refused

Exit status: 0 every rule loads; 1 some do not.")]
pub(crate) struct RulesCheckArgs {
    /// Rule files, or folders of .yml files
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
}

/// Say whether rules fit events, and why or why not, part by part
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset rules test my-rule.yml --event event.json
  cresset rules test rules/ --event Security.evtx --record 4711
  cresset watch LOGS -r my-rule.yml      # which events of many it fits

Exit status: 0 a rule fits an event; 1 none does, or something cannot be read.")]
pub(crate) struct RulesTestArgs {
    /// Rule files, or folders of .yml files
    #[arg(required = true, value_name = "RULES")]
    pub(crate) paths: Vec<String>,
    /// A log, in any format that `watch` reads, with the events to test
    #[arg(long, value_name = "FILE")]
    pub(crate) event: String,
    /// Test only the record of this number
    #[arg(long, value_name = "N")]
    pub(crate) record: Option<u64>,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// Say which ATT&CK techniques rules cover, and which rules no log can feed
///
/// Of the techniques that the rules' tags name: how many, by tactic, and by how many rules. And the log sources that rules
/// ask for: those that LOGS have none of, or without --logs those that no format gives.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset rules coverage ~/sigma/rules
  cresset rules coverage rules/ --logs /var/log ../evtx
  cresset rules coverage rules/ --navigator layer.json   # for the ATT&CK Navigator
  cresset rules coverage rules/ --output json | jq .sources_missing

Exit status: 0 done; 1 a rule does not load, or something cannot be read or written.")]
pub(crate) struct RulesCoverageArgs {
    /// Rule files, or folders of .yml files
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// Logs as for `watch`: which of the rules could find anything in them
    #[arg(long, value_name = "LOGS", num_args = 1..)]
    pub(crate) logs: Vec<String>,
    /// Write a layer for the ATT&CK Navigator to this file, in place of what is there
    #[arg(long, value_name = "FILE")]
    pub(crate) navigator: Option<PathBuf>,
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// Say which indicators load, by type; which are duplicates, expired or held back; and which are refused, and why
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset indicators check feed.csv list.txt bundle.json
  cresset indicators check intel/ --output json | jq .refused

Exit status: 0 every entry loads; 1 some do not.")]
pub(crate) struct IndicatorsCheckArgs {
    /// Files of indicators, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A table for people, and a summary
    Table,
    /// One JSON object a line for each detection (docs/detection.schema.json)
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// What was found, and where
    Rule,
    /// Where, and what was found there
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckOutput {
    /// For people
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// Returns whether to use colours on `stream`.
    pub(crate) fn wanted_on(self, stream: &impl io::IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// Most threads that can be asked for: past the cores of any machine they only cost memory.
const THREADS_MAX: usize = 1024;

fn parse_threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=THREADS_MAX).contains(number));
    number.ok_or_else(|| format!("not a number from 1 to {THREADS_MAX}"))
}

fn parse_value(text: &str) -> Result<Matcher, String> {
    Matcher::parse(text).ok_or_else(|| "no address, range, domain, URL, e-mail address or hash".into())
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let bad = || "not a time; write 90d, 12h, 30m or 2w".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let seconds: u64 = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(bad)
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let bad = || "not a number of bytes; write 512M or 4G".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(bad()),
    };
    let number: usize = number.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse_rfc3339(&whole).map_err(|_| "not a time; write 2026-11-24 or 2026-11-24T07:00:00Z".into())
}
