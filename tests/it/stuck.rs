//! A reader of standard error that stops reading: the traffic goes on, and the program still ends when it is told to.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use crate::command::{pinhole, write};
use crate::support::gateway::one;
use crate::support::raw::{self, Request};
use crate::support::upstream::{Step, Upstream, json};

/// More lines than a pipe holds, several times over.
const CALLS: usize = 1_500;

#[tokio::test]
async fn traffic_goes_on_and_ends_though_nobody_reads_the_log() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n{}",
        one(&upstream.url())
    );
    write(folder.path(), &toml);
    let mut child = pinhole(folder.path(), &["serve"])
        .env("XDG_DATA_HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut talk = BufReader::new(child.stderr.take().expect("its standard error"));
    let mut lines = talk.by_ref().lines().map_while(Result::ok);
    let first = lines.find(|line| line.contains(" on http://")).expect("the banner");
    let address = first.trim().rsplit_once("http://").expect("an origin").1;
    let address = address.parse().expect("an address");
    // From here on nobody reads; `talk` stays open.
    let long = format!("/v1/models/{}", "x".repeat(900));
    let mut connection = raw::connect(address).await;
    for _ in 0..CALLS {
        connection.send(&Request::get(&long)).await;
        assert_eq!(connection.read_response().await.status, 404);
    }
    let signalled = std::process::Command::new("kill").arg(child.id().to_string()).status();
    assert!(signalled.expect("kill").success());
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    let code = ended.expect("the program ends").expect("a thread").expect("its end").code();
    assert_eq!(code, Some(0));
    drop(talk);
}
