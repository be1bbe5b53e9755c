//! `cresset serve`: everything started, in its order, and ended in the other.
//!
//! Started: records, picture, rules, archive, watch, desk, listeners. Ended: listeners first, then requests, the watch (whose
//! archive is closed), the desk, the records. What was acknowledged is on the disk at any moment, so that being killed costs
//! no more than a repair at the next start.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cresset_archive::{ArchiveError, Keep, Writer, WriterOptions};
use cresset_detect::Detector;
use cresset_event::{FieldNames, Timestamp};
use cresset_pipeline::{
    FeedChanged, Feeds, Following, Reloads, StateError, Watch, WatchOptions, find_sources, load_state,
};
use cresset_store::{By, Store, StoreError, StoreOptions};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use crate::app::App;
use crate::config::Config;
use crate::desk::{Desk, DeskState, ORDERS_MAX, Order};
use crate::fetch::Fetching;
use crate::floor::{Floor, PARTS_MAX, Part};
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::pictured::picture_of;
use crate::retro::{HuntedFiles, Retro};
use crate::rules::{self, RulesState};
use crate::server;
use crate::sources::Sources;
use crate::syslog::{self, SyslogError};
use crate::tls::{self, Certified, TlsError};
use crate::{api, backup, evidence, files, local, once, tuned};

/// The archive, in the centre's folder.
const ARCHIVE: &str = "archive";
/// How long ending in good order may take.
const ENDING_MAX: Duration = Duration::from_secs(20);
/// How often the totals of sources are saved, and silent ones looked for.
const SOURCES_EVERY: Duration = Duration::from_secs(5);
/// How long the link for the first administrator holds.
const FIRST_RUN_NANOS: i64 = 24 * 3600 * 1_000_000_000;

