//! Random stories against what must always hold: no life is shortened, none is without end, and what was shown is kept.

use super::*;

/// The next pseudo-random number below a bound.
struct Dice(Random);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.0.below(Ms::from(bound))).unwrap()
    }

    fn addresses(&mut self) -> Vec<(IpAddr, u32)> {
        let count = 1 + self.below(6);
        (0..count).map(|_| (IpAddr::from([11, 0, 0, self.below(30) as u8]), self.below(4_000))).collect()
    }

    fn failure(&mut self) -> Failure {
        let all = [NODATA, NXDOMAIN, Failure::ServFail, Failure::Timeout, Failure::Refused];
        all[self.below(5) as usize]
    }
}

type Lives = BTreeMap<(HostName, IpAddr), Duration>;

/// Until when each name has each address.
fn ends(names: &Names, now: Duration) -> Lives {
    let of = |(name, held): (HostName, Vec<LearnedAddress>)| {
        held.into_iter().map(move |left| ((name.clone(), left.address), now + left.remaining))
    };
    names.book_now(now).into_iter().flat_map(of).collect()
}

/// What the kernel has, by what it was told.
fn write(names: &mut Names, kernel: &mut Lives, change: &Change, now: Duration) {
    let lives = names.addresses(&change.addresses, now);
    names.written(&lives, now);
    for (name, held) in lives {
        for left in held {
            let before = kernel.insert((name.clone(), left.address), now + left.remaining);
            let shorter =
                before.map(|before| before.saturating_sub(now + left.remaining)).unwrap_or_default();
            assert!(shorter < seconds(1), "{name} was shortened by more than the part of a second");
        }
    }
}

#[test]
fn whatever_comes_nothing_is_shortened_and_nothing_is_permanent() {
    for seed in 0..20 {
        let mut dice = Dice(Random::new(seed));
        let keeping = Keeping { max_stale: seconds(3_000), ..keeping() };
        let mut wanted = wanted(&["a.example", "b.example", "c.example"]);
        wanted.names.values_mut().for_each(|of| *of = keeping);
        let mut lab = Lab::with(wanted);
        let (mut kernel, mut shown) = (Lives::new(), BTreeMap::<(HostName, IpAddr), Duration>::new());
        for _ in 0..600 {
            lab.now += Duration::from_millis(dice.below(40_000).into());
            let now = lab.now;
            let before = ends(&lab.names, now);
            let mut change = Change::default();
            for ask in {
                let due = lab.names.due(now);
                change.extend(due.change);
                due.questions
            } {
                if ask.family == V6 || dice.below(20) == 0 {
                    continue;
                }
                let outcome = match dice.below(3) {
                    0 => Err(dice.failure()),
                    _ => Ok(Answer { addresses: dice.addresses(), left_out: 0 }),
                };
                for (address, _) in outcome.iter().flat_map(|answer| &answer.addresses) {
                    shown.insert((ask.name.clone(), *address), now);
                }
                change.extend(lab.names.answered(
                    &ask.name,
                    V4,
                    &Lookup { server: None, outcome },
                    &private,
                    now,
                ));
            }
            if dice.below(50) == 0 {
                change.extend(lab.names.worker_died(now));
            }
            let after = ends(&lab.names, now);
            for (held, end) in &before {
                assert!(
                    after.get(held).is_some_and(|later| later >= end),
                    "seed {seed}: {held:?} was shortened"
                );
            }
            for (held, end) in &after {
                let seen = shown[held];
                assert!(*end <= seen + seconds(4_000 + 300), "seed {seed}: {held:?} lives too long");
            }
            for (held, seen) in &shown {
                let floor = *seen + seconds(360);
                assert!(
                    floor <= now + seconds(1) || after.contains_key(held),
                    "seed {seed}: {held:?} was lost"
                );
            }
            write(&mut lab.names, &mut kernel, &change, now);
            for (held, end) in &after {
                let lag = end.saturating_sub(kernel[held]);
                assert!(lag <= seconds(151), "seed {seed}: the kernel lags by {lag:?}");
            }
        }
        lab.now += seconds(5_000);
        assert!(ends(&lab.names, lab.now).is_empty(), "seed {seed}: something is permanent");
    }
}
