//! What the running kernel can do, asked by batches that it validates and aborts.

use crate::compile::Features;
use crate::netlink::{Kernel, KernelError};
use crate::plan::{Op, Plan};
use crate::ruleset::{Elements, Field, Set, SetData};

pub fn features(kernel: &mut dyn Kernel) -> Result<Features, KernelError> {
    let probe = Set {
        key: vec![Field::InetProto, Field::InetService],
        data: SetData::Verdict,
        interval: true,
        timeout: None,
        dynamic: false,
        size: None,
        elements: Elements::default(),
        origin: None,
    };
    let plan = Plan { ops: vec![Op::AddTable, Op::AddSet { name: "probe".into(), head: probe }] };
    match kernel.dry_run(&plan) {
        Ok(()) => Ok(Features { interval_concatenations: true }),
        Err(KernelError::Refused(_)) => Ok(Features { interval_concatenations: false }),
        Err(other) => Err(other),
    }
}