/// Why a centre cannot be started, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used:\n{}", .0.join("\n"))]
    Config(Vec<String>),
    /// A folder cannot be made.
    #[error("cannot make the folder `{}`", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Another centre runs there.
    #[error("another centre has its data in `{}` and runs; end it first, or name another folder with `data`", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Nobody can listen there.
    #[error("cannot listen on {address}; name another address with `listen`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The records cannot be opened.
    #[error("cannot open the records")]
    Store(#[from] StoreError),
    /// The archive cannot be opened or closed.
    #[error("cannot open or close the archive")]
    Archive(#[from] ArchiveError),
    /// What an earlier run remembered cannot be restored.
    #[error("cannot restore `{}`: put a copy in its place, or remove it and begin anew", .file.display())]
    State {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: StateError,
    },
    /// The list of assets cannot be used.
    #[error("cannot use the assets in `{}`: {cause}", .file.display())]
    Assets {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// Feeds cannot be fetched over TLS.
    #[error("cannot fetch feeds over TLS")]
    Outbound(#[from] cresset_outbound::TlsError),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Syslog cannot be listened to.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// The watch has ended of itself.
    #[error("the watch has ended")]
    Watch(#[source] io::Error),
    /// What lets whoever owns the folder in cannot be written.
    #[error("cannot write `{}`", .file.display())]
    Local {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A thread cannot be started, or signals cannot be heard.
    #[error("the system does not let us start")]
    System(#[source] io::Error),
}

/// What a person is told once a centre runs.
#[derive(Debug)]
pub struct Started {
    /// Where pages and API are.
    pub url: String,
    /// The link by which the first administrator comes in, where there is none yet.
    pub first_run: Option<String>,
    /// The fingerprint of the certificate, where TLS is on.
    pub fingerprint: Option<String>,
    /// Where everything lies.
    pub data: PathBuf,
}

/// Runs a centre until SIGINT or SIGTERM. `started` is told when it can be used.
pub async fn serve(config: Config, started: impl FnOnce(&Started)) -> Result<(), ServeError> {
    let wrong = config.check();
    if !wrong.is_empty() {
        return Err(ServeError::Config(wrong));
    }
    let shares = files::shares(files::raise());
    make_folders(&config.data)?;
    // Before anything in it is touched.
    let _lock = lock(&config.data)?;
    backup::remove_left(&config.data);
    evidence::remove_left(&config.data);
    let (ask_stop, stop) = watch::channel(false);
    let store = open_store(&config).await?;
    let (intake, deliveries, waiting) = Intake::new(config.intake.waiting_bytes_max);
    let sources = Arc::new(Sources::new(store.sources().await?, Timestamp::now()));
    let rules = Arc::new(RulesState::default());
    let (live, desk_state) = (Live::new(), Arc::new(DeskState::default()));
    let (parts, parts_taken) = mpsc::channel(PARTS_MAX);
    let (orders, orders_taken) = mpsc::channel(ORDERS_MAX);
    let state_file = config.data.join("state");
    let (picture, told_since) = picture_of(&store).await?;
    let desk = Desk {
        picture,
        told_since,
        tuning: tuned::load(&store).await?,
        store: store.clone(),
        waiting,
        sources: Arc::clone(&sources),
        live: live.clone(),
        state: Arc::clone(&desk_state),
        forgot_at: Timestamp::now(),
        state_file: state_file.clone(),
    };
    let is_enough = Arc::new(AtomicBool::new(false));
    let following = Following { deliveries, ..following(&config, Arc::clone(&is_enough)) };
    // Before the feeds are looked at: of some the files are taken away.
    let fetching = Fetching::prepare(&config)?;
    let watch = Watching::prepare(&config, following, &state_file, &rules)?;
    let certified = if config.is_tls() || config.intake.syslog_tls.is_some() {
        Some(tls::load(&config.tls, &config.data)?)
    } else {
        None
    };
    let cannot_listen = |address| move |cause| ServeError::Listen { address, cause };
    let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen(config.listen))?;
    let address = listener.local_addr().map_err(cannot_listen(config.listen))?;
    let is_tls = config.is_tls();
    let limits = Limits::new(&config.limits);
    let app = Arc::new(App {
        config,
        store: store.clone(),
        intake,
        sources,
        live,
        limits,
        desk: desk_state,
        orders,
        rules,
        fetched: Arc::clone(&fetching.standings),
        began: Timestamp::now(),
        stop: stop.clone(),
        is_tls,
        backups: Arc::new(Semaphore::new(1)),
        arriving: Semaphore::new(evidence::ARRIVING_MAX),
    });
    let syslog = syslog::listen(&app, certified.as_ref(), shares.syslog).await?;
    let desk = tokio::spawn(desk.run(parts_taken, orders_taken));
    let watching = watch.start(parts, ask_stop.clone(), Arc::clone(&app))?;
    let fetching = fetching.start(Arc::clone(&app)).map_err(ServeError::System)?;
    let chores = tokio::spawn(chores(Arc::clone(&app)));
    take_assets(&app).await?;
    let signals = signals(ask_stop.clone()).map_err(ServeError::System)?;
    let told = told(&app, address, certified.as_ref()).await?;
    local::open(&app, address, told.fingerprint.clone()).await?;
    started(&told);
    let acceptor = certified.filter(|_| is_tls).map(|certified| certified.acceptor);
    server::serve(listener, acceptor, api::router(Arc::clone(&app)), stop, shares.http).await;
    syslog.end().await;
    is_enough.store(true, Ordering::Relaxed);
    let joined = move || {
        // One that was lost was told by its panic.
        let _ = fetching.join();
        watching.join()
    };
    let watched = tokio::task::spawn_blocking(joined).await;
    // The watch was the last that passes anything on.
    let _ = desk.await;
    chores.abort();
    signals.abort();
    save_sources(&app).await;
    local::close(&app).await;
    store.close().await;
    match watched {
        Ok(Ok(ended)) => ended,
        _ => Err(ServeError::Watch(io::Error::other("its thread was lost"))),
    }
}

fn make_folders(data: &Path) -> Result<(), ServeError> {
    for folder in [data.to_owned(), data.join("rules"), data.join("indicators")] {
        let make = || {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(&folder)
        };
        make().map_err(|cause| ServeError::Folder { folder: folder.clone(), cause })?;
    }
    Ok(())
}

/// Keeps others off the folder as long as it is held, also where we are killed.
fn lock(data: &Path) -> Result<File, ServeError> {
    let failed = |cause| ServeError::Folder { folder: data.to_owned(), cause };
    let lock = File::create(data.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse { folder: data.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

async fn open_store(config: &Config) -> Result<Store, StoreError> {
    let file = config.data.join("records.db");
    Store::open(&format!("sqlite:{}", file.display()), StoreOptions::default()).await
}

/// Puts the operator's list of assets in force, where it is another than the one that is.
async fn take_assets(app: &App) -> Result<(), ServeError> {
    let Some(file) = &app.config.assets else { return Ok(()) };
    let unusable = |cause: String| ServeError::Assets { file: file.clone(), cause };
    let text = fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let form = if file.extension().is_some_and(|extension| extension == "csv") { "csv" } else { "toml" };
    let is_same = app.store.assets().await?.is_some_and(|row| row.form == form && row.text == text);
    if !is_same {
        tuned::assets(form, &text).map_err(|problem| unusable(problem.detail().to_owned()))?;
        let by = By { actor: "configuration".into(), at: Timestamp::now() };
        let order = Order::SetAssets(form.into(), text);
        let ordered = app.order_by(by, None, order, |_| once::nothing()).await;
        ordered.map_err(|problem| unusable(problem.detail().to_owned()))?;
    }
    Ok(())
}

fn following(config: &Config, is_enough: Arc<AtomicBool>) -> Following {
    let (follow, data) = (config.intake.follow.clone(), config.data.clone());
    let find = move || {
        let (mut sources, _) = find_sources(&follow);
        let own = data.canonicalize().unwrap_or_else(|_| data.clone());
        sources.retain(|source| match source {
            cresset_pipeline::SourcePath::File(path, _) => {
                !path.canonicalize().is_ok_and(|path| path.starts_with(&own))
            }
            cresset_pipeline::SourcePath::Stdin => false,
        });
        sources
    };
    Following { find: Arc::new(find), ..Following::new(is_enough) }
}

/// The watch, ready to be started.
struct Watching {
    watch: Watch,
    following: Following,
    /// Feeds, read, and what the first look at them found.
    feeds: (Feeds, Vec<FeedChanged>),
}

impl Watching {
    fn prepare(
        config: &Config,
        mut following: Following,
        state_file: &Path,
        rules: &Arc<RulesState>,
    ) -> Result<Self, ServeError> {
        let names = Arc::new(FieldNames::new());
        let threads = config.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let reloader = rules::load(config, &names, rules);
        let mut feeds = rules::feeds(config, threads);
        let first = feeds.look();
        rules.feeds_changed(&first, feeds.set().len());
        let mut detector = Detector::new(Arc::clone(reloader.book().set()), Arc::clone(feeds.set()));
        let loaded = load_state(state_file, &mut detector);
        let loaded = loaded.map_err(|cause| ServeError::State { file: state_file.to_owned(), cause })?;
        if let Some((positions, restored)) = loaded {
            info!(groups = restored.groups, events = restored.events, "correlations remember earlier runs");
            following.positions = positions;
        }
        let keep = if config.archive.fields_only { Keep::Fields } else { Keep::Raw };
        let options = WriterOptions { keep, ..WriterOptions::default() };
        let (writer, repaired) = Writer::open(&config.data.join(ARCHIVE), options)?;
        if repaired.events > 0 || repaired.torn_bytes > 0 || repaired.damaged_parts > 0 {
            warn!(?repaired, "the last run was cut off; what of its log could be read was saved");
        }
        let state = Arc::clone(rules);
        let reloads: Reloads = reloader.spawn(move |reloaded| state.reloaded(reloaded));
        let options = WatchOptions { threads, ..WatchOptions::default() };
        let watch = Watch::new(names, detector, options).with_archive(writer).with_reloads(reloads);
        Ok(Self { watch, following, feeds: (feeds, first) })
    }

    /// Starts the watch, and what looks into the past beside it, each on a thread of its own. Where the watch ends of itself the
    /// centre ends.
    fn start(
        self,
        parts: mpsc::Sender<Part>,
        ask_stop: watch::Sender<bool>,
        app: Arc<App>,
    ) -> Result<thread::JoinHandle<Result<(), ServeError>>, ServeError> {
        let Self { watch, following, feeds: (feeds, first) } = self;
        let retro = Retro {
            archive: app.config.data.join(ARCHIVE),
            feeds,
            first,
            rule_files: rules::files(&app.config),
            hunted: HuntedFiles::load(&app.config.data),
            desk: parts.clone(),
            stop: app.stop.clone(),
            state: Arc::clone(&app.rules),
        };
        let retro = retro.start().map_err(ServeError::System)?;
        let mut floor = Floor::new(parts);
        let run = move || {
            let sources = (following.find)();
            let mut watch = watch.following(following);
            let ran = watch.run(&sources, &mut floor);
            if let Err(error) = &ran {
                error!(%error, "the watch has ended");
                app.desk.has_watch_failed.store(true, Ordering::Relaxed);
                ask_stop.send_replace(true);
            }
            if let Some(writer) = watch.take_archive()
                && let Some(error) = writer.close()?
            {
                warn!(error = error.with_causes(), "all events are there, and files were not merged");
            }
            // One that was lost was told by its panic.
            let _ = retro.join();
            ran.map(drop).map_err(ServeError::Watch)
        };
        thread::Builder::new().name("watch".into()).spawn(run).map_err(ServeError::System)
    }
}

/// What is done every few seconds.
async fn chores(app: Arc<App>) {
    let mut ticks = interval(SOURCES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let after_seconds = app.config.intake.silent_after_seconds;
    loop {
        ticks.tick().await;
        save_sources(&app).await;
        if after_seconds > 0 {
            for (name, seconds) in app.sources.fallen_silent(after_seconds, Timestamp::now()) {
                warn!(source = name, seconds, "a source has fallen silent");
                app.tell_own("source_silent", &[("source", &name), ("silent_seconds", &seconds.to_string())]);
            }
        }
    }
}

async fn save_sources(app: &App) {
    // They are saved again in some seconds.
    if let Err(error) = app.store.save_sources(&app.sources.rows()).await {
        warn!(error = cresset_archive::with_causes(&error), "the totals of sources cannot be saved");
    }
}

/// Listens to SIGINT and SIGTERM: the first ends the centre in good order, the second at once. So does time, where the first is not
/// enough: on a full disk what was not acknowledged would wait for room.
fn signals(ask_stop: watch::Sender<bool>) -> io::Result<JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => signal_hook::consts::SIGINT,
                _ = terminate.recv() => signal_hook::consts::SIGTERM,
            }
        };
        next().await;
        info!("ending; a second signal ends at once");
        ask_stop.send_replace(true);
        let second = timeout(ENDING_MAX, next()).await.unwrap_or_else(|_| {
            let seconds = ENDING_MAX.as_secs();
            error!(seconds, "not ended in good order by now, and ends at once: what was not acknowledged is not kept");
            signal_hook::consts::SIGTERM
        });
        // As if there were no handler: nothing that was acknowledged is lost by it.
        let _ = signal_hook::low_level::emulate_default_handler(second);
    }))
}

async fn told(app: &App, address: SocketAddr, certified: Option<&Certified>) -> Result<Started, ServeError> {
    let scheme = if app.is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    let now = Timestamp::now();
    let secret = app.store.first_run_secret(now, now.saturating_add_nanos(FIRST_RUN_NANOS)).await?;
    let first_run = secret.map(|secret| format!("{url}/first-run?secret={}", secret.reveal()));
    let fingerprint = certified.filter(|_| app.is_tls).map(|certified| certified.fingerprint.clone());
    Ok(Started { url, first_run, fingerprint, data: app.config.data.clone() })
}
