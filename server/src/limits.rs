//! Parameters as the engine wants them.

use ringstone_engine::types::EncodingLimits;

use crate::config::Config;

/// Encoding thresholds; what is no parameter stays as it was.
pub fn encoding(config: &Config, kept: EncodingLimits) -> EncodingLimits {
    EncodingLimits {
        hash_max_listpack_entries: config.hash_max_listpack_entries,
        hash_max_listpack_value: config.hash_max_listpack_value,
        list_max_listpack_size: config.list_max_listpack_size,
        list_compress_depth: config.list_compress_depth,
        set_max_intset_entries: config.set_max_intset_entries,
        zset_max_listpack_entries: config.zset_max_listpack_entries,
        zset_max_listpack_value: config.zset_max_listpack_value,
        stream_node_max_bytes: config.stream_node_max_bytes,
        stream_node_max_entries: config.stream_node_max_entries,
        hll_sparse_max_bytes: config.hll_sparse_max_bytes,
        hash_seed: kept.hash_seed,
        list_plain_len_min: kept.list_plain_len_min,
        string_len_max: usize::try_from(config.proto_max_bulk_len).unwrap_or(usize::MAX),
    }
}
