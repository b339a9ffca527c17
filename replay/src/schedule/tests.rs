//! A schedule driven by a clock of numbers: what is sent when, for given times to answer.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SESSIONS: [&str; 3] = ["a", "b", "c"];

/// `turns` turns in each of three sessions, a second apart, each answered in 400 ms.
fn outline(turns: u32) -> Arc<Outline> {
    let beats = (0..turns * 3).map(|pair| {
        let start = i64::from(pair / 3) * 1_000_000 + i64::from(pair % 3) * 10_000;
        Beat {
            pair,
            session: Some(SESSIONS[pair as usize % 3]),
            started_at_us: start,
            ended_at_us: start + 400_000,
            depends: true,
        }
    });
    Arc::new(Outline::of(beats))
}

fn alone(count: u32, gap_us: i64) -> Arc<Outline> {
    let beats = (0..count).map(|pair| Beat {
        pair,
        session: None,
        started_at_us: i64::from(pair) * gap_us,
        ended_at_us: i64::from(pair) * gap_us + 1,
        depends: true,
    });
    Arc::new(Outline::of(beats))
}

struct Sent {
    due: Due,
    ended_us: u64,
}

/// What happened, and the most that was in flight and open.
struct World {
    sent: Vec<Sent>,
    in_flight: usize,
    open: usize,
}

fn run(mut schedule: Schedule, answer_us: impl Fn(&Due) -> u64) -> World {
    let mut world = World { sent: Vec::new(), in_flight: 0, open: 0 };
    let mut flying: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        let wake = match schedule.next(now, flying.len()) {
            Next::Send(due) => {
                let ended_us = now + answer_us(&due);
                flying.push(Reverse((ended_us, world.sent.len())));
                world.sent.push(Sent { due, ended_us });
                world.in_flight = world.in_flight.max(flying.len());
                world.open = world.open.max(schedule.open());
                continue;
            }
            Next::Later(at) => Some(at),
            Next::Finished if flying.is_empty() => return world,
            Next::Wait | Next::Finished => None,
        };
        let end = flying.peek().map(|Reverse((end, _))| *end);
        let next = wake.into_iter().chain(end).min().expect("a schedule that waits for nothing");
        assert!(next >= now);
        now = next;
        while flying.peek().is_some_and(|Reverse((end, _))| *end <= now) {
            let Reverse((end, at)) = flying.pop().unwrap();
            schedule.ended(&world.sent[at].due, end);
        }
    }
}

fn settings(pace: &str) -> Settings {
    Settings { pace: pace.parse().unwrap(), ..Settings::default() }
}

fn plain(outline: &Arc<Outline>, settings: Settings) -> Schedule {
    Schedule::new(Arc::clone(outline), settings, Groups::default())
}

#[test]
fn recorded_waits_for_the_answer_and_the_thinking() {
    let outline = outline(4);
    for speed in [1.0, 0.5, 10.0] {
        let pace = Pace::Recorded { speed };
        let world = run(plain(&outline, Settings { pace, ..Settings::default() }), |due| {
            if due.job.pair % 3 == 0 { 2_000_000 } else { 1_000 }
        });
        assert_eq!(world.sent.len(), 12);
        let mut ends = BTreeMap::new();
        for sent in &world.sent {
            let session = sent.due.session.unwrap();
            let want = match ends.get(&session) {
                Some(end) => end + at_speed(600_000, speed),
                None => at_speed(u64::from(sent.due.job.pair) * 10_000, speed),
            };
            assert_eq!(sent.due.at_us, want, "{speed}: {:?}", sent.due);
            ends.insert(session, sent.ended_us);
        }
    }
}

