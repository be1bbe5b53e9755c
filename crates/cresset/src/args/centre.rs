//! The arguments of the commands that ask a centre that runs.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::{CheckOutput, ColorChoice};

/// Which centre is asked.
#[derive(Debug, Clone, Parser)]
pub(crate) struct CentreArgs {
    /// Where the centre is [default: that of --data; env: CRESSET_URL]
    #[arg(long, value_name = "URL", help_heading = "Centre")]
    pub(crate) url: Option<String>,
    /// What lets us in; better in the environment than here, where others see it [env: CRESSET_TOKEN]
    #[arg(long, value_name = "TOKEN", help_heading = "Centre")]
    pub(crate) token: Option<String>,
    /// The folder of a centre that runs on this machine: whoever owns it needs neither address nor token
    #[arg(long, value_name = "FOLDER", default_value = "cresset-data", help_heading = "Centre")]
    pub(crate) data: PathBuf,
    /// Believe certificates that these authorities signed, in PEM, and not the system's
    #[arg(long, value_name = "FILE", help_heading = "Centre", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// Believe the certificate of this SHA-256 alone, as `cresset serve` prints it
    #[arg(long, value_name = "SHA256", help_heading = "Centre")]
    pub(crate) fingerprint: Option<String>,
}

/// List incidents
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset incidents                                   # what is open, the most urgent first
  cresset incidents --priority P1 --owner ''          # urgent, and nobody works on it
  cresset incidents --state closed:false-positive --order last --limit 20
  cresset incidents -o json | jq -r '.items[] | [.priority, .title] | @tsv'
  cresset incidents --url https://centre.example:8420 --ca centre.pem

Exit status: 0 done; 1 an error; 2 wrong arguments.")]
pub(crate) struct IncidentsArgs {
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    /// `open`, `closed`, `all`, or a state such as triage or closed:false-positive
    #[arg(long, value_name = "STATE", default_value = "open")]
    pub(crate) state: String,
    /// Of this priority: P1 to P4
    #[arg(long, value_name = "P")]
    pub(crate) priority: Option<String>,
    /// Those that this person works on; '' for those that nobody works on
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// With this in the title
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// What comes first
    #[arg(long, value_enum, default_value_t = OrderBy::Priority, value_name = "BY")]
    pub(crate) order: OrderBy,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, Parser)]
