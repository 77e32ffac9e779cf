//! Hash maps for keys that no client chooses.

/// A map.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;
/// A set.
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::RandomState>;