/// Two agents side by side, and a turn that has read both.
#[test]
fn a_turn_waits_for_all_that_it_can_have_read_and_agents_side_by_side_do_not() {
    let beats = [(0, 0, 100), (1, 110, 300), (2, 120, 250), (3, 260, 290), (4, 320, 400)];
    let beats = beats.map(|(pair, start, end)| Beat {
        pair,
        session: Some("a"),
        started_at_us: start,
        ended_at_us: end,
        depends: true,
    });
    let outline = Arc::new(Outline::of(beats));
    // What was fast when recorded is slow now: the answer that ended last then does not end last.
    let answer_us = |due: &Due| if due.job.pair == 2 { 5_000 } else { 100 };
    for (pace, want) in
        [("recorded 1x", [0, 110, 120, 5_130, 5_250]), ("closed 4", [0, 100, 100, 5_100, 5_200])]
    {
        let world = run(plain(&outline, settings(pace)), answer_us);
        let mut sent: Vec<&Sent> = world.sent.iter().collect();
        sent.sort_by_key(|sent| sent.due.job.pair);
        let at: Vec<u64> = sent.iter().map(|sent| sent.due.at_us).collect();
        assert_eq!(at, want, "{pace}");
    }
}

#[test]
fn recorded_without_sessions_keeps_its_instants_whatever_is_in_flight() {
    let world = run(plain(&alone(100, 70_000), settings("recorded 7x")), |_| 60_000_000);
    let at: Vec<u64> = world.sent.iter().map(|sent| sent.due.at_us).collect();
    assert_eq!(at, (0..100).map(|n| n * 10_000).collect::<Vec<u64>>());
    assert_eq!(world.in_flight, 100);
}

#[test]
fn repeats_follow_one_another_on_the_recorded_time_line() {
    let repeated = Settings { repeats: 3, ..settings("recorded 1x") };
    let schedule = plain(&alone(5, 100), repeated);
    assert_eq!(schedule.planned_us(), Some(1400));
    let world = run(schedule, |_| 10);
    let at: Vec<u64> = world.sent.iter().map(|sent| sent.due.at_us).collect();
    assert_eq!(at, (0..15).map(|n| n * 100).collect::<Vec<u64>>());
    assert_eq!(world.sent[7].due.job, Job { pair: 2, target: Some(0), repeat: 1 });
}

#[test]
fn a_rate_is_the_runs_and_is_kept_whatever_is_in_flight() {
    let two = Settings { targets: 2, ..settings("constant 100/s") };
    let schedule = plain(&outline(20), two);
    assert_eq!(schedule.planned_us(), Some(1_190_000));
    let world = run(schedule, |_| 5_000_000);
    let at: Vec<u64> = world.sent.iter().map(|sent| sent.due.at_us).collect();
    assert_eq!(at, (0..120).map(|n| n * 10_000).collect::<Vec<u64>>());
    let pairs: Vec<u32> = world.sent.iter().map(|sent| sent.due.job.pair).collect();
    assert!(pairs.is_sorted(), "the order is that of the recordings");
}

#[test]
fn a_rate_with_answers_fed_on_waits_for_them() {
    let live = Settings { live: true, ..settings("poisson 1000/s") };
    let world = run(plain(&outline(10), live), |_| 100_000);
    let mut ends = BTreeMap::new();
    for sent in &world.sent {
        let session = sent.due.session.unwrap();
        assert!(ends.get(&session).is_none_or(|end| *end <= sent.due.at_us));
        ends.insert(session, sent.ended_us);
    }
    assert_eq!((world.sent.len(), world.in_flight), (30, 3));
}

#[test]
fn a_closed_loop_is_never_over_its_number_and_always_at_it() {
    for count in [1, 4, 9] {
        let pace = Pace::Closed { in_flight: count };
        let two = Settings { targets: 2, pace, ..Settings::default() };
        let world =
            run(plain(&alone(200, 5), two), |due| 1_000 + u64::from(due.job.pair % 7) * 333);
        assert_eq!((world.sent.len(), world.in_flight), (400, count as usize));
        assert!(world.open <= count as usize + 1, "{} groups open", world.open);
    }
    let world = run(plain(&alone(20, 5), settings("one-by-one")), |_| 777);
    assert_eq!(world.in_flight, 1);
    assert_eq!(world.sent[19].due.at_us, 19 * 777);
}

#[test]
fn a_closed_loop_keeps_the_order_of_a_session() {
    let two = Settings { targets: 2, repeats: 2, ..settings("closed 8") };
    let world = run(plain(&outline(20), two), |due| 500 + u64::from(due.target) * 900);
    let mut ends = BTreeMap::new();
    for sent in &world.sent {
        let thread = (sent.due.session, sent.due.target, sent.due.job.repeat);
        assert!(ends.insert(thread, sent.ended_us).is_none_or(|end| end <= sent.due.at_us));
    }
    let jobs: BTreeSet<Job> = world.sent.iter().map(|sent| sent.due.job).collect();
    assert_eq!(jobs.len(), 240, "each once");
}

