//! The engine with a scripted transport, hours of it at once under paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::Order;
use crate::context::{BRANCH_STOPPED, parse_target};
use crate::journal::Journal;
use crate::outcome::{Answer, Call};
use crate::recording::{Body, Leg};
use crate::row::{Asking, Job, Likeness};
use crate::schedule::Beat;

/// What the scripted provider does with a request.
type Script = dyn Fn(&Order) -> Play + Send + Sync;

#[derive(Clone)]
struct Play {
    takes: Duration,
    outcome: Outcome,
    panics: bool,
}

fn play(ms: u64, text: &str) -> Play {
    let outcome = Outcome {
        status: Some(200),
        answer: Answer { text: text.to_owned(), ..Answer::default() },
        ..Outcome::default()
    };
    Play { takes: Duration::from_millis(ms), outcome, panics: false }
}

/// A request as the provider saw it.
#[derive(Debug, Clone)]
struct Seen {
    job: Job,
    warmup: bool,
    intended_us: u64,
    at_us: u64,
    body: Option<Value>,
}

struct Scripted {
    script: Box<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
    flying: Arc<AtomicUsize>,
    flying_max: Arc<AtomicUsize>,
}

impl Transport for Scripted {
    async fn send(&self, order: Order) -> Outcome {
        let zero = Instant::from_std(order.zero);
        let at_us = zero.elapsed().as_micros() as u64;
        self.seen.lock().unwrap().push(Seen {
            job: order.job,
            warmup: order.warmup,
            intended_us: order.intended_us,
            at_us,
            body: order.body.as_ref().map(|body| serde_json::from_slice(body).unwrap()),
        });
        let flying = self.flying.fetch_add(1, Ordering::SeqCst) + 1;
        self.flying_max.fetch_max(flying, Ordering::SeqCst);
        let play = (self.script)(&order);
        tokio::time::sleep(play.takes).await;
        self.flying.fetch_sub(1, Ordering::SeqCst);
        assert!(!play.panics, "scripted");
        let ended_us = zero.elapsed().as_micros() as u64;
        Outcome { sent_us: at_us, ended_us, ..play.outcome }
    }
}

type Make = dyn Fn(u32) -> Result<Value, Fault> + Send + Sync;

/// Recordings made on demand: none is held.
struct Shelf {
    make: Box<Make>,
}

impl Library for Shelf {
    async fn load(&self, pair: u32) -> Result<Arc<Recording>, Fault> {
        let body = (self.make)(pair)?;
        let body = Body::of(serde_json::to_vec(&body).unwrap());
        Ok(Arc::new(Recording {
            dialect: "openai_chat".into(),
            request: Leg { body, ..Leg::default() },
            ..Recording::default()
        }))
    }
}

/// Marks what it was given: each answer is compared with the first target's.
struct Same;

