//! How the replies of all shards become one ([`Scope::All`](super::Scope::All)).
//!
//! Invariant: when a shard answered an error, the first error is the reply.

use crate::error::Error;
use crate::reply::{Reply, Tree};

/// Makes one reply of those of all shards; the number is a random one.
pub type Merge = fn(parts: Vec<Tree>, random: u64, out: &mut dyn Reply);

/// The sum of integers.
pub fn sum(parts: Vec<Tree>, _: u64, out: &mut dyn Reply) {
    let mut total = 0i64;
    for part in &parts {
        let Tree::Int(value) = part else { return unexpected(part, out) };
        total = total.saturating_add(*value);
    }
    out.int(total);
}

/// All elements of arrays, one shard's after another's.
pub fn concat(parts: Vec<Tree>, _: u64, out: &mut dyn Reply) {
    let mut all = Vec::new();
    for part in parts {
        let Tree::Array(items) = part else { return unexpected(&part, out) };
        all.extend(items);
    }
    Tree::Array(all).write_to(out);
}

/// The first reply, where all shards say the same.
pub fn first(parts: Vec<Tree>, _: u64, out: &mut dyn Reply) {
    let error = parts.iter().find(|part| matches!(part, Tree::Error(_)));
    match error.or(parts.first()) {
        Some(part) => part.write_to(out),
        None => out.ok(),
    }
}

/// One of the replies that are not null.
pub fn any_not_null(mut parts: Vec<Tree>, random: u64, out: &mut dyn Reply) {
    parts.retain(|part| *part != Tree::Null);
    let pick = random % (parts.len().max(1) as u64);
    let error = parts.iter().find(|part| matches!(part, Tree::Error(_)));
    match error.or_else(|| parts.get(usize::try_from(pick).ok()?)) {
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

    fn merged(merge: Merge, parts: Vec<Tree>) -> Tree {
        let mut out = TreeSink::new(false);
        merge(parts, 0, &mut out);
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
        let mut second = TreeSink::new(false);
        any_not_null(vec![key("a"), Tree::Null, key("b")], 3, &mut second);
        assert_eq!(second.into_reply(), key("b"));
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