#[test]
fn targets_take_turns_at_random_and_none_is_first_more_often() {
    let three = Settings { targets: 3, seed: 5, ..settings("constant 1000/s") };
    let order = |settings: Settings| {
        let world = run(plain(&alone(1000, 5), settings), |_| 1);
        world.sent.iter().map(|sent| sent.due.target).collect::<Vec<u16>>()
    };
    let drawn = order(three);
    let mut places = [[0_u32; 3]; 3];
    for group in drawn.chunks(3) {
        assert_eq!(group.iter().collect::<BTreeSet<_>>().len(), 3, "a pair is sent to all");
        for (place, target) in group.iter().enumerate() {
            places[usize::from(*target)][place] += 1;
        }
    }
    for target in places {
        assert_eq!(target[0], target[2], "as often first as last");
        assert!(target.iter().all(|count| (270..400).contains(count)), "{places:?}");
    }
    assert_eq!(drawn, order(three), "the seed decides");
    assert_ne!(drawn, order(Settings { seed: 6, ..three }));
}

#[test]
fn a_target_that_asked_to_be_left_alone_is_and_the_others_go_on() {
    let two = Settings { targets: 2, ..settings("closed 2") };
    let mut schedule = plain(&alone(50, 5), two);
    schedule.hold(1, 1_000_000);
    let mut sent = Vec::new();
    for now in 0..40 {
        let Next::Send(due) = schedule.next(now, 0) else { panic!("nothing for {now}") };
        schedule.ended(&due, now);
        sent.push(due.target);
    }
    assert!(sent.iter().all(|target| *target == 0));
    for now in 40..50 {
        schedule.next(now, 0);
    }
    assert_eq!(schedule.next(60, 0), Next::Later(1_000_000));
    let Next::Send(due) = schedule.next(1_000_000, 0) else { panic!("still held") };
    assert_eq!((due.target, due.job.pair), (1, 0));
}

#[test]
fn open_groups_are_bounded_however_far_one_target_is_ahead() {
    let outline = outline(2000);
    for pace in ["recorded 100x", "closed 16", "constant 5000/s", "gamma:0.2 5000/s"] {
        let narrow = Settings { targets: 2, groups_max: 20, in_flight_max: 64, ..settings(pace) };
        let world = run(plain(&outline, narrow), |due| if due.target == 0 { 10 } else { 90_000 });
        assert_eq!(world.sent.len(), 12_000, "{pace}");
        assert!(world.open <= 20 && world.in_flight <= 64, "{pace}: {}", world.open);
    }
}

#[test]
fn ten_thousand_recordings_hold_no_more_than_are_in_flight() {
    let world = run(plain(&alone(10_000, 1_000), settings("recorded 1x")), |_| 25_000);
    assert_eq!((world.sent.len(), world.in_flight), (10_000, 25));
    assert_eq!(world.open, 25);
}

#[test]
fn a_resumed_run_sends_the_rest_in_the_same_order_and_begins_at_once() {
    let two = Settings { targets: 2, seed: 9, ..settings("recorded 10x") };
    let whole = run(plain(&outline(30), two), |_| 5_000);
    let mut skip = Groups::default();
    for group in (0..40).chain([50, 51]) {
        skip.insert(group);
    }
    assert_eq!(skip.len(), 42);
    let rest = run(Schedule::new(outline(30), two, skip.clone()), |_| 5_000);
    let orders = |world: &World| {
        let mut orders = BTreeMap::<u64, Vec<Job>>::new();
        for sent in world.sent.iter().filter(|sent| !skip.contains(sent.due.group)) {
            orders.entry(sent.due.group).or_default().push(sent.due.job);
        }
        orders
    };
    assert_eq!(rest.sent.len(), 96);
    assert_eq!(orders(&rest), orders(&whole), "the same jobs, the targets in the same order");
    assert_eq!(rest.sent[0].due.at_us, 0, "what is done takes no time");
}