impl Judge for Same {
    async fn judge(&self, group: Group) -> Vec<Row> {
        let first = group.outcomes.first().map(|(_, outcome)| outcome.answer.text.clone());
        let is_like = |outcome: &Outcome| Some(&outcome.answer.text) == first.as_ref();
        let likeness = |outcome| Likeness { exact: is_like(outcome), ..Likeness::default() };
        let rows = group.outcomes.iter();
        rows.map(|(row, outcome)| Row { likeness: Some(likeness(outcome)), ..row.clone() })
            .collect()
    }
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Sink for Rows {
    fn row(&mut self, row: &Row) -> std::io::Result<()> {
        self.0.push(row.clone());
        Ok(())
    }
}

/// A bench for one run.
struct Bench {
    setup: Setup,
    make: Box<Make>,
    script: Box<Script>,
    stop_after: Option<Duration>,
}

struct Seenings {
    finish: Finish,
    rows: Vec<Row>,
    seen: Vec<Seen>,
    flying_max: usize,
    /// Answers that had been told of when the run was stopped.
    told: u64,
}

/// `turns` turns in each of so many sessions, a second apart, each answered in 400 ms when recorded.
fn bench(turns: u32, sessions: u32, pace: &str, targets: &[&str]) -> Bench {
    let names: Arc<[(String, Option<String>)]> = (0..turns * sessions)
        .map(|pair| (format!("x{pair}"), Some(format!("s{}", pair % sessions))))
        .collect();
    let beats = names.iter().zip(0..).map(|((_, session), pair)| {
        let start = i64::from(pair / sessions) * 1_000_000 + i64::from(pair % sessions) * 1000;
        Beat {
            pair,
            session: session.as_deref(),
            started_at_us: start,
            ended_at_us: start + 400_000,
            depends: true,
        }
    });
    let setup = Setup {
        outline: Arc::new(Outline::of(beats)),
        names: Arc::clone(&names),
        targets: targets.iter().map(|target| parse_target(target).unwrap()).collect(),
        pace: pace.parse().unwrap(),
        repeats: 1,
        warmup: 0,
        seed: 1,
        context: Context::Verbatim,
        cache: Cache::AsIs,
        length: Length::Free,
        polite: false,
        budget: None,
        done: Groups::default(),
        marker: "run".into(),
        limits: Limits { fine: false, ..Limits::default() },
    };
    Bench {
        setup,
        make: Box::new(|_| Ok(json!({"messages": []}))),
        script: Box::new(|_| play(100, "a")),
        stop_after: None,
    }
}

impl Bench {
    async fn run(self) -> Seenings {
        let mut rows = Rows::default();
        self.run_into(&mut rows).await.map(|seen| Seenings { rows: rows.0, ..seen }).unwrap()
    }

