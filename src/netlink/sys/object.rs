//! Named objects through libnftnl.

use super::expr::{object_type, out_of_memory};
use super::message::table_name;
use super::name;
use crate::netlink::elements::Mistake;
use crate::ruleset::{ObjectDef, ObjectKind};
use nftnl::{MsgType, NlMsg, ProtoFamily, nftnl_sys as sys};
use std::ffi::c_void;
use std::ptr::NonNull;

/// `NF_CT_HELPER_NAME_LEN` without the final zero.
const HELPER_NAME_MAX: usize = 15;

/// An object of our table in libnftnl's form.
pub struct NamedObject {
    object: NonNull<sys::nftnl_obj>,
}

impl NamedObject {
    /// The object by its name and kind alone: enough to delete it, and all there is of a new counter.
    pub fn named(object_name: &str, kind: ObjectKind) -> Result<Self, Mistake> {
        let object_name = name(object_name)?;
        // SAFETY: no arguments.
        let Some(object) = NonNull::new(unsafe { sys::nftnl_obj_alloc() }) else { out_of_memory() };
        let raw = object.as_ptr();
        // SAFETY: the object is alive; type and family are u32, the others strings that are copied. The type comes
        // first, as libnftnl wants it.
        unsafe {
            sys::nftnl_obj_set_u32(raw, sys::NFTNL_OBJ_TYPE as u16, object_type(kind));
            sys::nftnl_obj_set_u32(raw, sys::NFTNL_OBJ_FAMILY as u16, ProtoFamily::Inet as u32);
            sys::nftnl_obj_set_str(raw, sys::NFTNL_OBJ_TABLE as u16, table_name().as_ptr());
            sys::nftnl_obj_set_str(raw, sys::NFTNL_OBJ_NAME as u16, object_name.as_ptr());
        }
        Ok(Self { object })
    }

    pub fn new(object_name: &str, content: &ObjectDef) -> Result<Self, Mistake> {
        let this = Self::named(object_name, content.kind())?;
        match content {
            ObjectDef::Counter { .. } => {}
            ObjectDef::CtHelper { helper, l3proto, l4proto } => this.helper(helper, *l3proto, *l4proto)?,
        }
        Ok(this)
    }

    fn helper(&self, helper: &str, l3proto: u16, l4proto: u8) -> Result<(), Mistake> {
        let helper = name(helper)?;
        if helper.as_bytes().len() > HELPER_NAME_MAX {
            return Err("a helper's name of more than 15 octets");
        }
        let raw = self.object.as_ptr();
        // SAFETY: the object is alive and a ct helper, whose attributes have these types; the string is copied.
        unsafe {
            sys::nftnl_obj_set_str(raw, sys::NFTNL_OBJ_CT_HELPER_NAME as u16, helper.as_ptr());
            sys::nftnl_obj_set_u16(raw, sys::NFTNL_OBJ_CT_HELPER_L3PROTO as u16, l3proto);
            sys::nftnl_obj_set_u8(raw, sys::NFTNL_OBJ_CT_HELPER_L4PROTO as u16, l4proto);
        }
        Ok(())
    }
}

// SAFETY: `write` keeps to the buffer that the trait promises: an object's message is some 600 octets at most, its
// names being of at most 255 octets.
unsafe impl NlMsg for NamedObject {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
        let kind = match msg_type {
            MsgType::Add => sys::libc::NFT_MSG_NEWOBJ,
            MsgType::Del => sys::libc::NFT_MSG_DELOBJ,
        };
        // SAFETY: the caller gives a buffer for the largest message; the object is alive.
        unsafe {
            let header =
                sys::nftnl_nlmsg_build_hdr(buf.cast(), kind as u16, ProtoFamily::Inet as u16, 0, seq);
            sys::nftnl_obj_nlmsg_build_payload(header, self.object.as_ptr());
        }
    }
}

impl Drop for NamedObject {
    fn drop(&mut self) {
        // SAFETY: the object is alive, ours, and not used after this.
        unsafe { sys::nftnl_obj_free(self.object.as_ptr()) };
    }
}
