//! Runs the program of a `command:` value: no shell, bounded in time and output.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use crate::base::clock;

/// Limit: bytes read of either stream; a credential is short.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// Limit: characters of standard error that a message shows.
const STDERR_SHOWN_MAX: usize = 300;
const POLL: Duration = Duration::from_millis(5);

/// The trimmed standard output of `line`, run in `folder`. The error never holds standard output.
pub fn output(line: &str, folder: &Path, limit: Duration) -> Result<String, String> {
    let words = split(line).ok_or("a quote in the command is not closed")?;
    let (program, arguments) =
        words.split_first().ok_or("`command:` is not followed by a program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let deadline = clock::now() + limit;
    let Some(status) = wait(&mut child, deadline) else {
        return Err(format!("{program} did not end within {} s", limit.as_secs()));
    };
    // A grandchild may hold the pipes open, so reading has the same deadline.
    let received = |receiver: &Receiver<Vec<u8>>| {
        receiver.recv_timeout(deadline.saturating_duration_since(clock::now()).max(POLL)).ok()
    };
    if !status.success() {
        let said = shown(&received(&stderr).unwrap_or_default());
        return Err(format!("{program} failed ({status}), saying: {said}"));
    }
    let bytes = received(&stdout).ok_or_else(|| format!("{program} left its output open"))?;
    let read = String::from_utf8(bytes).map_err(|_| format!("{program} wrote no UTF-8 text"))?;
    match read.trim() {
        "" => Err(format!("{program} wrote nothing")),
        value => Ok(value.to_owned()),
    }
}

/// Reads a pipe to its end on a thread of its own, so that neither pipe can fill up and stop the program.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What could be read until an error is all there is to say.
            let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        }
        // The receiver is gone only when the deadline has passed.
        let _ = sender.send(bytes);
    });
    receiver
}

/// `None`: it was still running at the deadline and has been killed.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if clock::now() < deadline => std::thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// The end of what it said, on one line.
fn shown(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "nothing".to_owned();
    }
    let skipped = line.chars().count().saturating_sub(STDERR_SHOWN_MAX);
    line.chars().skip(skipped).collect()
}

/// Words, with `'…'` and `"…"` around those that hold spaces; `None` when a quote is left open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '\'' || letter == '"' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn run(line: &str) -> Result<String, String> {
        output(line, Path::new("."), LIMIT)
    }

    #[test]
    fn output_is_trimmed_and_quotes_keep_spaces() {
        assert_eq!(run("echo '  a  b ' \"c d\""), Ok("a  b  c d".to_owned()));
        assert_eq!(run("echo 'x").unwrap_err(), "a quote in the command is not closed");
        assert_eq!(run("").unwrap_err(), "`command:` is not followed by a program");
    }

    #[test]
    fn failures_show_standard_error_and_never_standard_output() {
        let message = run("sh -c 'echo planted-secret; echo login first >&2; exit 3'").unwrap_err();
        assert!(message.contains("login first"), "{message}");
        assert!(!message.contains("planted-secret"), "{message}");
        assert!(run("no-such-program-here x").unwrap_err().contains("cannot be started"));
        assert_eq!(run("true").unwrap_err(), "true wrote nothing");
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let message = output("sleep 60", Path::new("."), Duration::from_millis(50)).unwrap_err();
        assert!(message.starts_with("sleep did not end"), "{message}");
    }
}
