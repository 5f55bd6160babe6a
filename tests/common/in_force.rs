//! What packets can meet of a table: the base chains and all that they lead to. An apply that was killed may leave sets,
//! counters and chains beside it that nothing leads to.

use portgrave::netlink::{Kernel, NfTables};
use portgrave::plan::Held;
use portgrave::ruleset::{Expr, Ruleset, Verdict};
use std::collections::BTreeSet;

/// What is in force in this namespace, under the names that `compile` gives.
pub fn in_force() -> Ruleset {
    let read = NfTables.read(4096).expect("the kernel answers").expect("there is a table");
    met_by_packets(Held::new(read).ruleset)
}

fn met_by_packets(mut table: Ruleset) -> Ruleset {
    let mut met = Met::default();
    let mut next: Vec<String> =
        table.chains.iter().filter(|(_, chain)| chain.base.is_some()).map(|(name, _)| name.clone()).collect();
    while let Some(name) = next.pop() {
        if !met.chains.insert(name.clone()) {
            continue;
        }
        for expr in table.chains[&name].rules.iter().flat_map(|rule| &rule.exprs) {
            met.follow(&table, expr, &mut next);
        }
    }
    table.chains.retain(|name, _| met.chains.contains(name));
    table.sets.retain(|name, _| met.sets.contains(name));
    table.objects.retain(|name, _| met.objects.contains(name));
    table
}

#[derive(Default)]
struct Met {
    chains: BTreeSet<String>,
    sets: BTreeSet<String>,
    objects: BTreeSet<String>,
}

impl Met {
    fn follow(&mut self, table: &Ruleset, expr: &Expr, next: &mut Vec<String>) {
        match expr {
            Expr::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => next.push(chain.clone()),
            Expr::Object { name, .. } => drop(self.objects.insert(name.clone())),
            Expr::Lookup { set, .. } | Expr::Dynset { set, .. } | Expr::ObjectMap { map: set, .. } => {
                self.sets.insert(set.clone());
                for value in table.sets[set].elements.known().into_iter().flat_map(|known| known.values()) {
                    self.objects.extend(value.object.clone());
                    if let Some(Verdict::Jump(chain) | Verdict::Goto(chain)) = &value.verdict {
                        next.push(chain.clone());
                    }
                }
            }
            Expr::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Return)
            | Expr::Meta { .. }
            | Expr::Ct { .. }
            | Expr::Payload { .. }
            | Expr::Bitwise { .. }
            | Expr::Cmp { .. }
            | Expr::Limit { .. }
            | Expr::Log { .. }
            | Expr::Reject(_)
            | Expr::Foreign(_) => {}
        }
    }
}
