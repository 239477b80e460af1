//! One instance of the plugin: what its audio thread, its host's main thread and its editor share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use nice_plug::context::gui::GuiContext;
use nice_plug::prelude::{Param, ParamPtr};
use parking_lot::Mutex;
use try_lock::TryLock;

use super::audio::{AudioThread, Controls, LiveStream, Position};
use super::log::{self, LogSender, Subject};
use super::machine::EngineFile;
use super::monitor::{Monitor, Status};
use super::offline;
use super::outputs::{Output, Values};
use super::params::{BonafideParams, HOLD_UNTIL_RESET_S};
use super::recorder::Recorder;
use crate::detect::EngineSettings;
use crate::engine::{
    InferenceService, StreamConfig, StreamHandle, StreamProcessor, StreamWorker, WorkerConfig,
};
use crate::model::{Model, ModelError};
use crate::rt::{ScoreCell, Scores, Settings, SoundProducer, State};

/// Windows of a stream that may wait beside its queue.
const MAX_PENDING: usize = 1;

/// How long the end of a live stream that is logged may take: a window's time, and no more than a
/// main thread can be kept waiting.
const GRACE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Instance {
    /// What the host and the user set.
    pub params: Arc<BonafideParams>,
    /// What the editor shows.
    pub monitor: Arc<Monitor>,
    /// The editor's way to the host, if a format has one of its own.
    pub context: OnceLock<GuiContext>,
    audio: TryLock<AudioThread>,
    resets: AtomicU32,
    host: Mutex<Option<Host>>,
    stream: Mutex<Option<Stream>>,
    /// Loads a model, or begins or ends a log, for the editor.
    loader: Mutex<Option<JoinHandle<()>>>,
    /// Threads that write logs; they end with their streams.
    loggers: Mutex<Vec<JoinHandle<()>>>,
}

/// What the host has last activated the plugin for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// Sample rate in Hz.
    pub rate: f64,
    /// Renders offline: time doesn't matter, completeness does.
    pub offline: bool,
}

/// The main thread's end of a stream.
struct Stream {
    host: Host,
    model: String,
    log: Option<PathBuf>,
    engine: Result<EngineFile, String>,
    handle: Option<StreamHandle>,
}

impl Default for Instance {
    fn default() -> Self {
        let monitor = Arc::<Monitor>::default();
        monitor.lock().log.folder = log::wanted();
        Self {
            params: Arc::default(),
            monitor,
            context: OnceLock::new(),
            audio: TryLock::new(AudioThread::default()),
            resets: AtomicU32::new(0),
            host: Mutex::new(None),
            stream: Mutex::new(None),
            loader: Mutex::new(None),
            loggers: Mutex::default(),
        }
    }
}

impl Instance {
    /// Gets ready for `host`. Main thread. A failure is no reason not to pass audio: it is shown.
    pub fn activate(&self, host: Host) {
        *self.host.lock() = Some(host);
        self.build();
        self.cut();
    }

    /// Takes what a loaded project says that isn't a parameter. Main thread.
    pub fn refresh(&self) {
        self.build();
    }

    /// The next block doesn't follow on the last one. Real-time safe.
    pub fn cut(&self) {
        if let Some(mut audio) = self.audio.try_lock() {
            audio.cut();
        }
    }