    async fn run_into(self, sink: &mut impl Sink) -> std::io::Result<Seenings> {
        let (seen, flying_max) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let transport = Scripted {
            script: self.script,
            seen: Arc::clone(&seen),
            flying: Arc::default(),
            flying_max: Arc::clone(&flying_max),
        };
        let crew = Crew { transport, library: Shelf { make: self.make }, judge: Same };
        let (stop, stopped) = watch::channel(false);
        let (progress, _) = watch::channel(Progress::default());
        let running = run(self.setup, crew, sink, stopped, &progress);
        let told = AtomicUsize::new(0);
        let stopping = async {
            match self.stop_after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            told.store(progress.borrow().done as usize, Ordering::SeqCst);
            stop.send_replace(true);
            std::future::pending::<()>().await;
        };
        let finish = tokio::select! {
            finish = running => finish?,
            () = stopping => unreachable!("it waits for ever"),
        };
        assert_eq!(*progress.borrow(), finish.progress, "the last word is told");
        let seen = seen.lock().unwrap().clone();
        let flying_max = flying_max.load(Ordering::SeqCst);
        let told = told.load(Ordering::SeqCst) as u64;
        Ok(Seenings { finish, rows: Vec::new(), seen, flying_max, told })
    }
}

/// Keeps nothing but the number of rows.
struct Count(usize);

impl Sink for Count {
    fn row(&mut self, _: &Row) -> std::io::Result<()> {
        self.0 += 1;
        Ok(())
    }
}

fn jobs(rows: &[Row]) -> BTreeSet<Job> {
    rows.iter().map(Row::job).collect()
}

#[tokio::test(start_paused = true)]
async fn as_recorded_keeps_order_think_time_and_speed() {
    for (speed, think_us) in [("1x", 600_000), ("10x", 60_000)] {
        let made = bench(5, 3, &format!("recorded {speed}"), &["p/a", "p/b"]);
        let run = made.run().await;
        assert_eq!((run.rows.len(), run.finish.ended), (30, Ended::Whole));
        let mut last = BTreeMap::new();
        for seen in &run.seen {
            assert!(seen.at_us >= seen.intended_us && seen.at_us < seen.intended_us + 2_000);
            let thread = (seen.job.pair % 3, seen.job.target);
            if let Some(before) = last.insert(thread, seen.at_us) {
                let gap: u64 = seen.at_us - before;
                assert!((think_us + 100_000..think_us + 104_000).contains(&gap), "{speed}: {gap}");
            }
        }
    }
}

/// What came at once is told soon, though nothing else happens for hours.
#[tokio::test(start_paused = true)]
async fn progress_is_told_without_waiting_for_the_next_answer() {
    let mut made = bench(1, 3, "closed 3", &["p/a"]);
    made.script = Box::new(|order| play(if order.job.pair == 0 { 1 } else { 7_200_000 }, "a"));
    made.setup.limits.grace = Duration::from_millis(1);
    made.stop_after = Some(Duration::from_millis(300));
    assert_eq!(made.run().await.told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_without_drift_for_hours() {
    let made = bench(18_000, 1, "constant 2.5/s", &["p/a"]);
    let run = made.run().await;
    let first = run.seen[0].intended_us;
    for (number, seen) in run.seen.iter().enumerate() {
        assert_eq!(seen.intended_us, first + number as u64 * 400_000);
        assert!(seen.at_us - seen.intended_us < 2_000, "late at {number}");
    }
    assert_eq!(run.finish.progress.elapsed.as_secs(), 7_199);
    assert_eq!(run.finish.progress.left, Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_sends_whatever_is_in_flight_and_a_closed_one_never_more_than_its_number() {
    let slow = |_: &Order| play(60_000, "a");
    let open = Bench { script: Box::new(slow), ..bench(100, 1, "poisson 50/s", &["p/a"]) };
    assert_eq!(open.run().await.flying_max, 100);
    let varied = |order: &Order| play(10 + u64::from(order.job.pair % 5) * 40, "a");
    let script: Box<Script> = Box::new(varied);
    let closed = Bench { script, ..bench(20, 10, "closed 7", &["p/a", "p/b"]) };
    let run = closed.run().await;
    assert_eq!((run.flying_max, run.rows.len()), (7, 400));
    let one = bench(5, 4, "one-by-one", &["p/a", "p/b"]).run().await;
    assert_eq!((one.flying_max, one.rows.len()), (1, 40));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_requests_wait_and_the_waiting_is_lag() {
    let mut made = bench(40, 1, "constant 100/s", &["p/a"]);
    made.setup.limits.in_flight = 10;
    made.script = Box::new(|_| play(1_000, "a"));
    let run = made.run().await;
    assert_eq!(run.flying_max, 10);
    let lag = run.rows.iter().map(|row| row.sent_us - row.intended_us).max().unwrap();
    assert!((2_600_000..2_800_000).contains(&lag), "{lag}");
}

#[tokio::test(start_paused = true)]
async fn groups_are_judged_whole_and_every_job_has_one_row() {
    let mut made = bench(10, 2, "closed 3", &["p/a", "p/b", "p/c"]);
    made.setup.repeats = 2;
    made.script = Box::new(|order| play(5, if order.target == 2 { "b" } else { "a" }));
    let run = made.run().await;
    assert_eq!((run.rows.len(), jobs(&run.rows).len()), (120, 120));
    for row in &run.rows {
        assert_eq!(row.likeness.unwrap().exact, row.target != Some(2));
        assert_eq!(row.of, format!("x{}", row.pair));
        assert_eq!(row.session, Some(format!("s{}", row.pair % 2)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_warm_up_comes_first_and_is_marked() {
    let mut made = bench(10, 1, "constant 10/s", &["p/a", "p/b"]);
    made.setup.warmup = 3;
    let run = made.run().await;
    let warm: Vec<bool> = run.seen.iter().map(|seen| seen.warmup).collect();
    assert!(warm[..6].iter().all(|warm| *warm) && warm[6..].iter().all(|warm| !warm));
    assert_eq!(run.rows.iter().filter(|row| row.warmup).count(), 6);
    assert_eq!((run.rows.len(), run.finish.progress.done), (26, 20));
    assert!(run.seen[6].intended_us >= 300_000, "the warm-up is no lag: {:?}", run.seen[6]);
    assert!(run.seen[6].at_us < run.seen[6].intended_us + 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_warm_cache_is_warmed_before_each_and_a_cold_one_marked_anew() {
    let mut made = bench(3, 1, "constant 1/s", &["p/a"]);
    made.setup.cache = Cache::Warm;
    let run = made.run().await;
    let warm: Vec<bool> = run.seen.iter().map(|seen| seen.warmup).collect();
    assert_eq!(warm, [true, false, true, false, true, false]);
    assert_eq!(run.rows.iter().filter(|row| !row.warmup).count(), 3);
    let row = run.rows.iter().find(|row| !row.warmup).unwrap();
    assert!(row.sent_us - row.intended_us < 2_000, "warming is no lag: {row:?}");

    let mut made = bench(3, 1, "closed 1", &["p/a", "p/b"]);
    made.setup.cache = Cache::Cold;
    made.setup.repeats = 2;
    made.make = Box::new(|_| Ok(json!({"messages": [{"role": "system", "content": "s"}]})));
    let run = made.run().await;
    let texts = run.seen.iter().map(|seen| seen.body.as_ref().unwrap().to_string());
    assert_eq!(texts.collect::<BTreeSet<_>>().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn polite_leaves_a_target_alone_and_rude_does_not() {
    for polite in [true, false] {
        let mut made = bench(1, 20, "closed 2", &["p/a", "p/b"]);
        made.setup.polite = polite;
        made.script = Box::new(|order| {
            let mut play = play(10, "a");
            if order.target == 0 && order.job.pair == 3 {
                play.outcome.status = Some(429);
                play.outcome.retry_after_us = Some(30_000_000);
            }
            play
        });
        let run = made.run().await;
        assert_eq!((run.rows.len(), run.finish.progress.errors), (40, 1));
        let at = |seen: &&Seen| seen.job.target == Some(0) && seen.job.pair > 5;
        let early = run.seen.iter().filter(at).filter(|seen| seen.at_us < 30_000_000).count();
        assert_eq!(early > 0, !polite);
        let other = run.seen.iter().filter(|seen| seen.job.target == Some(1));
        assert!(other.map(|seen| seen.at_us).max().unwrap() < 1_000_000, "the other went on");
    }
    let mut made = bench(1, 20, "constant 100/s", &["p/a"]);
    made.setup.polite = true;
    made.setup.limits.hold = Duration::from_secs(1);
    made.script = Box::new(|order| {
        let mut play = play(10, "a");
        play.outcome.retry_after_us = (order.job.pair == 0).then_some(3_600_000_000);
        play
    });
    let run = made.run().await;
    let held = run.seen.iter().filter(|seen| seen.at_us > 1_000_000).count();
    assert!(held >= 17, "an hour is more than the limit, and the second is kept: {held}");
    assert!(run.finish.progress.elapsed < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_cost_is_never_passed() {
    for pace in ["constant 100/s", "closed 4", "one-by-one"] {
        let mut made = bench(1, 100, pace, &["p/a", "p/b"]);
        let worst: Arc<dyn Fn(u32, u16) -> i64 + Send + Sync> = Arc::new(|_, _| 50);
        made.setup.budget =
            Some(Budget { max_nanousd: 1000, worst, judge_nanousd: 0, spent_nanousd: 100 });
        made.script = Box::new(|order| {
            let mut play = play(30, "a");
            play.outcome.cost_nanousd = (order.job.pair != 2).then_some(30);
            play
        });
        let run = made.run().await;
        assert_eq!(run.finish.ended, Ended::MaxCost, "{pace}");
        let spent = run.finish.progress.spent_nanousd;
        assert!((950..=1000).contains(&spent), "{pace}: {spent}");
        assert_eq!(run.rows.len(), run.seen.len(), "what was paid is kept");
        let unknown = run.seen.iter().filter(|seen| seen.job.pair == 2).count();
        let known = run.rows.len() - unknown;
        let want = 100 + known * 30 + unknown * 50;
        assert_eq!(spent, i64::try_from(want).unwrap(), "what has no price is taken at its worst");
    }
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_or_never_ended_counts_at_its_worst_and_a_refusal_is_free() {
    for (kind, status, takes_ms, spent) in
        [("truncated", Some(200), 30, 50), ("", None, 120_000, 50), ("http_429", Some(429), 30, 0)]
    {
        let mut made = bench(1, 1, "closed 1", &["p/a"]);
        made.setup.limits.deadline = Duration::from_mins(1);
        let worst: Arc<dyn Fn(u32, u16) -> i64 + Send + Sync> = Arc::new(|_, _| 50);
        made.setup.budget =
            Some(Budget { max_nanousd: 1000, worst, judge_nanousd: 0, spent_nanousd: 0 });
        made.script = Box::new(move |_| {
            let mut play = play(takes_ms, "a");
            play.outcome.status = status;
            play.outcome.error = Some(Fault { kind: kind.to_owned(), ..Fault::default() });
            play
        });
        let run = made.run().await;
        assert_eq!(run.finish.progress.spent_nanousd, spent, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_whole_is_not_warmed_up_for() {
    let mut made = bench(3, 1, "closed 1", &["p/a"]);
    made.setup.warmup = 2;
    (0..3).for_each(|group| made.setup.done.insert(group));
    let run = made.run().await;
    assert_eq!((run.seen.len(), run.finish.ended), (0, Ended::Whole));
}

/// Takes its time over each group, and money.
struct Dear;

impl Judge for Dear {
    async fn judge(&self, group: Group) -> Vec<Row> {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let asking = Asking { asked: 2, cost_nanousd: Some(40), ..Asking::default() };
        let judged = |(row, _): (Row, Outcome)| {
            let judge = (row.target != Some(0)).then_some(asking);
            Row { judge, ..row }
        };
        group.outcomes.into_iter().map(judged).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_judge_costs_is_within_the_limit() {
    for pace in ["constant 100/s", "closed 4", "one-by-one"] {
        let made = bench(1, 100, pace, &["p/a", "p/b"]);
        let worst: Arc<dyn Fn(u32, u16) -> i64 + Send + Sync> = Arc::new(|_, _| 50);
        let budget = Budget { max_nanousd: 1000, worst, judge_nanousd: 60, spent_nanousd: 0 };
        let setup = Setup { budget: Some(budget), ..made.setup };
        let script: Box<Script> = Box::new(|_| {
            let mut play = play(30, "a");
            play.outcome.cost_nanousd = Some(30);
            play
        });
        let transport = Scripted {
            script,
            seen: Arc::default(),
            flying: Arc::default(),
            flying_max: Arc::default(),
        };
        let crew = Crew { transport, library: Shelf { make: made.make }, judge: Dear };
        let mut sink = Rows(Vec::new());
        let (_stop, stopped) = watch::channel(false);
        let (tell, _told) = watch::channel(Progress::default());
        let finish = run(setup, crew, &mut sink, stopped, &tell).await.unwrap();
        assert_eq!(finish.ended, Ended::MaxCost, "{pace}");
        let spent = finish.progress.spent_nanousd;
        let paid: i64 =
            sink.0.iter().map(|row| row.cost_nanousd.unwrap() + row.judge_nanousd()).sum();
        assert_eq!(spent, paid, "{pace}: what was judged is paid for");
        assert!((700..=1000).contains(&spent), "{pace}: {spent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_with_what_is_there() {
    let mut made = bench(1, 1000, "constant 10/s", &["p/a", "p/b"]);
    made.script = Box::new(|order| play(if order.target == 0 { 50 } else { 1_500 }, "a"));
    made.stop_after = Some(Duration::from_secs(10));
    let run = made.run().await;
    assert_eq!(run.finish.ended, Ended::Interrupted);
    assert_eq!(run.rows.len(), run.seen.len(), "requests in flight had time to end");
    assert!((95..105).contains(&run.rows.len()), "{}", run.rows.len());
    assert!(run.finish.progress.elapsed < Duration::from_secs(12));

    let mut made = bench(1, 1000, "constant 10/s", &["p/a"]);
    made.script = Box::new(|order| play(if order.job.pair == 50 { 3_600_000 } else { 50 }, "a"));
    made.stop_after = Some(Duration::from_secs(10));
    let run = made.run().await;
    assert_eq!(run.rows.len(), run.seen.len() - 1, "what hangs is given up");
    assert!(run.finish.progress.elapsed < Duration::from_secs(13));
}

#[tokio::test(start_paused = true)]
async fn what_panics_hangs_or_cannot_be_read_is_an_outcome() {
    let mut made = bench(1, 8, "closed 8", &["p/a", "p/b"]);
    made.setup.limits.deadline = Duration::from_mins(1);
    made.script = Box::new(|order| {
        let takes = if order.job.pair == 1 { Duration::MAX } else { Duration::from_millis(5) };
        Play { takes, panics: order.job.pair == 2, ..play(5, "a") }
    });
    made.make = Box::new(|pair| match pair {
        3 => Err(Fault { kind: "redacted".into(), ..Fault::default() }),
        4 => panic!("scripted"),
        _ => Ok(json!({})),
    });
    let run = made.run().await;
    let mut kinds = BTreeMap::new();
    for row in &run.rows {
        let kind = row.error.as_ref().map_or("", |fault| fault.kind.as_str());
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let want = [
        ("", 8),
        ("deadline", 2),
        ("library_panicked", 2),
        ("redacted", 2),
        ("transport_panicked", 2),
    ];
    assert_eq!(kinds, BTreeMap::from(want));
    assert_eq!((run.finish.progress.errors, run.finish.ended), (8, Ended::Whole));
}

#[tokio::test(start_paused = true)]
async fn answers_are_fed_on_and_a_branch_without_a_result_is_stopped() {
    let turn = |pair: u32| {
        let mut messages = vec![json!({"role": "user", "content": format!("go {}", pair % 2)})];
        for before in 0..pair / 2 {
            let id = format!("r{before}");
            let call = json!({"id": id, "type": "function", "function": {"name": "read", "arguments": "{}"}});
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": "file"}));
        }
        json!({"messages": messages})
    };
    // The second target calls another tool in session 1, third turn.
    let script = |order: &Order| {
        let name = if order.target == 1 && order.job.pair == 5 { "write" } else { "read" };
        let mut play = play(20, "");
        let arguments = format!("{{\"target\":{}}}", order.target);
        play.outcome.answer.calls = vec![Call { name: name.into(), arguments }];
        play
    };
    for pace in ["closed 4", "recorded 10x", "constant 100/s"] {
        let mut made = bench(5, 2, pace, &["p/a", "p/b"]);
        made.setup.context = Context::Live;
        (made.make, made.script) = (Box::new(move |pair| Ok(turn(pair))), Box::new(script));
        let run = made.run().await;
        let stopped = |row: &&Row| row.error.as_ref().is_some_and(|it| it.kind == BRANCH_STOPPED);
        let stopped: Vec<u32> = run.rows.iter().filter(stopped).map(|row| row.pair).collect();
        assert_eq!((run.rows.len(), stopped), (20, vec![7, 9]), "{pace}");
        let last = run.seen.iter().find(|seen| seen.job.pair == 8 && seen.job.target == Some(1));
        let body = last.unwrap().body.clone().unwrap();
        assert_eq!(body["messages"].as_array().unwrap().len(), 9);
        for place in [1, 3, 5, 7] {
            let call = &body["messages"][place]["tool_calls"][0];
            assert_eq!(call["function"]["arguments"], "{\"target\":1}");
            assert_eq!(call["id"], body["messages"][place + 1]["tool_call_id"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_exchanges_hold_no_more_than_are_in_flight() {
    let mut made = bench(10, 1000, "closed 16", &["p/a", "p/b"]);
    made.script = Box::new(|order| play(5 + u64::from(order.job.pair % 3) * 10, "a"));
    let mut count = Count(0);
    let run = made.run_into(&mut count).await.unwrap();
    assert_eq!(count.0, 20_000);
    assert!(run.finish.groups_max <= 17, "{} groups at once", run.finish.groups_max);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_ends_the_run() {
    struct Full;
    impl Sink for Full {
        fn row(&mut self, _: &Row) -> std::io::Result<()> {
            Err(std::io::Error::other("disk full"))
        }
    }
    let run = bench(1, 10, "closed 1", &["p/a"]).run_into(&mut Full).await;
    assert_eq!(run.err().unwrap().to_string(), "disk full");
}

/// How late a thread of its own is that only sleeps, 200 times a second: what the machine has to give just now.
fn idle_lags(count: u64) -> Vec<u64> {
    let zero = Instant::now();
    let late = |number: u64| {
        let due = Duration::from_millis(5) * u32::try_from(number).unwrap();
        std::thread::sleep(due.saturating_sub(zero.elapsed()));
        zero.elapsed().saturating_sub(due).as_micros() as u64
    };
    (0..count).map(late).collect()
}

fn p50_p99_max(mut lags: Vec<u64>) -> [u64; 3] {
    lags.sort_unstable();
    [lags[lags.len() / 2], lags[lags.len() * 99 / 100], lags[lags.len() - 1]]
}

/// In real time, with the fine timer: how late requests are sent at 200 a second. On a machine that is busy with something
/// else a thread that does nothing but sleep is late, too; the engine may not be much later than that.
#[tokio::test]
async fn two_hundred_a_second_are_sent_on_time() {
    let mut made = bench(1, 500, "poisson 200/s", &["p/a", "p/b"]);
    made.setup.limits.fine = true;
    let text = "x".repeat(20_000);
    made.make = Box::new(move |_| Ok(json!({"messages": [{"role": "user", "content": text}]})));
    made.script = Box::new(|_| play(80, "a"));
    let control = std::thread::spawn(|| idle_lags(1000));
    let run = made.run().await;
    let lags = run.rows.iter().map(|row| row.sent_us - row.intended_us).collect();
    let [p50, p99, max] = p50_p99_max(lags);
    let idle = p50_p99_max(control.join().unwrap());
    println!(
        "lag at 200/s: p50 {p50} µs, p99 {p99} µs, max {max} µs; of a thread that only sleeps {idle:?}"
    );
    assert_eq!(run.rows.len(), 1000);
    assert!(p50 < 5_000, "p50 {p50} µs");
    assert!(p99 < 20_000 + 4 * idle[2], "p99 {p99} µs, a thread that only sleeps {idle:?}");
}

/// A stop, a torn line and a second start come to the same rows as one run without them.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_comes_to_what_one_without_a_stop_does() {
    let made = || {
        let mut made = bench(40, 5, "closed 4", &["p/a", "p/b"]);
        made.setup.repeats = 2;
        made.setup.limits.grace = Duration::from_millis(60);
        made.script = Box::new(|order| {
            let mut play = play(20 + u64::from(order.job.pair % 9) * 10, "a");
            play.outcome.cost_nanousd = Some(i64::from(order.job.pair));
            play
        });
        made
    };
    let header = |setup: &Setup| crate::journal::Header {
        targets: vec!["p/a".into(), "p/b".into()],
        repeats: setup.repeats,
        ..crate::journal::Header::of("r", setup.names.iter().map(|(id, _)| id.as_str()))
    };
    let whole = made().run().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ndjson");
    let mut first = made();
    first.stop_after = Some(Duration::from_secs(5));
    let head = header(&first.setup);
    let mut journal = Journal::create(&path, &head).unwrap();
    let stopped = first.run_into(&mut journal).await.unwrap();
    assert_eq!(stopped.finish.ended, Ended::Interrupted);
    drop(journal);
    let written = std::fs::read(&path).unwrap();
    std::fs::write(&path, &written[..written.len() - 20]).unwrap();

    let (mut journal, was) = Journal::resume(&path, &head).unwrap();
    assert!(was.torn_bytes > 0 && was.rows.len() > 200, "{}", was.rows.len());
    let mut second = made();
    second.setup.done = was.done(&second.setup.outline, false);
    let left = 400 - second.setup.done.len();
    let resumed = second.run_into(&mut journal).await.unwrap();
    assert_eq!(resumed.finish.progress.planned, left * 2);
    let both = crate::journal::read(&path).unwrap();
    assert_eq!(jobs(&both.rows), jobs(&whole.rows));
    let outcomes = |rows: &[Row]| {
        let parts = rows.iter().map(|row| (row.job(), (row.of.clone(), row.cost_nanousd)));
        parts.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(outcomes(&both.rows), outcomes(&whole.rows));
    assert!(both.rows.iter().all(|row| row.likeness.is_some()), "every answer was compared");
}
