//! kill -9 of the agent, of its worker, or of both, at any moment: nothing that is allowed is lost, and all of it comes back.

#[path = "agent_kills/draw.rs"]
mod draw;
mod lab;
#[path = "common/numbers.rs"]
mod numbers;
mod rig;
#[path = "agent_kills/state.rs"]
mod state;
#[path = "agent_kills/talk.rs"]
mod talk;

use draw::{Deck, Draw, Moment, Victim};
use lab::agent::running;
use lab::flow::{self, Flow};
use lab::kernel::Sets;
use lab::samples::{NAME, address, both, both_act, resolver};
use lab::wire::{Message, QUESTION, Record};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portgrave::types::Family;
use rig::{isolated, say};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use talk::Talk;

/// What is drawn is the same in every run.
const SEED: u64 = 2;
/// Names that have another address with each answer.
const CHANGING: [&str; 4] =
    ["rotates-1.example.net", "rotates-2.example.net", "rotates-3.example.net", "rotates-4.example.net"];
/// How many addresses each of them has in a family.
const ADDRESSES: usize = 50;
const TIMES: &str = "min-interval = \"1s\"\nttl-floor = \"1s\"\ngrace = \"90s\"";
/// What is nearer to its end than this may be gone after a restart.
const SOON: u64 = 10;
/// A worker that ends early again and again is started later and later.
const IN_A_ROW: usize = 3;

/// A reload is over sooner.
const RELOAD: Duration = Duration::from_millis(100);

/// PORTGRAVE_TEST_KILLS asks for more.
fn kills() -> usize {
    std::env::var("PORTGRAVE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn names() -> Vec<&'static str> {
    std::iter::once(NAME).chain(CHANGING).collect()
}

fn changing(index: usize) -> Act {
    Act::of(move |asked| {
        let number = u32::try_from(index * ADDRESSES + asked.before % ADDRESSES).expect("a small number");
        let address: IpAddr = match asked.query.family()? {
            Family::V4 => Ipv4Addr::from_bits(0x5db8_2800 + number).into(),
            Family::V6 => Ipv6Addr::from_bits((0x2606_2800_0040 << 80) + u128::from(number)).into(),
        };
        let answer = vec![Record::address("", 1, address).owned_by(&QUESTION)];
        Some(Message { answer, ..Message::to(asked.query) })
    })
}

fn site(lab: &Lab) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    lab.dns.set(NAME, both_act(1, 2));
    CHANGING.iter().enumerate().for_each(|(index, name)| lab.dns.set(name, changing(index)));
    let site = Site::new(lab, &resolver(&[server], TIMES));
    flow::policy_of(&site, 0, &names());
    site
}

/// What the kernel holds, and when it was asked.
struct Held {
    at: Instant,
    sets: Sets,
}

impl Held {
    fn read(lab: &Lab) -> Self {
        Self { at: Instant::now(), sets: Sets::read(&lab.gw) }
    }
}

/// Agent and worker, with what is counted of them.
struct Pair<'a> {
    lab: &'a Lab,
    site: &'a Site,
    daemon: Option<Daemon<'a>>,
    /// Workers of this agent that were killed.
    ended: usize,
    /// Addresses that were learnt too late to be in the state file when the agent was killed.
    unkept: usize,
}

