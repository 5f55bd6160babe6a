//! A kernel's refusal in the words of the policy.

use crate::diag::{Finding, Findings, codes};
use crate::netlink::Refusal;
use crate::plan::{Op, Plan};
use crate::ruleset::{Expr, Ruleset};

/// Refusals that are told one by one; the rest is a count.
const TOLD: usize = 20;

const ENOENT: i32 = 2;
const NOTHING_CHANGED: &str = "nothing was changed: the rules that were in force still are";

/// One finding a refused operation, at the place in the policy that the operation comes from.
pub fn explain(plan: &Plan, refusals: &[Refusal], want: &Ruleset) -> Findings {
    let mut findings = Findings::default();
    // Once an operation is refused, those that need what it would have made fail with ENOENT: they explain nothing.
    let causes: Vec<&Refusal> = refusals.iter().filter(|refusal| refusal.errno != ENOENT).collect();
    if causes.is_empty() && refusals.iter().any(|refusal| logs(plan, refusal)) {
        return no_log().into();
    }
    let refusals = if causes.is_empty() { refusals.iter().collect() } else { causes };
    for refusal in refusals.iter().take(TOLD) {
        let op = refusal.op.and_then(|index| plan.ops.get(index));
        let what = op.map_or_else(|| "the batch".to_owned(), words);
        let detail = refusal.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let error = std::io::Error::from_raw_os_error(refusal.errno);
        let origin = op.and_then(|op| op.origin().or_else(|| origin_of_elements(op, want)));
        findings.push(
            Finding::error("PG601", format!("the kernel refused {what}: {error}{detail}"))
                .at(origin)
                .help(NOTHING_CHANGED),
        );
    }
    if refusals.len() > TOLD {
        let more = refusals.len() - TOLD;
        let finding = Finding::error("PG601", format!("the kernel refused {more} more operations"));
        findings.push(finding.help(NOTHING_CHANGED));
    }
    findings
}

fn logs(plan: &Plan, refusal: &Refusal) -> bool {
    let op = refusal.op.and_then(|index| plan.ops.get(index));
    let is_log = |expr: &Expr| matches!(expr, Expr::Log { .. });
    matches!(op, Some(Op::AddRule { rule, .. }) if rule.exprs.iter().any(is_log))
}

/// The kernel says ENOENT of a way to log that it has not, and cannot load.
fn no_log() -> Finding {
    const REMEDY: &str = "load the kernel module nfnetlink_log, or set `denied = \"off\"` in [log] and take `log = true` out \
                          of rules; nothing was changed: the rules that were in force still are";
    Finding::error(codes::KERNEL_LACKS, "the kernel cannot log packets: nfnetlink_log is missing")
        .help(REMEDY)
}

fn words(op: &Op) -> String {
    let one = Plan { ops: vec![op.clone()] };
    one.describe(None).first().map(ToString::to_string).unwrap_or_default()
}

/// The rule of the first element that leads to a counter with a place.
fn origin_of_elements(op: &Op, want: &Ruleset) -> Option<crate::diag::Span> {
    let (Op::AddElements { elements, .. } | Op::RenewElements { elements, .. }) = op else { return None };
    let objects = elements.iter().filter_map(|(_, value)| value.object.as_ref());
    objects.filter_map(|name| want.objects.get(name)).find_map(|object| object.origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{RuleBuilder, Verdict};

    #[test]
    fn a_kernel_that_cannot_log_is_named_once() {
        let rule = || RuleBuilder::new().log("pg:in:deny:default", 100, 128).verdict(Verdict::Drop);
        let add = |chain: &str| Op::AddRule { chain: chain.into(), before: None, rule: rule() };
        let plan = Plan { ops: vec![add("in4.denied"), add("in6.denied")] };
        let refused = |op, errno| Refusal { op: Some(op), errno, detail: None };
        let found = explain(&plan, &[refused(0, ENOENT), refused(1, ENOENT)], &Ruleset::default());
        assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["PG501"]);
        let found = explain(&plan, &[refused(0, 22), refused(1, ENOENT)], &Ruleset::default());
        assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["PG601"]);
    }
}