    /// Starts a new measurement, and shows that at once, also where no sound comes.
    pub fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.monitor.lock().scores = Scores::default();
    }

    /// Judges by the model with this manifest from now on, the embedded one if empty. Returns at
    /// once; errors appear in the status.
    pub fn set_model(self: &Arc<Self>, manifest: String) {
        if let Ok(mut model) = self.params.model.write() {
            *model = manifest;
        }
        self.rebuild();
    }

    /// Begins to log into `folder`, or ends it; either begins a new measurement. Returns at once;
    /// problems appear in the display.
    pub fn set_log(self: &Arc<Self>, folder: Option<PathBuf>) {
        self.monitor.lock().log.folder = folder;
        self.rebuild();
    }

    /// Judges by another engine from now on, here, and in other instances when they are next activated.
    /// Returns at once; errors appear in the status.
    pub fn set_engine(self: &Arc<Self>, engine: &EngineFile) {
        match engine.write() {
            Ok(()) => self.rebuild(),
            Err(problem) => {
                let problem = format!("the engine's settings could not be kept: {problem}");
                self.monitor.lock().status.error = Some(problem);
            }
        }
    }

    /// Builds another stream on a thread of its own.
    fn rebuild(self: &Arc<Self>) {
        let mut loader = self.loader.lock();
        if let Some(before) = loader.take() {
            let _ = before.join();
        }
        let this = Arc::downgrade(self);
        let load = move || {
            if let Some(this) = this.upgrade() {
                this.build();
            }
        };
        // Without a thread the editor has to wait.
        match std::thread::Builder::new().name("bonafide-load".to_owned()).spawn(load) {
            Ok(thread) => *loader = Some(thread),
            Err(_) => self.build(),
        }
    }

    /// Builds a stream for the host as it is now, unless the one at hand fits or there is no host yet. Never on
    /// the audio thread.
    fn build(&self) {
        let model = self.params.model.read().map(|model| model.clone()).unwrap_or_default();
        let engine = EngineFile::read();
        let mut stream = self.stream.lock();
        let Some(host) = *self.host.lock() else { return };
        let log = self.monitor.lock().log.folder.clone();
        let same = |s: &Stream| s.host == host && s.model == model && s.log == log && s.engine == engine;
        if stream.as_ref().is_some_and(|s| same(s) && s.handle.is_some()) {
            return;
        }
        let settings = EngineFile::settings_of(&engine);
        let (live, handle) = match self.open(host, &model, log.clone(), settings) {
            Ok((live, handle)) => (Some(live), Some(handle)),
            Err(error) => {
                let mut display = self.monitor.lock();
                display.scores = Scores::none(State::Error);
                display.status = Status { error: Some(error.to_string()), ..Status::default() };
                (None, None)
            }
        };
        let before = self.replace(live);
        let handle_before = stream.replace(Stream { host, model, log, engine, handle });
        drop(stream);
        end(before);
        drop(handle_before);
    }

    fn replace(&self, mut live: Option<LiveStream>) -> Option<LiveStream> {
        loop {
            // The audio thread may hold it for a block's time; it never waits, so this side does.
            if let Some(mut audio) = self.audio.try_lock() {
                return audio.replace(live.take());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn open(
        &self,
        host: Host,
        model: &str,
        log: Option<PathBuf>,
        settings: EngineSettings,
    ) -> Result<(LiveStream, StreamHandle), ModelError> {
        let model = if model.is_empty() { Model::embedded()? } else { Model::shared(model.as_ref())? };
        let manifest = &model.manifest;
        let config = StreamConfig::at(host.rate);
        let (processor, queue) = StreamProcessor::new(&manifest.front_end, config).map_err(|error| {
            let cure = "set the host to a sample rate of 8 to 384 kHz";
            ModelError::new("the host's sample rate", error.to_string(), cure)
        })?;
        let hop_s = self.params.detection.hop.value().into();
        let config = WorkerConfig { hop_s, max_pending: MAX_PENDING, lossless: host.offline };
        let worker = StreamWorker::new(manifest, queue, config);
        let cell = worker.cell().clone();
        let service = InferenceService::shared().map_err(|error| {
            let problem = format!("no thread could be started: {error}");
            ModelError::new("the inference service", problem, "close other programs and reload the plugin")
        })?;
        let subject = Subject { model: model.clone(), rate: host.rate, offline: host.offline };
        let (log, sender) = log.and_then(|folder| self.log(folder, subject)).unzip();
        let recorder = Recorder::new(self.monitor.clone(), manifest, model.title(), sender);
        let handle = service.add(worker, model.clone(), settings, recorder);
        let shown = Arc::<ScoreCell>::default();
        self.monitor.lock().shown = Some(shown.clone());
        let live = LiveStream {
            processor,
            cell,
            shown,
            window: (manifest.window.frames * manifest.front_end.hop) as u64,
            model_rate: manifest.front_end.sample_rate.into(),
            host_rate: host.rate,
            offline: host.offline.then(|| handle.waker()),
            log,
        };
        Ok((live, handle))
    }

    /// Starts a log. Without one, judging goes on all the same.
    fn log(&self, folder: PathBuf, subject: Subject) -> Option<(SoundProducer, LogSender)> {
        let mut loggers = self.loggers.lock();
        loggers.retain(|logger| !logger.is_finished());
        match log::start(folder, subject, &self.monitor) {
            Ok((sound, windows, thread)) => {
                loggers.push(thread);
                Some((sound, windows))
            }
            Err(error) => {
                let problem = format!("no log: no thread could be started: {error}");
                self.monitor.lock().log.problem = Some(problem);
                None
            }
        }
    }

    /// Takes a block and returns what the host is to be told, and whether the transport rolls;
    /// nothing while the main thread sets something up.
    ///
    /// Real-time safe, unless the host renders offline: then it waits until all is judged.
    pub fn process<C: AsRef<[f32]>>(&self, channels: &[C], position: Position) -> Option<(Values, bool)> {
        // Taken for a moment: this block passes without being judged, and the next begins anew.
        let mut audio = self.audio.try_lock()?;
        let controls = self.controls();
        if audio.stream().is_some_and(|stream| stream.offline.is_some()) {
            offline::process(&mut audio, channels, position, controls);
        } else {
            audio.process(channels, position, controls);
        }
        let values = audio.values();
        self.write(&values);
        Some((values, audio.is_rolling()))
    }

    /// The host stops: an offline render's last, partial window is judged too. Main thread.
    pub fn deactivate(&self) {
        let Some(mut audio) = self.audio.try_lock() else { return };
        if audio.stream().is_some_and(|stream| stream.offline.is_some()) {
            offline::finish(&mut audio);
            self.write(&audio.values());
        }
        audio.cut();
    }

    /// Waits for threads of its own: the host may unload this code next. Main thread.
    pub fn close(&self) {
        if let Some(loader) = self.loader.lock().take() {
            let _ = loader.join();
        }
        if self.loggers.lock().is_empty() {
            return;
        }
        end(self.replace(None));
        drop(self.stream.lock().take());
        for logger in self.loggers.lock().drain(..) {
            let _ = logger.join();
        }
    }

    fn controls(&self) -> Controls {
        let detection = &self.params.detection;
        let threshold = detection.threshold.value();
        let hold_s = detection.hold.value();
        Controls {
            settings: Settings {
                hop_s: detection.hop.value(),
                gate_trim_db: detection.gate.value(),
                threshold_llr: (threshold / (1.0 - threshold)).ln(),
                hold_s: if hold_s < HOLD_UNTIL_RESET_S { hold_s } else { f32::INFINITY },
            },
            channel: detection.channel.value().into(),
            bypass: self.params.bypass.value(),
            resets: self.resets.load(Ordering::Relaxed),
            reset: detection.reset.value(),
        }
    }

    /// The output parameters hold what the plugin last said, whatever the host wrote to them.
    fn write(&self, values: &Values) {
        for output in Output::ALL {
            // SAFETY: the parameter lives as long as `self.params`.
            unsafe { self.output(output)._internal_set_normalized_value(output.value(values)) };
        }
    }

    fn output(&self, output: Output) -> ParamPtr {
        let params = &self.params.output;
        match output {
            Output::Score => params.score.as_ptr(),
            Output::Alert => params.alert.as_ptr(),
            Output::State => params.state.as_ptr(),
            Output::ScoreLane => params.score_lane.as_ptr(),
            Output::AlertLane => params.alert_lane.as_ptr(),
        }
    }
}

/// Lets a stream go. What a log holds has an end: the last, partial window is judged too.
fn end(stream: Option<LiveStream>) {
    if let Some(mut stream) = stream.filter(|stream| stream.log.is_some()) {
        offline::end(&mut stream, GRACE);
    }
}
