//! A plan as the messages of one batch.

use super::batch::Batch;
use super::elements::{self, Mistake};
use super::sys::{self, Builder, Expression, NamedObject, NamedSet};
use super::wire::flag;
use super::{GenId, KernelError};
use crate::plan::{Op, Plan};
use crate::ruleset::Rule;
use nftnl::MsgType;

/// Whether the batch is to be applied, or only validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Commit,
    /// The end message is left out.
    DryRun,
}

/// The batch of a plan. The flags of every message are ours: no `NLM_F_ACK`, because answers to a large batch would
/// not fit the socket, and no `NLM_F_EXCL`, because adding what exists is no error.
pub fn encode(plan: &Plan, generation: Option<GenId>, purpose: Purpose) -> Result<Batch, KernelError> {
    let mut encoder = Encoder { batch: Batch::begin(generation, 1), builder: Builder::default(), sets: 0 };
    for (index, op) in plan.ops.iter().enumerate() {
        encoder.batch.start_op();
        encoder.op(op).map_err(|what| KernelError::Unwritable { op: index, what })?;
    }
    if purpose == Purpose::Commit {
        encoder.batch.end();
    }
    Ok(encoder.batch)
}

struct Encoder {
    batch: Batch,
    builder: Builder,
    /// How many sets there are: the kernel wants a number of each that is unique within the batch.
    sets: u32,
}

impl Encoder {
    fn op(&mut self, op: &Op) -> Result<(), Mistake> {
        match op {
            Op::AddTable => self.add(&sys::table(), flag::CREATE),
            Op::DeleteTable => self.delete(&sys::table()),
            Op::AddObject { name, object } => self.add(&NamedObject::new(name, &object.kind)?, flag::CREATE),
            Op::DeleteObject { name, kind } => self.delete(&NamedObject::named(name, *kind)?),
            Op::AddSet { name, head } => {
                self.sets += 1;
                self.add(&NamedSet::new(name, head, self.sets)?, flag::CREATE);
            }
            Op::DeleteSet { name } => self.delete(&NamedSet::named(name)?),
            Op::FlushSet { name } => {
                elements::check_name(name)?;
                elements::flush(&mut self.batch, name);
            }
            Op::AddChain { name, base } => self.add(&sys::chain(&sys::table(), name, *base)?, flag::CREATE),
            Op::DeleteChain { name } => self.delete(&sys::chain(&sys::table(), name, None)?),
            Op::AddElements { set, head, elements: list } => {
                elements::check_name(set)?;
                elements::add(&mut self.batch, set, head, list)?;
            }
            Op::DeleteElements { set, head, keys } => {
                elements::check_name(set)?;
                elements::delete(&mut self.batch, set, head, keys)?;
            }
            Op::AddAddresses { set, head, addresses } => {
                elements::check_name(set)?;
                elements::add_addresses(&mut self.batch, set, head, addresses)?;
            }
            Op::DeleteAddresses { set, head, addresses } => {
                elements::check_name(set)?;
                elements::delete_addresses(&mut self.batch, set, head, addresses)?;
            }
            Op::RenewElements { set, head, elements: list } => {
                elements::check_name(set)?;
                elements::renew(&mut self.batch, set, head, list)?;
            }
            Op::AddRule { chain, before, rule } => self.add_rule(chain, *before, rule)?,
            Op::DeleteRule { chain, handle } => {
                let table = sys::table();
                let chain = sys::chain(&table, chain, None)?;
                let mut rule = sys::rule(&chain, &[])?;
                rule.set_handle(*handle);
                self.delete(&rule);
            }
        }
        Ok(())
    }

    fn add_rule(&mut self, chain: &str, before: Option<u64>, rule: &Rule) -> Result<(), Mistake> {
        let exprs = rule.exprs.iter().map(Expression::new).collect::<Result<Vec<_>, _>>()?;
        let table = sys::table();
        let chain = sys::chain(&table, chain, None)?;
        let mut message = sys::rule(&chain, &exprs)?;
        match before {
            Some(handle) => {
                message.set_position(handle);
                self.add(&message, flag::CREATE);
            }
            None => self.add(&message, flag::CREATE | flag::APPEND),
        }
        Ok(())
    }

    fn add(&mut self, value: &impl nftnl::NlMsg, flags: u16) {
        let message = self.builder.build(value, MsgType::Add, flags, self.batch.next_seq());
        self.batch.append(message);
    }

    fn delete(&mut self, value: &impl nftnl::NlMsg) {
        let message = self.builder.build(value, MsgType::Del, 0, self.batch.next_seq());
        self.batch.append(message);
    }
}