impl<'a> Pair<'a> {
    fn daemon(&self) -> &Daemon<'a> {
        self.daemon.as_ref().expect("there is an agent")
    }

    /// Kills, and judges what is left and what comes back.
    fn survives(&mut self, draw: &Draw, flow: &Flow) {
        let mut held = Held::read(self.lab);
        if draw.moment == Moment::Start {
            held = self.dies();
            self.daemon = Some(self.site.start(&self.lab.gw));
        }
        match draw.victim {
            Victim::Worker => self.worker_returns(draw),
            Victim::Agent | Victim::Both => held = self.agent_returns(draw),
        }
        self.still_held(&held);
        self.is_well(1);
        flow.wait_for(200);
    }

    /// Waits for the moment that was drawn.
    fn moment(&self, draw: &Draw) {
        match draw.moment {
            Moment::Start | Moment::Any => {}
            Moment::Reload => self.daemon().signal(Signal::SIGHUP),
            Moment::Answer => drop(self.lab.dns.asked_again(CHANGING[0], Family::V4, 1)),
            Moment::Saving => state::saving(self.site),
        }
        std::thread::sleep(draw.after);
    }

    fn worker_returns(&mut self, draw: &Draw) {
        self.moment(draw);
        let killed = self.worker();
        // It may be the one of an agent that starts.
        kill(killed, Signal::SIGKILL).expect("the worker runs");
        self.ended += 1;
        let next = eventually("another worker", || match self.daemon().children()[..] {
            [next] if next != killed => Ok(next),
            ref others => Err(format!("{others:?}, {killed} was killed")),
        });
        self.daemon().ready();
        self.asks();
        assert_eq!(self.worker(), next, "it stays");
    }

    fn agent_returns(&mut self, draw: &Draw) -> Held {
        self.moment(draw);
        if draw.victim == Victim::Both {
            // Either may be the first to know of the other's end.
            for worker in self.daemon().children() {
                let _ = kill(worker, Signal::SIGKILL);
            }
        }
        let held = self.dies();
        self.daemon = Some(self.site.run(&self.lab.gw));
        self.still_held(&held);
        self.asks();
        held
    }

    /// The agent is killed. What the kernel and the state file hold must be in force when the next is ready; what was learnt
    /// last is not in the file yet.
    fn dies(&mut self) -> Held {
        let daemon = self.daemon.take().expect("there is an agent");
        self.ended = 0;
        daemon.kill();
        let mut held = Held::read(self.lab);
        self.is_gone();
        state::is_sound(self.site);
        let kept = state::addresses(self.site, SOON);
        let all = held.sets.addresses();
        held.sets.0.retain(|element| kept.contains(&element.address));
        let both_kept = both(1).iter().all(|address| held.sets.holds(address));
        assert!(both_kept, "the name whose addresses stay: {:?}, in the file {kept:?}", held.sets);
        self.unkept += all.difference(&kept).count();
        held
    }

    /// No worker lives on without its agent.
    fn is_gone(&self) {
        eventually("the worker ends with its agent", || match running()[..] {
            [] => Ok(()),
            ref others => Err(format!("{others:?}")),
        });
    }

    fn worker(&self) -> Pid {
        eventually("a worker", || match self.daemon().children()[..] {
            [worker] => Ok(worker),
            ref others => Err(format!("{others:?}")),
        })
    }

    /// Every name is asked again.
    fn asks(&self) {
        let count = |name: &&'static str| (*name, self.lab.dns.count_of(name, Family::V4) + 1);
        for (name, count) in names().iter().map(count).collect::<Vec<_>>() {
            self.lab.dns.asked_for(name, Family::V4, count);
        }
    }

    /// What the kernel held, it holds, but for what has ended.
    fn still_held(&self, before: &Held) {
        let now = Sets::read(&self.lab.gw).addresses();
        let soon = SOON.max(before.at.elapsed().as_secs() + 1);
        let left = |address: &IpAddr| before.sets.left(&address.to_string()).unwrap_or_default();
        let lost: BTreeMap<IpAddr, u64> = before
            .sets
            .addresses()
            .into_iter()
            .filter(|address| !now.contains(address))
            .map(|address| (address, left(&address)))
            .filter(|(_, left)| *left > soon)
            .collect();
        let said = self.daemon().lines.all().join("\n");
        assert!(lost.is_empty(), "addresses that were lost, with the seconds they had: {lost:?}\n{said}");
    }

    fn is_well(&self, generation: u64) {
        let status = eventually("healthy", || {
            let status = self.daemon().status();
            if status["health"] == "healthy" { Ok(status) } else { Err(format!("{status:#}")) }
        });
        assert_eq!(
            (&status["generation"], &status["drift"]["seen"]),
            (&generation.into(), &0.into()),
            "{status:#}"
        );
        assert_eq!(status["names"]["with_addresses"], names().len(), "{status:#}");
        assert_eq!(state::is_sound(self.site), generation);
    }
}

