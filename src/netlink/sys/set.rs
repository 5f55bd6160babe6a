//! Heads of sets through libnftnl.

use super::expr::{object_type, out_of_memory};
use super::message::table_name;
use super::name;
use crate::netlink::decode::type_of_fields;
use crate::netlink::elements::{Mistake, milliseconds};
use crate::netlink::wire::set as nfta;
use crate::ruleset::{Set, SetData};
use nftnl::{MsgType, NlMsg, ProtoFamily, nftnl_sys as sys};
use std::ffi::c_void;
use std::ptr::NonNull;

/// `NFT_REG32_COUNT`: libnftnl has room for as many lengths of fields.
const FIELDS_MAX: usize = 16;

/// A set of our table in libnftnl's form.
pub struct NamedSet {
    set: NonNull<sys::nftnl_set>,
}

impl NamedSet {
    /// The set by its name alone: enough to delete it.
    pub fn named(set_name: &str) -> Result<Self, Mistake> {
        let set_name = name(set_name)?;
        // SAFETY: no arguments.
        let Some(set) = NonNull::new(unsafe { sys::nftnl_set_alloc() }) else { out_of_memory() };
        let this = Self { set };
        for (attribute, text) in [(sys::NFTNL_SET_TABLE, &table_name()), (sys::NFTNL_SET_NAME, &set_name)] {
            // SAFETY: the set is alive; both attributes are strings, and the string is copied.
            if unsafe { sys::nftnl_set_set_str(set.as_ptr(), attribute as u16, text.as_ptr()) } < 0 {
                out_of_memory();
            }
        }
        this.u32(sys::NFTNL_SET_FAMILY, ProtoFamily::Inet as u32);
        Ok(this)
    }

    /// The set with its head, and a number that is unique within the batch.
    pub fn new(set_name: &str, head: &Set, id: u32) -> Result<Self, Mistake> {
        let this = Self::named(set_name)?;
        let len: usize = match head.key.as_slice() {
            [] => return Err("a set without a key"),
            [field] => field.octets(),
            fields if fields.len() > FIELDS_MAX => return Err("a key of more than 16 fields"),
            fields => fields.iter().map(|field| field.padded_len()).sum(),
        };
        this.u32(sys::NFTNL_SET_ID, id);
        this.u32(sys::NFTNL_SET_FLAGS, flags(head));
        this.u32(sys::NFTNL_SET_KEY_TYPE, type_of_fields(&head.key));
        this.u32(sys::NFTNL_SET_KEY_LEN, u32::try_from(len).map_err(|_| "a key of too many octets")?);
        match head.data {
            SetData::None => {}
            SetData::Verdict => {
                this.u32(sys::NFTNL_SET_DATA_TYPE, nfta::DATA_VERDICT);
                this.u32(sys::NFTNL_SET_DATA_LEN, VERDICT_LEN);
            }
            SetData::Object(kind) => this.u32(sys::NFTNL_SET_OBJ_TYPE, object_type(kind)),
        }
        if let Some(size) = head.size {
            this.u32(sys::NFTNL_SET_DESC_SIZE, size);
        }
        if let Some(timeout) = head.timeout {
            this.timeout(milliseconds(timeout))?;
        }
        if is_interval_concatenation(head) {
            this.data(sys::NFTNL_SET_DESC_CONCAT, &field_lengths(head));
        }
        Ok(this)
    }

    fn u32(&self, attribute: sys::nftnl_set_attr, value: u32) {
        // SAFETY: the set is alive; the callers name attributes that libnftnl holds as u32.
        unsafe { sys::nftnl_set_set_u32(self.set.as_ptr(), attribute as u16, value) };
    }

    fn timeout(&self, milliseconds: u64) -> Result<(), Mistake> {
        if milliseconds == 0 {
            return Err("a set with a timeout of nothing");
        }
        // SAFETY: the set is alive; libnftnl holds this attribute as u64.
        unsafe { sys::nftnl_set_set_u64(self.set.as_ptr(), sys::NFTNL_SET_TIMEOUT as u16, milliseconds) };
        Ok(())
    }

    fn data(&self, attribute: sys::nftnl_set_attr, data: &[u8]) {
        let len = u32::try_from(data.len()).expect("at most 16 octets");
        let start = data.as_ptr().cast::<c_void>();
        // SAFETY: the set is alive; the data is copied, and is at most the `FIELDS_MAX` octets that libnftnl has for
        // the lengths of fields.
        if unsafe { sys::nftnl_set_set_data(self.set.as_ptr(), attribute as u16, start, len) } < 0 {
            out_of_memory();
        }
    }
}

/// What nft says a verdict's length is: the kernel takes it from the type.
const VERDICT_LEN: u32 = 16;

fn is_interval_concatenation(head: &Set) -> bool {
    head.interval && head.key.len() > 1
}

fn field_lengths(head: &Set) -> Vec<u8> {
    head.key.iter().map(|field| u8::try_from(field.octets()).expect("an address has 16 octets")).collect()
}

fn flags(head: &Set) -> u32 {
    let data = match head.data {
        SetData::None => 0,
        SetData::Verdict => nfta::F_MAP,
        SetData::Object(_) => nfta::F_OBJECT,
    };
    let when = |condition: bool, flag: u32| if condition { flag } else { 0 };
    data | when(head.interval, nfta::F_INTERVAL)
        | when(head.timeout.is_some(), nfta::F_TIMEOUT)
        | when(head.dynamic, nfta::F_EVAL)
        | when(is_interval_concatenation(head), nfta::F_CONCAT)
}

// SAFETY: `write` keeps to the buffer that the trait promises: a set's message is some 700 octets at most, its names
// being of at most 255 octets.
unsafe impl NlMsg for NamedSet {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
        let kind = match msg_type {
            MsgType::Add => sys::libc::NFT_MSG_NEWSET,
            MsgType::Del => sys::libc::NFT_MSG_DELSET,
        };
        // SAFETY: the caller gives a buffer for the largest message; the set is alive.
        unsafe {
            let header =
                sys::nftnl_nlmsg_build_hdr(buf.cast(), kind as u16, ProtoFamily::Inet as u16, 0, seq);
            sys::nftnl_set_nlmsg_build_payload(header, self.set.as_ptr());
        }
    }
}

impl Drop for NamedSet {
    fn drop(&mut self) {
        // SAFETY: the set is alive, ours, and not used after this.
        unsafe { sys::nftnl_set_free(self.set.as_ptr()) };
    }
}
