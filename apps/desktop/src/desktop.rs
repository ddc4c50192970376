//! The window's course: which hub, signing in, the hub's pages; and what its own page is told of it.
//!
//! ```text
//!  choose ── sign_in ──► asking ──► approve ──► connecting ◄──► away
//!    ▲                     │           │            │
//!    └── a fault, sign_out ┴───────────┴────────────┴──► signedIn = the hub's pages
//! ```
use crate::{
    hub::{HOME, Hub, hand_over},
    program::{Program, read_lines},
    settings::{Login, Settings},
    sidecar::{Sidecar, SidecarState},
};
use serde::Serialize;
use serde_json::json;
use std::{
    process::{Child, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};
use tauri::{AppHandle, Manager, Url, ipc::Channel};

const FIRST_RETRY: Duration = Duration::from_secs(2);
const MAX_RETRY: Duration = Duration::from_secs(30);

#[derive(Clone, Serialize)]
#[serde(tag = "phase", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Phase {
    Choose { problem: String },
    Asking,
    Approve { user_code: String, verification_uri: String, here: String },
    Connecting,
    Away { again_in_ms: u64 },
    SignedIn { name: String, email: String },
}

/** What the window's own page shows. */
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    settings: Settings,
    /** The hub that everybody may use; none in builds without one. */
    cloud: Option<String>,
    #[serde(flatten)]
    phase: Phase,
    sidecar: SidecarState,
}

pub struct Desktop {
    app: AppHandle,
    program: Program,
    inner: Mutex<Inner>,
    woken: Condvar,
}

struct Inner {
    status: Status,
    hub: Option<Hub>,
    /** Counts what a person asked for; what an earlier one still does is void. */
    turn: u64,
    sidecar: Option<Sidecar>,
    /** `warren login`, while it waits. */
    asking: Option<Child>,
    /** For the hub's pages, once. */
    handed: Option<Login>,
    page: Option<Channel<Status>>,
}

impl Desktop {
    pub fn open(app: AppHandle, program: Program, cloud: Option<String>) -> Arc<Self> {
        let settings = Settings::read(program.data());
        let phase = Phase::Choose { problem: String::new() };
        let status = Status { settings, cloud, phase, sidecar: SidecarState::Off };
        let inner = Inner { status, hub: None, turn: 0, sidecar: None, asking: None, handed: None, page: None };
        let desktop = Arc::new(Desktop { app, program, inner: Mutex::new(inner), woken: Condvar::new() });
        if let Some(login) = Login::read(desktop.program.data()) {
            desktop.serve(&login);
            desktop.connect(desktop.turn());
        }
        desktop
    }

    pub fn hub(&self) -> Option<Hub> {
        self.lock().hub.clone()
    }

    pub fn watch(&self, page: Channel<Status>) {
        let mut inner = self.lock();
        let _ = page.send(inner.status.clone());
        inner.page = Some(page);
    }

    /** Address of the sidecar and the session for it; the window's own page alone may ask. */
    pub fn session(&self) -> Option<(String, String)> {
        let SidecarState::Running { url } = self.lock().status.sidecar.clone() else { return None };
        Some((url, Login::read(self.program.data())?.token))
    }

    /** By a code that is approved here or on another screen. An empty hub = the cloud's. */
    pub fn sign_in(self: &Arc<Self>, settings: Settings) {
        let turn = self.turn();
        self.lock().status.settings = settings.clone();
        self.show(turn, Phase::Asking);
        let desktop = self.clone();
        thread::spawn(move || match settings.write(desktop.program.data()).map_err(|fault| fault.to_string()) {
            Ok(()) => desktop.ask_for_code(turn, &settings),
            Err(fault) => desktop.choose(turn, format!("The settings cannot be kept: {fault}.")),
        });
    }

