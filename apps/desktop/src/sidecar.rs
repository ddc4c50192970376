//! The sidecar's life: a child that ends with the window, and is started again ever later when it ends by itself.
use crate::program::{Program, read_lines};
use serde::Serialize;
use std::{
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);
/** One that has been up for so long starts over with the first delay. */
const STEADY: Duration = Duration::from_secs(60);
/** From the end of its input to its own end; the hub role drains for 5 s. */
const STOP_PATIENCE: Duration = Duration::from_secs(8);

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum SidecarState {
    Off,
    Starting,
    Running {
        url: String,
    },
    #[serde(rename_all = "camelCase")]
    Waiting {
        reason: String,
        again_in_ms: u64,
    },
}

pub struct Sidecar {
    events: Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

enum Event {
    Ready(String),
    Ended(String),
    Stop,
}

impl Sidecar {
    pub fn start(program: Program, on_state: impl Fn(SidecarState) + Send + 'static) -> Self {
        let (events, incoming) = channel();
        let own = events.clone();
        let thread = thread::spawn(move || keep(&program, &own, &incoming, on_state));
        Sidecar { events, thread: Some(thread) }
    }
}

/** Waits until it is gone. */
impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(program: &Program, events: &Sender<Event>, incoming: &Receiver<Event>, on_state: impl Fn(SidecarState)) {
    let mut delay = FIRST_DELAY;
    loop {
        on_state(SidecarState::Starting);
        let started = Instant::now();
        let Some(reason) = run_once(program, events, incoming, &on_state) else { return on_state(SidecarState::Off) };
        if started.elapsed() >= STEADY {
            delay = FIRST_DELAY;
        }
        on_state(SidecarState::Waiting { reason, again_in_ms: delay.as_millis() as u64 });
        match incoming.recv_timeout(delay) {
            Err(RecvTimeoutError::Timeout) => delay = (delay * 2).min(MAX_DELAY),
            _ => return on_state(SidecarState::Off),
        }
    }
}

/** @return why it ended; none = it was stopped. */
fn run_once(
    program: &Program,
    events: &Sender<Event>,
    incoming: &Receiver<Event>,
    on_state: &impl Fn(SidecarState),
) -> Option<String> {
    let (mut child, stdout, stderr) = match program.start(&["sidecar", "--attached"], Stdio::piped()) {
        Ok(started) => started,
        Err(fault) => return Some(fault),
    };
    let told = events.clone();
    thread::spawn(move || {
        let said = read_lines(stdout, stderr, |line| {
            let url = line["url"].as_str().unwrap_or_default().to_owned();
            let _ = told.send(Event::Ready(url));
        });
        let _ = told.send(Event::Ended(said));
    });
    loop {
        match incoming.recv() {
            Ok(Event::Ready(url)) => on_state(SidecarState::Running { url }),
            Ok(Event::Ended(said)) => {
                let code = end(&mut child);
                return Some(if said.is_empty() { format!("The sidecar ended ({code}).") } else { said });
            }
            Ok(Event::Stop) | Err(_) => {
                end(&mut child);
                return None;
            }
        }
    }
}

/** Closes its input, which it takes for a stop on every platform; after a while it is killed. */
fn end(child: &mut Child) -> String {
    drop(child.stdin.take());
    let deadline = Instant::now() + STOP_PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return status.to_string();
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait().map_or_else(|fault| fault.to_string(), |status| status.to_string())
}
