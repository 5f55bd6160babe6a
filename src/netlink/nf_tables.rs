//! The kernel itself.

use super::connection::Connection;
use super::encode::{Purpose, encode};
use super::read::{Reading, generation, lookup};
use super::{GenId, Kernel, KernelError};
use crate::plan::Plan;
use crate::ruleset::{ElementKey, ElementValue, Ruleset, Set};

/// A readback that others disturb is repeated this often.
const READS: usize = 50;

/// nf_tables of the network namespace that the calling thread is in. A socket is opened for each call, so that no
/// answer can be taken for another's.
#[derive(Clone, Copy, Debug, Default)]
pub struct NfTables;

impl Kernel for NfTables {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        OpenNfTables::default().generation()
    }

    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        OpenNfTables::default().read(dump_limit)
    }

    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        OpenNfTables::default().lookup(set, head, key)
    }

    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        OpenNfTables::default().commit(plan, generation)
    }

    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        OpenNfTables::default().dry_run(plan)
    }
}

/// The same for who commits and asks often: one socket stays open for commits, lookups and the generation id. The kernel closes
/// a netlink socket only after it has freed what commits took away, which takes it up to 20 ms.
#[derive(Default)]
pub struct OpenNfTables(Option<Connection>);

impl OpenNfTables {
    /// After anything but success the socket is given up, so that no answer can be taken for another's.
    fn with<T>(
        &mut self,
        call: impl FnOnce(&mut Connection) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut connection = self.0.take().map_or_else(Connection::open, Ok)?;
        let value = call(&mut connection)?;
        self.0 = Some(connection);
        Ok(value)
    }
}

impl Kernel for OpenNfTables {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        self.with(generation)
    }

    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        let mut before = None;
        for _ in 0..READS {
            let mut reading = Reading::new(dump_limit)?;
            let ruleset = reading.table()?;
            // Others may commit to other tables all the time: what is read twice alike was not torn.
            if !reading.disturbed() || before.as_ref() == Some(&ruleset) {
                return Ok(ruleset);
            }
            before = Some(ruleset);
        }
        Err(KernelError::Stale)
    }

    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        self.with(|connection| lookup(connection, set, head, key))
    }

    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        let batch = encode(plan, generation, Purpose::Commit)?;
        self.with(|connection| connection.commit(&batch))
    }

    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        let batch = encode(plan, None, Purpose::DryRun)?;
        Connection::open()?.commit(&batch)
    }
}
