//! `pinhole simulate`: providers that answer by a script, until interrupted.

use std::net::TcpListener;

use crate::cli::args::SimulateArgs;
use crate::cli::terminal::{say, tell};
use crate::cli::{Exit, serve};
use crate::simulate::script::Script;
use crate::simulate::{Options, Simulator};

pub fn run(args: &SimulateArgs) -> Exit {
    let script = match &args.script {
        None => Script::default(),
        Some(path) => match Script::load(path) {
            Ok(script) => script,
            Err(error) => {
                tell(&format!("error: {error}"));
                return Exit::Usage;
            }
        },
    };
    let listener = match TcpListener::bind(args.listen) {
        Ok(listener) => listener,
        Err(error) => {
            tell(&serve::cannot_listen("--listen", args.listen, &error));
            return Exit::Environment;
        }
    };
    let running = match Simulator::start(listener, script, Options::default()) {
        Ok(running) => running,
        Err(error) => {
            tell(&format!("error: the simulator cannot start: {error}"));
            return Exit::Environment;
        }
    };
    say(&format!(
        "simulated providers on {} (openai, anthropic, gemini; any model, any key)",
        running.url()
    ));
    match serve::wait_for_signal() {
        Ok(()) => {
            running.stop();
            Exit::Done
        }
        Err(error) => {
            tell(&format!("error: signals cannot be watched: {error}"));
            Exit::Environment
        }
    }
}