impl<'a> Pair<'a> {
    /// That has learnt and kept the addresses of the flow's name.
    fn learnt(lab: &'a Lab, site: &'a Site) -> Self {
        let pair = Self { lab, site, daemon: Some(site.run(&lab.gw)), ended: 0, unkept: 0 };
        let both = both(1);
        pair.daemon().holds(&[&both[0], &both[1]]);
        eventually("the state file has both", || {
            let kept = state::addresses(site, SOON);
            if both.iter().all(|text| kept.contains(&address(text))) {
                Ok(())
            } else {
                Err(format!("{kept:?}"))
            }
        });
        pair
    }
}

/// Ends all that crosses the gateway, of which nothing may be lost.
fn judge(lab: &Lab, flow: Flow, talk: Talk, what: &str) {
    flow.wait_for_both(lab, 4000, 2000);
    let said = talk.end();
    let judged = flow.end(lab);
    say(format!("{what} in {:.0} s: {judged:?}, {said} messages there and back", judged.seconds));
    assert_eq!((judged.lost, judged.passed, judged.resets), (0, 0, 0), "{judged:?}");
    assert_eq!(judged.sent, judged.arrived, "{judged:?}");
    assert!(judged.allowed > 4000 && judged.forbidden > 2000 && said > 100, "{judged:?}");
}

#[test]
fn what_is_allowed_is_never_lost_however_agent_and_worker_are_killed_and_both_come_back() {
    isolated("what_is_allowed_is_never_lost_however_agent_and_worker_are_killed_and_both_come_back", || {
        let lab = Lab::new();
        let site = site(&lab);
        let mut pair = Pair::learnt(&lab, &site);
        let (flow, talk) = (Flow::start(&lab), Talk::start(&lab));
        let mut deck = Deck::new(SEED);
        for number in 1..=kills() {
            let draw = deck.draw(pair.ended < IN_A_ROW);
            let _told = Told(format!("seed {SEED}, kill {number}: {draw:?}"));
            pair.survives(&draw, &flow);
            flow.converse();
        }
        let unkept = pair.unkept;
        judge(
            &lab,
            flow,
            talk,
            &format!("{} kills of seed {SEED}, {unkept} addresses not kept yet", kills()),
        );
        pair.is_well(1);
    });
}

/// The old generation or the new one is on the disk, and the files are in force when the next agent has read them.
#[test]
fn a_killed_reload_of_other_files_is_finished_by_the_next_agent_and_nothing_is_lost() {
    isolated("a_killed_reload_of_other_files_is_finished_by_the_next_agent_and_nothing_is_lost", || {
        let lab = Lab::new();
        let site = site(&lab);
        let mut pair = Pair::learnt(&lab, &site);
        let (flow, talk) = (Flow::start(&lab), Talk::start(&lab));
        let (mut deck, mut news, mut prepared) = (Deck::new(SEED), 0, 0);
        for number in 1..=kills() {
            flow::policy_of(&site, number % 2, &names());
            pair.daemon().signal(Signal::SIGHUP);
            let after = deck.within(RELOAD);
            let _told = Told(format!("seed {SEED}, kill {number}: {after:?} after SIGHUP"));
            std::thread::sleep(after);
            let held = pair.dies();
            let (old, new) = (u64::try_from(number).expect("a small number"), state::is_sound(&site));
            assert!(new == old || new == old + 1, "{new} after {old}");
            news += usize::from(new > old);
            prepared += usize::from(state::is_prepared(&site));
            pair.daemon = Some(site.run(&lab.gw));
            pair.still_held(&held);
            pair.daemon().line(&["the files at the start"], 1);
            pair.is_well(old + 1);
            assert!(!state::is_prepared(&site), "what was prepared is in force, or gone");
        }
        let what = format!("{} reloads killed, {news} done already, {prepared} prepared", kills());
        judge(&lab, flow, talk, &what);
    });
}

/// Says what was done when a test fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