pub(crate) struct Shown {
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = TableOrJson::Table)]
    pub(crate) output: TableOrJson,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableOrJson {
    /// For people
    Table,
    /// What the API answered
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderBy {
    /// The most urgent
    Priority,
    /// That in which something happened last
    Last,
}

/// Show all of an incident: why it is urgent, what is in it and why, and what people did
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset show 3f1c          # the beginning of an id is enough where it is of one incident only
  cresset show 3f1c -o json | jq .detections

Exit status: 0 done; 1 an error; 2 wrong arguments.")]
pub(crate) struct ShowArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// Hand an incident to somebody
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset assign 3f1c ana
  cresset assign 3f1c --nobody")]
pub(crate) struct AssignArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Who works on it from now on
    #[arg(value_name = "NAME", required_unless_present = "nobody")]
    pub(crate) name: Option<String>,
    /// Nobody works on it any more
    #[arg(long, conflicts_with = "name")]
    pub(crate) nobody: bool,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Write something down about an incident
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cresset note 3f1c 'web1 is off the network since 07:40'")]
pub(crate) struct NoteArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Say what is to be done about an incident, or that it is done
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset task 3f1c 'take an image of web1'
  cresset task 3f1c --done 812         # numbers are in `cresset show 3f1c`")]
pub(crate) struct TaskArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What is to be done
    #[arg(value_name = "TEXT", required_unless_present = "done")]
    pub(crate) text: Option<String>,
    /// The number of the task that is done
    #[arg(long, value_name = "N", conflicts_with = "text")]
    pub(crate) done: Option<u64>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Make two incidents one
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cresset merge 3f1c 9a02        # 9a02 goes up in 3f1c")]
pub(crate) struct MergeArgs {
    /// The incident that stays
    #[arg(value_name = "INTO")]
    pub(crate) into: String,
    /// The one that goes up in it
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Make an incident of some detections of another
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cresset split 3f1c 77d0 81aa   # detections, by the beginnings of their ids")]
pub(crate) struct SplitArgs {
    /// The incident that they are in
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// They
    #[arg(value_name = "DETECTION", required = true)]
    pub(crate) detections: Vec<String>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Move an incident on: triage, contained, eradicated, recovered
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  cresset state 3f1c contained\n  cresset state 3f1c triage      # opens a closed one again"
)]
pub(crate) struct StateArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Its new state
    #[arg(value_name = "STATE")]
    pub(crate) state: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Close an incident with a verdict
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cresset close 3f1c --verdict false-positive")]
pub(crate) struct CloseArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What it was: true-positive, benign-positive, false-positive, undetermined or duplicate
    #[arg(long, value_name = "VERDICT")]
    pub(crate) verdict: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Keep a file as evidence of an incident, or fetch one
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset evidence 3f1c memory-of-web1.raw
  cresset evidence 3f1c again.raw --fetch 17             # 17: its number, as `cresset show 3f1c` tells it

Exit status: 0 it is kept, or here; 1 it is not; 2 wrong arguments.")]
pub(crate) struct EvidenceArgs {
    /// The incident's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The file that is to be kept; with --fetch the file that is to be, which must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Fetch the evidence of this number instead
    #[arg(long, value_name = "NUMBER")]
    pub(crate) fetch: Option<u64>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Say how a centre is: what comes in, from where, and what is wrong
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset status
  cresset status -o json | jq .status.rate

Exit status: 0 all is well; 1 something is wrong with it, or it cannot be asked; 2 wrong arguments.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Issue(TokenIssueArgs),
    /// List tokens, without their secrets
    List(TokenListArgs),
    /// Take a token back, at once
    Revoke(TokenRevokeArgs),
}

/// Issue a token; its secret is shown this once
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset token issue --name ana --role analyst
  cresset token issue --name filebeat --role exercise_director --scope ingest
  cresset token issue --name prometheus --role viewer --scope read --expires 2027-01-01")]
pub(crate) struct TokenIssueArgs {
    /// What people call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// viewer, analyst, watch_officer, intelligence_officer, exercise_director or administrator
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: String,
    /// Only this right of those of the role; may be given several times
    #[arg(long, value_name = "RIGHT")]
    pub(crate) scope: Vec<String>,
    /// Until when it holds (RFC 3339, or a date)
    #[arg(long, value_name = "TIME", value_parser = super::parse_time)]
    pub(crate) expires: Option<cresset_event::Timestamp>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

#[derive(Debug, Parser)]
pub(crate) struct TokenListArgs {
    /// Those too that hold no more
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

#[derive(Debug, Parser)]
pub(crate) struct TokenRevokeArgs {
    /// The token's id, as `cresset token list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    Verify(AuditVerifyArgs),
}

/// Say whether the audit log is as it was written
///
/// By the centre where it runs, else in its folder. Who noted a head before finds by it whether the end was cut off or all of it
/// made anew since.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset audit verify
  cresset audit verify --data /srv/cresset --head 4711:9d3f…    # a head that was noted elsewhere

Exit status: 0 it is; 1 it is not, or cannot be read; 2 wrong arguments.")]
pub(crate) struct AuditVerifyArgs {
    /// What was noted: how many lines, and the digest of the last
    #[arg(long, value_name = "COUNT:HASH", value_parser = parse_head)]
    pub(crate) head: Option<(u64, String)>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    /// How to show it
    #[arg(long, short = 'o', value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
}

fn parse_head(text: &str) -> Result<(u64, String), String> {
    let bad = || "not COUNT:HASH, as `cresset audit verify` prints it".to_owned();
    let (count, hash) = text.split_once(':').ok_or_else(bad)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let count = count.parse().ok().filter(|_| is_hash).ok_or_else(bad)?;
    Ok((count, hash.to_ascii_lowercase()))
}

/// Leave detections out of incidents that are known and harmless
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset exclude --rule 11111111-1111-4111-8111-111111111111 --host build1 --reason 'the nightly build' --until 2027-01-01
  cresset exclude --field 'CommandLine=backup.exe /all' --reason 'backup' --until 2027-01-01
  cresset exclude --list
  cresset exclude --end ID")]
pub(crate) struct ExcludeArgs {
    /// Of this rule or indicator, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) rule: Option<String>,
    /// On this machine
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Of this account
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Of this program
    #[arg(long, value_name = "PROCESS")]
    pub(crate) process: Option<String>,
    /// Where the detection shows this; may be given several times
    #[arg(long, value_name = "FIELD=VALUE", value_parser = parse_pair)]
    pub(crate) field: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) tuning: TuningArgs,
}

/// Leave all detections of a rule out of incidents for a while
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset silence --rule 11111111-1111-4111-8111-111111111111 --reason 'fires on every login; being rewritten' --until 2026-12-01
  cresset silence --list
  cresset silence --end ID")]
pub(crate) struct SilenceArgs {
    /// The rule or indicator, by its id
    #[arg(long, value_name = "ID", required_unless_present_any = ["list", "end"])]
    pub(crate) rule: Option<String>,
    #[command(flatten)]
    pub(crate) tuning: TuningArgs,
}

/// What exclusions and silences have in common.
#[derive(Debug, Parser)]
pub(crate) struct TuningArgs {
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["list", "end"])]
    pub(crate) reason: Option<String>,
    /// Until when it holds (RFC 3339, or a date)
    #[arg(long, value_name = "TIME", value_parser = super::parse_time, required_unless_present_any = ["list", "end"])]
    pub(crate) until: Option<cresset_event::Timestamp>,
    /// List those that hold
    #[arg(long, conflicts_with = "end")]
    pub(crate) list: bool,
    /// Take the one of this id back
    #[arg(long, value_name = "ID")]
    pub(crate) end: Option<String>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("not FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Make a backup of all that a centre keeps, while it runs
///
/// One file, sealed with a passphrase: who has lost that has lost the backup. It is there whole, and was read through once, or not
/// at all.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset backup /mnt/elsewhere/cresset-2026-11-28.bak --passphrase-file /root/backup-passphrase
  cresset backup cresset.bak --data /srv/cresset         # asks for a passphrase
  cresset restore cresset.bak --verify                   # only reads it through

Exit status: 0 it is there; 1 it is not; 2 wrong arguments.")]
pub(crate) struct BackupArgs {
    /// The file that is to be; it must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The passphrase, in the first line of this file; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) centre: CentreArgs,
}

/// Make a centre of a backup again, in a new folder
///
/// Everything is read through and compared with its checksums before the folder is there. Tokens let in whoever they let in then,
/// also where they were taken back since: look at them first.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cresset restore cresset.bak --data /srv/cresset-again && cresset serve --data /srv/cresset-again
  cresset restore cresset.bak --verify

Exit status: 0 done; 1 it cannot be restored; 2 wrong arguments.")]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder that is to be; it must be empty, or not there yet
    #[arg(long, value_name = "FOLDER", required_unless_present = "verify")]
    pub(crate) data: Option<PathBuf>,
    /// Only read the backup through, and say what it is of
    #[arg(long, conflicts_with = "data")]
    pub(crate) verify: bool,
    /// Let none of its tokens in again: the new centre tells a link for its first administrator, as at the very first start
    #[arg(long, conflicts_with = "verify")]
    pub(crate) without_tokens: bool,
    /// The passphrase, in the first line of this file; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
