//! What SINTERSTORE, SUNIONSTORE and SDIFFSTORE do with their result.

use super::OPCODE_SADD;
use crate::cmd::generic::delete;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx, OPCODE_DEL};
use crate::types::{Object, Set};

/// Members named by one effect, so that no record grows without bound.
const EFFECT_MEMBERS_MAX: usize = 1024;

/// Replies with a set's members.
pub(super) fn reply_members(ctx: &mut Ctx<'_>, set: &Set) {
    ctx.reply.set(set.len());
    let mut scratch = itoa::Buffer::new();
    set.iter().for_each(|member| ctx.reply.bulk(member.bytes(&mut scratch)));
}

/// Stores `set` in place of whatever `key` holds (an empty set: nothing), and replies with its size. The effect names the
/// members and not the sources, so that replay needs this key alone.
pub(super) fn store(ctx: &mut Ctx<'_>, key: &[u8], set: Set, event: &'static str) -> CmdResult {
    ctx.reply.len(set.len());
    if set.is_empty() {
        delete(&mut ctx.db, key);
        return Ok(());
    }
    if ctx.db.contains(key) {
        ctx.db.effect(OPCODE_DEL, &[key]);
    }
    let members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
    ctx.db.set(key, set.into_value(), None);
    for members in members.chunks(EFFECT_MEMBERS_MAX) {
        let effect: Vec<_> =
            std::iter::once(key).chain(members.iter().map(Vec::as_slice)).collect();
        ctx.db.effect(OPCODE_SADD, &effect);
    }
    ctx.db.notify(Classes::SET, event, key);
    Ok(())
}
