//! The `warren` program that does the work: found once, started as a child, its lines of JSON read.
use serde_json::Value;
use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    thread,
};

/** Of a line of JSON; a longer one is none. */
const MAX_LINE_BYTES: u64 = 64 * 1024;

#[derive(Clone)]
pub struct Program {
    path: PathBuf,
    data: PathBuf,
}

impl Program {
    /** WARREN_PROGRAM, else the one that lies beside the window's own, else the one on the PATH. */
    pub fn find(data: PathBuf) -> Self {
        let name = format!("warren{}", env::consts::EXE_SUFFIX);
        let beside = || Some(env::current_exe().ok()?.parent()?.join(&name)).filter(|path| path.is_file());
        let path = env::var_os("WARREN_PROGRAM").map(PathBuf::from).or_else(beside).unwrap_or(name.into());
        Program { path, data }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /** Its standard output is lines of JSON. */
    pub fn start(&self, words: &[&str], stdin: Stdio) -> Result<(Child, ChildStdout, ChildStderr), String> {
        let mut command = Command::new(&self.path);
        command.args(words).arg("--json").arg("--data").arg(&self.data);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0800_0000); // CREATE_NO_WINDOW
        let started = command.spawn().map_err(|fault| {
            let path = self.path.display();
            format!("{path} cannot be started: {fault}. Put the warren program beside this one, or on the PATH.")
        });
        started.map(|mut child| {
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            (child, stdout.expect("piped"), stderr.expect("piped"))
        })
    }

    /** Runs a command to its end. @return its last line; else what it said went wrong. */
    pub fn ask(&self, words: &[&str]) -> Result<Value, String> {
        let (mut child, stdout, stderr) = self.start(words, Stdio::null())?;
        let mut last = Value::Null;
        let fault = read_lines(stdout, stderr, |line| last = line);
        let done = child.wait().map_err(|fault| fault.to_string())?;
        if done.success() { Ok(last) } else { Err(fault) }
    }
}

/** Until the child closes its output. @return the end of what it said on standard error, as a person should read it. */
pub fn read_lines(stdout: ChildStdout, stderr: ChildStderr, mut on_line: impl FnMut(Value)) -> String {
    let faults = thread::spawn(move || {
        let lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.fold(String::new(), |said, line| said_so_far(said, &line))
    });
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    while matches!(lines.by_ref().take(MAX_LINE_BYTES).read_line(&mut line), Ok(count) if count > 0) {
        if let Ok(value) = serde_json::from_str(&line) {
            on_line(value);
        }
        line.clear();
    }
    faults.join().unwrap_or_default()
}

/** `warren: what happened` and the indented lines after it; log lines are for the log. */
fn said_so_far(said: String, line: &str) -> String {
    match line.strip_prefix("warren: ") {
        Some(start) => start.chars().take(2_000).collect(),
        None if line.starts_with("   ") && !said.is_empty() && said.len() < 2_000 => format!("{said} {}", line.trim()),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_the_last_fault_with_its_advice() {
        let lines =
            ["{\"level\":30}", "warren: old", "warren: The hub does not answer.", "        Is it running?", "{}"];
        let said = lines.iter().fold(String::new(), |said, line| said_so_far(said, line));
        assert_eq!(said, "The hub does not answer. Is it running?");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_what_to_do() {
        let program = Program { path: "/nonexistent/warren".into(), data: "/nonexistent".into() };
        let fault = program.ask(&["whoami"]).unwrap_err();
        assert!(fault.starts_with("/nonexistent/warren cannot be started") && fault.contains("PATH"), "{fault}");
    }
}