#[test]
fn nothing_to_send_is_finished_at_once() {
    for pace in ["recorded 1x", "constant 1/s", "closed 2", "ramp 1/s..2/s over 1s"] {
        let mut schedule = plain(&alone(0, 1), settings(pace));
        assert_eq!(schedule.next(0, 0), Next::Finished);
        assert!(schedule.planned_us().is_none());
    }
}

/// A run of anything: recordings as they may come, with limits as narrow as they may be.
#[derive(Debug, Clone)]
struct Any {
    recordings: Vec<(u8, i64, i64)>,
    pace: usize,
    settings: Settings,
    skip: Vec<u64>,
    answers: Vec<u64>,
}

fn any_run() -> impl Strategy<Value = Any> {
    let recordings = proptest::collection::vec((0_u8..5, 0_i64..10_000, 0_i64..2_000), 0..40);
    let limits = (1_u16..4, 1_u16..3, 1_usize..6, 1_usize..6, any::<bool>(), any::<u64>());
    let skip = proptest::collection::vec(0_u64..80, 0..20);
    let answers = proptest::collection::vec(0_u64..5_000, 1..7);
    (recordings, 0_usize..7, limits, skip, answers).prop_map(
        |(
            recordings,
            pace,
            (targets, repeats, groups_max, in_flight_max, live, seed),
            skip,
            answers,
        )| {
            let settings = Settings {
                targets,
                repeats,
                seed,
                live,
                groups_max,
                in_flight_max,
                ..Settings::default()
            };
            Any { recordings, pace, settings, skip, answers }
        },
    )
}

const PACES: [&str; 7] = [
    "recorded 1x",
    "recorded 50x",
    "constant 900/s",
    "gamma:0.1 300/s",
    "ramp 1/s..900/s over 1s",
    "closed 3",
    "one-by-one",
];

proptest! {
    #[test]
    fn any_run_ends_and_sends_everything_once_within_its_limits(any in any_run()) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let beats = (0..).zip(&any.recordings).map(|(pair, (session, start, length))| Beat {
            pair,
            session: NAMES.get(usize::from(*session)).copied(),
            started_at_us: *start,
            ended_at_us: start + length,
            depends: true,
        });
        let outline = Arc::new(Outline::of(beats));
        let pace: Pace = PACES[any.pace].parse().unwrap();
        let settings = Settings { pace, ..any.settings };
        let mut skip = Groups::default();
        any.skip.iter().for_each(|group| skip.insert(*group));
        let schedule = Schedule::new(Arc::clone(&outline), settings, skip.clone());
        let world = run(schedule, |due| {
            any.answers[(due.job.pair as usize + usize::from(due.target)) % any.answers.len()]
        });

        let total = outline.len() as u64 * u64::from(settings.repeats);
        let left = (0..total).filter(|group| !skip.contains(*group)).count();
        let jobs: BTreeSet<Job> = world.sent.iter().map(|sent| sent.due.job).collect();
        prop_assert_eq!(world.sent.len(), left * usize::from(settings.targets));
        prop_assert_eq!(jobs.len(), world.sent.len());
        let limit = pace.in_flight().map_or(settings.in_flight_max, |limit| limit as usize);
        prop_assert!(world.in_flight <= limit && world.open <= settings.groups_max);
        if pace.is_open() && !settings.live && !matches!(pace, Pace::Recorded { .. }) {
            return Ok(());
        }
        let mut ends = BTreeMap::new();
        for sent in &world.sent {
            let thread = (sent.due.target, sent.due.job.repeat);
            let think_us = outline.get(sent.due.place).map_or(0, |cue| cue.think_us);
            let think_us = match pace {
                Pace::Recorded { speed } => at_speed(think_us, speed),
                _ => 0,
            };
            let mut last = None;
            for before in outline.before(sent.due.place) {
                if let Some(end) = ends.get(&(thread, *before)) {
                    last = last.max(Some(*end));
                    continue;
                }
                let group = u64::from(sent.due.job.repeat) * outline.len() as u64;
                let group = group + u64::from(*before);
                prop_assert!(skip.contains(group), "{:?} was sent first", sent.due);
            }
            if let Some(end) = last {
                prop_assert!(sent.due.at_us >= end + think_us, "{:?} did not wait", sent.due);
            }
            ends.insert((thread, sent.due.place), sent.ended_us);
        }
    }
}