    fn ask_for_code(self: &Arc<Self>, turn: u64, settings: &Settings) {
        let mut words =
            vec!["login", "--attached", if settings.hub.is_empty() { "--cloud" } else { settings.hub.as_str() }];
        if !settings.fingerprint.is_empty() {
            words.extend(["--fingerprint", settings.fingerprint.as_str()]);
        }
        let (child, stdout, stderr) = match self.program.start(&words, Stdio::piped()) {
            Ok(started) => started,
            Err(fault) => return self.choose(turn, fault),
        };
        if !self.keep(turn, child) {
            return;
        }
        let mut signed_in = false;
        let fault = read_lines(stdout, stderr, |line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            signed_in = line["state"] == "signed-in";
            if let ("waiting", Ok(url)) = (text("state").as_str(), Url::parse(&text("hubUrl"))) {
                self.lock().hub = Some(Hub { url, ca: line["ca"].as_str().map(str::to_owned) });
                let (user_code, verification_uri) = (text("userCode"), text("verificationUri"));
                self.show(turn, Phase::Approve { user_code, verification_uri, here: text("verificationUriComplete") });
            }
        });
        match Login::read(self.program.data()) {
            Some(login) if signed_in && self.is_current(turn) => {
                self.serve(&login);
                self.lock().handed = Some(login);
                self.connect(turn);
            }
            _ => self.choose(turn, fault),
        }
    }

    /** The sidecar works for who is signed in, also while the hub is away. */
    fn serve(self: &Arc<Self>, login: &Login) {
        self.end_sidecar();
        let desktop = Arc::downgrade(self);
        let sidecar = Sidecar::start(self.program.clone(), move |state| {
            if let Some(desktop) = desktop.upgrade() {
                desktop.tell(|status| status.sidecar = state);
            }
        });
        let mut inner = self.lock();
        let between = inner.sidecar.replace(sidecar);
        inner.hub = Url::parse(&login.hub_url).ok().map(|url| Hub { url, ca: login.ca.clone() });
        if inner.status.settings.hub.is_empty() && inner.status.cloud.is_none() {
            inner.status.settings.hub = login.hub_url.clone();
        }
        drop(inner);
        drop(between);
    }

    /** Asks the hub about the session, again while it is away, and shows its pages. */
    fn connect(self: &Arc<Self>, turn: u64) {
        let desktop = self.clone();
        self.show(turn, Phase::Connecting);
        thread::spawn(move || {
            let mut delay = FIRST_RETRY;
            while desktop.is_current(turn) {
                match desktop.program.ask(&["whoami"]) {
                    Err(fault) => return desktop.choose(turn, fault),
                    Ok(answer) if answer["online"] == true => {
                        let text = |key: &str| answer["user"][key].as_str().unwrap_or_default().to_owned();
                        desktop.show(turn, Phase::SignedIn { name: text("name"), email: text("email") });
                        return desktop.enter();
                    }
                    Ok(_) => desktop.show(turn, Phase::Away { again_in_ms: delay.as_millis() as u64 }),
                }
                let waited = desktop.woken.wait_timeout_while(desktop.lock(), delay, |inner| inner.turn == turn);
                drop(waited);
                delay = (delay * 2).min(MAX_RETRY);
            }
        });
    }

    /** To where the course leads now: the page that approves, the hub's pages, or another try. */
    pub fn enter(self: &Arc<Self>) {
        let hub = self.hub();
        let phase = self.lock().status.phase.clone();
        match (phase, hub) {
            (Phase::Approve { here, .. }, Some(_)) => self.go(&here),
            (Phase::SignedIn { .. }, Some(hub)) => self.go(hub.url.as_str()),
            (Phase::Away { .. }, _) => self.connect(self.turn()),
            _ => {}
        }
    }

    /** The hub did not give its page: back to the window's own, and asked again. */
    pub fn lost(self: &Arc<Self>, fault: Option<String>) {
        let turn = self.turn();
        self.home();
        match fault {
            Some(fault) => self.choose(turn, fault),
            None => self.connect(turn),
        }
    }

    pub fn home(&self) {
        self.go(HOME);
    }

    /** What the hub's pages are told once they stand. */
    pub fn hand_over_script(&self) -> Option<String> {
        let mut inner = self.lock();
        let (login, hub) = (inner.handed.take()?, inner.hub.clone()?);
        let account = json!({
            "token": login.token, "deviceId": login.session_id.unwrap_or_default(), "userId": login.user_id,
            "name": login.name, "email": login.email, "savedAt": 0,
        });
        Some(hand_over(&hub.url, &account))
    }

    pub fn sign_out(self: &Arc<Self>) {
        let turn = self.turn();
        self.home();
        let desktop = self.clone();
        thread::spawn(move || {
            desktop.end_sidecar();
            let kept = Login::read(desktop.program.data());
            let fault = kept.and_then(|_| desktop.program.ask(&["logout"]).err()).unwrap_or_default();
            if let Some(window) = desktop.app.get_webview_window("main") {
                let _ = window.clear_all_browsing_data();
            }
            desktop.choose(turn, fault);
        });
    }

    /** Waits until the sidecar is gone. */
    pub fn stop(&self) {
        self.turn();
        self.end_sidecar();
    }

    /** Not under the lock: it tells its end. */
    fn end_sidecar(&self) {
        let sidecar = self.lock().sidecar.take();
        drop(sidecar);
    }

    fn choose(&self, turn: u64, problem: String) {
        self.show(turn, Phase::Choose { problem });
    }

    fn show(&self, turn: u64, phase: Phase) {
        if self.is_current(turn) {
            self.tell(|status| status.phase = phase);
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Status)) {
        let mut inner = self.lock();
        change(&mut inner.status);
        if let Some(page) = &inner.page {
            let _ = page.send(inner.status.clone());
        }
    }

    fn go(&self, url: &str) {
        if let (Some(window), Ok(url)) = (self.app.get_webview_window("main"), Url::parse(url)) {
            let _ = window.navigate(url);
        }
    }

    fn is_current(&self, turn: u64) -> bool {
        self.lock().turn == turn
    }

    /** A new one: what waits for a code, or for the hub, gives up. */
    fn turn(&self) -> u64 {
        let mut inner = self.lock();
        inner.turn += 1;
        end(inner.asking.take());
        self.woken.notify_all();
        inner.turn
    }

    fn keep(&self, turn: u64, child: Child) -> bool {
        let mut inner = self.lock();
        let current = inner.turn == turn;
        end(if current { inner.asking.replace(child) } else { Some(child) });
        current
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}
