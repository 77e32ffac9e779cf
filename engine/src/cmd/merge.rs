//! How the replies of all shards become one ([`Scope::All`](super::Scope::All)).
//!
//! Invariant: when a shard answered an error, the first error is the reply.

use crate::error::Error;
use crate::reply::{Reply, Tree};

/// The sum of integers.
pub fn sum(parts: Vec<Tree>, out: &mut dyn Reply) {
    let mut total = 0i64;
    for part in &parts {
        let Tree::Int(value) = part else { return unexpected(part, out) };
        total = total.saturating_add(*value);
    }
    out.int(total);
}

/// All elements of arrays, one shard's after another's.
pub fn concat(parts: Vec<Tree>, out: &mut dyn Reply) {
    let mut all = Vec::new();
    for part in parts {
        let Tree::Array(items) = part else { return unexpected(&part, out) };
        all.extend(items);
    }
    Tree::Array(all).write_to(out);
}

/// The first reply, where all shards say the same.
pub fn first(parts: Vec<Tree>, out: &mut dyn Reply) {
    let error = parts.iter().find(|part| matches!(part, Tree::Error(_)));
    match error.or(parts.first()) {
        Some(part) => part.write_to(out),
        None => out.ok(),
    }
}

/// One of the replies that are not null, as random as their content is: each shard has picked at random.
pub fn any_not_null(parts: Vec<Tree>, out: &mut dyn Reply) {
    let parts: Vec<_> = parts.into_iter().filter(|part| *part != Tree::Null).collect();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in &parts {
        let Tree::Bulk(bytes) = part else { return unexpected(part, out) };
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // The low bits of this hash alone are weak.
    let pick = (hash ^ (hash >> 32)) % (parts.len().max(1) as u64);
    match usize::try_from(pick).ok().and_then(|pick| parts.get(pick)) {
        Some(part) => part.write_to(out),
        None => out.null(),
    }
}

fn unexpected(part: &Tree, out: &mut dyn Reply) {
    if let Tree::Error(error) = part {
        out.error(error);
    } else {
        out.error(&Error::text("ERR a shard answered with an unexpected type"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::TreeSink;

    fn merged(merge: fn(Vec<Tree>, &mut dyn Reply), parts: Vec<Tree>) -> Tree {
        let mut out = TreeSink::new(false);
        merge(parts, &mut out);
        out.into_reply()
    }

    #[test]
    fn replies_of_shards_become_one() {
        let key = |k: &str| Tree::Bulk(k.into());
        assert_eq!(merged(sum, vec![Tree::Int(2), Tree::Int(3)]), Tree::Int(5));
        assert_eq!(
            merged(concat, vec![Tree::Array(vec![key("a")]), Tree::Array(vec![key("b")])]),
            Tree::Array(vec![key("a"), key("b")])
        );
        assert_eq!(merged(any_not_null, vec![Tree::Null, key("a"), Tree::Null]), key("a"));
        assert_eq!(merged(any_not_null, vec![Tree::Null, Tree::Null]), Tree::Null);
        let ok = Tree::Simple("OK".into());
        assert_eq!(merged(first, vec![ok.clone(), ok.clone()]), ok);
    }

    #[test]
    fn the_first_error_wins() {
        let error = Tree::Error(Error::Syntax);
        for merge in [sum, concat, first, any_not_null] {
            assert_eq!(merged(merge, vec![error.clone(), error.clone()]), error);
        }
    }
}
